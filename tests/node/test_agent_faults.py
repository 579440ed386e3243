"""Sensors that fail under a running agent: each is one line, the others go on, and no joule is lost that a register kept."""

import dataclasses
import time
from decimal import Decimal
from pathlib import Path

import pytest
from tests.node.agents import Agent, agent, total
from tests.node.checks import DEVICE, ENERGY, LATE, UP, closes, drawn_j, machine, nothing_twice, real_groups, said, until
from tests.rig.rig import Fault, Gpu, Zone, boottime_ns, load_constant, load_square, sockets

pytestmark = [pytest.mark.slow, pytest.mark.soak]
LOST, LATER, STUCK = (f"GPU-00000000-0000-4000-8000-{n:012}" for n in range(3))
START_UJ = 100_000_000_000
# Registers that went on counting while they could not be read, and the device that each is; the lines that the day's log has.
WHOLE = {"intel-rapl:0": "rapl:package-0", "intel-rapl:0:2": "rapl:dram-0", "intel-rapl:1:2": "rapl:dram-1", LOST: LOST}
LINES = (
    ("energy_uj", "No such"), ("rapl:package-0", "is read again"), ("energy_uj", "nput/output error"), ("rapl: reads again",),
    (LOST, "lost"), (LOST, "is read again"), (LATER, "is read now"), (STUCK, "power sensor stuck at 150 W"),
)  # fmt: skip


def bad_zones() -> tuple[Zone, ...]:
    """Of package 0 the files go for a while, of package 1 the register begins anew, of DRAM 0 reads fail; DRAM 1 is well."""
    faults = {
        "intel-rapl:0": Fault("vanish", at_s=6, for_s=3),
        "intel-rapl:1": Fault("reset", at_s=8),
        "intel-rapl:0:2": Fault("eio", at_s=12, for_s=2.5),
    }
    zones = sockets(2, package=load_square(0.3, 40, 120), dram=load_constant(12))
    return tuple(
        dataclasses.replace(z, faults=(faults[z.key],), start_uj=START_UJ) if z.key in faults else z for z in zones
    )


def watts_of(rows: list[tuple[str, dict[str, str], Decimal]]) -> dict[str, float]:
    return {labels["device"]: float(value) for name, labels, value in rows if name == "wattledger_device_power_watts"}


def test_a_bad_day_of_every_sensor_is_a_line_each_and_loses_no_joule_that_a_register_kept(tmp_path: Path) -> None:
    boards = (
        Gpu(load_constant(300), uuid=LOST, refresh_ms=20, faults=(Fault("lost", at_s=6, for_s=3),)),
        Gpu(load_constant(200), uuid=LATER, refresh_ms=20, plugged_s=10),
        Gpu(load_square(8, 100, 500), uuid=STUCK, counter=False, faults=(Fault("stuck_power", at_s=4, value=150_000),)),
    )
    rig = machine(tmp_path / "rig", *boards, zones=bad_zones())
    with agent(tmp_path / "agent", rig=rig) as running:
        ready_ns = boottime_ns()
        assert ready_ns - rig.epoch_ns < 5e9, "the faults begin too early for this machine"
        assert until(lambda: total(running.scrape(), DEVICE))
        while boottime_ns() - rig.epoch_ns < 12e9:
            rows = running.scrape()
            closes(rows)
            assert running.get("/readyz")
            time.sleep(0.7)
        assert LOST not in watts_of(rows), "what a lost card drew last is not what it draws"
        assert LATER not in running.log
        assert until(lambda: len(said(running, LOST)) > 1 and said(running, LATER) and said(running, "stuck"), 45)
        time.sleep(3)
        rows, now_ns = running.scrape(), boottime_ns()
        closes(rows)
        for key, device in WHOLE.items():
            found = float(total(rows, DEVICE, device=device))
            # It begins a moment before it is ready, and the last tick was up to a second ago, shown up to another later.
            most_j = drawn_j(rig, key, rig.epoch_ns, now_ns)
            assert drawn_j(rig, key, ready_ns, now_ns - 2_300_000_000) <= found <= most_j, device
        # The register's beginning anew takes what was drawn since the reading before with it: a tick, at most 120 W.
        reset = drawn_j(rig, "intel-rapl:1", ready_ns, now_ns - 2_300_000_000) - 240
        assert reset <= total(rows, DEVICE, device="rapl:package-1") <= drawn_j(rig, "intel-rapl:1", rig.epoch_ns, now_ns)
        assert 0 < total(rows, DEVICE, device=LATER) <= drawn_j(rig, LATER, rig.epoch_ns + 10**10, now_ns)
        assert total(rows, DEVICE, device=STUCK, method="integrated") > 0
        assert total(rows, DEVICE, device=STUCK, method="estimated") > 0
        assert {LOST, LATER, STUCK} <= watts_of(rows).keys()
        for words in LINES:
            assert len(said(running, *words)) == 1, f"{words}\n{running.log}"
        nothing_twice(running)
        assert running.stop() == 0


def test_a_driver_that_hangs_holds_nobody_up_and_its_register_tells_afterwards(tmp_path: Path) -> None:
    board = Gpu(load_constant(300), uuid=LOST, refresh_ms=20, faults=(Fault("hang", at_s=5, for_s=14),))
    rig = machine(tmp_path / "rig", board)
    with real_groups() as made, agent(tmp_path / "agent", rig=rig) as running:
        made.start("/system.slice/busy.service", 0.2)
        ready_ns = boottime_ns()
        assert until(lambda: boottime_ns() - rig.epoch_ns > 7e9)
        before = running.scrape()
        for _ in range(4):
            time.sleep(2.2)  # a tick comes within one second, and shows new series one later
            rows = running.scrape()
            closes(rows)
            assert total(rows, ENERGY, job_name="busy.service") > total(before, ENERGY, job_name="busy.service")
            assert total(rows, DEVICE, component="cpu") > total(before, DEVICE, component="cpu")
            assert total(rows, DEVICE, device=LOST) == total(before, DEVICE, device=LOST)
            assert total(rows, LATE) < Decimal("0.5")
            before = rows
        assert until(lambda: total(running.scrape(), UP, source="nvml") == 0, 5)
        assert LOST not in watts_of(running.scrape())
        assert until(lambda: said(running, "nvml", "reads again"))
        assert until(lambda: total(running.scrape(), DEVICE, device=LOST) > 14 * 300)
        rows, now_ns = running.scrape(), boottime_ns()
        assert total(rows, UP, source="nvml") == 1
        assert drawn_j(rig, LOST, ready_ns, now_ns - 2_300_000_000) <= total(rows, DEVICE, device=LOST)
        assert total(rows, DEVICE, device=LOST) <= drawn_j(rig, LOST, rig.epoch_ns, now_ns)
        closes(rows)
        assert len(said(running, "nvml", "not come back")) == 1
        nothing_twice(running)


def ended(running: Agent) -> float:
    """How long an orderly stop takes."""
    begun = time.monotonic()
    assert running.stop() == 0
    return time.monotonic() - begun


def test_a_driver_that_hangs_for_ever_does_not_keep_the_agent_from_its_end(tmp_path: Path) -> None:
    board = Gpu(load_constant(300), uuid=LOST, faults=(Fault("hang", at_s=4),))
    with agent(tmp_path / "agent", rig=machine(tmp_path / "rig", board)) as running:
        time.sleep(4.5)
        closes(running.scrape())
        assert ended(running) < 5
