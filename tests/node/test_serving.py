"""A real engine under a real load beside a real agent: what its tokens got is what it drew, to the microjoule."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.agents import Agent, Row, agent, total
from tests.servers import llama
from tests.servers.load import KINDS, TOKENS, Load, config, identity, llama_url
from tests.servers.programs import until

LOAD_S = 12.0
_NEVER = threading.Event()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Row], Load, Agent, Path]]:
    """An agent beside an engine that was loaded and then left alone; its page after that."""
    folder = tmp_path_factory.mktemp("serving")
    with llama.serving(folder) as port, agent(folder, config=config(folder, llama_url(port))) as node:
        until(lambda: total(node.scrape(), "wattledger_energy_joules_total", model_name=llama.ALIAS) > 0, "the engine is metered")
        load = Load(port, 1)
        load.run(LOAD_S)
        until(lambda: total(node.scrape(), TOKENS, model_name=llama.ALIAS, kind="generated") >= load.generated, "they are counted")
        _NEVER.wait(3.0)  # nothing to do: standby
        yield node.scrape(), load, node, folder


@pytest.mark.slow
def test_tokens_are_those_that_the_clients_were_told(served: tuple[list[Row], Load, Agent, Path]) -> None:
    rows, load, _, _ = served
    counted = {kind: total(rows, "wattledger_tokens_total", model_name=llama.ALIAS, kind=kind) for kind in ("prompt", "generated")}
    assert counted == {"prompt": load.prompt, "generated": load.generated}


@pytest.mark.slow
def test_kinds_and_what_is_pending_sum_to_the_engine_s_energy(served: tuple[list[Row], Load, Agent, Path]) -> None:
    divided, energy = identity(served[0])
    assert divided == energy
    assert energy > 0
    by_kind = {k: total(served[0], "wattledger_token_energy_joules_total", model_name=llama.ALIAS, kind=k) for k in KINDS}
    assert by_kind["prompt"] > 0
    assert by_kind["generated"] > by_kind["prompt"] / 100


@pytest.mark.slow
def test_energy_per_token_is_said_with_its_bounds_and_in_grams(served: tuple[list[Row], Load, Agent, Path]) -> None:
    rows = served[0]
    for kind in ("prompt", "generated"):
        low, value, high = (
            total(rows, "wattledger_energy_per_token_joules", model_name=llama.ALIAS, kind=kind, bound=bound)
            for bound in ("low", "value", "high")
        )
        assert 0 <= low <= value <= high
        assert value > 0
        joules = total(rows, "wattledger_token_energy_joules_total", model_name=llama.ALIAS, kind=kind)
        grams = total(rows, "wattledger_token_emissions_grams_total", model_name=llama.ALIAS, kind=kind)
        assert float(grams) == pytest.approx(float(joules) / 3.6e6 * 329, rel=1e-6)  # DE, EEA 2023


@pytest.mark.slow
def test_prices_are_told_to_programs(served: tuple[list[Row], Load, Agent, Path]) -> None:
    told = json.loads(served[2].get("/tokens.json", "application/json"))
    model = next(m for m in told["models"] if m["model"] == llama.ALIAS)
    assert model["generated_j"]["value"] > 0
    assert model["addresses"]
