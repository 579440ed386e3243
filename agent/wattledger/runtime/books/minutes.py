"""A minute's sums → the facts of it: who, where, on which grid, and how sure."""

from collections.abc import Mapping
from math import log
from typing import NamedTuple

from wattledger.core.facts import EnergyFact, Key, WorkFact
from wattledger.core.model import Device, Factor, Workload
from wattledger.core.posted import MINUTE_S, Minute
from wattledger.core.sharing import SHARE_G95

RUN_LABEL = "run_id"
MOST_KEYS = 20_000  # remembered; a day of short processes has more
NOWHERE = "WORLD"  # the zone of a factor that stands in where nobody named a zone


class Meter(NamedTuple):
    """Who keeps the books: its id (``agent:…``, ``track:…``, ``run:…``), host, and the run that its energy is of, where all is of
    one.

    ``own``: whatever was measured was for this workload (a run of the whole host).  ``apart``: the process tree's own name, under
    which stands what no span covered: nobody's run.
    """

    id: str
    host: str
    run: str = ""
    own: Workload | None = None
    apart: Workload | None = None


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


class Scribe:
    """State: the keys made so far, because a key is the same for each of a day's minutes."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._keys: dict[tuple[Workload, str, str, str, str, int], Key] = {}

    def facts(self, window: Window, minute: Minute, devices: Mapping[str, Device]) -> list[EnergyFact | WorkFact]:
        """The facts of one window.

        How far a share may be off by the way its device was divided: by ln g95 of that way times what could be another's.
        """
        whole_uj: dict[tuple[str, str], int] = {}
        for (_, device, method, use), uj in minute.energy_uj.items():
            if use == "active":
                whole_uj[device, method] = whole_uj.get((device, method), 0) + uj
        doubts = {device: log(SHARE_G95.get(unit, 1.0)) for device, unit in minute.shared_by.items()}
        found: dict[Key, EnergyFact] = {}
        for (workload, device, method, use), uj in minute.energy_uj.items():
            key = self._key(workload, window, (device, method, use), devices.get(device))
            if key is None:
                continue
            others_uj = whole_uj[device, method] - uj if use == "active" else 0
            spread_uj = int(doubts.get(device, 0.0) * min(uj, others_uj))
            seen_ms = minute.seen_ns.get((device, method), 0) // 1_000_000
            before = found.get(key)
            if before is not None:  # two workloads of one name
                uj, spread_uj = uj + before.energy_uj, spread_uj + before.spread_uj
            found[key] = EnergyFact(key, window.start_s, window.length_s, seen_ms, uj, spread_uj)
        work = self._work(window, minute)
        return [*found.values(), *work]

    def _work(self, window: Window, minute: Minute) -> list[WorkFact]:
        sums: dict[Key, list[int]] = {}
        for workload, counts in minute.work.items():
            key = self._key(workload, window, ("", "", ""), None)
            if key is not None:
                sums[key] = [a + b for a, b in zip(sums.get(key, (0, 0, 0, 0)), counts, strict=True)]
        return [WorkFact(key, window.start_s, window.length_s, *counts) for key, counts in sums.items()]

    def _key(self, workload: Workload, window: Window, lane: tuple[str, str, str], device: Device | None) -> Key | None:
        """``None``: nobody's."""
        meter = self._meter
        if meter.own is not None:
            workload = meter.own
        elif workload == meter.apart:
            return None
        cached = workload, *lane, window.zone, window.pue_milli
        key = self._keys.get(cached)
        if key is None:
            kind, model = ("", "") if device is None else (device.kind, device.model)
            run = dict(workload.labels).get(RUN_LABEL, meter.run)
            labels = tuple(pair for pair in workload.labels if pair[0] != RUN_LABEL)
            place = meter.id, meter.host, window.zone, window.pue_milli
            key = Key(*place, lane[0], kind, model, *lane[1:], run, workload.job, workload.model or "", labels)
            if len(self._keys) > MOST_KEYS:
                self._keys = {}
            self._keys[cached] = key
        return key
