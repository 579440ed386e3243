"""``/tokens.json``: what a token costs just now; what is not known is absent."""

import json
from email.message import Message

import pytest
from tests.golden.scenario import snapshot
from tests.runtime.web_clients import ask, served

from wattledger.core.model import Factor, Workload
from wattledger.core.totals import Snapshot, Tokens
from wattledger.runtime.web.tokens_page import tokens

LLAMA, OTHER = Workload("vllm", "llama"), Workload("vllm", "other")


def price(workload: Workload, kind: str, value: float) -> dict[tuple[Workload, str, str], float]:
    return {(workload, kind, "value"): value, (workload, kind, "low"): value / 2, (workload, kind, "high"): value * 2}


def shown(grid: Factor | None = None, **tokens: object) -> Snapshot:
    return snapshot()._replace(tokens=Tokens(**tokens), grid=grid)  # type: ignore[arg-type]


def models(page: Snapshot, pue: float = 1.0) -> list[dict[str, object]]:
    body = tokens(lambda: page, lambda: pue)(Message()).body
    assert isinstance(body, bytes)
    said = json.loads(body)
    assert said["schema"] == "wattledger.tokens/1"
    found: list[dict[str, object]] = said["models"]
    return found


def test_prices_with_their_intervals_and_addresses_by_model() -> None:
    grid = snapshot().grid
    assert grid is not None
    prices = {**price(LLAMA, "prompt", 0.01), **price(LLAMA, "generated", 0.4)}
    engines = {"127.0.0.1:8001": LLAMA, "127.0.0.1:8000": LLAMA}
    grid = grid._replace(value=360.0, quality="live")
    page = shown(token_price=prices, engines=engines, weak_tokens=frozenset({LLAMA}), grid=grid)
    assert models(page, pue=1.5) == [
        {
            "job": "vllm", "model": "llama", "addresses": ["127.0.0.1:8000", "127.0.0.1:8001"],
            "prompt_j": {"value": 0.01, "low": 0.005, "high": 0.02}, "generated_j": {"value": 0.4, "low": 0.2, "high": 0.8},
            "grams_per_joule": pytest.approx(1.5e-4), "weak": True,
        }
    ]  # fmt: skip


def test_what_is_not_known_is_absent_and_never_zero() -> None:
    page = shown(token_price=price(LLAMA, "generated", 0.4), engines={"h:1": OTHER}, weak_tokens=frozenset(), grid=None)
    assert models(page) == [
        {"job": "vllm", "model": "llama", "addresses": [], "generated_j": {"value": 0.4, "low": 0.2, "high": 0.8}, "weak": False},
        {"job": "vllm", "model": "other", "addresses": ["h:1"], "weak": False},
    ]


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_a_price_without_bounds_is_no_price(bad: float) -> None:
    page = shown(token_price={**price(LLAMA, "generated", 0.4), (LLAMA, "generated", "high"): bad}, engines={})
    assert "generated_j" not in models(page)[0]


def test_a_grid_that_nobody_knows_gives_no_grams() -> None:
    grid = snapshot().grid
    assert grid is not None
    page = shown(token_price=price(LLAMA, "prompt", 1.0), engines={}, grid=grid._replace(value=0.0, quality="unknown"))
    assert "grams_per_joule" not in models(page)[0]


def test_before_the_first_tick_there_is_nothing_and_without_engines_an_empty_list() -> None:
    latest: list[Snapshot] = []
    with served({"/tokens.json": tokens(lambda: latest[0] if latest else None)}) as web:
        assert ask(web, "/tokens.json").status == 503
        latest.append(shown(token_price={}, engines={}))
        reply = ask(web, "/tokens.json")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert json.loads(reply.body) == {"schema": "wattledger.tokens/1", "models": []}
