"""What tests of serving share: an agent's words, clients of a real engine, and what they were told."""

import http.client
import random
import threading
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.node.agents import Row, total
from tests.servers import llama

from wattledger.integrations.openai import EnergyOfCall, wrap

CLIENTS, MOST_REQUESTS, MOST_TOKENS = 3, 400, 120
KINDS = ("prompt", "generated", "standby", "overhead")
ENERGY, DIVIDED = "wattledger_energy_joules_total", "wattledger_token_energy_joules_total"
PENDING, PRICE = "wattledger_token_energy_pending_joules", "wattledger_energy_per_token_joules"
TOKENS = "wattledger_tokens_total"
ASKED, GOT = "wattledger_request_tokens_total", "wattledger_request_energy_joules_total"


class Load:
    """Clients that ask, one after the other, for a bounded time; what the server said that it did.

    ``may_break``: the server may be killed, and then they ask no more.
    """

    def __init__(self, port: int, seed: int, *, may_break: bool = False) -> None:
        self._port, self._random, self._may_break = port, random.Random(seed), may_break
        self.prompt = self.generated = self.requests = 0
        self._lock = threading.Lock()

    def run(self, for_s: float) -> None:
        ended = threading.Event()
        timer = threading.Timer(for_s, ended.set)
        threads = [threading.Thread(target=self._ask, args=(ended,)) for _ in range(CLIENTS)]
        timer.start()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        timer.cancel()

    def _ask(self, ended: threading.Event) -> None:
        while not ended.is_set() and self.requests < MOST_REQUESTS:
            try:
                usage = llama.complete(self._port, "x" * self._random.randint(50, 600), self._random.randint(10, MOST_TOKENS))
            except (OSError, http.client.HTTPException):
                if self._may_break:
                    return
                raise
            with self._lock:
                self.prompt += usage["prompt_tokens"]
                self.generated += usage["completion_tokens"]
                self.requests += 1
            ended.wait(self._random.expovariate(1 / 0.2))


class Tenant:
    """A program that asks by the OpenAI client, counted, for a tenant; what its calls used, and what stood on their spans.

    ``streams``: it chats and reads streams; else it completes, each call in a span.
    """

    def __init__(self, port: int, name: str, *, streams: bool) -> None:
        self.name = name
        self.calls: list[EnergyOfCall] = []
        self.spans: list[Mapping[str, Any]] = []
        self._streams, self._random = streams, random.Random(name)
        openai = pytest.importorskip("openai", reason="the openai package is not installed: its client is what is counted here")
        sdk = pytest.importorskip("opentelemetry.sdk.trace", reason="OpenTelemetry's SDK is not installed: spans are made with it")
        self._client = wrap(openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="x", max_retries=0), tenant=name)
        self._tracer = sdk.TracerProvider().get_tracer("tests")

    @property
    def told(self) -> dict[str, int]:
        """Tokens by kind, as the server told them."""
        named = (("prompt", "prompt_tokens"), ("cached", "cached_tokens"), ("generated", "generated_tokens"))
        return {kind: sum(getattr(call, name) or 0 for call in self.calls) for kind, name in named}

    def run(self, ended: threading.Event) -> None:
        """Ask until then, and until a price was known."""
        with self._client as client:
            while len(self.calls) < MOST_REQUESTS and not (ended.is_set() and self.calls and self.calls[-1].state == "provisional"):
                (self._stream if self._streams else self._complete)(client)
                found = client.last_energy
                assert found is not None
                self.calls.append(found)
                ended.wait(self._random.expovariate(1 / 0.1))

    def _words(self) -> dict[str, Any]:
        return {"model": llama.ALIAS, "max_tokens": self._random.randint(10, 100), "extra_body": {"ignore_eos": True}}

    def _complete(self, client: Any) -> None:
        with self._tracer.start_as_current_span("ask") as span:
            client.completions.create(prompt="x" * self._random.randint(50, 400), **self._words())
        self.spans.append(dict(span.attributes))

    def _stream(self, client: Any) -> None:
        said = [{"role": "user", "content": "y" * self._random.randint(50, 400)}]
        for _ in client.chat.completions.create(messages=said, stream=True, **self._words()):
            pass


def books(folder: Path) -> str:
    return f'[ledger]\npath = "{folder / "books"}"\ncommit_interval_s = 1\n[grid]\nzone = "DE"\n'


def config(folder: Path, *urls: str) -> str:
    return f'{books(folder)}[sources.engines]\nurls = "{", ".join(urls)}"\n'


def llama_url(port: int) -> str:
    return f"llamacpp=http://127.0.0.1:{port}/metrics"


def identity(rows: list[Row], model: str = llama.ALIAS) -> tuple[Decimal, Decimal]:
    """What a model's tokens got and what is pending, beside the engine's energy."""
    whole = total(rows, DIVIDED, model_name=model) + total(rows, PENDING, model_name=model)
    return whole, total(rows, ENERGY, model_name=model)


def by_kind(rows: list[Row], name: str, *kinds: str, **labels: str) -> dict[str, Decimal]:
    return {kind: total(rows, name, kind=kind, **labels) for kind in kinds}
