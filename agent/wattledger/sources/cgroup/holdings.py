"""Which part of the CPUs each unit has to itself: by its set of CPUs, or by its quota."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from wattledger.sources._linux.files import is_number, parse_cpus, read_text
from wattledger.sources.cgroup.groups import Group
from wattledger.sources.cgroup.hierarchy import Hierarchy, View

LOOK_AGAIN_READS = 30


class Limits(NamedTuple):
    """``only``: the CPUs a group may run on, empty where all; ``quota``: in CPUs, 0 where there is none."""

    only: frozenset[int]
    quota: float


FREE = Limits(frozenset(), 0.0)


class Reservations:
    """State: each group's limits as last looked at; a thirtieth of them is looked at in each read."""

    def __init__(self, view: View, cpu_ids: frozenset[int]) -> None:
        self._view, self._cpu_ids = view, cpu_ids
        self._limits: dict[Group, Limits] = {}
        self._reads = 0

    def refresh(self, groups: Mapping[int, Group]) -> dict[str, float] | None:
        """Parts by who, of those that hold any; ``None``: nothing has changed."""
        self._reads += 1
        changed = False
        for gone in [group for group in self._limits if group.gone]:
            changed |= self._limits.pop(gone) != FREE
        for number, group in enumerate(groups.values()):
            if group.gone or group.parent is None:
                continue
            known = self._limits.get(group)
            if known is None or (number + self._reads) % LOOK_AGAIN_READS == 0:
                self._limits[group] = now = self._look(group)
                changed |= now != (known or FREE)
        return parts(self._limits, len(self._cpu_ids)) if changed else None

    def _look(self, group: Group) -> Limits:
        only = self._cpus(group) & self._cpu_ids
        if only == self._cpu_ids or (group.parent is not None and group.parent.parent and only == self._cpus(group.parent)):
            only = frozenset()  # all of them, or as its parent: whoever limited that one holds them
        quota = self._quota(group)
        return Limits(only, quota if quota < len(self._cpu_ids) else 0.0)

    def _folder(self, group: Group, hierarchy: Hierarchy) -> str:
        return hierarchy.top + group.folder[len(self._view.cpu.top) :]

    def _cpus(self, group: Group) -> frozenset[int]:
        kept = self._view.cpuset
        for name in ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus") if kept else ():
            if kept and (text := read_text(f"{self._folder(group, kept)}/{name}")) and text.strip():
                return parse_cpus(text)
        return frozenset()

    def _quota(self, group: Group) -> float:
        kept = self._view.quota
        if kept is None:
            return 0.0
        folder = self._folder(group, kept)
        if kept.v2:
            quota, _, period = (read_text(f"{folder}/cpu.max") or "max 1").strip().partition(" ")
        else:
            quota = (read_text(f"{folder}/cpu.cfs_quota_us") or "-1").strip()
            period = (read_text(f"{folder}/cpu.cfs_period_us") or "100000").strip()
        return int(quota) / int(period) if is_number(quota) and is_number(period) and int(period) else 0.0


def parts(limits: Mapping[Group, Limits], cpus: int) -> dict[str, float]:
    """Of all CPUs.  One that several sets share is held by each in part; what those beneath hold is not held again above."""
    limited = {id(group.parent) for group in _with_parents(limits)}
    sharers: dict[int, int] = {}
    for group, limit in limits.items():
        if id(group) not in limited:
            for cpu in limit.only:
                sharers[cpu] = sharers.get(cpu, 0) + 1
    held: dict[str, float] = {}
    below: dict[int, float] = {}
    for group in sorted(limits, key=lambda group: -group.path.count("/")):
        limit = limits[group]
        by_set = sum(1 / max(1, sharers.get(cpu, 1)) for cpu in limit.only)
        whole = min([amount for amount in (by_set, limit.quota) if amount] or [0.0])
        beneath = below.get(id(group), 0.0)
        own = max(0.0, whole - beneath) if group.named else 0.0
        if own > 1e-9:
            held[group.who] = min(1.0, own / cpus)
        if group.parent is not None:
            below[id(group.parent)] = below.get(id(group.parent), 0.0) + beneath + own
    return held


def _with_parents(limits: Mapping[Group, Limits]) -> Iterable[Group]:
    """Limited groups and all above them: their parents have somebody limited beneath."""
    for group, limit in limits.items():
        if limit.only:
            at: Group | None = group
            while at is not None:
                yield at
                at = at.parent
