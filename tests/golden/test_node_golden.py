"""A node's capture replays to its golden scrape; `python -m tests.golden.node` writes them anew when a change is meant."""

import pytest
from tests.golden.node import CAPTURE, HERE, batches, renderings, snapshot

from wattledger.testing import load_capture

NAMES = ("node.prom", "node.openmetrics", "node.jsonl", "node.console.txt")


def test_the_stored_capture_holds_exactly_what_the_node_said() -> None:
    assert load_capture(CAPTURE).batches == batches()


@pytest.mark.parametrize("name", NAMES)
def test_a_nodes_capture_renders_to_its_golden_file(name: str) -> None:
    assert renderings()[name].decode() == (HERE / name).read_text(encoding="utf-8")


def test_the_golden_scrape_closes_and_somebody_has_been_retired() -> None:
    found = snapshot()
    assert set(found.residual_uj.values()) == {0}
    assert sum(found.retired_uj.values()) > 0
    assert sum(found.energy_uj.values()) + sum(found.retired_uj.values()) == sum(found.device_energy_uj.values())
