"""What the agent serves: pages are functions of a request's headers, called on that request's own thread; some take a body."""

import html
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.message import Message
from types import MappingProxyType
from typing import NamedTuple, Protocol

from wattledger.core.model import Instant
from wattledger.core.ports import Renderer
from wattledger.core.totals import Snapshot
from wattledger.core.units import seconds
from wattledger.core.version import __version__
from wattledger.runtime import clock

PLAIN = "text/plain; charset=utf-8"
NOT_YET = "no figures yet: the first tick is not over"
LATE_TICKS = 3  # so many intervals without a tick, and the figures are not today's


class Page(NamedTuple):
    """An answer.  A body in pieces is made while it is packed, so that other threads run between two.  ``more``: headers beside."""

    content_type: str
    body: bytes | Iterable[bytes]
    status: int = 200
    more: Mapping[str, str] = MappingProxyType({})


Serve = Callable[[Message], Page]  # headers -> page


class Accepts(NamedTuple):
    """A page that takes POST, and nothing else: headers and the body (whole, unpacked, within the server's limits) -> page."""

    serve: Callable[[Message, bytes], Page]


class Reads(NamedTuple):
    """A page that hears the query: headers and the query's words (of one name, the last) -> page."""

    serve: Callable[[Message, Mapping[str, str]], Page]


class Below(NamedTuple):
    """All pages below a path that ends with ``/``: headers, query, and the name below it, unquoted -> page."""

    serve: Callable[[Message, Mapping[str, str], str], Page]


Route = Serve | Accepts | Reads | Below


class Scraped(Protocol):
    """An exporter that answers scrapes."""

    def content_type(self, accept: str = "") -> str: ...

    def chunks(self, snapshot: Snapshot, accept: str = "") -> Iterator[bytes]: ...


def text(words: str, status: int = 200) -> Page:
    """One line."""
    return Page(PLAIN, f"{words}\n".encode("utf-8", "replace"), status)


def metrics(latest: Callable[[], Snapshot | None], exporter: Scraped) -> Serve:
    """``/metrics``: the latest snapshot, whole; 503 until there is one."""

    def serve(headers: Message) -> Page:
        snapshot = latest()
        if snapshot is None:
            return text(NOT_YET, 503)
        accept = ",".join(headers.get_all("Accept", []))
        return Page(exporter.content_type(accept), exporter.chunks(snapshot, accept))

    return serve


def rendered(latest: Callable[[], Snapshot | None], exporter: Renderer, content_type: str) -> Serve:
    """The same snapshot in another exporter's form."""

    def serve(headers: Message) -> Page:
        snapshot = latest()
        if snapshot is None:
            return text(NOT_YET, 503)
        return Page(content_type, exporter.render(snapshot))

    return serve


def ready(published: Callable[[], Instant | None], interval_s: float, now: Callable[[], Instant] = clock.now) -> Serve:
    """``/readyz``: 200 once a snapshot was published and while the last one is younger than three intervals; else 503 and why."""

    def serve(headers: Message) -> Page:
        last = published()
        if last is None:
            return text("not ready: no snapshot has been published yet", 503)
        age_s = seconds(now().mono_ns - last.mono_ns)
        if age_s >= LATE_TICKS * interval_s:
            return text(f"not ready: the last tick was {age_s:.1f} s ago, one is due each {interval_s:g} s", 503)
        return text("ready")

    return serve


def healthy(headers: Message) -> Page:
    """``/healthz``: whoever answers lives."""
    return text("ok")


def index(paths: Iterable[str]) -> Serve:
    """``/``: what else there is."""
    links = "".join(f'<li><a href="{html.escape(path)}">{html.escape(path)}</a></li>' for path in paths)
    body = f"<!doctype html><title>wattledger</title><h1>wattledger {html.escape(__version__)}</h1><ul>{links}</ul>\n".encode()
    return lambda headers: Page("text/html; charset=utf-8", body)
