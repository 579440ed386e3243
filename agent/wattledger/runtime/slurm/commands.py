"""Slurm's own commands: found, run within a time, and what they said.  Nothing else in the package runs them."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from wattledger.runtime.slurm.sacct import FIELDS

PLACES = "/usr/bin:/bin:/usr/local/bin:/usr/sbin:/opt/slurm/bin:/usr/local/slurm/bin"
ASK_S, SACCT_S = 20.0, 300.0
SETTINGS = ("SACCT_", "SQUEUE_", "SCONTROL_", "SLURM_TIME_FORMAT")
FINISHED = ("already finished", "already completed")  # ESLURM_ALREADY_DONE, as scontrol words it
_SHAPE = ("%i", "%A", "%T", "%D", "%N", "%S", "%b", "%k")


class SlurmError(Exception):
    """A command is not there, did not answer or said no; one line."""


class Finished(SlurmError):
    """slurmctld changes a job no more once it has ended."""


class Queued(NamedTuple):
    """A job as slurmctld has it.  ``target``: how scontrol names this one alone (``12`` would be a whole array); ``start_s``:
    ``None`` where it has not begun; ``tres``: what each node gives it, as asked."""

    target: str
    state: str
    nodes: int
    node_list: str
    start_s: int | None
    tres: str
    comment: str


def _mark() -> str:
    """What parts one cell from the next: drawn anew each time, so that no job's name can forge a line of its own."""
    return f"\x1f{secrets.token_hex(8)}\x1f"


def accounted(from_s: int | None, to_s: int | None) -> tuple[str, str]:
    """sacct's table of all users' jobs that ran then, its times in UTC, and the delimiter of its columns.  Raises SlurmError."""
    mark = _mark()
    words = ["sacct", "--allusers", "--allocations", "--duplicates", "--parsable2", f"--delimiter={mark}"]
    words += [f"--format={','.join(FIELDS)}"]
    words += [f"--starttime={_iso(from_s)}"] if from_s is not None else []
    words += [f"--endtime={_iso(to_s)}"] if to_s is not None else []
    return _run(words, SACCT_S), mark


def queued(job_id: str) -> Queued | None:
    """What slurmctld holds of a job, by SLURM_JOB_ID; ``None`` where it knows it no more.  Raises SlurmError."""
    mark = _mark()
    try:
        said = _run(["squeue", "--noheader", "--states=all", f"--jobs={job_id}", f"--format={mark}{mark.join(_SHAPE)}"], ASK_S)
    except SlurmError as wrong:
        if "Invalid job id" in str(wrong):
            return None
        raise
    cells = said.split(mark)[1:]
    for row in (cells[at : at + len(_SHAPE)] for at in range(0, len(cells), len(_SHAPE))):
        if len(row) == len(_SHAPE) and row[1] == job_id:  # asked for an array's first number, it tells of all its tasks
            target, _, state, nodes, node_list, start, tres, comment = (cell.removesuffix("\n") for cell in row)
            comment = "" if comment == "(null)" else comment
            return Queued(target, state, int(nodes) if nodes.isdecimal() else 0, node_list, _seconds(start), tres, comment)
    return None


def comment_live(target: str, comment: str) -> None:
    """Set a job's comment in slurmctld.  Raises Finished, or SlurmError."""
    try:
        _run(["scontrol", "update", f"JobId={target}", f"Comment={comment}"], ASK_S)
    except SlurmError as wrong:
        if any(words in str(wrong) for words in FINISHED):
            raise Finished(str(wrong)) from None
        raise


def admin_comment(target: str) -> str:
    """The administrator's comment of a job in the accounting.  Raises SlurmError."""
    words = ["sacct", "--allusers", "--allocations", "--noheader", "--parsable2", f"--jobs={target}", "--format=AdminComment"]
    return _run(words, ASK_S).removesuffix("\n").rpartition("\n")[2]


def comment_kept(target: str, comment: str) -> None:
    """Set the administrator's comment of a job that has ended, in the accounting (slurmdbd).  Raises SlurmError.

    sacctmgr writes it in lower case: whoever hands over others' words must not let them be harmed.
    """
    safe = comment.replace('"', "'")  # sacctmgr strips quotes, and turns those inside into others
    _run(["sacctmgr", "--immediate", "modify", "job", "where", f"JobID={target}", "set", f'AdminComment="{safe}"'], ASK_S)


def _run(words: Sequence[str], limit_s: float) -> str:
    """Standard output.  Times are UTC.  Raises SlurmError."""
    path = os.pathsep.join(part for part in (os.environ.get("PATH", ""), PLACES) if part)  # Slurm's own scripts have no PATH
    program = shutil.which(words[0], path=path)
    if program is None:
        raise SlurmError(f"{words[0]} is not here: run this where Slurm's commands are")
    # squeue and sacct read a dozen settings of their user's from the environment, among them formats and filters.
    own = {name: value for name, value in os.environ.items() if not name.startswith(SETTINGS)}
    environ = {**own, "TZ": "UTC", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [program, *words[1:]], stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_s, env=environ, check=False
        )
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{words[0]} did not answer within {limit_s:g} s: is slurmctld up (scontrol ping)?") from None
    except OSError as wrong:
        raise SlurmError(f"{program}: {wrong.strerror}") from None
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).decode("utf-8", "replace").split())
        raise SlurmError(f"{words[0]}: {said[:300] or f'exit status {done.returncode}'}")
    return done.stdout.decode("utf-8", "replace")


def _iso(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _seconds(text: str) -> int | None:
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None
