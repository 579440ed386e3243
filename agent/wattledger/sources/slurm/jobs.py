"""Jobs on this node, and what their processes say of them.

Slurm's control groups (v1 ``/slurm*/uid_N/job_N``, v2 ``/system.slice/*slurmstepd.scope/job_N``) name jobs by the kernel's word.
``proctrack/linuxproc`` makes none: there the children of each slurmstepd are the job's.  Their environment is the one that
slurmstepd gave them (Slurm 22.05 and 24.11 were looked at).
"""

import os
import pwd
import re
from collections.abc import Iterator, Mapping
from glob import glob
from typing import NamedTuple

from wattledger.core.model import Instant, Workload
from wattledger.core.ports import Host
from wattledger.sources._linux.files import is_number
from wattledger.sources._linux.tree import real_uid

LOOK_AGAIN_NS = 10_000_000_000  # a process id may come back as a slurmstepd
MOST_BYTES = 1 << 20
MOST_CHARACTERS = 256

# What holds jobs, below the mounts of v1 (a folder for each controller; proctrack uses the freezer) and of v2.
ROOTS = ("freezer/slurm*/uid_*", "*/slurm*/uid_*", "system.slice/*slurmstepd.scope", "unified/system.slice/*slurmstepd.scope")
_JOB = re.compile(r"job_([0-9]{1,19})")
_TITLE = re.compile(rb"slurmstepd: \[([0-9]{1,19})\.")

Environ = Mapping[str, str]
Steps = tuple[tuple[int, ...], ...]  # the processes of each


class Word(NamedTuple):
    """What a process says, and whose the kernel says it is.  An empty environment may not be read."""

    uid: int
    environ: Environ


def evidence(host: Host) -> str:
    """Why we believe that Slurm runs here; empty when nothing says so."""
    if host.options.get("gpu_jobs"):
        return f"gpu_jobs is {host.options['gpu_jobs']}"
    if roots := _roots(host):
        return f"control groups below {os.path.dirname(roots[0])}"
    daemon = next((pid for pid in _pids(host.procfs) if read_bytes(f"{host.procfs}/{pid}/comm") == b"slurmd\n"), None)
    return f"slurmd is process {daemon}" if daemon is not None else ""


def job_folders(host: Host) -> dict[str, str]:
    """Job id to one of its control groups."""
    found: dict[str, str] = {}
    for root in _roots(host):
        for name in listed(root):
            if match := _JOB.fullmatch(name):
                found.setdefault(match[1], f"{root}/{name}")
    return found


def steps_of(folder: str) -> Steps:
    """The processes in a job's control group by step, without slurmstepd's own and what only waits (the extern step)."""
    steps = []
    for name in sorted(listed(folder)):
        if name.startswith("step_") and name != "step_extern":
            pids: list[int] = []
            for path, below, _ in os.walk(f"{folder}/{name}"):
                below[:] = sorted(one for one in below if one != "slurm")
                pids += _numbers(read_bytes(f"{path}/cgroup.procs"))
            steps.append(tuple(pids))
    return tuple(steps)


def children_of(procfs: str, stepd: int) -> tuple[int, ...]:
    """Of all its threads: slurmstepd starts tasks from several."""
    threads = (read_bytes(f"{procfs}/{stepd}/task/{thread}/children") for thread in listed(f"{procfs}/{stepd}/task"))
    return tuple(child for children in threads for child in _numbers(children))


class Stepds:
    """Jobs that have no control groups.  State: which processes are slurmstepds, and which were seen and are not."""

    def __init__(self, procfs: str) -> None:
        self._procfs = procfs
        self._seen: frozenset[int] = frozenset()
        self._stepds: dict[int, str] = {}
        self._all_ns: int | None = None

    def jobs(self, at: Instant) -> dict[str, tuple[int, ...]]:
        """Job id to its slurmstepds, one for each step."""
        pids = frozenset(_pids(self._procfs))
        if self._all_ns is None or at.mono_ns - self._all_ns >= LOOK_AGAIN_NS:
            self._all_ns, self._seen = at.mono_ns, frozenset()
        called = {pid: read_bytes(f"{self._procfs}/{pid}/comm").strip() for pid in pids - self._seen}
        stepds = {pid: job_id for pid, job_id in self._stepds.items() if pid in pids and pid in self._seen}
        for pid in (pid for pid, comm in called.items() if comm == b"slurmstepd"):
            match = _TITLE.match(read_bytes(f"{self._procfs}/{pid}/cmdline"))
            if match and _is_trusted(f"{self._procfs}/{pid}"):
                stepds[pid] = match[1].decode()
        # slurmd becomes slurmstepd, which puts its title up a moment later: both are asked again.
        young = {pid for pid, comm in called.items() if comm in (b"slurmd", b"slurmstepd") and pid not in stepds}
        self._seen, self._stepds = pids - young, stepds
        jobs: dict[str, tuple[int, ...]] = {}
        for pid, job_id in sorted(stepds.items()):
            jobs[job_id] = (*jobs.get(job_id, ()), pid)
        return jobs


def words_of(procfs: str, job_id: str, steps: Steps) -> list[Word]:
    """What the first process of each step says that speaks of this job."""
    found = (_word(procfs, job_id, pids) for pids in steps)
    return [word for word in found if word is not None]


def workload_of(job_id: str, word: Word | None) -> Workload:
    """Job name as submitted ("" where it is not known), and labels: id and user by the kernel's word."""
    environ = word.environ if word else {}
    cluster = _line(environ.get("SLURM_CLUSTER_NAME", ""))
    # Components of a heterogeneous job are jobs of their own, and one run by the id that their processes share.
    leader = _line(environ.get("SLURM_JOB_ID", job_id))
    labels = {
        "slurm_job_id": job_id,
        "slurm_cluster": cluster,
        "slurm_partition": _line(environ.get("SLURM_JOB_PARTITION", "")),
        "user": _user(word) if word else "",
        # Not before the job has told of its cluster and its leader: a run's parts are joined by this.
        "run_id": f"slurm-{cluster or 'cluster'}-{leader}" if environ else "",
    }
    job = _line(environ.get("SLURM_JOB_NAME", ""))
    job = job.strip("()") if job.startswith("(") else job  # such names are the meter's own
    return Workload(job, None, tuple(sorted((key, value) for key, value in labels.items() if value)))


def _word(procfs: str, job_id: str, pids: tuple[int, ...]) -> Word | None:
    for pid in pids:
        try:
            uid = os.stat(f"{procfs}/{pid}").st_uid
        except OSError:
            continue  # it has ended
        try:
            environ = _environ(f"{procfs}/{pid}/environ")
        except PermissionError:
            return Word(uid, {})
        except OSError:
            continue
        if _speaks_of(environ, job_id):
            return Word(uid, environ)
    return None


def _is_trusted(folder: str) -> bool:
    """slurmstepd is root's, by its real user too; anybody else may call a process of his so, or start a setuid program under that
    name.  (Or ours, where all of it runs for a trial.)"""
    ours = (0, os.geteuid())
    try:
        return os.stat(folder).st_uid in ours and real_uid(folder) in ours
    except OSError:
        return False


def _speaks_of(environ: Environ, job_id: str) -> bool:
    if environ.get("SLURM_JOB_ID") == job_id:
        return True
    size = environ.get("SLURM_HET_SIZE", "")
    parts = range(int(size) if is_number(size) and len(size) < 4 else 0)
    return any(environ.get(f"SLURM_JOB_ID_HET_GROUP_{part}") == job_id for part in parts)


def _environ(path: str) -> Environ:
    """Slurm's variables and the GPUs'; whatever else a program keeps there is not ours to read on."""
    with open(path, "rb") as file:
        pairs = (entry.partition(b"=") for entry in file.read(MOST_BYTES).split(b"\0"))
        kept = ((key, value) for key, _, value in pairs if key.startswith(b"SLURM_") or key == b"CUDA_VISIBLE_DEVICES")
        return {key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in kept}


def _user(word: Word) -> str:
    """The name that this machine knows for the kernel's uid; in a container, which knows none, Slurm's, if its uid is the same."""
    try:
        return pwd.getpwuid(word.uid).pw_name
    except KeyError:
        said = word.environ.get("SLURM_JOB_USER", "") if word.environ.get("SLURM_JOB_UID") == str(word.uid) else ""
        return _line(said) or str(word.uid)


def _line(text: str) -> str:
    return "".join(c for c in text if c.isprintable()).strip()[:MOST_CHARACTERS]


def _roots(host: Host) -> list[str]:
    return [root for pattern in ROOTS for root in sorted(glob(f"{host.sysfs}/fs/cgroup/{pattern}"))]


def _numbers(listing: bytes) -> list[int]:
    """The process ids of a file of the kernel's."""
    return [int(word) for word in listing.split() if word.isdigit() and len(word) < 20]


def _pids(procfs: str) -> Iterator[int]:
    return (int(name) for name in listed(procfs) if name.isdigit())


def listed(folder: str) -> list[str]:
    """Names in a folder; none where it is not there, or not ours to see."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def read_bytes(path: str) -> bytes:
    """A small file; empty where it cannot be read (any more)."""
    try:
        with open(path, "rb") as file:
            return file.read(MOST_BYTES)
    except OSError:
        return b""
