"""One tick.  Read this file first.

A batch of samples goes in; when it closes a cell, energy has been shared out to the last microjoule: *readings become intervals,
intervals become shares, shares become totals and span accounts*.  Deterministic: the same batches give the same ints, so a capture
replays to the same figures.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, NamedTuple, assert_never

from wattledger.core.accounts import Lane, SpanAccount, note_unread
from wattledger.core.attribution import Cell, share_out
from wattledger.core.floors import floor_taught
from wattledger.core.lanes import EnergyCurve
from wattledger.core.meter import First, Lost, Measured, Meter, Still, cap_uw, method_of
from wattledger.core.model import (
    Activity,
    Batch,
    Boundary,
    Claim,
    Condition,
    EnergyCounter,
    Factor,
    Fault,
    Gap,
    Holding,
    IdleFloor,
    Instant,
    Interval,
    Member,
    Method,
    PowerGauge,
    Request,
    Resume,
    Served,
    Work,
    Workload,
)
from wattledger.core.posted import Minute
from wattledger.core.posting import Posting
from wattledger.core.pricing import PRICED
from wattledger.core.rest import Remainder, Rest
from wattledger.core.series import Series
from wattledger.core.sharing import LaneShares, slicing, spread_of, table_doubt_uj
from wattledger.core.spans import LanePart, Slice, SpanBook
from wattledger.core.totals import Totals
from wattledger.core.units import NS_PER_S
from wattledger.core.usage import Usage, used_of

if TYPE_CHECKING:
    from wattledger.core.served.workload import OfRequest


class Step(NamedTuple):
    """What came out of one batch: spans and requests that are final, times that were lost, floors that were learnt, what was
    handed out by start of its minute (seconds since the epoch) for the ledger, and ``doubts``: what was not believed of
    engines."""

    settled: list[SpanAccount]
    gaps: list[Gap]
    floors: list[IdleFloor]
    kept: tuple[dict[int, Minute], ...] = ()
    requests: "tuple[OfRequest, ...]" = ()
    doubts: tuple[Fault, ...] = ()


class Pipeline:
    """Owns the metering state of one process or node: last readings, the open cell, open spans, floors, factors, totals.

    ``series``: which workloads are shown by name; without it, all are.  ``own_only``: the steps hand out, for the ledger, what the
    spans of the metered trees got, and nobody else's energy.
    """

    def __init__(self, series: Series | None = None, *, own_only: bool = False) -> None:
        self.totals = Totals()
        self.spans = SpanBook()
        self.factors: dict[str, Factor] = {}
        self.floors: dict[str, IdleFloor] = {}
        self.faults: dict[tuple[str, str | None], Fault] = {}
        self.still: dict[str, Instant] = {}
        self.remainder = Remainder()
        self._meter = Meter()
        self._curves: dict[Lane, EnergyCurve] = {}
        self._hints: dict[str, int] = {}
        self._usage = Usage()
        self._posting = Posting(self.totals, self._usage.claims, series or Series(), self.factors)
        self._posting.own_only = own_only
        self.terms: dict[str, Factor] = {}
        self.rates: dict[str, Factor] = {}  # what it took to make each device, per hour; replaced, never mutated
        self._boundaries: list[Boundary] = []
        self._works: list[Work] = []
        self._gaps: list[Gap] = []
        self._read_at: dict[str, tuple[Instant, Method]] = {}
        self._opened_ns: int | None = None

    def step(self, batch: Batch) -> Step:
        """Take one batch; a full one closes the cell and shares its energy out."""
        if self._opened_ns is None:
            self._opened_ns = batch.at.mono_ns
        counted = {s.device.id for s in batch.samples if isinstance(s, EnergyCounter)}
        for sample in batch.samples:
            match sample:
                case EnergyCounter():
                    self._read(sample)
                case PowerGauge():
                    if 0 <= sample.power_uw <= cap_uw(sample.device):
                        self._hints[sample.device.id] = sample.power_uw
                    if sample.device.id not in counted:
                        self._read(sample)
                case Condition():
                    self.totals.conditions[sample.device_id] = sample
                case Activity() | Holding() | Claim() | Member():
                    self._usage.take(sample)
                case Boundary():
                    self._boundaries.append(sample)
                case IdleFloor():
                    self._floor(sample)
                case Work():
                    self._works.append(sample)
                case Served() | Request():
                    self._posting.hear(sample)
                case Factor():
                    self._price(sample)
                case Resume():
                    self._meter.resume()
                case Fault():
                    self.faults[sample.source, sample.device_id] = sample
                case _:
                    assert_never(sample)
        if not batch.full:
            return Step([], [], [])
        return self._close(batch.at)

    def end(self) -> Step:
        """Nothing follows."""
        return Step([], [], [], (), tuple(self._posting.end()))

    def peek(self, at: Instant) -> "Pipeline":
        """A copy whose cell is closed at ``at``; where a register had no time to move, at the last known power (provisional)."""
        copy = deepcopy(self)
        copy._posting.tokens = None  # it speaks to the posting that it was made by; what tokens got is no part of a glimpse
        for curve in copy._curves.values():
            if curve.method == "counter" and not curve.energy_uj and curve.span_ns < curve.device.refresh_ns:
                copy._metered(curve, curve.go_on(at, copy._hints.get(curve.device.id, 0)))
        copy._close(at, settle=False)
        return copy

    def _read(self, reading: EnergyCounter | PowerGauge) -> None:
        self.totals.devices[reading.device.id] = reading.device
        self._read_at.setdefault(reading.device.id, (reading.at, method_of(reading)))
        outcome = self._meter.take(reading)
        if reading.device.kind == "node":
            self.remainder.hear(outcome)
        match outcome:
            case Measured(interval=interval):
                self._add(interval)
            case Lost(gap=gap, resumed=resumed):
                self.still.pop(gap.device.id, None)
                self._gaps.append(gap)
                if resumed is not None:
                    self._add(resumed)
            case Still(device=device, since=since):
                self.still[device.id] = since
            case First(device=device):
                self.still.pop(device.id, None)

    def _add(self, interval: Interval) -> None:
        self.still.pop(interval.device.id, None)
        self._read_at[interval.device.id] = interval.end, interval.method
        key = interval.device.id, interval.method
        curve = self._curves.get(key)
        if curve is None:
            curve = self._curves[key] = EnergyCurve(interval)
        curve.add(interval)
        self._metered(curve, interval.energy_uj)

    def _metered(self, curve: EnergyCurve, energy: int) -> None:
        key = curve.device.id, curve.method
        sums = self.totals.device_energy_uj if curve.device.inside is None else self.totals.subdevice_energy_uj
        sums[key] = sums.get(key, 0) + energy

    def _floor(self, sample: IdleFloor) -> None:
        known = self.floors.get(sample.device_id)
        if known is None or sample.n >= known.n:
            self.floors[sample.device_id] = sample

    def _price(self, factor: Factor) -> None:
        """Another price: what open spans got until now was at the one before."""
        if factor.kind == "embodied":
            self.rates = {**self.rates, factor.zone: factor}
            return
        if factor.kind in PRICED and self.terms.get(factor.kind) != factor:
            for account in self.spans.open_accounts():
                account.price(self.terms)
            self.terms = {**self.terms, factor.kind: factor}
        self.factors[factor.kind] = factor

    # --- closing a cell -------------------------------------------------------------------------------------------------

    def _close(self, at: Instant, *, settle: bool = True) -> Step:
        assert self._opened_ns is not None
        self._posting.begin(at)
        self._boundaries.sort(key=lambda b: b.at.mono_ns)
        trees = self.spans.cut(self._opened_ns, at.mono_ns, self._boundaries)
        self.spans.note_gaps(self._gaps)
        for work in self._works:
            span = None if work.span is None else self.spans.find(work.span)
            self._posting.work(work, None if span is None else span.within)
            self.spans.add_work(work)
        shares = LaneShares(self.rates, trees)
        floors = [f for c in list(self._curves.values()) if (f := self._share_curve(c, trees, shares, at)) is not None]
        rest = self.remainder.close(self.factors, shares, self._opened_ns, at)
        if rest is not None:
            self._share_rest(rest, trees, shares)
        service = shares.serve(at.mono_ns - self._opened_ns)
        self._posting.made(service.grams, {t: self.spans.reserve(trees[t], ns) for t, ns in service.trees.items()})
        for tree, slices in trees.items():
            others_uj = {w: uj for w, uj in shares.everyone_uj.items() if w != tree}
            self.spans.note_others(slices, shares.left_uj.get(tree, []), others_uj)
        requests = self._posting.close()
        self._usage.close(shares.paid, self.totals.devices.values())
        gaps, self._gaps = self._gaps, []
        self.totals.silence({d: at.mono_ns - seen.mono_ns for d, (seen, _) in self._read_at.items()}, at.mono_ns - self._opened_ns)
        self._boundaries, self._works, self._opened_ns = [], [], at.mono_ns
        settled = self.spans.settle() if settle else []
        self.spans.forget_trees(self._usage.claims.trees)
        for account in settled:
            note_unread(account, self._read_at, self.totals.devices)
            account.price(self.terms)
        return Step(settled, gaps, floors, (self._posting.kept(),), tuple(requests), self._posting.doubts())

    def _share_curve(
        self, curve: EnergyCurve, trees: Mapping[Workload, list[Slice]], shares: LaneShares, at: Instant
    ) -> IdleFloor | None:
        """Share one device's cell out; returns the floor if this cell taught one."""
        device = curve.device
        if not curve.span_ns:
            return None
        curve.close()
        self.totals.power_uw[device.id] = curve.mean_uw()
        if device.inside is not None:
            curve.restart()
            return None
        weights = self._usage.weights(device)
        holed = any(gap.device.id == device.id for gap in self._gaps)
        learnt = None if holed else floor_taught(curve, weights, self.floors.get(device.id), at)
        if learnt is not None:
            self.floors[device.id] = learnt
        floor = self.floors.get(device.id)
        used, parts = used_of(device, weights), self._usage.parts_ppm(device)
        cell = Cell(curve.energy_uj, curve.span_ns, used, parts, None if floor is None else floor.power_uw)
        self._post(curve, cell, trees, shares)
        curve.restart()
        return learnt

    def _post(self, curve: EnergyCurve, cell: Cell, trees: Mapping[Workload, list[Slice]], shares: LaneShares) -> None:
        """Divide a cell: to the spans of each tree, and the rest to its workloads as they are."""
        divided, device = share_out(cell), curve.device
        shares.add(divided, curve)
        key: Lane = device.id, curve.method
        unit = self._usage.unit(device)
        floor = self.floors.get(device.id)
        self._posting.lane(curve, unit, seen_idle=floor is not None and floor.n > 0)
        # A model's own idle is part of the model, whose interval covers it; a table's beside a measurement is a doubt of its own.
        unsure = curve.method != "estimated" and floor is not None and floor.n == 0
        for tree, slices in trees.items():
            cut = slicing(curve, cell, tree, slices)
            if device.kind == "rest":
                cut = cut._replace(weights=shares.by_slice.get(tree, cut.weights))
            part = LanePart(
                key,
                tree,
                device.kind == "cpu",
                cut.energies_uj,
                cut.idles_uj,
                divided.active.pop(tree, 0),
                divided.held.pop(tree, 0),
                cut.weights,
                max(curve.mean_uw(), self._hints.get(device.id, 0), curve.known_uw or 0),
                spread_of(cell, tree, unit),
                table_doubt_uj(cell, tree, divided.idle_uj) if unsure else 0.0,
            )
            shares.slices(tree, part)
            left_uj = shares.left_uj.setdefault(tree, [0] * len(slices))
            self._posting.part(tree, *self.spans.post(slices, part, left_uj), key)
        self._posting.split(divided, key)

    def _share_rest(self, rest: Rest, trees: Mapping[Workload, list[Slice]], shares: LaneShares) -> None:
        """What no sensor covers follows what the sensors saw; its constant part is idle, paid by whoever holds the CPU."""
        curve, idle_uj, active_uj = rest
        cpu = next((d for d in self.totals.devices.values() if d.kind == "cpu" and d.inside is None), None)
        parts = self._usage.parts_ppm(cpu) if cpu is not None else {}
        floor_uw = idle_uj * NS_PER_S // curve.span_ns
        cell = Cell(curve.energy_uj, curve.span_ns, active_uj, parts, floor_uw)
        self.totals.devices[curve.device.id] = curve.device
        self.totals.power_uw[curve.device.id] = curve.mean_uw()
        self._metered(curve, curve.energy_uj)
        self._post(curve, cell, trees, shares)
