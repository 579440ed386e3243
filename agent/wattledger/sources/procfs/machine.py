"""How busy the machine is, or the part of it that control groups leave us, and how much of its memory is in use."""

import os
from typing import NamedTuple

from wattledger.core.model import Instant
from wattledger.core.ports import Host, SourceGone
from wattledger.sources.procfs.cgroups import Allotment, allotment, memory_used, usage_ns

TICK_NS = 1_000_000_000 // (os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100)
LOOK_AGAIN_READS = 30  # limits change rarely (a pod resized in place), and finding them costs more than a whole read
STAT_BYTES = 65_536  # the cpu lines of some 800 CPUs; the kernel builds the whole file however much is asked for


class Memory(NamedTuple):
    total_bytes: int
    available_bytes: int


class Busy(NamedTuple):
    """Cumulative CPU time: worked, and at rest."""

    busy_ns: int
    idle_ns: int


class Load(NamedTuple):
    """What a power model needs to know: work done so far by ``cpus`` of ``all_cpus``, and the memory with them."""

    busy_ns: int
    cpus: float
    all_cpus: int
    memory_bytes: int


class Machine:
    """Held descriptors on ``stat`` and ``meminfo``."""

    def __init__(self, procfs: str) -> None:
        self._fds: list[int] = []
        try:
            for name in ("stat", "meminfo"):
                self._fds.append(os.open(f"{procfs}/{name}", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            self.close()
            raise SourceGone(
                f"procfs: cannot read {procfs}/{name} ({error.strerror}); mount the host's /proc or set [paths] procfs"
            ) from None

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()

    def cpu_ids(self) -> frozenset[int]:
        names = (line.partition(b" ")[0] for line in os.pread(self._fds[0], STAT_BYTES, 0).split(b"\n"))
        return frozenset(int(name[3:]) for name in names if name[:3] == b"cpu" and name[3:].isdigit())

    def busy(self, only: frozenset[int] | None = None) -> Busy:
        """Of the whole machine, or of some CPUs."""
        if only is None:
            return _busy(os.pread(self._fds[0], 512, 0).partition(b"\n")[0])
        worked = rested = 0
        for line in os.pread(self._fds[0], STAT_BYTES, 0).split(b"\n"):
            name = line.partition(b" ")[0]
            if name[:3] == b"cpu" and name[3:].isdigit() and int(name[3:]) in only:
                one = _busy(line)
                worked, rested = worked + one.busy_ns, rested + one.idle_ns
        return Busy(worked, rested)

    def memory(self) -> Memory:
        fields = {}
        for line in os.pread(self._fds[1], 256, 0).split(b"\n")[:4]:
            name, _, value = line.partition(b":")
            fields[name] = value
        free = fields.get(b"MemAvailable") or fields[b"MemFree"]  # MemAvailable is missing before Linux 3.14
        return Memory(_bytes(fields[b"MemTotal"]), _bytes(free))


def _bytes(kib: bytes) -> int:
    return int(kib.split()[0]) * 1024


def _busy(line: bytes) -> Busy:
    """user, nice, system, irq and softirq worked (guest time is already inside user and nice); idle and iowait rested.

    Steal is left out of both: another guest had the CPU then, so it is neither our work nor our rest.
    """
    ticks = [int(word) for word in line.split()[1:8]]
    ticks += [0] * (7 - len(ticks))
    user, nice, system, idle, iowait, irq, softirq = ticks
    return Busy((user + nice + system + irq + softirq) * TICK_NS, (idle + iowait) * TICK_NS)


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
