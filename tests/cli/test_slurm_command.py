"""``wattledger slurm comment``: a job's footprint by what its nodes' agents say, and where it is written."""

import json
import os
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.cli.front import Front, is_one_line, own_place
from tests.cli.slurm_place import asked, programs
from tests.runtime.control_rig import Node, place

from wattledger.core.model import Device, Instant, Workload
from wattledger.core.totals import State, Totals

GPU = 'component="gpu",device="GPU-1"'
PAGE = """\
wattledger_energy_joules_total{{job_name="a{{}} \\"b",slurm_job_id="12",{gpu},method="counter",use="active"}} {joules}
wattledger_energy_joules_total{{job_name="(idle)",{gpu},method="counter",use="held"}} 40
wattledger_energy_joules_total{{job_name="a",slurm_job_id="12",component="rest",device="rest",method="estimated",use="active"}} 200
wattledger_energy_joules_total{{job_name="a",slurm_job_id="120",component="rest",device="rest",method="estimated",use="active"}} 7
wattledger_device_energy_joules_total{{device="GPU-1",component="gpu",device_model="NVIDIA H100",method="counter"}} {tick}
wattledger_emissions_grams_total{{job_name="a",slurm_job_id="12"}} 0.5
"""


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    monkeypatch.setenv("WATTLEDGER_AGENT_SOCKET", str(tmp_path / "none"))  # this machine may have an agent of its own
    monkeypatch.delenv("SLURMD_NODENAME", raising=False)
    return Front(capsys)


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    return programs(monkeypatch, tmp_path)


def holds(slurm: Path, **more: str) -> None:
    """slurmctld holds job 12: squeue's letters."""
    job = {"i": "12", "A": "12", "T": "RUNNING", "D": "1", "N": "gpu-1", "S": "2026-11-22T10:00:00", "b": "N/A", "k": "(null)"}
    (slurm / "squeue.out").write_text(json.dumps(job | more))


@pytest.fixture
def agents() -> Iterator[str]:
    """Agents by path: each tick of one is a scrape; ``/gpu-2/`` knows no such job."""
    ticks = iter(range(1000, 9999))

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = PAGE.format(gpu=GPU, joules=800, tick=next(ticks))
            body = (text.replace('"12"', '"13"') if "gpu-2" in self.path else text).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing to be said."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


OURS = "wattledger: 1000 J ("


def test_a_running_jobs_comment_is_set_in_slurmctld_behind_its_users_words(front: Front, slurm: Path, agents: str) -> None:
    holds(slurm, k="Mine; wattledger: 3 J; yours", i="9_3")
    got = front("slurm", "comment", "12", "--url", f"{agents}/metrics", "--json")
    assert (got.status, got.err) == (0, "")
    found = json.loads(got.out)
    assert found["energy_j"]["value"] == 1000.0
    assert (found["measured_fraction"], found["location_based_g"], found["set_in"]) == (0.8, 0.5, "Comment")
    assert found["comment"].startswith(f"Mine; yours; {OURS}")
    assert found["comment"].endswith("500 mg CO2e, 80 % measured, so far")
    # A task of an array by its own name: its number alone may be the whole array's.
    assert asked(slurm, "scontrol") == [["update", "JobId=9_3", f"Comment={found['comment']}"]]


def test_a_job_that_has_ended_gets_it_in_the_accounting(front: Front, slurm: Path, agents: str) -> None:
    holds(slurm, T="COMPLETED", k="Mine")
    (slurm / "scontrol.err").write_text("Job has already finished for job 12")
    got = front("slurm", "comment", "12", "--url", f"{agents}/metrics")
    assert got.status == 0
    [words] = asked(slurm, "sacctmgr")
    assert words[:-1] == ["--immediate", "modify", "job", "where", "JobID=12", "set"]
    assert words[-1].startswith(f'AdminComment="{OURS}')
    assert "so far" not in words[-1]


def test_others_words_are_not_written_in_lower_case(front: Front, slurm: Path, agents: str) -> None:
    holds(slurm, T="COMPLETED")
    (slurm / "scontrol.err").write_text("Job has already finished for job 12")
    (slurm / "sacct.out").write_text("JS1:H4sIAAbc==\n")
    got = front("slurm", "comment", "12", "--url", f"{agents}/metrics")
    assert got.status == 1
    assert is_one_line(got.err)
    assert asked(slurm, "sacctmgr") == []


def test_one_agents_part_is_not_called_the_whole(front: Front, slurm: Path, agents: str) -> None:
    holds(slurm, D="2", N="gpu-[1-2]")
    alone = front("slurm", "comment", "12", "--url", f"{agents}/metrics")
    assert alone.status == 1
    assert is_one_line(alone.err)
    assert "2 nodes" in alone.err
    both = front("slurm", "comment", "12", "--url", f"{agents}/{{node}}/metrics", "--wait", "2")
    assert both.out.startswith(f"job 12: {OURS}")
    assert "1 of 2 nodes" in both.out
    assert len(asked(slurm, "scontrol")) == 1


@pytest.mark.parametrize(("job", "held", "words"), [
    ("x", {}, "no SLURM_JOB_ID"), ("12", {"S": "N/A", "T": "PENDING"}, "has used nothing yet"),
    ("13", {}, "knows no job 13"), ("12", {"N": "gpu-["}, "brackets"),
])  # fmt: skip
def test_what_cannot_be_said_is_one_line_and_sets_nothing(
    front: Front, slurm: Path, job: str, held: dict[str, str], words: str
) -> None:
    holds(slurm, **held)
    got = front("slurm", "comment", job)
    assert got.status in (1, 2)
    assert is_one_line(got.err)
    assert words in got.err
    assert asked(slurm, "scontrol") == []


def test_an_agent_that_is_not_there_is_one_line(front: Front, slurm: Path, agents: str) -> None:
    holds(slurm)
    for url in ("http://127.0.0.1:9/metrics", f"{agents}/gpu-2/metrics"):
        got = front("slurm", "comment", "12", "--url", url, "--wait", "1")
        assert (got.status, is_one_line(got.err)) == (1, True)
    assert asked(slurm, "scontrol") == []


@contextmanager
def node_with_job_12() -> Iterator[str]:
    """This node's agent, which knows job 12 as the pages above do; each look at it is a tick."""
    totals, ticks = Totals(), iter(range(1, 999_999))
    totals.devices = {"GPU-1": Device("GPU-1", "gpu", "NVIDIA H100"), "rest": Device("rest", "rest", "rest")}
    job = Workload("a", None, (("slurm_job_id", "12"),))
    totals.add((job, "GPU-1", "counter", "active"), 800_000_000)
    totals.add((job, "rest", "estimated", "active"), 200_000_000)
    totals.emissions_g[job] = 0.5
    found = totals.snapshot(State())
    with place() as folder:
        ours = frozenset({os.getgid()})
        node = Node(str(folder / "a.sock"), operators=ours, shown=lambda: (Instant(next(ticks), 0), found))
        try:
            yield node.path
        finally:
            node.stop()


@contextmanager
def agent_that_says(error: str) -> Iterator[str]:
    """Whose hello is friendly, and whose answer to anything else is this."""

    class Answer(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for _ in iter(self.rfile.readline, b""):
                self.wfile.write(json.dumps({"id": 0, "ok": True} if not said else {"error": error}).encode() + b"\n")
                said.append(1)

    said: list[int] = []
    with place() as folder, socketserver.UnixStreamServer(str(folder / "b.sock"), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield str(folder / "b.sock")
        finally:
            server.shutdown()
            thread.join()


def test_this_nodes_agent_is_asked_by_its_socket_and_no_page_is(front: Front, slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holds(slurm)
    monkeypatch.setenv("WATTLEDGER_AGENT_LISTEN", "127.0.0.1:9")  # where nobody is
    with node_with_job_12() as path:
        monkeypatch.setenv("WATTLEDGER_AGENT_SOCKET", path)
        got = front("slurm", "comment", "12", "--wait", "5", "--ending")
        unknown = front("slurm", "comment", "12", "--url", "http://127.0.0.1:9/metrics", "--wait", "1")
    assert (got.status, got.err) == (0, "")
    assert got.out.startswith("job 12: wattledger: at least 1000 J (")  # the test's process is younger than the job
    assert "500 mg CO2e, 80 % measured" in got.out
    assert unknown.status == 1  # who names an address means it


def test_an_agent_older_than_the_question_is_asked_by_its_page(
    front: Front, slurm: Path, agents: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    holds(slurm)
    monkeypatch.setenv("WATTLEDGER_AGENT_LISTEN", agents.removeprefix("http://"))
    with agent_that_says("unknown op: expected hello, enter, leave, work, claim, footprint or ping") as path:
        monkeypatch.setenv("WATTLEDGER_AGENT_SOCKET", path)
        got = front("slurm", "comment", "12")
    assert got.out.startswith("job 12: wattledger: at least 1000 J (")


def test_a_refusal_is_one_line_with_its_reason(front: Front, slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holds(slurm)
    monkeypatch.setenv("WATTLEDGER_AGENT_LISTEN", "127.0.0.1:9")
    with agent_that_says("you are in no Slurm job") as path:
        monkeypatch.setenv("WATTLEDGER_AGENT_SOCKET", path)
        got = front("slurm", "comment", "12", "--wait", "1")
    assert (got.status, is_one_line(got.err)) == (1, True)
    assert f"{path}: you are in no Slurm job; http://127.0.0.1:9/metrics: " in got.err
    assert asked(slurm, "scontrol") == []


def test_of_several_nodes_ones_own_is_asked_by_its_socket(
    front: Front, slurm: Path, agents: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    holds(slurm, D="2", N="gpu-[2-3]")
    monkeypatch.setenv("SLURMD_NODENAME", "gpu-2")  # whose page knows no such job
    with node_with_job_12() as path:
        monkeypatch.setenv("WATTLEDGER_AGENT_SOCKET", path)
        got = front("slurm", "comment", "12", "--url", f"{agents}/{{node}}/metrics", "--wait", "5")
    assert got.out.startswith("job 12: wattledger: 2000 J (")
    assert "2 nodes" in got.out
