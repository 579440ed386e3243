"""Which power readings are believed (science.md section 1.5).  Pure: a gate and a reading in, a gate out.
 Two faults were seen on real cards: a sensor frozen at a possible value while the GPU warmed up (46.19 W for 12
minutes on an A100, 32 to 60 °C), and one that shows an impossible value (588 W on a 35 W part).
"""

from typing import Literal, NamedTuple

STUCK_AFTER_NS = 30 * 10**9
# Fewer readings than this cannot tell a frozen sensor from a coarse one that was asked rarely.
STUCK_READINGS = 5
# One impossible reading is a glitch and is dropped; the second in a row is a broken sensor.
IMPOSSIBLE_READINGS = 2

# What counts as a change: more than the sensors of a resting card wander by themselves.
CHANGE_TEMPERATURE_C = 3
CHANGE_USED_PERCENT = 20
CHANGE_CLOCK_PERCENT = 10

Verdict = Literal["good", "suspect", "impossible", "stuck"]
Range = tuple[int, int] | None


class Reading(NamedTuple):
    """One look at a GPU; ``None`` where it did not say."""

    at_ns: int
    power_uw: int
    temperature_c: int | None = None
    clock_mhz: int | None = None
    used_percent: int | None = None


class Run(NamedTuple):
    """A row of readings with the same power to the digit, and how far everything else wandered meanwhile."""

    power_uw: int
    since_ns: int
    last_ns: int
    readings: int
    temperature_c: Range
    clock_mhz: Range
    used_percent: Range


class Gate(NamedTuple):
    """What is remembered of a sensor, and what is thought of its last reading."""

    run: Run | None = None
    impossible: int = 0
    lowest_uw: int | None = None
    verdict: Verdict = "good"


def judge(gate: Gate, now: Reading, cap_uw: int | None) -> Gate:
    """Believe or doubt a reading; ``cap_uw`` is 1.3 x the power limit.  A sensor that moves again is believed again."""
    if now.power_uw < 0 or (cap_uw is not None and now.power_uw > cap_uw):
        times = gate.impossible + 1
        verdict: Verdict = "impossible" if times >= IMPOSSIBLE_READINGS else "suspect"
        return gate._replace(run=None, impossible=times, verdict=verdict)
    run = _extend(gate.run, now)
    if _stuck(run):
        return gate._replace(run=run, impossible=0, verdict="stuck")
    lowest_uw = now.power_uw if gate.lowest_uw is None else min(gate.lowest_uw, now.power_uw)
    return Gate(run, 0, lowest_uw, "good")


def expected_uw(gate: Gate, limit_uw: int | None, used_percent: int | None) -> int | None:
    """What the GPU probably draws, from its utilisation: idle + use x (limit - idle); ``None`` when too little is
    known.

    Idle is the least that was believed, but no more than a fifth of the limit: a sensor may have been stuck at a high
    value from the start.  Never seen: a tenth of the limit (an H100 at rest draws 69.9 of 700 W).
    """
    if limit_uw is None or used_percent is None:
        return None
    idle_uw = limit_uw // 10 if gate.lowest_uw is None else min(gate.lowest_uw, limit_uw // 5)
    return idle_uw + (limit_uw - idle_uw) * used_percent // 100


def _extend(run: Run | None, now: Reading) -> Run:
    if run is None or run.power_uw != now.power_uw:
        run = Run(now.power_uw, now.at_ns, now.at_ns, 0, None, None, None)
    return Run(
        run.power_uw,
        run.since_ns,
        now.at_ns,
        run.readings + 1,
        _widen(run.temperature_c, now.temperature_c),
        _widen(run.clock_mhz, now.clock_mhz),
        _widen(run.used_percent, now.used_percent),
    )


def _widen(seen: Range, value: int | None) -> Range:
    if value is None:
        return seen
    return (value, value) if seen is None else (min(seen[0], value), max(seen[1], value))


def _stuck(run: Run) -> bool:
    if run.last_ns - run.since_ns <= STUCK_AFTER_NS or run.readings < STUCK_READINGS:
        return False
    clock_mhz = run.clock_mhz or (0, 0)
    return (
        _spread(run.temperature_c) >= CHANGE_TEMPERATURE_C
        or _spread(run.used_percent) >= CHANGE_USED_PERCENT
        or _spread(run.clock_mhz) * 100 > CHANGE_CLOCK_PERCENT * clock_mhz[1]
    )


def _spread(seen: Range) -> int:
    return 0 if seen is None else seen[1] - seen[0]
