"""The newest runs of the books: who, when, what they came to."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from wattledger.core.facts import Key, RunFact
from wattledger.core.uncertainty import Quantity
from wattledger.runtime.page.books import SLOT_S, Amount, Place, Reader, is_agents, numbers_of, reading
from wattledger.runtime.page.figures import Read
from wattledger.runtime.page.priced import Rules, lists, priced

if TYPE_CHECKING:
    from wattledger.accounting.report_slots import Lists

NEWEST = 20


class Run(NamedTuple):
    """One run.  ``start_s`` is its first minute, ``end_s`` the end of its last, or now, if that is not over (a run that was told
    to have ended: its end); ``energy_j`` with its interval, ``location_g`` at the grid's newest figures; ``None``: not known."""

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
        last_s = {run: ends[run].at_ms / 1000 if run in ends else min(spans[run][1], now_s) for run in {*spans, *ends}}
        chosen = sorted(last_s, key=lambda run: (-last_s[run], run))[:most]
        keys = [key for run in chosen if run in spans for key in spans[run][2]]
        found: dict[str, list[Amount]] = {}
        if keys:
            for amount in (*books.amounts(numbers_of(books, keys), SLOT_S), *_of(books.open_minutes(), set(keys))):
                found.setdefault(amount.key.run, []).append(amount)
        grid = books.facts("intensity")
        since_s = books.since_s()
    prices = lists([amount for of in found.values() for amount in of], grid, now_s, rules) if found else {}
    return Runs(tuple(_run(run, ends.get(run), found.get(run, []), last_s[run], prices=prices) for run in chosen), since_s)


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


def _run(run: str, end: RunFact | None, amounts: list[Amount], last_s: float, *, prices: "Mapping[str, Lists]") -> Run:
    first = max((a.key for a in amounts), key=lambda key: (bool(key.model), key.job), default=None)
    said: RunFact | Key | None = end or first
    names = (said.job, said.model, said.labels) if said is not None else ("", "", ())
    start_s = min((float(a.start_s) for a in amounts), default=None)
    energy, location_g = None, None
    if amounts:
        sums = priced(amounts, prices, apart=False).sums
        energy, location_g = sums.energy_j(shared=True), sums.emissions_g("operational", shared=True)
    elif end is not None and end.energy_uj is not None:
        energy = Quantity(*(end.energy_uj / 1e6,) * 3)
    return Run(run, *names, start_s, max(last_s, start_s or 0.0), end is not None, energy, location_g)


def reads_of(amounts: list[Amount]) -> list[Read]:
    """By sensor."""
    sums: dict[tuple[str, str, str], list[int]] = {}
    for amount in amounts:
        of = sums.setdefault((amount.key.component, amount.key.device_model, amount.key.method), [0, 0])
        of[0] += amount.energy_uj
        of[1] += amount.spread_uj
    return [Read(*key, uj, spread_uj) for key, (uj, spread_uj) in sorted(sums.items())]
