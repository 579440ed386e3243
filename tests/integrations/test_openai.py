"""The wrapped client, against a real server: openai's own client where it is installed, and a small one of the same shape."""

import asyncio
from typing import Any

import pytest
from tests.integrations import clients
from tests.integrations.clients import ASK, COUNTED, NOTHING, Make, work_of
from tests.integrations.fake_server import WORDS, OpenAI

from wattledger import track
from wattledger.integrations.openai import EnergyOfCall, wrap

server, make = clients.server, clients.make


def test_a_call_is_counted_to_the_innermost_open_run(make: Make) -> None:
    with wrap(make()) as client, track(job="outer") as outer:
        with track(job="inner") as inner:
            reply = client.chat.completions.create(**ASK)
        client.chat.completions.create(**ASK)
    assert reply.choices[0].message.content == "".join(WORDS)
    assert work_of(inner) == COUNTED
    assert work_of(outer) == {key: 2 * n for key, n in COUNTED.items()}


def test_a_given_run_goes_before_the_open_one(make: Make) -> None:
    with track(job="mine") as mine:
        pass
    with wrap(make(), run=mine) as client, track(job="other") as other:
        client.chat.completions.create(**ASK)
    assert (work_of(mine), work_of(other)) == (COUNTED, NOTHING)


def test_without_a_run_and_an_agent_a_call_is_its_counts(make: Make) -> None:
    with wrap(make()) as client:
        assert client.last_energy is None
        assert client.chat.completions.create(**ASK).usage.prompt_tokens == 12
        note = "no agent is asked (WATTLEDGER_AGENT_LISTEN is empty)"
        assert client.last_energy == EnergyOfCall("tiny", 7, 5, 4, None, None, "unknown", note)


def test_every_interface_is_counted(make: Make) -> None:
    with wrap(make()) as client, track(job="all") as run:
        client.completions.create(model="tiny", prompt="The sea")
        client.responses.create(model="tiny", input="The sea?")
        client.embeddings.create(model="tiny", input="The sea")
    assert work_of(run) == {"prompt_tokens": 7 + 7 + 7, "cached_tokens": 10, "generated_tokens": 8, "requests": 3}


def test_an_asynchronous_call_is_counted(make: Make) -> None:
    async def calls() -> None:
        async with wrap(make(asynchronous=True)) as client:
            await asyncio.gather(*(client.chat.completions.create(**ASK) for _ in range(3)))

    with track(job="async") as run:
        asyncio.run(calls())
    assert work_of(run) == {key: 3 * n for key, n in COUNTED.items()}


def test_an_error_reaches_the_caller_as_it_is(make: Make, server: OpenAI) -> None:
    server.mood = "error"
    with wrap(make()) as client, track(job="refused") as run:
        with pytest.raises(Exception, match="stream_options") as refused:
            client.chat.completions.create(**ASK)
        assert client.last_energy is None
    assert getattr(refused.value, "status_code", None) == 400
    assert work_of(run) == NOTHING


@pytest.mark.parametrize(
    ("mood", "counted", "note"),
    [
        ("no usage", (None, None, None), "no usage"),
        ("negative", (None, None, 4), "input tokens = '-3': left out"),
        ("huge", (12, None, None), "output tokens = a huge number: left out"),
        ("null details", (12, None, 4), ""),
    ],
)
def test_usage_that_cannot_be_is_left_out_and_said(
    make: Make, server: OpenAI, mood: Any, counted: tuple[int | None, ...], note: str
) -> None:
    server.mood = mood
    with wrap(make()) as client, track(job="odd") as run:
        client.chat.completions.create(**ASK)
        found = client.last_energy
    assert (found.prompt_tokens, found.cached_tokens, found.generated_tokens) == counted
    assert note in found.note
    assert (found.energy_j, found.emissions_g) == (None, None)
    assert work_of(run) == {**NOTHING, "prompt_tokens": counted[0] or 0, "generated_tokens": counted[2] or 0, "requests": 1}


def test_a_callback_that_fails_does_not_reach_the_caller(make: Make) -> None:
    def fails(used: EnergyOfCall) -> None:
        raise ZeroDivisionError

    with wrap(make(), on_energy=fails) as client:
        assert [client.chat.completions.create(**ASK).id for _ in range(3)] == ["chatcmpl-1"] * 3


def test_the_wrapper_is_the_client_to_everybody(make: Make) -> None:
    plain = make()
    with wrap(plain) as client:
        assert isinstance(client, type(plain))
        assert client.base_url is plain.base_url
        assert repr(client) == repr(plain)
        client.label = "changed"
        assert plain.label == "changed"
        assert "chat" in dir(client)
        with pytest.raises(AttributeError, match="no_such_thing"):
            _ = client.no_such_thing


def test_a_copy_of_the_client_counts_too(make: Make, server: OpenAI) -> None:
    with wrap(make()) as client, track(job="copy") as run:
        client.with_options(base_url=f"{server.url}/v1").chat.completions.create(**ASK)
    assert work_of(run) == COUNTED


def test_a_client_wrapped_twice_counts_once(make: Make) -> None:
    with wrap(wrap(make())) as client, track(job="twice") as run:
        client.chat.completions.create(**ASK)
    assert work_of(run) == COUNTED


def test_openais_own_helpers_keep_working(server: OpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
    openai = pytest.importorskip("openai", reason="the openai package is not installed: its own helpers are not tried")
    monkeypatch.setenv("WATTLEDGER_AGENT_LISTEN", "")
    with wrap(openai.OpenAI(base_url=f"{server.url}/v1", api_key="none")) as client, track(job="helpers") as run:
        raw = client.chat.completions.with_raw_response.create(**ASK)
        with client.chat.completions.with_streaming_response.create(**ASK) as streamed:
            text = streamed.read()
        with client.chat.completions.stream(**ASK) as events:
            completion = events.get_final_completion()
        parsed = client.chat.completions.parse(**ASK)
    assert (raw.status_code, raw.parse().usage.completion_tokens) == (200, 4)
    assert b"completion_tokens" in text
    assert completion.choices[0].message.content == "".join(WORDS)
    assert isinstance(parsed, openai.types.chat.ParsedChatCompletion)
    assert work_of(run) == COUNTED  # `parse` alone: the others have no usage to be read without touching what the caller gets
