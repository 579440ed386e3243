"""The estimator: how it divides, and what it does with what teaches nothing."""

from math import inf, nan
from random import Random

import pytest
from tests.core.served.batching import S
from tests.core.served.stretches import J, learnt, linear, ran, stretch

from wattledger.core.tokens import Done, Fit, ModelPrices, Stretch


def test_one_bad_scrape_does_not_wreck_the_fit() -> None:
    fit = learnt(linear(600))
    before = fit.prices[0]
    fit.learn(stretch(100_000, Done(20, 1500, 200)))
    for one in linear(40, seed=9):
        fit.learn(one)
    assert fit.outliers == 1
    assert tuple(fit.prices[0]) == pytest.approx(tuple(before), rel=0.1)
    fit.learn(stretch(0, Done(100_000, 0, 0)))
    for one in linear(40, seed=9):
        fit.learn(one)
    assert fit.outliers == 2
    assert tuple(fit.prices[0]) == pytest.approx(tuple(before), rel=0.3)


@pytest.mark.parametrize(
    "bad",
    [
        stretch(100, Done(-1, 5, 5)),
        stretch(100, Done(nan, 5, 5)),
        stretch(100, Done(1, inf, 5)),
        stretch(100, Done(1, 1e300, 5)),
        Stretch(-1, 0, S, (Done(1, 1, 1),)),
        Stretch(1, -1, S, (Done(1, 1, 1),)),
        Stretch(10**40, 0, S, (Done(1, 1, 1),)),
        Stretch(1, 0, 0, (Done(1, 1, 1),)),
        Stretch(1, 0, -S, (Done(1, 1, 1),)),
        Stretch(1, 0, S, ()),
    ],
)
def test_what_nothing_can_mean_is_refused(bad: Stretch) -> None:
    fit, other = learnt(linear(60)), learnt(linear(60))
    fit.learn(bad)
    assert (fit.refused, fit.n) == (1, other.n)
    assert (fit.prices, fit.covariance, fit.price(0)) == (other.prices, other.covariance, other.price(0))


def test_energy_of_work_that_is_counted_later_is_that_works() -> None:
    """An engine that counts a request when it has ended: seconds at full power without a token, then all of them at once."""
    fit, rng = Fit(), Random(4)
    for _ in range(60):
        d, quiet = rng.randrange(100, 900), rng.randrange(3, 9)
        for _ in range(quiet):
            fit.learn(stretch(75, held_j=75, busy=False))
        for _ in range(5):
            fit.learn(stretch(75 + d / 6, held_j=75, busy=True))
        fit.learn(stretch(75 + d / 6, Done(0, 0, d), held_j=75, busy=True))
    assert fit.idle_w == pytest.approx(75, rel=0.02)
    assert fit.prices[0].generated_j == pytest.approx(1.0, rel=0.05)


def test_an_engine_that_hangs_teaches_nothing() -> None:
    fit, other = learnt(linear(60)), learnt(linear(60))
    for _ in range(20):
        fit.learn(stretch(300 * 60, span_s=60, busy=True))
    assert fit.idle_w == pytest.approx(other.idle_w, rel=0.1)


def test_nothing_drawn_is_nothing_priced() -> None:
    fit = learnt([stretch(0, Done(5, 5, 5))] * 40)
    assert fit.prices == (ModelPrices(0, 0, 0),)
    assert fit.weak
    found = fit.divide(stretch(7, Done(1, 100, 10)))
    assert found.standby_uj == 0
    assert found.prompt_uj[0] + found.generated_uj[0] == 7 * J
    assert found.generated_uj[0] > found.prompt_uj[0] > 0  # by shape: a step, ten tokens; 100 prompt tokens
    price = fit.price(0)[1]
    assert price is not None
    assert price.value == 0


def test_a_division_uses_up_what_is_above_idle() -> None:
    fit = learnt(ran("conversation").stretches)
    found = fit.divide(stretch(475, Done(37, 2000, 150)))
    assert found.standby_uj == pytest.approx(75 * J, rel=0.05)
    assert found.overhead_uj == 0
    weights = fit.prices[0].prompt_j * 2000, fit.prices[0].generated_j * 150 + fit.prices[0].step_j * 37
    assert found.prompt_uj[0] / found.generated_uj[0] == pytest.approx(weights[0] / weights[1])
    assert found.scale == pytest.approx((475 - fit.idle_w) / sum(weights))
    scaled = found.prices[0]
    assert scaled.prompt_j * 2000 * J == pytest.approx(found.prompt_uj[0])
    assert (scaled.step_j * 37 + scaled.generated_j * 150) * J == pytest.approx(found.generated_uj[0])


def test_steps_without_generated_tokens_are_the_prompts() -> None:
    fit = learnt(linear(100))
    found = fit.divide(stretch(400, Done(5, 2000, 0)))
    assert found.generated_uj == (0,)
    assert found.prompt_uj[0] + found.standby_uj == 400 * J


def test_less_than_idle_is_all_standby() -> None:
    fit = learnt(linear(100))
    assert fit.divide(stretch(10, Done(1, 1, 1)))[:4] == ((0,), (0,), 10 * J, 0)


def test_before_anything_is_learnt_the_floor_is_standby_and_shape_divides() -> None:
    found = Fit().divide(stretch(100, Done(1, 0, 0), held_j=75))
    assert found[:4] == ((25 * J,), (0,), 75 * J, 0)
    assert Fit().divide(stretch(100, held_j=75))[:4] == ((0,), (0,), 75 * J, 25 * J)
    assert Fit().divide(stretch(80, held_j=75))[:4] == ((0,), (0,), 80 * J, 0)
    assert Fit().divide(stretch(100))[:4] == ((0,), (0,), 0, 100 * J)
    assert Fit().divide(Stretch(100, 0, S, ()))[:4] == ((), (), 0, 100)


def test_a_model_that_loads_is_overhead_and_not_idle() -> None:
    fit = learnt([stretch(75, held_j=75)] * 100)
    loads = stretch(300, held_j=75)
    for _ in range(60):
        fit.learn(loads)
    assert fit.idle_w == pytest.approx(75, rel=0.1)
    found = fit.divide(loads)
    assert found.overhead_uj == pytest.approx(225 * J, rel=0.05)
    assert found.overhead_uj + found.standby_uj == 300 * J


def test_a_loading_seen_first_is_no_floor_for_long() -> None:
    fit = learnt([stretch(300)] * 20 + [stretch(75)] * 60)
    assert fit.idle_w == pytest.approx(75, rel=0.25)


def test_an_idle_power_that_stays_higher_is_learnt_in_the_end() -> None:
    fit = learnt([stretch(75)] * 100 + [stretch(100)] * 4000)
    assert fit.idle_w == pytest.approx(100, rel=0.1)
    assert fit.divide(stretch(100)).overhead_uj == 0


def test_a_moment_is_not_a_floor() -> None:
    """A short stretch's power is what the register landed in it, not what was drawn."""
    fit = learnt([stretch(75)] * 10 + [stretch(0, span_s=0.05)] * 10)
    assert fit.idle_w == pytest.approx(75, rel=0.02)


def test_dividing_changes_nothing() -> None:
    fit, other = learnt(linear(100)), learnt(linear(100))
    for one in linear(50, seed=5):
        assert fit.divide(one) == fit.divide(one)
    assert (fit.prices, fit.covariance, fit.price(0), fit.n) == (other.prices, other.covariance, other.price(0), other.n)
