"""Linux: who used the CPU and the memory of the node, by control group.

Every container, pod, Slurm job, virtual machine, service and plain group is a unit, read on held descriptors; single processes are
read only where a group has more than one claimant.
"""

import os
from collections.abc import Iterable, Iterator

from wattledger.core.model import Finding
from wattledger.core.ports import Host, SourceGone
from wattledger.sources._linux.machine import Machine
from wattledger.sources.cgroup.cycles import Cycles
from wattledger.sources.cgroup.environ import may_read
from wattledger.sources.cgroup.hierarchy import Hierarchy, View, Vouched, group_of, look, uid_of, unit_of, vouched
from wattledger.sources.cgroup.paths import Identity, identify
from wattledger.sources.cgroup.source import DENIED, Cgroup

__all__ = [
    "Cgroup", "Hierarchy", "Identity", "View", "Vouched", "examine", "group_of", "identify", "look", "open", "unit_of", "vouched",
]  # fmt: skip


def open(host: Host) -> Cgroup:
    """Options: ``hierarchy`` (auto, v1, v2), ``cycles`` (auto, off), ``environ`` (bool) of the configuration; ``agent_pid``, as
    the procfs numbers the agent, and ``listed_pid``, as ``cgroup.procs`` does; and ``clients``, a callable that gives the process
    ids that speak to the agent now (called once in each full read).
    """
    return Cgroup(host)


def examine(host: Host) -> Iterable[Finding]:
    try:
        view = look(host)
        machine = Machine(host.procfs, "cgroup")
    except SourceGone as gone:
        yield Finding("cgroup", "cpu and memory by control group", "absent", str(gone))
        return
    cpus = machine.cpu_ids()
    machine.close()
    kind = "v2" if view.cpu.v2 else "v1"
    memory = "memory" if view.memory else "no memory (no memory controller)"
    yield Finding("cgroup", "cpu and memory by control group", "usable", f"{kind} at {view.cpu.top}: CPU time, {memory}")
    if host.options.get("environ", True):
        yield _environ(host)
    if host.options.get("cycles", "auto") != "off":
        cycles = Cycles(view.perf, cpus, 64)
        cycles.close()
        why = cycles.refused or "perf counts cycles by group"
        yield Finding("cgroup", "cpu cycles by control group", "absent" if cycles.refused else "usable", why)


def _pids(procfs: str) -> Iterator[int]:
    try:
        yield from sorted(int(name) for name in os.listdir(procfs) if name.isdigit())
    except OSError:
        return


def _environ(host: Host) -> Finding:
    # Not of the first process: a container's or a sandbox's may be closed even to who may read all others.
    others = [pid for pid in _pids(host.procfs) if pid != 1]
    foreign = [pid for pid in others if uid_of(host.procfs, pid) not in (None, os.getuid())]
    if not all(may_read(host.procfs, pid) for pid in (foreign or others)[:3]):
        return Finding("cgroup", "environment of processes", "denied", DENIED, "run with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH")
    return Finding("cgroup", "environment of processes", "usable", "WATTLEDGER_* and SLURM_* of processes")
