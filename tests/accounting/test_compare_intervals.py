"""Analytic intervals against ten thousand draws (carbon.md 8.1), and against what is known in closed form."""

from math import exp, log, sqrt

import pytest
from tests.accounting.made_choices import KEEP, asked

from wattledger.accounting.compare import analytic
from wattledger.accounting.compare.answer import answer
from wattledger.accounting.compare.assumption import Z95, Assumption, exact, spread
from wattledger.accounting.compare.draws import draw, ends
from wattledger.accounting.compare.option import GRID, PUE, WORK


@pytest.mark.parametrize("g95", [1.05, 1.1, 1.2, 1.3])
@pytest.mark.parametrize("kg", [10.0, 73.0, 400.0])
def test_totals_agree_with_monte_carlo_within_2_percent(g95: float, kg: float) -> None:
    """Five to seven factors of 1.3 each make totals of up to g = 1.8."""
    question = asked(g95=g95, values={"kg": kg}, g95s={"years": 1.0})
    for option, drawn in zip(question.options, draw(question).totals_kg, strict=True):
        found = analytic.total(option, question)
        assert found.high / found.value < 2
        low, high = ends(drawn)
        assert found.low == pytest.approx(low, rel=0.02)
        assert found.high == pytest.approx(high, rel=0.02)


@pytest.mark.parametrize("kg", [10.0, 146.0, 400.0])
def test_differences_agree_with_monte_carlo_within_2_percent_of_their_width(kg: float) -> None:
    question = asked(g95=1.2, values={"kg": kg}, g95s={"years": 1.0})
    first, second = draw(question).totals_kg
    low, high = ends([new - old for old, new in zip(first, second, strict=True)])
    found = analytic.difference(question.options[1], question.options[0], question)
    assert found.low == pytest.approx(low, abs=0.02 * (high - low))
    assert found.high == pytest.approx(high, abs=0.02 * (high - low))


def test_a_product_is_exact() -> None:
    """ln g adds in quadrature."""
    g95s = {GRID: 1.10, WORK: 1.15, PUE: 1.3, "joules per unit": 1.15}
    found = analytic.total(KEEP, asked(g95s=g95s))
    g95 = exp(sqrt(sum(log(g) ** 2 for g in g95s.values())))
    assert g95 == pytest.approx(1.4078, abs=5e-5)  # carbon.md example 28
    assert (found.low, found.high) == pytest.approx((292 / g95, 292 * g95), rel=1e-3)


def test_an_interval_that_is_wider_upwards_stays_so() -> None:
    """H100: 164 in about 110 to 575 (carbon.md 8.4)."""
    question = asked()
    question.assumptions["kg"] = Assumption("kg", 164, 110, 575, "kg", "test")
    line = answer(question).lines[1]
    for found in (line.total_kg, line.analytic_kg):
        assert found.high - found.value > 5 * (found.value - found.low)
    assert (line.total_kg.low, line.total_kg.high) == pytest.approx((146 + 110, 146 + 575), rel=0.03)
    assert line.analytic_kg == pytest.approx(line.total_kg, rel=0.1)  # a factor of 3.5: no longer within 2 %


@pytest.mark.parametrize("skew", [-2.0, -0.3, 0.0, 0.3, 2.0])
def test_the_fitted_curve_is_mirrored_for_a_tail_on_the_left(skew: float) -> None:
    low, high = analytic.fitted(10.0, 4.0, skew)
    other = analytic.fitted(-10.0, 4.0, -skew)
    assert (low, high) == pytest.approx((-other[1], -other[0]))
    assert low < 10 < high
    assert (high - 10 > 10 - low) == (skew > 0)


def test_an_assumption_is_at_its_ends_at_1_96() -> None:
    one = Assumption("x", 164, 110, 575, "kg", "test")
    assert [one.at(0), one.at(-Z95), one.at(Z95)] == pytest.approx([164, 110, 575])
    assert spread("x", 3, g95=1.5, unit="", source="test").at(Z95) == pytest.approx(4.5)
    assert exact("x", 3, unit="", source="").at(2.5) == 3


