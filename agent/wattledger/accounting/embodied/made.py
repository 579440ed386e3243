"""Micrograms that it took to make machines, by whose figure they stand on: exact while they are summed, with an interval when said.

Parts that stand on one figure share its error (carbon.md 8.1); so do all service lives that somebody assumed (1.4, carbon.md 8.3).
"""

from collections.abc import Iterable
from math import exp, inf, log, sqrt
from typing import Literal, NamedTuple

from wattledger.core.uncertainty import Quantity, Term, total

UG_PER_G = 1_000_000
LIFE_G95 = 1.4


class Figure(NamedTuple):
    """What carbon stands on: ``cause`` names the source and thing whose error is shared; the truth lies in
    [value / ``low``, value x ``high``] (95 %).  ``assumed_life``: nobody stated the service life."""

    cause: str
    stands: Literal["passport", "estimate"]
    method: str
    boundary: str
    low: float
    high: float
    assumed_life: bool


class Made:
    """State: of one line, micrograms by figure."""

    def __init__(self) -> None:
        self.by_figure: dict[Figure, int] = {}

    def add(self, figure: Figure, ug: int) -> None:
        """Add a part."""
        self.by_figure[figure] = self.by_figure.get(figure, 0) + ug

    def merge(self, other: "Made") -> None:
        """Add another line's."""
        for figure, ug in other.by_figure.items():
            self.add(figure, ug)

    @property
    def ug(self) -> int:
        """All of it."""
        return sum(self.by_figure.values())

    def grams(self, *, spread: float = 0.0) -> Quantity:
        """With its interval; ``spread``: what part of it may be another's, by the way that devices were shared."""
        value = self.ug / UG_PER_G
        if value <= 0:
            return Quantity(value, value, max(value, 0.0))
        sums = [(figure, ug / UG_PER_G) for figure, ug in sorted(self.by_figure.items())]
        lows = total(Term(g, figure.cause, figure.low) for figure, g in sums).low
        highs = total(Term(g, figure.cause, figure.high) for figure, g in sums).high
        life = total(Term(g, "life" if figure.assumed_life else "", LIFE_G95 if figure.assumed_life else 1.0) for figure, g in sums)
        shared = (value * (1 - spread), value * (1 + spread))
        down = [_ln(value, low) for low in (lows, life.low, shared[0])]
        up = [log(high / value) for high in (highs, life.high, shared[1])]
        return Quantity(value, value * exp(-_root(down)), value * exp(_root(up)))

    def parts(self, word: Literal["stands", "boundary", "method"]) -> dict[str, float]:
        """What part of it stands on what."""
        whole = self.ug
        found: dict[str, int] = {}
        for figure, ug in self.by_figure.items():
            name = str(getattr(figure, word)) or "not said"
            found[name] = found.get(name, 0) + ug
        return {name: ug / whole for name, ug in sorted(found.items())} if whole else {}


def together(several: Iterable["Made | None"]) -> Made | None:
    """The sum of lines; ``None`` where none of them is known."""
    whole: Made | None = None
    for each in several:
        if each is not None:
            whole = whole or Made()
            whole.merge(each)
    return whole




def _ln(value: float, low: float) -> float:
    return log(value / low) if low > 0 else inf


def _root(logs: Iterable[float]) -> float:
    return sqrt(sum(one**2 for one in logs))
