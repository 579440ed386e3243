"""The source: every engine asked at once at each full tick, and what has come is handed over."""

import threading
from collections.abc import Iterable, Iterator

from wattledger.core.model import Device, Fault, Sample
from wattledger.core.ports import Host, Now, SourceGone
from wattledger.sources.engines.discovery import Discovery
from wattledger.sources.engines.endpoint import WAIT_S, Endpoint
from wattledger.sources.engines.places import HOW, NAME, Place, configured
from wattledger.sources.engines.scrape import Scrape


def open_engines(host: Host) -> "Engines":
    places, wrong = configured(str(host.options.get("urls", "")))
    discover = str(host.options.get("discover", "off"))
    if not places and discover == "off":
        raise SourceGone(f"{wrong[0]} ({HOW})" if wrong else f"{NAME}: no serving engine is named; {HOW}")
    return Engines(host, places, wrong)


class Engines:
    """Read by one thread.  State: an endpoint for each place, and what was said of words that name none."""

    name = NAME
    edge = False
    period_ns: int | None = None

    def __init__(self, host: Host, places: Iterable[Place], wrong: Iterable[str] = ()) -> None:
        self._host = host
        self._arrived = threading.Condition()
        self._configured = tuple(places)
        self._wrong = tuple(wrong)
        self._untold = list(self._wrong)
        self._discovery = Discovery(host)
        self._endpoints = {place.url: self._endpoint(place) for place in self._configured}
        self._double: tuple[str, ...] = ()

    def _endpoint(self, place: Place) -> Endpoint:
        return Endpoint(Scrape(self._host, place), self._arrived)

    @property
    def notes(self) -> tuple[str, ...]:
        """Which names were seen, what was left out, whose energy is not known."""
        told = [note for endpoint in self._endpoints.values() for note in endpoint.scrape.said.notes()]
        return tuple(dict.fromkeys([*self._wrong, *told, *self._double, *self._discovery.notes]))

    @property
    def failing(self) -> bool:
        """Whether an engine, or a place where engines are looked for, fails now."""
        return bool(self._wrong) or self._discovery.failing or any(e.scrape.failing for e in self._endpoints.values())

    def devices(self) -> tuple[Device, ...]:
        return ()

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        """What has come from all that were asked; who has not answered in time answers in the next read, with its own stamp."""
        if not full:
            return ()
        self._discovery.ask(now)
        self._follow(self._discovery.places)
        endpoints = list(self._endpoints.values())
        awaited = [endpoint for endpoint in endpoints if endpoint.ask(now)]
        with self._arrived:
            self._arrived.wait_for(lambda: not any(endpoint.busy for endpoint in awaited), WAIT_S)
            for endpoint in awaited:
                endpoint.quick = not endpoint.busy  # who is late is not waited for again until it has been quick
        return [*self._said_wrong(now), *self._discovery.faults(), *self._collect(endpoints)]

    def _said_wrong(self, now: Now) -> Iterator[Sample]:
        while self._untold:
            yield Fault(NAME, "urls", now(), self._untold.pop(0), False)

    def _follow(self, found: Iterable[Place]) -> None:
        """An endpoint for each place that was found; those of places that are gone are let go."""
        wanted = {place.url: place for place in (*found, *self._configured)}
        gone = [url for url in self._endpoints if url not in wanted]
        if gone or len(wanted) > len(self._endpoints):
            for url in gone:
                self._endpoints[url].close()
            kept = {url: endpoint for url, endpoint in self._endpoints.items() if url in wanted}
            self._endpoints = kept | {url: self._endpoint(place) for url, place in wanted.items() if url not in kept}

    def _collect(self, endpoints: list[Endpoint]) -> Iterator[Sample]:
        """One socket is one engine, under whatever addresses it was found: the first, as configured, is heard."""
        first: dict[str, str] = {}
        double: list[str] = []
        for endpoint in endpoints:
            if endpoint.bug is not None:
                raise endpoint.bug
            samples = endpoint.collect()
            inode = endpoint.scrape.owner.inode
            if inode and first.setdefault(inode, endpoint.place.address) != endpoint.place.address:
                double.append(f"{NAME}: {endpoint.place.address} is the same engine as {first[inode]}: counted once")
                continue
            yield from samples
        self._double = tuple(double)

    def close(self) -> None:
        """Every thread ends; one that is in a fetch does when that has ended."""
        self._discovery.close()
        for endpoint in self._endpoints.values():
            endpoint.close()
