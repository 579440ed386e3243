"""A span with GenAI attributes → the request that it tells of.

Names, old and new: OpenTelemetry's GenAI conventions up to 1.42; vLLM 0.33's ``vllm/tracing/utils.py``
(``gen_ai.usage.prompt_tokens``, ``gen_ai.latency.*`` in seconds since the request arrived); OpenLLMetry's
``cache_read_input_tokens``.  Input tokens include cached ones.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from wattledger.core.model import Instant, Request
from wattledger.core.units import NS_PER_S
from wattledger.runtime.otlp.span import SERVER, Said, Span, Wanted

INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
CACHED = ("gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens")
OPERATION = "gen_ai.operation.name"
MODEL = ("gen_ai.request.model", "gen_ai.response.model")  # the first is the name that the engine is known by
RESPONSE_ID, REQUEST_ID = "gen_ai.response.id", "gen_ai.request.id"
HOST, PORT = "server.address", "server.port"
FIRST_TOKEN_AT = "wattledger.first_token_unix_nano"
TO_FIRST_TOKEN = ("gen_ai.latency.time_to_first_token", "gen_ai.response.time_to_first_chunk")
IN_QUEUE = "gen_ai.latency.time_in_queue"
TENANT = "wattledger.tenant"

TO_A_MODEL = {"chat", "text_completion", "generate_content", "embeddings", "completion"}
NOT_TO_A_MODEL = {"create_agent", "invoke_agent", "execute_tool", "invoke_workflow", "retrieval"}  # may sum up what is inside them
ENGINES = ("vllm", "sglang", "text-generation", "text_generation", "tensorrt_llm", "tritonserver")  # how their tracers' names begin

MOST_TOKENS = 10_000_000
AHEAD_NS = 60 * NS_PER_S  # a clock that is off by more is not believed
OLDEST_NS = 15 * 60 * NS_PER_S
LONGEST_NS = 24 * 3_600 * NS_PER_S
PROMPT_TOKEN_TIME = 10  # so many prompt tokens take about as long as one generated token
LONG_ID = 16  # shorter response ids are counters or three random digits, and come again
NAME_CHARS = 256


class Rejected(Exception):
    """A span that tells of a request, but not so that it can be believed; the message is one of few and quotes nothing."""


class Heard(NamedTuple):
    """A request and what says which other spans tell of it: its ``names`` and what it is ``within``; see ``once``.

    ``engine``: told by the engine itself, which knows best.
    """

    request: Request
    names: tuple[bytes, ...]
    within: tuple[bytes, ...]
    engine: bool
    server: bool


def wanted(tenants: Sequence[str]) -> Wanted:
    """The attributes that are read, ``tenants`` being those that say whom a request is charged to."""
    shared = {*MODEL, HOST, PORT, *tenants}
    own = {*INPUT, *OUTPUT, *CACHED, OPERATION, RESPONSE_ID, REQUEST_ID, FIRST_TOKEN_AT, *TO_FIRST_TOKEN, IN_QUEUE}
    return Wanted(frozenset(shared | own), frozenset(shared))


def tells_of_a_request(span: Span) -> bool:
    """By its operation, else by token counts."""
    operation = span.said.get(OPERATION)
    if operation in NOT_TO_A_MODEL:
        return False
    return operation in TO_A_MODEL or any(name in span.said for name in (*INPUT, *OUTPUT))


def heard(span: Span, now: Instant, tenants: Sequence[str]) -> Heard:
    """The request of a span that tells of one.  Raises Rejected.

    Where nothing says when the first token came, it is put where it would be if ten prompt tokens took as long as one
    generated token: a guess that moves energy between the intervals of one request, and between requests, a little.
    """
    said = span.said
    if not (span.trace and span.id):
        raise Rejected("no valid trace and span id")
    total, generated = _tokens(said, INPUT), _tokens(said, OUTPUT)
    cached = _tokens(said, CACHED) or 0
    if generated is None and said.get(OPERATION) == "embeddings":
        generated = 0
    if total is None or generated is None:
        raise Rejected("no gen_ai.usage.input_tokens or output_tokens")
    if cached > total:
        raise Rejected("more cached than input tokens")
    if not total + generated:
        raise Rejected("no tokens at all")
    start_ns, end_ns = _times(span, now)
    scheduled_ns, first_ns = _within(span, start_ns, end_ns, total - cached, generated)
    late_ns = max(0, end_ns - now.wall_ns)  # it has ended, so its clock is ahead of ours by so much at least
    response = _text(said, (RESPONSE_ID,))
    request = Request(
        response if len(response) >= LONG_ID else span.id.hex(),
        _text(said, MODEL),
        _instant(scheduled_ns - late_ns, now),
        _instant(first_ns - late_ns, now),
        _instant(end_ns - late_ns, now),
        total - cached,
        cached,
        generated,
        _address(said),
        _tenant(said, tenants),
    )
    engine = IN_QUEUE in said or TO_FIRST_TOKEN[0] in said or span.scope.lower().startswith(ENGINES)
    return Heard(request, *_identity(span, response), engine, span.kind == SERVER)


def _tokens(said: Mapping[str, Said], names: Sequence[str]) -> int | None:
    """The first of ``names`` that is said; ``None`` for none."""
    value = next((said[name] for name in names if name in said), None)
    if value is None:
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Rejected("a token count that is no whole number")
    if not 0 <= value <= MOST_TOKENS:
        raise Rejected(f"a token count below 0 or above {MOST_TOKENS}")
    return value


def _times(span: Span, now: Instant) -> tuple[int, int]:
    start_ns, end_ns = span.start_ns, span.end_ns
    if not 0 < start_ns <= end_ns or end_ns - start_ns > LONGEST_NS:
        raise Rejected("no start and end, or an end before its start")
    if end_ns > now.wall_ns + AHEAD_NS:
        raise Rejected("an end in the future: the clocks differ by more than a minute")
    if end_ns < now.wall_ns - OLDEST_NS:
        raise Rejected("it ended more than 15 minutes ago")
    return start_ns, end_ns


def _within(span: Span, start_ns: int, end_ns: int, computed: int, generated: int) -> tuple[int, int]:
    """When it was scheduled and when its first token came; what lies outside the span is as good as not told."""
    length_ns = end_ns - start_ns
    scheduled_ns = start_ns + (_duration_ns(span.said, (IN_QUEUE,), length_ns) or 0)
    told = span.said.get(FIRST_TOKEN_AT)
    if isinstance(told, str) and told.isascii() and told.isdigit() and len(told) <= 20:
        told = int(told)
    found = [told] if isinstance(told, int) else []
    delay_ns = _duration_ns(span.said, TO_FIRST_TOKEN, length_ns)
    found += [start_ns + delay_ns] if delay_ns is not None else []
    found += [at_ns for name, at_ns in span.events if "first_token" in name]
    # Written when the answer was whole, this event comes last and tells nothing.
    found += [at_ns for name, at_ns in span.events if name == "gen_ai.content.completion" and at_ns < end_ns - length_ns // 20]
    for at_ns in found:
        if scheduled_ns <= at_ns <= end_ns:
            return scheduled_ns, at_ns
    whole = computed + PROMPT_TOKEN_TIME * generated
    return scheduled_ns, scheduled_ns + (end_ns - scheduled_ns) * computed // whole if whole else end_ns


def _duration_ns(said: Mapping[str, Said], names: Sequence[str], most_ns: int) -> int | None:
    value = next((said[name] for name in names if name in said), None)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    found_ns = round(value * NS_PER_S)
    return found_ns if 0 <= found_ns <= most_ns else None


def _instant(wall_ns: int, now: Instant) -> Instant:
    return Instant(now.mono_ns - (now.wall_ns - wall_ns), wall_ns)


def _text(said: Mapping[str, Said], names: Sequence[str]) -> str:
    """The first that is a name; empty for none."""
    for name in names:
        value = said.get(name)
        if isinstance(value, str) and 0 < len(value) <= NAME_CHARS and value.isprintable():
            return value
    return ""


def _tenant(said: Mapping[str, Said], tenants: Sequence[str]) -> str:
    found = _text(said, tenants)
    if found.startswith("("):
        raise Rejected("a tenant whose name begins with a bracket")
    return found


def _address(said: Mapping[str, Said]) -> str:
    """``host:port``; without a port 443, which the conventions let out (80 where the address is a URL that says so)."""
    scheme, _, rest = _text(said, (HOST,)).rpartition("://")
    host, told = rest.partition("/")[0], said.get(PORT)
    if not host:
        return ""
    if host.count(":") == 1 or "]:" in host:
        host, _, beside = host.rpartition(":")
        told = told if told is not None else beside
    port = str(told) if isinstance(told, int | str) else ""
    if not (port.isascii() and port.isdigit() and len(port) < 6):
        port = "80" if scheme == "http" else "443"
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def _identity(span: Span, response: str) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """Its names (the span; the response's id) and what it is within as far as it knows (the span around it; the call of several
    prompts of which it is one: vLLM calls these requests ``cmpl-…-0``, ``cmpl-…-1``)."""
    names, within = [span.trace + span.id], [span.trace + span.parent] if span.parent else []
    for told in {response, _text(span.said, (REQUEST_ID,))} - {""}:
        names.append(_named(span, told))
        stem, dash, number = told.rpartition("-")
        if dash and number.isdigit() and len(number) <= 3:
            within.append(_named(span, stem))
    return tuple(names), tuple(within)


def _named(span: Span, told: str) -> bytes:
    """A long id names the same in any trace: client and server are in two where nobody carried the context over."""
    return (b"" if len(told) >= LONG_ID else span.trace) + b"#" + told.encode()
