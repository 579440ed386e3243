"""What ``sacct --parsable2`` says of jobs.  Total: a line that cannot be read is a warning, never an exception.

sacct escapes nothing: a job's name may hold its delimiter, or a line feed.  Where we ask, the delimiter is one that nobody can
guess; elsewhere the one free-text column takes the cells that are too many, and a line that is too short goes on in the next.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from wattledger.runtime.slurm.nodelist import BadList, expanded

FIELDS = (
    "JobIDRaw", "JobID", "JobName", "Cluster", "User", "Account", "Partition", "State", "Start", "End", "NodeList", "AllocTRES",
)  # fmt: skip
NEEDED = ("start", "end")
FREE_TEXT = frozenset({"jobname", "comment", "admincomment", "systemcomment", "workdir", "submitline"})
MOST_WARNINGS = 20
NEVER = frozenset({"", "unknown", "none", "n/a", "(null)", "invalid"})
_ID = re.compile(r"([0-9]+)(?:_([0-9]+)|\+([0-9]+))?")

ToUtc = Callable[[datetime], datetime]


class BadTable(ValueError):
    """No output of sacct at all; one line."""


class Job(NamedTuple):
    """One run of a job: a requeued one has several, of one id.

    ``id`` as sacct shows it (``12``, a task of an array ``12_3``, a component of a heterogeneous job ``12+1``), ``raw`` the number
    that its processes see as SLURM_JOB_ID.  ``end_s`` is ``None`` while it runs.  Empty: not said.
    """

    id: str
    raw: str
    name: str
    user: str
    account: str
    partition: str
    cluster: str
    state: str
    start_s: int
    end_s: int | None
    nodes: tuple[str, ...]
    node_list: str
    tres: tuple[tuple[str, str], ...]

    @property
    def run_id(self) -> str:
        """What all its processes' figures are joined by: of a heterogeneous job's components, their leader's."""
        leader = self.id.partition("+")[0] if "+" in self.id else self.raw
        return f"slurm-{self.cluster or 'cluster'}-{leader}"


class Table(NamedTuple):
    """Jobs in the order of the text; ``waiting``: how many had not begun; ``warnings``: a line each, of lines left out."""

    jobs: tuple[Job, ...]
    waiting: int
    warnings: tuple[str, ...]


def local(moment: datetime) -> datetime:
    """sacct prints times of the zone that it runs in, without saying which: this machine's."""
    return moment.astimezone(UTC)


def read(text: str, *, delimiter: str = "|", to_utc: ToUtc = local) -> Table:
    """Read sacct's table, its heading included.  ``to_utc`` reads a time without a zone.  Raises BadTable."""
    lines = text.split("\n")  # and not splitlines, which cuts at signs that a name may hold
    heads = [word.strip().lower() for word in lines[0].split(delimiter)]
    if not ({"jobid", "jobidraw"} & set(heads)) or not set(NEEDED) <= set(heads):
        raise BadTable("this is not sacct's table: its first line must name the columns, JobIDRaw, Start and End among them "
                       f"(sacct -a -X -P --format={','.join(FIELDS)})")  # fmt: skip
    jobs: list[Job] = []
    waiting, warnings = 0, list[str]()
    for number, cells in _records(lines[1:], heads, delimiter):
        try:
            row = dict(zip(heads, _fitted(cells, heads, delimiter), strict=True))
            job = _job(row, to_utc)
        except ValueError as wrong:
            warnings.append(f"line {number}: {wrong}: left out")
            continue
        if job is not None:
            jobs.append(job)
        elif not _is_step(row):
            waiting += 1
    left_out = len(warnings) - MOST_WARNINGS
    said = [*warnings[:MOST_WARNINGS], f"{left_out} more lines left out"] if left_out > 0 else warnings
    return Table(tuple(dict.fromkeys(jobs)), waiting, tuple(said))


def _records(lines: Sequence[str], heads: Sequence[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells): a line that has too few goes on in the next, for a name may hold a line feed."""
    held: list[str] = []
    began = 0
    for number, line in enumerate(lines, 2):
        if not held and not line.strip():
            continue
        cells = line.split(delimiter)
        if held and len(held) < len(heads) <= len(cells) and _ID.match(cells[0]):
            yield began, held  # that one was cut short, and this is a line of its own
            held = []
        began = began if held else number
        held = [*held[:-1], f"{held[-1]} {cells[0]}", *cells[1:]] if held else cells
        if len(held) >= len(heads):
            yield began, held
            held = []
    if held:
        yield began, held


def _fitted(cells: Sequence[str], heads: Sequence[str], delimiter: str) -> list[str]:
    """As many cells as columns.  Raises ValueError where it cannot be told which of them belong together."""
    extra = len(cells) - len(heads)
    free = [place for place, head in enumerate(heads) if head in FREE_TEXT]
    if extra < 0:
        raise ValueError(f"{len(cells)} columns where there should be {len(heads)}")
    if not extra:
        return list(cells)
    if len(free) != 1:
        raise ValueError(f"{len(cells)} columns where there should be {len(heads)} (ask sacct for one free text only)")
    place = free[0]
    return [*cells[:place], delimiter.join(cells[place : place + extra + 1]), *cells[place + extra + 1 :]]


def _is_step(row: Mapping[str, str]) -> bool:
    return "." in (row.get("jobidraw") or row.get("jobid", ""))


def _job(row: Mapping[str, str], to_utc: ToUtc) -> Job | None:
    """``None``: a step, or a job that has not begun.  Raises ValueError with a few words."""
    if _is_step(row):
        return None
    shown = row.get("jobid") or row.get("jobidraw", "")
    raw = row.get("jobidraw", "") or shown
    start_s = _time_s(row["start"], to_utc)
    if start_s is None:
        return None
    if not _ID.fullmatch(shown.strip()):
        raise ValueError(f"{shown[:40]!r} is no job's id")
    if not raw.strip().isdecimal():
        raise ValueError(f"job {shown[:40]}: ask sacct for JobIDRaw, too: a task of an array is metered by that number")
    end_s = _time_s(row["end"], to_utc)
    if end_s is not None and end_s < start_s:
        raise ValueError(f"job {shown}: it ended before it began")
    node_list = row.get("nodelist", "").strip()
    try:
        nodes = expanded(node_list)
    except BadList as wrong:
        raise ValueError(f"job {shown}: {wrong}") from None
    said = (row.get(name, "").strip() for name in ("jobname", "user", "account", "partition", "cluster"))
    name, user, account, partition, cluster = said
    state = row.get("state", "").split(" ")[0]  # CANCELLED by 1000
    return Job(shown.strip(), raw.strip(), name, user, account, partition, cluster, state, start_s, end_s, nodes, node_list,
               _tres(row.get("alloctres", "")))  # fmt: skip


def _time_s(text: str, to_utc: ToUtc) -> int | None:
    """Seconds since the epoch, from an ISO time or such seconds; ``None``: not yet.  Raises ValueError."""
    word = text.strip()
    if word.lower() in NEVER:
        return None
    if word.isdecimal() and len(word) < 13:
        return int(word) or None
    try:
        moment = datetime.fromisoformat(word)
        found = int((moment if moment.tzinfo is not None else to_utc(moment)).timestamp())
    except (ValueError, OverflowError):
        found = -1
    if found < 0:
        raise ValueError(f"{word[:40]!r} is no time of a job")
    return found


def _tres(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (word.partition("=") for word in text.split(","))
    return tuple(sorted((name.strip(), value.strip()) for name, equals, value in pairs if equals and name.strip()))
