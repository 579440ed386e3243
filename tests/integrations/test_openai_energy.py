"""The wrapped client and the node's agent: prices in, requests out, and the energy on the program's spans."""

from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from tests.integrations import clients
from tests.integrations.clients import ASK, Make
from tests.integrations.fake_server import Agent, OpenAI, said

from wattledger.integrations.openai import EnergyOfCall, wrap

server, agent, make = clients.server, clients.agent, clients.make


def warm(client: Any, agent: Agent) -> None:
    """A call, upon which the prices are asked for in the background, and the wait for its record, which is sent after that."""
    client.chat.completions.create(**ASK)
    agent.wait_for(spans=1)


def test_a_server_that_the_agent_knows_has_energy_by_its_price(make: Make, server: OpenAI, agent: Agent) -> None:
    agent.knows(f"localhost:{server.port}")
    with wrap(make()) as client:
        warm(client, agent)
        client.chat.completions.create(**ASK)
        found = client.last_energy
    assert found.energy_j == pytest.approx((7 * 0.5 + 4 * 2.0, 7 * 0.4 + 4 * 1.5, 7 * 0.6 + 4 * 3.0))
    assert found.emissions_g == pytest.approx(11.5e-4)
    assert found.state == "provisional"


def test_the_agent_is_told_of_each_request(make: Make, server: OpenAI, agent: Agent) -> None:
    with wrap(make(), tenant="search") as client:
        client.chat.completions.create(**ASK)
        list(client.chat.completions.create(**ASK, stream=True))
    agent.wait_for(spans=2)
    whole, streamed = agent.spans
    expected = {
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "tiny", "gen_ai.response.model": "tiny",
        "gen_ai.response.id": "chatcmpl-1", "gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 4,
        "gen_ai.usage.cache_read.input_tokens": 5, "server.address": "127.0.0.1", "server.port": server.port,
        "wattledger.tenant": "search",
    }  # fmt: skip
    assert said(whole) == expected
    first_ns = said(streamed)["wattledger.first_token_unix_nano"]
    assert int(streamed["startTimeUnixNano"]) <= first_ns <= int(streamed["endTimeUnixNano"])
    assert said(streamed) == {**expected, "wattledger.first_token_unix_nano": first_ns}
    assert (len(whole["traceId"]), len(whole["spanId"])) == (32, 16)


def test_a_server_that_the_agent_does_not_know_has_counts_and_no_energy(make: Make, agent: Agent) -> None:
    agent.knows("127.0.0.1:1")
    with wrap(make()) as client:
        warm(client, agent)
        client.chat.completions.create(**ASK)
        note = "the agent knows no price of 127.0.0.1 yet"
        assert client.last_energy == EnergyOfCall("tiny", 7, 5, 4, None, None, "unknown", note)


def test_half_a_price_is_no_price(make: Make, server: OpenAI, agent: Agent) -> None:
    agent.knows(f"127.0.0.1:{server.port}", generated_j={"value": float("nan"), "low": 1, "high": 2})
    with wrap(make()) as client:
        warm(client, agent)
        client.chat.completions.create(**ASK)
        both = client.last_energy
        client.embeddings.create(model="tiny", input="The sea")
        prompt_only = client.last_energy
    assert both.energy_j is None
    assert prompt_only.energy_j.value == pytest.approx(3.5)


def test_calls_within_a_span_sum_up_on_it(make: Make, server: OpenAI, agent: Agent) -> None:
    agent.knows(f"127.0.0.1:{server.port}")
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with wrap(make()) as client:
        warm(client, agent)
        with tracer.start_as_current_span("handler") as span:
            client.chat.completions.create(**ASK)
            list(client.chat.completions.create(**ASK, stream=True))
    agent.wait_for(spans=3)
    around = span.get_span_context()
    assert [one.get("parentSpanId") for one in agent.spans] == [None, *2 * [f"{around.span_id:016x}"]]
    assert {one["traceId"] for one in agent.spans[1:]} == {f"{around.trace_id:032x}"}
    assert dict(getattr(span, "attributes", {})) == {
        "gen_ai.usage.input_tokens": 24, "gen_ai.usage.output_tokens": 8, "gen_ai.usage.cache_read.input_tokens": 10,
        "wattledger.energy_j": pytest.approx(23.0), "wattledger.energy_state": "provisional",
        "wattledger.emissions_g": pytest.approx(23e-4),
    }  # fmt: skip


def test_usage_that_an_instrumentation_wrote_is_left_as_it_is(make: Make, server: OpenAI, agent: Agent) -> None:
    agent.knows(f"127.0.0.1:{server.port}")
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with wrap(make()) as client:
        warm(client, agent)
        with tracer.start_as_current_span("chat", attributes={"gen_ai.usage.input_tokens": 99}) as span:
            client.chat.completions.create(**ASK)
    found = getattr(span, "attributes", {})
    assert (found["gen_ai.usage.input_tokens"], found["wattledger.energy_j"]) == (99, pytest.approx(11.5))
    assert "gen_ai.usage.output_tokens" not in found
