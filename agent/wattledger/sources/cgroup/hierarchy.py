"""Where the control groups lie that count CPU time and memory, and in which of them a process is."""

import os
import posixpath
from typing import NamedTuple

from wattledger.core.ports import Host, SourceGone
from wattledger.sources._linux.files import Mount, is_number, mounts, read_text
from wattledger.sources.cgroup.paths import identify

CONTROLLERS = ("cpuacct", "memory", "cpuset", "cpu", "perf_event")


class Hierarchy(NamedTuple):
    """``top`` is the folder of the highest group that we can see and ``at`` its path as the kernel writes it for us.

    Inside a cgroup namespace ``at`` climbs out of it (``/../..``) and paths in ``/proc/PID/cgroup`` are seen from ``home``, our
    namespace's own root below ``top``.  ``name`` is the v1 controller; empty: v2.
    """

    top: str
    at: str = ""
    name: str = ""
    home: str = ""

    @property
    def v2(self) -> bool:
        return not self.name

    @property
    def climbs(self) -> bool:
        return self.at.startswith("/..")

    @property
    def root(self) -> str:
        """The path of ``top`` as units are named by: from the host's root where that can be seen."""
        return "" if self.climbs else self.at

    def folder(self, path: str) -> str:
        return self.top + path.removeprefix(self.root)

    def path_of(self, listed: str) -> str | None:
        """A path as ``/proc/PID/cgroup`` lists it, seen from the top; ``None``: outside of what we can see."""
        if self.climbs and self.home:
            return posixpath.normpath(self.home + "/" + listed).rstrip("/").replace("//", "/")
        if self.climbs:
            # We do not know where we are ourselves, but a path that climbs as high as the top is at, goes down from there.
            below = listed.removeprefix(self.at)
            return below.rstrip("/") if listed.startswith(self.at) and not below.startswith("/..") else None
        if "/.." in listed or not (listed.rstrip("/") + "/").startswith(self.at + "/"):
            return None
        return listed.rstrip("/")


class View(NamedTuple):
    """What counts CPU time, and where memory, CPU sets, quotas and perf are kept; ``None`` where there is no such thing."""

    cpu: Hierarchy
    memory: Hierarchy | None
    cpuset: Hierarchy | None
    quota: Hierarchy | None
    perf: Hierarchy | None


class Vouched(NamedTuple):
    """What the kernel says of a process: nobody without its rights can forge it."""

    uid: int
    pod_uid: str
    slurm_job: str
    unit: str


def look(host: Host, *, own_pid: int | None = None) -> View:
    """The hierarchies in use here; SourceGone where no control groups are mounted."""
    wanted = str(host.options.get("hierarchy", "auto"))
    found = _hierarchies(host, own_pid)
    v2, v1 = found.get(""), found.get("cpuacct")
    controllers = (read_text(f"{v2.top}/cgroup.controllers") or "").split() if v2 else []
    if wanted == "auto":
        wanted = "v2" if v2 and ("cpu" in controllers or v1 is None) else "v1"
    cpu = v2 if wanted == "v2" else v1
    if cpu is None:
        what = "unified (v2) hierarchy" if wanted == "v2" else "cpuacct (v1) hierarchy"
        where = f"{host.sysfs}/fs/cgroup"
        raise SourceGone(f"cgroup: no {what} is mounted under {where}; mount the host's, or set [paths] sysfs")

    def keeper(controller: str) -> Hierarchy | None:
        return v2 if v2 and controller in controllers else found.get(controller)

    perf = v2 if cpu.v2 else found.get("perf_event")
    return View(cpu, keeper("memory"), keeper("cpuset"), keeper("cpu"), perf)


def _hierarchies(host: Host, own_pid: int | None) -> dict[str, Hierarchy]:
    """By controller; the unified one goes by the empty name."""
    listed = mounts(host)
    point = f"{host.sysfs}/fs/cgroup"
    if not listed and read_text(f"{point}/cgroup.controllers") is not None:
        listed = [Mount(point, "/", "rw", True)]
    found: dict[str, Hierarchy] = {}
    for mount in sorted(listed, key=_sight, reverse=True):
        if read_text(f"{mount.point}/cgroup.procs") is None:
            continue
        for name in [""] if mount.v2 else [c for c in mount.options.split(",") if c in CONTROLLERS]:
            found.setdefault(name, Hierarchy(mount.point, mount.at.rstrip("/"), name))
    own = own_pid or os.getpid()
    return {name: h._replace(home=_home(h, own)) if h.climbs else h for name, h in found.items()}


def _sight(mount: Mount) -> tuple[int, int]:
    """How far up a mount lets us see: one that climbs out of our namespace, the further the better, before a branch."""
    return mount.at.count("/..") if mount.at.startswith("/..") else 0, -len(mount.at)


def _home(hierarchy: Hierarchy, pid: int) -> str:
    """Our namespace's root, as deep below the top as ``at`` climbs: an ancestor of the group that lists ourselves."""
    depth = hierarchy.at.count("..")
    for folder, _, files in os.walk(hierarchy.top):
        listed = read_text(f"{folder}/cgroup.procs") if "cgroup.procs" in files else None
        if listed and str(pid) in listed.split():
            names = folder[len(hierarchy.top) :].split("/")[1:]
            return "".join(f"/{name}" for name in names[:depth]) if len(names) >= depth else ""
    return ""


def group_of(procfs: str, pid: int, hierarchy: Hierarchy) -> str | None:
    """The path of a process's group from the top; ``None``: no such process, or out of sight."""
    for line in (read_text(f"{procfs}/{pid}/cgroup") or "").splitlines():
        _, controllers, listed = [*line.split(":", 2), "", ""][:3]
        if hierarchy.name in controllers.split(","):
            return hierarchy.path_of(listed.removesuffix(" (deleted)"))
    return None


def unit_of(procfs: str, pid: int, hierarchy: Hierarchy) -> str | None:
    """The unit that a process is in, as the source names it: ``cgroup:PATH``, or ``pid:N`` for one that is in no unit.

    ``None``: no such process, or in a group out of sight.
    """
    path = group_of(procfs, pid, hierarchy)
    if path is None:
        return None
    identity = identify(path)
    return identity.who if identity.is_named else f"pid:{pid}"


def vouched(procfs: str, pid: int, hierarchy: Hierarchy) -> Vouched | None:
    """Who a process certainly is; ``None``: no such process, or in a group out of sight.

    Pod and Slurm job are those that the kubelet and slurmd made, not what somebody made inside a container or beneath his own
    service manager.
    """
    uid = uid_of(procfs, pid)
    path = group_of(procfs, pid, hierarchy)
    if uid is None or path is None:
        return None
    identity, above = identify(path), identify(path, outermost=True)
    return Vouched(uid, above.pod, above.slurm, identity.who if identity.is_named else f"pid:{pid}")


def uid_of(procfs: str, pid: int) -> int | None:
    """The real user of a process."""
    for line in (read_text(f"{procfs}/{pid}/status") or "").splitlines():
        if line.startswith("Uid:"):
            first = (line.split()[1:] or [""])[0]
            return int(first) if is_number(first) else None
    return None
