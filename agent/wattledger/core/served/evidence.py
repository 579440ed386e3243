"""What a stream of observations says about a linear model: weighted sums that forget, and the spread of its scores."""

from collections import deque
from collections.abc import Sequence

from wattledger.core.served.nonnegative import dot

# Lags of the Newey-West estimate (science.md section 4.3 (7)): neighbouring residuals share what the sensor landed late.
LAGS = 10


class Evidence:
    """Sums of an energy E = x'theta + noise, each observation with its weight, older ones counting less and less.

    ``a`` = sum w x x', ``v`` = sum w x E, ``square`` = sum w E^2, ``xs`` = sum w x, ``energy`` = sum w E, ``count`` = how many
    observations that amounts to, ``scores`` = the long-run covariance M of the scores w x (E - x'theta), Bartlett weights.
    """

    __slots__ = ("_last", "a", "count", "energy", "scores", "size", "square", "v", "xs")

    def __init__(self, size: int) -> None:
        self.size = size
        self.a = [[0.0] * size for _ in range(size)]
        self.scores = [[0.0] * size for _ in range(size)]
        self.v = [0.0] * size
        self.xs = [0.0] * size
        self.square = self.energy = self.count = 0.0
        self._last: deque[list[float]] = deque(maxlen=LAGS)

    def forget(self, kept: float) -> None:
        """Everything so far counts ``kept`` (0 to 1) of what it did."""
        self.a = [[cell * kept for cell in row] for row in self.a]
        self.scores = [[cell * kept for cell in row] for row in self.scores]
        self.v = [cell * kept for cell in self.v]
        self.xs = [cell * kept for cell in self.xs]
        self.square *= kept
        self.energy *= kept
        self.count *= kept

    def add(self, x: Sequence[float], energy_j: float, weight: float) -> None:
        """One observation more."""
        for i, xi in enumerate(x):
            if xi:
                row, wx = self.a[i], weight * xi
                for j, xj in enumerate(x):
                    row[j] += wx * xj
                self.v[i] += wx * energy_j
                self.xs[i] += wx
        self.square += weight * energy_j * energy_j
        self.energy += weight * energy_j
        self.count += 1.0

    def scored(self, x: Sequence[float], residual_j: float, weight: float) -> None:
        """The same observation's residual, once the model has seen it: M += s h' + h s', h = s/2 + sum of (1 - l/11) s_(k-l)."""
        score = [weight * residual_j * xi for xi in x]
        half = [s / 2 for s in score]
        for lag, old in enumerate(self._last, 1):
            bartlett = 1 - lag / (LAGS + 1)
            half = [h + bartlett * s for h, s in zip(half, old, strict=True)]
        for row, si, hi in zip(self.scores, score, half, strict=True):
            for j, (sj, hj) in enumerate(zip(score, half, strict=True)):
                row[j] += si * hj + hi * sj
        self._last.appendleft(score)

    def misfit(self, theta: Sequence[float]) -> float:
        """Sum of w (E - x'theta)^2 over all that is remembered, by today's theta."""
        return max(0.0, self.square - 2 * dot(self.v, theta) + dot(theta, [dot(row, theta) for row in self.a]))
