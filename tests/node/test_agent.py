"""The whole node: a real agent on the rig, real control groups with real load, a program of another user, scraped as text."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.agents import Agent, agent, total
from tests.node.checks import ENERGY, closes, crossable, machine, real_groups, until
from tests.node.groups import Groups
from tests.rig.rig import Gpu, Process, load_constant

pytestmark = pytest.mark.slow
LOADS = {"/kubepods/burstable/pod11111111-2222-3333-4444-555555555555/" + "a" * 64: 0.6, "/system.slice/report.service": 0.3,
         "/wattledger-test": 0.15}  # fmt: skip
# Another user, from before the first span on; modules are loaded before, because this interpreter may lie in root's own home.
TRACKED = """
import csv, datetime, fcntl, glob, importlib.resources, json, os, random, select, selectors, socket, sys, time
import wattledger.core.footprint, wattledger.factors.grid.annual, wattledger.runtime.prices, wattledger.runtime.tracker
import wattledger.runtime.remote.link, wattledger.runtime.remote.meter
from wattledger import track
os.setgroups([]), os.setgid(65534), os.setuid(65534)
with track(job="tracked", model="m-1", labels={"team": "search", "k8s_pod_name": "forged"}) as run:
    end = time.perf_counter() + float(sys.argv[1])
    while time.perf_counter() < end:
        pass
    run.add_tokens(prompt=10, generated=5)
print(json.dumps(run.footprint.to_dict()))
"""


@pytest.fixture
def made() -> Iterator[Groups]:
    with real_groups() as found:
        yield found


def as_nobody(code: str, argument: str, running: Agent) -> "subprocess.Popen[str]":
    """A program of another user, who has no rights of his own but to speak to the socket."""
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
           "WATTLEDGER_AGENT_SOCKET": str(running.socket)}  # fmt: skip
    argv = [sys.executable, "-c", code, argument]
    return subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_every_load_pays_by_its_cpu_time_and_every_sum_closes(tmp_path: Path, made: Groups) -> None:
    with agent(crossable(tmp_path / "agent"), rig=machine(tmp_path / "rig")) as running:
        for path, part in LOADS.items():
            made.start(path, part)
        time.sleep(3)
        before, cpu_before = running.scrape(), {path: made.cpu_ns(path) for path in LOADS}
        tracked = as_nobody(TRACKED, "4", running)
        time.sleep(6)
        after, cpu_after = running.scrape(), {path: made.cpu_ns(path) for path in LOADS}
        closes(running.scrape())
        out, err = tracked.communicate(timeout=20)
        assert err == ""
        jobs = dict(zip(LOADS, ("a" * 12, "report.service", "/wattledger-test"), strict=True))
        energy = {
            path: float(total(after, ENERGY, job_name=job, component="cpu", use="active")
                        - total(before, ENERGY, job_name=job, component="cpu", use="active"))
            for path, job in jobs.items()
        }  # fmt: skip
        cpu = {path: cpu_after[path] - cpu_before[path] for path in LOADS}
        for path in LOADS:
            # The two scrapes are up to a tick off the two readings of the kernel: 1 s of 6.
            assert energy[path] / sum(energy.values()) == pytest.approx(cpu[path] / sum(cpu.values()), abs=0.06)
        footprint = json.loads(out)
        want_j = pytest.approx(footprint["energy_j"]["value"], rel=1e-6)
        # A tick for the last cell, and one more while other series are shown for the first time.
        assert until(lambda: float(total(running.scrape(), ENERGY, job_name="tracked")) == want_j, 10)
        rows = running.scrape()
        assert total(rows, ENERGY, job_name="tracked", model_name="m-1", component="cpu", use="active") > 0
        assert not [labels for _, labels, _ in rows if labels.get("k8s_pod_name") == "forged"]
        assert total(rows, "wattledger_tokens_total", job_name="tracked", kind="generated") == 5
        assert {device["method"] for device in footprint["devices"] if device["kind"] == "cpu"} == {"counter"}
        assert "device_energy_j" not in footprint["devices"][0]
        assert "rest_of_host" not in footprint
        closes(running.scrape())


def test_a_gpus_joules_go_to_the_group_whose_process_computes(tmp_path: Path, made: Groups) -> None:
    busy = made.start("/system.slice/train.service", 0.1)
    other = made.start("/system.slice/serve.service", 0.1)
    board = Gpu(load_constant(300), refresh_ms=20, processes=(Process(busy, 60), Process(other, 20)))
    with agent(tmp_path / "agent", rig=machine(tmp_path / "rig", board, Gpu(load_constant(70)))) as running:
        time.sleep(5)
        rows = running.scrape()
        shares = {job: float(total(rows, ENERGY, job_name=job, component="gpu")) for job in ("train.service", "serve.service")}
        assert shares["train.service"] / shares["serve.service"] == pytest.approx(3.0, rel=0.05)
        closes(running.scrape())


def test_a_group_that_ends_keeps_its_energy_and_a_reload_loses_none(tmp_path: Path, made: Groups) -> None:
    with agent(tmp_path / "agent", rig=machine(tmp_path / "rig")) as running:
        pid = made.start("/system.slice/short.service", 0.5)
        time.sleep(4)
        made.end(pid)
        time.sleep(2.5)
        used = total(running.scrape(), ENERGY, job_name="short.service")
        assert used > 0
        (tmp_path / "agent" / "agent.toml").write_text('[grid]\nzone = "FR"\n')
        running.hang_up()
        deadline = time.monotonic() + 10
        while "reload:" not in running.log and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1.5)
        rows = running.scrape()
        assert "grid.zone changed" in running.log
        assert [labels["grid_zone"] for name, labels, _ in rows if name.startswith("wattledger_grid_carbon")] == ["FR"]
        assert total(rows, ENERGY, job_name="short.service") >= used
        closes(running.scrape())


def test_a_wrong_word_at_reload_leaves_everything_as_it_was(tmp_path: Path) -> None:
    with agent(tmp_path / "agent", rig=machine(tmp_path / "rig"), config='[grid]\nzone = "DE"\n') as running:
        (tmp_path / "agent" / "agent.toml").write_text('[grid]\nzonne = "FR"\n')
        running.hang_up()
        deadline = time.monotonic() + 10
        while "reload:" not in running.log and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "did you mean 'grid.zone'?" in running.log
        assert running.get("/readyz")
        assert running.stop() == 0


def test_a_second_agent_says_who_holds_the_socket(tmp_path: Path) -> None:
    with agent(tmp_path / "agent", rig=machine(tmp_path / "rig")) as running:
        env = {"WATTLEDGER_AGENT_SOCKET": str(running.socket)}
        with pytest.raises(RuntimeError, match=rf"ended with 2:\nwattledger: .*{running.process.pid}"), \
                agent(tmp_path / "second", env=env):  # fmt: skip
            pytest.fail("the second agent has started")


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with agent(tmp_path / "agent") as running:
        env = {"WATTLEDGER_AGENT_LISTEN": running.url.removeprefix("http://")}
        with pytest.raises(RuntimeError, match=r"ended with 2:\nwattledger: .*in use") as said, agent(tmp_path / "second", env=env):
            pytest.fail("the second agent has started")
        assert str(said.value).count("\n") == 2
