"""The estimator: what it recovers, and how sure it says it is."""

from random import Random

import numpy as np
import pytest
from tests.core.served.batching import IDLE_W, PROMPT_J, STEP_J, Load, S, serve
from tests.core.served.stretches import J, learnt, linear, ran, stretch

from wattledger.core.tokens import Done, Fit, Stretch


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
    rng, fit = Random(1), Fit()
    for _ in range(40):
        p, d = rng.randrange(3000), rng.randrange(400)
        for _ in range(20):
            fit.learn(stretch(75 + 0.02 * p + 0.3 * d, Done(0, p, d)))
    assert fit.prices[0].step_j == 0
    assert fit.prices[0].prompt_j == pytest.approx(0.02, rel=0.05)
    assert fit.prices[0].generated_j == pytest.approx(0.3, rel=0.05)
    assert fit.idle_w == pytest.approx(75, rel=0.05)
    assert fit.divide(stretch(100, Done(0, 10, 10))).prompt_uj[0] > 0


def test_two_models_on_one_device_are_told_apart() -> None:
    rng, fit = Random(3), Fit(2)
    for k in range(800):
        if k % 10 == 0:
            a = Done(rng.randrange(30), rng.randrange(2000), rng.randrange(1, 300))
            b = Done(rng.randrange(20), 0, rng.randrange(1, 90))
        energy_j = 75 + 2.7 * a[0] + 0.02 * a[1] + 0.07 * a[2] + 27 * b[0] + 0.36 * b[2]
        fit.learn(Stretch(round(energy_j * J), 75 * J, S, (a, b), True))
    assert tuple(fit.prices[0]) == pytest.approx((2.7, 0.02, 0.07), rel=0.2)
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
    assert tuple(fit.prices[0]) == pytest.approx(tuple(before), rel=0.1)
    assert fit.idle_w == pytest.approx(75, rel=0.01)


def test_new_prices_are_learnt_and_old_ones_forgotten() -> None:
    fit = Fit(half_life_s=300)
    for one in linear(400):
        fit.learn(one)
    for one in linear(2400, seed=2):
        fit.learn(one._replace(energy_uj=one.energy_uj * 2))
    assert fit.prices[0].prompt_j == pytest.approx(0.04, rel=0.1)
    assert fit.prices[0].step_j == pytest.approx(5.4, rel=0.1)


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
    fit = Fit()
    for _ in range(200):
        s, p, d = rng.randrange(1, 9), rng.randrange(500), rng.randrange(90)
        for _ in range(20):
            fit.learn(stretch(85 + 20 * s - 0.02 * p + d, Done(s, p, d), held_j=85))
    assert fit.prices[0].prompt_j == 0
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
        fit.learn(stretch(136, Done(20, 0, 100)))
    assert fit.price(0)[0] is None
    for _ in range(61):
        fit.learn(stretch(167.7, Done(1, 4500, 0)))
    prompt, generated = fit.price(0)
    assert generated is None
    assert prompt is not None
    assert prompt.value * 4500 == pytest.approx(167.7 - fit.idle_w)


@pytest.mark.parametrize("load", ["conversation", "evening"])
def test_intervals_of_prices_hold_the_truth_from_the_first_minute_on(load: str) -> None:
    fit = Fit()
    for k, one in enumerate(ran(load).stretches, 1):
        fit.learn(one)
        prompt = fit.price(0)[0]
        if k >= 45 and k % 30 == 0 and prompt is not None and fit.divide(one).scale:
            assert prompt.low < PROMPT_J * 1.03
            assert prompt.high > PROMPT_J * 0.97


@pytest.mark.parametrize("gap_s", [1.0, 2.0])
def test_the_sandwich_agrees_with_a_block_bootstrap(gap_s: float) -> None:
    """60 s blocks, 200 draws, of windows of 20 s as the fit learns from; idle power and the price of a prompt token."""
    stretches = serve(Load(gap_s), 2400).stretches
    rows = np.array([[1.0, *one.done[0], one.energy_uj / J] for one in stretches]).reshape(-1, 20, 5).sum(axis=1)
    blocks, rng = rows.reshape(-1, 3, 5), np.random.default_rng(1)
    draws = []
    for _ in range(200):
        drawn = blocks[rng.integers(len(blocks), size=len(blocks))].reshape(-1, 5)
        draws.append(np.linalg.lstsq(drawn[:, :4], drawn[:, 4], rcond=None)[0])
    fit = Fit(half_life_s=1e9)
    for one in stretches:
        fit.learn(one._replace(held_uj=0))
    for i in (0, 2):
        assert 0.5 < fit.covariance[i][i] ** 0.5 / np.std(draws, axis=0)[i] < 2


def test_the_same_stretches_give_the_same_answer() -> None:
    first, second = learnt(linear(50)), learnt(linear(50))
    assert [first.divide(one) for one in linear(5)] == [second.divide(one) for one in linear(5)]
