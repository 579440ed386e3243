"""OTLP traces as JSON (the OTLP specification's "JSON Protobuf Encoding"): ids in hexadecimal, 64-bit ints as decimal strings."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from wattledger.runtime.otlp.span import MOST_CHARS, Said, Span, Wanted, WrongForm

CONTENT_TYPE = "application/json"
KINDS = {"SPAN_KIND_INTERNAL": 1, "SPAN_KIND_SERVER": 2, "SPAN_KIND_CLIENT": 3, "SPAN_KIND_PRODUCER": 4, "SPAN_KIND_CONSUMER": 5}
INT_DIGITS = 20  # of an int64 with its sign; a longer word is none, and is not made a number


def spans(body: bytes, wanted: Wanted) -> Iterator[Span]:
    """The spans of an ExportTraceServiceRequest, one after the other.  Raises WrongForm, also on the way."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as failure:  # not UTF-8 and numbers without end are ValueErrors, too
        raise WrongForm("the body is no JSON") from failure
    return _spans(_object(message, "the body"), wanted)


def _spans(message: Mapping[str, Any], wanted: Wanted) -> Iterator[Span]:
    for of_resource in _objects(message, "resourceSpans"):
        shared = dict(_said(_objects(_inner(of_resource, "resource"), "attributes"), wanted.resource))
        for of_scope in _objects(of_resource, "scopeSpans"):
            name = _inner(of_scope, "scope").get("name")
            scope = name[:MOST_CHARS] if isinstance(name, str) else ""
            for span in _objects(of_scope, "spans"):
                said = {**shared, **dict(_said(_objects(span, "attributes"), wanted.span))}
                yield _span(span, said, scope)


def _span(span: Mapping[str, Any], said: Mapping[str, Said], scope: str) -> Span:
    kind = span.get("kind", 0)
    events = tuple(
        (event["name"][:MOST_CHARS], _nanoseconds(event.get("timeUnixNano")))
        for event in _objects(span, "events")
        if isinstance(event.get("name"), str)
    )
    return Span(
        _id(span.get("traceId"), 16), _id(span.get("spanId"), 8), _id(span.get("parentSpanId"), 8),
        KINDS.get(kind, 0) if isinstance(kind, str) else kind if isinstance(kind, int) else 0,
        _nanoseconds(span.get("startTimeUnixNano")), _nanoseconds(span.get("endTimeUnixNano")), said, events, scope,
    )  # fmt: skip


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise WrongForm(f"{where} is no object")
    return value


def _inner(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = of.get(name)
    return {} if value is None else _object(value, name)


def _objects(of: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = of.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise WrongForm(f"{name} is no list")
    for item in value:
        _object(item, f"what {name} holds")
    return value


def _id(value: Any, n_bytes: int) -> bytes:
    if not isinstance(value, str) or len(value) != 2 * n_bytes:
        return b""
    try:
        found = bytes.fromhex(value)
    except ValueError:
        return b""
    return found if len(found) == n_bytes and any(found) else b""


def _nanoseconds(value: Any) -> int:
    """0, which is what protobuf has for it, where it is not told."""
    found = _int(value)
    return found if isinstance(found, int) and 0 <= found < 1 << 64 else 0


def _int(value: Any) -> int | None:
    if isinstance(value, str) and len(value) <= INT_DIGITS and value.isascii() and value.removeprefix("-").isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _said(attributes: list[Mapping[str, Any]], wanted: frozenset[str]) -> Iterator[tuple[str, Said]]:
    for attribute in attributes:
        key = attribute.get("key")
        if isinstance(key, str) and key in wanted:
            value = _value(_inner(attribute, "value"))
            if value is not None:
                yield key, value


def _value(value: Mapping[str, Any]) -> Said | None:
    """``None`` for what is no single value."""
    match value:
        case {"stringValue": str(text)}:
            return text[:MOST_CHARS]
        case {"boolValue": bool(yes)}:
            return yes
        case {"intValue": n}:
            # What is no int stays as it was said, so that it is refused and not passed over.
            found = _int(n)
            return found if found is not None else n[:MOST_CHARS] if isinstance(n, str) else float("nan")
        case {"doubleValue": float(x) | int(x)}:
            return x
        case {"doubleValue": str(word)} if word in ("NaN", "Infinity", "-Infinity"):
            return float(word.replace("Infinity", "inf"))
    return None


def answer(rejected: int, words: str) -> bytes:
    """An ExportTraceServiceResponse: empty where all was well."""
    if not rejected:
        return b"{}"
    return json.dumps({"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": words}}).encode()


def failure(code: int, words: str) -> bytes:
    """A google.rpc.Status."""
    return json.dumps({"code": code, "message": words}).encode()
