"""The tree of control groups, held open: each group's CPU time on a descriptor, and new and vanished groups found cheaply.

A folder's link count tells how many folders it has, so one ``stat`` says whether to list it again.  A descriptor outlives its
group's name: it answers ENODEV when the group has been removed, even if another was made in its place.
"""

import errno
import os

from wattledger.core.ports import SourceFailed
from wattledger.sources.cgroup.hierarchy import Hierarchy
from wattledger.sources.cgroup.paths import CLOSED, Identity, identify

RESCAN_NS = 5_000_000_000  # inside containers and jobs: only what is a container or a job of its own matters there
UNREADABLE = -1


class Group:
    """One control group that counts: a unit, or a folder above units.

    ``count_ns``: its counter; ``grown_ns``: by how much in this read; ``debt_ns`` (not positive): by how much those beneath it
    were told more than it counted, so far; ``usual_ns``: what it used itself in the last read.
    """

    __slots__ = (
        "below_ns", "born", "bytes", "charged", "count_ns", "debt_ns", "dying", "fd", "file_bytes", "folder", "gone", "grown_ns",
        "identity", "last_ns", "memory_fd", "moved", "named", "own_ns", "parent", "path", "seen", "taken_ns", "time_ns",
        "usual_ns", "who",
    )  # fmt: skip

    def __init__(self, identity: Identity, folder: str, parent: "Group | None", *, born: bool) -> None:
        self.identity, self.folder, self.parent, self.born = identity, folder, parent, born
        self.path, self.who, self.named = identity.path, identity.who, identity.is_named
        self.fd: int | None = None
        self.memory_fd: int | None = None
        self.count_ns = self.grown_ns = self.time_ns = self.debt_ns = self.usual_ns = self.last_ns = 0
        self.own_ns = self.below_ns = self.taken_ns = 0
        self.bytes = self.file_bytes = 0
        self.dying: list[Group] = []
        self.charged = self.gone = self.moved = self.seen = False

    def close(self) -> None:
        for fd in (self.fd, self.memory_fd):
            if fd is not None:
                os.close(fd)
        self.fd = self.memory_fd = None

    def __repr__(self) -> str:
        return f"Group({self.who!r}, count_ns={self.count_ns}, gone={self.gone})"


class Folder:
    """A folder of the hierarchy; ``group`` is the group that its use counts for, its own or one above."""

    __slots__ = ("above", "group", "ino", "links", "name", "path", "place", "subs")

    def __init__(self, place: str, path: str, above: "Folder | None") -> None:
        self.place, self.path, self.above = place, path, above
        self.name = place.rpartition("/")[2]
        self.links, self.ino = -1, 0
        self.subs: dict[str, Folder] = {}
        self.group: Group


class Budget:
    """How many descriptors may be held; what is beyond is opened for each read."""

    def __init__(self, limit: int) -> None:
        self.left = limit

    def hold(self, path: str) -> int | None:
        if self.left <= 0:
            return None
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        self.left -= 1
        return fd


class Tree:
    """State: every folder seen, the groups (each after those above it), and what vanished since the last ``sweep``."""

    def __init__(self, hierarchy: Hierarchy, budget: Budget) -> None:
        self.hierarchy, self.budget = hierarchy, budget
        self._file = "cpu.stat" if hierarchy.v2 else "cpuacct.usage"
        self.root = Group(Identity(hierarchy.root), hierarchy.top, None, born=False)
        self._top = Folder(hierarchy.top, hierarchy.root, None)
        self._top.group = self.root
        self.groups: dict[int, Group] = {id(self.root): self.root}
        self.by_path: dict[str, Group] = {self.root.path: self.root}
        self.fresh: list[Group] = []
        self._often: dict[Folder, None] = {self._top: None}
        self._seldom: dict[Folder, None] = {}
        self._places: dict[Group, Folder] = {}
        self._renamed: dict[int, Group] = {}  # by inode
        self._scanned_ns: int | None = None
        self.unreadable = 0

    def close(self) -> None:
        for group in self.groups.values():
            group.close()

    def group_at(self, path: str | None) -> Group:
        """The group that a path's use counts for."""
        while path:
            found = self.by_path.get(path)
            if found is not None and not found.gone:
                return found
            path = path.rpartition("/")[0]
        return self.root

    def read(self, mono_ns: int) -> None:
        """Find new groups, read every counter.  Afterwards ``fresh`` are new, ``gone`` is set on those that vanished."""
        first = self._scanned_ns is None
        rescan = self._scanned_ns is None or mono_ns - self._scanned_ns >= RESCAN_NS
        for folder in list(self._often):
            self._check(folder, born=not first)
        if rescan:
            for folder in list(self._seldom):
                self._check(folder, born=False)
            self._scanned_ns = mono_ns
        self.unreadable = 0
        self._count(list(self.groups.values()))

    def sweep(self) -> None:
        """Everybody has been told: the vanished are forgotten, the new are old."""
        for group in [g for g in self.groups.values() if g.gone]:
            del self.groups[id(group)]
            if self.by_path.get(group.path) is group:
                del self.by_path[group.path]
        for group in self.groups.values():
            group.dying = []
        for group in self.fresh:
            group.born = False
        self.fresh = []
        self._renamed = {}

    def _check(self, folder: Folder, *, born: bool) -> None:
        """One folder: gone, another under its name, with other folders in it than before, or as it was."""
        if folder not in self._often and folder not in self._seldom:
            return  # went with one above it
        try:
            stat = os.stat(folder.place)
        except OSError:
            stat = None
        if stat is None or folder.ino not in (0, stat.st_ino):
            if folder.above is None:
                raise SourceFailed(f"cgroup: {folder.place} cannot be read; is the hierarchy still mounted?")
            self._lose(folder)
            self._check(folder.above, born=born)
            return
        folder.ino = stat.st_ino
        if folder.links != stat.st_nlink or stat.st_nlink < 2:  # some file systems count no links: list them each time
            folder.links = stat.st_nlink
            self._list(folder, born=born)

    def _list(self, folder: Folder, *, born: bool) -> None:
        try:
            with os.scandir(folder.place) as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except OSError:
            folder.links = -1  # being removed: the next look tells
            return
        for name in folder.subs.keys() - names:
            self._lose(folder.subs[name])
        for name in sorted(names):
            if name not in folder.subs:
                self._enter(folder, name, born=born)

    def _enter(self, above: Folder, name: str, *, born: bool) -> None:
        shown = name if name.isascii() else os.fsencode(name).decode("utf-8", "replace")  # as /proc/PID/cgroup is read
        folder = Folder(f"{above.place}/{name}", f"{above.path}/{shown}", above)
        try:
            folder.ino = os.stat(folder.place).st_ino
        except OSError:
            above.links = -1  # gone already
            return
        identity = identify(folder.path)
        folder.group = above.group
        above.subs[name] = folder
        if identity.path == folder.path:
            folder.group = self._begin(Group(identity, folder.place, above.group, born=born), folder.ino)
            self._places[folder.group] = folder
        closed = folder.group.identity.kind in CLOSED
        (self._seldom if closed else self._often)[folder] = None
        self._check(folder, born=born)

    def _begin(self, group: Group, ino: int) -> Group:
        group.fd = self.budget.hold(f"{group.folder}/{self._file}")
        before = self._renamed.get(ino)
        if before is not None:
            before.moved = group.born = True
            group.count_ns = before.count_ns
        elif not group.born:
            group.count_ns = UNREADABLE
        self.groups[id(group)] = group
        self.by_path[group.path] = group
        self.fresh.append(group)
        return group

    def _lose(self, folder: Folder) -> None:
        """It and all beneath are gone."""
        for sub in list(folder.subs.values()):
            self._lose(sub)
        self._often.pop(folder, None)
        self._seldom.pop(folder, None)
        if folder.above is not None:
            folder.above.subs.pop(folder.name, None)
            folder.above.links = -1
        group = folder.group
        if group.folder == folder.place and not group.gone:
            group.gone = True
            self._places.pop(group, None)
            if group.fd is not None and self._counter(group) is not None:
                self._renamed[folder.ino] = group  # it still counts: only its name is gone
            self.budget.left += sum(fd is not None for fd in (group.fd, group.memory_fd))
            group.close()

    def _count(self, groups: list[Group], *, again: bool = False) -> None:
        """Children before parents, so that a parent's counter has what its children's had."""
        removed = []
        for group in reversed(groups):
            group.grown_ns = group.below_ns = group.taken_ns = group.own_ns = 0
            if group.gone or group is self.root:
                continue
            count = self._counter(group)
            if count is None:
                removed.append(group)
                continue
            if UNREADABLE not in (count, group.count_ns):
                # A counter that fell was reset: what it had counted in between is gone, and we do not invent it.
                group.grown_ns = max(0, count - group.count_ns)
            group.count_ns = count
            group.time_ns = group.grown_ns
            self.unreadable += count == UNREADABLE
        for group in removed if not again else ():
            self._removed(group)

    def _removed(self, group: Group) -> None:
        """A group went between the look and the read; whoever took its name is new."""
        folder = self._places.get(group)
        if folder is None or folder.above is None:
            return
        known = len(self.fresh)
        self._lose(folder)
        self._check(folder.above, born=True)
        self._count([g for g in self.fresh[known:] if not g.gone], again=True)

    def _counter(self, group: Group) -> int | None:
        """CPU time so far; ``None``: the group is gone."""
        try:
            if group.fd is not None:
                text = os.pread(group.fd, 256, 0)
            else:
                fd = os.open(f"{group.folder}/{self._file}", os.O_RDONLY | os.O_CLOEXEC)
                try:
                    text = os.pread(fd, 256, 0)
                finally:
                    os.close(fd)
        except OSError as error:
            if error.errno == errno.ENODEV or (error.errno == errno.ENOENT and not os.path.isdir(group.folder)):
                return None
            return UNREADABLE
        if text.startswith(b"usage_usec "):
            return int(text[11 : text.index(b"\n")]) * 1000
        return int(text) if text.strip().isdigit() else None
