"""Who is at the other end of the socket, by the kernel's word alone, and for whom he may speak.

In Kubernetes most peers are uid 0, so a uid authorises nothing by itself: a program speaks for itself, for what it has started,
and for what is both of its user and of its unit (pod, Slurm job, systemd unit).
"""

import contextlib
import re
import select
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from wattledger.sources._linux.tree import Stat, parse_stat, read_file
from wattledger.sources.cgroup.clients import Spoken
from wattledger.sources.cgroup.paths import Identity, identify

# asm-generic/socket.h; Python names only the first.
SO_PEERCRED = 17
SO_PEERGROUPS = 59
SO_PEERPIDFD = 77

GENERATIONS = 256  # a process tree is not deeper
MOST_CHILDREN = 4096

class Unknown(Exception):
    """The kernel does not tell who this peer is; one line for him."""


class Vouched(NamedTuple):
    """What the kernel says of a process: its user, and the unit that its control group shows (empty: none)."""

    uid: int
    pod_uid: str
    slurm_job: str
    unit: str


class Peer(NamedTuple):
    """The process that connected, by its id in the agent's own namespace.

    ``own_pid`` is what it calls itself; ``contained``: it runs in a container, whose uid 0 is not this machine's root.
    """

    pid: int
    own_pid: int
    gids: frozenset[int]
    vouched: Vouched
    contained: bool


def may_speak_for(peer: Vouched, other: Vouched) -> bool:
    """Whether a process may speak for another that it did not start: of the same user, and of the same unit."""
    if peer.uid != other.uid:
        return False
    if peer.pod_uid or other.pod_uid:
        return peer.pod_uid == other.pod_uid
    if peer.slurm_job or other.slurm_job:
        return peer.slurm_job == other.slurm_job
    # Nobody vouches for a place in the root group: every process without a unit is there.
    return peer.unit == other.unit != ""


def is_operator(peer: Peer, operators: frozenset[int]) -> bool:
    """Root of this machine, or a member of the operators' group; a container's users are neither, whatever their ids."""
    return not peer.contained and (peer.vouched.uid == 0 or bool(peer.gids & operators))


def vouched(uid: int, cgroup: str) -> Vouched:
    """Read ``/proc/PID/cgroup``: of several hierarchies, the one that says most; only what the kernel's side of it says."""
    found = _identities(cgroup)
    pod = next((i.pod for i in found if i.pod), "")
    job = next((i.slurm for i in found if i.slurm), "")
    unit = max((i.path for i in found if i.is_named), key=len, default="")
    return Vouched(uid, pod, job, unit)


def _identities(cgroup: str) -> list[Identity]:
    paths = [line.split(":", 2)[2].rstrip("\n") for line in cgroup.splitlines() if line.count(":") >= 2]
    return [identify(path, outermost=True) for path in paths]


def peer_of(connection: socket.socket, procfs: str, pidfd: int | None) -> Peer:
    """Who connected.  ``pidfd`` (see ``pidfd_of``) proves that the id still is his.  Raises Unknown."""
    pid, uid, gid = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, SO_PEERCRED, 12))
    if pid <= 0:
        raise Unknown("the agent cannot see your process (it needs the host's PID namespace: hostPID)")
    try:
        cgroup = Path(procfs, str(pid), "cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        cgroup = ""
    gids = {gid}
    with contextlib.suppress(OSError):
        groups = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 4 * 65536)
        gids |= {number for (number,) in struct.iter_unpack("I", groups)}
    own_pid = own_pid_of(procfs, pid)
    if own_pid is None or (pidfd is not None and not _lives(pidfd)):
        raise Unknown("your process has ended")
    who = vouched(uid, cgroup)
    contained = bool(who.pod_uid) or own_pid != pid or any(i.container for i in _identities(cgroup))
    return Peer(pid, own_pid, frozenset(gids), who, contained)


def pidfd_of(connection: socket.socket) -> int | None:
    """A descriptor of the peer's process, readable once it has ended; ``None`` before Linux 6.5.  To be closed by the caller."""
    try:
        return int(connection.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD))
    except OSError:
        return None


def _lives(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return not poll.poll(0)


def own_pid_of(procfs: str, pid: int) -> int | None:
    """What a process calls itself in its own PID namespace; ``None`` when it is gone."""
    try:
        status = Path(procfs, str(pid), "status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    found = re.search(r"^NSpid:.*?(\d+)\s*$", status, re.MULTILINE)
    return int(found[1]) if found else pid


def spoken_for(procfs: str, peer: Peer, said: int) -> int | None:
    """The process that a peer calls ``said``, if he may speak for it: himself, what he has started, or one of his user and unit."""
    if said == peer.own_pid:
        return peer.pid
    if peer.own_pid != peer.pid:  # another namespace: only what he has started can be found by the name he has for it
        return next((pid for pid in _descendants(procfs, peer.pid) if own_pid_of(procfs, pid) == said), None)
    if peer.pid in ancestors(procfs, said):
        return said
    other = _vouched_of(procfs, said)
    return said if other is not None and may_speak_for(peer.vouched, other) else None


def _vouched_of(procfs: str, pid: int) -> Vouched | None:
    try:
        folder = Path(procfs, str(pid))
        return vouched(folder.stat().st_uid, (folder / "cgroup").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def ancestors(procfs: str, pid: int) -> Iterator[int]:
    """The process that started this one, and so on outwards."""
    for _ in range(GENERATIONS):
        try:
            # After the name, which may hold anything: state, parent.
            stat = Path(procfs, str(pid), "stat").read_text(encoding="utf-8", errors="replace")
            pid = int(stat.rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return
        if pid < 1:
            return
        yield pid


def _descendants(procfs: str, pid: int) -> list[int]:
    """Through ``children`` (CONFIG_PROC_CHILDREN); nobody where the kernel does not tell."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError, ValueError):
            for children in Path(procfs, str(parent), "task").glob("*/children"):
                found += [int(word) for word in children.read_text(encoding="ascii").split()]
        if len(found) > MOST_CHILDREN:
            break
    return found[1:]


def first_words(procfs: str, pid: int) -> Spoken:
    """A process speaks for the first time, now."""
    found = _stat(procfs, pid)
    return Spoken(-1 if found is None else found.own)


def last_words(procfs: str, pid: int, spoken: Spoken) -> Spoken:
    """It may not speak again: what it has used by now.  One that has ended keeps its time until its parent has reaped it."""
    found = _stat(procfs, pid)
    return spoken if found is None or found.own < spoken.first_ticks else spoken._replace(last_ticks=found.own + found.reaped)


def _stat(procfs: str, pid: int) -> Stat | None:
    text = read_file(f"{procfs}/{pid}/stat")
    return parse_stat(text) if text else None
