"""Requests: who gets what of a stretch, and what nobody told of."""

import pytest
from tests.core.served.batching import S
from tests.core.served.booked import PRICES, of, request, settled, stretch, told
from tests.core.served.stretches import J

from wattledger.core.served.requests import RequestBook
from wattledger.core.served.sweep import ATTENTION, CONTEXT
from wattledger.core.tokens import Done, ModelPrices


def dear(computed: int) -> float:
    """What a prompt's tokens weigh beside one with nothing before it: on average half of them are before each."""
    return 1 + ATTENTION * computed / 2


def tokens_j(*served: tuple[int, int]) -> list[float]:
    """What generated tokens weigh, by (computed, generated) of those in the stretch: each reads all before it, at ``CONTEXT`` of
    a step a token, and on average they weigh their price."""
    read = [generated * (computed + generated / 2) for computed, generated in served]
    mean = sum(read) / sum(generated for _, generated in served)
    each_j = CONTEXT * PRICES.step_j
    return [n * (PRICES.generated_j - mean * each_j) + all_j * each_j for (_, n), all_j in zip(served, read, strict=True)]


# ---- who gets what


def test_pools_are_shared_by_tokens_and_by_steps() -> None:
    """Two decode together: 31 and 11 tokens; the four steps' fixed cost is shared equally, the tokens' own by what they read."""
    book = told(request("a", -1, 0, 1, generated=31), request("b", -1, 0, 1, generated=11))
    book.add(stretch(0, 0, 28, Done(4, 0, 42)))
    found = of(settled(book, 30 * S))
    a_j, b_j = (2 * PRICES.step_j + own_j for own_j in tokens_j((0, 31), (0, 11)))
    assert a_j + b_j == pytest.approx(42 * PRICES.generated_j + 4 * PRICES.step_j)
    assert found["a"][1] == pytest.approx(28 * a_j / (a_j + b_j), abs=2e-6)
    assert found["b"][1] == pytest.approx(28 * b_j / (a_j + b_j), abs=2e-6)


def test_a_prompt_is_computed_evenly_until_the_first_token() -> None:
    book = told(request("a", 0.5, 2.5, 3, computed=400, generated=1), request("b", 1, 2, 3, computed=100))
    book.add(stretch(0, 10, 0, Done(0, 100, 0)))
    book.add(stretch(1, 30, 0, Done(0, 300, 0)))
    book.add(stretch(2, 10, 5, Done(0, 100, 1)))
    found = of(settled(book, 60 * S))
    a, b = 200 * dear(400), 100 * dear(100)
    assert found["a"] == pytest.approx((10 + 30 * a / (a + b) + 10, 5), abs=2e-6)
    assert found["b"] == pytest.approx((30 * b / (a + b), 0), abs=2e-6)


def test_steps_go_by_time_in_progress() -> None:
    """Half a second alone and half a second with another: three quarters of the steps."""
    book = told(request("a", 0, 0, 1), request("b", 0.5, 0.5, 1))
    book.add(stretch(0, 0, 8, Done(4, 0, 0)))
    assert of(settled(book, 60 * S)) == {"a": pytest.approx((0, 6), abs=2e-6), "b": pytest.approx((0, 2), abs=2e-6)}


@pytest.mark.parametrize("generated", [0, 1, 2, 50])
def test_a_moment_is_a_point_of_mass(generated: int) -> None:
    a = request("a", 0.5, 0.5, 0.5, computed=10, generated=generated)
    book = told(a, request("b", 0.2, 0.4, 0.6, computed=10, generated=1))
    book.add(stretch(0, 6, 4, Done(0, 20, 1 + generated)))
    found = of(settled(book, 60 * S))
    a_j, b_j = tokens_j((10, generated), (10, 1))
    assert found["a"] == pytest.approx((3, 4 * a_j / (a_j + b_j)), abs=2e-6)
    assert sum(sum(pair) for pair in found.values()) == pytest.approx(10, abs=1e-9)


def test_prices_of_nothing_share_by_tokens() -> None:
    book = told(request("a", 0, 0, 1, generated=30), request("b", 0, 0, 1, generated=10))
    book.add(stretch(0, 0, 4, Done(9, 0, 40), prices=ModelPrices(0, 0, 0)))
    assert of(settled(book, 60 * S)) == {"a": pytest.approx((0, 3), abs=2e-6), "b": pytest.approx((0, 1), abs=2e-6)}


def test_a_pool_without_weight_goes_to_the_next_stretch() -> None:
    """The counter told of a prompt in the second after the one in which the record computes it."""
    book = told(request("a", 0.1, 0.9, 3, computed=100, generated=20), request("b", 2.1, 2.5, 3, computed=100, generated=10))
    book.add(stretch(0, 1, 3, Done(5, 50, 1)))
    book.add(stretch(1, 1, 3, Done(5, 50, 9)))
    book.add(stretch(2, 2, 3, Done(5, 100, 20)))
    found = of(settled(book, 60 * S))
    assert found["b"][0] == pytest.approx(3, abs=2e-6)
    assert sum(map(sum, found.values())) == pytest.approx(13)
    assert "" not in found


def test_a_pool_that_waits_for_a_minute_is_nobodys() -> None:
    book = told(request("a", 0.1, 0.9, 1, computed=100))
    for k in range(70):
        book.add(stretch(k, 0.5, 0, Done(0, 1, 0)))
    found = of(settled(book, 200 * S))
    assert found["a"][0] == pytest.approx(0.5, abs=2e-6)
    assert found[""][0] > 25
    assert sum(map(sum, found.values())) + sum(book.pending_uj) / J == pytest.approx(35)


# ---- who was not told


def test_without_any_record_all_is_unrecorded() -> None:
    book = RequestBook()
    book.add(stretch(0, 3, 4, Done(5, 100, 20)))
    assert settled(book, 5 * S) == []
    found = settled(book, 16 * S)
    assert [(one.request, one.prompt_uj, one.generated_uj, one.prompt_tokens, one.generated_tokens) for one in found] == [
        (None, 3 * J, 4 * J, 100, 20)
    ]
    assert 0 < found[0].spread_uj < 7 * J
    assert settled(book, 17 * S) == []


def test_records_get_no_more_than_their_part_of_the_tokens() -> None:
    """One of two clients tells: of each second's 40 tokens 20 are its."""
    book = RequestBook()
    for k in range(100):
        book.hear(request(f"r{k}", k, k + 0.5, k + 1, computed=30, generated=20))
        book.add(stretch(k, 6, 10, Done(10, 60, 40)))
    found = settled(book, 115 * S)
    mine = [one for one in found if one.request is not None]
    nobody = [one for one in found if one.request is None]
    assert len(mine) == 100
    assert sum(one.prompt_uj for one in mine) / J == pytest.approx(300, rel=0.02)
    assert sum(one.generated_uj for one in mine) / J == pytest.approx(500, rel=0.03)
    assert sum(one.prompt_tokens for one in nobody) == pytest.approx(3000, rel=0.02)
    assert sum(one.generated_tokens for one in nobody) == pytest.approx(2000, rel=0.03)


def test_records_that_explain_nearly_everything_explain_everything() -> None:
    book = RequestBook()
    for k in range(100):
        book.hear(request(f"r{k}", k, k + 0.5, k + 1, computed=99, generated=99))
        book.add(stretch(k, 6, 10, Done(10, 100, 100)))
    assert all(one.request is not None for one in settled(book, 115 * S))
