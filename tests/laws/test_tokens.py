"""Tokens: whatever the fit, whatever comes in, the parts are the whole."""

from math import inf, nan

from hypothesis import given
from hypothesis import strategies as st
from tests.core.served.batching import S, at

from wattledger.core.model import Request
from wattledger.core.served.requests import OpenStretch, RequestBook
from wattledger.core.tokens import Done, Fit, ModelPrices, Stretch

GLITCH = st.sampled_from([nan, inf, -inf, -5.0, 5e-324])
COUNT = st.one_of(st.just(0.0), st.integers(0, 10_000).map(float), st.floats(0, 1e300), GLITCH)
ENERGY = st.one_of(st.integers(0, 10**9), st.integers(0, 10**30))
DONE = st.builds(Done, COUNT, COUNT, COUNT)
TIME = st.one_of(st.integers(0, 10**10), st.sampled_from([0, 1, 10**18]))


def stretches(models: int) -> st.SearchStrategy[list[Stretch]]:
    done = st.tuples(*[DONE] * models)
    return st.lists(st.builds(Stretch, ENERGY, ENERGY, TIME, done, st.sampled_from([True, False, None])), max_size=12)


@given(st.integers(1, 3).flatmap(lambda models: st.tuples(st.just(models), stretches(models), stretches(models))))
def test_a_divided_stretch_is_its_energy(drawn: tuple[int, list[Stretch], list[Stretch]]) -> None:
    models, taught, asked = drawn
    fit = Fit(models)
    for stretch in taught:
        fit.learn(stretch)
    for stretch in asked:
        found = fit.divide(stretch)
        parts = [*found.prompt_uj, *found.generated_uj, found.standby_uj, found.overhead_uj]
        assert sum(parts) == stretch.energy_uj
        assert min(parts) >= 0
        assert len(found.prompt_uj) == len(found.generated_uj) == models
        assert 0 <= found.scale < inf


PLAIN = st.integers(0, 3000).map(float)
PLAIN_DONE = st.builds(Done, st.integers(0, 60).map(float), PLAIN, PLAIN)


PLAIN_STRETCH = st.builds(Stretch, st.integers(0, 10**9), st.integers(0, 10**8), st.integers(1, 10**10), st.tuples(PLAIN_DONE))


@given(st.lists(PLAIN_STRETCH, max_size=60))
def test_prices_are_never_negative_and_lie_in_their_intervals(taught: list[Stretch]) -> None:
    fit = Fit()
    for stretch in taught:
        fit.learn(stretch)
        assert fit.idle_w >= 0
        assert min(fit.prices[0]) >= 0
        for price in fit.price(0):
            if price is not None:
                assert 0 <= price.low <= price.value * (1 + 1e-9)
                assert price.value <= price.high * (1 + 1e-9) < inf
        assert all(fit.covariance[i][i] >= 0 for i in range(4))
        assert fit.weak in (True, False)


MOMENT = st.integers(-5 * 4, 40 * 4).map(lambda quarter: quarter / 4)
TOKENS = st.one_of(st.integers(0, 500), st.just(0), st.sampled_from([-1, 10**9]))
INSTANT = MOMENT.map(at)
REQUEST = st.builds(Request, st.just(""), st.just("m"), INSTANT, INSTANT, INSTANT, TOKENS, st.just(0), TOKENS)
POOL = st.one_of(st.just(0), st.integers(0, 10**9))
PRICE = st.sampled_from([0.0, 1e-9, 0.02, 2.7])


def offered(drawn: list[tuple[int, int, Done, tuple[float, float, float], int, bool]]) -> list[OpenStretch]:
    """Stretches one after the other, some with a hole before them, some of no length."""
    made, now = [], 0.0
    for prompt_uj, generated_uj, done, prices, quarters, idle in drawn:
        start, end = now + (quarters % 3 == 2), now + quarters / 4
        now = max(start, end)
        made.append(OpenStretch(at(start), at(now), done, prompt_uj, generated_uj, ModelPrices(*prices), (), False, idle))
    return made


SERVED = st.builds(Done, *[st.integers(0, 500).map(float)] * 3)
ONE = st.tuples(POOL, POOL, SERVED, st.tuples(PRICE, PRICE, PRICE), st.integers(0, 12), st.booleans())
OFFERED = st.lists(ONE, max_size=15).map(offered)


@given(OFFERED, st.lists(st.tuples(st.integers(0, 15), REQUEST), max_size=12), st.lists(st.integers(0, 200), max_size=15))
def test_what_was_added_is_settled_or_pending(served: list[OpenStretch], told: list[tuple[int, Request]], asked: list[int]) -> None:
    book, prompt_uj, generated_uj, heard, settled = RequestBook(), 0, 0, 0, []
    for k, stretch in enumerate(served):
        book.add(stretch)
        prompt_uj, generated_uj = prompt_uj + stretch.prompt_uj, generated_uj + stretch.generated_uj
        heard += sum(book.hear(request) == "" for when, request in told if when == k)
        if k < len(asked):
            settled += book.settle(asked[k] * S)
        assert sum(one.prompt_uj for one in settled) + book.pending_uj[0] == prompt_uj
        assert sum(one.generated_uj for one in settled) + book.pending_uj[1] == generated_uj
    settled += book.flush()
    assert sum(one.prompt_uj for one in settled) == prompt_uj
    assert sum(one.generated_uj for one in settled) == generated_uj
    assert all(min(one.prompt_uj, one.generated_uj, one.spread_uj, one.prompt_tokens, one.generated_tokens) >= 0 for one in settled)
    assert sum(one.request is not None for one in settled) == heard
    assert (book.pending, book.pending_uj) == (0, (0, 0))
