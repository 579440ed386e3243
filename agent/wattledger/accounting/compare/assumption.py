"""What a comparison stands on: numbers with an interval and a source, each independent of the others.

A number is log-normal (carbon.md 8.1): value / low and high / value are its g95 to either side, and they may differ.
"""

from collections.abc import Mapping
from math import exp, log
from typing import NamedTuple

Z95 = 1.96  # g95 is GSD^1.96 (carbon.md 8.1)

Values = Mapping[str, float]  # an assumption's name → a value that it may have


class Assumption(NamedTuple):
    """``low`` to ``high`` is the 95 % interval; both equal ``value`` where it is held to be exact.  ``value`` is not negative."""

    name: str
    value: float
    low: float
    high: float
    unit: str
    source: str

    @property
    def exact(self) -> bool:
        """Whether it has no interval."""
        return self.low == self.value == self.high

    def at(self, z: float) -> float:
        """Its value at ``z`` of a standard normal: 0 is the middle, ±1.96 the ends of the interval."""
        end = self.high if z > 0 else self.low
        return self.value if end == self.value else self.value * exp(abs(z) / Z95 * log(end / self.value))


def spread(name: str, value: float, *, g95: float, unit: str, source: str) -> Assumption:
    """A number with its g95."""
    return Assumption(name, value, value / g95, value * g95, unit, source)


def exact(name: str, value: float, *, unit: str, source: str) -> Assumption:
    """A number that is a condition of the question, not an estimate."""
    return Assumption(name, value, value, value, unit, source)


def middle(assumptions: Mapping[str, Assumption]) -> dict[str, float]:
    """All at their values."""
    return {name: one.value for name, one in assumptions.items()}
