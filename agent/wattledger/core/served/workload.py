"""One served workload: what its engines did and what energy it got, brought together reading by reading.

A *point* is when its engines were read; between two points lies a stretch, whose energy is divided among tokens once every device
has been read past its end.  Until then it is pending; whatever the prices, the parts and what is pending sum to the energy.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from wattledger.core.accounts import Lane
from wattledger.core.model import Instant, Request, Served, Workload
from wattledger.core.served.counts import Counts, Growth
from wattledger.core.served.gathered import Gathered
from wattledger.core.served.requests import OpenStretch, RequestBook, SettledRequest
from wattledger.core.tokens import Division, Done, Fit, ModelPrices, Stretch

Component = tuple[str, str]  # component, method
STALE_NS = 5_000_000_000  # a device that has not been read for so long is not waited for
SILENT_NS = 60_000_000_000  # an engine that has not told for so long: what is drawn meanwhile is overhead
UNCOUNTED_NS = 10_000_000_000  # requests in progress and nothing counted yet (a long prompt): so long it is waited for
LONG_NS = 60_000_000_000  # over a longer stretch prices may have changed: it is divided, but teaches nothing


class OfRequest(NamedTuple):
    """A settled request, or (without a record) tokens that nobody told of, and the model's workload that it is part of."""

    workload: Workload
    settled: SettledRequest


class Divided(NamedTuple):
    """What one component's energy of a stretch went into: (prompt, generated) by model, standby and overhead."""

    component: Component
    at: Instant
    division: Division
    weak: bool


class Point(NamedTuple):
    """The engines were read: what each model did since the point before, requests in progress, and whether one began anew."""

    at: Instant
    growth: Mapping[str, Growth]
    running: int | None
    fresh: bool


class Serving:
    """State: counts by replica and model, points that wait for energy, energy that waits for a point by device, a fit for each
    component, a book of requests for each model.
    """

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.models: list[str] = []
        self.fits: dict[Component, Fit] = {}
        self.requests: dict[str, RequestBook] = {}
        self.heard_ns = 0
        self._counts: dict[tuple[str, str], Counts] = {}
        self._gathered: dict[Lane, tuple[str, Gathered]] = {}
        self._points: deque[Point] = deque()
        self._since: Instant | None = None
        self._running: int | None = None

    @property
    def pending_uj(self) -> int:
        """Energy that is not divided yet."""
        return sum(gathered.energy_uj for _, gathered in self._gathered.values())

    @property
    def weak(self) -> bool:
        """Whether any component's prices stand on a prior."""
        return any(fit.weak for fit in self.fits.values())

    def has(self, reading: Served) -> bool:
        """Whether this replica is one of its own."""
        return (reading.engine, reading.model) in self._counts

    def named(self, model: str) -> Workload:
        """The workload of one of its models."""
        if len(self.models) < 2 and self.workload.model is not None:
            return self.workload
        return self.workload._replace(model=model or self.workload.model)

    def adopt(self, reading: Served, other: "Serving") -> None:
        """A replica that went by another name until now; its model's requests come with the last one, and who has none left is not
        waited for."""
        key = reading.engine, reading.model
        self._counts[key] = other._counts.pop(key)
        last = all(model != reading.model for _, model in other._counts)
        if reading.model not in self.requests:
            self._add(reading.model, other.requests.pop(reading.model) if last else RequestBook())
            if last:
                other.requests[reading.model] = RequestBook()  # for what is still to be divided there
        if not other._counts:
            other.heard_ns = 0

    def _add(self, model: str, book: RequestBook) -> None:
        self.models.append(model)
        self.requests[model] = book
        self.fits = {}

    # --- what comes in ----------------------------------------------------------------------------------------------------

    def energy(self, key: Lane, kind: str, cell: tuple[int, int], energies_uj: tuple[int, int]) -> None:
        """What it got of a device over a closed cell, and how much of that for holding it idle."""
        found = self._gathered.get(key)
        if found is None:
            found = self._gathered[key] = kind, Gathered()
        found[1].add(*cell, *energies_uj)

    def read(self, readings: Sequence[Served]) -> list[tuple[Served, Growth]]:
        """Its engines were read; gives what each did since its reading before."""
        grown: list[tuple[Served, Growth]] = []
        first = False
        for reading in sorted(readings, key=lambda r: (r.at.mono_ns, r.engine, r.model)):
            self.heard_ns = max(self.heard_ns, reading.at.mono_ns)
            if reading.model not in self.requests:
                self._add(reading.model, RequestBook())
            counts = self._counts.get((reading.engine, reading.model))
            if counts is None:
                self._counts[reading.engine, reading.model] = Counts(reading)
                first = True
            elif (growth := counts.take(reading)) is not None:
                grown.append((reading, growth))
        if grown or first:
            self._mark(readings, grown)
        return grown

    def _mark(self, readings: Sequence[Served], grown: Sequence[tuple[Served, Growth]]) -> None:
        at = min((r.at for r in readings), key=lambda at: at.mono_ns)
        last = self._points[-1].at if self._points else self._since
        if last is not None and at.mono_ns <= last.mono_ns:
            at = max((r.at for r in readings), key=lambda at: at.mono_ns)
        told = [r.running for r in readings if r.running is not None]
        growth: dict[str, Growth] = {}
        for reading, part in grown:
            growth[reading.model] = _sum(growth.get(reading.model), part)
        fresh = any(part.fresh for _, part in grown)
        if last is None or at.mono_ns > last.mono_ns:
            self._points.append(Point(at, growth, sum(told) if told else None, fresh))

    def request(self, model: str, record: Request) -> str:
        """A request was told; gives one line where it cannot be."""
        return self.requests[model].hear(record)

    # --- what goes out ----------------------------------------------------------------------------------------------------

    def divide(self, at: Instant) -> list[Divided]:
        """Divide whatever every device has been read past the end of; an engine that has fallen silent leaves overhead."""
        found: list[Divided] = []
        while self._points and self._covered(self._points[0].at.mono_ns, at.mono_ns):
            point = self._points.popleft()
            if not self._is_uncounted(point):
                found += self._stretch(point)
        if not self._points and at.mono_ns - self.heard_ns > SILENT_NS:
            found += self._overhead(Instant(at.mono_ns + 1, at.wall_ns))
        return found

    def _is_uncounted(self, point: Point) -> bool:
        """Whether requests are in progress of which nothing has been counted: that energy is the work's that will be."""
        if self._since is None or not point.running or any(any(g[:5]) for g in point.growth.values()):
            return False
        return point.at.mono_ns - self._since.mono_ns < UNCOUNTED_NS

    def _covered(self, until_ns: int, now_ns: int) -> bool:
        waited = (g.ends_ns for _, g in self._gathered.values() if now_ns - g.ends_ns < STALE_NS)
        return all(end_ns >= until_ns for end_ns in waited)

    def _overhead(self, until: Instant) -> list[Divided]:
        """Energy without any work to show for it: before the engine was first read, or since it told no more."""
        none = (0,) * len(self.models)
        self._since = until
        return [
            Divided(component, until, Division(none, none, 0, uj, 0.0), weak=False)
            for component, (uj, _) in self._take(until.mono_ns).items()
            if uj
        ]

    def _take(self, until_ns: int) -> dict[Component, tuple[int, int]]:
        found: dict[Component, tuple[int, int]] = {}
        for (_, method), (kind, gathered) in self._gathered.items():
            before = found.get((kind, method), (0, 0))
            uj, held_uj = gathered.take(until_ns)
            found[kind, method] = before[0] + uj, before[1] + held_uj
        return found

    def _stretch(self, point: Point) -> list[Divided]:
        since, self._since = self._since, point.at
        before, self._running = self._running, point.running
        if since is None:
            return self._overhead(point.at)
        if point.fresh:
            self.fits = {}  # another model may answer under the same name
        duration_ns = point.at.mono_ns - since.mono_ns
        done = tuple(_done(point.growth.get(model), (before, point.running)) for model in self.models)
        busy = None if before is None and point.running is None else bool(before or point.running)
        found = []
        for component, (uj, held_uj) in self._take(point.at.mono_ns).items():
            fit = self.fits.get(component)
            if fit is None:
                fit = self.fits[component] = Fit(len(self.models))
            stretch = Stretch(uj, held_uj, duration_ns, done, busy)
            if duration_ns <= LONG_NS and not point.fresh:
                fit.learn(stretch)
            found.append(Divided(component, point.at, fit.divide(stretch), fit.weak))
        self._offer(since, point, done, found)
        return found

    def _offer(self, since: Instant, point: Point, done: Sequence[Done], divided: Sequence[Divided]) -> None:
        """The requests' share of a stretch: over all components, whose errors are independent."""
        for i, model in enumerate(self.models):
            scaled = [part.division.prices[i] for part in divided if part.division.prices]
            spreads = [self.fits[part.component].spread(i, part.division.scale) for part in divided]
            stretch = OpenStretch(
                since,
                point.at,
                done[i],
                sum(part.division.prompt_uj[i] for part in divided),
                sum(part.division.generated_uj[i] for part in divided),
                ModelPrices(*(sum(prices) for prices in zip(*scaled, strict=True))) if scaled else ModelPrices(0.0, 0.0, 0.0),
                tuple(tuple(map(sum, zip(*rows, strict=True))) for rows in zip(*spreads, strict=True)),
                any(part.weak for part in divided),
                point.running == 0,
            )
            self.requests[model].add(stretch)

    def settle(self, now_ns: int) -> list[OfRequest]:
        """Requests that are final."""
        found = [OfRequest(self.named(m), s) for m, book in self.requests.items() for s in book.settle(now_ns)]
        if now_ns - self.heard_ns > SILENT_NS:
            found += [OfRequest(self.named(m), s) for m, book in self.requests.items() for s in book.drain()]
        return found

    def flush(self) -> list[OfRequest]:
        """Everybody who waits, with what there is."""
        return [OfRequest(self.named(m), s) for m, book in self.requests.items() for s in book.flush()]


def _sum(before: Growth | None, more: Growth) -> Growth:
    """Replicas of one model; steps only where all tell."""
    if before is None:
        return more
    steps = None if before.steps is None or more.steps is None else before.steps + more.steps
    prompt, cached, generated, requests = (a + b for a, b in zip(before[:4], more[:4], strict=True))
    return Growth(prompt, cached, generated, requests, steps, before.fresh or more.fresh, before.wrong or more.wrong)


def _done(growth: Growth | None, running: tuple[int | None, int | None]) -> Done:
    """Steps that an engine does not tell are about its generated tokens over the requests in progress (science.md 4.3)."""
    if growth is None:
        return Done(0.0, 0.0, 0.0)
    steps = growth.steps
    if steps is not None:
        return Done(float(steps), float(growth.prompt), float(growth.generated))
    told = [n for n in running if n]
    mean = sum(told) / len(told) if told else 0.0
    return Done(growth.generated / mean if mean else 0.0, float(growth.prompt), float(growth.generated))
