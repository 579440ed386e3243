"""Memory in use by each unit: what its group holds without the file cache that the kernel would give back at once."""

import os
from collections.abc import Iterable, Mapping

from wattledger.sources.cgroup.groups import Budget, Group
from wattledger.sources.cgroup.hierarchy import Hierarchy

FILE_CACHE_READS = 16  # memory.stat costs ten times memory.current, and cache that is not in use changes slowly


class Charged:
    """State: the reads so far; each group carries its own last values."""

    def __init__(self, cpu: Hierarchy, memory: Hierarchy | None, budget: Budget) -> None:
        self._cpu, self._memory, self._budget = cpu, memory, budget
        self._file = "memory.current" if memory is None or memory.v2 else "memory.usage_in_bytes"
        self._reads = 0

    def read(self, groups: Iterable[Group], inside: Mapping[int, int]) -> dict[Group, int]:
        """Bytes of each named group itself: without those of groups beneath, and of processes ``inside`` (by the group's id)."""
        if self._memory is None:
            return {}
        self._reads += 1
        below: dict[int, int] = {}
        own: dict[Group, int] = {}
        for number, group in enumerate(reversed(list(groups))):
            if group.gone or group.parent is None:
                continue
            total = beneath = below.get(id(group), 0) + inside.get(id(group), 0)
            if group.named:
                look = not group.charged or (number + self._reads) % FILE_CACHE_READS == 0
                total = max(beneath, self._charged(group, self._memory, look=look))
                own[group] = total - beneath
            below[id(group.parent)] = below.get(id(group.parent), 0) + total
        return own

    def _charged(self, group: Group, memory: Hierarchy, *, look: bool) -> int:
        if group.charged and group.memory_fd is None and not group.bytes and not look:
            return 0  # there was nothing to open: its controller is off in this group
        group.charged = True
        folder = memory.top + group.folder[len(self._cpu.top) :]
        if group.memory_fd is None:
            group.memory_fd = self._budget.hold(f"{folder}/{self._file}")
        text = _read(group.memory_fd, f"{folder}/{self._file}")
        if not text.strip().isdigit():
            return group.bytes
        if look:
            group.file_bytes = _file_cache(f"{folder}/memory.stat", memory)
        group.bytes = max(0, int(text) - group.file_bytes)
        return group.bytes


def _read(fd: int | None, path: str, limit: int = 256) -> bytes:
    """Empty where it cannot be read."""
    try:
        if fd is not None:
            return os.pread(fd, limit, 0)
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(opened, limit, 0)
    except OSError:
        return b""
    finally:
        os.close(opened)


def _file_cache(path: str, memory: Hierarchy) -> int:
    key = b"\ninactive_file " if memory.v2 else b"\ntotal_inactive_file "
    _, found, rest = (b"\n" + _read(None, path, 16_384)).partition(key)
    number = rest.partition(b"\n")[0].strip()
    return int(number) if found and number.isdigit() else 0


def fit(own: Mapping[str, int], used: int) -> dict[str, int]:
    """Never more in sum than is in use: pages may be charged to nobody's use, or twice."""
    total = sum(own.values())
    if total <= used:
        return dict(own)
    return {who: part * used // total for who, part in own.items()}
