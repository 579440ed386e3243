"""Single processes, where a group has more than one claimant: each is read on a held descriptor and taken out of its group.

In the root group every process (kernel threads excepted) is a unit of its own; in a session, a scope or a plain group those
are that say whom they work for.  Nobody reads processes of containers, jobs and services one by one.
"""

import os
from collections.abc import Callable, Container, Iterable, Mapping
from typing import NamedTuple

from wattledger.core.model import Instant
from wattledger.sources._linux.machine import TICK_NS
from wattledger.sources._linux.tree import Stat, parse_stat, read_file
from wattledger.sources.cgroup.environ import NOTHING, Denied, Said, said_by
from wattledger.sources.cgroup.groups import Budget, Group
from wattledger.sources.cgroup.paths import plain

FEW = 64  # a group with more processes is one unit: reading each of them would cost more than it tells
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
KERNEL_THREAD = 0x00200000  # PF_KTHREAD of include/linux/sched.h
SHARED = ("root", "scope", "group", "slice")
MEMORY_READS = 8
FIRST = 1  # says no job of its own, and in a container or a sandbox may be closed to everybody


class Seen(NamedTuple):
    """A process at first sight."""

    stat: Stat
    name: str
    kernel: bool


class Process:
    """A process that is a unit of its own.  A held descriptor names the process, not the number."""

    __slots__ = ("born", "bytes", "fd", "folder", "group", "grown_ns", "name", "own", "pid", "said", "start", "young")

    def __init__(self, folder: str, pid: int, seen: Seen, group: Group) -> None:
        self.folder, self.pid, self.group = folder, pid, group
        self.start, self.own, self.name = seen.stat.start, seen.stat.own, seen.name
        self.said = NOTHING
        self.fd: int | None = None
        self.grown_ns = self.bytes = 0
        self.born = False
        self.young = True

    @property
    def who(self) -> str:
        return f"pid:{self.pid}"

    def read(self) -> bool:
        """Its own time, without that of children it waited for: theirs is in the group's counter.  False: it has ended."""
        text = self._text()
        stat = parse_stat(text) if text else None
        if stat is None or stat.start != self.start or stat.own < self.own:
            return False
        self.grown_ns = (stat.own - self.own) * TICK_NS
        self.own = stat.own
        return True

    def _text(self) -> bytes | None:
        if self.fd is None:
            return read_file(f"{self.folder}/stat")
        try:
            return os.pread(self.fd, 4096, 0)
        except OSError:
            return None

    def read_memory(self) -> None:
        """Resident minus shared, as long as it lives."""
        pages = (read_file(f"{self.folder}/statm") or b"").split()
        self.bytes = max(0, int(pages[1]) - int(pages[2])) * PAGE_BYTES if len(pages) >= 3 else 0

    def close(self, budget: Budget) -> None:
        if self.fd is not None:
            os.close(self.fd)
            budget.left += 1
        self.fd = None


def see(procfs: str, pid: int) -> Seen | None:
    """``None``: no such process."""
    text = read_file(f"{procfs}/{pid}/stat")
    stat = parse_stat(text) if text else None
    if text is None or stat is None:
        return None
    name = text[text.find(b"(") + 1 : text.rfind(b")")].decode("utf-8", "replace")
    flags = int(text[text.rfind(b")") + 2 :].split()[6])
    name = "".join(c for c in name if c.isprintable())
    return Seen(stat, plain(name) or "unnamed", pid == 2 or stat.ppid == 2 or bool(flags & KERNEL_THREAD))


def list_processes(folder: str) -> list[int]:
    """Who is in a group itself; nobody where it is gone, or not ours to read."""
    parts = []
    try:
        fd = os.open(f"{folder}/cgroup.procs", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        while part := os.read(fd, 65_536):
            parts.append(part)
    except OSError:
        return []
    finally:
        os.close(fd)
    return [pid for word in b"".join(parts).split() if (pid := int(word))]  # 0: in a PID namespace that we cannot see


class Processes:
    """State: the processes that are units, and those that were looked at and are not."""

    def __init__(self, procfs: str, budget: Budget, *, environ: bool) -> None:
        self._procfs, self._budget, self._environ = procfs, budget, environ
        self.units: dict[int, Process] = {}
        self._silent: dict[int, tuple[Group, int]] = {}  # with the read of the first look
        self.denied = False
        self._reads = 0
        self.born: list[Process] = []
        self.changed: list[Process] = []
        self.ended: list[Process] = []
        self.crowded: list[Group] = []

    def close(self) -> None:
        for process in self.units.values():
            process.close(self._budget)

    def refresh(
        self, groups: Iterable[Group], since: Instant | None, *, group_of: Callable[[int], Group], others: Container[int]
    ) -> None:
        """Read every unit, and look for new ones in the shared groups that worked since the last read.

        ``others``: processes that are told otherwise.  Afterwards ``born``, ``changed`` (says something new) and ``ended``, and
        ``crowded``: groups with too many to be looked at one by one.
        """
        self.born, self.changed, self.ended, self.crowded = [], [], [], []
        listed = {group: list_processes(group.folder) for group in groups if _is_due(group)}
        here = {pid: group for group, pids in listed.items() for pid in pids}
        self._read_units(listed, here, group_of, others)
        for group, pids in listed.items():
            group.seen = True
            if group.parent is not None and len(pids) > FEW:
                self.crowded.append(group)
                continue
            for pid in pids:
                if pid not in self.units and pid not in others:
                    self._look(pid, group, since)
        self._silent = {pid: known for pid, known in self._silent.items() if known[0] not in listed or here.get(pid) is known[0]}
        self._reads += 1

    def _read_units(
        self,
        listed: Container[Group],
        here: Mapping[int, Group],
        group_of: Callable[[int], Group],
        others: Container[int],
    ) -> None:
        for pid, process in list(self.units.items()):
            alive = pid not in others and process.read()
            if alive and (process.group.gone or (process.group in listed and here.get(pid) is not process.group)):
                process.group = group_of(pid)  # it moved
                alive = process.group.identity.kind in SHARED
            if not alive:
                self.ended.append(process)
                process.close(self._budget)
                del self.units[pid]
                continue
            if (self._reads + pid) % MEMORY_READS == 0:
                process.read_memory()
            if process.young:
                self._look_again(process)

    def _look(self, pid: int, group: Group, since: Instant | None) -> None:
        known = self._silent.get(pid)
        if known is not None and known[0] is group and known[1] < self._reads - 1:
            return  # looked at twice, and silent
        seen = see(self._procfs, pid)
        if seen is None:
            return
        said = NOTHING if seen.kernel else self._said(pid)
        if seen.kernel or (group.parent is not None and said == NOTHING):
            first = self._reads if known is None or known[0] is not group else known[1]
            self._silent[pid] = group, -2 if seen.kernel else first
            return
        process = Process(f"{self._procfs}/{pid}", pid, seen, group)
        process.fd = self._budget.hold(f"{process.folder}/stat")
        process.said = said
        if since is not None and seen.stat.start * TICK_NS > since.mono_ns:
            process.born, process.own = True, 0  # born since the last read: all it has used is new
        if not process.read():
            process.close(self._budget)
            return
        process.read_memory()
        self._silent.pop(pid, None)
        self.units[pid] = process
        self.born.append(process)

    def _look_again(self, process: Process) -> None:
        """Between fork and exec a process still has its parent's name and environment."""
        process.young = False
        seen = see(self._procfs, process.pid)
        said = self._said(process.pid)
        now = said if said != NOTHING else process.said, seen.name if seen is not None else process.name
        if now != (process.said, process.name):
            process.said, process.name = now
            self.changed.append(process)

    def _said(self, pid: int) -> Said:
        if not self._environ or pid == FIRST:
            return NOTHING
        try:
            return said_by(self._procfs, pid)
        except Denied:
            self.denied = True
            return NOTHING


def _is_due(group: Group) -> bool:
    """A shared group in which somebody worked; the root always."""
    shared = group.identity.kind in SHARED and not group.gone
    return shared and (group.parent is None or group.grown_ns > 0 or not group.seen)
