"""Each request once, whoever tells of it, in whatever order and however often."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runtime.otlp.spans import CHAT, NOW, SERVER, USAGE, Kept, span

from wattledger.runtime.otlp.once import Once
from wattledger.runtime.otlp.received import heard
from wattledger.runtime.otlp.span import Span

HTTP = {"http.request.method": "POST"}
ENGINE = {"gen_ai.usage.prompt_tokens": 1_000, "gen_ai.usage.completion_tokens": 100, "gen_ai.latency.time_in_queue": 1.0}
NAMED = {"gen_ai.response.id": "chatcmpl-0123456789abcdef"}

# A client's span, its library's HTTP span within, and the engine's own within that.
CALL = (
    span({**CHAT, "server.address": "127.0.0.1", "server.port": 8000}, number=1),
    span(HTTP, number=2, parent=1),
    span(ENGINE, number=3, parent=2, kind=SERVER, ago_s=1, lasts_s=8),
)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_client_and_engine_tell_of_one_request_and_the_engine_knows_best(order: tuple[int, ...]) -> None:
    (found,) = Kept().post(*(CALL[i] for i in order))
    assert found.id == f"{3:016x}"
    assert (found.model, found.address) == ("llama", "127.0.0.1:8000")


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_between_deliveries_the_first_is_taken_and_the_second_is_known(order: tuple[int, ...]) -> None:
    kept = Kept()
    ours = [0, 1]  # what one process sends comes together, or the inner one first
    found = [*kept.post(*(CALL[i] for i in ours))] if order[0] < 2 else [*kept.post(CALL[2])]
    found += [*kept.post(CALL[2])] if order[0] < 2 else [*kept.post(*(CALL[i] for i in ours))]
    assert len(found) == 1
    assert (kept.page.tally.taken, kept.page.tally.again) == (1, 1)


def test_what_is_told_in_pieces_from_within_is_told_once() -> None:
    kept = Kept()
    assert [len(kept.post(CALL[i])) for i in (2, 1, 0)] == [1, 0, 0]


def test_the_same_delivery_again_is_the_same_requests() -> None:
    kept = Kept()
    assert [len(kept.post(*CALL)) for _ in range(3)] == [1, 0, 0]


def test_one_response_is_one_request_though_nobody_carried_the_trace_over() -> None:
    client = span({**CHAT, **NAMED}, number=1, trace=1)
    engine = span({**ENGINE, "gen_ai.request.id": NAMED["gen_ai.response.id"]}, number=9, trace=2)
    (found,) = Kept().post(client, engine)
    assert (found.id, found.model) == (f"{9:016x}", "llama")
    kept = Kept()
    assert [len(kept.post(one)) for one in (client, engine)] == [1, 0]


def test_what_is_around_a_known_request_is_known_too() -> None:
    around, client = span(CHAT, number=1), span({**CHAT, **NAMED}, number=2, parent=1)
    engine = span({**ENGINE, **NAMED}, number=9, trace=2)
    for deliveries in ([[engine], [client], [around]], [[engine], [client, around]], [[engine, client, around]]):
        kept = Kept()
        assert sum(len(kept.post(*spans)) for spans in deliveries) == 1


def test_short_response_ids_come_again_and_name_a_request_in_one_trace_only() -> None:
    said = {**CHAT, "gen_ai.response.id": "chatcmpl-77"}
    assert len(Kept().post(span(said, number=1, trace=1), span(said, number=2, trace=2))) == 2
    assert len(Kept().post(span(said, number=1, trace=1), span(said, number=2, trace=1))) == 1


def test_a_call_of_several_prompts_is_as_many_requests_to_the_engine() -> None:
    stem = "cmpl-0123456789abcdef"
    engine = [span({**ENGINE, "gen_ai.request.id": f"{stem}-{i}"}, number=10 + i, trace=2) for i in range(3)]
    client = span({**CHAT, "gen_ai.response.id": stem}, number=1)
    assert [found.id for found in Kept().post(client, *engine)] == [f"{10 + i:016x}" for i in range(3)]
    kept = Kept()
    assert [len(kept.post(one)) for one in (*engine, client)] == [1, 1, 1, 0]
    kept = Kept()
    assert [len(kept.post(one)) for one in (client, *engine)] == [1, 0, 0, 0]


def test_requests_beside_each_other_are_several_and_what_is_around_them_is_none() -> None:
    steps = [span(CHAT, number=i, parent=1) for i in (2, 3, 4)]
    around = span({**USAGE, "gen_ai.request.model": "llama", "wattledger.tenant": "search"}, number=1)
    found = Kept().post(around, *steps)
    assert [one.id for one in found] == [f"{i:016x}" for i in (2, 3, 4)]
    assert {one.tenant for one in found} == {"search"}
    kept = Kept()
    assert [len(kept.post(one)) for one in (*steps, around)] == [1, 1, 1, 0]


def test_cached_tokens_that_only_the_client_tells_are_taken_out() -> None:
    client = span({**CHAT, "gen_ai.usage.cache_read.input_tokens": 900}, number=1)
    (found,) = Kept().post(client, span(ENGINE, number=2, parent=1, kind=SERVER))
    assert (found.computed, found.cached) == (100, 900)


def test_a_span_is_remembered_for_as_long_as_it_would_be_believed() -> None:
    kept = Kept()
    assert len(kept.post(span(CHAT, ago_s=-60))) == 1
    kept.later(15 * 60 + 60)
    assert kept.post(span(CHAT, ago_s=-60)) == []
    assert kept.page.tally.again == 1
    kept.later(1)
    assert kept.post(span(CHAT, ago_s=-60)) == []
    assert kept.page.tally.rejected == {"it ended more than 15 minutes ago": 1}


def test_ids_that_come_again_after_that_are_another_request() -> None:
    kept = Kept()
    assert len(kept.post(span(CHAT))) == 1
    kept.later(15 * 60 + 61)
    assert len(kept.post(span(CHAT, ago_s=-900))) == 1


def test_spans_within_themselves_are_no_endless_walk() -> None:
    ring = [span(CHAT, number=i, parent=i % 3 + 1) for i in (1, 2, 3)]
    assert len(Kept().post(*ring)) == 1
    assert len(Kept().post(span(CHAT, number=7, parent=7))) <= 1


def test_what_is_remembered_is_bounded() -> None:
    memory = Once(most=5_000)
    usage = {"gen_ai.usage.input_tokens": 1, "gen_ai.usage.output_tokens": 1}
    for i in range(1, 12):
        spans = [
            Span(i.to_bytes(16), n.to_bytes(8), (n + 5_000).to_bytes(8), 3, NOW.wall_ns, NOW.wall_ns, usage, (), "")
            for n in range(1, 1_001)
        ]
        memory.learn(spans, NOW.mono_ns)
        memory.remember(memory.sift([heard(one, NOW, ()) for one in spans]), NOW.mono_ns)
    assert [len(held) for held in vars(memory).values() if isinstance(held, dict)] == [5_000] * 4
    assert len(memory.sift([heard(one, NOW, ()) for one in spans]).new) == 0


TOLD = st.tuples(st.integers(1, 6), st.integers(0, 6), st.integers(1, 2), st.booleans())


@given(st.lists(TOLD, max_size=12), st.data())
def test_in_whatever_pieces_spans_come_none_is_taken_twice(told: list[tuple[int, int, int, bool]], data: st.DataObject) -> None:
    spans = [span(ENGINE if engine else CHAT, number=i, parent=p, trace=t) for i, p, t, engine in told]
    cut = data.draw(st.integers(0, len(spans)))
    kept = Kept()
    found = [(one.id, one.end) for piece in (spans[:cut], spans[cut:], spans) for one in kept.post(*piece)]
    assert len(found) <= len({(t, i) for i, _, t, _ in told})
    assert kept.post(*spans) == []
