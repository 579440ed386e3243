"""What a process says of itself by its environment, and which Slurm step it descends from."""

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from wattledger.core.model import Claim, Instant, Workload
from wattledger.sources._linux.tree import parse_stat, read_file, real_uid
from wattledger.sources.cgroup.paths import plain

MOST_BYTES = 262_144
MOST_LABELS = 16
MOST_CHARS = 256
MOST_ANCESTORS = 64

_KEYS = {
    b"WATTLEDGER_JOB": "job", b"WATTLEDGER_MODEL": "model", b"WATTLEDGER_LABELS": "labels", b"WATTLEDGER_RUN_ID": "run_id",
    b"SLURM_JOB_ID": "slurm_job", b"SLURM_JOB_NAME": "slurm_name", b"SLURM_STEP_ID": "slurm_step",
}  # fmt: skip
_STEPD = re.compile(rb"^slurmstepd: \[(\d{1,19})\.")


class Said(NamedTuple):
    """Empty: not said.  ``labels`` has the run id, too."""

    job: str = ""
    model: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    slurm_job: str = ""
    slurm_name: str = ""
    slurm_step: str = ""


class Denied(Exception):
    """The environment of a process may not be read by us."""


NOTHING = Said()


def parse(environ: bytes) -> Said:
    """Total: whatever the bytes, an answer."""
    if b"WATTLEDGER_" not in environ and b"SLURM_JOB_ID=" not in environ:
        return NOTHING
    found: dict[str, str] = {}
    for entry in environ.split(b"\0"):
        key, equals, value = entry.partition(b"=")
        if equals and key in _KEYS and value:
            found[_KEYS[key]] = _text(value)
    labels = dict(_labels(found.get("labels", "")))
    if "run_id" in found:
        labels["run_id"] = found["run_id"]
    job = found.get("slurm_job", "")
    if not (job.isascii() and job.isdecimal()):
        job = ""
    said = Said(found.get("job", ""), found.get("model"), tuple(sorted(labels.items())))
    if not job:
        return said
    name = plain(found["slurm_name"]) if "slurm_name" in found else ""
    return said._replace(slurm_job=job, slurm_name=name, slurm_step=found.get("slurm_step", ""))


def _text(value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    return "".join(c for c in text if c.isprintable())[:MOST_CHARS].strip()


def _labels(text: str) -> Iterator[tuple[str, str]]:
    """``a=b,c=d``; what has no ``=`` is no label."""
    for pair in text.split(",")[:MOST_LABELS]:
        key, equals, value = pair.partition("=")
        if equals and key.strip():
            yield key.strip(), value.strip()


def may_read(procfs: str, pid: int) -> bool:
    """Whether a process's environment is ours to read.  Opened only: that is where the kernel decides."""
    try:
        os.close(os.open(f"{procfs}/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC))
    except PermissionError:
        return False
    except OSError:
        return True
    return True


def said_by(procfs: str, pid: int) -> Said:
    """NOTHING also where the process is gone; Denied where its environment is not ours to read."""
    try:
        fd = os.open(f"{procfs}/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError as error:
        raise Denied from error
    except OSError:
        return NOTHING
    parts: list[bytes] = []
    try:
        while (part := os.read(fd, 65_536)) and len(parts) < MOST_BYTES // 65_536:
            parts.append(part)
    except PermissionError as error:
        raise Denied from error
    except OSError:
        return NOTHING
    finally:
        os.close(fd)
    return parse(b"".join(parts))


def stepd_job(procfs: str, pid: int) -> str:
    """The Slurm job whose slurmstepd a process descends from, by the word of a daemon of root's; empty: none.

    Where Slurm keeps no control groups (proctrack/linuxproc) this is all that tells a job from one who says he is it.
    """
    for _ in range(MOST_ANCESTORS):
        text = read_file(f"{procfs}/{pid}/stat")
        stat = parse_stat(text) if text else None
        if stat is None or stat.ppid <= 1:
            return ""
        pid = stat.ppid
        found = _STEPD.match(read_file(f"{procfs}/{pid}/cmdline") or b"")
        if found and _is_roots(f"{procfs}/{pid}"):
            return found[1].decode()
    return ""


def _is_roots(folder: str) -> bool:
    """By its real user, too: a setuid program that a user has started under slurmstepd's title belongs to root as a file does."""
    try:
        return os.stat(folder).st_uid == real_uid(folder) == 0
    except OSError:
        return False


def claims(who: str, at: Instant, said: Said, slurm_job: str) -> Iterator[Claim]:
    """``slurm_job``: the one that the kernel or slurmstepd vouches for; empty: none.

    A job is named by the source of Slurm's; here only who is in which, and what one says of another's job is a program's word.
    """
    fallback = said.slurm_name or (f"slurm-{said.slurm_job}" if said.slurm_job else "")
    if said.slurm_job and said.slurm_job == slurm_job:
        fallback = ""
        if said.slurm_step and who.startswith("pid:"):
            yield Claim(who, at, Workload("", None, (("slurm_step_id", said.slurm_step),)), "slurm")
    job = said.job or fallback
    if job or said.model is not None or said.labels:
        yield Claim(who, at, Workload(job, said.model, said.labels), "environment")
