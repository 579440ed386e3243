"""What part of a machine a process may use: its control groups (v1, v2, hybrid) and its CPU affinity."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from wattledger.core.ports import Host
from wattledger.sources._linux.files import is_number, mounts, parse_cpus, read_text

NO_LIMIT_BYTES = 1 << 60  # v1 writes "no limit" as the largest page-aligned integer


class Group(NamedTuple):
    """Where the files of one controller lie for a process, and the highest folder of that hierarchy we can see."""

    folder: str
    top: str
    v2: bool

    def upwards(self) -> Iterator[str]:
        """A limit binds from any ancestor."""
        folder = self.folder
        while len(folder) > len(self.top):
            yield folder
            folder = folder.rpartition("/")[0]
        yield self.top


class Allotment(NamedTuple):
    """``cpus`` of ``all_cpus`` (a set of whole ones, or a quota that ``usage`` counts) and a memory limit."""

    cpus: float
    all_cpus: int
    only: frozenset[int] | None
    usage: tuple[str, bool] | None
    memory_bytes: int
    memory_group: Group | None

    @property
    def is_part(self) -> bool:
        return self.cpus < self.all_cpus


def find_groups(host: Host, pid: int) -> dict[str, Group]:
    """Controller to group; the unified (v2) hierarchy goes by the empty name."""
    paths: dict[str, str] = {}
    for line in (read_text(f"{host.procfs}/{pid}/cgroup") or "").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        paths.update(dict.fromkeys(controllers.split(","), path))
    groups: dict[str, Group] = {}
    for point, mounted, options, v2 in mounts(host):
        for name in [""] if v2 else options.split(","):
            if name not in paths:
                continue
            path = paths[name]
            # In a container without its own cgroup namespace the path is the host's and only a branch is mounted.
            below = path.removeprefix(mounted.rstrip("/")) if path.startswith(mounted) else ""
            below = below.rstrip("/")
            known = ".." not in below and read_text(f"{point}{below}/cgroup.procs") is not None
            groups.setdefault(name, Group(point + below if known else point, point, v2))
    return groups


def allotment(host: Host, pid: int, cpu_ids: frozenset[int], total_bytes: int) -> Allotment:
    """What its control groups leave a process; the whole machine when nothing binds."""
    groups = find_groups(host, pid)
    unified = groups.get("")
    cpus, usage = _quota(groups)
    only = _cpuset(groups.get("cpuset", unified)) & cpu_ids or cpu_ids
    limit_bytes, binds = _memory_limit(groups.get("memory", unified))
    memory = min(limit_bytes, total_bytes)
    binds = binds if limit_bytes < total_bytes else None
    if cpus < len(only):
        return Allotment(cpus, len(cpu_ids), None, usage, memory, binds)
    return Allotment(len(only), len(cpu_ids), only if only < cpu_ids else None, None, memory, binds)


def affinity(host: Host, pid: int) -> frozenset[int]:
    """The CPUs a process may run on; empty when it cannot be read."""
    for line in (read_text(f"{host.procfs}/{pid}/status") or "").splitlines():
        if line.startswith("Cpus_allowed_list:"):
            return parse_cpus(line.partition(":")[2])
    return frozenset()


def _quota(groups: dict[str, Group]) -> tuple[float, tuple[str, bool] | None]:
    """The tightest CPU quota up the path, and the file that counts what its group used."""
    group = groups.get("cpu", groups.get(""))
    tightest, where = math.inf, ""
    for folder in group.upwards() if group else ():
        if group and group.v2:
            quota, _, period = (read_text(f"{folder}/cpu.max") or "max 1").strip().partition(" ")
        else:
            quota = (read_text(f"{folder}/cpu.cfs_quota_us") or "-1").strip()
            period = (read_text(f"{folder}/cpu.cfs_period_us") or "100000").strip()
        sound = is_number(quota) and is_number(period) and int(quota) and int(period)
        if sound and int(quota) / int(period) < tightest:
            tightest, where = int(quota) / int(period), folder
    if group is None or not where:
        return math.inf, None
    if group.v2:
        return tightest, (f"{where}/cpu.stat", True)
    counter = groups.get("cpuacct", group)
    return tightest, (f"{counter.top}{where[len(group.top) :]}/cpuacct.usage", False)


def _cpuset(group: Group | None) -> frozenset[int]:
    names = ("cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus")
    for name in names if group else ():
        if group and (text := read_text(f"{group.folder}/{name}")) and text.strip():
            return parse_cpus(text)
    return frozenset()


def _memory_limit(group: Group | None) -> tuple[int, Group | None]:
    """The tightest memory limit up the path, and the group it binds: that one's use is what fills it."""
    tightest, binds = NO_LIMIT_BYTES, None
    if group is None:
        return tightest, binds
    for folder in group.upwards():
        text = (read_text(f"{folder}/{'memory.max' if group.v2 else 'memory.limit_in_bytes'}") or "").strip()
        if is_number(text) and int(text) < tightest:
            tightest, binds = int(text), group._replace(folder=folder)
    return tightest, binds


def usage_ns(usage: tuple[str, bool]) -> int | None:
    """CPU time a group has used so far; ``None`` when its file is gone."""
    path, v2 = usage
    text = read_text(path)
    if text is None:
        return None
    if not v2:
        return int(text)
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == "usage_usec":
            return int(value) * 1000
    return None


def memory_used(group: Group) -> int | None:
    """Bytes in use by a group without its inactive file cache, which the kernel would give back at once."""
    text = read_text(f"{group.folder}/{'memory.current' if group.v2 else 'memory.usage_in_bytes'}")
    if text is None or not is_number(text.strip()):
        return None
    key_wanted = "inactive_file" if group.v2 else "total_inactive_file"
    for line in (read_text(f"{group.folder}/memory.stat") or "").splitlines():
        key, _, value = line.partition(" ")
        if key == key_wanted:
            return max(0, int(text) - int(value))
    return int(text)
