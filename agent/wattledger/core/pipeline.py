"""One tick.  Read this file first.

A batch of samples goes in; when it closes a cell, energy has been shared out to the last microjoule: *readings become intervals,
intervals become shares, shares become totals and span accounts*.  Deterministic: the same batches give the same ints, so a capture
replays to the same figures.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import NamedTuple

from wattledger.core.attribution import PPM, Cell, Split, share_out
from wattledger.core.lanes import EnergyCurve
from wattledger.core.meter import First, Lost, Measured, Meter, Still
from wattledger.core.model import (
    IDLE,
    OTHER,
    RESERVED,
    Activity,
    Batch,
    Boundary,
    Claim,
    Device,
    EnergyCounter,
    Factor,
    Fault,
    Gap,
    Holding,
    IdleFloor,
    Instant,
    Interval,
    PowerGauge,
    Resume,
    Work,
    Workload,
)
from wattledger.core.pricing import grams
from wattledger.core.sharing import Doubt, LaneShares, rest_interval, slice_weights
from wattledger.core.spans import Lane, LanePart, Slice, SpanAccount, SpanBook
from wattledger.core.totals import Totals
from wattledger.core.units import NS_PER_S, energy_uj

FLOOR_USE = 0.02  # a background second under 2 % use is idle enough to learn from (design.md section 10)
FLOOR_MEMORY = 64  # readings that a learnt floor remembers: a machine's idle draw drifts with its fans and firmware


class Step(NamedTuple):
    """What came out of one batch: spans that ended and are final, times that were lost, floors that were learnt."""

    settled: list[SpanAccount]
    gaps: list[Gap]
    floors: list[IdleFloor]


class Pipeline:
    """Owns the metering state of one process or node: last readings, the open cell, open spans, floors, factors, totals."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.spans = SpanBook()
        self.factors: dict[str, Factor] = {}
        self.floors: dict[str, IdleFloor] = {}
        self.faults: dict[tuple[str, str | None], Fault] = {}
        self.still: dict[str, Instant] = {}
        self._meter = Meter()
        self._curves: dict[Lane, EnergyCurve] = {}
        self._hints: dict[str, int] = {}
        self._claims: dict[str, Workload | None] = {}
        self._holdings: dict[str, dict[str, float]] = {}
        self._used: dict[tuple[str, str], Activity] = {}
        self._weights: dict[str, dict[str, int]] = {}
        self._units: dict[str, str] = {}
        self._boundaries: list[Boundary] = []
        self._works: list[Work] = []
        self._gaps: list[Gap] = []
        self._ended: list[str] = []
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
                    self._hints[sample.device.id] = sample.power_uw
                    if sample.device.id not in counted:
                        self._read(sample)
                case Activity():
                    self._use(sample)
                case Boundary():
                    self._boundaries.append(sample)
                case Holding():
                    self._hold(sample)
                case Claim(workload=None):
                    self._ended.append(sample.who)
                case Claim():
                    self._claims[sample.who] = sample.workload
                case IdleFloor():
                    self._floor(sample)
                case Work():
                    self._works.append(sample)
                case Factor():
                    self.factors[sample.kind] = sample
                case Resume():
                    self._meter.resume()
                case Fault():
                    self.faults[sample.source, sample.device_id] = sample
        if not batch.full:
            return Step([], [], [])
        return self._close(batch.at)

    def peek(self, at: Instant) -> "Pipeline":
        """A copy whose cell is closed at ``at``: the figures as they stand, without disturbing anything.

        Where a register has not had time to move since the cell began, the copy takes the device's last known power for that time
        (provisional: the original settles it from the register itself).
        """
        copy = deepcopy(self)
        for curve in copy._curves.values():
            if curve.method == "counter" and not curve.energy_uj and curve.span_ns < curve.device.refresh_ns:
                known_uw = curve.known_uw if curve.known_uw is not None else copy._hints.get(curve.device.id, 0)
                end = Instant(max(at.mono_ns, curve.end_ns), at.wall_ns)
                start = Instant(curve.end_ns, at.wall_ns)
                energy = energy_uj(known_uw, end.mono_ns - curve.end_ns + curve.span_ns)
                curve.add(Interval(curve.device, start, end, energy, curve.method))
                copy._metered(curve, energy)
        copy._close(at, settle=False)
        return copy

    def _read(self, reading: EnergyCounter | PowerGauge) -> None:
        self.totals.devices[reading.device.id] = reading.device
        match self._meter.take(reading):
            case Measured(interval=interval):
                self._add(interval)
            case Lost(gap=gap, resumed=resumed):
                self._gaps.append(gap)
                if resumed is not None:
                    self._add(resumed)
            case Still(device=device, since=since):
                self.still[device.id] = since
            case First(device=device):
                self.still.pop(device.id, None)

    def _add(self, interval: Interval) -> None:
        self.still.pop(interval.device.id, None)
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

    def _use(self, sample: Activity) -> None:
        key = sample.device_id, sample.who
        before = self._used.get(key)
        self._used[key] = sample
        self._units[sample.device_id] = sample.unit if sample.unit != "idle_ns" else self._units.get(sample.device_id, "")
        if before is not None and sample.used > before.used:
            weights = self._weights.setdefault(sample.device_id, {})
            weights[sample.who] = weights.get(sample.who, 0) + sample.used - before.used

    def _hold(self, sample: Holding) -> None:
        parts = self._holdings.setdefault(sample.device_id, {})
        if sample.part > 0:
            parts[sample.who] = sample.part
        else:
            parts.pop(sample.who, None)

    def _floor(self, sample: IdleFloor) -> None:
        known = self.floors.get(sample.device_id)
        if known is None or sample.n >= known.n:
            self.floors[sample.device_id] = sample

    # --- closing a cell -------------------------------------------------------------------------------------------------

    def _close(self, at: Instant, *, settle: bool = True) -> Step:
        assert self._opened_ns is not None
        self._boundaries.sort(key=lambda b: b.at.mono_ns)
        trees = self.spans.cut(self._opened_ns, at.mono_ns, self._boundaries)
        self._note_gaps()
        self._post_work()
        shares = LaneShares()
        floors = [f for c in list(self._curves.values()) if (f := self._share_curve(c, trees, shares, at)) is not None]
        rest = rest_interval(self.factors, shares, self._opened_ns, at)
        if rest is not None:
            self._share_rest(rest, trees, shares)
        self._forget()
        gaps, self._gaps = self._gaps, []
        self._boundaries, self._weights, self._opened_ns = [], {}, at.mono_ns
        return Step(self.spans.settle() if settle else [], gaps, floors)

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
        weights = self._weights_of(device)
        learnt = self._learn(curve, weights, at)
        floor = self._floor_of(device)
        cell = Cell(curve.energy_uj, curve.span_ns, self._by_workload(device, weights), self._parts_of(device), floor)
        divided = share_out(cell)
        doubt = Doubt(
            unit=self._units.get(device.id) or self._units.get(device.kind, ""),
            table_floor=device.id not in self.floors or self.floors[device.id].n == 0,
            peak_uw=max(curve.mean_uw(), self._hints.get(device.id, 0), curve.known_uw or 0),
        )
        self._post(curve, divided, cell, doubt, trees, shares)
        curve.restart()
        return learnt

    def _post(
        self,
        curve: EnergyCurve,
        divided: Split,
        cell: Cell,
        doubt: Doubt,
        trees: Mapping[Workload, list[Slice]],
        shares: LaneShares,
    ) -> None:
        """Hand a split out: to the spans of each tree, and the rest to its workloads as they are."""
        key: Lane = curve.device.id, curve.method
        shares.add(divided, curve)
        for tree, slices in trees.items():
            energies = curve.cut([s.end_ns for s in slices])
            if curve.device.kind == "rest":
                weights = shares.by_slice.get(tree, energies)
            else:
                weights = slice_weights(curve, cell, tree, slices, energies)
            part = LanePart(
                key,
                tree,
                curve.device.kind == "cpu",
                energies,
                divided.active.pop(tree, 0),
                divided.held.pop(tree, 0),
                weights,
                _of_others(divided, trees),
            )
            doubt.note(key, part, slices, cell, divided)
            shares.slices(tree, part)
            for workload, (active, held) in self.spans.post(slices, part).items():
                self._hand_out(workload, key, active, held)
        for workload, uj in divided.active.items():
            self._hand_out(workload, key, uj, 0)
        for workload, uj in divided.held.items():
            self._hand_out(workload, key, 0, uj)

    def _hand_out(self, workload: Workload, key: Lane, active_uj: int, held_uj: int) -> None:
        device, method = key
        self.totals.add((workload, device, method, "active"), active_uj)
        self.totals.add((workload, device, method, "held"), held_uj)
        grid = self.factors.get("grid")
        if grid is not None:
            pue = self.factors["pue"].value if "pue" in self.factors else 1.0
            priced = grams(active_uj + held_uj, grid.value, pue)
            self.totals.emissions_g[workload] = self.totals.emissions_g.get(workload, 0.0) + priced

    def _share_rest(
        self, rest: tuple[EnergyCurve, int], trees: Mapping[Workload, list[Slice]], shares: LaneShares
    ) -> None:
        """What no sensor covers follows what the sensors saw; its constant part is idle, paid by whoever holds the CPU."""
        curve, idle_uj = rest
        cpu = next((d for d in self.totals.devices.values() if d.kind == "cpu" and d.inside is None), None)
        parts = self._parts_of(cpu) if cpu is not None else {}
        floor_uw = idle_uj * NS_PER_S // curve.span_ns
        cell = Cell(curve.energy_uj, curve.span_ns, shares.active_uj, parts, floor_uw)
        self.totals.devices[curve.device.id] = curve.device
        self.totals.power_uw[curve.device.id] = curve.mean_uw()
        self._metered(curve, curve.energy_uj)
        doubt = Doubt(unit="", table_floor=False, peak_uw=curve.mean_uw())
        self._post(curve, share_out(cell), cell, doubt, trees, shares)

    # --- who ------------------------------------------------------------------------------------------------------------

    def _weights_of(self, device: Device) -> dict[str, int]:
        return self._weights.get(device.id) or self._weights.get(device.kind, {})

    def _by_workload(self, device: Device, weights: Mapping[str, int]) -> dict[Workload, int]:
        """Activity by workload.  CPU idle time is not a use of the CPU; a free GPU's or free memory's energy is ``(idle)``."""
        found: dict[Workload, int] = {}
        for who, used in weights.items():
            workload = self._who(who)
            if workload != IDLE or device.kind != "cpu":
                found[workload] = found.get(workload, 0) + used
        return found

    def _parts_of(self, device: Device) -> dict[Workload, int]:
        holders = self._holdings.get(device.id) or self._holdings.get(device.kind, {})
        parts: dict[Workload, int] = {}
        for who, part in holders.items():
            workload = self._who(who)
            parts[workload] = parts.get(workload, 0) + int(part * PPM)
        return parts

    def _who(self, who: str) -> Workload:
        return RESERVED.get(who) or self._claims.get(who) or OTHER

    def _floor_of(self, device: Device) -> int | None:
        floor = self.floors.get(device.id)
        return None if floor is None else floor.power_uw

    def _learn(self, curve: EnergyCurve, weights: Mapping[str, int], at: Instant) -> IdleFloor | None:
        """A second or more under 2 % use teaches the floor: a mean that forgets slowly."""
        idle_ns = weights.get(IDLE.job, 0)
        used_ns = sum(used for who, used in weights.items() if who != IDLE.job)
        quiet = idle_ns and used_ns <= FLOOR_USE * (idle_ns + used_ns)
        if not quiet or curve.span_ns < NS_PER_S or curve.method == "estimated" or curve.device.kind == "dram":
            return None
        known = self.floors.get(curve.device.id)
        n = min(FLOOR_MEMORY, known.n if known else 0)
        mean_uw = curve.mean_uw() if known is None or not n else (known.power_uw * n + curve.mean_uw()) // (n + 1)
        floor = IdleFloor(curve.device.id, "empty", mean_uw, at, n + 1)
        self.floors[curve.device.id] = floor
        return floor

    def _forget(self) -> None:
        """Processes that ended in this cell have been paid for; their ids may come back as others."""
        for who in self._ended:
            self._claims.pop(who, None)
            for device_id in [d for d, known in self._used if known == who]:
                del self._used[device_id, who]
            for parts in self._holdings.values():
                parts.pop(who, None)
        self._ended = []

    # --- spans ----------------------------------------------------------------------------------------------------------

    def _note_gaps(self) -> None:
        for gap in self._gaps:
            for account in self.spans.open_accounts():
                if gap.device.inside is None and gap.end.mono_ns > account.entered.mono_ns:
                    account.gaps.append(gap)

    def _post_work(self) -> None:
        for work in self._works:
            self.totals.add_work(work)
            self.spans.add_work(work)
        self._works = []


def _of_others(divided: Split, trees: Mapping[Workload, list[Slice]]) -> dict[Workload, int]:
    others: dict[Workload, int] = {}
    for part in (divided.active, divided.held):
        for workload, uj in part.items():
            if workload not in trees:
                others[workload] = others.get(workload, 0) + uj
    return others
