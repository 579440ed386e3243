"""Intervals: around their value, common errors never average away, independent ones do, and a simulation agrees."""

from math import exp, log, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger.core.uncertainty import Quantity, Term, scale, total

VALUE = st.one_of(st.just(0.0), st.floats(1e-6, 1e12))
G95 = st.floats(1.0, 15.0)
ERROR = st.one_of(st.just(0.0), st.floats(1e-6, 1e9))
TERMS = st.lists(st.builds(Term, VALUE, st.sampled_from("abc"), G95, ERROR, ERROR), max_size=12)
CLOSE = 1e-9


def ordered(quantity: Quantity) -> bool:
    slack = CLOSE * (abs(quantity.value) + 1e-12)
    return 0 <= quantity.low <= quantity.value + slack and quantity.value <= quantity.high + slack


@given(TERMS)
def test_a_sum_lies_in_its_interval_and_above_zero(terms: list[Term]) -> None:
    found = total(terms)
    assert ordered(found)
    assert found.value == pytest.approx(sum(t.value for t in terms))


@given(TERMS, st.floats(0.0, 1e3), st.lists(G95, max_size=4))
def test_a_product_lies_in_its_interval_and_above_zero(terms: list[Term], factor: float, g95s: list[float]) -> None:
    energy = total(terms)
    found = scale(energy, factor, g95s)
    assert ordered(found)
    assert found.value == pytest.approx(energy.value * factor)


@given(VALUE, G95)
def test_one_term_has_the_interval_of_its_cause(value: float, g95: float) -> None:
    found = total([Term(value, "a", g95)])
    assert found.low == pytest.approx(value / g95, abs=CLOSE * value)
    assert found.high == pytest.approx(value * g95)


def test_nothing_is_zero_and_surely_so() -> None:
    assert total([]) == (0, 0, 0)
    assert scale(Quantity(0, 0, 0), 5, [1.3]) == (0, 0, 0)


def test_nothing_seen_may_still_have_been_something() -> None:
    found = scale(total([Term(0, "a", 1.1, edge=3)]), 2, [1.5])
    assert found == pytest.approx((0, 0, 9))


def test_a_thousand_rows_of_one_cause_have_the_interval_of_one() -> None:
    """carbon.md 9, example 27: 1,000 rows of 1 kWh at 0.342 kg (g 1.10) are 342 kg with g 1.10, and not 1.003."""
    found = total([Term(0.342, "EF", 1.10)] * 1_000)
    assert found.value == pytest.approx(342)
    assert found.high / found.value == pytest.approx(1.10)
    assert found.value / found.low == pytest.approx(1.10)


@given(st.integers(1, 2_000), VALUE, G95)
def test_rows_of_one_cause_keep_its_interval_however_many(n: int, value: float, g95: float) -> None:
    many, one = total([Term(value, "a", g95)] * n), total([Term(value, "a", g95)])
    assert many.high == pytest.approx(n * one.high)
    assert many.low == pytest.approx(n * one.low, rel=1e-6, abs=1e-6 * value)


def test_a_thousand_independent_causes_shrink_by_their_root() -> None:
    found = total([Term(0.342, f"EF {i}", 1.10) for i in range(1_000)])
    mean = 342 * exp((log(1.10) / 1.96) ** 2 / 2)  # of log-normals it lies above the median
    assert found.high / mean - 1 == pytest.approx(0.10 / sqrt(1_000), rel=0.06)


@given(st.lists(VALUE, min_size=2, max_size=12), G95)
def test_independent_causes_are_never_surer_together_than_common_ones_are_unsure(values: list[float], g95: float) -> None:
    apart = total([Term(v, str(i), g95) for i, v in enumerate(values)])
    common = total([Term(v, "a", g95) for v in values])
    assert apart.high <= common.high * (1 + CLOSE)
    assert apart.low >= common.low * (1 - CLOSE)


@given(TERMS, st.integers(0, 11), ERROR)
def test_what_was_not_seen_can_only_be_added(terms: list[Term], at: int, missing: float) -> None:
    if terms:
        more = [*terms]
        more[at % len(terms)] = more[at % len(terms)]._replace(missing=more[at % len(terms)].missing + missing)
        assert total(more).low == total(terms).low
        assert total(more).high == pytest.approx(total(terms).high + missing)


def test_independent_factors_add_in_the_logarithm() -> None:
    """carbon.md 9, example 28: g of (1.15, 1.3, 1.15, 1.10) is 1.4078."""
    found = scale(Quantity(100, 100, 100), 0.5, (1.15, 1.3, 1.15, 1.10))
    assert found.high / found.value == pytest.approx(1.4078, abs=5e-5)
    assert found.value / found.low == pytest.approx(1.4078, abs=5e-5)


def test_the_energys_own_interval_is_one_of_the_factors() -> None:
    energy = total([Term(100, "gain", 1.15)])
    assert scale(energy, 1, (1.3, 1.15, 1.10)) == pytest.approx(scale(Quantity(100, 100, 100), 1, (1.15, 1.3, 1.15, 1.10)))


def test_a_factor_may_be_surer_on_one_side() -> None:
    found = scale(Quantity(10, 10, 10), 1, [15.0], [2.0])
    assert found == pytest.approx((10, 10 / 15, 20))
    assert scale(Quantity(0, 0, 1), 1, [15.0], [2.0]) == pytest.approx((0, 0, 2))


def drawn(rng: Random, g95: float) -> float:
    """A lognormal factor around 1 with this 95 % interval."""
    return exp(rng.gauss(0, log(g95) / 1.96))


def percentiles(draws: list[float]) -> tuple[float, float]:
    draws.sort()
    return draws[round(len(draws) * 0.025)], draws[round(len(draws) * 0.975)]


@pytest.mark.parametrize(
    "terms",
    [
        [Term(100, "a", 1.1), Term(50, "a", 1.1), Term(40, "b", 1.4), Term(30, "c", 1.3)],
        [Term(10, str(i), 1.2) for i in range(10)],
        [Term(10, "a", 1.5)] * 10 + [Term(60, "b", 1.1)],
        [Term(100, "a", 1.9)],
    ],
)
def test_a_simulation_agrees_with_the_bounds_of_a_sum(terms: list[Term]) -> None:
    """carbon.md 8.1: within 2 % of the analytic bounds while g < 2."""
    rng = Random(20261122)
    causes = {t.cause: t.g95 for t in terms}
    draws = []
    for _ in range(10_000):
        errors = {cause: drawn(rng, g95) for cause, g95 in causes.items()}
        draws.append(sum(t.value * errors[t.cause] for t in terms))
    low, high = percentiles(draws)
    assert total(terms).low == pytest.approx(low, rel=0.02)
    assert total(terms).high == pytest.approx(high, rel=0.02)


def test_a_simulation_agrees_with_the_bounds_of_a_product() -> None:
    rng = Random(20261122)
    energy = total([Term(100, "a", 1.1), Term(40, "b", 1.2)])
    draws = [(100 * drawn(rng, 1.1) + 40 * drawn(rng, 1.2)) * 0.3 * drawn(rng, 1.10) * drawn(rng, 1.05) for _ in range(10_000)]
    low, high = percentiles(draws)
    found = scale(energy, 0.3, (1.10, 1.05))
    assert found.low == pytest.approx(low, rel=0.02)
    assert found.high == pytest.approx(high, rel=0.02)


@pytest.mark.parametrize("g95s", [(1.9, 1.9), (1.9,) * 20, (1.9,) * 100, (1.9, 1.5, 1.2), (1.99, 1.05)])
def test_sums_of_wide_causes_agree_with_a_simulation(g95s: tuple[float, ...]) -> None:
    numpy = pytest.importorskip("numpy")
    made = numpy.random.default_rng(7)
    drawn = sum(numpy.exp(made.standard_normal(100_000) * log(g) / 1.959964) for g in g95s)
    low, high = numpy.percentile(drawn, (2.5, 97.5))
    found = total(Term(1, f"{n}", g) for n, g in enumerate(g95s))
    assert found.low == pytest.approx(low, rel=0.02)
    assert found.high == pytest.approx(high, rel=0.02)
