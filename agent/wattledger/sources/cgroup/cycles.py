"""CPU cycles by control group, through perf_event_open: a fast core's second is worth more than a slow one's.

One event for each group and CPU (PERF_FLAG_PID_CGROUP counts the group and all beneath while they run there) and one for all of
each CPU: perf_event_open(2), include/uapi/linux/perf_event.h.
"""

import errno
import os
import platform
import struct
from collections.abc import Callable, Iterable

from wattledger.sources.cgroup.groups import Group
from wattledger.sources.cgroup.hierarchy import Hierarchy

MOST_EVENTS = 2048  # descriptors, and work at each switch between groups
HARDWARE_CYCLES = (0, 0)  # PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES

_SYSCALL = {"x86_64": 298, "aarch64": 241}
_ATTR_SIZE = 64  # PERF_ATTR_SIZE_VER0
_CLOEXEC, _PID_CGROUP = 8, 4
_TIMES = 1 | 2  # PERF_FORMAT_TOTAL_TIME_ENABLED, _RUNNING: how much of the time the event had a register

Perf = Callable[[int, int, int], tuple[int, int]]


class Counter:
    """One group's events, or (folder ``None``) those of the whole machine.  ``grown`` is told since the last read."""

    def __init__(self, fds: list[int]) -> None:
        self._fds = fds
        self._before = [(0, 0, 0)] * len(fds)

    def grown(self) -> int:
        """Cycles, scaled up for the time in which other events had the register."""
        total = 0
        for i, fd in enumerate(self._fds):
            read = os.read(fd, 24)
            if len(read) < 24:
                continue  # stopped counting
            now = struct.unpack("=QQQ", read)
            count, enabled, running = (new - old for new, old in zip(now, self._before[i], strict=True))
            self._before[i] = now
            total += count * enabled // running if 0 < running < enabled else count
        return total

    def close(self) -> None:
        for fd in self._fds:
            os.close(fd)
        self._fds = []


class Cycles:
    """State: the open events.  ``refused`` says why there are none; once refused, CPU time is used for good."""

    def __init__(
        self, hierarchy: Hierarchy | None, cpus: Iterable[int], limit: int, event: tuple[int, int] = HARDWARE_CYCLES
    ) -> None:
        self._hierarchy, self._cpus, self._limit = hierarchy, sorted(cpus), min(limit, MOST_EVENTS)
        self._perf_event_open = _perf_event_open(event)
        self._groups: dict[Group, Counter] = {}
        self._machine: Counter | None = None
        self.refused = "" if hierarchy is not None else "no perf_event control group is mounted"
        if not self.refused:
            self._machine = self._open(None)

    def close(self) -> None:
        for counter in (*self._groups.values(), *([self._machine] if self._machine else [])):
            counter.close()
        self._groups, self._machine = {}, None

    def weigh(self, groups: Iterable[Group], busy_ns: int, cpu_top: str) -> bool:
        """Replace each group's growth by its share of the machine's busy time, by cycles; false: they are not known.

        A group born in this read has no count yet, and keeps its CPU time.
        """
        if self._machine is None:
            return False
        alive = [group for group in groups if not group.gone and group.parent is not None]
        grown: dict[Group, int] = {}
        for gone in self._groups.keys() - set(alive):
            self._groups.pop(gone).close()
        for group in alive:
            known = self._groups.get(group)
            if known is not None:
                grown[group] = known.grown()
            elif not self._join(group, cpu_top):
                return False
        whole = self._machine.grown()
        for group, cycles in grown.items():
            group.grown_ns = busy_ns * cycles // whole if whole else group.grown_ns
        return True

    def _join(self, group: Group, cpu_top: str) -> bool:
        assert self._hierarchy is not None
        if (len(self._groups) + 2) * len(self._cpus) > self._limit:
            self._give_up(f"{len(self._cpus)} CPUs times {len(self._groups) + 1} groups are more than {self._limit} events")
            return False
        counter = self._open(self._hierarchy.top + group.folder[len(cpu_top) :])
        if counter is None:
            return bool(self._machine)
        self._groups[group] = counter
        return True

    def _open(self, folder: str | None) -> Counter | None:
        fds: list[int] = []
        try:
            place = os.open(folder, os.O_RDONLY | os.O_CLOEXEC) if folder is not None else -1
        except OSError as error:
            if error.errno != errno.ENOENT:  # ENOENT: removed meanwhile
                self._give_up(f"{folder}: {error.strerror}")
            return None
        for cpu in self._cpus:
            fd, error_number = self._perf_event_open(place, cpu, _CLOEXEC if folder is None else _CLOEXEC | _PID_CGROUP)
            if error_number:
                self._give_up(_why(error_number))
                break
            fds.append(fd)
        if place >= 0:
            os.close(place)
        counter = Counter(fds)
        if self.refused:
            counter.close()
            return None
        return counter

    def _give_up(self, why: str) -> None:
        self.refused = why
        self.close()


def _why(error_number: int) -> str:
    if error_number in (errno.EACCES, errno.EPERM):
        return "perf_event_open is not permitted; give CAP_PERFMON, with kernel.perf_event_paranoid of 2 or less"
    if error_number in (errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV):
        return f"this machine counts no cycles ({os.strerror(error_number)}): a virtual machine without a PMU"
    return f"perf_event_open: {os.strerror(error_number)}"


def _perf_event_open(event: tuple[int, int]) -> Perf:
    """The system call, which libc does not wrap: gives the descriptor and 0, or -1 and the errno."""
    import ctypes

    number_of_call = _SYSCALL.get(platform.machine())
    if number_of_call is None:
        return lambda pid, cpu, flags: (-1, errno.ENOSYS)
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    kind, config = event
    # type, size, config, sample_period, sample_type, read_format
    attr = struct.pack("=IIQQQQ", kind, _ATTR_SIZE, config, 0, 0, _TIMES).ljust(_ATTR_SIZE, b"\0")

    def call(pid: int, cpu: int, flags: int) -> tuple[int, int]:
        no_group = ctypes.c_int(-1)
        number = ctypes.c_long(number_of_call)
        fd = syscall(number, attr, ctypes.c_int(pid), ctypes.c_int(cpu), no_group, ctypes.c_ulong(flags))
        return (fd, 0) if fd >= 0 else (-1, ctypes.get_errno())

    return call
