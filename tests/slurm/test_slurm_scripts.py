"""deploy/slurm's scripts by themselves: whatever is wrong, they end with 0, in time, with a line that says so."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.slurm.cluster import wait_until

DEPLOY = Path(__file__).parents[2] / "deploy" / "slurm"
pytestmark = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("timeout", "flock", "setsid")), reason="no coreutils and util-linux here"
)
SCRIPTS = ("prolog", "epilog", "epilog_slurmctld", "taskprolog", "taskepilog")
PATIENCE_S = 30  # slurmd's own is PrologEpilogTimeout, for ever by default; the scripts' is 4 s


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The scripts beside settings of this place, and two GPUs whose device numbers are not in the order of the bus."""
    shutil.copytree(DEPLOY, tmp_path, dirs_exist_ok=True)
    for bus, minor in (("0000:17:00.0", 1), ("0000:65:00.0", 0)):
        (tmp_path / "driver" / bus).mkdir(parents=True)
        (tmp_path / "driver" / bus / "information").write_text(f"Model: \t\t NVIDIA H100\nDevice Minor: \t {minor}\n")
    settings(tmp_path)
    return tmp_path


def settings(place: Path, *more: str) -> None:
    lines = [f"GPU_JOBS={place}/jobs", f"DRIVER={place}/driver", f"WATTLEDGER={place}/none", *more]
    (place / "wattledger-slurm.env").write_text("\n".join(lines) + "\n")


def run(place: Path, script: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """As slurmd does: no PATH, and nothing else of ours."""
    whole = {"SLURM_JOB_ID": "12", "SLURM_JOB_GPUS": "0,1", **environ}
    return subprocess.run([place / script], env=whole, capture_output=True, text=True, timeout=PATIENCE_S, cwd="/")


def files(place: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((place / "jobs").glob("*"))}


def test_gpus_are_named_by_their_place_on_the_bus_and_let_go_again(place: Path) -> None:
    done = run(place, "prolog", SLURM_JOB_GPUS="0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert files(place) == {"1": "12\n"}
    assert run(place, "epilog").returncode == 0
    assert files(place) == {}


def test_jobs_that_share_a_gpu_stand_in_its_file_together(place: Path) -> None:
    for job in ("12", "7", "12"):
        run(place, "prolog", SLURM_JOB_ID=job)
    assert files(place) == {"0": "12\n7\n", "1": "12\n7\n"}
    run(place, "epilog", SLURM_JOB_ID="12")
    assert files(place) == {"0": "7\n", "1": "7\n"}
    run(place, "epilog", SLURM_JOB_ID="7")
    assert files(place) == {}


def test_where_the_driver_lists_nothing_the_number_is_taken_as_it_is(place: Path) -> None:
    shutil.rmtree(place / "driver")
    run(place, "prolog")
    assert files(place) == {"0": "12\n", "1": "12\n"}


def test_a_job_without_gpus_and_one_with_slices_write_nothing(place: Path) -> None:
    assert run(place, "prolog", SLURM_JOB_GPUS="").returncode == 0
    said = run(place, "prolog", CUDA_VISIBLE_DEVICES="MIG-aaaa")
    assert said.returncode == 0
    assert "MIG" in said.stderr
    assert not (place / "jobs").exists()


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("environ", [{"SLURM_JOB_ID": ""}, {"SLURM_JOB_ID": "1; rm -rf /"}, {"SLURM_JOB_GPUS": "x,../y,0-3, "}])
def test_nonsense_from_slurm_ends_with_0(place: Path, script: str, environ: dict[str, str]) -> None:
    assert run(place, script, **environ).returncode == 0
    assert files(place) == {}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("wrong", ["GPU_JOBS=/proc/none/jobs", "if then (", "exit 3", "GPU_JOBS=$(false)", "ACCOUNTING=yes"])
def test_wrong_settings_end_with_0(place: Path, script: str, wrong: str) -> None:
    settings(place, wrong)
    assert run(place, script).returncode == 0


def test_what_is_wrong_is_one_line(place: Path) -> None:
    settings(place, "GPU_JOBS=/proc/none/jobs")
    lines = [line for line in run(place, "prolog").stderr.splitlines() if line.startswith("wattledger-slurm:")]
    assert lines == ["wattledger-slurm: prolog: job 12: cannot make /proc/none/jobs"]


@pytest.mark.slow
@pytest.mark.parametrize("script", ["prolog", "epilog"])
def test_a_lock_that_is_held_for_ever_holds_no_job(place: Path, script: str) -> None:
    (place / "jobs").mkdir()
    (place / "jobs" / "0").write_text("12\n")
    with (place / "jobs.lock").open("w") as held:
        subprocess.run(["flock", str(held.fileno())], pass_fds=[held.fileno()], check=True)
        said = run(place, script)
    assert said.returncode == 0
    assert "is held" in said.stderr


@pytest.mark.slow
def test_a_driver_that_hangs_holds_no_job(place: Path) -> None:
    file = place / "driver" / "0000:17:00.0" / "information"
    file.unlink()
    os.mkfifo(file)  # opening it waits for a writer who never comes
    said = run(place, "prolog")
    assert said.returncode == 0
    assert "not done within its time" in said.stderr


def test_an_epilog_does_not_wait_for_the_comment(place: Path) -> None:
    """The program that writes it waits for us here: were it waited for, the epilog would not end before its 4 s, and complain."""
    program, go, said = place / "none", place / "go", place / "said"
    os.mkfifo(go)
    program.write_text(f'#!/bin/sh\nread line < {go}\necho "$@" > {said}.new && mv {said}.new {said}\n')
    program.chmod(0o755)
    settings(place, "ACCOUNTING=yes", "COMMENT_OPTIONS='--url http://{node}:9909/* --user x'")
    done = run(place, "epilog")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    go.write_text("\n")
    wait_until(said.exists, "the comment's program was not let live")
    assert said.read_text() == "slurm comment 12 --url http://{node}:9909/* --user x\n"


TASK = {"SLURM_JOB_NAME": "tune", "SLURM_CLUSTER_NAME": "loop"}
RUN = "export WATTLEDGER_RUN_ID=slurm-loop-12"


@pytest.mark.parametrize(("environ", "lines"), [
    (TASK, ["export WATTLEDGER_JOB=tune", RUN]),
    ({**TASK, "WATTLEDGER_JOB": "mine"}, [RUN]),
    ({**TASK, "WATTLEDGER_RUN_ID": "r"}, ["export WATTLEDGER_JOB=tune"]),
    ({**TASK, "SLURM_JOB_NAME": "a b\nexport LD_PRELOAD=/x"}, ["export WATTLEDGER_JOB=a b", RUN]),
    ({**TASK, "SLURM_JOB_NAME": "(idle)"}, [RUN]),
    ({**TASK, "SLURM_JOB_NAME": "%s\\n$(id)"}, ["export WATTLEDGER_JOB=%s\\n$(id)", RUN]),
    ({"SLURM_JOB_ID": "x"}, []),
])  # fmt: skip
def test_a_task_is_named_after_its_job_unless_its_user_named_it(place: Path, environ: dict[str, str], lines: list[str]) -> None:
    done = run(place, "taskprolog", **environ)
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, lines, "")


def test_only_the_batch_script_writes_the_comment(place: Path, tmp_path: Path) -> None:
    program, said = place / "none", tmp_path / "said"
    program.write_text(f"#!/bin/sh\necho \"$@\" >> {said}\n")
    program.chmod(0o755)
    for step in ({"SLURM_STEP_ID": "0"}, {"SLURM_PROCID": "1"}, {}, {"SLURM_STEP_ID": "4294967291"}):
        assert run(place, "taskepilog", **step).returncode == 0
    assert said.read_text() == 2 * "slurm comment 12 --ending --wait 4\n"
