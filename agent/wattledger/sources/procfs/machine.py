"""How busy the machine is, or the part of it that control groups leave us, and how much of its memory is in use."""

from typing import NamedTuple

from wattledger.core.model import Instant
from wattledger.core.ports import Host
from wattledger.sources._linux.machine import Busy, Machine, Memory
from wattledger.sources.procfs.cgroups import Allotment, allotment, memory_used, usage_ns

LOOK_AGAIN_READS = 30  # limits change rarely (a pod resized in place), and finding them costs more than a whole read


class Load(NamedTuple):
    """What a power model needs to know: work done so far by ``cpus`` of ``all_cpus``, and the memory with them."""

    busy_ns: int
    cpus: float
    all_cpus: int
    memory_bytes: int


class Place:
    """The machine, or (with ``pid``) the part of it that this process's control groups leave it.

    State: both cumulative times, so that neither a counter that dips (iowait may) nor a changed limit makes them fall.
    """

    def __init__(self, host: Host, pid: int | None) -> None:
        self.machine = Machine(host.procfs)
        self.cpu_ids = self.machine.cpu_ids()
        self._host, self._pid = host, pid
        self._reads = 0
        self._last: tuple[int, Busy] | None = None
        self._busy_ns = self._idle_ns = 0
        self.part = self._look()

    def close(self) -> None:
        self.machine.close()

    def _look(self) -> Allotment:
        total = self.machine.memory().total_bytes
        if self._pid is None:
            return Allotment(len(self.cpu_ids), len(self.cpu_ids), None, None, total, None)
        return allotment(self._host, self._pid, self.cpu_ids, total)

    def cpu(self, at: Instant | None = None) -> Busy:
        """Work and rest so far.  Under a quota nothing counts rest: it is what was allowed in the time and not used."""
        self._reads += 1
        if self._reads % LOOK_AGAIN_READS == 0 and (part := self._look()) != self.part:
            self.part, self._last = part, None
        used_ns = usage_ns(self.part.usage) if self.part.usage else None
        raw = self.machine.busy(self.part.only) if used_ns is None else Busy(used_ns, 0)
        mono_ns = at.mono_ns if at else 0
        if self._last is not None:
            then_ns, before = self._last
            worked = max(0, raw.busy_ns - before.busy_ns)
            allowed = int(self.part.cpus * (mono_ns - then_ns))
            rested = raw.idle_ns - before.idle_ns if used_ns is None else allowed - worked
            self._busy_ns, self._idle_ns = self._busy_ns + worked, self._idle_ns + max(0, rested)
        self._last = mono_ns, raw
        return Busy(self._busy_ns, self._idle_ns)

    def memory(self) -> Memory:
        whole = self.machine.memory()
        if self.part.memory_group is None:
            return whole
        used = memory_used(self.part.memory_group)
        if used is None:
            return whole
        return Memory(self.part.memory_bytes, max(0, self.part.memory_bytes - used))
