"""CPU time and memory of process trees, without losing or doubling what a child used when it ends.

A child that is waited for moves its CPU time into its parent's ``cutime``/``cstime``; one that is not (SIGCHLD ignored,
re-parented to a process outside) takes it along.  Both look the same, a process that is gone, so each vanished child's
last time is *owed* by its nearest living ancestor: growth of the ancestor's reaped time pays, and what is still unpaid
at the next read, when that ancestor has certainly been read after the end, was lost to the kernel and is carried here.
"""

import os
import re
from typing import NamedTuple

_REAL_UID = re.compile(rb"^Uid:\s+([0-9]{1,10})\s", re.MULTILINE)
HELD_MEMBERS = 32  # two descriptors each: the metered program needs its own, and may have 1,024 in all


class Stat(NamedTuple):
    """What one ``stat`` file says, in clock ticks: own time, time of children already waited for, and the start."""

    ppid: int
    own: int
    reaped: int
    start: int


def parse_stat(text: bytes) -> Stat | None:
    """Fields are counted from the last ``)``: a command's name may hold spaces and brackets.  ``None``: cut short, no numbers."""
    field = text[text.rfind(b")") + 2 :].split()
    if len(field) < 20:
        return None
    try:
        return Stat(int(field[1]), int(field[11]) + int(field[12]), int(field[13]) + int(field[14]), int(field[19]))
    except ValueError:
        return None


def read_file(path: str) -> bytes | None:
    """A small file of procfs in one read; ``None`` when the process is not there (or not ours to see)."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.pread(fd, 4096, 0)
    except OSError:
        return None
    finally:
        os.close(fd)


def real_uid(folder: str) -> int | None:
    """Who started the process of a folder in procfs; ``None``: gone, or not said.

    Not the folder's owner: a setuid program's is its file's, whoever started it.
    """
    found = _REAL_UID.search(read_file(f"{folder}/status") or b"")
    return int(found[1]) if found else None


class Member:
    """One process of a tree.  A held descriptor names the process, not the number, so a reused pid is no answer."""

    __slots__ = ("fds", "folder", "memory_pages", "owed", "own", "pid", "ppid", "reaped", "root", "start")

    def __init__(self, folder: str, pid: int, root: int, stat: Stat, *, hold: bool) -> None:
        self.folder, self.pid, self.root = folder, pid, root
        self.ppid, self.own, self.start = stat.ppid, stat.own, stat.start
        self.reaped = 0  # nothing of it was reported yet, so all that it has reaped may still pay for its children
        self.owed = 0
        self.memory_pages = 0
        self.fds = self._hold() if hold else None

    def _hold(self) -> tuple[int, int] | None:
        try:
            stat = os.open(f"{self.folder}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return stat, os.open(f"{self.folder}/statm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            os.close(stat)
            return None

    def _text(self, which: int) -> bytes | None:
        if self.fds is None:
            return read_file(f"{self.folder}/{('stat', 'statm')[which]}")
        try:
            return os.pread(self.fds[which], 4096, 0)
        except OSError:  # ESRCH: the process behind the descriptor is gone
            return None

    def read(self) -> Stat | None:
        """The present times, or ``None`` when this very process is gone (another under its number does not count)."""
        text = self._text(0)
        stat = parse_stat(text) if text else None
        if stat is None or stat.start != self.start or stat.own < self.own:
            # Own time never falls; zeros are what the kernel prints in the instant a process is being released.
            return None
        return stat

    def read_memory(self) -> None:
        """Resident minus shared: PSS walks every page table (10 ms per GiB of small pages, measured).

        Pages shared copy-on-write with a forked worker count for both; the caller bounds the sum by what is in use.
        """
        text = self._text(1)
        pages = text.split() if text else []
        self.memory_pages = max(0, int(pages[1]) - int(pages[2])) if len(pages) >= 3 else 0

    def close(self) -> None:
        for fd in self.fds or ():
            os.close(fd)
        self.fds = None


class Forest:
    """The trees under some roots.  State: living members (ancestors first), strangers seen, lost time per root.

    ``adopter``: a process outside the trees to which their orphans come (``wattledger run`` is its command's subreaper).
    """

    def __init__(self, procfs: str, roots: tuple[int, ...], adopter: int | None = None, *, held: int = HELD_MEMBERS) -> None:
        self.procfs = procfs
        self._adopter = adopter
        self._held = held
        self.members: dict[int, Member] = {}
        self._born: list[int] = []
        self._strangers: dict[int, int] = {}  # each with its parent
        self._lost = dict.fromkeys(roots, 0)
        self._here = dict.fromkeys(roots, 0)
        for root in roots:
            if not any(parent in roots for parent in self._ancestors(root)):
                # A root inside another root's tree belongs to that tree, or its time would count twice.
                self._admit(root, root, self._stat(root))
        self.roots = tuple(self.members)

    def add(self, root: int) -> int | None:
        """One more tree from now on.  Gives the root of the tree it is in: ``root`` itself, another's (it is inside that one,
        which goes on), or ``None`` (no such process).  Roots inside the new tree stop being roots.
        """
        if root in self.members:
            return self.members[root].root
        above = next((self.members[parent].root for parent in self._ancestors(root) if parent in self.members), None)
        if above is not None:
            return above
        before = dict(self.members)
        self._admit(root, root, self._stat(root))
        if root not in self.members:
            return None
        self.members = {root: self.members[root], **before}  # ancestors first
        self._lost[root] = self._here[root] = 0
        for inner in [r for r in self.roots if root in self._ancestors(r)]:
            for member in self.members.values():
                if member.root == inner:
                    member.root = root
            self._lost[root] += self._lost.pop(inner)
            self._here[root] += self._here.pop(inner)
        self.roots = (*(r for r in self.roots if r in self._lost), root)
        self._look_again_below(root)
        return root

    def lost(self, root: int) -> int:
        """Time of this tree's members that ended, and that no living one will be told to have reaped."""
        return self._lost.get(root, 0)

    def drop(self, root: int) -> None:
        """A tree is no longer watched; who is in it may come back in another."""
        for pid in [pid for pid, member in self.members.items() if member.root == root]:
            self.members.pop(pid).close()
        self.roots = tuple(r for r in self.roots if r != root)
        self._lost.pop(root, None)
        self._here.pop(root, None)

    def close(self) -> None:
        for member in self.members.values():
            member.close()

    def refresh(self) -> tuple[list[int], list[int]]:
        """Read every member once; hand back who is new and who is gone.

        Ancestors come first: a child read alive is thus in none of its ancestors' reaped times.
        """
        self._discover()
        vanished: dict[int, Member] = {}
        paid: dict[int, int] = {}
        for pid, member in self.members.items():
            stat = member.read()
            if stat is None:
                vanished[pid] = member
                continue
            paid[pid] = max(0, stat.reaped - member.reaped)
            member.ppid, member.own, member.reaped = stat.ppid, stat.own, max(stat.reaped, member.reaped)
            member.read_memory()
        for pid, growth in paid.items():
            member = self.members[pid]
            self._lost[member.root] += max(0, member.owed - growth)
            paid[pid] = max(0, growth - member.owed)
            member.owed = 0
        self._bury(vanished, paid)
        self._here = dict.fromkeys(self._lost, 0)
        for member in self.members.values():
            self._here[member.root] += member.own + member.reaped + member.owed
        born, self._born = self._born, []
        return born, list(vanished)

    def ticks(self, root: int) -> int:
        """CPU time of the root's tree so far.  Never falls; a vanished root leaves its last value."""
        return self._lost[root] + self._here[root]

    def memory_pages(self, root: int) -> int:
        return sum(member.memory_pages for member in self.members.values() if member.root == root)

    def _bury(self, vanished: dict[int, Member], paid: dict[int, int]) -> None:
        for member in vanished.values():
            due = member.own + member.reaped + member.owed
            heir = member.ppid
            while heir in vanished:
                heir = vanished[heir].ppid
            if heir in paid and self.members[heir].root == member.root:
                settled = min(due, paid[heir])
                paid[heir] -= settled
                self.members[heir].owed += due - settled
            else:
                self._lost[member.root] += due
        for pid, member in vanished.items():
            member.close()
            del self.members[pid]

    def _discover(self) -> None:
        """Look once at each pid not seen before; a descendant is known by its parent at first sight.

        A stranger's number that comes back as our child between two reads is missed while it lives; its time arrives
        with its parent's reaped time all the same.
        """
        listed = {int(name) for name in os.listdir(self.procfs) if name.isdigit()}
        self._strangers = {pid: ppid for pid, ppid in self._strangers.items() if pid in listed}
        unknown = sorted(listed - self._strangers.keys() - self.members.keys())
        fresh = {pid: stat for pid in unknown if (stat := self._stat(pid)) is not None}
        found = True
        while found:  # a parent may carry a higher number than its child, where numbers have wrapped
            found = False
            for pid, stat in list(fresh.items()):
                if stat.ppid in self.members:
                    self._admit(pid, self.members[stat.ppid].root, fresh.pop(pid))
                    found = True
                elif stat.ppid == self._adopter and self.roots:
                    # A daemon's double fork between two looks: its parents are gone, but it can only come from our trees.
                    self._admit(pid, self.roots[0], fresh.pop(pid))
                    found = True
        # One whose parent is not listed yet (born meanwhile) is looked at again next time.
        self._strangers |= {pid: stat.ppid for pid, stat in fresh.items() if stat.ppid in listed or stat.ppid == 0}

    def _look_again_below(self, root: int) -> None:
        """Strangers that descend from a new root are no strangers."""
        found = {root}
        while found:
            found = {pid for pid, ppid in self._strangers.items() if ppid in found}
            for pid in found:
                del self._strangers[pid]

    def _admit(self, pid: int, root: int, stat: Stat | None) -> None:
        if stat is None:
            return
        hold = sum(member.fds is not None for member in self.members.values()) < self._held
        member = Member(f"{self.procfs}/{pid}", pid, root, stat, hold=hold)
        if member.read() is None:
            member.close()  # ended, or its number changed hands, between the look and the hold
            return
        self.members[pid] = member
        self._born.append(pid)

    def _ancestors(self, pid: int) -> list[int]:
        chain: list[int] = []
        while (stat := self._stat(pid)) is not None and stat.ppid and stat.ppid not in chain:
            pid = stat.ppid
            chain.append(pid)
        return chain

    def _stat(self, pid: int) -> Stat | None:
        text = read_file(f"{self.procfs}/{pid}/stat")
        return parse_stat(text) if text else None
