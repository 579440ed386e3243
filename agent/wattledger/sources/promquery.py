"""Power of this node as a Prometheus server knows it: a PDU, a wall meter or a BMC that is scraped already.

Prometheus HTTP API, instant queries, over ``host.fetch``, so on a thread of its own.  An instant query answers with what was seen
up to five minutes ago, and stamps it with the time of the question.  So the look back is limited to what is not stale, and, since
older servers (2.42) do not know that limit, the sample's own time is asked for; of an expression they tell none.
"""

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from wattledger.core.model import Device, Finding, Instant, PowerGauge, Sample
from wattledger.core.ports import Host, Now, Request, Source, SourceFailed, SourceGone

NAME = "promquery"
STALE_PERIODS = 3
LEAST_W, MOST_W = 1e-6, 1e7  # a microwatt is the least that we count in, and no machine draws ten megawatts
LATEST_S = 1e11  # of a time; the year 5138
LIMIT_BYTES = 1_000_000


class Promquery:
    """State: when the server was asked last, and what to note of the files that hold secrets."""

    name = NAME
    edge = False
    period_ns: int | None = None

    def __init__(self, host: Host) -> None:
        self._host = host
        self._every_s = float(str(host.options.get("period_s", 10.0)))
        self._device = Device(f"node/{NAME}", "node", "meter in Prometheus", "(parts)", int(self._every_s * 1e9))
        self._asked_ns: int | None = None
        self.notes: tuple[str, ...] = ()

    def devices(self) -> Sequence[Device]:
        return [self._device]

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        """One sample each ``period_s``, nothing in between; blocks as long as the server takes."""
        at = now()
        if not full or (self._asked_ns is not None and at.mono_ns - self._asked_ns < self._every_s * 1e9):
            return []
        self._asked_ns = at.mono_ns
        self.notes = tuple(_open_secrets(self._host.options))
        power_uw, told_ns = ask(self._host, self._every_s * STALE_PERIODS)
        old_ns = max(0, at.wall_ns - told_ns)
        if old_ns > STALE_PERIODS * self._every_s * 1e9:
            old_s = f"{old_ns / 1e9:.0f} s old"
            raise SourceFailed(f"{NAME}: the sample is {old_s}: scraped too seldom for period_s, or the clocks differ")
        # It was so when it was scraped; the same sample a second time is no reading.
        return [PowerGauge(self._device, Instant(at.mono_ns - old_ns, at.wall_ns - old_ns), power_uw)]

    def close(self) -> None:
        """Nothing is kept open between two questions."""


def open(host: Host) -> Source:
    """A source that will ask the configured server; ``SourceGone`` where none is configured."""
    wrong = _wrong(host)
    if wrong is not None:
        raise SourceGone(f"{NAME}: {wrong.why}; {wrong.remedy}")
    return Promquery(host)


def examine(host: Host) -> Iterator[Finding]:
    """Asks the server once; never raises."""
    wrong = _wrong(host)
    if wrong is not None:
        yield wrong
        return
    period_s = float(str(host.options.get("period_s", 10.0)))
    try:
        power_uw, _ = ask(host, period_s * STALE_PERIODS)
    except SourceFailed as failure:
        yield Finding(NAME, "query", "broken", str(failure))
        return
    yield Finding(NAME, f"node/{NAME}", "usable", f"{power_uw / 1e6:g} W now, integrated")
    for note in _open_secrets(host.options):
        yield Finding(NAME, f"node/{NAME}", "usable", note)


def ask(host: Host, back_s: float) -> tuple[int, int]:
    """Microwatts, and their time in nanoseconds since the epoch; SourceFailed unless the answer is one series above 0."""
    query = str(host.options["query"])
    found = _query(host, query, back_s)
    if len(found.values) != 1:
        raise SourceFailed(_not_one(len(found.values), back_s))
    told_s, watts = found.values[0]
    if not LEAST_W <= watts <= MOST_W:
        raise SourceFailed(f"{NAME}: the query gives {watts:g} W, which nothing that runs draws")
    if not found.scalar:
        stamps = _query(host, f"timestamp({query})", back_s).values
        told_s = stamps[0][1] if len(stamps) == 1 else told_s
    if abs(told_s) > LATEST_S:
        raise SourceFailed(f"{NAME}: the sample's time ({told_s:g} s) is none")
    return round(watts * 1e6), round(told_s * 1e9)


class Answer(NamedTuple):
    """To an instant query: (seconds since the epoch, value) of each series."""

    scalar: bool
    values: list[tuple[float, float]]


def _query(host: Host, query: str, back_s: float) -> Answer:
    options = host.options
    words = urlencode({"query": query, "lookback_delta": f"{back_s:g}"})
    url = f"{str(options['url']).rstrip('/')}/api/v1/query?{words}"
    headers, auth = _credentials(options)
    body = host.fetch(Request(url, headers, auth, str(options.get("ca_file", "")) or True, limit_bytes=LIMIT_BYTES))
    try:
        data = json.loads(body)["data"]
        kind, result = data["resultType"], data["result"]
        pairs = [result] if kind == "scalar" else [series["value"] for series in result]
        values = [(float(at), float(value)) for at, value in pairs]
    except (ValueError, LookupError, TypeError, RecursionError, OverflowError):
        raise SourceFailed(f"{NAME}: the answer is not that of a Prometheus server to an instant query") from None
    if not all(math.isfinite(number) for pair in values for number in pair):
        raise SourceFailed(f"{NAME}: the query gives a value that is no number")
    return Answer(kind == "scalar", values)


def _not_one(n: int, back_s: float) -> str:
    if n:
        return f"{NAME}: the query gives {n} series, not one: narrow it to this node, or sum() it"
    return f"{NAME}: the query gives nothing of the last {back_s:g} s: is it right, and is period_s no shorter than the scrapes'?"


def _credentials(options: Mapping[str, object]) -> tuple[dict[str, str], tuple[str, str] | None]:
    """Headers and basic auth.  Files are read each time: tokens are rotated."""
    token, user = str(options.get("token_file", "")), str(options.get("user", ""))
    headers = {"Authorization": f"Bearer {_secret(token)}"} if token else {}
    return headers, (user, _secret(str(options.get("password_file", "")))) if user else None


def _secret(path: str) -> str:
    if not path:
        raise SourceFailed(f"{NAME}: user is set but password_file is not: name the file that holds the password")
    try:
        return Path(path).read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise SourceFailed(f"{NAME}: cannot read the secret in {path}: {why}") from None


def _open_secrets(options: Mapping[str, object]) -> Iterator[str]:
    for path in (str(options[key]) for key in ("token_file", "password_file") if options.get(key)):
        try:
            mode = os.stat(path).st_mode
        except OSError:
            continue  # reading it says why
        if mode & 0o004:
            yield f"{NAME}: {path} holds a secret and everybody may read it; chmod 0600 {path}"


def _wrong(host: Host) -> Finding | None:
    """What keeps the configured server from being asked at all."""
    url = str(host.options.get("url", ""))
    if not url or not host.options.get("query"):
        remedy = f"set [sources.{NAME}] url and query to a meter of this node that is scraped already"
        return Finding(NAME, "query", "absent", "no server and query are configured", remedy)
    if not url.startswith(("https://", "http://")):
        return Finding(NAME, "query", "broken", "its url is none", "let it begin with http:// or https://")
    if "@" in url:
        return Finding(NAME, "query", "broken", "its url holds a password", "use user and password_file")
    return None
