"""Linux: who used CPU and memory, and what of them is reserved, from ``/proc`` and the control groups."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from wattledger.core.model import Activity, Claim, Device, Finding, Holding, Instant, Sample, Workload
from wattledger.core.ports import Host, Now, SourceFailed, SourceGone
from wattledger.sources._linux.machine import TICK_NS
from wattledger.sources._linux.tree import Forest, parse_stat, read_file
from wattledger.sources.procfs.cgroups import affinity
from wattledger.sources.procfs.machine import LOOK_AGAIN_READS, Load, Place

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def open(host: Host) -> "Procfs":
    """Options: ``workload`` (a Workload: whom the trees work for); ``agent_threads`` (native thread ids of the meter
    inside the metered process, or a callable giving them); ``agent_pid`` (a meter in its own process, outside the
    trees); ``measured`` (device kinds that a sensor covers: use of a device that a model answers for is told within our
    allotment, because the model's device is that allotment).
    """
    return Procfs(host)


def load(host: Host) -> Callable[[], Load]:
    """For a power model: CPU work so far and on what, of the first root's allotment or (no roots) of the machine."""
    place = Place(host, host.roots[0] if host.roots else None)

    def read() -> Load:
        busy = place.cpu()
        return Load(busy.busy_ns, place.part.cpus, place.part.all_cpus, place.part.memory_bytes)

    return read


def examine(host: Host) -> Iterable[Finding]:
    try:
        Place(host, None).close()
    except SourceGone as gone:
        yield Finding("procfs", "cpu and memory use", "absent", str(gone))
        return
    for root in host.roots:
        if read_file(f"{host.procfs}/{root}/stat") is None:
            remedy = "run as the same user, or mount /proc without hidepid"
            yield Finding("procfs", f"pid {root}", "denied", f"cannot read {host.procfs}/{root}/stat", remedy)
            return
    why = "CPU time and resident memory of processes and of the machine"
    yield Finding("procfs", "cpu and memory use", "usable", why)


def _adopter(host: Host) -> int | None:
    pid = host.options.get("agent_pid")
    return pid if isinstance(pid, int) and pid not in host.roots else None


class Procfs:
    """State: the trees, the machine's held files, the cumulative sums, and which part of the CPUs each root holds."""

    name = "procfs"
    edge = False
    period_ns: int | None = None

    def __init__(self, host: Host) -> None:
        self._host = host
        self._place = Place(host, None)
        measured = host.options.get("measured", frozenset())
        measured = measured if isinstance(measured, frozenset | set | tuple | list) else ()
        root = host.roots[0] if host.roots else None
        # A container's part stands beside the whole machine, for the devices that a model answers for.
        self._part = Place(host, root) if root is not None else self._place
        self._cpu_place = self._place if "cpu" in measured else self._part
        self._dram_place = self._place if "dram" in measured else self._part
        self._forest = Forest(host.procfs, host.roots, _adopter(host))
        workload = host.options.get("workload")
        self._workload = workload if isinstance(workload, Workload) else None
        self._meter = Meter(host.procfs, host.options)
        self._highest: dict[tuple[str, str], int] = {}
        self._others_before_ns: int | None = None
        self._held: dict[int, float] = {}
        self._memory_at: Instant | None = None
        self._reads = 0

    def devices(self) -> tuple[Device, ...]:
        return ()

    def close(self) -> None:
        self._forest.close()
        self._place.close()
        if self._part is not self._place:
            self._part.close()

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        if not full:
            return ()
        try:
            return list(self._read(now))
        except (OSError, ValueError, LookupError) as error:
            raise SourceFailed(f"procfs: reading {self._host.procfs} failed: {repr(error)[:200]}") from error

    def _read(self, now: Now) -> Iterator[Sample]:
        at = now()
        born, gone = self._forest.refresh()
        if self._workload is not None:
            yield from (Claim(f"pid:{pid}", at, self._workload) for pid in born)
            yield from (Claim(f"pid:{pid}", at, None) for pid in gone)
        yield from self._read_cpu(now, at)
        yield from self._read_dram(now)
        yield from self._read_holdings(now, gone)
        self._reads += 1

    def _read_cpu(self, now: Now, tree_at: Instant) -> Iterator[Sample]:
        agent_ns = self._meter.used_ns()
        trees_ns = {root: self._forest.ticks(root) * TICK_NS for root in self._forest.roots}
        if self._meter.inside and trees_ns:
            # The meter's threads run inside the metered process; their time is the agent's, not the program's.
            trees_ns[self._forest.roots[0]] -= agent_ns
        for root, used in trees_ns.items():
            yield self._grown(f"pid:{root}", tree_at, used)
        if self._meter.is_known:
            yield self._grown("(agent)", tree_at, agent_ns)
        at = now()
        busy = self._cpu_place.cpu(at)
        others_ns = busy.busy_ns - sum(trees_ns.values()) - agent_ns
        if self._others_before_ns is None:
            self._others_before_ns = others_ns
        # The kernel samples the machine's time and measures the processes', so the rest may dip; it never counts twice.
        yield self._grown("(other)", at, others_ns - self._others_before_ns)
        yield self._grown("(idle)", at, busy.idle_ns, "idle_ns")

    def _grown(self, who: str, at: Instant, used: int, unit: Literal["cpu_ns", "idle_ns"] = "cpu_ns") -> Activity:
        """A cumulative sum that holds still where its parts disagree for a moment, and grows again when they agree."""
        self._highest["cpu", who] = used = max(used, self._highest.get(("cpu", who), used))
        return Activity("cpu", who, at, used, unit)

    def _read_dram(self, now: Now) -> Iterator[Sample]:
        at = now()
        memory = self._dram_place.memory()
        left = memory.total_bytes - memory.available_bytes
        elapsed_ns = at.mono_ns - self._memory_at.mono_ns if self._memory_at else 0
        self._memory_at = at
        for root in self._forest.roots:
            used = min(left, self._forest.memory_pages(root) * PAGE_BYTES)
            left -= used
            yield self._filled(f"pid:{root}", at, used * elapsed_ns)
        yield self._filled("(other)", at, left * elapsed_ns)
        yield self._filled("(idle)", at, memory.available_bytes * elapsed_ns)

    def _filled(self, who: str, at: Instant, byte_ns: int) -> Activity:
        key = ("dram", who)
        self._highest[key] = self._highest.get(key, 0) + max(0, byte_ns)
        return Activity("dram", who, at, self._highest[key], "byte_ns")

    def _read_holdings(self, now: Now, gone: list[int]) -> Iterator[Sample]:
        """CPU is held only where allocation, cpuset or affinity is a part of the machine; else its idle is nobody's."""
        for root in gone:
            if self._held.pop(root, 0.0):
                yield Holding("cpu", f"pid:{root}", now(), 0.0)
        if self._reads % LOOK_AGAIN_READS:
            return
        for root in self._forest.roots:
            if root not in self._forest.members:
                continue
            at = now()
            part = self._held_part(root)
            if part != self._held.get(root, 0.0):
                self._held[root] = part
                yield Holding("cpu", f"pid:{root}", at, part)

    def _held_part(self, root: int) -> float:
        place = self._place
        own = affinity(self._host, root) & place.cpu_ids or place.cpu_ids
        limit = self._part.part.cpus if root == self._host.roots[0] else len(place.cpu_ids)
        allowed = min(len(own), limit)
        if allowed >= len(place.cpu_ids):
            return 0.0
        return min(1.0, allowed / self._cpu_place.part.cpus)


class Meter:
    """CPU time of the meter itself: threads inside the metered process, or a process of its own."""

    def __init__(self, procfs: str, options: Mapping[str, object]) -> None:
        self._procfs = procfs
        self._threads = options.get("agent_threads", ())
        pid = options.get("agent_pid")
        self._pid = pid if isinstance(pid, int) else None
        self._seen: dict[str, int] = {}
        self.inside = "agent_threads" in options
        self.is_known = self.inside or self._pid is not None

    def used_ns(self) -> int:
        """So far.  A thread that has ended leaves its last value.

        Of a meter's own process only its own time counts: it may be the parent that reaps the metered tree.
        """
        for path in self._paths():
            text = read_file(path)
            if text and (stat := parse_stat(text)):
                self._seen[path] = max(stat.own, self._seen.get(path, 0))
        return sum(self._seen.values()) * TICK_NS

    def _paths(self) -> Iterator[str]:
        threads = self._threads() if callable(self._threads) else self._threads
        for thread in threads if isinstance(threads, list | tuple | set | frozenset) else ():
            yield f"{self._procfs}/self/task/{thread}/stat"
        if self._pid is not None:
            yield f"{self._procfs}/{self._pid}/stat"
