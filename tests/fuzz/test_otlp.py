"""Traces by OTLP: any body in any form is answered, and what is taken of it is a request that can have been."""

import gzip
import json
import zlib
from email.message import Message

from hypothesis import example, given
from hypothesis import strategies as st
from tests.fuzz.kit import as_json, bent, bent_bytes, fuzzed, is_count, is_label, json_bytes, junk, raw, taken
from tests.runtime.otlp.spans import CHAT, JSON, NOW, PROTOBUF, USAGE, Kept, as_protobuf, headers, span, traces

from wattledger.core.model import Request
from wattledger.runtime.otlp.received import MOST_TOKENS, NAME_CHARS
from wattledger.runtime.web import body as bodies

GOOD = traces(span({**CHAT, "server.address": "h", "server.port": 8000, "wattledger.tenant": "red", "gen_ai.response.id": "r" * 20},
                   events=[("gen_ai.first_token", 1.0)]), span(USAGE, number=2, parent=1))  # fmt: skip
SPANS = as_protobuf(NOW.wall_ns, 2)
forms = st.sampled_from([JSON, PROTOBUF, "application/protobuf", "text/plain", ""])


def sane(kept: Kept) -> None:
    for delivery in kept.deliveries:
        for found in delivery:
            assert isinstance(found, Request)
            assert all(is_count(n, MOST_TOKENS + 1) for n in (found.computed, found.cached, found.generated))
            assert found.scheduled.mono_ns <= found.first_token.mono_ns <= found.end.mono_ns <= NOW.mono_ns
            assert is_label(found.model, NAME_CHARS)
            assert is_label(found.tenant, NAME_CHARS)
            assert not found.tenant.startswith("(")
            assert is_label(found.address, NAME_CHARS + 20)
            assert is_label(found.id, NAME_CHARS)


@fuzzed(5)
@given(json_bytes | bent(GOOD).map(as_json) | bent_bytes(SPANS) | bent_bytes(as_json(GOOD)) | raw, forms)
@example(b"[" * 20_000, JSON)
@example(as_json(GOOD).replace(b'"8000"', b'"' + b"9" * 5_000 + b'"'), JSON)
@example(as_json(GOOD).replace(b'"8000"', '"²"'.encode()), JSON)
@example(as_json(GOOD).replace(b'"intValue": "8000"', b'"intValue": 1' + b"0" * 4_000), JSON)
@example(as_json(GOOD).replace(b'"intValue": "8000"', b'"doubleValue": 1e308'), JSON)
@example(as_json(GOOD).replace(b'"stringValue": "h"', b'"stringValue": "\\ud800"'), JSON)
@example(as_json(GOOD).replace(b"r" * 20, b"\\ud800" * 20), JSON)
@example(b"\x0a" * 1_000, PROTOBUF)
def test_any_delivery_is_answered_and_what_is_taken_can_have_been(body: bytes, form: str) -> None:
    kept = Kept()
    for _ in range(2):
        page = kept.page.serve(headers(form), body)
        assert page.status in (200, 400, 413, 415, 429)
        assert isinstance(page.body, bytes)
        assert len(page.body) < 10_000
        if form == JSON:
            json.loads(page.body)
    sane(kept)
    # Told twice, taken once.
    assert len(kept.deliveries) <= 1 or form == ""
    assert kept.page.serve(headers(), as_json(GOOD)).status == 200


@fuzzed(3)
@given(
    st.dictionaries(st.sampled_from([*span({}), "traceId", "attributes"]), junk, max_size=4),
    st.dictionaries(st.sampled_from([*CHAT, "server.port", "gen_ai.latency.time_to_first_token"]), junk, max_size=4),
)
def test_a_span_of_any_content_is_answered(more: dict[str, object], said: dict[str, object]) -> None:
    kept = Kept()
    page = kept.page.serve(headers(), as_json(traces({**span({**USAGE, **said}), **more})))
    assert page.status in (200, 400)
    sane(kept)


@fuzzed(3)
@given(
    raw | bent_bytes(gzip.compress(as_json(GOOD), mtime=0)) | bent_bytes(zlib.compress(as_json(GOOD))),
    st.sampled_from(["gzip", "deflate", "identity", "br", "GZIP ", "", "\x00"]),
)
@example(gzip.compress(b"0" * 50_000_000, mtime=0), "gzip")
def test_any_packed_body_is_unpacked_within_the_limit_or_refused(body: bytes, encoding: str) -> None:
    told = Message()
    told["Content-Encoding"] = encoding
    found = taken(lambda: bodies.unpacked(told, body), bodies.Refused)
    assert found is None or len(found) <= bodies.UNPACKED_BYTES


@fuzzed(3)
@given(
    st.sampled_from(["5", "²", "9" * 5_000, "-1", " 7 ", "0x5", "", "5,5", "٣", "1e3", "4000001"]),
    st.none() | st.sampled_from(["chunked", "", "identity"]),
)
def test_any_length_of_a_body_is_a_number_within_the_limit_or_refused(said: str, transfer: str | None) -> None:
    told = Message()
    told["Content-Length"] = said
    if transfer is not None:
        told["Transfer-Encoding"] = transfer
    found = taken(lambda: bodies.length(told), bodies.Refused)
    assert found is None or is_count(found, bodies.BODY_BYTES + 1)
