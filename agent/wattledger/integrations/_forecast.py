"""What the whole training run will draw, from its first epochs: a value and its 95 % interval.

Epochs of one run are taken as draws from one distribution: a schedule that makes later epochs dearer (growing sequences, unfrozen
layers) is not seen.  The first epoch holds the warm-up (compilation, autotuning, cold caches): it is left out once there are two.
"""

from collections.abc import Sequence
from math import hypot, sqrt
from typing import NamedTuple

# One epoch does not tell how far epochs scatter.  That is said by a prior of 10 %, worth two observations (the conjugate scaled
# inverse chi-square of Gelman et al., Bayesian Data Analysis, section 3.3), which later epochs outweigh.  It makes the forecast
# from one epoch +-43 % (g95 1.43): Anthony, Kanding and Selvan (Carbontracker, 2020) were up to 19 % off there, and an interval
# must hold more than the cases that somebody saw.
PRIOR_DF = 2
PRIOR_SPREAD = 0.10
TRIM = 0.2
# Student's t at 97.5 % for 1 to 5 degrees of freedom; from 6 on the expansion below is good to 0.002.
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571)
Z_975 = 1.959964


class Expected(NamedTuple):
    """Joules still to come, with a 95 % interval."""

    value_j: float
    low_j: float
    high_j: float


def expected(pieces_j: Sequence[float], left: float) -> Expected | None:
    """The energy of ``left`` more pieces (epochs, evaluations; a fraction may be left) like those seen, in their order.

    A robust mean (the fifth at either end drawn in to the next value, from five pieces on) and a t-interval for a sum that is not
    yet drawn: half = t * s * sqrt(left**2 / n + left).  ``None`` where no piece has been seen.
    """
    if left <= 0:
        return Expected(0.0, 0.0, 0.0)
    if not pieces_j:
        return None
    warm = pieces_j[1:] if len(pieces_j) > 1 else pieces_j
    n, cut = len(warm), int(TRIM * len(warm))
    drawn_in = _winsorised(warm, cut)
    mean_j = sum(drawn_in) / n
    # Drawing in hides scatter: the squares are widened by the part that was kept (Tukey and McLaughlin 1963).
    squares = sum((j - mean_j) ** 2 for j in drawn_in) / (1 - 2 * cut / n) ** 2
    kept = n - 1 - 2 * cut
    seen = kept * squares / (n - 1) if n > 1 else 0.0
    s_j = sqrt((PRIOR_DF * (PRIOR_SPREAD * mean_j) ** 2 + seen) / (PRIOR_DF + kept))
    half_j = t_975(PRIOR_DF + kept) * s_j * sqrt(left * left / n + left)
    value_j = left * mean_j
    return Expected(value_j, max(0.0, value_j - half_j), value_j + half_j)


def _winsorised(pieces_j: Sequence[float], cut: int) -> list[float]:
    ordered = sorted(pieces_j)
    low, high = ordered[cut], ordered[-1 - cut]
    return [min(max(j, low), high) for j in ordered]


def t_975(df: int) -> float:
    """Student's t at 97.5 % (Abramowitz and Stegun 26.7.5)."""
    if df <= len(T_975):
        return T_975[df - 1]
    z = Z_975
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / df + second / df**2 + third / df**3


def whole(spent_j: tuple[float, float, float], *parts: Expected) -> tuple[float, float, float]:
    """(value, low, high) in joules of what is spent (its own interval given) and what is to come.

    The parts come from one run and may err together, so their intervals add; the sensors' relative error of what is spent goes on
    for the rest of the run, and is independent of the epochs' scatter.  Never less than what is certainly spent.
    """
    value_j, low_j, high_j = spent_j
    total_j = value_j + sum(part.value_j for part in parts)
    down_j = sum(part.value_j - part.low_j for part in parts)
    up_j = sum(part.high_j - part.value_j for part in parts)
    below, above = (total_j / value_j * (value_j - low_j), total_j / value_j * (high_j - value_j)) if value_j > 0 else (0.0, 0.0)
    return total_j, max(low_j, total_j - hypot(down_j, below)), total_j + hypot(up_j, above)
