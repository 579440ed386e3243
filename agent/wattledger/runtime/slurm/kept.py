"""What Slurm's accounting said of jobs, as facts of the books: when a run began and ended, whose it was and on which nodes.

The joules stay where they are, in the energy facts: a footprint is a view.  A user stands there by a pseudonym, as everywhere.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from wattledger.core.facts import Fact, Known, RunFact
from wattledger.ledger.books import Books
from wattledger.ledger.store import OPEN, Store
from wattledger.ledger.store_people import USER
from wattledger.runtime.slurm.sacct import Job

SCOPE = "slurm"
METER = "slurm:"  # of a cluster: nobody's energy is under it
MOST_CHARACTERS = 256  # of a label; a list of nodes may be longer


def facts_of(job: Job) -> list[RunFact]:
    """That it began and, where it has, that it ended."""
    cluster = job.cluster or "cluster"
    labels = {
        "slurm_job_id": job.raw, "slurm_array_task": job.id if "_" in job.id else "", "slurm_cluster": job.cluster,
        "slurm_partition": job.partition, "slurm_account": job.account, "slurm_nodes": job.node_list, USER: job.user,
        "slurm_tres": ",".join(f"{name}={value}" for name, value in job.tres),
    }  # fmt: skip
    # A run of a program and a job are told from a meter by their name: it is never empty.
    name = "".join(c for c in job.name if c.isprintable()).strip("()") or f"slurm-{job.raw}"
    began = RunFact(
        "began", f"{METER}{cluster}", next(iter(job.nodes), ""), job.start_s * 1000, job.run_id, job=name[:MOST_CHARACTERS],
        labels=_labels(labels), scope=SCOPE,
    )  # fmt: skip
    if job.end_s is None:
        return [began]
    ended = began._replace(what="ended", at_ms=job.end_s * 1000, labels=_labels({**labels, "slurm_state": job.state}))
    return [began, ended]


def _labels(labels: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, value[:MOST_CHARACTERS]) for name, value in labels.items() if value))


def fresh_facts(facts: Iterable[RunFact], folder: Path) -> list[RunFact]:
    """Those that the books in ``folder`` do not hold yet, each once.  Raises LedgerError."""
    held = {_unnamed(fact) for fact in _held(folder)} if (folder / OPEN).exists() else set()
    found: dict[RunFact, RunFact] = {}
    for fact in facts:
        if (key := _unnamed(fact)) not in held:
            found.setdefault(key, fact)
    return list(found.values())


def _held(folder: Path) -> Iterator[RunFact]:
    with Books([folder]) as books:
        known: Sequence[Known] = books.other
    return (one.fact for one in known if isinstance(one.fact, RunFact) and one.fact.scope == SCOPE)


def _unnamed(fact: RunFact) -> RunFact:
    """Without its user, who has a pseudonym in the books and a name in Slurm: of one job there is one."""
    return fact._replace(labels=tuple(pair for pair in fact.labels if pair[0] != USER))


def keep(facts: Sequence[Fact], folder: Path, now_s: int) -> list[str]:
    """Write them down; their ids.  Raises LedgerError."""
    if not facts:
        return []
    store = Store.open(folder)
    try:
        return store.append(facts, now_s)
    finally:
        store.close()
