"""Slurm's jobs beside the books: each job's energy, grams and money as ``report`` works them out, and what the books did not see.

A job is found by the labels that the kernel's word gave its energy (``slurm_job_id``, ``slurm_cluster``), or by the run that its
programs named (``slurm-CLUSTER-ID``).  An id comes again (a requeue, a new cluster): the window in time tells which run is meant.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from wattledger.accounting.report_ask import HOUR_S, Ask, Rules
from wattledger.accounting.report_rows import to_dict
from wattledger.accounting.reports import report
from wattledger.ledger.books import Books, Span
from wattledger.runtime.slurm.sacct import Job

SLACK_S = 120  # the node's clock and the controller's; the processes of a job outlive its end by seconds
EDGE_MS, EDGE_PART = 2_000, 0.01  # of a job's time, what may be missing before it is said: a cell at either end
# An agent's windows; of a host that has none, those of the programs that metered themselves.
_METERED = "meter < 'agent;' OR host NOT IN (SELECT DISTINCT host FROM metered WHERE meter < 'agent;')"
_RUN = re.compile(r"slurm-(.+)-([0-9]+)")
_CLAIMS = {
    "labels": "VARCHAR", "run": "VARCHAR", "place": "INTEGER", "from_s": "BIGINT", "to_s": "BIGINT", "first_s": "BIGINT",
    "last_s": "BIGINT",
}  # fmt: skip
_TIMES = {"place": "INTEGER", "host": "VARCHAR", "from_s": "BIGINT", "to_s": "BIGINT"}


class Row(NamedTuple):
    """A job and what the books say of it: ``said`` as in a report's row, empty where they say nothing.

    ``covered``: the least part of its time that one of its nodes was metered, ``None`` where it is not over or its nodes are not
    told; ``unseen``: its nodes that are not in these books.
    """

    job: Job
    said: Mapping[str, Any]
    covered: float | None
    unseen: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether its energy is all that it used."""
        return self.job.end_s is not None and not self.unseen and self.covered == 1.0


class Joined(NamedTuple):
    """The rows in the order of the jobs, and the report that they are of."""

    rows: tuple[Row, ...]
    report: Mapping[str, Any]


class Claim(NamedTuple):
    """Energy of these labels and this run is the job's at ``place``, in windows whose middle lies in ``[from_s, to_s)``, which is
    held within ``[first_s, last_s)``, the time of all runs of that id."""

    labels: str
    run: str
    place: int
    from_s: int
    to_s: int
    first_s: int
    last_s: int


def joined(places: Sequence[str], jobs: Sequence[Job], rules: Rules, now_s: int) -> Joined:
    """Jobs laid beside the books in ``places``.  Raises LedgerError."""
    from_s = min(job.start_s for job in jobs) - SLACK_S - HOUR_S
    to_s = max(job.end_s or now_s for job in jobs) + SLACK_S + HOUR_S
    # Whole hours, so that no window is cut: not even one that was rolled up.
    from_s, to_s = from_s - from_s % HOUR_S, to_s + -to_s % HOUR_S
    with Books(places, Span(from_s, to_s)) as books:
        said = books.connection.execute("SELECT labels, run FROM energy UNION SELECT labels, run FROM work").fetchall()
        books.fill("slurm_claims", _CLAIMS, sorted(_claims(said, jobs, now_s)))
        _put_in_place(books)
        # Machines' embodied carbon has its own report: it asks for all that was on them.
        found = to_dict(report(books, Ask("job", None, from_s, to_s), rules._replace(embodied=False, coverage_rows=-1)))
        covered, hosts = _covered(books, jobs)
    rows = {int(row["job"]): row for row in found["rows"] if row["job"]}
    unseen = [tuple(node for node in job.nodes if _short(node) not in hosts) for job in jobs]
    parts = [covered.get(n, 0.0) if job.end_s is not None and job.nodes else None for n, job in enumerate(jobs)]
    return Joined(tuple(Row(job, rows.get(n, {}), parts[n], unseen[n]) for n, job in enumerate(jobs)), found)


def _put_in_place(books: Books) -> None:
    """The tables that reports read, with a Slurm job's place among ``jobs`` for the name of its job; empty for all else."""
    match = (
        "c.labels = COALESCE(e.labels, '') AND c.run = COALESCE(e.run, '') AND e.start_s < c.last_s"
        " AND e.start_s + e.length_s > c.first_s AND"
        " LEAST(GREATEST(e.start_s + e.length_s // 2, c.first_s), c.last_s - 1) BETWEEN c.from_s AND c.to_s - 1"
    )
    for table in ("energy", "work"):
        books.connection.execute(f"ALTER VIEW {table} RENAME TO {table}_of_all")
        books.connection.execute(
            f"CREATE TEMP VIEW {table} AS SELECT e.* REPLACE (COALESCE(CAST(c.place AS VARCHAR), '') AS job)"
            f" FROM {table}_of_all e LEFT JOIN slurm_claims c ON {match}"
        )


def _claims(said: Iterable[tuple[str | None, str | None]], jobs: Sequence[Job], now_s: int) -> Iterator[Claim]:
    by_id: dict[str, list[tuple[int, Job]]] = {}
    for place, job in enumerate(jobs):
        by_id.setdefault(job.raw, []).append((place, job))
    for labels, run in sorted({(labels or "", run or "") for labels, run in said}):
        job_id, cluster = _whose(labels, run)
        found = [(place, job) for place, job in by_id.get(job_id, ()) if not (cluster and job.cluster) or cluster == job.cluster]
        yield from (Claim(labels, run, *window) for window in _windows(found, now_s))


def _whose(labels: str, run: str) -> tuple[str, str]:
    """Slurm's number of a job and its cluster; empty: not told."""
    try:
        told = json.loads(labels) if labels else {}
    except ValueError:
        told = {}
    if "slurm_job_id" in told:
        return str(told["slurm_job_id"]), str(told.get("slurm_cluster", ""))
    match = _RUN.fullmatch(run)
    return (match[2], "" if match[1] == "cluster" else match[1]) if match else ("", "")


def _windows(found: Sequence[tuple[int, Job]], now_s: int) -> Iterator[tuple[int, int, int, int, int]]:
    """(place, from, to, first, last) of the runs of one id: side by side, their borders in the middle between two."""
    runs = sorted((job.start_s, job.end_s if job.end_s is not None else max(now_s, job.start_s), place) for place, job in found)
    if not runs:
        return
    first_s, last_s = runs[0][0] - SLACK_S, max(end_s for _, end_s, _ in runs) + SLACK_S
    borders = [first_s]
    for (_, end_s, _), (start_s, _, _) in pairwise(runs):
        borders.append(max(borders[-1], (end_s + start_s) // 2))
    borders.append(last_s)
    for (_, _, place), (from_s, to_s) in zip(runs, pairwise(borders), strict=True):
        if from_s < to_s:
            yield place, from_s, to_s, first_s, last_s


def _covered(books: Books, jobs: Sequence[Job]) -> tuple[dict[int, float], set[str]]:
    """place → the least part of the job's time that any device of its nodes was metered; and the hosts that were there at all."""
    names = [row[0] for row in books.connection.execute("SELECT DISTINCT host FROM metered").fetchall()]
    by_short = {_short(name): name for name in names}
    times = [
        (place, by_short[_short(node)], job.start_s, max(job.end_s, job.start_s + 1))
        for place, job in enumerate(jobs) if job.end_s is not None
        for node in job.nodes if _short(node) in by_short
    ]  # fmt: skip
    books.fill("slurm_times", _TIMES, times)
    overlap = "1000 * (LEAST(w.start_s + w.length_s, t.to_s) - GREATEST(w.start_s, t.from_s))"
    # A window's devices first: the one that was seen least tells, and there are many fewer rows to lay beside the jobs.
    sql = (
        "SELECT place, MIN(seen_ms) FROM (SELECT t.place, t.host,"
        f" SUM(CASE WHEN w.host IS NULL THEN 0 ELSE LEAST({overlap}, w.seen_ms) END) AS seen_ms"
        " FROM slurm_times t LEFT JOIN (SELECT host, start_s, length_s, MIN(seen_ms) AS seen_ms FROM"
        " (SELECT host, device, start_s, length_s, MAX(seen_ms) AS seen_ms FROM metered"
        f" WHERE {_METERED} GROUP BY host, device, start_s, length_s) d"
        " GROUP BY host, start_s, length_s) w ON w.host = t.host AND w.start_s < t.to_s AND w.start_s + w.length_s > t.from_s"
        " GROUP BY t.place, t.host) h GROUP BY place"
    )
    lengths = {place: 1000 * (to_s - from_s) for place, _, from_s, to_s in times}
    found = {place: _part(int(seen_ms), lengths[place]) for place, seen_ms in books.connection.execute(sql).fetchall()}
    return found, set(by_short)


def _part(seen_ms: int, length_ms: int) -> float:
    """1 where what is missing is no more than the edges of cells."""
    edges_ms = max(min(EDGE_MS, length_ms // 2), EDGE_PART * length_ms)
    return 1.0 if length_ms - seen_ms <= edges_ms else seen_ms / length_ms


def _short(host: str) -> str:
    """A host by its first name: Slurm's node names have no domain, hosts' own names may."""
    return host.partition(".")[0].lower()
