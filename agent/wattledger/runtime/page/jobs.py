"""The jobs of a node as rows: what is drawn now, what it came to, and for whom; found, sorted and cut by the request."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from wattledger.core.model import AGENT, IDLE, OTHER, RETIRED, UNATTRIBUTED, Workload
from wattledger.core.rows import WHO, who
from wattledger.core.totals import Snapshot
from wattledger.core.units import UJ_PER_J
from wattledger.runtime.books.minutes import RUN_LABEL
from wattledger.runtime.page.board import Board, Latest
from wattledger.runtime.page.words import plain

TOP = 30
MOST = 200  # of a page, which is to weigh little: what is over that is found by its name
QUERY_SIGNS = 100
RESERVED = {
    IDLE: "nobody: idle devices that nobody holds",
    UNATTRIBUTED: "not known whose",
    AGENT: "this agent itself",
    OTHER: "work without a line of its own",
    RETIRED: "work that ended and is not listed any more",
}
Sort = Literal["power", "energy", "co2e", "name"]
SORTS: dict[str, Sort] = {name: name for name in get_args(Sort)}


class Asked(NamedTuple):
    """What a request wants of the jobs: ``query`` in any of their names, all or the first, in what order."""

    query: str = ""
    all: bool = False
    sort: Sort = "power"


class Job(NamedTuple):
    """One line.  ``power_w``: ``None`` while it is not known; ``run``: what its page is called; ``measured``: what part of its
    energy a sensor read."""

    job: str
    model: str
    where: str
    run: str
    power_w: float | None
    energy_j: float
    held_j: float
    location_g: float | None
    measured: float | None


class Jobs(NamedTuple):
    """The lines asked for; ``found`` of ``known`` fit the query.  ``rest``: what worked for no job.  ``over_s``: by the
    shares of how many seconds devices' power is divided, ``None`` while that is not known."""

    shown: tuple[Job, ...]
    found: int
    known: int
    rest: tuple[Job, ...]
    over_s: float | None


class _Sum:
    """One line while it is summed."""

    __slots__ = ("energy_uj", "held_uj", "location_g", "modelled_uj", "power_w", "runs")

    def __init__(self) -> None:
        self.energy_uj = self.held_uj = self.modelled_uj = 0
        self.power_w = 0.0
        self.location_g: float | None = None
        self.runs: set[str] = set()


def jobs(board: Board, latest: Latest, asked: Asked) -> Jobs:
    """Of one snapshot."""
    snapshot = latest.final
    powers, over_s = board.powers(latest)
    lines = _lines(snapshot, powers)
    rest = [_job((words, "", ""), "", lines.pop(w), over_s) for w, words in RESERVED.items() if w in lines]
    # Idle energy that is nobody's is held by nobody; only work without a line of its own may hold something.
    rest = [job if job.job == RESERVED[OTHER] else job._replace(held_j=0.0) for job in rest]
    rest = [job._replace(measured=None) if job.job == RESERVED[RETIRED] else job for job in rest]  # how is not kept
    made = [_job(_names(w, snapshot.label_names), _run(w, line), line, over_s) for w, line in lines.items()]
    wanted = asked.query.casefold()
    found = [job for job in made if not wanted or wanted in f"{job.job}\n{job.model}\n{job.where}\n{job.run}".casefold()]
    found.sort(key=lambda job: _order(job, asked.sort))
    cut = found[: MOST if asked.all else TOP]
    known_rest = tuple(job for job in rest if job.energy_j or job.power_w)
    return Jobs(tuple(cut), len(found), len(made), known_rest, over_s)


def _lines(snapshot: Snapshot, powers: Mapping[Workload, float]) -> dict[Workload, _Sum]:
    """By workload without the labels that are not exported, as ``/metrics`` has it."""
    names = {*WHO, *snapshot.label_names}
    lines: dict[Workload, _Sum] = {}
    keys: dict[Workload, _Sum] = {}

    def line(workload: Workload) -> _Sum:
        found = keys.get(workload)
        if found is None:
            labels = tuple(pair for pair in workload.labels if pair[0] in names)
            key = workload if labels == workload.labels else Workload(workload.job, workload.model, labels)
            found = keys[workload] = lines.setdefault(key, _Sum())
            found.runs.update(value for name, value in workload.labels if name == RUN_LABEL)
            found.power_w += powers.get(workload, 0.0)
        return found

    for (workload, _, method, use), uj in snapshot.energy_uj.items():
        of = line(workload)
        of.energy_uj += uj
        of.held_uj += uj if use == "held" else 0
        of.modelled_uj += uj if method == "estimated" else 0
    if retired_uj := sum(snapshot.retired_uj.values()):
        line(RETIRED).energy_uj += retired_uj
    for workload, grams in snapshot.emissions_g.items():
        of = line(workload)
        of.location_g = (of.location_g or 0.0) + grams
    return lines


def _job(names: tuple[str, str, str], run: str, line: _Sum, over_s: float | None) -> Job:
    power_w = None if over_s is None else line.power_w
    measured = 1 - line.modelled_uj / line.energy_uj if line.energy_uj else None
    return Job(*names, run, power_w, line.energy_uj / UJ_PER_J, line.held_uj / UJ_PER_J, line.location_g, measured)


def _names(workload: Workload, extra: tuple[str, ...]) -> tuple[str, str, str]:
    job, model, namespace, pod, container, slurm, *labels = (plain(word) for word in who(workload, extra=extra))
    place = "/".join(word for word in (namespace, pod, container) if word)
    said = (f"{name}={value}" for name, value in zip(extra, labels, strict=True) if value and name != RUN_LABEL)
    words = [place, f"slurm {slurm}" if slurm else "", *said]
    return job, model, ", ".join(word for word in words if word)


def _run(workload: Workload, line: _Sum) -> str:
    """Of several runs, the page is their job's."""
    return next(iter(line.runs)) if len(line.runs) == 1 else f"job:{workload.job}"


def _order(job: Job, sort: Sort) -> tuple[float, str, str, str]:
    value = {"power": job.power_w or 0.0, "energy": job.energy_j, "co2e": job.location_g or 0.0, "name": 0.0}[sort]
    return -value, job.job.casefold(), job.model, job.where
