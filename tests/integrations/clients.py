"""What tests of the wrapped client share: a server, an agent, clients of both kinds.  A module names the fixtures it uses."""

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.integrations.fake_server import Agent, OpenAI, serving
from tests.integrations.shaped import Shaped

from wattledger import Run
from wattledger.integrations import _agent

ASK: dict[str, Any] = {"model": "tiny", "messages": [{"role": "user", "content": "What is the sea?"}]}
NOTHING = {"prompt_tokens": 0, "cached_tokens": 0, "generated_tokens": 0, "requests": 0}
COUNTED = {"prompt_tokens": 7, "cached_tokens": 5, "generated_tokens": 4, "requests": 1}
Make = Callable[..., Any]

has_openai = pytest.mark.skipif(
    importlib.util.find_spec("openai") is None, reason="the openai package is not installed: its own client is not tried"
)


@pytest.fixture
def server() -> Iterator[OpenAI]:
    with serving(OpenAI()) as app:
        yield app


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    with serving(Agent()) as app:
        monkeypatch.setenv("WATTLEDGER_AGENT_LISTEN", app.listen)
        yield app
        asked = _agent.agent({"WATTLEDGER_AGENT_LISTEN": app.listen})
        if asked is not None:
            asked.stop()


@pytest.fixture(params=["shaped", pytest.param("openai", marks=has_openai)])
def make(request: pytest.FixtureRequest, server: OpenAI, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A maker of plain clients of the server, to be used in a ``with`` block.  No agent, unless the test has asked for one."""
    if "agent" not in request.fixturenames:
        monkeypatch.setenv("WATTLEDGER_AGENT_LISTEN", "")
    if request.param == "shaped":
        return lambda *, asynchronous=False: Shaped(f"{server.url}/v1", asynchronous=asynchronous)
    import openai

    kinds = {False: openai.OpenAI, True: openai.AsyncOpenAI}
    return lambda *, asynchronous=False: kinds[asynchronous](base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def work_of(run: Run) -> dict[str, int]:
    """Prompt, cached and generated tokens and requests of a run that has ended; what it has not done is zero."""
    return {**NOTHING, **run.footprint.to_dict().get("work", {})}
