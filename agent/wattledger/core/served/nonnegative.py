"""Exact quadratic minimisation over non-negative numbers: min x'Ax - 2v'x, x >= 0.

For a handful of unknowns and a symmetric positive definite A, nested lists of floats.  Columns are scaled to a unit diagonal first,
so that conditioning tells of collinearity and not of units (seconds beside thousands of tokens).
"""

from collections.abc import Iterable, Sequence
from math import sqrt
from operator import mul

Matrix = Sequence[Sequence[float]]

# A pivot below this is rounding: a column that the others explain to twelve digits is held by this much of itself.
RIDGE = 1e-12

# How far below zero rounding may take a price or a slope (scaled: prices in units of the largest).
SLACK = 1e-11


def minimise(
    a: Matrix, v: Sequence[float], start: Iterable[int] = (), *, rounds: int = 1_000
) -> tuple[list[float], tuple[int, ...]]:
    """The minimiser and its free set (indices that are not held at zero; one with nothing on its diagonal is always held).

    ``start``: the free set to try first (the last one: usually the answer).  Principal pivoting: all wrong signs change sides while
    that leaves fewer of them, else the first one alone, which ends after finitely many steps for every positive definite A (Murty
    1974; Judice and Pires 1994).  ``rounds`` only guards against rounding; the answer is not negative even then.
    """
    size = len(v)
    sides = [1 / sqrt(a[i][i]) if a[i][i] > 0 else 0.0 for i in range(size)]
    usable = [i for i in range(size) if sides[i]]
    scaled = [[a[i][j] * sides[i] * sides[j] for j in range(size)] for i in range(size)]
    target = [v[i] * sides[i] for i in range(size)]
    top = max((abs(t) for t in target), default=0.0) or 1.0
    target = [t / top for t in target]
    free = sorted(set(start) & set(usable))
    x, fewest, patience = _on(scaled, target, free), size + 1, 3
    for _ in range(rounds):
        wrong = _violated(scaled, target, x, usable, free)
        if not wrong:
            break
        patience = 3 if len(wrong) < fewest else patience - 1
        fewest = min(fewest, len(wrong))
        free = sorted(set(free) ^ set(wrong if patience > 0 else wrong[:1]))
        x = _on(scaled, target, free)
    return [max(0.0, x[i]) * sides[i] * top for i in range(size)], tuple(free)


def _on(a: Matrix, v: Sequence[float], free: Sequence[int]) -> list[float]:
    """The unconstrained minimiser over the free set, zeros elsewhere."""
    found = solve(cholesky([[a[i][j] for j in free] for i in free]), [v[i] for i in free])
    x = [0.0] * len(v)
    for i, value in zip(free, found, strict=True):
        x[i] = value
    return x


def _violated(a: Matrix, v: Sequence[float], x: Sequence[float], usable: Sequence[int], free: Sequence[int]) -> list[int]:
    """Which signs are wrong: a negative price, or one held at zero that would do better above it (Karush-Kuhn-Tucker)."""
    wrong = []
    for i in usable:
        if i in free:
            if x[i] < -SLACK:
                wrong.append(i)
        elif v[i] - sum(a[i][j] * x[j] for j in free) > SLACK:
            wrong.append(i)
    return wrong


def cholesky(a: Matrix) -> list[list[float]]:
    """The lower factor L of A = LL', for a matrix with unit diagonal; a vanishing pivot is replaced by ``RIDGE``."""
    lower: list[list[float]] = []
    for i, row in enumerate(a):
        made: list[float] = []
        for j in range(i):
            other = lower[j]
            made.append((row[j] - sum(made[k] * other[k] for k in range(j))) / other[j])
        made.append(sqrt(max(RIDGE, row[i] - sum(m * m for m in made))))
        lower.append(made)
    return lower


def solve(lower: Sequence[Sequence[float]], v: Sequence[float]) -> list[float]:
    """x of LL'x = v."""
    size = len(v)
    y: list[float] = []
    for i in range(size):
        y.append((v[i] - sum(lower[i][k] * y[k] for k in range(i))) / lower[i][i])
    x = y
    for i in reversed(range(size)):
        x[i] = (y[i] - sum(lower[k][i] * x[k] for k in range(i + 1, size))) / lower[i][i]
    return x


def inverse(a: Matrix, free: Sequence[int]) -> tuple[list[list[float]], float]:
    """The inverse of A on the free set, zeros elsewhere, and the condition of the scaled matrix there.

    The condition is that of the 1-norm: exact for it, and within a factor of the size of the usual one.  Above 1e12 it is not told
    further apart (``RIDGE``).  An index with nothing on its diagonal counts as not free.
    """
    size = len(a)
    kept = [i for i in free if a[i][i] > 0]
    sides = [1 / sqrt(a[i][i]) for i in kept]
    scaled = [[a[i][j] * si * sj for j, sj in zip(kept, sides, strict=True)] for i, si in zip(kept, sides, strict=True)]
    lower = cholesky(scaled)
    columns = [solve(lower, [float(i == j) for i in range(len(kept))]) for j in range(len(kept))]
    found = [[0.0] * size for _ in range(size)]
    for m, i in enumerate(kept):
        for k, j in enumerate(kept):
            found[i][j] = columns[k][m] * sides[m] * sides[k]
    return found, _norm(scaled) * _norm(columns)


def _norm(a: Matrix) -> float:
    """The largest sum of absolute values of a row (or column: symmetric)."""
    return max((sum(map(abs, row)) for row in a), default=1.0)


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    """Sum of products of two of the same length."""
    total: float = sum(map(mul, a, b))
    return total


def product(a: Matrix, b: Matrix) -> list[list[float]]:
    """A times B."""
    columns = list(zip(*b, strict=True))
    return [[sum(map(mul, row, column)) for column in columns] for row in a]


def quadratic(covariance: Matrix, gradient: Sequence[float]) -> float:
    """Variance of a quantity with this gradient; rounding never makes it negative."""
    return max(0.0, dot(gradient, [dot(row, gradient) for row in covariance]))
