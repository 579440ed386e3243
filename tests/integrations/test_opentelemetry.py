"""The span processor, with the real SDK: energy on GenAI spans before they are exported, and on no others."""

import asyncio
import contextlib
import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Tracer
from tests.integrations import clients
from tests.integrations.clients import work_of
from tests.integrations.fake_server import Agent, said
from tests.integrations.work import burn

from wattledger import track
from wattledger.integrations._calls import current_run
from wattledger.integrations.opentelemetry import MOST_OPEN, EnergySpanProcessor

agent = clients.agent
INSIDE: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "tiny"}
CALL = {**INSIDE, "server.address": "localhost", "server.port": 8000}
USAGE = {"gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 4, "gen_ai.usage.cache_read.input_tokens": 5}


class Traced:
    """A provider with the processor and, before and after it, exporters in memory.  Nobody's agent, unless the test has one."""

    def __init__(self, **words: Any) -> None:
        self.before, self.after = InMemorySpanExporter(), InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.before))
        self.provider.add_span_processor(EnergySpanProcessor(**words))
        self.provider.add_span_processor(SimpleSpanProcessor(self.after))
        self.tracer: Tracer = self.provider.get_tracer("test")

    def exported(self) -> list[dict[str, Any]]:
        """The attributes of the spans that ended; both exporters see the same."""
        both = [[dict(span.attributes or {}) for span in out.get_finished_spans()] for out in (self.before, self.after)]
        assert both[0] == both[1]
        return both[0]


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[Traced]:
    monkeypatch.setenv("WATTLEDGER_AGENT_LISTEN", "")
    found = Traced()
    yield found
    found.provider.shutdown()


@pytest.fixture
def priced(agent: Agent) -> Iterator[Traced]:
    """With an agent that knows localhost:8000, and whose prices have come."""
    agent.knows("127.0.0.1:8000")
    found = Traced(tenant="search")
    found.tracer.start_span("chat", attributes={**CALL, **USAGE}, kind=SpanKind.CLIENT).end()
    agent.wait_for(spans=1)
    yield found
    found.provider.shutdown()


def ours(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: said for key, said in attributes.items() if key.startswith("wattledger.")}


def test_a_call_to_a_known_server_has_its_energy_when_it_is_exported(priced: Traced) -> None:
    with priced.tracer.start_as_current_span("chat", attributes=CALL, kind=SpanKind.CLIENT) as span:
        span.set_attributes(USAGE)
    assert ours(priced.exported()[-1]) == {
        "wattledger.energy_j": pytest.approx(11.5), "wattledger.emissions_g": pytest.approx(11.5e-4),
        "wattledger.energy_state": "provisional",
    }  # fmt: skip


def test_the_agent_is_told_of_the_request_as_the_same_span(priced: Traced, agent: Agent) -> None:
    words = {**CALL, **USAGE, "gen_ai.response.id": "r1"}
    start = priced.tracer.start_as_current_span
    with start("handler") as handler, start("chat", attributes=words, kind=SpanKind.CLIENT) as span:
        context, around = span.get_span_context(), handler.get_span_context()
    agent.wait_for(spans=2)
    told = agent.spans[1]
    assert (told["traceId"], told["spanId"]) == (f"{context.trace_id:032x}", f"{context.span_id:016x}")
    assert told["parentSpanId"] == f"{around.span_id:016x}"
    assert said(told) == {**words, "wattledger.tenant": "search"}


def test_attributes_that_come_late_count_as_much(priced: Traced) -> None:
    with priced.tracer.start_as_current_span("POST") as span:
        span.set_attributes({**CALL, **USAGE})
    assert ours(priced.exported()[-1])["wattledger.energy_j"] == pytest.approx(11.5)


def test_energy_that_stands_there_already_is_left(priced: Traced) -> None:
    with priced.tracer.start_as_current_span("chat", attributes={**CALL, **USAGE, "wattledger.energy_j": 3.0}):
        pass
    assert ours(priced.exported()[-1]) == {"wattledger.energy_j": 3.0}


@pytest.mark.parametrize("words", [
    {}, {"http.request.method": "GET", "server.address": "localhost", "server.port": 8000}, {**CALL, **USAGE, "server.port": 1},
    {**CALL}, {**CALL, **USAGE, "server.address": "api.example.org"}, {"gen_ai.operation.name": "execute_tool"},
    {**CALL, **USAGE, "gen_ai.usage.output_tokens": -1}, {**CALL, **USAGE, "gen_ai.operation.name": "invoke_agent"},
])  # fmt: skip
def test_no_other_span_gets_anything(priced: Traced, words: dict[str, Any]) -> None:
    with priced.tracer.start_as_current_span("other", attributes=words, kind=SpanKind.CLIENT):
        pass
    assert priced.exported()[-1] == words


def test_a_call_whose_server_is_not_said_is_not_measured_here(traced: Traced) -> None:
    """A CLIENT span without an address is some instrumentation's omission: the energy of this process is not its own."""
    with traced.tracer.start_as_current_span("chat", attributes=INSIDE, kind=SpanKind.CLIENT):
        assert current_run() is None
    assert traced.exported() == [INSIDE]


# --- inference in this process --------------------------------------------------------------------------------------------------


def test_inference_in_this_process_is_measured(traced: Traced) -> None:
    with track(job="eval", model="judge") as around:
        with traced.tracer.start_as_current_span("chat", attributes=INSIDE) as span:
            run = current_run()
            burn(0.3)
            span.set_attributes(USAGE)
        assert current_run() is around
    assert run is not None
    assert (run.job, run.model, run.parent) == ("eval", "tiny", around)
    found = ours(traced.exported()[0])
    assert found["wattledger.run_id"] == run.run_id
    assert found["wattledger.energy_state"] == "measured"
    assert found["wattledger.energy_j"] > 0
    assert work_of(around) == clients.COUNTED


def test_a_server_that_is_named_later_makes_it_a_call(traced: Traced) -> None:
    with traced.tracer.start_as_current_span("chat", attributes=INSIDE) as span:
        span.set_attributes({**CALL, **USAGE})
    assert ours(traced.exported()[0]) == {}


def test_an_exception_passes_through_and_the_run_is_left(traced: Traced) -> None:
    with contextlib.suppress(ZeroDivisionError), traced.tracer.start_as_current_span("chat", attributes=INSIDE):
        raise ZeroDivisionError
    assert current_run() is None
    (span,) = traced.after.get_finished_spans()
    assert [event.name for event in span.events] == ["exception"]


def test_tasks_and_threads_keep_their_spans_apart(traced: Traced) -> None:
    models: dict[str, str | None] = {}

    def infer(name: str) -> None:
        with traced.tracer.start_as_current_span("chat", attributes={**INSIDE, "gen_ai.request.model": name}):
            run = current_run()
            models[name] = None if run is None else run.model

    async def task(name: str) -> None:
        with traced.tracer.start_as_current_span("chat", attributes={**INSIDE, "gen_ai.request.model": name}):
            await asyncio.sleep(0)
            run = current_run()
            models[name] = None if run is None else run.model

    async def tasks() -> None:
        await asyncio.gather(*(task(f"t{n}") for n in range(4)))

    threads = [threading.Thread(target=infer, args=(f"h{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    asyncio.run(tasks())
    assert models == {name: name for name in models}
    assert len(models) == len(traced.exported()) == 8


def test_a_span_may_end_in_another_thread(traced: Traced) -> None:
    span = traced.tracer.start_span("chat", attributes=INSIDE)
    run = current_run()
    assert run is not None
    thread = threading.Thread(target=span.end)
    thread.start()
    thread.join()
    assert current_run() is None
    assert "ended" in repr(run)


def test_a_span_that_never_ends_is_let_go(traced: Traced) -> None:
    span = traced.tracer.start_span("chat", attributes=INSIDE)
    run, held = current_run(), weakref.ref(span)
    del span
    gc.collect()
    assert held() is None
    traced.tracer.start_span("any").end()  # whoever comes next closes what was dropped
    assert "ended" in repr(run)
    assert current_run() is None


def test_a_span_that_ended_leaves_no_cycle(traced: Traced) -> None:
    span = traced.tracer.start_span("any")
    held = weakref.ref(span)
    span.end()
    gc.disable()
    try:
        del span
        assert held() is None
    finally:
        gc.enable()


def test_spans_kept_open_for_ever_are_bounded(traced: Traced) -> None:
    kept = [traced.tracer.start_span("chat", attributes=INSIDE) for _ in range(MOST_OPEN)]
    inner = current_run()
    one_more = traced.tracer.start_span("chat", attributes=INSIDE)
    assert current_run() is inner
    one_more.end()
    for span in reversed(kept):
        span.end()
    assert current_run() is None
    assert len(traced.exported()) == MOST_OPEN + 1
