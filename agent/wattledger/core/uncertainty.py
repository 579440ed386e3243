"""Values with 95 % intervals, and how they combine (carbon.md section 8).

Errors that come from one factor are common to all it touched: they add up linearly, so that a million rows do not average a shared
error away; only independent ones add in quadrature.
"""

from collections.abc import Iterable, Sequence
from math import exp, log, sqrt
from typing import NamedTuple

Z95 = 1.959964
WIDEST_W = 1.2  # exp(sigma^2) of g = 2.3; above it moments say little of the bounds


class Quantity(NamedTuple):
    """A value and its 95 % interval, in the unit its name says."""

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """``{"value", "low", "high"}``."""
        return {"value": self.value, "low": self.low, "high": self.high}


class Term(NamedTuple):
    """One addend of a sum.

    ``cause`` names the factor its relative error comes from and ``g95`` that factor's interval; ``edge`` is an absolute error of
    its own to either side (endpoints of a run, a floor from a table), independent of the rest; ``missing`` is the most that was
    not seen at all (a hole after a reset): it can only be added.
    """

    value: float
    cause: str
    g95: float
    edge: float = 0.0
    missing: float = 0.0


def total(terms: Iterable[Term]) -> Quantity:
    """Sum terms: linear within a cause, in quadrature across causes and edges.  Lower and upper errors stay apart, because a
    multiplicative interval is not symmetric; the lower end never falls below zero.

    Of several causes without edges, what adds up are the first three moments of their log-normals (Fenton-Wilkinson with a shift):
    within 0.5 % of a simulation where g < 2, and quadrature up to 3.5 % off (many wide causes of one size)."""
    value, below, above, missing = 0.0, 0.0, 0.0, 0.0
    by_cause: dict[str, tuple[float, float]] = {}
    for term in terms:
        value += term.value
        down, up = by_cause.get(term.cause, (0.0, 0.0))
        by_cause[term.cause] = (down + term.value * (1 - 1 / term.g95), up + term.value * (term.g95 - 1))
        below += term.edge**2
        above += term.edge**2
        missing += term.missing
    doubtful = [(down, up) for down, up in by_cause.values() if down > 0 and up > 0]
    if len(doubtful) > 1 and not above:
        found = _moments(doubtful, value)
        if found is not None:
            return found._replace(high=found.high + missing)
    for down, up in by_cause.values():
        below += down**2
        above += up**2
    return Quantity(value, max(0.0, value - sqrt(below)), value + sqrt(above) + missing)


def _moments(causes: Sequence[tuple[float, float]], value: float) -> Quantity | None:
    """A shifted log-normal of the same mean, variance and skewness as the sum; ``None`` where a cause is too wide for moments.

    Of one cause with errors ``down`` and ``up``, g is their ratio and its median up / (g - 1).  The interval holds the value, which
    is the sum of the medians: many wide causes have a mean well above it."""
    mean = variance = third = 0.0
    for down, up in causes:
        g95 = up / down
        w = exp((log(g95) / Z95) ** 2)
        if not 1 + 1e-12 < w < WIDEST_W:
            return None
        own = up / (g95 - 1) * sqrt(w)
        mean, variance = mean + own, variance + own**2 * (w - 1)
        third += own**3 * (w - 1) ** 2 * (w + 2)
    sure = value - sum(up / (up / down - 1) for down, up in causes)
    skew = third / variance**1.5
    root = (1 + skew**2 / 2 + skew * sqrt(1 + skew**2 / 4)) ** (1 / 3)
    w = root + 1 / root - 1
    spread, middle = sqrt(log(w)), sqrt(variance / (w - 1) / w)
    shift = sure + mean - sqrt(variance / (w - 1))
    low, high = (shift + middle * exp(side * Z95 * spread) for side in (-1, 1))
    return Quantity(value, max(0.0, min(low, value)), max(high, value))


def scale(quantity: Quantity, factor: float, g95s: Iterable[float], highs: Iterable[float] = ()) -> Quantity:
    """Multiply by independent factors whose product is ``factor``: ln g adds in quadrature (carbon.md 8.1).

    ``highs``: the factors' upper g95 where they differ from ``g95s``; same order.
    """
    lows = [log(g) ** 2 for g in g95s]
    ups = [log(g) ** 2 for g in highs] or lows
    value = quantity.value * factor
    if quantity.value <= 0:
        return Quantity(value, quantity.low * factor * exp(-sqrt(sum(lows))), quantity.high * factor * exp(sqrt(sum(ups))))
    high = value * exp(sqrt(log(quantity.high / quantity.value) ** 2 + sum(ups)))
    if quantity.low <= 0:
        return Quantity(value, 0.0, high)
    return Quantity(value, value / exp(sqrt(log(quantity.value / quantity.low) ** 2 + sum(lows))), high)
