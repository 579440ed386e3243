"""Requests: when they are settled, which are refused, and that nothing is lost on the way."""

import pytest
from tests.core.served.batching import S
from tests.core.served.booked import of, request, settled, stretch, told
from tests.core.served.stretches import J

from wattledger.core.model import Request
from wattledger.core.served.requests import ENOUGH, FEWEST, MOST, RequestBook
from wattledger.core.tokens import Done

# ---- when


def test_a_request_is_settled_when_all_its_stretches_are() -> None:
    book = told(request("a", 0, 1, 3, computed=10, generated=10))
    for k, (prompt, generated) in enumerate([(10, 0), (0, 6), (0, 4), (0, 0)]):
        book.add(stretch(k, prompt, generated, Done(1, prompt, generated)))
    assert settled(book, 19 * S - 1) == []  # twice its 3 s and 10 s: 16 s after its last stretch's end
    assert book.pending == 1
    assert [one.request.id for one in settled(book, 19 * S) if one.request] == ["a"]
    assert book.pending == 0


def test_long_requests_make_it_wait_longer_for_an_hour_and_no_longer_than_ten_minutes() -> None:
    for length, wait in ((100, 210), (3000, 600), (1, 15)):
        book = told(request("a", 0, 1, length))
        book.add(stretch(length, 1, 1, Done(1, 5, 4)))
        end = length + 1
        assert settled(book, (end + wait) * S - 1) == []
        assert settled(book, (end + wait) * S)
    book = told(request("a", 0, 1, 100), request("b", 0, 1, 50), request("c", 0, 1, 60))
    book.add(stretch(3601 + 59, 1, 1, Done(1, 5, 4)))
    assert settled(book, (3661 + 130) * S)  # a's end is more than an hour ago: c is the longest since
    book.add(stretch(9000, 1, 1, Done(1, 5, 4)))
    assert settled(book, (9001 + 15) * S)


def test_after_a_quiet_moment_nobody_is_waited_for() -> None:
    book = told(request("a", 0, 1, 100, computed=5))
    book.add(stretch(0, 5, 0, Done(1, 5, 0)))
    book.add(stretch(1, 0, 0, Done(0, 0, 0), idle=True))
    book.add(stretch(2, 0, 0, Done(0, 0, 0)))
    assert settled(book, 16 * S) == []
    settled(book, 17 * S)
    assert book.pending_uj == (5 * J, 0)  # given to a, who is still in progress by its own record
    assert book.hear(request("late", 0.5, 0.6, 0.7)) == ""
    assert [one.request.id for one in settled(book, 17 * S) if one.request] == ["late"]


def test_who_is_told_late_shares_only_in_what_is_open() -> None:
    early = request("early", 0, 0, 1, generated=10)
    book = told(early)
    book.add(stretch(0, 0, 4, Done(0, 0, 10)))
    assert of(settled(book, 60 * S))["early"] == (0, 4)
    book.add(stretch(1, 2, 4, Done(0, 10, 20)))
    assert book.hear(request("gone", 0, 0.5, 1, generated=10)) == ""
    assert book.hear(request("half", 0, 0.0001, 2, computed=50, generated=21)) == ""
    assert book.hear(request("there", 1, 1.5, 2, computed=10, generated=10)) == ""
    assert book.pending == 3
    found = {one.request.id: one for one in settled(book, 120 * S) if one.request}
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
    gone = book.flush()
    found = of(gone)
    assert found["waits"] == (0, 0)
    assert found["prefills"][0] > 0
    assert sum(map(sum, found.values())) == pytest.approx(10)
    assert {one.request.id for one in gone if one.request and one.weak} == {"decodes", "prefills", "waits"}
    assert (book.pending, book.pending_uj) == (0, (0, 0))
    assert book.flush() == []
    book.add(stretch(20, 2, 8, Done(2, 10, 10)))
    assert book.hear(request("new", 20, 20.5, 21, computed=10, generated=10)) == ""
    assert of(settled(book, 60 * S))["new"] == pytest.approx((2, 8), abs=2e-6)


def test_a_hole_between_stretches_gives_nothing() -> None:
    book = told(request("a", 0, 1, 10, computed=10, generated=91), request("b", 3, 4, 5, computed=10, generated=10))
    book.add(stretch(0, 1, 0, Done(1, 10, 0)))
    book.add(stretch(8, 0, 2, Done(1, 0, 10)))
    book.add(stretch(9, 0, 2, Done(1, 0, 10)))
    found = of(settled(book, 600 * S))
    assert found == {"a": pytest.approx((1, 4), abs=2e-6), "b": (0, 0)}


def test_stretches_that_overlap_or_last_no_time_lose_nothing() -> None:
    book = told(request("a", 0, 1, 4, computed=10, generated=10))
    book.add(stretch(0, 1, 1, Done(1, 5, 4), span_s=2))
    book.add(stretch(1, 1, 1, Done(1, 5, 4)))
    book.add(stretch(2, 0, 0, Done(0, 0, 0), span_s=0))
    book.add(stretch(2, 1, 1, Done(1, 5, 4), span_s=3))
    found = settled(book, 600 * S)
    total = sum(one.prompt_uj + one.generated_uj for one in found) + sum(book.pending_uj)
    assert total == 6 * J


def test_a_tick_settles_so_much_and_the_next_one_goes_on() -> None:
    """After a quiet moment five minutes are due at once; no tick takes more than its part, and each takes more than comes in."""
    book = told(*(request(f"r{k}", k, k + 0.2, k + 0.9, computed=9, generated=9) for k in range(300)))
    for k in range(300):
        book.add(stretch(k, 1, 2, Done(5, 9, 9)))
    book.add(stretch(300, 0, 0, Done(0, 0, 0), idle=True))
    parts = [len(book.settle(400 * S)) for _ in range(1 + 301 // MOST)]
    assert max(parts) == MOST
    assert sum(parts) == 300
    assert book.pending_uj == (0, 0)


def test_a_tick_that_settles_many_requests_takes_few_stretches() -> None:
    crowd = [request(f"r{k}.{i}", k, k + 0.2, k + 0.9, computed=9, generated=9) for k in range(4) for i in range(ENOUGH)]
    book = told(*crowd)
    for k in range(4):
        book.add(stretch(k, 1, 2, Done(5, 9, 9)))
    assert [len(book.settle(400 * S)) for _ in range(3)] == [FEWEST * ENOUGH, 2 * ENOUGH, 0]


def test_a_crowd_that_an_engine_leaves_behind_goes_bit_by_bit() -> None:
    crowd = [request(f"r{i}", i % 2, 2, 30, computed=9, generated=9) for i in range(3 * ENOUGH)]
    book = told(*crowd)
    book.add(stretch(0, 6, 0, Done(5, 9, 0)))
    gone = [book.drain() for _ in range(3)]
    assert [sum(one.request is not None for one in part) for part in gone] == [ENOUGH] * 3
    assert (book.pending, book.pending_uj) == (0, (0, 0))
    assert sum(one.prompt_uj + one.generated_uj for part in gone for one in part) == 6 * J


def test_an_engine_that_speaks_again_finds_nobody_twice() -> None:
    """It was thought gone, and half of those in progress had left."""
    book = told(*(request(f"r{i}", 0, 0.5, 30, computed=9, generated=900) for i in range(ENOUGH + 5)))
    book.add(stretch(0, 6, 1, Done(5, 9, 9)))
    early = book.drain()
    book.add(stretch(1, 0, 20, Done(5, 0, 90)))
    late = settled(book, 600 * S) + book.flush()
    ids = [one.request.id for one in early + late if one.request]
    assert len(ids) == len(set(ids)) == ENOUGH + 5
    assert sum(one.prompt_uj + one.generated_uj for one in early + late) == 27 * J


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
    settled(book, 3610 * S)
    assert book.hear(request("a", 0, 1, 2)) == ""
    assert book.hear(request("b", 0, 1, 2)) != ""


@pytest.mark.parametrize(("first", "clamped"), [(-3, 0), (9, 2)])
def test_a_first_token_outside_its_request_is_moved_to_its_edge(first: float, clamped: float) -> None:
    found = []
    for moment in (first, clamped):
        book = told(request("a", 0, moment, 2, computed=10, generated=10), request("b", 0, 1, 2, computed=10, generated=10))
        book.add(stretch(0, 5, 5, Done(5, 20, 20), span_s=2))
        found.append(of(settled(book, 60 * S)))
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
