"""LiteLLM's callback, with the real library against a real server: sync, async, streamed, and its own cache."""

import asyncio
import importlib.util
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.integrations import clients
from tests.integrations.clients import work_of
from tests.integrations.fake_server import Agent, OpenAI, said

from wattledger import track
from wattledger.integrations import litellm as ours
from wattledger.integrations.openai import EnergyOfCall

# LiteLLM's own models warn as pydantic builds them; what is ours stays an error.
pytestmark = [
    pytest.mark.filterwarnings("ignore::UserWarning:pydantic", "ignore::DeprecationWarning"),
    pytest.mark.skipif(importlib.util.find_spec("litellm") is None, reason="litellm is not installed: its callback is not tried"),
]

server, agent = clients.server, clients.agent


class Heard:
    """What the callback handed over.  State: that; the callback runs in a thread of LiteLLM's."""

    def __init__(self) -> None:
        self.calls: list[EnergyOfCall] = []
        self._changed = threading.Condition()

    def __call__(self, used: EnergyOfCall) -> None:
        with self._changed:
            self.calls.append(used)
            self._changed.notify_all()

    def wait_for(self, n: int) -> list[EnergyOfCall]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.calls) >= n, 15), f"called back {len(self.calls)} times"
        return self.calls


@pytest.fixture
def litellm(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The library, which would ask the network for prices as it loads, with none of an earlier test's callbacks."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    library = importlib.import_module("litellm")
    yield library
    library.logging_callback_manager._reset_all_callbacks()


def asking(server: OpenAI, **more: Any) -> dict[str, Any]:
    words = {"model": "hosted_vllm/tiny", "api_base": f"{server.url}/v1", "api_key": "none"}
    return {**words, "messages": [{"role": "user", "content": "What is the sea?"}], **more}


COUNTS = (7, 5, 4)


def test_each_success_is_counted_once_and_told_with_its_tenant(litellm: Any, server: OpenAI, agent: Agent) -> None:
    with track(job="proxy") as run:
        heard = Heard()
        litellm.callbacks = [ours.callback(run=run, on_energy=heard)]
        litellm.completion(**asking(server, metadata={"tenant": "search"}))
        for _ in litellm.completion(**asking(server), stream=True, stream_options={"include_usage": True}):
            pass
        assert {used[1:4] for used in heard.wait_for(2)} == {COUNTS}
    agent.wait_for(spans=2)
    assert work_of(run) == {"prompt_tokens": 14, "cached_tokens": 10, "generated_tokens": 8, "requests": 2}
    told = sorted((said(span) for span in agent.spans), key=lambda words: "wattledger.first_token_unix_nano" in words)
    assert [words.get("wattledger.tenant") for words in told] == ["search", None]
    assert {(words["server.address"], words["server.port"], words["gen_ai.request.model"]) for words in told} == {
        ("127.0.0.1", server.port, "tiny")
    }
    assert "wattledger.first_token_unix_nano" in told[1]
    assert all(int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]) for span in agent.spans)


def test_asynchronous_calls_are_counted_once(litellm: Any, server: OpenAI) -> None:
    heard = Heard()

    async def calls() -> None:
        await litellm.acompletion(**asking(server))
        stream = await litellm.acompletion(**asking(server), stream=True, stream_options={"include_usage": True})
        async for _ in stream:
            pass
        await litellm.aembedding(model="hosted_vllm/tiny", input=["x"], api_base=f"{server.url}/v1", api_key="none")
        await asyncio.to_thread(heard.wait_for, 3)

    with track(job="proxy") as run:
        litellm.callbacks = [ours.callback(run=run, on_energy=heard)]
        asyncio.run(calls())
    assert sorted((used[1:4] for used in heard.calls), key=str) == [COUNTS, COUNTS, (7, None, 0)]
    assert work_of(run)["requests"] == 3


def test_the_energy_is_in_the_metadata_that_other_loggers_see(litellm: Any, server: OpenAI, agent: Agent) -> None:
    agent.knows(f"127.0.0.1:{server.port}")
    seen: list[dict[str, Any]] = []
    done = threading.Semaphore(0)

    class Other(litellm.integrations.custom_logger.CustomLogger):  # type: ignore[misc]
        def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            seen.append(kwargs["standard_logging_object"]["metadata"])
            done.release()

    litellm.callbacks = [ours.callback(), Other()]
    for n in range(2):  # the first makes the prices be asked for
        litellm.completion(**asking(server))
        assert done.acquire(timeout=15)
        agent.wait_for(spans=n + 1)
    assert "wattledger.energy_j" not in seen[0]
    assert seen[1]["wattledger.energy_j"] == pytest.approx(11.5)
    assert seen[1]["wattledger.emissions_g"] == pytest.approx(11.5e-4)
    assert seen[1]["wattledger.energy_state"] == "provisional"


def test_an_answer_from_litellms_cache_is_no_request(litellm: Any, server: OpenAI) -> None:
    """As LiteLLM tells it; the cache itself needs parts of the proxy that are not installed with the library."""
    heard = Heard()
    logger = ours.callback(on_energy=heard)
    reply = litellm.completion(**asking(server))
    for hit in (True, False):
        logger.log_success_event({"model": "tiny", "cache_hit": hit}, reply, None, None)
    assert [used[1:4] for used in heard.calls] == [COUNTS]


def test_the_team_of_the_key_is_the_tenant_where_none_is_said(litellm: Any, server: OpenAI, agent: Agent) -> None:
    litellm.callbacks = [ours.callback()]
    litellm.completion(**asking(server, metadata={"user_api_key_team_alias": "team-a", "user_api_key_user_id": "ada"}))
    litellm.completion(**asking(server, metadata={"user_api_key_team_alias": "team-a", "tenant": "search"}))
    agent.wait_for(spans=2)
    assert sorted(said(span)["wattledger.tenant"] for span in agent.spans) == ["search", "team-a"]
    assert "ada" not in str(agent.spans)
