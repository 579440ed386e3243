"""Engines in this node's pods, as the kubelet's list tells of them (``/pods``; kubernetes.io/docs, PodList v1).

``wattledger.io/engine`` (a known engine, or ``auto``), ``wattledger.io/port`` and ``wattledger.io/path``; or, where a pod says that
it is to be scraped (``prometheus.io/scrape``, ``/port``, ``/path``), whatever there turns out to be an engine's text.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from wattledger.core.ports import Host, Request, SourceFailed
from wattledger.sources.engines.known import ENGINES
from wattledger.sources.engines.places import NAME, Place, is_ip
from wattledger.sources.engines.reading import plain

OURS, THEIRS = "wattledger.io/", "prometheus.io/"
MODEL = f"{OURS}model"
AUTO = "auto"
MOST_BYTES = 64_000_000
MOST_PATH = 1_000  # characters; whoever may annotate a pod may write a novel


class PodList:
    """The kubelet, and how it is asked."""

    def __init__(self, host: Host) -> None:
        self.url = str(host.options.get("pods_url", ""))
        self._host = host

    def read(self) -> list[Place]:
        """Places that pods say of themselves; SourceFailed says what went wrong, without the token."""
        ca_file = str(self._host.options.get("ca_file", ""))
        verify: bool | str = (ca_file or True) if self._host.options.get("verify", True) else False
        return list(places(self.url, self._host.fetch(Request(self.url, self._headers(), verify=verify, limit_bytes=MOST_BYTES))))

    def _headers(self) -> Mapping[str, str]:
        """The token is read each time, because it is renewed; it is never sent in the clear."""
        path = str(self._host.options.get("token_file", ""))
        if not path or not self.url.startswith("https://"):
            return {}
        try:
            with open(path, encoding="ascii") as file:
                words = file.read(65_536).split()
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a token"
            raise SourceFailed(f"{NAME}: cannot read token_file {path}: {why}") from None
        return {"Authorization": f"Bearer {words[0]}"} if words else {}


def places(url: str, body: bytes) -> Iterator[Place]:
    """SourceFailed where the reply is no PodList."""
    try:
        items = json.loads(body)["items"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise SourceFailed(f"{NAME}: {url}: the reply is not a list of pods") from None
    for item in items if isinstance(items, list) else []:
        place = _place(_mapping(item))
        if place is not None:
            yield place


def _place(item: Mapping[str, Any]) -> Place | None:
    """Where a running pod's engine answers.  ``found``: ``pod`` where it says so itself, ``scraped`` where that is to be seen."""
    notes, status = _mapping(_mapping(item.get("metadata")).get("annotations")), _mapping(item.get("status"))
    ip = str(status.get("podIP") or "")
    if status.get("phase") != "Running" or not is_ip(ip):
        return None
    engine = str(notes.get(f"{OURS}engine") or "").strip().lower()
    if engine and engine != AUTO and engine not in ENGINES:
        return None
    if not engine and str(notes.get(f"{THEIRS}scrape")).lower() != "true":
        return None
    port = str(notes.get(f"{OURS}port") or notes.get(f"{THEIRS}port") or "")
    usual = ENGINES[engine].path if engine in ENGINES else "/metrics"
    path = str(notes.get(f"{OURS}path") or (notes.get(f"{THEIRS}path") if not engine or engine == AUTO else "") or usual)
    if not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65_536):
        return None
    if len(path) > MOST_PATH or not path.isprintable() or not path.isascii():
        return None
    host = f"[{ip}]" if ":" in ip else ip
    url = f"http://{host}:{port}/{path.lstrip('/')}"
    return Place("" if engine == AUTO else engine, url, plain(str(notes.get(MODEL) or "")), "pod" if engine else "scraped")


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}
