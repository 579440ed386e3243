"""Processes that speak to the agent, and the agent itself: each with its whole tree (the agent: alone), taken out of its groups."""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from wattledger.core.model import Instant
from wattledger.sources._linux.machine import TICK_NS
from wattledger.sources._linux.tree import Forest, parse_stat, read_file
from wattledger.sources.cgroup.groups import Group
from wattledger.sources.cgroup.processes import PAGE_BYTES

LOOK_AGAIN_READS = 30  # a process is hardly ever moved to another group
HELD_MEMBERS = 256

GroupOf = Callable[[int], Group]


class Spoken(NamedTuple):
    """A process that speaks to the agent, in clock ticks (-1: unknown): its own CPU time when it first did, and its own and its
    reaped children's when it was about to end."""

    first_ticks: int
    last_ticks: int = -1


class Part(NamedTuple):
    """What ``who`` used in this read, and in which group."""

    who: str
    group: Group
    used_ns: int


class Clients:
    """``options``: gives the processes now, each with what it has ``Spoken``.

    State: the trees, each client's group and last time, each member's group and last own time."""

    def __init__(self, procfs: str, options: object) -> None:
        self._ask = options if callable(options) else None
        self._forest = Forest(procfs, (), held=HELD_MEMBERS)
        self._procfs = procfs
        self._groups: dict[int, Group] = {}
        self._own: dict[int, tuple[int, int]] = {}
        self._ticks: dict[int, int] = {}
        self._reads = 0
        self._before: dict[int, int] = {}  # who is new but was there before, and his own time when he first spoke
        self._final: dict[int, int] = {}
        self._flashed: dict[int, int] = {}  # began, spoke and ended between two reads: the ticks that are still to be told
        self.inside: dict[int, int] = {}  # a client in another client's tree is told with it
        self.born: dict[int, bool] = {}  # whether since the last read, or first spoke since then: from there on it is told
        self.ended: list[int] = []

    def close(self) -> None:
        self._forest.close()

    @property
    def members(self) -> Collection[int]:
        return self._forest.members

    @property
    def roots(self) -> Collection[int]:
        return self._forest.roots

    def group(self, root: int, group_of: GroupOf) -> Group:
        """Of one process, as it was when last looked."""
        found = self._groups.get(root)
        if found is None or found.gone:
            found = self._groups[root] = group_of(root)
        return found

    def refresh(self, since: Instant | None, group_of: GroupOf) -> list[Part]:
        """What each client used since the last read, by group.  Afterwards ``born``, ``ended`` and ``inside``."""
        spoke: Mapping[int, Spoken] = self._ask() if self._ask is not None else {}
        wanted = set(spoke)
        self.born, self.ended, self._before = {}, [], {}
        self._let_go({*self._forest.roots, *self.inside, *self._flashed} - wanted)
        for root in sorted(wanted - {*self._forest.roots, *self.inside, *self._flashed}):
            self._welcome(root, since, spoke[root].first_ticks)
            self._flash(root, spoke[root])
        if self._reads % LOOK_AGAIN_READS == 0:
            self._groups.clear()
            self._own = {pid: known for pid, known in self._own.items() if pid in self._forest.members}
        self._reads += 1
        flashes = [Part(f"pid:{root}", self.group(root, group_of), n * TICK_NS) for root, n in self._flashed.items() if n]
        self._flashed = dict.fromkeys(self._flashed, 0)
        if not self._forest.roots:
            return flashes
        lost = {root: self._forest.lost(root) for root, words in spoke.items() if words.last_ticks >= 0}
        self._forest.refresh()
        for root, lost_ticks in lost.items():
            self._end_of(root, lost_ticks + spoke[root].last_ticks)
        for root, known in self._before.items():
            self._baseline(root, known)
        return [*flashes, *(part for root in self._forest.roots for part in self._parts(root, group_of))]

    def memory(self, root: int) -> int:
        return self._forest.memory_pages(root) * PAGE_BYTES

    def _end_of(self, root: int, ticks: int) -> None:
        """One that has ended had used more by then than when it was read last; what of its tree lives on comes on top."""
        if root in self._forest.roots and root not in self._forest.members and root not in self._final:
            left = sum(m.own + m.reaped for m in self._forest.members.values() if m.root == root)
            self._final[root] = ticks + left

    def _flash(self, root: int, words: Spoken) -> None:
        """One that is gone already, by its own words at its beginning and its end."""
        if root not in self._forest.roots and root not in self.inside and words.last_ticks > max(0, words.first_ticks):
            self._flashed[root] = words.last_ticks - max(0, words.first_ticks)
            self.born[root] = True

    def _let_go(self, roots: set[int]) -> None:
        for root in roots:
            self.inside = {inner: outer for inner, outer in self.inside.items() if root not in (inner, outer)}
            if root in self._forest.roots:
                self._forest.drop(root)
            self._ticks.pop(root, None)
            self._final.pop(root, None)
            self._flashed.pop(root, None)
            self.ended.append(root)

    def _welcome(self, root: int, since: Instant | None, spoke_ticks: int) -> None:
        roots = set(self._forest.roots)
        outer = self._forest.add(root)
        for inner in roots - set(self._forest.roots):
            self.inside[inner] = root  # a tree around others' trees: theirs goes on as its own
            self._ticks.pop(inner, None)
            self.born.pop(inner, None)
            self._before.pop(inner, None)
        if outer is None:
            return  # no such process, or not yet
        if outer != root:
            self.inside[root] = outer
            return
        start = self._forest.members[root].start
        born = since is not None and start * TICK_NS > since.mono_ns
        if not born:
            self._before[root] = spoke_ticks
        self.born[root] = born or (since is not None and spoke_ticks >= 0)
        self._ticks[root] = 0

    def _baseline(self, root: int, spoke_ticks: int) -> None:
        """What it had used before it first spoke stays whose it was; of its children: before this read."""
        self._ticks[root] = self._forest.ticks(root)
        for pid, member in self._forest.members.items():
            if member.root == root:
                self._own[pid] = member.start, member.own
        first = self._forest.members.get(root)
        if first is not None and 0 <= spoke_ticks <= first.own and self.born.get(root):
            self._ticks[root] -= first.own - spoke_ticks
            self._own[root] = first.start, spoke_ticks

    def _parts(self, root: int, group_of: GroupOf) -> list[Part]:
        """By each member's own growth; what came from those that ended counts where the root is."""
        ticks = max(self._forest.ticks(root), self._final.get(root, 0))
        left, self._ticks[root] = ticks - self._ticks[root], ticks
        grown: dict[int, tuple[Group, int]] = {}
        for pid, member in self._forest.members.items():
            if member.root == root:
                start, before = self._own.get(pid, (0, 0))
                used = member.own - (before if start == member.start else 0)
                self._own[pid] = member.start, member.own
                used = max(0, min(used, left))
                left -= used
                group = self.group(pid, group_of)
                grown[id(group)] = group, grown.get(id(group), (group, 0))[1] + used
        home = self.group(root, group_of)
        grown[id(home)] = home, grown.get(id(home), (home, 0))[1] + left
        return [Part(f"pid:{root}", group, used * TICK_NS) for group, used in grown.values()]


class Own:
    """The agent's own time.  Not its children's: it may be the one who reaps what it meters."""

    def __init__(self, procfs: str, pid: object) -> None:
        self.pid = pid if isinstance(pid, int) else None
        self._path = f"{procfs}/{self.pid}/stat"
        self._ticks: int | None = None

    def grown_ns(self) -> int:
        """Since the last look."""
        text = read_file(self._path) if self.pid is not None else None
        stat = parse_stat(text) if text else None
        if stat is None:
            return 0
        before, self._ticks = self._ticks, max(stat.own, self._ticks or 0)
        return (self._ticks - before) * TICK_NS if before is not None else 0
