"""What is told to the agent (OTLP JSON spans) and what it tells (``/tokens.json``): values and their forms, and no I/O."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, NamedTuple

from wattledger import Quantity, __version__
from wattledger.integrations._usage import Counts

_EPOCH, _US = datetime.fromtimestamp(0, UTC), timedelta(microseconds=1)
LOOPBACK = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"}


class Told(NamedTuple):
    """One call that ended: whom it went to (``host`` empty: not known), when, what it cost in tokens, and whom it is charged to.

    ``trace_id`` and ``span_id`` are those of the span that tells the same elsewhere (empty: drawn here), ``parent_id`` is the span
    around it: where the program exports its spans to the agent too, it knows by them what it has heard already.
    """

    operation: str
    model: str
    host: str
    port: int
    began: datetime
    first: datetime | None
    ended: datetime
    counts: Counts
    tenant: str | None = None
    response_id: str = ""
    response_model: str = ""
    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""


class Price(NamedTuple):
    """What one model's tokens cost at present; ``None``: not known."""

    prompt_j: Quantity | None
    generated_j: Quantity | None
    grams_per_joule: float | None


Prices = dict[tuple[str, int], dict[str, Price]]  # by (host, port) as `place` spells it, then by model


def place(host: str, port: int, *, seen_from: str = "") -> tuple[str, int]:
    """One spelling for each server: every loopback name is ``127.0.0.1``, or the host from which it was said (``seen_from``)."""
    host = host.strip("[]").lower()
    if host in LOOPBACK:
        host = seen_from.strip("[]").lower() or "127.0.0.1"
    return ("127.0.0.1" if host in LOOPBACK else host), port


def price(prices: Prices, told: Told) -> Price | None:
    """What the server's model costs; a server of one model serves that one, whatever the caller calls it.  ``None``: not known."""
    models = prices.get(place(told.host, told.port), {})
    for name in (told.response_model, told.model):
        if name in models:
            return models[name]
    return next(iter(models.values())) if len(models) == 1 else None


def prices_of(answer: Any, agent_host: str) -> Prices | None:
    """``/tokens.json`` by server and model; what is malformed is left out.  ``None``: it is not that document."""
    if not isinstance(answer, dict) or answer.get("schema") != "wattledger.tokens/1" or not isinstance(answer.get("models"), list):
        return None
    found: Prices = {}
    for entry in answer["models"]:
        if not isinstance(entry, dict) or not isinstance(addresses := entry.get("addresses"), list):
            continue
        grams = entry.get("grams_per_joule")
        one = Price(_quantity(entry.get("prompt_j")), _quantity(entry.get("generated_j")), grams if _is_price(grams) else None)
        for address in addresses:
            host, _, port = str(address).rpartition(":")
            if host and port.isascii() and port.isdigit():
                found.setdefault(place(host, int(port), seen_from=agent_host), {})[str(entry.get("model"))] = one
    return found


def _is_price(told: Any) -> bool:
    return isinstance(told, int | float) and not isinstance(told, bool) and isfinite(told) and told >= 0


def _quantity(told: Any) -> Quantity | None:
    if not isinstance(told, dict):
        return None
    value, low, high = (told.get(key) for key in ("value", "low", "high"))
    return Quantity(value, low, high) if all(_is_price(part) for part in (value, low, high)) else None  # type: ignore[arg-type]


def as_otlp(batch: Sequence[Told]) -> bytes:
    """An ExportTraceServiceRequest in JSON: ids in hex, 64-bit numbers as text (OTLP specification, "JSON Protobuf Encoding")."""
    resource = {"attributes": _attributes({"telemetry.sdk.language": "python", "telemetry.sdk.name": "wattledger"})}
    scope = {"name": "wattledger.integrations", "version": __version__}
    spans = [_span(told) for told in batch]
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": spans}]}]}).encode()


def unix_nano(at: datetime) -> int:
    """Nanoseconds since 1970; exact, as a float's would not be."""
    return (at - _EPOCH) // _US * 1000


def _span(told: Told) -> dict[str, Any]:
    counts = told.counts
    # Cache hits are a part of the input in the conventions.
    whole = None if counts.prompt is None else counts.prompt + (counts.cached or 0)
    words = {
        "gen_ai.operation.name": told.operation,
        "gen_ai.request.model": told.model,
        "gen_ai.response.model": told.response_model or None,
        "gen_ai.response.id": told.response_id or None,
        "gen_ai.usage.input_tokens": whole,
        "gen_ai.usage.output_tokens": counts.generated,
        "gen_ai.usage.cache_read.input_tokens": counts.cached,
        "server.address": told.host or None,
        "server.port": told.port or None,
        "wattledger.first_token_unix_nano": None if told.first is None else unix_nano(told.first),
        "wattledger.tenant": told.tenant,
    }
    parent = {"parentSpanId": told.parent_id} if told.parent_id else {}
    return {
        **parent,
        "traceId": told.trace_id or os.urandom(16).hex(),
        "spanId": told.span_id or os.urandom(8).hex(),
        "name": f"{told.operation} {told.model}",
        "kind": 3,
        "startTimeUnixNano": str(unix_nano(told.began)),
        "endTimeUnixNano": str(unix_nano(max(told.began, told.ended))),
        "attributes": _attributes(words),
    }


def _attributes(words: Mapping[str, str | int | None]) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue": str(said)} if isinstance(said, int) else {"stringValue": said}}
        for key, said in words.items()
        if said is not None
    ]
