"""Requests: who gets what of a stretch, when it is settled, and that nothing is lost on the way."""

from collections.abc import Iterable

import pytest
from tests.core.served.batching import S, at
from tests.core.served.stretches import J

from wattledger.core.model import Request
from wattledger.core.served.requests import OpenStretch, RequestBook, SettledRequest
from wattledger.core.tokens import Done, ModelPrices

PRICES = ModelPrices(2.0, 0.01, 0.5)


def request(name: str, scheduled: float, first: float, end: float, *, computed: int = 0, generated: int = 0) -> Request:
    return Request(name, "m", at(scheduled), at(first), at(end), computed, 0, generated)


def stretch(
    k: int, prompt_j: float, generated_j: float, done: Done, *, prices: ModelPrices = PRICES, idle: bool = False, span_s: int = 1
) -> OpenStretch:
    """The k-th stretch of a second (or more)."""
    return OpenStretch(at(k), at(k + span_s), done, round(prompt_j * J), round(generated_j * J), prices, (), False, idle)


def told(*requests: Request) -> RequestBook:
    book = RequestBook()
    for one in requests:
        assert book.hear(one) == ""
    return book


def of(settled: Iterable[SettledRequest]) -> dict[str, tuple[float, float]]:
    """(Prompt, generated) joules by id."""
    return {one.request.id if one.request else "": (one.prompt_uj / J, one.generated_uj / J) for one in settled}


# ---- who gets what


def test_pools_are_shared_by_tokens_and_by_steps() -> None:
    """Two decode together: 30 and 10 tokens; the four steps' fixed cost is shared equally, the tokens' own by count."""
    book = told(request("a", -1, 0, 1, generated=31), request("b", -1, 0, 1, generated=11))
    book.add(stretch(0, 0, 28, Done(4, 0, 42)))
    found = of(book.settle(30 * S))
    # Weights: a 31 x 0.5 + 2 x 2.0, b 11 x 0.5 + 2 x 2.0
    assert found["a"][1] == pytest.approx(28 * 19.5 / 29, abs=2e-6)
    assert found["b"][1] == pytest.approx(28 * 9.5 / 29, abs=2e-6)


def test_a_prompt_is_computed_evenly_until_the_first_token() -> None:
    book = told(request("a", 0.5, 2.5, 3, computed=400, generated=1), request("b", 1, 2, 3, computed=100))
    book.add(stretch(0, 10, 0, Done(0, 100, 0)))
    book.add(stretch(1, 30, 0, Done(0, 300, 0)))
    book.add(stretch(2, 10, 5, Done(0, 100, 1)))
    found = of(book.settle(60 * S))
    assert found["a"] == pytest.approx((10 + 20 + 10, 5), abs=2e-6)
    assert found["b"] == pytest.approx((10, 0), abs=2e-6)


def test_steps_go_by_time_in_progress() -> None:
    """Half a second alone and half a second with another: three quarters of the steps."""
    book = told(request("a", 0, 0, 1), request("b", 0.5, 0.5, 1))
    book.add(stretch(0, 0, 8, Done(4, 0, 0)))
    assert of(book.settle(60 * S)) == {"a": pytest.approx((0, 6), abs=2e-6), "b": pytest.approx((0, 2), abs=2e-6)}


@pytest.mark.parametrize("generated", [0, 1, 2, 50])
def test_a_moment_is_a_point_of_mass(generated: int) -> None:
    a = request("a", 0.5, 0.5, 0.5, computed=10, generated=generated)
    book = told(a, request("b", 0.2, 0.4, 0.6, computed=10, generated=1))
    book.add(stretch(0, 6, 4, Done(0, 20, 1 + generated)))
    found = of(book.settle(60 * S))
    assert found["a"] == pytest.approx((3, 4 * generated / (1 + generated)), abs=2e-6)
    assert sum(sum(pair) for pair in found.values()) == pytest.approx(10, abs=1e-9)


def test_prices_of_nothing_share_by_tokens() -> None:
    book = told(request("a", 0, 0, 1, generated=30), request("b", 0, 0, 1, generated=10))
    book.add(stretch(0, 0, 4, Done(9, 0, 40), prices=ModelPrices(0, 0, 0)))
    assert of(book.settle(60 * S)) == {"a": pytest.approx((0, 3), abs=2e-6), "b": pytest.approx((0, 1), abs=2e-6)}


def test_a_pool_without_weight_goes_to_the_next_stretch() -> None:
    """The counter told of a prompt in the second after the one in which the record computes it."""
    book = told(request("a", 0.1, 0.9, 3, computed=100, generated=20), request("b", 2.1, 2.5, 3, computed=100, generated=10))
    book.add(stretch(0, 1, 3, Done(5, 50, 1)))
    book.add(stretch(1, 1, 3, Done(5, 50, 9)))
    book.add(stretch(2, 2, 3, Done(5, 100, 20)))
    found = of(book.settle(60 * S))
    assert found["b"][0] == pytest.approx(3, abs=2e-6)
    assert sum(map(sum, found.values())) == pytest.approx(13)
    assert "" not in found


def test_a_pool_that_waits_for_a_minute_is_nobodys() -> None:
    book = told(request("a", 0.1, 0.9, 1, computed=100))
    for k in range(70):
        book.add(stretch(k, 0.5, 0, Done(0, 1, 0)))
    found = of(book.settle(200 * S))
    assert found["a"][0] == pytest.approx(0.5, abs=2e-6)
    assert found[""][0] > 25
    assert sum(map(sum, found.values())) + sum(book.pending_uj) / J == pytest.approx(35)


# ---- who was not told


def test_without_any_record_all_is_unrecorded() -> None:
    book = RequestBook()
    book.add(stretch(0, 3, 4, Done(5, 100, 20)))
    assert book.settle(5 * S) == []
    found = book.settle(16 * S)
    assert [(one.request, one.prompt_uj, one.generated_uj, one.prompt_tokens, one.generated_tokens) for one in found] == [
        (None, 3 * J, 4 * J, 100, 20)
    ]
    assert 0 < found[0].spread_uj < 7 * J
    assert book.settle(17 * S) == []


def test_records_get_no_more_than_their_part_of_the_tokens() -> None:
    """One of two clients tells: of each second's 40 tokens 20 are its."""
    book = RequestBook()
    for k in range(100):
        book.hear(request(f"r{k}", k, k + 0.5, k + 1, computed=30, generated=20))
        book.add(stretch(k, 6, 10, Done(10, 60, 40)))
    found = book.settle(115 * S)
    mine = [one for one in found if one.request is not None]
    nobody = [one for one in found if one.request is None]
    assert len(mine) == 100
    assert sum(one.prompt_uj for one in mine) / J == pytest.approx(300, rel=0.02)
    assert sum(one.generated_uj for one in mine) / J == pytest.approx(500, rel=0.03)
    assert nobody[0].prompt_tokens == pytest.approx(3000, rel=0.02)
    assert nobody[0].generated_tokens == pytest.approx(2000, rel=0.03)


def test_records_that_explain_nearly_everything_explain_everything() -> None:
    book = RequestBook()
    for k in range(100):
        book.hear(request(f"r{k}", k, k + 0.5, k + 1, computed=99, generated=99))
        book.add(stretch(k, 6, 10, Done(10, 100, 100)))
    assert all(one.request is not None for one in book.settle(115 * S))


# ---- when


def test_a_request_is_settled_when_all_its_stretches_are() -> None:
    book = told(request("a", 0, 1, 3, computed=10, generated=10))
    for k, (prompt, generated) in enumerate([(10, 0), (0, 6), (0, 4), (0, 0)]):
        book.add(stretch(k, prompt, generated, Done(1, prompt, generated)))
    assert book.settle(19 * S - 1) == []  # twice its 3 s and 10 s: 16 s after its last stretch's end
    assert book.pending == 1
    assert [one.request.id for one in book.settle(19 * S) if one.request] == ["a"]
    assert book.pending == 0


def test_long_requests_make_it_wait_longer_for_an_hour_and_no_longer_than_ten_minutes() -> None:
    for length, wait in ((100, 210), (3000, 600), (1, 15)):
        book = told(request("a", 0, 1, length))
        book.add(stretch(length, 1, 1, Done(1, 5, 4)))
        end = length + 1
        assert book.settle((end + wait) * S - 1) == []
        assert book.settle((end + wait) * S)
    book = told(request("a", 0, 1, 100), request("b", 0, 1, 50), request("c", 0, 1, 60))
    book.add(stretch(3601 + 59, 1, 1, Done(1, 5, 4)))
    assert book.settle((3661 + 130) * S)  # a's end is more than an hour ago: c is the longest since
    book.add(stretch(9000, 1, 1, Done(1, 5, 4)))
    assert book.settle((9001 + 15) * S)


def test_after_a_quiet_moment_nobody_is_waited_for() -> None:
    book = told(request("a", 0, 1, 100, computed=5))
    book.add(stretch(0, 5, 0, Done(1, 5, 0)))
    book.add(stretch(1, 0, 0, Done(0, 0, 0), idle=True))
    book.add(stretch(2, 0, 0, Done(0, 0, 0)))
    assert book.settle(16 * S) == []
    book.settle(17 * S)
    assert book.pending_uj == (5 * J, 0)  # given to a, who is still in progress by its own record
    assert book.hear(request("late", 0.5, 0.6, 0.7)) == ""
    assert [one.request.id for one in book.settle(17 * S) if one.request] == ["late"]


def test_who_is_told_late_shares_only_in_what_is_open() -> None:
    early = request("early", 0, 0, 1, generated=10)
    book = told(early)
    book.add(stretch(0, 0, 4, Done(0, 0, 10)))
    assert of(book.settle(60 * S))["early"] == (0, 4)
    book.add(stretch(1, 2, 4, Done(0, 10, 20)))
    assert book.hear(request("gone", 0, 0.5, 1, generated=10)) == ""
    assert book.hear(request("half", 0, 0.0001, 2, computed=50, generated=21)) == ""
    assert book.hear(request("there", 1, 1.5, 2, computed=10, generated=10)) == ""
    assert book.pending == 3
    found = {one.request.id: one for one in book.settle(120 * S) if one.request}
    assert (found["gone"].prompt_uj, found["gone"].generated_uj, found["gone"].weak) == (0, 0, True)
    assert (found["half"].prompt_uj, found["half"].weak) == (0, True)
    assert found["half"].generated_uj / J == pytest.approx(2, abs=0.02)
    assert not found["there"].weak
    assert sum(one.prompt_uj + one.generated_uj for one in found.values()) == 6 * J


def test_an_engine_that_is_gone_leaves_nothing_pending() -> None:
    book = told(
        request("done", 0, 0, 1, generated=5),
        request("decodes", 0, 0.5, 5, computed=10, generated=50),
        request("prefills", 0.5, 5, 6, computed=10, generated=50),
        request("waits", 8, 9, 10, computed=10, generated=50),
    )
    book.add(stretch(0, 2, 8, Done(2, 10, 10)))
    settled = book.flush()
    found = of(settled)
    assert found["waits"] == (0, 0)
    assert found["prefills"][0] > 0
    assert sum(map(sum, found.values())) == pytest.approx(10)
    assert {one.request.id for one in settled if one.request and one.weak} == {"decodes", "prefills", "waits"}
    assert (book.pending, book.pending_uj) == (0, (0, 0))
    assert book.flush() == []
    book.add(stretch(20, 2, 8, Done(2, 10, 10)))
    assert book.hear(request("new", 20, 20.5, 21, computed=10, generated=10)) == ""
    assert of(book.settle(60 * S))["new"] == pytest.approx((2, 8), abs=2e-6)


def test_a_hole_between_stretches_gives_nothing() -> None:
    book = told(request("a", 0, 1, 10, computed=10, generated=91), request("b", 3, 4, 5, computed=10, generated=10))
    book.add(stretch(0, 1, 0, Done(1, 10, 0)))
    book.add(stretch(8, 0, 2, Done(1, 0, 10)))
    book.add(stretch(9, 0, 2, Done(1, 0, 10)))
    found = of(book.settle(600 * S))
    assert found == {"a": pytest.approx((1, 4), abs=2e-6), "b": (0, 0)}


def test_stretches_that_overlap_or_last_no_time_lose_nothing() -> None:
    book = told(request("a", 0, 1, 4, computed=10, generated=10))
    book.add(stretch(0, 1, 1, Done(1, 5, 4), span_s=2))
    book.add(stretch(1, 1, 1, Done(1, 5, 4)))
    book.add(stretch(2, 0, 0, Done(0, 0, 0), span_s=0))
    book.add(stretch(2, 1, 1, Done(1, 5, 4), span_s=3))
    found = book.settle(600 * S)
    total = sum(one.prompt_uj + one.generated_uj for one in found) + sum(book.pending_uj)
    assert total == 6 * J


# ---- what is refused


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (request("x", 5, 4, 3), "ends before"),
        (request("x", 0, 1, 90_000), "longer than a day"),
        (request("x", 0, 1, 2, computed=-1), "negative or more"),
        (request("x", 0, 1, 2, generated=10_000_001), "negative or more"),
        (request("x", 0, 1, 2)._replace(cached=-5), "negative or more"),
        (request("x", 700, 701, 702), "clocks differ"),
        (request("known", 0, 1, 2), "told before"),
    ],
)
def test_a_record_that_cannot_be_is_refused_in_one_line(bad: Request, why: str) -> None:
    book = told(request("known", 0, 1, 2))
    book.add(stretch(0, 1, 1, Done(1, 1, 1)))
    assert why in book.hear(bad)
    assert "\n" not in book.hear(bad)
    assert book.pending == 1


def test_an_id_is_remembered_for_an_hour_and_no_id_is_never_told_before() -> None:
    book = told(request("", 0, 1, 2), request("", 0, 1, 2), request("a", 0, 1, 2), request("b", 0, 1, 20))
    book.settle(3610 * S)
    assert book.hear(request("a", 0, 1, 2)) == ""
    assert book.hear(request("b", 0, 1, 2)) != ""


@pytest.mark.parametrize(("first", "clamped"), [(-3, 0), (9, 2)])
def test_a_first_token_outside_its_request_is_moved_to_its_edge(first: float, clamped: float) -> None:
    found = []
    for moment in (first, clamped):
        book = told(request("a", 0, moment, 2, computed=10, generated=10), request("b", 0, 1, 2, computed=10, generated=10))
        book.add(stretch(0, 5, 5, Done(5, 20, 20), span_s=2))
        found.append(of(book.settle(60 * S)))
    assert found[0] == found[1]


# ---- what it costs as of now


def test_a_provisional_figure_is_by_the_latest_price_of_each_kind() -> None:
    book, asked = RequestBook(), request("a", 0, 1, 2, computed=100, generated=10)
    assert book.provisional(asked) is None
    book.add(stretch(0, 2, 0, Done(1, 1000, 0)))
    assert book.provisional(asked) is None
    assert book.provisional(asked._replace(generated=0)) == pytest.approx((0.2, 0))
    book.add(stretch(1, 0, 6, Done(1, 0, 20)))
    assert book.provisional(asked) == pytest.approx((0.2, 3))
    for k in range(2, 200):
        book.add(stretch(k, 0, 3, Done(1, 0, 20)))
    assert book.provisional(asked) == pytest.approx((0.2, 1.5), rel=0.15)
    assert book.provisional(asked._replace(computed=0, generated=0)) == (0, 0)
