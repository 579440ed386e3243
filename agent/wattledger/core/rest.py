"""What no sensor covers (fans, board, losses), measured: the node's own meter minus the parts, over the same time.

A BMC answers every ten seconds, cells close every second: what the parts drew gathers until the node's meter yields, and the rest
of that whole stretch is handed out in that cell.  Negative (the meters lag behind each other) is carried forward, never clipped:
rest + parts + carry == node, to the microjoule.  While no meter delivers, the estimate serves; what it has handed out counts as a
part if a meter speaks of that time later, so that nothing is counted twice.
"""

from bisect import bisect_left
from collections.abc import Mapping
from typing import NamedTuple

from wattledger.core.lanes import EnergyCurve
from wattledger.core.meter import First, Lost, Measured, Outcome
from wattledger.core.model import Device, Factor, Instant, Interval, Method, Workload
from wattledger.core.sharing import REST, LaneShares, rest_interval
from wattledger.core.units import NS_PER_S, energy_uj

SILENCE_NS = 60 * NS_PER_S  # a meter silent for so long (or three of its periods) no longer delivers
HISTORY = 600  # closed cells whose energy is remembered for a meter that is late
RANKS: Mapping[Method, int] = {"counter": 0, "integrated": 1, "estimated": 2}


class Rest(NamedTuple):
    """The rest of the host over one stretch: its curve, the part of it that is idle, and what it follows, by workload."""

    curve: EnergyCurve
    idle_uj: int
    active_uj: Mapping[Workload, int]


class Sensor(NamedTuple):
    """A meter of the whole node: when it was heard last, and how it gives energy (``None``: it has given none yet)."""

    device: Device
    heard_ns: int
    method: Method | None

    def until_ns(self) -> int:
        """When it will have been silent for too long."""
        return self.heard_ns + max(SILENCE_NS, 3 * self.device.refresh_ns)


class Remainder:
    """State: the node's meters and what they said in this cell; the energy of the parts as a curve over the last cells; until when
    the node's energy has been accounted for; what is carried."""

    def __init__(self) -> None:
        self.carry_uj = 0  # 0 or less: energy of the parts that the node's meter has not shown yet
        self._sensors: dict[str, Sensor] = {}
        self._intervals: list[Interval] = []
        self._flat: dict[str, Instant] = {}  # since when a register has not moved
        self._knots: tuple[list[int], list[int]] = ([], [])  # ends of cells, cumulative energy of the parts
        self._covered_ns = 0
        self._covered_uj = 0  # the parts' energy by then
        self._unpaid_ns = 0
        self._active_uj: dict[Workload, int] = {}
        self._estimate_from_ns = -1

    def hear(self, outcome: Outcome) -> None:
        """A reading of a device of kind ``node`` has been judged; a suspect or late one is none."""
        match outcome:
            case First(device=device, at=at):
                self._heard(device, at, None)
            case Measured(interval=interval):
                self._yielded(interval)
            case Lost(gap=gap, resumed=resumed):
                known = self._sensors.get(gap.device.id)
                self._flat.pop(gap.device.id, None)
                self._heard(gap.device, gap.end, known.method if known else None)
                if resumed is not None:
                    self._yielded(resumed)
            case _:
                pass

    def close(self, factors: Mapping[str, Factor], shares: LaneShares, opened_ns: int, at: Instant) -> Rest | None:
        """The rest that this cell hands out: measured where a meter has yielded, estimated where none delivers, else ``None``."""
        if "rest_off" in factors and factors["rest_off"].value:
            self._intervals = []
            return None
        chosen = self._chosen(at.mono_ns)
        heard = [interval for interval in self._intervals if interval.device.id == chosen]
        estimated = None
        if opened_ns > self._estimate_from_ns and not heard:
            estimated = rest_interval(factors, shares, opened_ns, at)
        # What is estimated is paid: only what cells without an estimate saw waits for the meter.
        active_uj = {} if estimated is not None or not self._sensors else shares.active_uj
        for workload, uj in active_uj.items():
            self._active_uj[workload] = self._active_uj.get(workload, 0) + uj
        self._knot(opened_ns, at.mono_ns, shares.energy_uj + (0 if estimated is None else estimated[0].energy_uj))
        for interval in heard:
            self._account(interval)
        self._intervals = [interval for interval in self._intervals if interval.device.id != chosen]
        self._forget()
        self._estimate_from_ns = max((sensor.until_ns() for sensor in self._sensors.values()), default=-1)
        if estimated is not None:
            return Rest(*estimated, shares.active_uj)
        return self._measured(heard[-1], factors.get("rest_offset"), at) if heard else None

    def _heard(self, device: Device, at: Instant, method: Method | None) -> None:
        self._sensors[device.id] = Sensor(device, at.mono_ns, method)

    def _yielded(self, interval: Interval) -> None:
        """Nothing that runs draws nothing: a register that does not move is stuck or coarse, and its next step tells of all that
        time."""
        since = self._flat.setdefault(interval.device.id, interval.start)
        if interval.energy_uj:
            del self._flat[interval.device.id]
            self._heard(interval.device, interval.end, interval.method)
            self._intervals.append(interval._replace(start=since))

    def _chosen(self, at_ns: int) -> str | None:
        """One meter of those that deliver: a register before a power, else the first by name.  The others are only shown."""
        live = [(RANKS[s.method], s.device.id) for s in self._sensors.values() if s.method and at_ns <= s.until_ns()]
        return min(live)[1] if live else None

    def _knot(self, opened_ns: int, at_ns: int, energy_uj: int) -> None:
        times, cums = self._knots
        if not times:
            times.append(opened_ns)
            cums.append(0)
        if at_ns > times[-1]:
            times.append(at_ns)
            cums.append(cums[-1] + energy_uj)
        else:
            cums[-1] += energy_uj

    def _parts_uj(self, at_ns: int) -> int:
        """What the parts had drawn by then, and the estimate had handed out."""
        times, cums = self._knots
        i = bisect_left(times, at_ns)
        if i == 0 or i == len(times):
            return cums[0 if i == 0 else -1]
        return cums[i - 1] + (cums[i] - cums[i - 1]) * (at_ns - times[i - 1]) // (times[i] - times[i - 1])

    def _account(self, interval: Interval) -> None:
        """Node minus parts over one interval, as far as neither another meter has covered it nor the parts are forgotten."""
        first_ns, end_ns = interval.start.mono_ns, interval.end.mono_ns
        start_ns = max(first_ns, self._covered_ns, self._knots[0][0])
        if end_ns <= start_ns:
            return
        node_uj = interval.energy_uj * (end_ns - start_ns) // (end_ns - first_ns)
        before_uj = self._covered_uj if start_ns == self._covered_ns else self._parts_uj(start_ns)
        self._covered_ns, self._covered_uj = end_ns, self._parts_uj(end_ns)
        self.carry_uj += node_uj - (self._covered_uj - before_uj)
        self._unpaid_ns += end_ns - start_ns

    def _measured(self, last: Interval, offset: Factor | None, at: Instant) -> Rest | None:
        if self.carry_uj <= 0:
            return None  # the parts have been heard before the whole: their use waits with the carry
        length_ns, energy, active_uj = self._unpaid_ns, self.carry_uj, self._active_uj
        self._unpaid_ns, self.carry_uj, self._active_uj = 0, 0, {}
        idle_uj = energy_uj(int(offset.value * 1_000_000), length_ns) if offset is not None else 0
        end = last.end
        start = Instant(end.mono_ns - length_ns, end.wall_ns - length_ns)
        interval = Interval(REST, start, end, energy, last.method)
        curve = EnergyCurve(interval)
        curve.add(interval)
        return Rest(curve, idle_uj, active_uj)

    def _forget(self) -> None:
        """Cells that no meter will speak of any more; without a meter, all but the end of the last."""
        times, cums = self._knots
        spoken_of = bisect_left(times, self._covered_ns) - 1 if self._sensors else len(times) - 1
        known = max(0, spoken_of, len(times) - HISTORY)
        del times[:known], cums[:known]
        # Of the other meters, what is ahead of the one that is used: they take over without a hole.
        self._intervals = [i for i in self._intervals if i.end.mono_ns > self._covered_ns][-HISTORY:]
