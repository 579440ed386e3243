"""Slurm: what its jobs are called, whose they are, and which GPUs were allocated to them.  No Slurm command is run.

``jobs`` finds jobs and reads what their processes say, ``gpus`` says which GPUs that means, ``source`` tells what changed.
"""

from collections.abc import Iterable

from wattledger.core.model import Finding, Instant
from wattledger.core.ports import Host, SourceGone
from wattledger.sources.slurm.jobs import evidence
from wattledger.sources.slurm.source import DENIED, NAME, Slurm


def open(host: Host) -> Slurm:
    """``SourceGone`` where no Slurm is to be seen."""
    if not evidence(host):
        raise SourceGone(
            f"slurm: no slurmd in {host.procfs} and no control groups of jobs below {host.sysfs}/fs/cgroup; "
            "start slurmd before the agent, or set [sources.slurm] gpu_jobs"
        )
    return Slurm(host)


def examine(host: Host) -> Iterable[Finding]:
    found = evidence(host)
    if not found:
        yield Finding(NAME, "jobs", "absent", f"no slurmd in {host.procfs} and no control groups of jobs: not a Slurm node")
        return
    source = Slurm(host)
    list(source.read(lambda: Instant(0, 0), full=True))
    yield Finding(NAME, "jobs", "usable", f"{found}; {len(source.known)} jobs run here now")
    for note in source.notes:
        if DENIED in note:
            remedy = "run the agent as root, or with AmbientCapabilities=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH"
            yield Finding(NAME, "names", "denied", note, remedy)
        else:
            yield Finding(NAME, "GPUs", "absent", note)
