"""Agents that end well, badly and begin again, beside a program that goes on; and one that has no rights."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.node.agents import Agent, agent, total
from tests.node.checks import DEVICE, ENERGY, UP, closes, crossable, machine, nothing_twice, said, until
from tests.rig.rig import Fault, Rig, Zone, load_constant, load_square

pytestmark = [pytest.mark.slow, pytest.mark.soak]
# Works until it is told to stop, then says what it cost.
TRACKED = """
import json, sys, threading, time
from wattledger import track
told = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), told.set()), daemon=True).start()
with track(job="goes-on", model="m-1") as run:
    while not told.is_set():
        sum(range(10_000))
print(json.dumps(run.footprint.to_dict()))
"""
# Before the agent's own first line: everything is loaded that lies where only root can read, and then the rights are gone.
NOBODY = """
import importlib, os, pkgutil, sys
packages = ["concurrent.futures", "email", "encodings", "http", "importlib", "json", "logging"]
packages += ["prometheus_client", "wattledger", "wattledger_exporters"]
names = [name for name in sys.stdlib_module_names if name not in ("antigravity", "idlelib", "this", "turtle", "turtledemo")]
for package in packages:
    found = importlib.import_module(package)
    names += [module.name for module in pkgutil.walk_packages(found.__path__, package + ".", onerror=lambda _: None)]
for name in [*names, "click", "pynvml", "requests"]:
    try:
        importlib.import_module(name)
    except Exception:
        pass
os.setgroups([]), os.setgid(65534), os.setuid(65534)
"""


@contextmanager
def tracked(node: Agent) -> Iterator["subprocess.Popen[str]"]:
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
           "WATTLEDGER_AGENT_SOCKET": str(node.socket)}  # fmt: skip
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", TRACKED], env=env, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def footprint(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """It is told to stop; that it ended well, in silence, is checked here."""
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert err.count("\n") <= 1, err
    found: dict[str, Any] = json.loads(out)
    return found


def its_joules(node: Agent) -> float:
    return float(total(node.scrape(), ENERGY, job_name="goes-on"))


def kill(node: Agent) -> None:
    node.process.send_signal(signal.SIGKILL)
    assert node.process.wait(timeout=10) == -signal.SIGKILL


def test_the_socket_of_an_agent_that_was_killed_hinders_nobody(tmp_path: Path) -> None:
    with agent(tmp_path / "agent") as killed:
        kill(killed)
        assert killed.socket.exists()
        with agent(tmp_path / "agent") as running, socket.socket(socket.AF_UNIX) as client:
            client.connect(str(running.socket))
            assert str(running.socket) in running.log
            assert running.stop() == 0
            assert not running.socket.exists()


def test_a_program_outlives_an_agent_that_is_killed_and_its_footprint_says_the_gap(tmp_path: Path) -> None:
    rig = machine(tmp_path / "rig")
    with agent(tmp_path / "agent", rig=rig) as killed, tracked(killed) as program:
        assert until(lambda: its_joules(killed) > 0)
        time.sleep(8)  # an agent tells its programs their accounts each 5 s
        kill(killed)
        time.sleep(1.5)
        with agent(tmp_path / "agent", rig=rig) as running:
            assert until(lambda: its_joules(running) > 0)
            time.sleep(1.5)
            found = footprint(program)
            after = its_joules(running)
            closes(running.scrape())
            nothing_twice(running)
    assert found["energy_j"]["value"] > after > 0, "what the first had told it is in it"
    assert [note for note in found["notes"] if "away from" in note], found["notes"]


def test_a_program_has_what_both_agents_measured_when_one_is_restarted_orderly(tmp_path: Path) -> None:
    rig = machine(tmp_path / "rig")
    with agent(tmp_path / "agent", rig=rig) as first, tracked(first) as program:
        assert until(lambda: its_joules(first) > 0)
        time.sleep(3)
        begun, before = time.monotonic(), its_joules(first)
        assert first.stop() == 0
        stopped_s = time.monotonic() - begun
        with agent(tmp_path / "agent", rig=rig) as second:
            assert until(lambda: its_joules(second) > 0)
            time.sleep(2)
            scraped, begun = its_joules(second), time.monotonic()
            found = footprint(program)
            late_s = time.monotonic() - begun
            closes(second.scrape())
    joules = found["energy_j"]["value"]
    # At the scrapes a cell of a second was open, and one was not shown yet; two packages draw 160 W in the mean.
    assert before + scraped <= joules <= before + scraped + 300 * (4 + stopped_s + late_s)
    assert [note for note in found["notes"] if "away from" in note], found["notes"]


def forbidden() -> tuple[Zone, ...]:
    """Registers that only root may read, by no way."""
    denied = (Fault("perf_eacces"),)
    return (Zone("intel-rapl:0", "package-0", load_square(0.3, 40, 120), perf="energy-pkg", faults=denied),
            Zone("intel-rapl:0:2", "dram", load_constant(12), perf="energy-ram", faults=denied))  # fmt: skip


def powerless(folder: Path, rig: Rig) -> dict[str, str]:
    """What makes an agent of ours nobody's: the interpreter gives its rights away before it begins."""
    site = crossable(folder / "site")
    (site / "sitecustomize.py").write_text(NOBODY)
    crossable(rig.home)
    os.chown(crossable(folder / "agent"), 65534, 65534)
    return {"PYTHONPATH": os.pathsep.join([str(site), *(p for p in sys.path if p)]), "HOME": str(folder / "agent")}


def test_an_agent_without_rights_starts_says_what_it_cannot_measure_and_serves(tmp_path: Path) -> None:
    if os.getuid():
        pytest.skip("only root can give its rights away")
    rig = machine(tmp_path / "rig", zones=forbidden())
    with agent(tmp_path / "agent", rig=rig, env=powerless(tmp_path, rig)) as running:
        assert Path(f"/proc/{running.process.pid}").stat().st_uid == 65534
        assert until(lambda: total(running.scrape(), DEVICE, method="estimated"))
        assert until(lambda: said(running, "rapl"))
        rows = running.scrape()
        closes(rows)
        assert total(rows, DEVICE, method="counter") == 0
        assert [value for name, labels, value in rows if name == UP and labels["source"] == "rapl"] == [0]
        [line] = said(running, "rapl")
        assert "may be read by root only" in line
        assert "try: sudo" in line
        assert until(lambda: said(running, "environments of other users' processes may not be read"))
        nothing_twice(running)
        assert running.stop() == 0
