"""Which rank of a job this is, and what the machine is called."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from wattledger.runtime import host


@pytest.mark.parametrize(("environ", "rank"), [
    ({}, None),
    ({"LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}, (1, 4)),
    ({"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}, None),
    ({"LOCAL_RANK": "4", "LOCAL_WORLD_SIZE": "4"}, None),
    ({"LOCAL_RANK": "1"}, None),
    ({"LOCAL_RANK": "one", "LOCAL_WORLD_SIZE": "4"}, None),
    ({"LOCAL_RANK": "-1", "LOCAL_WORLD_SIZE": "4"}, None),
    ({"OMPI_COMM_WORLD_LOCAL_RANK": "3", "OMPI_COMM_WORLD_LOCAL_SIZE": "8"}, (3, 8)),
    ({"MPI_LOCALRANKID": "0", "MPI_LOCALNRANKS": "2"}, (0, 2)),
    ({"MV2_COMM_WORLD_LOCAL_RANK": "1", "MV2_COMM_WORLD_LOCAL_SIZE": "2"}, (1, 2)),
    ({"SLURM_LOCALID": "1", "SLURM_NTASKS_PER_NODE": "2"}, (1, 2)),
    ({"SLURM_LOCALID": "0"}, None),
])  # fmt: skip
def test_a_rank_is_what_the_launcher_says(environ: Mapping[str, str], rank: tuple[int, int] | None) -> None:
    assert host.rank_of(environ) == rank


def test_a_program_without_ranks_has_no_launcher() -> None:
    assert host.launcher_pid({}) is None
    assert host.launcher_pid({"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}) is not None


def test_an_operators_name_comes_before_the_pods() -> None:
    assert host.host_name({"NODE_NAME": "gpu-7"}) == "gpu-7"
    assert host.host_name({})


def test_state_lives_in_the_users_state_folder() -> None:
    assert host.state_dir({"HOME": "/home/a"}) == Path("/home/a/.local/state/wattledger")
    assert host.state_dir({"HOME": "/home/a", "XDG_STATE_HOME": "/s"}) == Path("/s/wattledger")
    assert host.state_dir({}) is None


def test_a_place_without_procfs_has_no_pid_namespaces(tmp_path: Path) -> None:
    assert host.pids_match(str(tmp_path))
    (tmp_path / "self" / "ns").mkdir(parents=True)
    (tmp_path / "self" / "ns" / "pid").symlink_to("pid:[4026532000]")
    assert not host.pids_match(str(tmp_path))
    assert not host.is_virtual(str(tmp_path))


def test_a_process_bears_the_number_that_the_mounted_procfs_gives_it(tmp_path: Path) -> None:
    """A pod sees the host's processes at /host/proc, and itself there under another number."""
    (tmp_path / "self").symlink_to("4242")
    assert host.own_pid(str(tmp_path)) == 4242
    assert host.own_pid("/proc") == os.getpid()
    assert host.own_pid(str(tmp_path / "nothing")) == os.getpid()
