"""An agent in the test's own process, on a tree of registers that the test turns: its last word and its books are one sum."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtime.books.read import by_device, energies, facts, intensities, once
from tests.runtime.control_rig import place
from tests.sources.rapl_tree import host_with, zone

from wattledger.core.facts import RunFact
from wattledger.core.totals import Snapshot
from wattledger.runtime.node.agent import Agent

ZONES = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:0:1": "dram"}


class Machine:
    """State: a tree of registers, and an agent that reads it."""

    def __init__(self, folder: Path, socket: Path) -> None:
        self.folder = folder
        (folder / "proc").mkdir()
        host_with(folder, {key: zone(name, 0) for key, name in ZONES.items()})
        environ = {
            "WATTLEDGER_AGENT_LISTEN": "127.0.0.1:0", "WATTLEDGER_AGENT_SOCKET": str(socket),
            "WATTLEDGER_AGENT_STATE": str(folder / "state"), "WATTLEDGER_PATHS_SYSFS": str(folder / "sys"),
            "WATTLEDGER_SOURCES_NVML_ENABLED": "false", "WATTLEDGER_AGENT_SERIES": "2",
        }  # fmt: skip
        (folder / "agent.toml").write_text("")
        self.agent = Agent(str(folder / "agent.toml"), environ)
        self.uj = dict.fromkeys(ZONES, 0)

    def draw(self, uj: int) -> None:
        """Every register moves, and all is read."""
        for key in ZONES:
            self.uj[key] += uj
            parts = key.split(":")
            path = Path(parts[0], *(":".join(parts[: i + 1]) for i in range(1, len(parts))))
            (self.folder / "sys/devices/virtual/powercap" / path / "energy_uj").write_text(f"{self.uj[key]}\n")
        self.agent.session.sampler.tick()

    def final(self) -> Snapshot:
        found = self.agent.publisher.final
        assert found is not None
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with place() as short:
        yield Machine(tmp_path, short / "a.sock")


def test_the_books_hold_what_the_metrics_said_at_the_end_to_the_microjoule(machine: Machine) -> None:
    machine.agent.start()
    machine.draw(0)  # the first reading, whoever takes it
    for turn in range(1, 40):
        machine.draw(turn * 1_237)
    machine.agent.stop()
    found = energies(machine.folder / "state" / "ledger")
    once(found)
    said: Counter[str] = Counter()
    for (device, _), uj in machine.final().device_energy_uj.items():
        said[device] += uj
    assert by_device(found) == {device: uj for device, uj in said.items() if uj}
    # The rest of the host is a model; what has a register is what that counted, the core within its package.
    assert said["rapl:package-0"] == machine.uj["intel-rapl:0"]
    assert "rapl:core" not in by_device(found)
    began, ended = [fact for fact in facts(machine.folder / "state" / "ledger") if isinstance(fact, RunFact)]
    assert (began.what, ended.what) == ("began", "ended")
    assert dict(began.config)["agent.series"] == "2"


def test_another_zone_after_a_reload_is_in_the_books_from_then_on(machine: Machine) -> None:
    machine.agent.start()
    machine.draw(0)
    machine.draw(1_000)
    machine.draw(1_000)
    (machine.folder / "agent.toml").write_text('[grid]\nzone = "FR"\n[facility]\npue = 1.25\n')
    machine.agent.reload()
    machine.draw(3_000)
    machine.agent.session.sampler.tick()
    machine.draw(5_000)
    (machine.folder / "agent.toml").write_text('[grid]\nzone = "Atlantis"\n')
    machine.agent.reload()
    machine.draw(7_000)
    machine.agent.stop()
    sums: Counter[tuple[str, int]] = Counter()
    for fact in energies(machine.folder / "state" / "ledger"):
        if fact.key.device == "rapl:package-0":
            sums[fact.key.zone, fact.key.pue_milli] += fact.energy_uj
    # The cell in which the words were heard may stand on either side.
    assert sums.keys() == {("", 0), ("FR", 1250)}
    assert sums["FR", 1250] in (12_000_000, 15_000)
    assert sums.total() == 17_000
    assert intensities(machine.folder / "state" / "ledger") == []
