"""Leaves the totals of a program that was measured without an agent at a Pushgateway, once, as it ends.

Its group is ``job="wattledger"``, ``program`` (the run's job) and ``instance`` (the host).  A Pushgateway never forgets a group, so
the run's id is not in it: the next run of the program there replaces what this one left, and the groups are as many as programs and
hosts.  The host is in it, other than for a batch job that belongs to no machine, because these joules do: the ranks of one job on
many hosts would replace each other's.  ``program`` and not ``job_name``: a group's labels replace those of its series, and then
``(idle)`` would be the job's.
"""

import base64
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from wattledger.core.model import Instant
from wattledger.core.ports import Now
from wattledger.core.totals import Sent, Snapshot
from wattledger_exporters.prometheus import Prometheus, content_type

if TYPE_CHECKING:
    from requests import PreparedRequest

log = logging.getLogger("wattledger.exporters.pushgateway")


class Pushgateway:
    """A ``Pusher`` without a thread: ``push`` keeps the newest snapshot, ``close`` sends it.

    ``options``: ``url``, ``user``, ``password_file``, and from the runtime ``job`` and ``host``.  Raises ValueError with one line
    where they are wrong.

    State: the newest snapshot until it is sent, and the counts.
    """

    name = "pushgateway"

    def __init__(self, options: Mapping[str, object], *, now: Now, started: Instant) -> None:
        url = str(options.get("url", ""))
        if not re.match(r"https?://[^/]", url):
            raise ValueError(f"exporters.pushgateway.url: expected http://HOST:PORT or https://…, not {_shown(url)!r}")
        group = _label("program", str(options.get("job", ""))) + _label("instance", str(options.get("host", "")))
        self._auth = _auth(str(options.get("user", "")), str(options.get("password_file", "")))
        self._where = _shown(url)
        place = urlsplit(url)
        if self._auth is None and place.username:
            self._auth = unquote(place.username).encode(), unquote(place.password or "").encode()
        self._url = f"{place.scheme}://{place.netloc.rpartition('@')[2]}{place.path.rstrip('/')}/metrics/job/wattledger{group}"
        self._newest: Snapshot | None = None
        self._sent = Sent(0, 0)

    def push(self, snapshot: Snapshot) -> None:
        """Keep it."""
        self._newest = snapshot

    def sent(self) -> Sent:
        """One delivered or one failed, after ``close``."""
        return self._sent

    def close(self, timeout_s: float) -> None:
        """Replace the group by the newest snapshot; a failure is one warning."""
        newest, self._newest = self._newest, None
        if newest is None:
            return
        why = self._put(Prometheus().render(newest), timeout_s)
        self._sent = Sent(int(not why), int(bool(why)), why)
        if why:
            log.warning("wattledger: Pushgateway: not delivered: %s", why)

    def _put(self, body: bytes, timeout_s: float) -> str:
        """Why it was not taken, or nothing."""
        import requests

        try:
            with requests.put(
                self._url,
                data=body,
                headers={"Content-Type": content_type()},
                auth=self._auth or _no_auth,  # type: ignore[arg-type]  # bytes: as text it would have to be Latin-1
                timeout=timeout_s,
                allow_redirects=False,  # a redirected PUT becomes a GET, and is nobody's delivery
            ) as reply:
                said = "" if reply.status_code < 300 else f"{reply.status_code} {reply.reason} {reply.text[:200]}"
        except requests.Timeout:
            said = f"no answer within {timeout_s:g} s"
        except (requests.RequestException, OSError) as failure:
            said = _root(failure)
        return f"{self._where}: {' '.join(said.split())}" if said else ""


def _root(failure: BaseException) -> str:
    """What was at the bottom of it: "Connection refused", in the system's words."""
    while failure.__context__ is not None:
        failure = failure.__context__
    return (failure.strerror if isinstance(failure, OSError) else None) or type(failure).__name__


def _no_auth(request: "PreparedRequest") -> "PreparedRequest":
    """Without one, requests looks for a password in ~/.netrc, which nobody asked it to."""
    return request


def _label(name: str, value: str) -> str:
    """A label of the group as base64, which may hold a slash; one without a value is left out."""
    encoded = base64.urlsafe_b64encode(value.encode("utf-8", "replace")).decode("ascii").rstrip("=")
    return f"/{name}@base64/{encoded}" if value else ""


def _auth(user: str, password_file: str) -> tuple[bytes, bytes] | None:
    if not user and not password_file:
        return None
    if not user or not password_file:
        raise ValueError("exporters.pushgateway: user and password_file go together")
    try:
        password = Path(password_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as failure:
        why = failure.strerror if isinstance(failure, OSError) else "it is not text"
        raise ValueError(f"exporters.pushgateway.password_file: cannot read {password_file}: {why}") from failure
    return user.encode(), password.encode()


def _shown(url: str) -> str:
    """A URL without user, password and query."""
    return re.sub(r"^(\w+://)?(?:.*@)?([^/?#]*).*$", r"\1\2", url, flags=re.DOTALL)
