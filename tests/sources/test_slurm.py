"""What Slurm's jobs are called, from trees laid out as Slurm lays them out."""

import os
import pwd
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.sources.slurm_node import ONE, V1, V2, Node, claims, holdings, said

from wattledger.core.model import Claim, Workload
from wattledger.core.ports import SourceGone
from wattledger.sources import slurm

ME = pwd.getpwuid(os.geteuid()).pw_name


def workload(job: int, name: str = "finetune", **labels: str) -> Workload:
    found = {
        "run_id": f"slurm-loop-{job}", "slurm_cluster": "loop", "slurm_job_id": str(job), "slurm_partition": "main", "user": ME,
    } | labels  # fmt: skip
    return Workload(name, None, tuple(sorted((key, value) for key, value in found.items() if value)))


@pytest.fixture(params=[V1, V2, f"unified/{V2}", V1.replace("_node1", "")], ids=["v1", "v2", "hybrid", "v1-one-node"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Node:
    return Node(tmp_path, request.param)


@pytest.fixture
def bare(tmp_path: Path) -> Node:
    """A node whose jobs have no control groups (proctrack/linuxproc)."""
    made = Node(tmp_path)
    made.process("slurmd")
    return made


def test_a_job_is_named_by_what_slurm_told_its_processes(node: Node) -> None:
    node.step(7)
    source = node.open()
    samples = node.read(source)
    assert claims(samples) == {"slurm:7": workload(7)}
    assert [s.rank for s in samples if isinstance(s, Claim)] == ["slurm"]
    assert node.read(source) == node.read(source, after_s=30) == []


def test_a_job_that_ended_is_withdrawn(node: Node) -> None:
    node.step(7)
    node.step(8)
    source = node.open()
    node.read(source)
    node.end(7)
    assert claims(node.read(source)) == {"slurm:7": None}


def test_no_more_of_an_environment_is_read_on_than_slurms_own(node: Node) -> None:
    node.step(7)
    source = node.open()
    assert "s3cret" not in repr(node.read(source)) + repr(vars(source))


def test_another_jobs_id_in_an_environment_names_nobody(node: Node) -> None:
    """sbatch called in a job, or a forger: the control group knows better."""
    node.step(7, SLURM_JOB_ID="8", SLURM_JOB_NAME="forged")
    unknown = Workload("", None, (("slurm_job_id", "7"),))
    source = node.open()
    assert claims(node.read(source)) == {"slurm:7": unknown}
    node.step(7, "0")
    assert claims(node.read(source)) == {"slurm:7": workload(7)}


def test_a_component_of_a_heterogeneous_job_is_a_job_of_one_run(node: Node) -> None:
    node.step(11, SLURM_JOB_ID="10", SLURM_HET_SIZE="2", SLURM_JOB_ID_HET_GROUP_0="10", SLURM_JOB_ID_HET_GROUP_1="11")
    assert claims(node.read(node.open())) == {"slurm:11": workload(11, run_id="slurm-loop-10")}


def test_a_name_that_changes_renames_no_job(node: Node) -> None:
    pid = node.step(7)
    source = node.open()
    node.read(source)
    (node.proc / str(pid) / "environ").write_text("SLURM_JOB_ID=7\0SLURM_JOB_NAME=other\0")
    assert node.read(source, after_s=30) == []


@pytest.mark.parametrize(("name", "job"), [("(idle)", "idle"), ("a\nb", "ab"), ("ü" * 300, "ü" * 256), ("", "")])
def test_a_job_cannot_take_the_meters_own_names(node: Node, name: str, job: str) -> None:
    node.step(7, SLURM_JOB_NAME=name)
    assert claims(node.read(node.open())) == {"slurm:7": workload(7, job)}


def test_the_user_is_the_kernels_and_slurms_where_the_kernel_agrees(node: Node) -> None:
    if os.geteuid() != 0:
        pytest.skip("giving a process to somebody else takes root")
    forged, honest = (node.step(job, SLURM_JOB_USER="ada", SLURM_JOB_UID=uid) for job, uid in ((7, "0"), (8, "54321")))
    for pid in (forged, honest):
        os.chown(node.proc / str(pid), 54321, 54321)  # nobody here has that uid
    found = claims(node.read(node.open()))
    assert found == {"slurm:7": workload(7, user="54321"), "slurm:8": workload(8, user="ada")}


def test_an_unreadable_environment_leaves_the_kernels_word_and_a_note() -> None:
    """In a process that has given up root's rights, and in a folder that it may enter."""
    if os.geteuid() != 0:
        pytest.skip("giving up root's rights takes root")
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        _unreadable(Node(Path(name)))


def _unreadable(node: Node) -> None:
    (node.proc / str(node.step(7)) / "environ").chmod(0o600)
    code = (
        "import os\n"
        "from wattledger.core.model import Instant\n"
        "from wattledger.core.ports import Host\n"
        "from wattledger.sources import slurm\n"
        "os.setuid(54321)\n"
        f"host = Host({str(node.sys)!r}, {str(node.proc)!r}, {{}}, (), True, {{}})\n"
        "source = slurm.open(host)\n"
        "print([s.workload for s in source.read(lambda: Instant(0, 0), True)], *source.notes)\n"
        "print([finding.state for finding in slurm.examine(host)])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    labels = (("slurm_job_id", "7"), ("user", ME))
    words = (
        "slurm: the environment of job 7 may not be read, so its name is unknown; it takes CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH,"
        " both"
    )
    assert done.stdout == f"{[Workload('', None, labels)]} {words}\n['usable', 'denied']\n"


def test_without_control_groups_the_children_of_slurmstepd_are_the_job(bare: Node) -> None:
    source = bare.open()
    assert bare.read(source) == []
    script = bare.process("slurm_script", environ=said(3, SLURM_JOB_GPUS="0"))
    bare.process("slurmstepd", "slurmstepd: [3.batch]", children=(script,))
    task = bare.process("python", environ=said(4, SLURM_JOB_NAME="eval"))
    bare.process("slurmstepd", "slurmstepd: [4.0]", children=(task,))
    bare.gpu("0000:07:00.0", 0, ONE)
    samples = bare.read(source)
    assert claims(samples) == {"slurm:3": workload(3), "slurm:4": workload(4, "eval")}
    assert holdings(samples) == {(ONE, "slurm:3"): 1.0}


def test_a_slurmstepd_of_somebody_elses_speaks_for_no_job(bare: Node) -> None:
    if os.geteuid() != 0:
        pytest.skip("giving a process to somebody else takes root")
    script = bare.process("slurm_script", environ=said(3))
    os.chown(bare.proc / str(bare.process("slurmstepd", "slurmstepd: [3.batch]", children=(script,))), 54321, 54321)
    assert bare.read(bare.open()) == []


@pytest.mark.parametrize("status", ["Name:\tsu\nUid:\t54321\t0\t0\t0\n", "Name:\tsu\n"], ids=["somebody's", "unsaid"])
def test_a_setuid_program_under_slurmstepds_title_speaks_for_no_job(bare: Node, status: str) -> None:
    """Its folder in /proc is root's; who started it is not, or is not said."""
    source = bare.open()
    stepd = bare.process("slurmstepd", "slurmstepd: [3.batch]", children=(bare.process("bash", environ=said(3)),))
    (bare.proc / str(stepd) / "status").write_text(status)
    assert claims(bare.read(source)) == {}


def test_a_slurmd_that_becomes_a_slurmstepd_is_seen(bare: Node) -> None:
    source = bare.open()
    script = bare.process("slurm_script", environ=said(3))
    forked = bare.process("slurmd", children=(script,))
    assert bare.read(source) == []
    (bare.proc / str(forked) / "comm").write_text("slurmstepd\n")
    assert bare.read(source) == []
    (bare.proc / str(forked) / "cmdline").write_text("slurmstepd: [3.batch]")
    assert claims(bare.read(source)) == {"slurm:3": workload(3)}


def test_a_job_without_control_groups_ends_with_its_slurmstepd(bare: Node) -> None:
    script = bare.process("slurm_script", environ=said(3))
    stepd = bare.process("slurmstepd", "slurmstepd: [3.batch]", children=(script,))
    source = bare.open()
    bare.read(source)
    (bare.proc / str(stepd)).rename(bare.proc / "gone")
    assert claims(bare.read(source)) == {"slurm:3": None}


def test_a_process_id_that_comes_back_as_a_slurmstepd_is_seen_in_time(bare: Node) -> None:
    source = bare.open()
    script = bare.process("slurm_script", environ=said(3))
    other = bare.process("bash", children=(script,))
    bare.read(source)
    (bare.proc / str(other) / "comm").write_text("slurmstepd\n")
    (bare.proc / str(other) / "cmdline").write_text("slurmstepd: [3.batch]")
    assert claims(bare.read(source, after_s=10)) == {"slurm:3": workload(3)}


def test_a_boundary_reads_nothing(node: Node) -> None:
    node.step(7)
    assert list(node.open().read(lambda: pytest.fail("the clock was asked"), False)) == []


def test_a_machine_without_slurm_says_so(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.process("bash", environ=said(3))
    with pytest.raises(SourceGone, match=r"no slurmd in .* start slurmd before the agent"):
        node.open()
    assert [finding.state for finding in slurm.examine(node.host())] == ["absent"]


def test_a_doctor_says_how_slurm_was_found(node: Node) -> None:
    node.step(7)
    found = list(slurm.examine(node.host()))
    assert [(finding.sensor, finding.state) for finding in found] == [("jobs", "usable")]
    assert "1 jobs run here now" in found[0].why
