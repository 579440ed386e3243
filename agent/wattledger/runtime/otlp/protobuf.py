"""OTLP traces as protobuf, by the published messages (opentelemetry-proto, of the extra ``otlp``)."""

from collections.abc import Iterable, Iterator
from typing import Any

from wattledger.runtime.otlp.span import MOST_CHARS, NotHere, Said, Span, Wanted, WrongForm

CONTENT_TYPE = "application/x-protobuf"
NO_LIBRARY = "protobuf cannot be read here: pip install 'wattledger[otlp]' on the agent's side, or send JSON (application/json)"


def spans(body: bytes, wanted: Wanted) -> Iterator[Span]:
    """The spans of an ExportTraceServiceRequest, one after the other.  Raises WrongForm and NotHere, before the first."""
    message = _messages().ExportTraceServiceRequest()
    try:
        message.ParseFromString(body)
    except Exception as failure:  # protobuf's DecodeError, whose own library another file imports
        raise WrongForm("the body is no ExportTraceServiceRequest") from failure
    return _spans(message, wanted)


def _spans(message: Any, wanted: Wanted) -> Iterator[Span]:
    for of_resource in message.resource_spans:
        shared = dict(_said(of_resource.resource.attributes, wanted.resource))
        for of_scope in of_resource.scope_spans:
            scope = of_scope.scope.name
            for span in of_scope.spans:
                said = {**shared, **dict(_said(span.attributes, wanted.span))}
                events = tuple((event.name[:MOST_CHARS], event.time_unix_nano) for event in span.events)
                yield Span(
                    _id(span.trace_id, 16), _id(span.span_id, 8), _id(span.parent_span_id, 8),
                    span.kind, span.start_time_unix_nano, span.end_time_unix_nano, said, events, scope,
                )  # fmt: skip


def _id(data: bytes, n_bytes: int) -> bytes:
    return data if len(data) == n_bytes and any(data) else b""


def _said(attributes: Iterable[Any], wanted: frozenset[str]) -> Iterator[tuple[str, Said]]:
    for attribute in attributes:
        if attribute.key in wanted:
            value = attribute.value
            match value.WhichOneof("value"):
                case "string_value":
                    yield attribute.key, value.string_value[:MOST_CHARS]
                case "int_value" | "double_value" | "bool_value" as name:
                    yield attribute.key, getattr(value, name)


def answer(rejected: int, words: str) -> bytes:
    """An ExportTraceServiceResponse: empty where all was well."""
    response = _messages().ExportTraceServiceResponse()
    if rejected:
        response.partial_success.rejected_spans = rejected
        response.partial_success.error_message = words
    return bytes(response.SerializeToString())


def failure(code: int, words: str) -> bytes:
    """A google.rpc.Status (field 1: code, a varint; field 2: message, a string), as OTLP/HTTP asks for: written by hand, so that a
    refusal needs no library."""
    text = words.encode("utf-8", "replace")[:MOST_CHARS]
    return bytes((0x08, code, 0x12)) + _varint(len(text)) + text


def _varint(n: int) -> bytes:
    found = bytearray()
    while n > 0x7F:
        found.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes((*found, n))


def _messages() -> Any:
    try:
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
    except ImportError as missing:
        raise NotHere(NO_LIBRARY) from missing
    return trace_service_pb2
