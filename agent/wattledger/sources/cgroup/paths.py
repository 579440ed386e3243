"""A control group's path says who it is: a container, a pod, a Slurm job, a virtual machine, a systemd unit.  Pure.

The deepest match wins, and everything beneath a container, a Slurm job or a virtual machine belongs to it.  Paths of both drivers
(systemd, cgroupfs) and both versions; as they are on real nodes: reference of Kubernetes, Slurm 22.05 and 24.11, libvirt, podman.
"""

import re
from typing import Literal, NamedTuple

Kind = Literal["root", "inner", "slice", "group", "scope", "service", "pod", "container", "slurm", "vm"]
CLOSED: tuple[Kind, ...] = ("container", "slurm", "vm")  # who is beneath belongs to it, unless it says a stronger name

_CONTAINER = re.compile(r"(?:^|[-:.])([0-9a-f]{64})(?:\.scope)?$")  # docker-, crio-, libpod-, :cri-containerd:, bare
_UUID = r"[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}"
_POD = re.compile(rf"(?:^|-)pod({_UUID}|[0-9a-f]{{32}})(?=\.slice|:|$)")  # a static pod's is a hash without dashes
_SLURMD = re.compile(r"^slurm(?:_.+)?$|^(?:.+_)?slurmstepd\.scope$")
_VM = re.compile(r"^machine-qemu-\d+-(.+)\.scope$|^(?:qemu-\d+-)?(.+)\.libvirt-qemu$")
_MACHINE = re.compile(r"^machine-(?:lxc-\d+-)?(.+)\.scope$|^(?:lxc-\d+-)?(.+)\.libvirt-lxc$|^lxc\.(?:payload|monitor)\.(.+)$")
_UNIT = re.compile(r".\.(service|scope|slice|socket|mount|swap)$")
_USER = re.compile(r"^user-(\d+)\.slice$|^user@(\d+)\.service$")
_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")

LXC = ("lxc", "lxc.payload", "lxc.monitor")
# Folders that only hold others: what they use themselves is nobody's.
INNER = {*LXC, "docker", "podman", "libpod_parent", "machine", "garden", "ecs"}
INNER_SLICES = ("system.slice", "user.slice", "machine.slice", "qemu.slice", "-.slice")


class Identity(NamedTuple):
    """Whose a group is.  ``path`` is where the deepest match ends: all that lies beneath is the same unit.  Empty: not known."""

    path: str
    kind: Kind = "root"
    name: str = ""
    container: str = ""
    pod: str = ""
    slurm: str = ""
    step: str = ""
    unit: str = ""
    vm: str = ""
    uid: int | None = None

    @property
    def is_named(self) -> bool:
        return self.kind not in ("root", "inner")

    @property
    def who(self) -> str:
        return f"cgroup:{self.path}"


def identify(path: str, *, outermost: bool = False) -> Identity:
    """Who a path of a hierarchy (``/a/b``, from its root) is; total: any text has an answer.

    ``outermost`` stops at the first container, job, machine or user's own service: who holds that may make any group beneath, so
    only what lies above is the kernel's word on who it is.
    """
    found = Identity("")
    walked = parent = ""
    for segment in path.split("/"):
        if segment in ("", "."):
            continue
        walked = f"{walked}/{segment}"
        found = _step(found, walked, (parent, segment))
        if outermost and (found.kind in CLOSED or _is_users_own(found)):
            break
        parent = segment
    return found


def _is_users_own(found: Identity) -> bool:
    """A user's service manager may make what groups it likes."""
    return "/user@" in found.path


def _step(found: Identity, path: str, names: tuple[str, str]) -> Identity:
    """One folder deeper; ``names``: the parent's and its own."""
    parent, raw = names
    segment = unescape(raw)
    strong = _strong(found, path, (parent, raw, segment))
    if strong is not None:
        return strong
    if found.kind in CLOSED:
        step = segment[5:] if found.kind == "slurm" and segment.startswith("step_") and not found.step else ""
        return found._replace(step=step) if step else found
    unit = _UNIT.search(segment)
    if unit:
        return _unit(found, path, segment, unit[1])
    if found.kind in ("service", "scope", "pod"):
        return found  # what a unit makes beneath itself is its own affair
    if _slurm_above(path):
        uid = segment[4:] if segment.startswith("uid_") else ""
        return found._replace(path=path, kind="inner", name="", uid=int(uid) if uid.isdecimal() else found.uid)
    if segment in INNER or "kubepods" in path:
        return found._replace(path=path, kind="inner", name="", unit="")
    return found._replace(path=path, kind="group", name=plain(path), unit="")


def _strong(found: Identity, path: str, names: tuple[str, str, str]) -> Identity | None:
    """A pod, a container, a Slurm job or a virtual machine."""
    parent, raw, segment = names
    users_own = _is_users_own(found)
    pod = _POD.search(raw)
    if pod and not users_own:
        # The outermost pod is the kubelet's; one inside its containers is their own.
        uid = found.pod or pod_uid(pod[1])
        found = found._replace(path=path, kind="pod", name=f"pod-{uid[:8]}", pod=uid, unit="")
    container = _CONTAINER.search(raw)
    if container:
        return found._replace(path=path, kind="container", name=container[1][:12], container=container[1], unit="")
    if pod and not users_own:
        return found
    if segment.startswith("job_") and segment[4:].isdecimal() and segment.isascii() and not users_own and _slurm_above(path):
        job = segment[4:]
        return found._replace(path=path, kind="slurm", name=f"slurm-{job}", slurm=found.slurm or job, unit="")
    if found.kind in CLOSED:
        return None
    machine = _VM.search(segment)
    vm = machine[1] or machine[2] if machine else segment[:-6] if parent == "qemu.slice" and segment.endswith(".scope") else ""
    if vm:
        return found._replace(path=path, kind="vm", name=plain(vm), vm=vm, unit="")
    other = _MACHINE.search(segment)
    name = next((group for group in other.groups() if group), "") if other else segment if parent in LXC else ""
    if name:
        return found._replace(path=path, kind="container", name=plain(name), container=name, unit="")
    return None


def _slurm_above(path: str) -> bool:
    """Whether a folder of Slurm's is in the path, itself included; a job is a folder beneath."""
    return any(_SLURMD.search(segment) for segment in path.split("/"))


def _unit(found: Identity, path: str, segment: str, suffix: str) -> Identity:
    if suffix == "slice" and found.kind in ("service", "scope"):
        return found  # app.slice of a user's manager: its use is the manager's
    user = _USER.search(segment)
    uid = int(user[1] or user[2]) if user else found.uid
    if segment in INNER_SLICES or "kubepods" in segment or segment == "kubelet.slice":
        return found._replace(path=path, kind="inner", name="", unit="", uid=uid)
    kind: Kind = "slice" if suffix == "slice" else "scope" if suffix == "scope" else "service"
    return found._replace(path=path, kind=kind, name=plain(segment), unit=segment, uid=uid)


def unescape(name: str) -> str:
    r"""systemd writes a dash inside a name as ``\x2d``."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name) if "\\x" in name else name


def plain(name: str) -> str:
    """Names that begin with "(" are the meter's own, and what does not print is no name."""
    name = "".join(c for c in name if c.isprintable())
    return name.lstrip("(").rstrip(")") or "unnamed" if name.startswith("(") else name or "unnamed"


def pod_uid(text: str) -> str:
    """With dashes, as Kubernetes writes it (systemd's driver writes ``_``)."""
    return text.replace("_", "-")
