"""What a unit's processes say of it: a container's, a Slurm job's or a service's environment, looked at at its birth.

A container begins as its runtime's own process, so one that says nothing is asked again a few seconds later.
"""

import os
from typing import NamedTuple

from wattledger.sources.cgroup.environ import NOTHING, Denied, Said, said_by
from wattledger.sources.cgroup.groups import Group
from wattledger.sources.cgroup.hierarchy import uid_of
from wattledger.sources.cgroup.processes import FIRST, list_processes

ASK_AGAIN_NS = (3_000_000_000, 15_000_000_000)  # after birth
MOST_FOLDERS = 24
MOST_PROCESSES = 8


class Answer(NamedTuple):
    """``uid`` of the process that spoke (else of the last one asked); ``None``: nobody to ask."""

    group: Group
    said: Said
    uid: int | None


class Looks:
    """State: units that have not said anything yet, with how often and since when they have been asked."""

    def __init__(self, procfs: str) -> None:
        self._procfs = procfs
        self._waiting: dict[Group, tuple[int, int]] = {}
        self._known: set[Group] = set()
        self.denied = False

    def expect(self, group: Group, mono_ns: int) -> None:
        """Ask this unit from now on; once is enough."""
        if group not in self._known:
            self._known.add(group)
            self._waiting[group] = 0, mono_ns

    def forget(self, group: Group) -> None:
        self._known.discard(group)
        self._waiting.pop(group, None)

    def ask(self, mono_ns: int) -> list[Answer]:
        """What those say whose turn it is."""
        answers = []
        for group, (asked, since_ns) in list(self._waiting.items()):
            if asked and mono_ns - since_ns < ASK_AGAIN_NS[asked - 1]:
                continue
            answer = self._ask(group)
            if answer.uid is not None:
                answers.append(answer)
            if answer.said != NOTHING or asked >= len(ASK_AGAIN_NS):
                del self._waiting[group]
            else:
                self._waiting[group] = asked + 1, since_ns
        return answers

    def _ask(self, group: Group) -> Answer:
        uid = None
        for pid in _some_processes(group.folder):
            asked = uid_of(self._procfs, pid)
            uid = uid if asked is None else asked
            try:
                said = said_by(self._procfs, pid)
            except Denied:
                self.denied = self.denied or pid != FIRST
                continue
            # A Slurm job's own daemon is in its group, too: it says nothing of the job.
            if said != NOTHING and asked is not None:
                return Answer(group, said, asked)
        return Answer(group, NOTHING, uid)


def _some_processes(folder: str) -> list[int]:
    """A few of a unit's, from as many of its folders as there are."""
    found: list[int] = []
    folders = [folder]
    for looked in range(MOST_FOLDERS):
        if looked >= len(folders) or len(found) >= MOST_PROCESSES:
            break
        found += sorted(list_processes(folders[looked]))[:2]
        try:
            with os.scandir(folders[looked]) as entries:
                folders += sorted((e.path for e in entries if e.is_dir(follow_symlinks=False)), reverse=True)
        except OSError:
            continue
    return found[:MOST_PROCESSES]
