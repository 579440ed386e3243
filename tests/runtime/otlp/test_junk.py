"""Bytes of any kind are answered, and what is taken of them is sane."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.runtime.otlp.spans import CHAT, JSON, NOW, PROTOBUF, USAGE, Kept, as_protobuf, headers, span, traces

from wattledger.core.model import Request

ANSWERED = {200, 400}
WORDS = st.text(max_size=8) | st.sampled_from([*CHAT, "1", "SPAN_KIND_SERVER"])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["key", "value", "stringValue", "intValue", "doubleValue", "name", "timeUnixNano", "x"]), inner, max_size=4
    ),
    max_leaves=8,
)  # fmt: skip


@given(st.binary(max_size=200), st.sampled_from([JSON, PROTOBUF, ""]))
def test_bytes_of_any_kind_are_answered(body: bytes, form: str) -> None:
    kept = Kept()
    page = kept.page.serve(headers(form), body)
    assert page.status in {*ANSWERED, 415}
    assert not kept.deliveries


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from([*span({})]), JUNK, max_size=4), st.dictionaries(st.sampled_from([*CHAT]), JUNK, max_size=4))
def test_a_span_of_any_content_is_answered_and_what_is_taken_is_sane(more: dict[str, object], said: dict[str, object]) -> None:
    kept = Kept()
    sent = {**span({**USAGE, **{k: v for k, v in said.items() if isinstance(v, str | int | float | dict)}}), **more}
    page = kept.send(traces(sent))
    assert page.status in ANSWERED
    for delivery in kept.deliveries:
        for found in delivery:
            assert isinstance(found, Request)
            assert min(found.computed, found.cached, found.generated) >= 0
            assert found.scheduled.mono_ns <= found.first_token.mono_ns <= found.end.mono_ns <= NOW.mono_ns


@settings(max_examples=200)
@given(st.data())
def test_protobuf_with_flipped_bytes_is_answered(data: st.DataObject) -> None:
    body = bytearray(as_protobuf(NOW.wall_ns, 2))
    for at in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=6)):
        body[at] = data.draw(st.integers(0, 255))
    kept = Kept()
    assert kept.page.serve(headers(PROTOBUF), bytes(body)).status in ANSWERED
    for delivery in kept.deliveries:
        for found in delivery:
            assert isinstance(found, Request)
            assert 0 <= found.computed <= 10_000_000
