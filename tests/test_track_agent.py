"""``track`` and ``run`` on a node with an agent: it measures, needs no rights of the program, and everything still adds up."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.control_rig import Node, place
from tests.runtime.devices import until
from tests.runtime.programs import PRELUDE, blind, environ, python

from wattledger.core.model import Workload
from wattledger.runtime.control.binding import Binding

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")


@pytest.fixture
def socket_path() -> Iterator[Path]:
    with place() as folder:
        yield folder / "a.sock"


@pytest.fixture
def node(socket_path: Path) -> Iterator[Node]:
    node = Node(str(socket_path), stranger=True)
    node.tick_along()
    yield node
    node.stop()


@pytest.fixture
def env(node: Node, tmp_path: Path) -> dict[str, str]:
    return environ(tmp_path, WATTLEDGER_AGENT_SOCKET=node.path)


def by_job(node: Node) -> dict[str, int]:
    sums: dict[str, int] = {}
    for (workload, *_), uj in node.pipeline.totals.energy_uj.items():
        sums[workload.job] = sums.get(workload.job, 0) + uj
    return sums


def start(code: str, env: dict[str, str]) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-c", PRELUDE + code]
    return subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_the_agent_measures_and_the_footprint_is_the_contracts(node: Node, env: dict[str, str]) -> None:
    found, child, kind = python("""
with track(job="f", model="m", labels={"team": "search"}) as run:
    run.add_tokens(prompt=812, generated=64, cached=3, requests=1)
    time.sleep(0.3)
    with track(job="c") as child:
        time.sleep(0.2)
from wattledger.runtime.tracker import TRACKER
out([run.footprint.to_dict(), child.footprint.to_dict(), type(TRACKER._meter).__name__])
""", env).value
    assert kind == "AgentMeter"
    assert (found["hosts"], found["job"], found["model"], found["labels"]) == (["node-1"], "f", "m", {"team": "search"})
    assert found["work"] == {"prompt_tokens": 812, "cached_tokens": 3, "generated_tokens": 64, "requests": 1}
    [device] = found["devices"]
    assert device["device_energy_j"] == pytest.approx(100 * found["duration_s"], rel=0.01)
    assert found["energy_j"]["value"] == pytest.approx(50 * found["duration_s"], rel=0.05)  # the stranger uses the other half
    assert found["energy_j"]["value"] + sum(found["rest_of_host"].values()) == pytest.approx(device["device_energy_j"], rel=1e-6)
    assert {f["zone"] for f in found["factors"]} == {"DE"}
    assert {"a sensor's note", "a price's note"} <= set(found["notes"])
    assert not any("provisional" in note or "asked before" in note for note in found["notes"])
    assert child["parent_run_id"] == found["run_id"]
    assert child["own_energy_j"]["value"] + found["own_energy_j"]["value"] == pytest.approx(found["energy_j"]["value"], rel=1e-6)
    assert node.pipeline.totals.work[Workload("f", "m", (("team", "search"),))][2:6] == (812, 3, 64, 1)


def test_a_footprint_is_live_then_final_and_then_unchanged(env: dict[str, str]) -> None:
    live, after, again, same = python("""
with track(job="f") as run:
    time.sleep(0.3)
    live = run.footprint
after = run.footprint
time.sleep(0.2)
out([live.to_dict(), after.to_dict(), run.footprint.to_dict(), run.footprint is after])
""", env).value
    assert same
    assert after == again
    assert 0 < live["energy_j"]["value"] <= after["energy_j"]["value"]
    assert live["duration_s"] <= after["duration_s"]


def test_a_zone_of_its_own_prices_the_agents_joules(env: dict[str, str]) -> None:
    zones = python("""
with track(job="f", zone="FR") as run: time.sleep(0.1)
with track(job="f") as other: time.sleep(0.1)
out([{f.zone for f in r.footprint.factors if f.kind == "grid"} == {z} for r, z in ((run, "FR"), (other, "DE"))])
""", env).value
    assert zones == [True, True]


def test_two_programs_at_once_and_a_stranger_are_the_whole_card(node: Node, env: dict[str, str]) -> None:
    code = """
with track(job=sys.stdin.readline().strip()) as run:
    time.sleep(0.5)
    for n in range(20):
        with track(job="inner"): time.sleep(0.005)
out(run.footprint.to_dict())
"""
    with start(code, env) as one, start(code, env) as two:
        told = [p.communicate(f"job{n}\n")[0] for n, p in enumerate((one, two))]
    assert all('"energy_j"' in words for words in told)
    until(lambda: node.server.connections == 0, "both have ended")
    node.stop_ticking()
    jobs = by_job(node)
    assert {"job0", "job1", "inner", "(other)"} <= set(jobs)
    assert min(jobs["job0"], jobs["job1"], jobs["inner"]) > 0
    assert node.residual_uj == {}
    assert sum(jobs.values()) == sum(node.pipeline.totals.device_energy_uj.values())


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become somebody else")
def test_another_user_is_measured_and_told_only_what_is_his(node: Node, socket_path: Path) -> None:
    found, host = python("""
import wattledger.runtime.tracker, wattledger.runtime.remote.meter
os.setgroups([]), os.setgid(65534), os.setuid(65534)
with track(job="f") as run:
    with track(job="h", scope="host") as host:
        time.sleep(0.3)
out([run.footprint.to_dict(), host.footprint.to_dict()])
""", environ(socket_path.parent, WATTLEDGER_AGENT_SOCKET=node.path)).value
    [device] = found["devices"]
    assert 0 < found["energy_j"]["low"] < found["energy_j"]["value"] < found["energy_j"]["high"]
    assert "device_energy_j" not in device
    assert "rest_of_host" not in found
    assert "energy_j" not in host
    assert any("whole machine's energy is told to root" in note for note in host["notes"])


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become somebody else")
def test_another_user_may_not_speak_for_our_processes(node: Node, env: dict[str, str]) -> None:
    told = python(f"""
import socket
os.setgroups([]), os.setgid(65534), os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
s.connect({node.path!r})
lines = s.makefile("rwb")
for m in ({{"op": "hello", "id": 1, "v": 1, "now": [0, 0]}}, {{"op": "claim", "job": "mine", "pid": {os.getpid()}}},
          {{"op": "footprint", "id": 2, "pid": {os.getpid()}}}):
    lines.write(json.dumps(m).encode() + b"\\n")
lines.flush()
out([json.loads(lines.readline()) for _ in range(3)])
""", env).value
    assert told[0]["operator"] is False
    assert [f"pid {os.getpid()}: not yours" in answer["error"] for answer in told[1:]] == [True, True]
    assert os.getpid() not in node.clients
    assert "may not speak for process" in node.logged[0]


def test_an_agent_that_restarts_in_a_run_costs_what_it_says(tmp_path: Path, socket_path: Path) -> None:
    first = Node(str(socket_path))
    first.tick_along()
    with start("""
with track(job="f") as run:
    out("in")
    sys.stdin.readline()
out(run.footprint.to_dict())
""", environ(tmp_path, WATTLEDGER_AGENT_SOCKET=str(socket_path))) as program:  # fmt: skip
        assert program.stdout is not None
        assert program.stdout.readline() == '"in"\n'
        until(lambda: len(first.clients) == 1, "it is told")
        first.stop()
        second = Node(str(socket_path))
        second.tick_along()
        until(lambda: len(second.clients) == 1, "it is told again")
        words, _ = program.communicate("\n")
    found: dict[str, Any] = json.loads(words)
    [note] = [note for note in found["notes"] if "is not counted" in note and "energy of these" in note]
    assert "the agent was away from" in note
    [gap] = [note for note in found["notes"] if note.startswith("card: the agent was away")]
    assert "the upper bound allows for them" in gap
    assert found["energy_j"]["value"] < 100 * found["duration_s"] < found["energy_j"]["high"]
    second.stop()
    assert first.residual_uj == second.residual_uj == {}


def test_a_socket_that_nobody_answers_is_a_note_and_the_program_measures_itself(tmp_path: Path, socket_path: Path) -> None:
    bound = Binding(str(socket_path))
    bound.listener.close()
    found = python("""
with track(job="f") as run: burn(0.1)
out(final(run).to_dict())
""", blind(tmp_path, WATTLEDGER_AGENT_SOCKET=str(socket_path))).value
    assert found["energy_j"]["value"] > 0
    assert [note for note in found["notes"] if "does not measure this run (Connection refused)" in note]
    bound.close()


def test_a_program_that_is_killed_in_a_span_loses_nothing(node: Node, env: dict[str, str]) -> None:
    with start("""
with track(job="doomed") as run:
    out("in")
    time.sleep(60)
""", env) as program:  # fmt: skip
        assert program.stdout is not None
        program.stdout.readline()
        until(lambda: by_job(node).get("doomed", 0) > 0, "it is measured")
        program.send_signal(signal.SIGKILL)
        program.communicate()
    until(lambda: not node.clients, "its end is seen")
    node.stop_ticking()
    assert list(node.pipeline.spans.open_accounts()) == []
    assert node.residual_uj == {}


def test_every_rank_measures_itself_and_all_are_one_workload(node: Node, env: dict[str, str]) -> None:
    code = """
with track(job="train") as run: time.sleep(0.2)
out(run.footprint.to_dict())
"""
    job = {"LOCAL_WORLD_SIZE": "2", "SLURM_JOB_ID": "42", "SLURM_CLUSTER_NAME": "c"}
    told = [python(code, env | job | {"LOCAL_RANK": str(n)}).value for n in range(2)]
    assert [found["energy_j"]["value"] > 0 for found in told] == [True, True]
    assert {found["parent_run_id"] for found in told} == {"slurm-c-42"}
    named = {w for w, *_ in node.pipeline.totals.energy_uj if w.job == "train"}
    assert named == {Workload("train", None, (("run_id", "slurm-c-42"),))}


def test_thousands_of_spans_at_once_cost_the_run_around_them_nothing(node: Node, env: dict[str, str]) -> None:
    found = python("""
with track(job="all") as run:
    for n in range(3000):
        with track(job="s"): pass
    time.sleep(0.2)
out([run.footprint.to_dict(), run.footprint.duration_s])
""", env).value
    # A busy machine may bring a boundary late: that is a gap, which is said and allowed for.
    assert found[0]["energy_j"]["low"] <= 50 * found[1] <= found[0]["energy_j"]["high"]
    assert not any("away" in note or "refused" in note for note in found[0]["notes"])
    node.stop_ticking()
    told = [b.edge for b in node.boundaries() if b.workload.job == "s"]
    assert len(told) >= 1000
    assert told.count("enter") == told.count("leave") == sum(a.workload.job == "s" for a in node.settled)
    assert node.residual_uj == {}
