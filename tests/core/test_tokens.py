"""The estimator: what it recovers, how sure it says it is, and what it does with what it cannot know."""

from functools import cache
from math import inf, nan
from random import Random

import numpy as np
import pytest
from tests.core.batching import IDLE_W, PROMPT_J, STEP_J, Load, Run, S, serve

from wattledger.core.tokens import Done, Fit, ModelPrices, Stretch

J = 1_000_000
NOTHING = Done(0, 0, 0)
CONVERSATION = Load(0.5)
RUSH = Load(0.2)
EVENING = Load(0.4, quiet=((100, 160), (300, 360)))


@cache
def ran(load: str, scrape_s: float = 1.0) -> Run:
    return serve({"conversation": CONVERSATION, "rush": RUSH, "evening": EVENING}[load], 600, scrape_s=scrape_s)


def learnt(stretches: list[Stretch], models: int = 1) -> Fit:
    fit = Fit(models)
    for stretch in stretches:
        fit.learn(stretch)
    return fit


def stretch(energy_j: float, done: Done = NOTHING, *, held_j: float = 0, span_s: float = 1, busy: bool | None = None) -> Stretch:
    return Stretch(round(energy_j * J), round(held_j * J), round(span_s * S), (done,), busy)


def linear(n: int, *, idle_w: float = 75, seed: int = 1, steps: bool = True, noise: float = 0.01) -> list[Stretch]:
    """An engine that is exactly as the model says, its batch and its prompts changing from second to second."""
    rng, made = Random(seed), []
    for _ in range(n):
        s, p, d = rng.randrange(40), rng.randrange(3000), rng.randrange(1, 400)
        energy_j = idle_w + 2.7 * s + 0.02 * p + 0.07 * d
        made.append(stretch(energy_j * (1 + rng.gauss(0, noise)), Done(s if steps else 0, p, d), busy=True))
    return made


# ---- what it recovers


@pytest.mark.parametrize("scrape_s", [1.0, 5.0])
@pytest.mark.parametrize("load", ["conversation", "evening", "rush"])
def test_prices_are_recovered_from_an_engine_it_does_not_know(load: str, scrape_s: float) -> None:
    fit = learnt(ran(load, scrape_s).stretches)
    assert fit.idle_w == pytest.approx(IDLE_W, rel=0.05)
    assert fit.prices[0].prompt_j == pytest.approx(PROMPT_J, rel=0.05)
    assert fit.prices[0].step_j == pytest.approx(STEP_J, rel=0.05)
    assert fit.outliers == 0


def test_where_nobody_holds_the_device_quiet_times_tell_idle() -> None:
    fit = learnt([one._replace(held_uj=0) for one in ran("evening").stretches])
    assert fit.idle_w == pytest.approx(IDLE_W, rel=0.05)
    assert not fit.weak


def test_where_nothing_tells_idle_the_intervals_are_wide() -> None:
    told, open_ = learnt(ran("rush").stretches), learnt([one._replace(held_uj=0) for one in ran("rush").stretches])
    assert abs(open_.idle_w - IDLE_W) < 1.96 * open_.covariance[0][0] ** 0.5
    assert open_.covariance[0][0] > 4 * told.covariance[0][0]


@pytest.mark.parametrize(
    ("step_j", "token_j"), [(3.16, 0.067), (27.4, 0.36), (96.0, 1.68), (11.5, 0.19)], ids=["8B", "70B", "405B", "32B"]
)
def test_joules_per_token_follow_the_batch_as_ml_energy_measured(step_j: float, token_j: float) -> None:
    """J/token(B) = e_step/B + e_tok (science.md section 4.1): a constant would be wrong by 6 to 19 times."""
    fit, rng = Fit(), Random(2)
    for batch in [8, 16, 32, 64, 128, 256] * 10:
        for _ in range(10):
            steps = rng.randrange(20, 40)
            energy_j = 80 + steps * (step_j + token_j * batch) * (1 + rng.gauss(0, 0.03))
            fit.learn(stretch(energy_j, Done(steps, 0, steps * batch), held_j=80))
    for batch in [8, 32, 256]:
        for _ in range(60):
            fit.learn(stretch(80 + 30 * (step_j + token_j * batch), Done(30, 0, 30 * batch), held_j=80))
        prompt, generated = fit.price(0)
        assert prompt is None
        assert generated is not None
        assert generated.value == pytest.approx(step_j / batch + token_j, rel=0.1)
        by_prices = fit.prices[0].step_j / batch + fit.prices[0].generated_j
        assert by_prices == pytest.approx(step_j / batch + token_j, rel=0.1)


def test_an_engine_that_tells_no_steps_has_none() -> None:
    fit = learnt(linear(200, steps=False))
    assert fit.prices[0].step_j == 0
    assert fit.prices[0].prompt_j == pytest.approx(0.02, rel=0.2)
    assert fit.divide(stretch(100, Done(0, 10, 10))).prompt_uj[0] > 0


def test_two_models_on_one_device_are_told_apart() -> None:
    rng, fit = Random(3), Fit(2)
    for _ in range(400):
        a, b = Done(rng.randrange(30), rng.randrange(2000), rng.randrange(1, 300)), Done(rng.randrange(20), 0, rng.randrange(1, 90))
        energy_j = 75 + 2.7 * a[0] + 0.02 * a[1] + 0.07 * a[2] + 27 * b[0] + 0.36 * b[2]
        fit.learn(Stretch(round(energy_j * J), 75 * J, S, (a, b), True))
    assert fit.prices[0] == pytest.approx((2.7, 0.02, 0.07), rel=0.1)
    assert fit.prices[1].step_j == pytest.approx(27, rel=0.05)
    found = fit.divide(Stretch(1000 * J, 75 * J, S, (Done(10, 1000, 100), Done(10, 0, 50))))
    assert sum(found.prompt_uj) + sum(found.generated_uj) + found.standby_uj == 1000 * J
    assert found.generated_uj[1] > 5 * found.generated_uj[0]
    assert found.prompt_uj[1] == 0
    assert len(fit.spread(1, 2.0)) == 4
    assert fit.spread(1, 2.0)[1][1] == pytest.approx(4 * fit.covariance[4][4])
    assert fit.price(1)[0] is None
    assert not fit.weak


def test_a_quiet_night_wears_no_price_away() -> None:
    fit = learnt(linear(200))
    before = fit.prices[0]
    for _ in range(500):
        fit.learn(stretch(75 * 60, span_s=60))
    assert fit.prices[0] == pytest.approx(before, rel=0.05)
    assert fit.idle_w == pytest.approx(75, rel=0.01)


def test_new_prices_are_learnt_and_old_ones_forgotten() -> None:
    fit = Fit(half_life_s=120)
    for one in linear(400):
        fit.learn(one)
    for one in linear(900, seed=2):
        fit.learn(one._replace(energy_uj=one.energy_uj * 2))
    assert fit.prices[0].prompt_j == pytest.approx(0.04, rel=0.1)
    assert fit.prices[0].step_j == pytest.approx(5.4, rel=0.1)


# ---- what it does with what teaches nothing


def test_one_bad_scrape_does_not_wreck_the_fit() -> None:
    fit = learnt(linear(600))
    before = fit.prices[0]
    fit.learn(stretch(100_000, Done(20, 1500, 200)))
    for one in linear(40, seed=9):
        fit.learn(one)
    assert fit.outliers == 1
    assert fit.prices[0] == pytest.approx(before, rel=0.1)
    fit.learn(stretch(0, Done(100_000, 0, 0)))
    for one in linear(40, seed=9):
        fit.learn(one)
    assert fit.outliers == 2
    assert fit.prices[0] == pytest.approx(before, rel=0.3)


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


# ---- dividing


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
    assert fit.divide(stretch(10, Done(1, 1, 1))) [:4] == ((0,), (0,), 10 * J, 0)


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


# ---- how sure


def test_a_young_fit_is_weak_and_an_old_one_is_not() -> None:
    few, many = learnt(ran("conversation").stretches[:25]), learnt(ran("conversation").stretches)
    assert few.weak
    assert not many.weak
    assert Fit().weak
    assert learnt([stretch(75)] * 200).weak


def test_kinds_that_always_come_together_are_weak() -> None:
    fit = learnt([stretch(75 + k % 7 * 10, Done(k % 7, 100 * (k % 7), 10 * (k % 7)), held_j=75, busy=True) for k in range(600)])
    assert fit.weak


def test_a_price_of_nothing_for_what_came_is_weak() -> None:
    rng = Random(1)
    fit = learnt([stretch(75 + s, Done(s, rng.randrange(5, 500), s + 1), held_j=75) for s in (rng.randrange(9) for _ in range(600))])
    assert fit.prices[0].prompt_j == pytest.approx(0, abs=1e-4)
    assert fit.weak


def test_a_price_is_of_the_last_minute_and_of_tokens_that_came() -> None:
    fit = Fit()
    assert fit.price(0) == (None, None)
    for one in linear(100):
        fit.learn(one)
    prompt, generated = fit.price(0)
    assert prompt is not None
    assert generated is not None
    assert prompt.low < prompt.value < prompt.high
    for _ in range(61):
        fit.learn(stretch(200, Done(20, 0, 100)))
    assert fit.price(0)[0] is None
    for _ in range(61):
        fit.learn(stretch(100, Done(1, 1000, 0)))
    prompt, generated = fit.price(0)
    assert generated is None
    assert prompt is not None
    assert prompt.value * 1000 == pytest.approx(100 - fit.idle_w, rel=1e-6)


@pytest.mark.parametrize("load", ["conversation", "evening"])
def test_intervals_of_prices_hold_the_truth_from_the_first_minute_on(load: str) -> None:
    fit = Fit()
    for k, one in enumerate(ran(load).stretches, 1):
        fit.learn(one)
        prompt = fit.price(0)[0]
        if k >= 45 and k % 30 == 0 and prompt is not None and fit.divide(one).scale:
            assert prompt.low < PROMPT_J * 1.03
            assert prompt.high > PROMPT_J * 0.97


@pytest.mark.parametrize("load", ["conversation", "evening"])
def test_the_sandwich_agrees_with_a_block_bootstrap(load: str) -> None:
    """60 s blocks, 200 draws, of the windows of 20 s that the fit learns from."""
    stretches = ran(load).stretches
    rows = np.array([[1.0, *one.done[0], one.energy_uj / J] for one in stretches]).reshape(-1, 20, 5).sum(axis=1)
    blocks, rng = rows.reshape(-1, 3, 5), np.random.default_rng(1)
    draws = []
    for _ in range(200):
        drawn = blocks[rng.integers(len(blocks), size=len(blocks))].reshape(-1, 5)
        draws.append(np.linalg.lstsq(drawn[:, :4], drawn[:, 4], rcond=None)[0][2])
    found = learnt(stretches).covariance[2][2] ** 0.5
    assert 0.5 < found / np.std(draws) < 2


def test_the_same_stretches_give_the_same_answer() -> None:
    assert repr([learnt(linear(50)).divide(one) for one in linear(5)]) == repr([learnt(linear(50)).divide(one) for one in linear(5)])
