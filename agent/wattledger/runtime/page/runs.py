"""The newest runs of the books: who, when, what they came to."""

from typing import NamedTuple

from wattledger.core.facts import Key, Known, RunFact
from wattledger.core.uncertainty import Quantity
from wattledger.runtime.page.books import SLOT_S, Amount, Place, Reader, is_agents, numbers_of, reading
from wattledger.runtime.page.figures import Read, energy_j
from wattledger.runtime.page.priced import Rules, emitted_g, slots

NEWEST = 20


class Run(NamedTuple):
    """One run.  ``start_s`` and ``end_s`` are the first and the last minute (a run that was told to have ended: its end);
    ``energy_j`` with its interval, ``location_g`` at the grid's newest figures; ``None``: not known."""

    id: str
    job: str
    model: str
    labels: tuple[tuple[str, str], ...]
    start_s: float | None
    end_s: float
    ended: bool
    energy_j: Quantity | None
    location_g: Quantity | None


class Runs(NamedTuple):
    """The newest first, of facts recorded since ``since_s``."""

    runs: tuple[Run, ...]
    since_s: int


def newest(place: Place, now_s: int, rules: Rules, most: int = NEWEST) -> Runs:
    """Raises LedgerError."""
    with reading(place.folder) as books:
        ends = {f.run: f for known in books.facts("run") if isinstance(f := known.fact, RunFact) and f.run and f.what == "ended"}
        spans = _spans(books)
        last_s = {run: ends[run].at_ms / 1000 if run in ends else spans[run][1] for run in {*spans, *ends}}
        chosen = sorted(last_s, key=lambda run: (-last_s[run], run))[:most]
        keys = [key for run in chosen if run in spans for key in spans[run][2]]
        found: dict[str, list[Amount]] = {}
        if keys:
            for amount in (*books.amounts(numbers_of(books, keys), SLOT_S), *_of(books.open_minutes(), set(keys))):
                found.setdefault(amount.key.run, []).append(amount)
        grid = books.facts("intensity")
        since_s = books.since_s()
    runs = [_run(run, ends.get(run), found.get(run, []), last_s[run]) for run in chosen]
    return Runs(tuple(_priced(run, found.get(run.id, []), grid, now_s, rules) for run in runs), since_s)


def _spans(books: Reader) -> dict[str, tuple[float, float, set[Key]]]:
    """By run: its first and last moment, and its keys; of a run that both an agent and a tracker metered, the agent's."""
    found: dict[tuple[str, bool], tuple[float, float, set[Key]]] = {}
    for amount in (*books.amounts(None, 0), *books.open_minutes()):
        key = amount.key
        if not key.run:
            continue
        start_s, end_s, keys = found.get((key.run, is_agents(key)), (float("inf"), 0.0, set()))
        keys.add(key)
        of = min(start_s, amount.start_s), max(end_s, amount.start_s + amount.length_s), keys
        found[key.run, is_agents(key)] = of
    runs = {run for run, _ in found}
    return {run: found[run, (run, True) in found] for run in runs}


def _of(amounts: list[Amount], keys: set[Key]) -> list[Amount]:
    return [amount for amount in amounts if amount.key in keys]


def _run(run: str, end: RunFact | None, amounts: list[Amount], last_s: float) -> Run:
    first = max((a.key for a in amounts), key=lambda key: (bool(key.model), key.job), default=None)
    said: RunFact | Key | None = end or first
    names = (said.job, said.model, said.labels) if said is not None else ("", "", ())
    start_s = min((float(a.start_s) for a in amounts), default=None)
    length_s = max(1.0, last_s - start_s) if start_s is not None else 1.0
    energy = energy_j(reads_of(amounts), length_s) if amounts else None
    if energy is None and end is not None and end.energy_uj is not None:
        energy = Quantity(*(end.energy_uj / 1e6,) * 3)
    return Run(run, *names, start_s, last_s, end is not None, energy, None)


def _priced(run: Run, amounts: list[Amount], grid: list[Known], now_s: int, rules: Rules) -> Run:
    if not amounts or run.energy_j is None or run.start_s is None:
        return run
    under = slots(amounts, grid, now_s, rules)
    return run._replace(location_g=emitted_g(under, run.energy_j, int(max(1.0, run.end_s - run.start_s))))


def reads_of(amounts: list[Amount]) -> list[Read]:
    """By sensor."""
    sums: dict[tuple[str, str, str], list[int]] = {}
    for amount in amounts:
        of = sums.setdefault((amount.key.component, amount.key.device_model, amount.key.method), [0, 0])
        of[0] += amount.energy_uj
        of[1] += amount.spread_uj
    return [Read(*key, uj, spread_uj) for key, (uj, spread_uj) in sorted(sums.items())]
