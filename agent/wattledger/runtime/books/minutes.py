"""A minute's sums → the facts of it: who, where, on which grid, and how sure."""

from collections.abc import Mapping, Sequence
from math import log
from typing import TYPE_CHECKING, NamedTuple

from wattledger.core.facts import AllocationFact, EnergyFact, Key, WorkFact
from wattledger.core.model import Device, Factor, Gap, Workload
from wattledger.core.posted import MINUTE_S, Minute
from wattledger.core.sharing import SHARE_G95
from wattledger.core.totals import EnergyKey
from wattledger.core.units import NS_PER_S

if TYPE_CHECKING:
    from wattledger.core.served.workload import OfRequest

Facts = list[EnergyFact | WorkFact | AllocationFact]
Sensor = tuple[str, str, str, str, str]  # device, component, device model, method, use
NO_SENSOR = ("", "", "", "", "")
RUN_LABEL = "run_id"
MOST_KEYS = 20_000  # remembered; a day of short processes has more
NOWHERE = "WORLD"  # the zone of a factor that stands in where nobody named a zone


class Meter(NamedTuple):
    """Who keeps the books: its id (``agent:…``, ``track:…``, ``run:…``), host, and the run that its energy is of, where all is of
    one.

    ``own``: whatever was measured was for this workload (a run of the whole host).
    """

    id: str
    host: str
    run: str = ""
    own: Workload | None = None


class Window(NamedTuple):
    """Where and when sums are of: a window of the clock, a zone, and the building's PUE in thousandths."""

    start_s: int
    length_s: int
    zone: str
    pue_milli: int


def window_of(start_s: int, terms: Mapping[str, Factor]) -> Window:
    """The window of a minute, at the factors in force."""
    grid, pue = terms.get("grid"), terms.get("pue")
    zone = "" if grid is None or grid.zone == NOWHERE else grid.zone
    return Window(start_s, MINUTE_S, zone, 0 if pue is None else round(pue.value * 1000))


class Taken(NamedTuple):
    """What one step handed out, with the devices and factors as they were."""

    minutes: Sequence[dict[int, Minute]]
    terms: Mapping[str, Factor]
    gaps: Sequence[Gap]
    requests: "Sequence[OfRequest]" = ()


def together(before: Taken, newest: Taken) -> Taken:
    """Two steps at the same terms as one."""
    sums: dict[int, Minute] = {}
    for minutes in (*before.minutes, *newest.minutes):
        for start_s, minute in minutes.items():
            held = sums.setdefault(start_s, minute)
            if held is not minute:
                held.add(minute)
    return Taken([sums], newest.terms, [*before.gaps, *newest.gaps], [*before.requests, *newest.requests])


class Scribe:
    """State: the keys made so far by place, because a key is the same for each of a day's minutes; equal ones are one object."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._forget()

    def _forget(self) -> None:
        self._keys: dict[tuple[str, int], dict[EnergyKey, Key]] = {}
        self._same: dict[Key, Key] = {}
        self._made = 0

    def facts(self, window: Window, minute: Minute, devices: Mapping[str, Device]) -> Facts:
        """The facts of one window.

        How far a share may be off by the way its device was divided: by ln g95 of that way times what could be another's.
        """
        if self._made > MOST_KEYS:
            self._forget()
        whole_uj: dict[tuple[str, str], int] = {}
        for (_, device, method, use), uj in minute.energy_uj.items():
            if use == "active":
                whole_uj[device, method] = whole_uj.get((device, method), 0) + uj
        doubts = {device: log(SHARE_G95.get(unit, 1.0)) for device, unit in minute.shared_by.items()}
        if self._meter.own is not None:
            doubts = {}  # nobody else's is here
        seen_ms = {lane: ns // 1_000_000 for lane, ns in minute.seen_ns.items()}
        keys = self._keys.setdefault((window.zone, window.pue_milli), {})
        found: dict[int, EnergyFact] = {}
        for share, uj in minute.energy_uj.items():
            try:
                key = keys[share]
            except KeyError:
                key = keys[share] = self._of_device(share, window, devices.get(share[1]))
            _, device, method, use = share
            others_uj = whole_uj[device, method] - uj if use == "active" else 0
            spread_uj = int(doubts.get(device, 0.0) * min(uj, others_uj))
            before = found.get(id(key))  # a key is long, and equal ones are one object
            if before is not None:  # two workloads of one name
                uj, spread_uj = uj + before.energy_uj, spread_uj + before.spread_uj
            found[id(key)] = EnergyFact(key, *window[:2], seen_ms.get((device, method), 0), uj, spread_uj)
        return [*found.values(), *self._work(window, minute), *self._allocations(window, minute)]

    def request(self, window: Window, of: "OfRequest") -> AllocationFact | None:
        """A request that is settled, with the terms of the ``window`` in which it was; ``None`` without a record of it."""
        settled, record = of.settled, of.settled.request
        if record is None:
            return None
        start_s, end_s = record.scheduled.wall_ns // NS_PER_S, -(-record.end.wall_ns // NS_PER_S)
        energies_uj = settled.prompt_uj, settled.generated_uj, 0, 0, settled.spread_uj
        tokens = settled.prompt_tokens, record.cached, settled.generated_tokens
        key = self._key(of.workload, window)
        return AllocationFact(key, start_s, max(1, end_s - start_s), *energies_uj, settled.weak, record.id, record.tenant, *tokens)

    def _work(self, window: Window, minute: Minute) -> list[WorkFact]:
        sums: dict[Key, list[int]] = {}
        for workload, counts in minute.work.items():
            _add(sums, self._key(workload, window), counts)
        return [WorkFact(key, window.start_s, window.length_s, *counts) for key, counts in sums.items()]

    def _allocations(self, window: Window, minute: Minute) -> list[AllocationFact]:
        sums: dict[Key, list[int]] = {}
        weak: set[Key] = set()
        for (workload, component, method), energies_uj in minute.tokens.items():
            key = self._key(workload, window, ("", component, "", method, ""))
            _add(sums, key, energies_uj)
            weak |= {key} if workload in minute.weak else set()
        at_s, of_s = window.start_s, window.length_s
        return [
            AllocationFact(key, at_s, of_s, prompt_uj, generated_uj, standby_uj, overhead_uj, weak=key in weak)
            for key, (prompt_uj, generated_uj, standby_uj, overhead_uj) in sums.items()
            if prompt_uj or generated_uj or standby_uj or overhead_uj
        ]

    def _of_device(self, share: EnergyKey, window: Window, device: Device | None) -> Key:
        workload, device_id, method, use = share
        kind, model = ("", "") if device is None else (device.kind, device.model)
        return self._key(workload, window, (device_id, kind, model, method, use))

    def _key(self, workload: Workload, window: Window, sensor: Sensor = NO_SENSOR) -> Key:
        meter = self._meter
        if meter.own is not None:
            workload = meter.own
        run = dict(workload.labels).get(RUN_LABEL, meter.run)
        labels = tuple(pair for pair in workload.labels if pair[0] != RUN_LABEL)
        place = meter.id, meter.host, window.zone, window.pue_milli
        key = Key(*place, *sensor, run, workload.job, workload.model or "", labels)
        self._made += 1
        return self._same.setdefault(key, key)


def _add(sums: dict[Key, list[int]], key: Key, more: Sequence[int]) -> None:
    """Two workloads of one name are one."""
    sums[key] = [a + b for a, b in zip(sums.get(key, (0,) * len(more)), more, strict=True)]
