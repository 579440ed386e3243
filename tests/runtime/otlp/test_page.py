"""``POST /v1/traces`` over real HTTP: a real exporter's deliveries, answers as OTLP has them, limits."""

import contextlib
import gzip
import json
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind
from tests.runtime.otlp.spans import CHAT, JSON, NOW, PROTOBUF, Kept, as_protobuf, headers, span, traces
from tests.runtime.web_clients import ask, served

from wattledger.core.model import Request, Sample
from wattledger.runtime import clock
from wattledger.runtime.otlp.page import MOST_WAITING, PER_S, Traces
from wattledger.runtime.web.pages import Accepts, Page
from wattledger.runtime.web.server import Web


class Agent:
    """A served page on the machine's clock, and the requests it handed on."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.page = Traces(self._put, clock.now)

    def _put(self, samples: Iterable[Sample]) -> None:
        self.requests += [sample for sample in samples if isinstance(sample, Request)]

    @contextlib.contextmanager
    def served(self) -> Iterator[Web]:
        with served({"/v1/traces": Accepts(self.page.serve)}) as web:
            yield web


@contextlib.contextmanager
def provider(web: Web, compression: Compression = Compression.NoCompression) -> Iterator[TracerProvider]:
    exporter = OTLPSpanExporter(f"http://127.0.0.1:{web.port}/v1/traces", compression=compression)
    made = TracerProvider(resource=Resource({"service.name": "tests", "wattledger.tenant": "search"}), shutdown_on_exit=False)
    made.add_span_processor(SimpleSpanProcessor(exporter))
    try:
        yield made
    finally:
        made.shutdown()


@pytest.mark.parametrize("compression", list(Compression))
def test_a_real_exporters_spans_become_requests(compression: Compression) -> None:
    agent = Agent()
    with agent.served() as web, provider(web, compression) as made:
        tracer = made.get_tracer("tests")
        with tracer.start_as_current_span("work"), tracer.start_as_current_span("chat llama", kind=SpanKind.CLIENT) as chat:
            chat.add_event("gen_ai.first_token")
            chat.set_attributes({**CHAT, "server.address": "localhost", "server.port": 8000})
            chat.set_attribute("gen_ai.usage.cache_read.input_tokens", 10)
    (found,) = agent.requests
    assert (found.model, found.address, found.tenant) == ("llama", "localhost:8000", "search")
    assert (found.computed, found.cached, found.generated) == (990, 10, 100)
    assert found.scheduled.mono_ns <= found.first_token.mono_ns <= found.end.mono_ns <= clock.now().mono_ns
    assert agent.page.tally == (1, 0, {})


def test_an_engine_and_its_client_by_real_context_are_one_request() -> None:
    agent = Agent()
    with (
        agent.served() as web,
        provider(web) as client,
        provider(web) as engine,
        client.get_tracer("client").start_as_current_span("chat llama", kind=SpanKind.CLIENT, attributes=CHAT),
    ):
        theirs = engine.get_tracer("vllm.llm_engine").start_span("llm_request", kind=SpanKind.SERVER)
        theirs.set_attributes({"gen_ai.usage.prompt_tokens": 1_000, "gen_ai.usage.completion_tokens": 100})
        theirs.end()
    assert len(agent.requests) == 1
    assert agent.page.tally == (1, 1, {})


def test_json_is_answered_in_json_and_protobuf_in_protobuf() -> None:
    wrong = {**CHAT, "gen_ai.usage.input_tokens": -5}
    spans: tuple[dict[str, Any], ...] = (CHAT, wrong, {}, {"gen_ai.operation.name": "chat"})
    message = traces(*(span(said, number=i) for i, said in enumerate(spans, 1)))
    with served({"/v1/traces": Accepts(Kept().page.serve)}) as web:
        reply = ask(web, "/v1/traces", "POST", body=json.dumps(message).encode(), Content_Type=f"{JSON}; charset=utf-8")
    assert (reply.status, reply.headers["Content-Type"]) == (200, JSON)
    partial = json.loads(reply.body)["partialSuccess"]
    assert partial == {
        "rejectedSpans": "2",
        "errorMessage": "1 rejected: a token count below 0 or above 10000000; "
        "1 rejected: no gen_ai.usage.input_tokens or output_tokens",
    }
    with served({"/v1/traces": Accepts(Kept().page.serve)}) as web:
        body = gzip.compress(as_protobuf(NOW.wall_ns, tokens=-5))
        reply = ask(web, "/v1/traces", "POST", body=body, Content_Type=PROTOBUF, Content_Encoding="gzip")
    answer = ExportTraceServiceResponse.FromString(reply.body)
    assert (reply.status, reply.headers["Content-Type"]) == (200, PROTOBUF)
    assert answer.partial_success.rejected_spans == 1
    assert answer.partial_success.error_message == "1 rejected: a token count below 0 or above 10000000"


@pytest.mark.parametrize("form", [JSON, PROTOBUF])
def test_an_empty_delivery_is_taken_and_all_went_well(form: str) -> None:
    page = Kept().page.serve(headers(form), b"{}" if form == JSON else b"")
    assert page == Page(form, b"{}" if form == JSON else b"")


NO_TRACES = [
    b"", b"{", b"[]", b"1", b"\xff\xfe\x00", b"[" * 100_000, b"9" * 100_000, b'{"resourceSpans": 1}', b'{"resourceSpans": [1]}',
    b'{"resourceSpans": [{"scopeSpans": {}}]}', b'{"resourceSpans": [{"resource": []}]}',
    b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": ["x"]}]}]}]}',
    b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"events": "x"}]}]}]}',
]  # fmt: skip


@pytest.mark.parametrize("body", NO_TRACES)
def test_what_is_no_otlp_is_refused_in_one_line_and_nothing_of_it_is_taken(body: bytes) -> None:
    kept = Kept()
    page = kept.page.serve(headers(), body)
    assert page.status == 400
    assert isinstance(page.body, bytes)
    said = json.loads(page.body)
    assert said["code"] == 3
    assert said["message"]
    assert "\n" not in said["message"]
    assert not kept.deliveries


def test_a_delivery_that_is_wrong_further_on_is_not_taken_in_part() -> None:
    kept = Kept()
    message = traces(span(CHAT), {"attributes": 7})
    assert kept.send(message).status == 400
    assert not kept.deliveries
    assert len(kept.post(span(CHAT))) == 1


def test_a_refusal_in_protobuf_is_a_status_that_its_readers_understand() -> None:
    from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

    page = Kept().page.serve(headers(PROTOBUF), b"\xff\xff")
    status = Status.FromString(page.body)
    assert (page.status, status.code, status.message) == (400, 3, "the body is no ExportTraceServiceRequest")


def test_another_form_is_named_as_what_it_is_not() -> None:
    page = Kept().page.serve(headers("text/plain"), b"{}")
    assert page.status == 415
    assert isinstance(page.body, bytes)
    assert JSON in page.body.decode()


def test_without_the_library_protobuf_is_refused_with_the_remedy_and_json_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    import opentelemetry.proto.collector.trace.v1 as package

    monkeypatch.delattr(package, "trace_service_pb2", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.trace.v1.trace_service_pb2", None)
    kept = Kept()
    page = kept.page.serve(headers(PROTOBUF), as_protobuf(NOW.wall_ns))
    assert page.status == 415
    assert isinstance(page.body, bytes)
    assert b"pip install 'wattledger[otlp]'" in page.body
    assert len(kept.post(span(CHAT))) == 1


def test_beyond_so_many_records_a_second_all_is_to_be_sent_again_and_then_it_is_taken() -> None:
    kept = Kept(per_s=100)
    body = [as_protobuf(NOW.wall_ns, n) for n in (90, 11)]
    other = as_protobuf(NOW.wall_ns - 1, 100)
    assert kept.page.serve(headers(PROTOBUF), body[0]).status == 200
    assert kept.page.serve(headers(PROTOBUF), body[1]).status == 200  # the same ones again: nothing new
    late = kept.page.serve(headers(PROTOBUF), as_other(other))
    assert (late.status, late.more) == (429, {"Retry-After": "1"})
    assert kept.page.tally.taken == 90
    kept.later(0.8)
    assert kept.page.serve(headers(PROTOBUF), as_other(other)).status == 429
    kept.later(0.1)
    assert kept.page.serve(headers(PROTOBUF), as_other(other)).status == 200
    assert kept.page.tally.taken == 190


def as_other(body: bytes) -> bytes:
    """The same spans in other traces."""
    message = ExportTraceServiceRequest.FromString(body)
    for found in message.resource_spans[0].scope_spans[0].spans:
        found.trace_id = b"\1" + found.trace_id[1:]
        del found.attributes[2:]
    return bytes(message.SerializeToString())


def test_more_spans_than_a_second_takes_are_too_many_at_once() -> None:
    kept = Kept()
    assert kept.send(traces(*[{}] * (PER_S + 1))).status == 413
    assert kept.send(traces(*[{}] * PER_S)).status == 200


def test_while_too_many_wait_no_more_are_taken_but_what_brings_none_is() -> None:
    waiting = [MOST_WAITING]
    kept = Kept(waiting=lambda: waiting[0])
    assert kept.send(traces(span(CHAT))).status == 429
    assert kept.send(traces(span({}))).status == 200
    waiting[0] -= 1
    assert len(kept.post(span(CHAT))) == 1


def test_two_at_once_are_read_one_after_the_other_and_a_request_in_both_is_one() -> None:
    agent, end_ns = Agent(), clock.now().wall_ns
    body = as_protobuf(end_ns, 200)
    with agent.served() as web:
        statuses: list[int] = []

        def send() -> None:
            statuses.append(ask(web, "/v1/traces", "POST", body=body, Content_Type=PROTOBUF).status)

        senders = [threading.Thread(target=send) for _ in range(4)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
    assert statuses == [200] * 4
    assert agent.page.tally == (200, 600, {})


def test_no_reason_and_no_log_quotes_what_was_sent(capsys: pytest.CaptureFixture[str]) -> None:
    secret = {**CHAT, "gen_ai.usage.input_tokens": "sk-secret", "gen_ai.prompt": "sk-secret", "wattledger.tenant": "sk-secret"}
    kept = Kept()
    assert "sk-secret" not in kept.refused(span(secret))
    assert "sk-secret" not in capsys.readouterr().err


def test_two_thousand_spans_are_read_in_a_fifth_of_a_second() -> None:
    """The best of three, of this thread's own time."""
    body = as_protobuf(NOW.wall_ns, 2_000)
    taken_s = []
    for _ in range(3):
        kept, began = Kept(), time.thread_time()
        assert kept.page.serve(headers(PROTOBUF), body).status == 200
        taken_s.append(time.thread_time() - began)
        assert kept.page.tally.taken == 2_000
    assert min(taken_s) <= 0.2
