"""The place we run in: its name, whether process ids match the driver's, and which rank of a job this process is."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

# The inode of the first PID namespace (PROC_PID_INIT_INO, linux/include/linux/proc_ns.h): in any other, NVML's pids are not ours.
FIRST_PID_NAMESPACE = "pid:[4026531836]"

# (rank within this node, ranks on this node) as launchers name them: torchrun; Open MPI; MPICH and Intel MPI; MVAPICH2; srun.
RANK_VARIABLES = (
    ("LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    ("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"),
    ("MPI_LOCALRANKID", "MPI_LOCALNRANKS"),
    ("MV2_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_SIZE"),
    ("SLURM_LOCALID", "SLURM_NTASKS_PER_NODE"),
)


class Rank(NamedTuple):
    """This process among the ranks of its job on this node."""

    local: int
    size: int


def rank_of(environ: Mapping[str, str]) -> Rank | None:
    """The local rank, where a launcher set one and there is more than one rank on this node."""
    for index, size in RANK_VARIABLES:
        if environ.get(index, "").isdigit() and environ.get(size, "").isdigit():
            rank = Rank(int(environ[index]), int(environ[size]))
            if rank.size > 1 and rank.local < rank.size:
                return rank
    return None


def host_name(environ: Mapping[str, str]) -> str:
    """``NODE_NAME`` where an operator set it (a pod's own host name dies with the pod), else the machine's."""
    return environ.get("NODE_NAME") or platform.node() or "localhost"


def pids_match(procfs: str) -> bool:
    """Whether process ids here are the ones a driver reports."""
    try:
        return os.readlink(f"{procfs}/self/ns/pid") == FIRST_PID_NAMESPACE
    except OSError:
        return not Path(procfs, "self").exists()  # no procfs: no PID namespaces either


def own_pid(procfs: str) -> int:
    """This process as ``procfs`` numbers it: a container may have the host's, where it bears another number than its own."""
    try:
        return int(os.readlink(f"{procfs}/self"))
    except (OSError, ValueError):
        return os.getpid()


def launcher_pid(environ: Mapping[str, str]) -> int | None:
    """The process whose tree holds every rank of this node: the leader's parent, unless that is the system itself."""
    parent = os.getppid()
    return parent if rank_of(environ) is not None and parent > 1 else None


def thread_cpu_ns(procfs: str, thread: int) -> int | None:
    """CPU time of one of this process's threads, by its native id, as its own clock would say it; ``None`` where nobody tells."""
    try:
        return int(Path(procfs, "self", "task", str(thread), "schedstat").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return None


def is_virtual(procfs: str) -> bool:
    """Whether a hypervisor runs this machine: then the board and the fans are not ours to count."""
    try:
        return " hypervisor" in Path(procfs, "cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def state_dir(environ: Mapping[str, str]) -> Path | None:
    """Where what is learnt is kept between runs: ``$XDG_STATE_HOME/wattledger``."""
    base = environ.get("XDG_STATE_HOME") or (f"{environ['HOME']}/.local/state" if environ.get("HOME") else "")
    return Path(base, "wattledger") if base else None
