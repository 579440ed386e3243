"""The agent's books, as its programs, its end and kill -9 leave them: what was measured, once, to the microjoule."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.node.agents import Agent, agent, total
from tests.node.checks import DEVICE, closes, drawn_j, machine, nothing_twice, said, until
from tests.rig.rig import Gpu, Rig, boottime_ns, load_constant
from tests.runtime.books.read import bodies, by_device, energies, facts, known, once, uj
from tests.runtime.programs import PRELUDE

from wattledger.core.facts import EnergyFact, RunFact
from wattledger.ledger.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.soak]
POWER_W = 200
LAG = "wattledger_ledger_lag_seconds"
EACH_S = "[ledger]\ncommit_interval_s = 1\n"
WATTS = {"rapl:package-0": 120, "rapl:package-1": 120, "rapl:dram-0": 12, "rapl:dram-1": 12}
GPU = "GPU-00000000-0000-4000-8000-000000000000"
LABELLED = """
with track(job="labelled", labels={"user": "ada.lovelace", "team": "search"}) as run:
    burn(2.5)
out(final(run).to_dict())
"""
TRACKED = """
with track(job=sys.argv[1]) as run:
    burn(float(sys.argv[2]))
time.sleep(0.2)
out(final(run).to_dict())
"""


def books(folder: Path) -> Path:
    return folder / "state" / "ledger"


def devices_uj(running: Agent) -> dict[str, int]:
    """What the metrics say of each device that no other counts."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for name, labels, value in closes(running.scrape()):
        if name == DEVICE:
            sums[labels["device"]] += value
    return {device: int(value * 1_000_000) for device, value in sums.items()}


def program(code: str, env: dict[str, str], *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", PRELUDE + code, *words], env=env, stdout=subprocess.PIPE, text=True)


def client(running: Agent) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            "WATTLEDGER_AGENT_SOCKET": str(running.socket), "HOME": str(running.socket.parent)}  # fmt: skip


def test_the_books_of_an_agent_are_what_its_metrics_said_and_name_no_user(tmp_path: Path) -> None:
    rig = machine(tmp_path / "rig", Gpu(load_constant(POWER_W)))
    with agent(tmp_path / "agent", rig=rig, config=EACH_S, env={"WATTLEDGER_LEDGER_PATH": ""}) as running:
        with program(LABELLED, client(running)) as labelled:
            assert labelled.wait(30) == 0
        until(lambda: total(running.scrape(), "wattledger_energy_joules_total", job_name="labelled"))
        time.sleep(2.2)
        before = devices_uj(running)
        stopping_ns = boottime_ns()
        assert running.stop() == 0
        nothing_twice(running)
    found = energies(books(tmp_path / "agent"))
    once(found)
    sums = by_device(found)
    # Between the last scrape and the last tick: two seconds and what the end takes, at the power of each.
    late_s = (boottime_ns() - stopping_ns) / 1e9 + 2.5
    for device, uj_ in before.items():
        assert 0 <= sums[device] - uj_ <= {**WATTS, GPU: POWER_W}.get(device, 400) * 1e6 * late_s, device
    for device in sums.keys() & WATTS.keys():
        assert sums[device] <= drawn_j(rig, zone_of(device), rig.epoch_ns, boottime_ns()) * 1e6
    text = "\n".join(bodies(books(tmp_path / "agent")))
    assert "ada" not in text
    assert '"team","search"' in text.replace(" ", "")
    [key] = {fact.key for fact in found if fact.key.job == "labelled" and fact.key.component == "cpu"
             and fact.key.device == "rapl:package-0" and fact.key.use == "active"}  # fmt: skip
    assert dict(key.labels)["user"].startswith("user-")


def zone_of(device: str) -> str:
    return {"rapl:package-0": "intel-rapl:0", "rapl:package-1": "intel-rapl:1",
            "rapl:dram-0": "intel-rapl:0:2", "rapl:dram-1": "intel-rapl:1:2"}[device]  # fmt: skip


def meters(folder: Path) -> dict[str, int]:
    """Each meter and when it began, in milliseconds."""
    return {fact.meter: fact.at_ms for fact in facts(folder) if isinstance(fact, RunFact) and fact.what == "began"}


class Life(NamedTuple):
    """Of one agent: when it was started, ready and killed, and for how long it had been ready."""

    started_ms: float
    killed_ms: float
    ready_s: float


def killed(folder: Path, rig: Rig, after_s: float) -> Life:
    started_ms = time.time() * 1000
    with agent(folder, rig=rig, config=EACH_S) as running:
        ready = time.monotonic()
        time.sleep(after_s)
        running.process.send_signal(signal.SIGKILL)
        ready_s = time.monotonic() - ready
        running.process.wait()
    return Life(started_ms, time.time() * 1000, ready_s)


def test_kill_9_loses_at_most_what_was_not_committed_and_doubles_nothing(tmp_path: Path) -> None:
    """A commit each second, a tick each second: what is lost of a life is two seconds of power, and the commit's own time."""
    chance, rig = random.Random(4), machine(tmp_path / "rig", Gpu(load_constant(POWER_W)))
    # The last one lives for long enough to have committed its open minute, which is what the next one finds.
    lives = [killed(tmp_path / "agent", rig, after_s) for after_s in (*(chance.uniform(0.2, 3.5) for _ in range(10)), 3.5)]
    with agent(tmp_path / "agent", rig=rig, config=EACH_S) as running:
        assert until(lambda: said(running, "facts of a meter that was ended before its minute was over are in"))
        assert running.stop() == 0
    whole = known(books(tmp_path / "agent"))
    assert [fact.recorded_s for fact in whole] == sorted(fact.recorded_s for fact in whole)
    found = [each.fact for each in whole if isinstance(each.fact, EnergyFact)]
    once(found)
    assert all(fact.energy_uj >= 0 for fact in found)
    began, lost_s = meters(books(tmp_path / "agent")), list[float]()
    for life in lives:
        its = {meter for meter, at_ms in began.items() if life.started_ms <= at_ms <= life.killed_ms}
        assert len(its) <= 1
        uj_ = sum(fact.energy_uj for fact in found if fact.key.device == GPU and fact.key.meter in its)
        # It begins to meter a moment before it is ready.
        lost_s.append(life.ready_s - uj_ / 1e6 / POWER_W)
        assert -3 < lost_s[-1] < 1 + 1 + 0.6
    assert sum(fact.energy_uj for fact in found if fact.key.device == GPU) <= rig.truth_uj(GPU, rig.epoch_ns, boottime_ns())
    print(f"lost by kill -9, in seconds of power: {[round(seconds, 2) for seconds in lost_s]}")


def test_an_agent_and_three_programs_that_meter_themselves_write_one_chain(tmp_path: Path) -> None:
    rig, shared = machine(tmp_path / "rig"), tmp_path / "shared"
    env = {"WATTLEDGER_LEDGER_PATH": str(shared), "WATTLEDGER_LEDGER_COMMIT_INTERVAL_S": "0.2"}
    with agent(tmp_path / "agent", rig=rig, env=env) as running:
        nobody = {"WATTLEDGER_AGENT_SOCKET": str(tmp_path / "none"), "WATTLEDGER_FACILITY_REST": "off"}
        alone = {**client(running), **rig.env(), **env, **nobody}
        programs = [program(TRACKED, alone, f"job-{n}", "1.5") for n in range(3)]
        footprints = [json.loads(each.communicate(timeout=60)[0]) for each in programs]
        time.sleep(1)
        assert running.stop() == 0
        nothing_twice(running)
    found = energies(shared)
    once(found)
    for footprint in footprints:
        of_it = [fact for fact in found if fact.key.job == footprint["job"] and fact.key.meter.startswith("track:")]
        assert sum(fact.energy_uj for fact in of_it) == uj(footprint["energy_j"]["value"])
    kinds = sorted(meter.partition(":")[0] for meter in meters(shared))
    assert kinds == ["agent", "track", "track", "track"]
    assert open_journals(shared) == 0


def open_journals(folder: Path) -> int:
    store = Store.open(folder)
    try:
        return store.recover(int(time.time()))
    finally:
        store.close()


def test_an_agent_whose_disk_takes_nothing_serves_says_so_once_and_writes_all_of_it_later(tmp_path: Path) -> None:
    rig = machine(tmp_path / "rig", Gpu(load_constant(POWER_W)))
    in_the_way = tmp_path / "books"
    in_the_way.write_text("")
    begun_ns = boottime_ns()
    with agent(tmp_path / "agent", rig=rig, config=EACH_S, env={"WATTLEDGER_LEDGER_PATH": str(in_the_way)}) as running:
        time.sleep(4)
        closes(running.scrape())
        [line] = said(running, "books:")
        assert "kept in memory and will be written" in line
        assert total(running.scrape(), LAG) > 3
        page = running.get("/", "text/html")
        assert "books: their folder: " in page
        assert str(tmp_path) not in page
        in_the_way.unlink()
        assert until(lambda: said(running, "the books are written again; nothing was lost"))
        assert until(lambda: total(running.scrape(), LAG) < 2.5)  # a commit a second
        assert "their folder" not in running.get("/", "text/html")
        seen = devices_uj(running)[GPU]
        assert running.stop() == 0
        nothing_twice(running)
    written = by_device(energies(in_the_way))[GPU]
    assert seen <= written <= rig.truth_uj(GPU, begun_ns, boottime_ns())
    assert seen > 4 * POWER_W * 1e6 * 0.5
