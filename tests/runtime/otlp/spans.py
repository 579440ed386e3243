"""Spans in OTLP's JSON form, written by hand as the specification has it, and in protobuf; a page that keeps what it hands on."""

import json
from collections.abc import Iterable, Mapping, Sequence
from email.message import Message
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from wattledger.core.model import Instant, Request, Sample
from wattledger.runtime.otlp.page import Traces
from wattledger.runtime.web.pages import Page

S = 1_000_000_000
NOW = Instant(5_000 * S, 1_800_000_000 * S)
USAGE: dict[str, str | int] = {"gen_ai.usage.input_tokens": 1_000, "gen_ai.usage.output_tokens": 100}
CHAT: dict[str, str | int] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "llama", **USAGE}
CLIENT, SERVER = 3, 2
JSON, PROTOBUF = "application/json", "application/x-protobuf"


def value(said: object) -> dict[str, object]:
    match said:
        case bool():
            return {"boolValue": said}
        case int():
            return {"intValue": str(said)}
        case float():
            return {"doubleValue": said}
        case dict():
            return dict(said)
    return {"stringValue": said}


def attributes(said: Mapping[str, object]) -> list[dict[str, object]]:
    return [{"key": key, "value": value(what)} for key, what in said.items()]


def span(
    said: Mapping[str, object], *, number: int = 1, parent: int = 0, trace: int = 1, kind: int = CLIENT, ago_s: float = 0.0,
    lasts_s: float = 10.0, events: Sequence[tuple[str, float]] = (), **more: object,
) -> dict[str, object]:  # fmt: skip
    """Ended ``ago_s`` before NOW; ``events``: names and seconds since its start."""
    end_ns = NOW.wall_ns - round(ago_s * S)
    start_ns = end_ns - round(lasts_s * S)
    return {
        "traceId": f"{trace:032x}", "spanId": f"{number:016x}", "parentSpanId": f"{parent:016x}" if parent else "", "kind": kind,
        "name": "chat llama", "startTimeUnixNano": str(start_ns), "endTimeUnixNano": str(end_ns), "attributes": attributes(said),
        "events": [{"name": name, "timeUnixNano": str(start_ns + round(at_s * S))} for name, at_s in events], **more,
    }  # fmt: skip


def traces(*spans: Mapping[str, object], resource: Mapping[str, object] | None = None, scope: str = "tests") -> dict[str, Any]:
    scoped = {"scope": {"name": scope}, "spans": list(spans)}
    return {"resourceSpans": [{"resource": {"attributes": attributes(resource or {})}, "scopeSpans": [scoped]}]}


def as_protobuf(end_ns: int, n: int = 1, tokens: int = 5) -> bytes:
    """``n`` spans as large as vLLM's."""
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add()
    spans.scope.name = "vllm.llm_engine"
    for i in range(n):
        found = spans.spans.add(
            trace_id=(i + 1).to_bytes(16), span_id=(i + 1).to_bytes(8), parent_span_id=(i + 7_000_000).to_bytes(8),
            name="llm_request", kind=2, start_time_unix_nano=end_ns - 10 * S, end_time_unix_nano=end_ns,
        )  # fmt: skip
        for name in ("prompt_tokens", "completion_tokens"):
            found.attributes.add(key=f"gen_ai.usage.{name}").value.int_value = tokens
        for name in ("time_in_queue", "time_to_first_token", "e2e", "time_in_model_prefill", "time_in_model_decode"):
            found.attributes.add(key=f"gen_ai.latency.{name}").value.double_value = 0.5
        for name in ("request.id", "response.model", "request.max_tokens", "request.temperature", "request.top_p"):
            found.attributes.add(key=f"gen_ai.{name}").value.string_value = f"chatcmpl-{name}-{i:032x}"
    return bytes(message.SerializeToString())


def headers(content_type: str = JSON) -> Message:
    found = Message()
    found["Content-Type"] = content_type
    return found


class Kept:
    """A page, what it handed on (a list for each time), and its time, which stands still at NOW until it is set."""

    def __init__(self, **more: Any) -> None:
        self.now = NOW
        self.deliveries: list[list[Sample]] = []
        self.page = Traces(self._put, lambda: self.now, **more)

    def _put(self, samples: Iterable[Sample]) -> None:
        self.deliveries.append(list(samples))

    def later(self, seconds: float) -> None:
        self.now = Instant(self.now.mono_ns + round(seconds * S), self.now.wall_ns + round(seconds * S))

    def send(self, message: object) -> Page:
        return self.page.serve(headers(), json.dumps(message).encode())

    def post(self, *spans: Mapping[str, object], **more: Any) -> list[Request]:
        """The requests that are handed on of one delivery, which is taken."""
        before = len(self.deliveries)
        page = self.send(traces(*spans, **more))
        assert page.status == 200, page.body
        return [sample for delivery in self.deliveries[before:] for sample in delivery if isinstance(sample, Request)]

    def refused(self, *spans: Mapping[str, object], **more: Any) -> str:
        """Why nothing of one delivery of one span was handed on."""
        page = self.send(traces(*spans, **more))
        assert page.status == 200, page.body
        assert not self.deliveries
        assert isinstance(page.body, bytes)
        partial = json.loads(page.body)["partialSuccess"]
        assert partial["rejectedSpans"] == "1"
        return str(partial["errorMessage"])
