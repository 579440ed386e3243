"""A span → the request that it tells of: names old and new, times, what is believed and what is not."""

import math
from collections.abc import Mapping

import pytest
from tests.runtime.otlp.spans import CHAT, NOW, SERVER, USAGE, Kept, S, span

from wattledger.core.model import Instant, Request


def at(ago_s: float) -> Instant:
    return Instant(NOW.mono_ns - round(ago_s * S), NOW.wall_ns - round(ago_s * S))


def one(said: Mapping[str, object], **more: object) -> Request:
    (found,) = Kept().post(span(said, **more))  # type: ignore[arg-type]
    return found


def test_a_span_becomes_a_request_on_both_clocks() -> None:
    said = {**CHAT, "gen_ai.usage.cache_read.input_tokens": 400, "server.address": "127.0.0.1", "server.port": 8000,
            "wattledger.tenant": "search"}  # fmt: skip
    found = one(said, number=0xABC, ago_s=2, events=[("gen_ai.first_token", 4.0)])
    assert found == Request(
        f"{0xABC:016x}", "llama", at(12), at(8), at(2), computed=600, cached=400, generated=100, address="127.0.0.1:8000",
        tenant="search",
    )  # fmt: skip


def test_vllms_own_span_has_old_names_and_knows_when_it_was_scheduled() -> None:
    said = {
        "gen_ai.usage.prompt_tokens": 1_000, "gen_ai.usage.completion_tokens": 100, "gen_ai.latency.time_in_queue": 2.5,
        "gen_ai.latency.time_to_first_token": 4.0, "gen_ai.latency.e2e": 10.0, "gen_ai.request.id": "chatcmpl-1",
    }  # fmt: skip
    found = one(said, kind=SERVER, name="llm_request")
    assert (found.scheduled, found.first_token, found.end) == (at(7.5), at(6), at(0))
    assert (found.computed, found.cached, found.generated, found.model) == (1_000, 0, 100, "")


@pytest.mark.parametrize(
    ("more", "events", "first_s"),
    [
        ({"wattledger.first_token_unix_nano": NOW.wall_ns - 7 * S}, (), 3.0),
        ({"wattledger.first_token_unix_nano": str(NOW.wall_ns - 7 * S)}, [("x.first_token", 4.0)], 3.0),
        ({"gen_ai.response.time_to_first_chunk": 0.5}, (), 0.5),
        ({}, [("gen_ai.content.completion", 2.0)], 2.0),
        # Ten prompt tokens for one generated: 1,000 take as long as 100, which is half the time.
        ({}, (), 5.0),
        ({}, [("gen_ai.content.completion", 9.9)], 5.0),
        ({"gen_ai.latency.time_to_first_token": 11.0}, (), 5.0),
        ({"gen_ai.latency.time_to_first_token": -1.0}, (), 5.0),
        ({"gen_ai.latency.time_to_first_token": {"doubleValue": "NaN"}}, (), 5.0),
        ({"gen_ai.latency.time_to_first_token": True}, (), 5.0),
        ({"wattledger.first_token_unix_nano": 12}, (), 5.0),
        ({"gen_ai.usage.cache_read.input_tokens": 1_000}, (), 0.0),
    ],
)
def test_the_first_token_is_told_or_put_by_token_counts(
    more: dict[str, object], events: list[tuple[str, float]], first_s: float
) -> None:
    assert one({**CHAT, **more}, events=events).first_token == at(10 - first_s)


def test_a_queue_longer_than_the_span_is_not_believed() -> None:
    assert one({**CHAT, "gen_ai.latency.time_in_queue": 11.0}).scheduled == at(10)


def test_a_clock_that_is_a_little_ahead_is_moved_back_whole() -> None:
    found = one(CHAT, ago_s=-30)
    assert (found.scheduled, found.end) == (at(10), at(0))


@pytest.mark.parametrize("name", ["chat", "text_completion", "generate_content", "embeddings"])
def test_the_operation_or_the_usage_makes_it_a_request(name: str) -> None:
    assert one({**USAGE, "gen_ai.operation.name": name}).generated == 100
    assert one({**USAGE, "gen_ai.operation.name": "something new"}).generated == 100
    assert one(dict(USAGE)).generated == 100


@pytest.mark.parametrize("name", ["invoke_agent", "execute_tool", "create_agent", "invoke_workflow", "retrieval"])
def test_what_sums_up_requests_is_none(name: str) -> None:
    assert Kept().post(span({**CHAT, "gen_ai.operation.name": name})) == []


def test_other_spans_are_taken_and_forgotten() -> None:
    kept = Kept()
    assert kept.post(span({"http.request.method": "POST", "server.port": 8000})) == []
    assert kept.page.tally == (0, 0, {})


def test_embeddings_generate_nothing() -> None:
    found = one({"gen_ai.operation.name": "embeddings", "gen_ai.usage.input_tokens": 512})
    assert (found.computed, found.generated, found.first_token) == (512, 0, found.end)


@pytest.mark.parametrize(
    ("said", "more", "why"),
    [
        ({"gen_ai.operation.name": "chat"}, {}, "no gen_ai.usage"),
        ({"gen_ai.usage.output_tokens": 3}, {}, "no gen_ai.usage"),
        ({"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 3}, {}, "no gen_ai.usage"),
        ({**USAGE, "gen_ai.usage.input_tokens": -1}, {}, "below 0"),
        ({**USAGE, "gen_ai.usage.input_tokens": 10_000_001}, {}, "above 10000000"),
        ({**USAGE, "gen_ai.usage.input_tokens": 1e300}, {}, "above 10000000"),
        ({**USAGE, "gen_ai.usage.input_tokens": {"intValue": "9" * 4_000}}, {}, "no whole number"),
        ({**USAGE, "gen_ai.usage.input_tokens": {"doubleValue": "NaN"}}, {}, "no whole number"),
        ({**USAGE, "gen_ai.usage.input_tokens": {"doubleValue": "Infinity"}}, {}, "no whole number"),
        ({**USAGE, "gen_ai.usage.input_tokens": math.nan}, {}, "no whole number"),
        ({**USAGE, "gen_ai.usage.input_tokens": 1.5}, {}, "no whole number"),
        ({**USAGE, "gen_ai.usage.input_tokens": True}, {}, "no whole number"),
        ({**USAGE, "gen_ai.usage.input_tokens": "many"}, {}, "no whole number"),
        ({**USAGE, "gen_ai.usage.cache_read.input_tokens": 1_001}, {}, "more cached"),
        ({"gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}, {}, "no tokens at all"),
        (CHAT, {"ago_s": -61}, "in the future"),
        (CHAT, {"ago_s": 15 * 60 + 1}, "15 minutes"),
        (CHAT, {"lasts_s": -1}, "an end before its start"),
        (CHAT, {"lasts_s": 86_401}, "no start and end"),
        (CHAT, {"startTimeUnixNano": "0"}, "no start and end"),
        (CHAT, {"endTimeUnixNano": None}, "no start and end"),
        (CHAT, {"endTimeUnixNano": "1" * 30}, "no start and end"),
        (CHAT, {"traceId": "0" * 32}, "no valid trace"),
        (CHAT, {"spanId": "xyz"}, "no valid trace"),
        ({**CHAT, "wattledger.tenant": "(unrecorded)"}, {}, "bracket"),
    ],
)
def test_what_cannot_be_believed_is_rejected_with_a_reason_and_counted(
    said: dict[str, object], more: dict[str, object], why: str
) -> None:
    kept = Kept()
    words = kept.refused(span(said, **more))  # type: ignore[arg-type]
    assert why in words
    assert "\n" not in words
    assert sum(kept.page.tally.rejected.values()) == 1


@pytest.mark.parametrize("written", ["12", {"stringValue": "12"}, {"intValue": 12}, {"intValue": "12"}, 12.0])
def test_a_count_may_be_written_as_a_string(written: object) -> None:
    assert one({**CHAT, "gen_ai.usage.output_tokens": written}).generated == 12


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        ("127.0.0.1", 8000, "127.0.0.1:8000"),
        ("gpu-7", "8000", "gpu-7:8000"),
        ("::1", 8000, "[::1]:8000"),
        ("[::1]", 8000, "[::1]:8000"),
        ("http://localhost:8000/v1", None, "localhost:8000"),
        ("http://localhost", None, "localhost:80"),
        ("api.example.com", None, "api.example.com:443"),
        ("localhost:8000", 8000, "localhost:8000"),
        (None, 8000, ""),
    ],
)
def test_an_address_is_host_and_port(host: str | None, port: object, address: str) -> None:
    said = {"server.address": host, "server.port": port}
    assert one({**CHAT, **{name: what for name, what in said.items() if what is not None}}).address == address


def test_a_resource_may_say_which_engine_and_whom_for_and_its_span_says_it_better() -> None:
    resource = {"server.address": "127.0.0.1", "server.port": 8001, "gen_ai.request.model": "other", "wattledger.tenant": "ads"}
    (found,) = Kept().post(span({**CHAT, "gen_ai.request.model": "llama"}), resource=resource)
    assert (found.address, found.model, found.tenant) == ("127.0.0.1:8001", "llama", "ads")


def test_names_of_people_are_not_read_unless_that_is_asked_for() -> None:
    said = {**CHAT, "enduser.id": "alice", "user.id": "alice"}
    assert one(said).tenant == ""
    (found,) = Kept(tenants=("wattledger.tenant", "enduser.id")).post(span(said))
    assert found.tenant == "alice"


@pytest.mark.parametrize(("response", "name"), [("chatcmpl-0123456789", "chatcmpl-0123456789"), ("chatcmpl-12", f"{1:016x}")])
def test_a_request_is_named_by_its_response_where_that_names_one_only(response: str, name: str) -> None:
    assert one({**CHAT, "gen_ai.response.id": response}).id == name


@pytest.mark.parametrize("model", ["a\nb", "\ud800", "x" * 300, ""])
def test_what_is_no_name_is_not_taken_for_one(model: str) -> None:
    assert one({**CHAT, "gen_ai.request.model": model, "gen_ai.response.model": "llama-3"}).model == "llama-3"
