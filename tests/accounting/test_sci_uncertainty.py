"""Intervals of water and of scores against a simulation: 10,000 draws of a fixed seed, within 2 % of the bounds where g < 2."""

from collections.abc import Sequence
from math import exp, log, sqrt

import numpy as np
import numpy.typing as npt
import pytest

from wattledger.accounting.sci import sci
from wattledger.accounting.water import litres
from wattledger.core.uncertainty import Quantity, Term, scale, total
from wattledger.factors.grid.cloud import configured_pue
from wattledger.factors.water import ewif

Draws = npt.NDArray[np.float64]
DRAWS, SEED, WITHIN = 10_000, 2026, 0.02
Z95 = 1.959964


class Simulated:
    """Draws of independent causes.  State: the generator."""

    def __init__(self) -> None:
        self._made = np.random.default_rng(SEED)

    def of(self, value: float, g95: float) -> Draws:
        """Log-normal around its median: 95 % in [value / g95, value x g95].  Antithetic, so that so few draws are enough."""
        half = self._made.standard_normal(DRAWS // 2)
        drawn: Draws = value * np.exp(np.concatenate([half, -half]) * log(g95) / Z95)
        return drawn


def agrees(found: Quantity, drawn: Draws) -> bool:
    low, high = np.percentile(drawn, (2.5, 97.5))
    return bool(abs(found.low / low - 1) < WITHIN and abs(found.high / high - 1) < WITHIN)


def span(value: float, g95: float) -> Quantity:
    return Quantity(value, value / g95, value * g95)


@pytest.mark.parametrize("g95s", [(1.15, 1.3, 1.15, 1.10), (1.5, 1.1), (1.05,) * 8, (1.4, 1.4, 1.2), (1.02, 1.9)])
def test_products_agree(g95s: Sequence[float]) -> None:
    """The first is example 28 of carbon.md 9: 1.4078."""
    simulated, drawn = Simulated(), np.full(DRAWS, 100.0)
    for g95 in g95s:
        drawn = drawn * simulated.of(1.0, g95)
    found = scale(Quantity(100, 100, 100), 1.0, g95s)
    assert found.high / found.value == pytest.approx(exp(sqrt(sum(log(g) ** 2 for g in g95s))))
    assert agrees(found, drawn)


@pytest.mark.parametrize(
    "terms",
    [
        [(1, "a", 1.5), (1, "b", 1.5)],
        [(10, "a", 1.1), (3, "b", 1.9)],
        [(1, "a", 1.4), (2, "b", 1.2), (4, "c", 1.05)],
        [(1, "a", 1.5), (2, "a", 1.5), (2, "b", 1.3), (1, "b", 1.3)],
        [(1, "a", 1.3)] * 20 + [(20, "b", 1.1)],
    ],
)
def test_sums_of_common_and_independent_causes_agree(terms: Sequence[tuple[float, str, float]]) -> None:
    simulated = Simulated()
    errors = {cause: simulated.of(1.0, g95) for cause, g95 in sorted({(cause, g95) for _, cause, g95 in terms})}
    drawn = sum(value * errors[cause] for value, cause, _ in terms)
    assert agrees(total(Term(*term) for term in terms), np.asarray(drawn))


def test_a_thousand_rows_of_one_factor_keep_its_interval() -> None:
    """Example 27 of carbon.md 9: 342 kg with g 1.10, and not 1.003."""
    drawn = 1000 * 0.342 * Simulated().of(1.0, 1.10)
    found = total(Term(0.342, "EF", 1.10) for _ in range(1000))
    assert found.high / found.value == pytest.approx(1.10)
    assert agrees(found, drawn)


@pytest.mark.parametrize(
    ("energy_g", "grid_g", "made", "made_g"),
    [(1.1, 1.1, 500, 1.5), (1.1, 1.3, 100, 1.9), (1.05, 1.1, 5000, 1.4), (1.02, 1.6, 1000, 1.2)],
)
def test_scores_agree(energy_g: float, grid_g: float, made: float, made_g: float) -> None:
    simulated = Simulated()
    drawn = (simulated.of(10, energy_g) * simulated.of(100, grid_g) + simulated.of(made, made_g)) / 7
    assert agrees(sci(span(10, energy_g), span(100, grid_g), span(made, made_g), 7), drawn)


def test_litres_agree() -> None:
    simulated, factors = Simulated(), [ewif.offsite("DE"), configured_pue(1.2)]
    drawn = simulated.of(10, 1.1)
    for factor in factors:
        drawn = drawn * simulated.of(factor.value, factor.g95)
    assert agrees(litres(span(10, 1.1), factors), drawn)
