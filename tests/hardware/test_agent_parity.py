"""The agent on a real GPU node: what it says of a card is what the card's own register says, and every sum closes.

Without an NVIDIA driver the whole file is skipped, with the reason.
"""

import os
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.node.agents import Agent, agent, total

from wattledger.core.model import EnergyCounter, Instant
from wattledger.core.ports import Host, Source, SourceGone
from wattledger.sources import nvml

WINDOW_S = 10.0
REFRESHES = 2  # of the register, at either end of the window
TICK_S = 2.0  # how long a scrape may lag behind the register: the tick, and the one before it that a new series is shown with


def now() -> Instant:
    return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.time_ns())


@pytest.fixture
def source() -> Iterator[Source]:
    try:
        opened = nvml.open(Host("/sys", "/proc", {**os.environ}, (), True, {"steady": True}))
    except SourceGone as gone:
        pytest.skip(f"no NVIDIA GPU here: {gone}")
    yield opened
    opened.close()


@pytest.fixture
def node(source: Source, tmp_path: Path) -> Iterator[Agent]:
    with agent(tmp_path / "agent") as running:
        yield running


def registers(source: Source) -> dict[str, EnergyCounter]:
    return {s.device.id: s for s in source.read(now, False) if isinstance(s, EnergyCounter)}


def device_j(node: Agent, device: str) -> float:
    return float(total(node.scrape(), "wattledger_device_energy_joules_total", device=device))


def test_a_card_draws_by_the_agent_what_its_register_counts(source: Source, node: Agent) -> None:
    before = registers(source)
    if not before:
        pytest.skip("no GPU here has an energy register")
    time.sleep(3)
    first, said = registers(source), {device: device_j(node, device) for device in before}
    time.sleep(WINDOW_S)
    last = registers(source)
    for device in before:
        drawn_j = (last[device].count_uj - first[device].count_uj) / 1e6
        lag_j = drawn_j / WINDOW_S * (2 * TICK_S + REFRESHES * 0.1)
        assert device_j(node, device) - said[device] == pytest.approx(drawn_j, abs=max(lag_j, 1.0))


def test_every_sum_closes_on_real_sensors(node: Agent) -> None:
    time.sleep(5)
    for _ in range(5):
        rows = node.scrape()
        devices = {labels["device"] for name, labels, _ in rows if name == "wattledger_device_energy_joules_total"}
        assert devices
        for device in devices:
            handed_out = sum(
                (total(rows, f"wattledger_{name}_joules_total", device=device) for name in ("energy", "retired_energy")), Decimal(0)
            )
            assert handed_out == total(rows, "wattledger_device_energy_joules_total", device=device)
        time.sleep(1)
