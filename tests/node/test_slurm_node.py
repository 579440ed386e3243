"""A Slurm node as its agent meters it: a real Slurm's jobs with real load, GPUs of the rig that Slurm allocates.

Skipped, with the reason, where there is no Slurm; ``WATTLEDGER_TEST_SLURM=1`` makes that a failure.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.agents import Agent, agent, total
from tests.node.checks import ENERGY, closes, machine
from tests.node.measured import Between, knows_floors, until, values_of
from tests.rig.rig import Gpu, Process, load_constant
from tests.slurm.cluster import Cluster, missing, running, wait_until

WHY_NOT = missing()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.soak,
    pytest.mark.skipif(bool(WHY_NOT) and os.environ.get("WATTLEDGER_TEST_SLURM") != "1", reason=WHY_NOT or "none"),
]
IDLE_W = 70
UUIDS = [f"GPU-00000000-0000-4000-8000-{n:012}" for n in range(3)]
RESTS = Gpu(load_constant(IDLE_W), refresh_ms=20)
CONFIG = '[agent]\nlabels = "run_id,user"\n'

# Says who it is, and works in no other process: all the time, or for about a third of it.
FLAT_OUT = "echo $$ > {out}/$SLURM_JOB_NAME; while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; done"
AT_EASE = "echo $$ > {out}/$SLURM_JOB_NAME; while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.03; done"
TRACKED = """
import time
from wattledger import track
with track(job="tune", model="m-2", labels={"slurm_job_id": "1", "user": "forged"}):
    end = time.perf_counter() + 2.5
    while time.perf_counter() < end:
        pass
"""


@contextlib.contextmanager
def procfs_with(folder: Path, uuids: list[str]) -> Iterator[Path]:
    """The kernel's procfs, mounted elsewhere as for a container, with what NVIDIA's driver says there of these GPUs."""
    mounted, driver = folder / "proc", folder / "driver"
    mounted.mkdir(parents=True)
    for minor, uuid in enumerate(uuids):
        bus = driver / "nvidia" / "gpus" / f"0000:{0x17 + minor:02x}:00.0"
        bus.mkdir(parents=True)
        (bus / "information").write_text(f"Model: \t\t NVIDIA H100\nGPU UUID: \t {uuid}\nDevice Minor: \t {minor}\n")
    done: list[Path] = []
    try:
        for place, words in ((mounted, ["-t", "proc", "proc"]), (mounted / "driver", ["--bind", str(driver)])):
            made = subprocess.run(["mount", *words, str(place)], capture_output=True, text=True, check=False)
            if made.returncode:
                pytest.skip(f"no procfs with a driver in it can be mounted here: {made.stderr.strip()}")
            done.append(place)
        yield mounted
    finally:
        for place in reversed(done):
            subprocess.run(["umount", str(place)], check=True)


@pytest.fixture(scope="module", params=["proctrack/cgroup", "proctrack/linuxproc"])
def slurm(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with running(request.param, gpus=2) as up:
        yield up


@pytest.fixture
def out() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="wlslurm") as name:
        yield Path(name)


def pid_of(out: Path, name: str) -> int:
    """Of a job that has begun."""
    wait_until(lambda: (out / name).exists() and (out / name).read_text().strip(), f"job {name} did not start")
    return int((out / name).read_text())


def cpu_s(pid: int) -> float:
    """Of a process that works alone, and of what it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def until_named(node: Agent, *jobs: int) -> None:
    until(lambda: set(map(str, jobs)) <= values_of(node.scrape(), "slurm_job_id"), f"jobs {jobs} are not named", node)


def who(job: int, name: str) -> dict[str, str]:
    return {"slurm_job_id": str(job), "job_name": name, "user": "root", "run_id": f"slurm-loop-{job}"}


def test_jobs_share_the_cpu_by_their_cpu_time_and_keep_what_they_used(slurm: Cluster, tmp_path: Path, out: Path) -> None:
    busy = slurm.submit(FLAT_OUT.format(out=out), "-J", "busy")
    easy = slurm.submit(AT_EASE.format(out=out), "-J", "easy")
    pids = [pid_of(out, name) for name in ("busy", "easy")]
    with agent(tmp_path / "agent", rig=machine(tmp_path / "rig"), config=CONFIG) as node:
        until_named(node, busy, easy)
        time.sleep(1.5)
        before, cpu = closes(node.scrape()), [cpu_s(pid) for pid in pids]
        time.sleep(3.5)
        grown = Between(before, closes(node.scrape()))
        used = [cpu_s(pid) - was for pid, was in zip(pids, cpu, strict=True)]
        energy = [float(grown.energy(component="cpu", use="active", **who(*job))) for job in ((busy, "busy"), (easy, "easy"))]
        # Scrapes are up to a tick off the two readings of the kernel: 1 s of 3.5.
        assert energy[0] / sum(energy) == pytest.approx(used[0] / sum(used), abs=0.07)
        tune = slurm.submit(_tracked(node, out), "-J", "launcher")
        slurm.command("scancel", str(busy), str(easy))
        wait_until(lambda: slurm.state(tune) == "COMPLETED", f"the program did not end: {slurm.state(tune)}")
        wait_until(lambda: "RUNNING" not in slurm.state(busy) + slurm.state(easy), "the jobs did not end")
        time.sleep(2.5)
        ended = closes(node.scrape())
        time.sleep(1.2)
        rows = closes(node.scrape())
        for job in ((busy, "busy"), (easy, "easy")):
            kept = total(rows, ENERGY, **who(*job))
            assert kept == total(ended, ENERGY, **who(*job)) > total(before, ENERGY, **who(*job))
        spans = {"component": "cpu", "use": "active", "model_name": "m-2"}
        assert total(rows, ENERGY, **spans, **who(tune, "tune")) > 0, node.log + (slurm.folder / "job.out").read_text()
        assert values_of(rows, "slurm_job_id", job_name="tune") == {str(tune)}
        # From its first joule on: nothing of it went by another name before Slurm's word came.
        assert values_of(rows, "job_name", slurm_job_id=str(tune)) <= {"launcher", "tune"}
        assert values_of(rows, "run_id", slurm_job_id=str(tune)) == {f"slurm-loop-{tune}"}
        assert "forged" not in values_of(rows, "user")


def _tracked(node: Agent, out: Path) -> str:
    """A job's script that runs a program which speaks to the agent."""
    (out / "program.py").write_text(TRACKED)
    path = os.pathsep.join(p for p in sys.path if p)
    return f"export WATTLEDGER_AGENT_SOCKET='{node.socket}' PYTHONPATH='{path}'\nexec {sys.executable} {out / 'program.py'}"


@pytest.mark.parametrize("slurm", ["proctrack/cgroup"], indirect=True)
def test_a_gpu_is_paid_by_the_job_that_slurm_gave_it_to_or_that_a_prolog_names(slurm: Cluster, tmp_path: Path, out: Path) -> None:
    given = "echo $SLURM_JOB_GPUS > {out}/$SLURM_JOB_NAME.gpu\n"
    train = slurm.submit((given + AT_EASE).format(out=out), "-J", "train", "--gres=gpu:1")
    wait = slurm.submit((given + "echo $$ > {out}/wait; sleep 60").format(out=out), "-J", "wait", "--gres=gpu:1")
    pid, _ = pid_of(out, "train"), pid_of(out, "wait")
    one, two = (int((out / f"{name}.gpu").read_text()) for name in ("train", "wait"))
    boards = {one: Gpu(load_constant(300), refresh_ms=20, processes=(Process(pid, 60),)), two: RESTS, 2: RESTS}
    knows_floors(tmp_path / "agent", IDLE_W, UUIDS[one])
    config = f'{CONFIG}[sources.slurm]\ngpu_jobs = "{out / "jobs"}"\n'
    with procfs_with(out / "host", UUIDS) as procfs, agent(
        tmp_path / "agent", rig=machine(tmp_path / "rig", *(boards[n] for n in range(3))), config=config,
        env={"WATTLEDGER_PATHS_PROCFS": str(procfs)},
    ) as node:  # fmt: skip
        until_named(node, train, wait)
        time.sleep(1.5)
        grown = _grown(node)
        _pays_for_a_gpu(grown, who(train, "train"), UUIDS[one])
        assert grown.device(UUIDS[two]) == grown.energy(device=UUIDS[two], use="held", **who(wait, "wait")) > 0
        assert grown.device(UUIDS[2]) == grown.energy(device=UUIDS[2], use="held", job_name="(idle)") > 0
        # From here on a prolog tells otherwise, by the GPUs' indices.
        (out / "jobs").mkdir()
        (out / "jobs" / str(one)).write_text(f"{wait}\n")
        (out / "jobs" / "2").write_text(f"{train}\n")
        time.sleep(2.2)
        grown = _grown(node)
        assert grown.energy(device=UUIDS[one], use="held", **who(train, "train")) == 0
        assert grown.device(UUIDS[one]) == (
            grown.energy(device=UUIDS[one], use="held", **who(wait, "wait"))
            + grown.energy(device=UUIDS[one], use="active", **who(train, "train"))
        )
        assert grown.device(UUIDS[two]) == grown.energy(device=UUIDS[two], use="held", job_name="(idle)") > 0
        assert grown.device(UUIDS[2]) == grown.energy(device=UUIDS[2], use="held", **who(train, "train")) > 0
    slurm.command("scancel", str(train), str(wait))


def _grown(node: Agent) -> Between:
    before = closes(node.scrape())
    time.sleep(2.2)
    return Between(before, closes(node.scrape()))


def _pays_for_a_gpu(grown: Between, job: dict[str, str], uuid: str) -> None:
    """All of it, its idle part as a holder."""
    held, active = (grown.energy(device=uuid, use=use, **job) for use in ("held", "active"))
    assert held + active == grown.device(uuid)
    assert float(held / grown.device(uuid)) == pytest.approx(IDLE_W / 300, rel=0.02)
