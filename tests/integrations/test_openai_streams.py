"""Streams of the wrapped client: passed on as they come, counted at their end, and never counted whole when they were cut."""

import asyncio
import contextlib
import gc
from typing import Any

import pytest
from tests.integrations import clients
from tests.integrations.clients import ASK, COUNTED, NOTHING, Make, work_of
from tests.integrations.fake_server import WORDS, OpenAI

from wattledger import track
from wattledger.integrations.openai import EnergyOfCall, wrap

server, make = clients.server, clients.make
STREAM: dict[str, Any] = {**ASK, "stream": True}


def text_of(chunks: list[Any]) -> str:
    return "".join(chunk.choices[0].delta.content for chunk in chunks)


def test_a_stream_is_counted_and_our_question_stays_hidden(make: Make, server: OpenAI) -> None:
    with wrap(make()) as client, track(job="stream") as run:
        chunks = list(client.chat.completions.create(**STREAM))
    assert server.asked[-1][1]["stream_options"] == {"include_usage": True}
    assert text_of(chunks) == "".join(WORDS)
    assert len(chunks) == len(WORDS)
    assert work_of(run) == COUNTED


def test_a_caller_who_asks_for_usage_gets_it(make: Make) -> None:
    with wrap(make()) as client, track(job="stream") as run:
        chunks = list(client.chat.completions.create(**STREAM, stream_options={"include_usage": True}))
    assert chunks[-1].usage.completion_tokens == 4
    assert chunks[-1].choices == []
    assert work_of(run) == COUNTED


@pytest.mark.parametrize("options", [{"include_usage": False}, {}])
def test_what_the_caller_says_of_usage_is_left_alone(make: Make, server: OpenAI, options: dict[str, Any]) -> None:
    with wrap(make()) as client, track(job="stream") as run:
        chunks = list(client.chat.completions.create(**STREAM, stream_options=options))
        found = client.last_energy
    assert server.asked[-1][1]["stream_options"] == options
    assert len(chunks) == len(WORDS)
    assert found == EnergyOfCall("tiny", None, None, None, None, None, "unknown", "the server told no usage")
    assert work_of(run) == {**NOTHING, "requests": 1}


def test_an_asynchronous_stream_is_counted(make: Make) -> None:
    async def read() -> str:
        async with wrap(make(asynchronous=True)) as client, await client.chat.completions.create(**STREAM) as stream:
            return text_of([chunk async for chunk in stream])

    with track(job="stream") as run:
        assert asyncio.run(read()) == "".join(WORDS)
    assert work_of(run) == COUNTED


def test_a_stream_of_responses_brings_its_usage_itself(make: Make, server: OpenAI) -> None:
    with wrap(make()) as client, track(job="responses") as run:
        events = list(client.responses.create(model="tiny", input="The sea?", stream=True))
    assert [event.type for event in events[::5]] == ["response.created", "response.completed"]
    assert "stream_options" not in server.asked[-1][1]
    assert work_of(run) == COUNTED


def test_a_stream_is_still_a_context_manager_and_of_its_own_kind(make: Make) -> None:
    plain = make()
    with wrap(plain) as client:
        given = client.chat.completions.create(**STREAM)
        with given as stream:
            first = next(stream)
            rest = list(stream)
        with plain.chat.completions.create(**STREAM) as unwatched:
            assert isinstance(stream, type(unwatched))
    assert stream is given
    assert text_of([first, *rest]) == "".join(WORDS)


def test_a_server_that_refuses_our_question_is_asked_without_it_from_then_on(make: Make, server: OpenAI) -> None:
    server.mood = "strict"
    with wrap(make()) as client:
        for _ in range(2):
            assert len(list(client.chat.completions.create(**STREAM))) == len(WORDS)
    assert ["stream_options" in body for _, body in server.asked] == [True, False, False]


def test_an_asynchronous_server_that_refuses_our_question_is_asked_without_it(make: Make, server: OpenAI) -> None:
    server.mood = "strict"

    async def read() -> int:
        async with wrap(make(asynchronous=True)) as client:
            return len([chunk async for chunk in await client.chat.completions.create(**STREAM)])

    assert asyncio.run(read()) == len(WORDS)
    assert ["stream_options" in body for _, body in server.asked] == [True, False]


def test_a_stream_cut_half_way_is_never_a_whole_request(make: Make, server: OpenAI) -> None:
    server.mood = "cut"
    with wrap(make()) as client, track(job="cut") as run:
        with contextlib.suppress(Exception):  # openai's client raises, http.client ends in silence
            list(client.chat.completions.create(**STREAM))
        found = client.last_energy
    assert found == EnergyOfCall("tiny", None, None, None, None, None, "cut", "the stream was cut: the server told no usage")
    assert work_of(run) == NOTHING


def test_a_stream_that_ends_in_order_without_a_last_token_was_cut(make: Make, server: OpenAI) -> None:
    server.mood = "silent end"
    with wrap(make()) as client:
        list(client.chat.completions.create(**STREAM))
        assert client.last_energy.state == "cut"


def test_a_stream_closed_early_is_counted_as_far_as_it_told(make: Make, server: OpenAI) -> None:
    server.mood = "continuous"
    with wrap(make()) as client, track(job="closed") as run:
        with client.chat.completions.create(**STREAM) as stream:
            next(stream)
            next(stream)
        found = client.last_energy
    note = "the stream was cut: counted as far as it was told"
    assert found == EnergyOfCall("tiny", 12, None, 2, None, None, "cut", note)
    assert work_of(run) == {"prompt_tokens": 12, "cached_tokens": 0, "generated_tokens": 2, "requests": 0}


def test_an_asynchronous_stream_that_is_cancelled_was_cut(make: Make) -> None:
    async def read() -> str:
        async with wrap(make(asynchronous=True)) as client:
            stream = await client.chat.completions.create(**STREAM)
            await anext(stream)
            await stream.close()
            return str(client.last_energy.state)

    assert asyncio.run(read()) == "cut"


def test_a_stream_that_is_dropped_is_settled_by_whoever_comes_next(make: Make) -> None:
    seen: list[str] = []
    with wrap(make(), on_energy=lambda used: seen.append(used.state)) as client:
        stream = client.chat.completions.create(**STREAM)
        next(stream)
        under = stream._wl_target
        del stream
        gc.collect()
        assert seen == []
        client.chat.completions.create(**ASK)
        under.close()
    assert seen == ["cut", "unknown"]


def test_a_stream_is_settled_once(make: Make) -> None:
    seen: list[int | None] = []
    with wrap(make(), on_energy=lambda used: seen.append(used.generated_tokens)) as client:
        stream = client.chat.completions.create(**STREAM)
        list(stream)
        stream.close()
        del stream
        gc.collect()
        client.embeddings.create(model="tiny", input="The sea")
    assert seen == [4, 0]
