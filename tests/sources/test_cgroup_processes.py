"""Single processes: those that nobody else speaks for, and those that say whom they work for."""

import os
import tempfile
from pathlib import Path

import pytest
from tests.sources.cgroup_tree import HEX_A, TICK, Groups

from wattledger.core.model import Claim, Member, Workload
from wattledger.sources.cgroup.environ import NOTHING, Said, parse, stepd_job

SCOPE = "/user.slice/user-1000.slice/session-3.scope"
A = f"/docker/{HEX_A}"


@pytest.fixture(params=["v1", "v2", "hybrid"])
def groups(request: pytest.FixtureRequest, tmp_path: Path) -> Groups:
    return Groups(tmp_path, request.param)


def run(groups: Groups, pid: int, ticks: int, used: int, *, group: str = "") -> None:
    """A process works: it has ``ticks`` in all, ``used`` of them new."""
    groups.process(pid, ticks, group=group)
    groups.use(group, used * TICK)


def test_a_process_outside_of_any_unit_is_a_unit(groups: Groups) -> None:
    groups.process(100, 50, name="a) S 1 (b")
    meter = groups.meter()
    meter.read()
    assert meter.claims()["pid:100", "cgroup"].workload == Workload("a) S 1 (b", None, (("user", "1000"),))
    run(groups, 100, 60, 10)
    groups.use("", 3 * TICK)
    meter.read()
    assert meter.cpu() == {"pid:100": 10 * TICK, "(other)": 3 * TICK}


def test_kernel_threads_are_nobody(groups: Groups) -> None:
    groups.process(2, 0, ppid=0, name="kthreadd")
    groups.process(30, 0, ppid=2, name="kworker/0:1")
    meter = groups.meter()
    meter.read()
    assert meter.claims() == {}


def test_what_a_process_says_is_claimed_once_and_again_when_it_says_more(groups: Groups) -> None:
    meter = groups.meter()
    meter.read()
    groups.process(100, name="bash")
    meter.read()
    assert ("pid:100", "environment") not in meter.claims()
    groups.process(100, name="python")  # bash has become what it was to start
    groups.environ(
        100, WATTLEDGER_JOB="train", WATTLEDGER_MODEL="m", WATTLEDGER_LABELS="team=a, x = y,junk", WATTLEDGER_RUN_ID="r1"
    )
    meter.read()
    claims = meter.claims()
    assert claims["pid:100", "cgroup"].workload == Workload("python", None, (("user", "1000"),))
    assert claims["pid:100", "environment"].workload == Workload("train", "m", (("run_id", "r1"), ("team", "a"), ("x", "y")))
    meter.read()
    assert meter.claims() == {}


def test_environments_are_left_alone_where_configured(groups: Groups) -> None:
    groups.process(100)
    groups.environ(100, WATTLEDGER_JOB="train")
    meter = groups.meter(environ=False)
    meter.read()
    assert set(meter.claims()) == {("pid:100", "cgroup")}


def test_several_jobs_in_one_session_are_told_apart(groups: Groups) -> None:
    groups.group(SCOPE)
    for pid, job in ((100, "train"), (101, "eval"), (102, "")):
        groups.process(pid, group=SCOPE)
        groups.environ(pid, WATTLEDGER_JOB=job)
    meter = groups.meter()
    meter.read()
    assert meter.members() == {f"pid:{pid}": f"cgroup:{SCOPE}" for pid in (100, 101)}
    for pid in (100, 101, 102):
        run(groups, pid, pid - 90, pid - 90, group=SCOPE)
    meter.read()
    assert meter.cpu() == {"pid:100": 10 * TICK, "pid:101": 11 * TICK, f"cgroup:{SCOPE}": 12 * TICK}


def test_what_a_process_used_unseen_stays_with_its_group_and_counts_once(groups: Groups) -> None:
    groups.group(SCOPE)
    groups.process(100, 5, group=SCOPE)
    groups.environ(100, WATTLEDGER_JOB="train")
    meter = groups.meter()
    meter.read()
    run(groups, 100, 15, 10, group=SCOPE)
    meter.read()
    groups.use(SCOPE, 4 * TICK)
    groups.end(100)
    meter.read()
    assert meter.cpu() == {f"cgroup:{SCOPE}": 4 * TICK}
    assert meter.members() == {"pid:100": None}


def test_a_process_born_since_the_last_read_is_paid_from_its_birth_and_an_old_one_is_not(groups: Groups) -> None:
    meter = groups.meter()
    meter.read()
    groups.process(100, 7)
    groups.process(101, 9000, start=3)  # came from a group that we do not look into
    groups.use("", 7 * TICK)
    meter.read()
    assert meter.cpu() == {"pid:100": 7 * TICK}


def test_a_reused_number_is_another_process(groups: Groups) -> None:
    groups.process(100, 50)
    meter = groups.meter()
    meter.read()
    groups.end(100)
    groups.process(100, 3, name="other")
    groups.use("", 3 * TICK)
    samples = meter.read()
    assert meter.cpu() == {"pid:100": 3 * TICK}
    told = [s for s in samples if isinstance(s, Claim | Member) and s.who == "pid:100"]
    assert [t.workload.job if isinstance(t, Claim) and t.workload else None for t in told] == [None, None, "other"]


def test_a_process_that_moves_into_a_container_is_the_containers(groups: Groups) -> None:
    groups.group(A)
    groups.process(100, 50)
    meter = groups.meter()
    meter.read()
    run(groups, 100, 60, 10, group=A)
    meter.read()
    assert meter.cpu() == {f"cgroup:{A}": 10 * TICK}
    assert meter.members()["pid:100"] is None


def test_a_process_that_moves_between_shared_groups_stays_itself(groups: Groups) -> None:
    groups.group("/one")
    groups.group("/two")
    groups.process(100, 50, group="/one")
    groups.environ(100, WATTLEDGER_JOB="train")
    meter = groups.meter()
    meter.read()
    run(groups, 100, 60, 10, group="/two")
    groups.use("/one", 5 * TICK)
    meter.read()
    assert meter.cpu() == {"pid:100": 10 * TICK, "cgroup:/one": 5 * TICK}


def test_a_crowd_is_one_unit_that_one_of_them_speaks_for(groups: Groups) -> None:
    groups.group("/crowd")
    for pid in range(100, 170):
        groups.members[pid] = "/crowd"
        groups.process(pid, group="/crowd")
    groups.environ(100, WATTLEDGER_JOB="swarm")
    meter = groups.meter()
    meter.read()
    assert {who for who, _ in meter.claims()} == {"cgroup:/crowd"}
    meter.read()
    run(groups, 100, 10, 10, group="/crowd")
    meter.read()
    assert meter.grown["cpu", "cgroup:/crowd"] == 10 * TICK


def test_a_container_that_begins_as_its_runtime_is_asked_again(groups: Groups) -> None:
    groups.group(A)
    groups.process(100, group=A, name="runc:[2:INIT]")
    meter = groups.meter()
    meter.read()
    groups.environ(100, WATTLEDGER_JOB="serve", SLURM_JOB_ID="7", SLURM_JOB_NAME="forged")
    meter.read()
    assert meter.claims() == {}
    meter.read(after_s=3)
    # Of the container, so that a GPU which it was allotted goes by that name, too.
    whole = f"container:{HEX_A}", "environment"
    assert meter.claims()[whole].workload == Workload("serve")
    assert list(meter.claims()) == [whole]
    groups.remove(A)
    meter.read()
    assert meter.claims()[whole].workload is None


def test_a_slurm_job_is_named_by_slurm_and_by_nobody_of_another_job(groups: Groups) -> None:
    job = groups.group("/slurm/uid_1000/job_2")
    groups.group(f"{job}/step_0")
    groups.process(100, group=f"{job}/step_0")
    groups.environ(100, SLURM_JOB_ID="2", SLURM_JOB_NAME="fold", SLURM_STEP_ID="0", WATTLEDGER_MODEL="af")
    other = groups.group("/slurm/uid_1000/job_3")
    groups.process(101, group=other)
    groups.environ(101, SLURM_JOB_ID="2", SLURM_JOB_NAME="forged")
    meter = groups.meter()
    meter.read()
    claims = meter.claims()
    assert claims[f"cgroup:{job}", "cgroup"].workload == Workload("slurm-2", None, (("slurm_job_id", "2"), ("user", "1000")))
    assert claims["slurm:2", "environment"].workload == Workload("", "af")
    assert claims["slurm:3", "environment"].workload == Workload("forged")
    assert not [who for who, rank in claims if who.startswith("slurm:") and rank != "environment"]
    groups.remove(other)
    meter.read()
    assert meter.members() == {f"cgroup:{other}": None}  # a job may be between two steps


def test_without_jobs_control_groups_slurmd_vouches_by_descent(groups: Groups) -> None:
    groups.process(50, ppid=1, name="slurmstepd")
    (groups.proc / "50" / "cmdline").write_text("slurmstepd: [12.0]")
    (groups.proc / "50" / "status").write_text("Name:\tslurmstepd\nUid:\t0\t0\t0\t0\n")
    groups.process(100, ppid=50)
    groups.process(101, ppid=100)
    groups.process(200, ppid=1)
    for pid in (100, 101, 200):
        groups.environ(pid, SLURM_JOB_ID="12", SLURM_JOB_NAME="fold", SLURM_STEP_ID="0")
    assert [stepd_job(str(groups.proc), pid) for pid in (100, 101, 200)] == [*_if_root(groups, "12", "12"), ""]
    meter = groups.meter()
    meter.read()
    claims, members = meter.claims(), meter.members()
    assert claims["pid:200", "environment"].workload == Workload("fold")
    assert "pid:200" not in members
    if (groups.proc / "50").stat().st_uid == 0:
        assert (members["pid:100"], members["pid:101"]) == ("slurm:12", "slurm:12")
        assert claims["pid:100", "cgroup"].workload == Workload("slurm-12", None, (("slurm_job_id", "12"), ("user", "1000")))
        assert claims["pid:100", "slurm"].workload == Workload("", None, (("slurm_step_id", "0"),))
        groups.end(100)
        meter.read()
        assert meter.members() == {"pid:100": None}


def test_a_setuid_program_under_slurmstepds_title_vouches_for_nothing(groups: Groups) -> None:
    """Its folder in /proc is root's; who started it is not."""
    groups.process(50, ppid=1, name="slurmstepd")
    (groups.proc / "50" / "cmdline").write_text("slurmstepd: [12.0]")
    (groups.proc / "50" / "status").write_text("Name:\tslurmstepd\nUid:\t1000\t0\t0\t0\n")
    groups.process(100, ppid=50)
    assert stepd_job(str(groups.proc), 100) == ""


def _if_root(groups: Groups, *jobs: str) -> list[str]:
    """A slurmstepd that is not root's vouches for nothing."""
    return [job if (groups.proc / "50").stat().st_uid == 0 else "" for job in jobs]


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        (b"", NOTHING),
        (b"PATH=/bin\0HOME=/", NOTHING),
        (b"WATTLEDGER_JOB=\0", NOTHING),
        (b"X=WATTLEDGER_JOB=a\0", NOTHING),
        (b"WATTLEDGER_JOB=a=b\0WATTLEDGER_MODEL=m\0", Said("a=b", "m")),
        (b"WATTLEDGER_JOB=\xff\n\x00", Said("\ufffd")),
        (b"SLURM_JOB_ID=x\0SLURM_JOB_NAME=n\0", NOTHING),
        (b"SLURM_JOB_ID=12\0SLURM_JOB_NAME=n\0SLURM_STEP_ID=0\0", Said(slurm_job="12", slurm_name="n", slurm_step="0")),
        (b"WATTLEDGER_LABELS=a=1,=2,b,c=\0", Said(labels=(("a", "1"), ("c", "")))),
        (b"WATTLEDGER_JOB=" + b"j" * 5000, Said("j" * 256)),
    ],
)
def test_an_environment_is_read_with_care(environ: bytes, said: Said) -> None:
    assert parse(environ) == said


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root, to be somebody else for a moment")
def test_a_denied_environment_is_a_note_and_no_failure() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        groups = Groups(Path(folder))
        groups.process(100)
        groups.environ(100, WATTLEDGER_JOB="x")
        (groups.proc / "100" / "environ").chmod(0o400)
        os.seteuid(65534)
        try:
            meter = groups.meter()
            meter.read()
        finally:
            os.seteuid(0)
        assert set(meter.claims()) == {("pid:100", "cgroup")}
        assert any("it takes CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, both" in note for note in meter.source.notes)
