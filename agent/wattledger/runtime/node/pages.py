"""The agent's web pages: what it shows, and what it takes."""

from collections.abc import Callable, Iterable
from importlib.metadata import entry_points
from typing import NamedTuple

from wattledger.core.model import Instant, Sample
from wattledger.core.totals import Snapshot
from wattledger.runtime import clock
from wattledger.runtime.config import Config, ConfigError
from wattledger.runtime.otlp.page import MOST_WAITING, Traces
from wattledger.runtime.web.pages import Accepts, Below, Route, Scraped, metrics, ready, rendered, text
from wattledger.runtime.web.tokens_page import tokens

NO_COMPAT = "not found; /metrics/compat is served where the configuration says [exporters.compat] enabled = true"
SERVED = ("prometheus", "jsonl", "console")


class Views(NamedTuple):
    """What pages are made of: the snapshot that is shown and when it was made, PUE in force, where samples go (``None`` while the
    sensors are not open), the newest snapshot with the power of each share, and this host's name."""

    shown: Callable[[], Snapshot | None]
    at: Callable[[], Instant | None]
    pue: Callable[[], float]
    put: Callable[[], Callable[[Iterable[Sample]], None] | None]
    powered: Callable[[], Snapshot | None]
    host: str


def pages_of(config: Config, views: Views) -> dict[str, Route]:
    """By path."""
    made = {entry.name: entry.load()() for entry in entry_points(group="wattledger.exporters") if entry.name in SERVED}
    found: dict[str, Route] = {
        "/metrics": metrics(views.shown, made["prometheus"]),
        "/metrics.jsonl": rendered(views.shown, made["jsonl"], "application/jsonl"),
        "/tables": rendered(views.shown, made["console"], "text/plain; charset=utf-8"),
        "/readyz": ready(views.at, config["agent.interval_s"]),
        "/tokens.json": tokens(views.shown, views.pue),
    }
    if config["exporters.compat.enabled"]:
        found["/metrics/compat"] = metrics(views.powered, _compat(config, views))
    else:
        found["/metrics/"] = Below(lambda _headers, _query, _name: text(NO_COMPAT, 404))
    if config["agent.requests"]:
        # Until the sensors are open nothing can be taken: whoever sends is told to come again.
        traces = Traces(_through(views), clock.now, waiting=lambda: 0 if views.put() is not None else MOST_WAITING)
        found["/v1/traces"] = Accepts(traces.serve)
    return found


def _compat(config: Config, views: Views) -> Scraped:
    """Other exporters' names; loaded by who asks for them.  Raises ConfigError."""
    make = next(entry for entry in entry_points(group="wattledger.exporters", name="compat")).load()
    try:
        made: Scraped = make(str(config["exporters.compat.names"]), views.host, views.pue)
    except ValueError as wrong:
        raise ConfigError(f"{wrong} ({config.origin('exporters.compat.names')})") from wrong
    return made


def _through(views: Views) -> Callable[[Iterable[Sample]], None]:
    def put(samples: Iterable[Sample]) -> None:
        take = views.put()
        if take is not None:
            take(samples)

    return put
