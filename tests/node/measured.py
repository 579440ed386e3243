"""What has grown between two scrapes of an agent, and what it had learnt before."""

import json
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from tests.node.agents import Agent, Row, total
from tests.node.checks import DEVICE, ENERGY


def knows_floors(folder: Path, power_w: int, *uuids: str) -> None:
    """What an agent before this one has learnt of GPUs that have no quiet second now."""
    rows = [{"device": uuid, "state": "empty", "power_uw": power_w * 1_000_000, "wall_ns": 1, "n": 64} for uuid in uuids]
    (folder / "state").mkdir(parents=True)
    (folder / "state" / "floors.json").write_text(json.dumps(rows))


class Between:
    """What has grown between two scrapes."""

    def __init__(self, before: list[Row], after: list[Row]) -> None:
        self._before, self._after = before, after

    def energy(self, **labels: str) -> Decimal:
        return total(self._after, ENERGY, **labels) - total(self._before, ENERGY, **labels)

    def device(self, uuid: str) -> Decimal:
        return total(self._after, DEVICE, device=uuid) - total(self._before, DEVICE, device=uuid)


def values_of(rows: list[Row], label: str, **labels: str) -> set[str | None]:
    """What a label says on the energy rows with these labels."""
    return {found.get(label) for name, found, _ in rows if name == ENERGY and labels.items() <= found.items()}


def until(true: Callable[[], object], what: str, running: Agent, patience_s: float = 20) -> None:
    deadline = time.monotonic() + patience_s
    while not true():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}, after {patience_s:g} s:\n{running.log}")
        time.sleep(0.1)
