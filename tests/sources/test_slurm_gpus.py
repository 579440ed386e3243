"""Which GPUs a job holds: by its environment, and by the folder that a prolog keeps."""

from pathlib import Path

import pytest
from tests.sources.slurm_node import ONE, TWO, V2, Node, holdings

from wattledger.core.model import Holding
from wattledger.core.ports import Source
from wattledger.runtime import clock
from wattledger.runtime.runner import Runner

SLICE = "MIG-33333333-3333-3333-3333-333333333333"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """A machine whose device files are numbered otherwise than its GPUs lie on the bus."""
    made = Node(tmp_path, V2)
    made.gpu("0000:07:00.0", 2, ONE)
    made.gpu("0000:C1:00.0", 0, TWO)
    (tmp_path / "jobs").mkdir()
    return made


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    return tmp_path / "jobs"


def notes(source: Source) -> tuple[str, ...]:
    return Runner(source, clock.now).notes


def test_a_job_holds_the_gpus_that_slurm_gave_it(node: Node) -> None:
    node.step(7, SLURM_JOB_GPUS="0,2", CUDA_VISIBLE_DEVICES="0,1")
    source = node.open()
    samples = node.read(source)
    assert holdings(samples) == {(TWO, "slurm:7"): 1.0, (ONE, "slurm:7"): 1.0}
    assert {s.by for s in samples if isinstance(s, Holding)} == {"allocation"}
    node.end(7)
    assert holdings(node.read(source)) == {(TWO, "slurm:7"): 0, (ONE, "slurm:7"): 0}


def test_jobs_that_share_a_gpu_hold_equal_parts(node: Node) -> None:
    node.step(7, SLURM_JOB_GPUS="0")
    source = node.open()
    assert holdings(node.read(source)) == {(TWO, "slurm:7"): 1.0}
    node.step(8, SLURM_JOB_GPUS="0")
    assert holdings(node.read(source)) == {(TWO, "slurm:7"): 0.5, (TWO, "slurm:8"): 0.5}


@pytest.mark.parametrize(
    ("environ", "held"),
    [
        ({"SLURM_STEP_GPUS": "2"}, {ONE}),
        ({"SLURM_JOB_GPUS": "0", "SLURM_STEP_GPUS": "2"}, {TWO}),
        ({"SLURM_JOB_GPUS": "0", "SLURM_STEP_GPUS": "2", "SLURM_NODEID": "1"}, {ONE}),
        ({"SLURM_JOB_GPUS": "0", "SLURM_NODEID": "1"}, {TWO}),
        ({"SLURM_JOB_GPUS": "5", "CUDA_VISIBLE_DEVICES": SLICE}, {SLICE}),
        ({"CUDA_VISIBLE_DEVICES": "0"}, set()),
        ({"CUDA_VISIBLE_DEVICES": ONE}, set()),
        ({"SLURM_JOB_GPUS": "(null)"}, set()),
        ({"SLURM_JOB_GPUS": ""}, set()),
    ],
    ids=[
        "step", "job-before-step", "other-node", "other-node-no-step", "mig", "user-set-index", "user-set-uuid", "null", "empty",
    ],
)  # fmt: skip
def test_only_slurms_own_words_allocate(node: Node, environ: dict[str, str], held: set[str]) -> None:
    node.step(7, **environ)
    assert holdings(node.read(node.open())) == {(uuid, "slurm:7"): 1.0 for uuid in held}


def test_steps_elsewhere_than_on_the_first_node_add_up(node: Node) -> None:
    for step, gpu in (("0", "0"), ("1", "2")):
        node.step(7, step, SLURM_NODEID="1", SLURM_STEP_GPUS=gpu)
    assert holdings(node.read(node.open())) == {(ONE, "slurm:7"): 1.0, (TWO, "slurm:7"): 1.0}


def test_a_gpu_that_the_driver_does_not_list_is_held_by_nobody(node: Node) -> None:
    node.step(7, SLURM_JOB_GPUS="9")
    source = node.open()
    assert holdings(node.read(source)) == {}
    assert [note.partition(" of a job")[0] for note in notes(source)] == ["slurm: GPU 9"]


def test_a_prologs_folder_goes_before_the_environment(node: Node, mapping: Path) -> None:
    """Its indices count along the bus, as NVML's and DCGM's."""
    node.step(7, SLURM_JOB_GPUS="0")
    node.step(8)
    source = node.open(gpu_jobs=str(mapping))
    (mapping / "0").write_text("7\n8\n")
    (mapping / "1").write_text("8\n")
    (mapping / "README").write_text("7\n")
    assert holdings(node.read(source)) == {(ONE, "slurm:7"): 0.5, (ONE, "slurm:8"): 0.5, (TWO, "slurm:8"): 1.0}
    (mapping / "0").write_text("7\n")
    (mapping / "1").unlink()
    assert holdings(node.read(source)) == {(ONE, "slurm:7"): 1.0, (ONE, "slurm:8"): 0, (TWO, "slurm:8"): 0}


def test_a_file_that_no_epilog_removed_holds_nothing(node: Node, mapping: Path) -> None:
    node.step(7)
    (mapping / "0").write_text("6\n7\n")
    source = node.open(gpu_jobs=str(mapping))
    assert holdings(node.read(source)) == {(ONE, "slurm:7"): 1.0}
    node.end(7)
    assert holdings(node.read(source)) == {(ONE, "slurm:7"): 0}


def test_where_no_job_can_be_seen_the_folder_is_believed(node: Node, mapping: Path) -> None:
    (mapping / "0").write_text("7\n")
    assert holdings(node.read(node.open(gpu_jobs=str(mapping)))) == {(ONE, "slurm:7"): 1.0}


@pytest.mark.parametrize(("instances", "part"), [(0, 1 / 2), (4, 1 / 4)], ids=["counted-by-files", "counted-by-driver"])
def test_slices_of_a_gpu_are_equal_parts_of_it(node: Node, mapping: Path, instances: int, part: float) -> None:
    for instance in range(instances):
        (node.proc / f"driver/nvidia/capabilities/gpu2/mig/gi{instance}").mkdir(parents=True)
    (mapping / "0.1").write_text("7\n")
    (mapping / "0.2").write_text("8\n9\n")
    found = holdings(node.read(node.open(gpu_jobs=str(mapping))))
    assert found == {(ONE, "slurm:7"): part, (ONE, "slurm:8"): part / 2, (ONE, "slurm:9"): part / 2}


def test_an_index_beyond_the_gpus_is_no_device_number(node: Node, mapping: Path) -> None:
    (mapping / "2").write_text("7\n")
    source = node.open(gpu_jobs=str(mapping))
    assert holdings(node.read(source)) == {}
    assert [note.partition(" of a job")[0] for note in notes(source)] == ["slurm: GPU index 2"]


def test_a_folder_that_is_not_there_is_said_and_the_environment_used(node: Node, mapping: Path) -> None:
    node.step(7, SLURM_JOB_GPUS="0")
    source = node.open(gpu_jobs=str(mapping / "none"))
    assert holdings(node.read(source)) == {(TWO, "slurm:7"): 1.0}
    assert [note.partition(" (gpu_jobs)")[0] for note in notes(source)] == [f"slurm: {mapping / 'none'}"]


def test_files_of_garbage_hold_nothing(node: Node, mapping: Path) -> None:
    (mapping / "0").write_bytes(b"\xff\xfe no job \0")
    (mapping / "1").mkdir()
    assert node.read(node.open(gpu_jobs=str(mapping))) == []
