"""What a Slurm job has used, told to who is in it: his own job's figures, as the metrics show them, and nobody else's.

An environment says anything, so the job is the one whose control group a program is in, or, where Slurm keeps none
(proctrack/linuxproc), that of the slurmstepd that it descends from.  A title of root's is no proof of that one either: any user may
start a setuid program as ``slurmstepd: [12.batch]`` and have it for a parent.  So it must be a program of root's called slurmstepd,
not setuid, that root started; and what it started, of the asking user.

Answer: ``{"id", "ok", "job", "known", "at", "energy", "beside", "grams"}``.  ``energy``: rows of component, device model, method,
use, microjoules; ``known``: whether there is a series of it; ``at``: when the figures were published, on the agent's grid;
``beside``: by component, the sum over devices of the smaller of what this job and all others had it do, which bounds how wrong the
sharing can be: for who is no operator rounded up, so that it tells nothing of what others draw.  No ``grams``: no grid factor.
"""

import os
import re
from collections.abc import Callable
from typing import Any

from wattledger.core.model import Instant
from wattledger.core.totals import Snapshot
from wattledger.runtime.control.clients import Client
from wattledger.runtime.control.peers import Peer, ancestors
from wattledger.runtime.control.protocol import AskJob, Wrong
from wattledger.sources._linux.tree import read_file, real_uid

LABEL = "slurm_job_id"
DIVIDED = ("cpu", "dram", "gpu")  # what a job may share with others
BITS = 3
ROOT = 0
_TITLE = re.compile(rb"slurmstepd: \[([0-9]{1,19})\.")
NOWHERE = (
    "you are in no Slurm job that the kernel or slurmstepd vouches for (SLURM_JOB_ID proves nothing): "
    "ask from a job's own processes, or as root or an operator"
)

Shown = Callable[[], tuple[Instant | None, Snapshot | None]]


class SlurmJobs:
    """State: the answers given since the last tick, so that who asks often costs no more than who asks once."""

    def __init__(self, procfs: str, shown: Shown) -> None:
        self._procfs, self._shown = procfs, shown
        self._of: Snapshot | None = None
        self._told: dict[tuple[str, bool], dict[str, Any]] = {}

    def ask(self, client: Client, ask: AskJob) -> None:
        """Answer at once.  Raises Wrong."""
        job = self._allowed(client, ask.job)
        at, snapshot = self._shown()
        if at is None or snapshot is None:
            raise Wrong("nothing has been metered yet: ask again in a moment")
        if snapshot is not self._of:
            self._of, self._told = snapshot, {}
        key = job, client.operator
        if key not in self._told:
            self._told[key] = used(snapshot, job, exact=client.operator)
        client.say({"id": ask.id, "ok": True, "job": job, "at": at, **self._told[key]})

    def _allowed(self, client: Client, said: str | None) -> str:
        if client.operator and said is not None:
            return said
        job = job_of(self._procfs, client.peer)
        if not job:
            raise Wrong(NOWHERE)
        if said not in (None, job):
            raise Wrong(f"job {said} is not the one that you are in ({job}): another's is for root and operators")
        return job


def job_of(procfs: str, peer: Peer) -> str:
    """The Slurm job that a program is in, as its user; empty: nobody vouches for one."""
    job, owner = _started_in(procfs, peer.pid)
    if owner is not None and owner != peer.vouched.uid:
        return ""  # of another user, whom the job's own has called (su, sudo)
    return peer.vouched.slurm_job or job


def _started_in(procfs: str, pid: int) -> tuple[str, int | None]:
    """The job of the slurmstepd that a process descends from, and the user of what that one started; empty: of none."""
    child = pid
    for parent in ancestors(procfs, pid):
        if job := _job_of_stepd(f"{procfs}/{parent}"):
            try:
                return job, os.stat(f"{procfs}/{child}").st_uid
            except OSError:
                return "", None
        child = parent
    return "", None


def _job_of_stepd(folder: str) -> str:
    """The job of a slurmstepd; empty for what is none, or not ours to look at (CAP_SYS_PTRACE)."""
    title = _TITLE.match(read_file(f"{folder}/cmdline") or b"")
    # The user before and after: a process may become another program between two looks.
    if title is None or not _is_roots(folder):
        return ""
    try:
        name, file = os.path.basename(os.readlink(f"{folder}/exe")), os.stat(f"{folder}/exe")
    except OSError:
        return ""
    # Debian's is called slurmstepd-wlm; one that was replaced since, "slurmstepd (deleted)".
    genuine = name.startswith("slurmstepd") and file.st_uid == ROOT and not file.st_mode & 0o6022
    return title[1].decode() if genuine and _is_roots(folder) else ""


def _is_roots(folder: str) -> bool:
    """By its real user: slurmstepd lends itself its job's rights at times, a setuid program its owner's."""
    return real_uid(folder) == ROOT


def used(snapshot: Snapshot, job: str, *, exact: bool) -> dict[str, Any]:
    """A job's energy by component, model, method and use, and what goes with it.  ``exact``: for an operator."""
    is_mine = {w: (LABEL, job) in w.labels for w in {w for w, *_ in snapshot.energy_uj} | snapshot.emissions_g.keys()}
    energy: dict[tuple[str, str, str, str], int] = {}
    active: dict[str, tuple[int, int]] = {}
    for (workload, device_id, method, use), uj in snapshot.energy_uj.items():
        device, mine = snapshot.devices[device_id], is_mine[workload]
        if mine:
            key = device.kind, device.model, method, use
            energy[key] = energy.get(key, 0) + uj
        if use == "active":
            of_job, of_others = active.get(device_id, (0, 0))
            active[device_id] = (of_job + uj, of_others) if mine else (of_job, of_others + uj)
    beside = dict.fromkeys(DIVIDED, 0)
    for device_id, two in active.items():
        if (kind := snapshot.devices[device_id].kind) in beside:
            beside[kind] += min(two)
    grams = [g for workload, g in snapshot.emissions_g.items() if is_mine[workload]]
    return {
        "known": any(is_mine.values()),
        "energy": [[*key, uj] for key, uj in sorted(energy.items())],
        "beside": beside if exact else {kind: rounded_up(uj) for kind, uj in beside.items()},
        **({"grams": sum(grams)} if grams else {}),
    }


def rounded_up(uj: int) -> int:
    """To three leading bits: a bound stays one (and at most a quarter wider), and does not move with each tick."""
    low = max(0, uj.bit_length() - BITS)
    return -(-uj >> low) << low
