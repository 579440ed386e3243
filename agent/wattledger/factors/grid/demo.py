"""A grid that is made up, for ``wattledger agent --demo``: the same at the same time, whoever asks, without a network.

The sun at noon, a peak in the evening, weather that drifts, a little noise; of the size of a country that burns some coal.  No
zone's real figures: each fact says so in its version.
"""

from collections.abc import Sequence
from math import cos, exp, pi, sin

from wattledger.core.facts import IntensityFact, Signal
from wattledger.core.ports import GridPlace, GridProvider

STEP_S, DAY_S = 900, 86_400
TOLD_AFTER_S = 60  # a slot is told of when it has begun a minute ago
AHEAD_S = 36 * 3_600
VERSION = "made up"
NAMES: dict[Signal, str] = {"average": "demo", "marginal": "demo-marginal"}


class Demo:
    """The average, or what one kWh more would emit."""

    boundary = "direct"
    step_s = STEP_S
    licence = "none needed: made up"

    def __init__(self, signal: Signal) -> None:
        self.signal: Signal = signal
        self.name = NAMES[signal]

    def covers(self, zone: str) -> bool:
        return bool(zone)

    def read(self, zone: str, start_s: int, end_s: int, now_s: int) -> Sequence[IntensityFact]:
        until_s = min(end_s, now_s - TOLD_AFTER_S + 1)
        return [self._fact(zone, at_s) for at_s in range(start_s // STEP_S * STEP_S, until_s, STEP_S)]

    def forecast(self, zone: str, now_s: int) -> Sequence[IntensityFact]:
        """Off by more the further away it is."""
        first_s = now_s // STEP_S * STEP_S + STEP_S
        found = []
        for at_s in range(first_s, first_s + AHEAD_S, STEP_S):
            fact = self._fact(zone, at_s)
            off = 0.08 * (at_s - now_s) / AHEAD_S * sin(at_s / 7_000)
            found.append(fact._replace(ug_per_kwh=round(fact.ug_per_kwh * (1 + off)), forecast=True))
        return found

    def _fact(self, zone: str, at_s: int) -> IntensityFact:
        g_per_kwh = average(at_s) if self.signal == "average" else marginal(at_s)
        return IntensityFact(zone, at_s, STEP_S, round(g_per_kwh * 1e6), self.name, self.signal, self.boundary, VERSION)


def average(at_s: int) -> float:
    """g/kWh of a slot, 120 to 520."""
    hour = at_s % DAY_S / 3_600
    sun: float = max(0.0, cos((hour - 12.0) / 12 * pi)) ** 1.5
    evening = exp(-(((hour - 19.0) / 2.2) ** 2))
    wind = sin(2 * pi * at_s / (3.3 * DAY_S)) + 0.5 * sin(2 * pi * at_s / (1.1 * DAY_S))
    return 345.0 - 125.0 * sun + 70.0 * evening - 45.0 * wind + 12.0 * _noise(at_s)


def marginal(at_s: int) -> float:
    """Gas at night and noon, coal when much is asked for."""
    return 480.0 + (290.0 if average(at_s) > 360 else 0.0) + 25.0 * _noise(at_s + 1)


def _noise(at_s: int) -> float:
    """-1 to 1, the same for the same time (Knuth's multiplicative hashing)."""
    return (at_s * 2_654_435_761 % 2**32) / 2**31 - 1.0


def open(place: GridPlace) -> GridProvider:
    """The average."""
    return Demo("average")


def open_marginal(place: GridPlace) -> GridProvider:
    """The marginal signal."""
    return Demo("marginal")
