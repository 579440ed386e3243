"""The end of a call to a model: tokens to the run, a record to the agent, and the energy by the engine's current price.

Energy is provisional and only ever the agent's own price times the tokens told: a server that the agent does not know, a price or a
count that is missing, and there is no energy.  Nothing here raises.
"""

import sys
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from weakref import WeakKeyDictionary

from wattledger import Quantity, Run
from wattledger.integrations import _agent
from wattledger.integrations._records import Price, Told, price
from wattledger.integrations._say import say_once
from wattledger.integrations._usage import Counts
from wattledger.track import current

State = Literal["provisional", "unknown", "cut"]


class EnergyOfCall(NamedTuple):
    """What one call used; the kinds of token are disjoint, ``None`` is not known.

    ``state``: ``provisional`` (by the engine's price at that moment; the agent's books settle it), ``unknown`` (tokens only: no
    agent knows the server, or its price), ``cut`` (a stream that did not come to its end: what was told until then).
    """

    model: str
    prompt_tokens: int | None
    cached_tokens: int | None
    generated_tokens: int | None
    energy_j: Quantity | None
    emissions_g: float | None
    state: State
    note: str = ""


def now() -> datetime:
    """Wall clock, UTC."""
    return datetime.now(UTC)


def current_run() -> Run | None:
    """The innermost run that is open around the caller."""
    return current()


def energy_of(counts: Counts, known: Price | None) -> Quantity | None:
    """Tokens times prices, each bound by itself; ``None`` where one of the two is not known."""
    if known is None or counts.prompt is None or counts.generated is None:
        return None
    whole = Quantity(0.0, 0.0, 0.0)
    for tokens, each in ((counts.prompt, known.prompt_j), (counts.generated, known.generated_j)):
        if tokens and each is None:
            return None
        if tokens and each is not None:
            whole = Quantity(whole.value + tokens * each.value, whole.low + tokens * each.low, whole.high + tokens * each.high)
    return whole


def priced(told: Told, agent: _agent.Agent | None, *, cut: bool = False) -> EnergyOfCall:
    """What the call used, by the agent's prices of now."""
    counts = told.counts
    known = price(agent.prices(told.ended), told) if agent is not None and told.host else None
    energy = energy_of(counts, known)
    grams = known.grams_per_joule if known is not None else None
    emissions = energy.value * grams if energy is not None and grams is not None else None
    state: State = "cut" if cut else "unknown" if energy is None else "provisional"
    name = told.response_model or told.model
    note = counts.note or (_why_unknown(told, agent) if state == "unknown" else "")
    return EnergyOfCall(name, counts.prompt, counts.cached, counts.generated, energy, emissions, state, note)


def _why_unknown(told: Told, agent: _agent.Agent | None) -> str:
    if agent is None:
        return "no agent is asked (WATTLEDGER_AGENT_LISTEN is empty)"
    if not agent.answered:
        return f"no agent has answered at {agent.host}:{agent.port} yet; WATTLEDGER_AGENT_LISTEN says where it is"
    return f"the agent knows no price of {told.host or 'this server'} yet"


def settle(told: Told, run: Run | None, agent: _agent.Agent | None, *, cut: bool = False) -> EnergyOfCall:
    """Count the call to ``run`` and tell the agent of it; a cut one is no completed request, its tokens count as far as told."""
    counts, used = told.counts, priced(told, agent, cut=cut)
    if counts.note and not cut:
        say_once("usage", f"a call to {used.model or 'a model'}: {counts.note} (said once)")
    if run is not None:
        tokens = (counts.prompt or 0, counts.generated or 0, counts.cached or 0)
        run.add_tokens(prompt=tokens[0], generated=tokens[1], cached=tokens[2], requests=0 if cut else 1)
    if agent is not None and counts.known:
        agent.record(told)
    return used


# --- OpenTelemetry, where the program has it --------------------------------------------------------------------------------


class _Sums:
    """What a span's calls have used together, so far."""

    def __init__(self, *, tell_usage: bool) -> None:
        self.tell_usage = tell_usage
        self.tokens = [0, 0, 0]
        self.energy_j = self.emissions_g = 0.0


# A span may hold several calls: their sums stand on it.
_spans: "WeakKeyDictionary[Any, _Sums]" = WeakKeyDictionary()


def recording_span() -> Any:
    """The span of the current context, if it is recorded; ``None`` also where the program has no OpenTelemetry loaded."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return None
    span = api.get_current_span()
    return span if span.is_recording() else None


def ids(span: Any) -> tuple[str, str]:
    """A span's trace and its own id, in hex; empty where there is no span."""
    if span is None:
        return "", ""
    context = span.get_span_context()
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def write(span: Any, used: EnergyOfCall) -> None:
    """Add the call to the sums on ``span``; usage that somebody else wrote there is left as it is."""
    if span is None or not span.is_recording():
        return
    sums = _spans.get(span)
    if sums is None:
        said = getattr(span, "attributes", None) or {}
        sums = _spans[span] = _Sums(tell_usage="gen_ai.usage.input_tokens" not in said)
    words: dict[str, float | int | str] = {}
    if used.prompt_tokens is not None and used.generated_tokens is not None and sums.tell_usage:
        cached = used.cached_tokens or 0
        sums.tokens = [
            a + b for a, b in zip(sums.tokens, (used.prompt_tokens + cached, used.generated_tokens, cached), strict=True)
        ]
        names = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.usage.cache_read.input_tokens")
        words.update(zip(names, sums.tokens, strict=True))
    if used.energy_j is not None:
        sums.energy_j += used.energy_j.value
        words |= {"wattledger.energy_j": sums.energy_j, "wattledger.energy_state": "provisional"}
    if used.emissions_g is not None:
        sums.emissions_g += used.emissions_g
        words["wattledger.emissions_g"] = sums.emissions_g
    span.set_attributes(words)
