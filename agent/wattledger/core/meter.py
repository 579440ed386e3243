"""Reading → interval.  Tells apart what other meters confuse: first, difference, wrap, reset, suspect, refused.

A failed read is not zero (it never arrives here: the next good reading spans it), a wrap is not a reset, a reset is not a
wrap.  A suspect delta is held and judged again over a longer window before it is refused.
"""

from typing import NamedTuple

from wattledger.core.model import Device, EnergyCounter, Gap, Instant, Interval, Method, PowerGauge
from wattledger.core.units import NS_PER_S, energy_uj

# A straight line between two gauge readings further apart than this is a guess, not a measurement
# (science.md section 6: MLPerf power logs have holes of 23 s).
MAX_GAUGE_HOLE_NS = 5 * NS_PER_S

# After so many suspect readings in a row the register itself has moved: start anew from where it is.
PATIENCE = 3

# Without a cap from the driver: more than any part of that kind draws (a B300 is rated 1.4 kW, a 128-core package 0.5 kW).
NOBODY_DRAWS_UW = {"cpu": 2_000_000_000, "dram": 1_000_000_000, "gpu": 3_000_000_000}

# A register that wraps is read well before this; only a suspended or starved machine is away for so long.
BLIND_AFTER_NS = 30 * NS_PER_S

Reading = EnergyCounter | PowerGauge


class First(NamedTuple):
    """The first reading of a device: a baseline, and no energy."""

    device: Device
    at: Instant


class Measured(NamedTuple):
    """A difference that can be trusted; ``wrapped`` when the register passed its range once."""

    interval: Interval
    wrapped: bool = False


class Lost(NamedTuple):
    """A reset, a hole or refused readings: the energy in the gap is gone, and we do not invent it.

    ``resumed`` is what the register counted since it started anew, when two readings have shown that it really did.
    """

    gap: Gap
    resumed: Interval | None = None


class Held(NamedTuple):
    """A suspect reading, kept aside until the next one."""

    device: Device


class Still(NamedTuple):
    """The register has not moved for far longer than it refreshes: unknown, not zero.  If it moves again, nothing is lost."""

    device: Device
    since: Instant


class Late(NamedTuple):
    """A reading older than one already taken (two threads raced): it tells nothing new."""

    device: Device


Outcome = First | Measured | Lost | Held | Still | Late


class Meter:
    """Turns the readings of many devices into intervals.

    State: the last good reading of each device, the suspect readings that came after it, when its register
    last moved, and who has not been read since a suspend.  A device that has both a register
    and a gauge in one batch is metered by its register; the pipeline does not hand in the gauge then.
    """

    def __init__(self) -> None:
        self._last: dict[str, Reading] = {}
        self._suspects: dict[str, list[Reading]] = {}
        self._slept: set[str] = set()
        self._moved: dict[str, Instant] = {}

    def resume(self) -> None:
        """The machine was suspended: a register says itself what it counted, a power before it says nothing of the time since."""
        self._slept = {device for device, last in self._last.items() if isinstance(last, PowerGauge)}

    def take(self, reading: Reading) -> Outcome:
        """One reading in, one outcome out; energy is never created at a first reading, wrap, reset or hole."""
        device = reading.device
        last = self._last.get(device.id)
        if last is None:
            self._last[device.id] = reading
            self._moved[device.id] = reading.at
            return First(device, reading.at)
        if reading.at.mono_ns <= last.at.mono_ns:
            return Late(device)
        if type(last) is not type(reading):
            return self._restart(reading, "the kind of reading changed", last)
        if device.id in self._slept:
            return self._restart(reading, "the machine was suspended", last)
        found = difference(last, reading)
        if found is not None:
            return self._accept(last, reading, found)
        return self._suspect(last, reading)

    def _accept(self, last: Reading, now: Reading, found: "Difference") -> Outcome:
        self._suspects.pop(now.device.id, None)
        if isinstance(found, str):
            return self._restart(now, found, last)
        energy, wrapped = found
        moved = self._moved[now.device.id]
        if not energy and _should_have_moved(moved, now):
            return Still(now.device, moved)
        if energy:
            self._moved[now.device.id] = now.at
        self._last[now.device.id] = now
        # Half of a trapezoid that begins with a model's answer is the model's.
        method = method_of(last) if method_of(last) == "estimated" else method_of(now)
        return Measured(Interval(now.device, last.at, now.at, energy, method), wrapped)

    def _suspect(self, last: Reading, now: Reading) -> Outcome:
        held = self._suspects.setdefault(now.device.id, [])
        if held and now.at.mono_ns <= held[-1].at.mono_ns:
            return Late(now.device)
        if held:
            # Judged by the suspect before it: two readings that agree with each other, but not with the last good one, say that
            # the register itself started anew in between.
            found = difference(held[-1], now)
            if isinstance(found, tuple):
                lost = self._restart(now, "the counter restarted", last, until=held[-1].at)
                return Lost(lost.gap, Interval(now.device, held[-1].at, now.at, found[0], method_of(now)))
        held.append(now)
        if len(held) < PATIENCE:
            return Held(now.device)
        return self._restart(now, "implausible readings refused", last)

    def _restart(self, now: Reading, reason: str, last: Reading, until: Instant | None = None) -> Lost:
        self._suspects.pop(now.device.id, None)
        self._slept.discard(now.device.id)
        self._last[now.device.id] = now
        self._moved[now.device.id] = now.at
        return Lost(Gap(now.device, last.at, until or now.at, reason))


# Energy and whether the register wrapped; a reason why the time between is a hole; or None: implausible.
Difference = tuple[int, bool] | str


def difference(last: Reading, now: Reading) -> Difference | None:
    """What two readings of one device tell of the time between them."""
    elapsed_ns = now.at.mono_ns - last.at.mono_ns
    if isinstance(now, EnergyCounter) and isinstance(last, EnergyCounter):
        return _counted(last, now, elapsed_ns)
    assert isinstance(now, PowerGauge)
    assert isinstance(last, PowerGauge)
    if not 0 <= now.power_uw <= cap_uw(now.device):
        return None
    if now.estimated:
        # A model answers for the whole time since its last answer.
        return energy_uj(now.power_uw, elapsed_ns), False
    if not 0 <= last.power_uw <= cap_uw(last.device):
        return "the reading before was implausible"
    if elapsed_ns > max(MAX_GAUGE_HOLE_NS, 3 * now.device.refresh_ns):
        return "too long without a reading"
    return energy_uj(last.power_uw + now.power_uw, elapsed_ns) // 2, False


def _counted(last: EnergyCounter, now: EnergyCounter, elapsed_ns: int) -> Difference | None:
    delta_uj, wrapped = now.count_uj - last.count_uj, False
    if delta_uj < 0 and now.range_uj is not None:
        delta_uj, wrapped = delta_uj + now.range_uj, True
    # One wrap can be seen, two cannot: over a time in which the cap could fill the range, a difference says nothing.
    blind = now.range_uj is not None and limit_uj(now.device, elapsed_ns) >= now.range_uj and elapsed_ns > BLIND_AFTER_NS
    if blind:
        return "too long without a reading: the counter may have wrapped more than once"
    return (delta_uj, wrapped) if 0 <= delta_uj <= limit_uj(now.device, elapsed_ns) else None


def method_of(reading: EnergyCounter | PowerGauge) -> Method:
    """How energy from this reading is got; it reaches every label, so modelled never looks measured."""
    if isinstance(reading, EnergyCounter):
        return "counter"
    return "estimated" if reading.estimated else "integrated"


def limit_uj(device: Device, elapsed_ns: int) -> int:
    """The most energy a difference may hold: P_cap x (elapsed + the sensor's refresh period).

    NVML lands 100 ms of energy at once, so a 1 ms boundary may rightly see 70 J.
    """
    return energy_uj(cap_uw(device), elapsed_ns + device.refresh_ns)


def cap_uw(device: Device) -> int:
    """What the sensor's file says the device can draw, else what no part of its kind does."""
    return device.cap_uw if device.cap_uw is not None else NOBODY_DRAWS_UW.get(device.kind, 100_000_000_000)


def _should_have_moved(moved: Instant, now: Reading) -> bool:
    """Nothing that is switched on draws nothing; only parts that another device counts (an unused uncore) may rest at zero."""
    elapsed_ns = now.at.mono_ns - moved.mono_ns
    return (
        isinstance(now, EnergyCounter)
        and now.device.inside is None
        and elapsed_ns > max(NS_PER_S, 20 * now.device.refresh_ns)
    )
