"""A span processor that writes energy on the program's GenAI spans: ``provider.add_span_processor(EnergySpanProcessor())``.

What a span's attributes say (OpenTelemetry's GenAI conventions) decides:
- a call to a server that the node's agent knows: ``wattledger.energy_j`` and ``wattledger.emissions_g`` by the engine's price of
  now, ``wattledger.energy_state`` = ``provisional``; the agent is told of the request;
- inference in this process (an inference operation, kind INTERNAL, no ``server.address``: the conventions' words for it): it is
  measured as a run of its own, ``wattledger.energy_state`` = ``measured``, ``wattledger.run_id`` beside it;
- all else is left alone.

The SDK's own hook (``_on_ending`` of 1.45) comes when the attributes are frozen, so what is asked to end is this processor: it
stands in for ``end`` of each span, that object's alone.  Runs get the tokens of calls to servers by ``integrations.openai``, not
from here.
"""

import weakref
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor  # a processor has to be one of these: nobody loads this file without it
from opentelemetry.trace import SpanKind

from wattledger import Run, track
from wattledger.integrations import _agent, _calls
from wattledger.integrations._records import Told
from wattledger.integrations._say import say_once
from wattledger.integrations._usage import of_span

INFERENCE = {"chat", "text_completion", "generate_content", "embeddings"}
OPERATION, MODEL, SERVER = "gen_ai.operation.name", "gen_ai.request.model", "server.address"
MOST_OPEN = 100  # spans of inference in this process at one time: a run's price grows with how many are open, and leaks have an end


class _Inside:
    """A run that is open around a span; its job is that of the run around it."""

    def __init__(self, model: object) -> None:
        around = _calls.current_run()
        self._block = track(job=None if around is None else around.job, model=None if model is None else str(model))
        self.run: Run = self._block.__enter__()

    def leave(self) -> None:
        self._block.__exit__(None, None, None)


class EnergySpanProcessor(SpanProcessor):
    """Thread-safe; never raises into the program, never waits for the agent.

    State: runs that are open around spans, and those whose span was dropped without an end, which are closed at the next start.
    """

    def __init__(self, *, tenant: str | None = None) -> None:
        self._tenant = tenant
        self._agent = _agent.agent()
        self._open: set[_Inside] = set()
        self._dropped: deque[_Inside] = deque()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Stand in for the span's end; open a run around inference in this process."""
        try:
            while self._dropped:
                self._leave(self._dropped.popleft())
            said = span.attributes or {}
            inside = None
            if said.get(OPERATION) in INFERENCE and span.kind is SpanKind.INTERNAL and SERVER not in said:
                inside = self._enter(span, said.get(MODEL))
            span.end = partial(self._end, span, span.end, inside)  # type: ignore[method-assign]
        except Exception as bug:
            say_once("span start", f"a span's energy is not known: {bug!r}")

    def _enter(self, span: Span, model: object) -> _Inside | None:
        if len(self._open) >= MOST_OPEN:
            say_once("spans", f"{MOST_OPEN} spans of inference are open: more are not measured until some end")
            return None
        inside = _Inside(model)
        self._open.add(inside)
        # A collector may call this anywhere, so it only takes a note; of a span that ended, it is a run that is left already.
        weakref.finalize(span, self._dropped.append, inside).atexit = False
        return inside

    def _leave(self, inside: _Inside) -> None:
        if inside in self._open:
            self._open.discard(inside)
            inside.leave()

    def _end(self, span: Span, end: Callable[..., None], inside: _Inside | None, end_time: int | None = None) -> None:
        try:
            span.__dict__.pop("end", None)  # no cycle is left behind
            if inside is not None:
                self._leave(inside)
            if span.is_recording():
                self._write(span, inside, end_time)
        except Exception as bug:
            say_once("span end", f"a span's energy is not known: {bug!r}")
        end(end_time)

    def _write(self, span: Span, inside: _Inside | None, end_time: int | None) -> None:
        said: Any = span.attributes or {}
        if SERVER not in said:
            if inside is not None:
                _measured(span, said, inside.run)
        elif said.get(OPERATION, "chat") in INFERENCE and (OPERATION in said or MODEL in said):
            self._of_server(span, said, end_time)

    def _of_server(self, span: Span, said: Any, end_time: int | None) -> None:
        counts = of_span(said, generates=said.get(OPERATION) != "embeddings")
        port, around = said.get("server.port"), span.parent
        told = Told(
            str(said.get(OPERATION, "chat")),
            str(said.get(MODEL) or said.get("gen_ai.response.model") or ""),
            str(said[SERVER]),
            port if isinstance(port, int) else 0,
            _at(span.start_time),
            None,
            _at(end_time),
            counts,
            str(said["wattledger.tenant"]) if "wattledger.tenant" in said else self._tenant,
            str(said.get("gen_ai.response.id") or ""),
            str(said.get("gen_ai.response.model") or ""),
            *_calls.ids(span),
            "" if around is None else f"{around.span_id:016x}",
        )
        if self._agent is not None and counts.known:
            self._agent.record(told)
        used = _calls.priced(told, self._agent)
        if used.energy_j is not None and "wattledger.energy_j" not in said:
            span.set_attributes({"wattledger.energy_j": used.energy_j.value, "wattledger.energy_state": "provisional"})
            if used.emissions_g is not None:
                span.set_attribute("wattledger.emissions_g", used.emissions_g)


def _at(unix_nano: int | None) -> datetime:
    return _calls.now() if unix_nano is None else datetime.fromtimestamp(0, UTC) + timedelta(microseconds=unix_nano // 1000)


def _measured(span: Span, said: Any, run: Run) -> None:
    counts = of_span(said, generates=said.get(OPERATION) != "embeddings")
    run.add_tokens(prompt=counts.prompt or 0, generated=counts.generated or 0, cached=counts.cached or 0, requests=1)
    footprint = run.footprint
    span.set_attribute("wattledger.run_id", run.run_id)
    if footprint.energy_j is None:
        return
    span.set_attributes({"wattledger.energy_j": footprint.energy_j.value, "wattledger.energy_state": "measured"})
    based = footprint.emissions_g.get("location_based")
    if based is not None:
        span.set_attribute("wattledger.emissions_g", based.value)
