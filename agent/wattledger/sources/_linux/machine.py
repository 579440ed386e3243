"""How busy the machine is and how much of its memory is in use, on held descriptors."""

import os
from typing import NamedTuple

from wattledger.core.ports import SourceFailed, SourceGone

TICK_NS = 1_000_000_000 // (os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100)
STAT_BYTES = 65_536  # the cpu lines of some 800 CPUs; the kernel builds the whole file however much is asked for


class Memory(NamedTuple):
    total_bytes: int
    available_bytes: int


class Busy(NamedTuple):
    """Cumulative CPU time: worked, and at rest."""

    busy_ns: int
    idle_ns: int


class Machine:
    """Held descriptors on ``stat`` and ``meminfo``."""

    def __init__(self, procfs: str, source: str = "procfs") -> None:
        self._fds: list[int] = []
        try:
            for name in ("stat", "meminfo"):
                self._fds.append(os.open(f"{procfs}/{name}", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            self.close()
            raise SourceGone(
                f"{source}: cannot read {procfs}/{name} ({error.strerror}); mount the host's /proc or set [paths] procfs"
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
        try:
            free = fields.get(b"MemAvailable") or fields[b"MemFree"]  # MemAvailable is missing before Linux 3.14
            return Memory(_bytes(fields[b"MemTotal"]), _bytes(free))
        except (LookupError, ValueError):
            raise SourceFailed("reading meminfo of procfs failed: it does not say how much memory there is") from None


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
