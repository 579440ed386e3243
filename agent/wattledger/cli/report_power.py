"""What a run, a job, or whatever is reported on drew over time: steps of equal length by component, with the grid's carbon beside.

The books are summed once more, cut by time, with the prices of the report; so what lies under the curve is what the report says.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from wattledger.accounting import made_up
from wattledger.accounting.price import Price
from wattledger.accounting.report_ask import Ask, Rules, of_day
from wattledger.accounting.report_rows import PER_DEVICE
from wattledger.accounting.report_sums import UG_PER_G, UJ_PER_J, Sums
from wattledger.accounting.reports import Counted, count
from wattledger.accounting.sums import overlaps
from wattledger.cli.report_view import fit
from wattledger.core.facts import GapFact, Known, RunFact
from wattledger.core.uncertainty import Quantity
from wattledger.ledger import query, query_hours
from wattledger.ledger.books import Books
from wattledger.ledger.query import Scope
from wattledger.runtime.config import nearest

MOST_STEPS = 600
MOST_ZONES = 4
STEPS_S = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400, 604_800)
S_PER_H = 3600
WORLD = "world average"
MADE_UP = " (made up: wattledger agent --demo)"


class Layer(NamedTuple):
    """A component's power, as far as sensors told it, or (``estimated``) a model."""

    component: str
    estimated: bool


class Step(NamedTuple):
    """Seconds since the epoch, UTC.  Means over the time in which it was metered; ``emitted_g``: ``None`` where no price
    is known."""

    start_s: float
    end_s: float
    metered_s: float
    power_w: Mapping[Layer, float]
    emitted_g: float | None

    @property
    def total_w(self) -> float:
        """All layers together."""
        return sum(self.power_w.values())

    @property
    def g_per_h(self) -> float | None:
        """Grams an hour, at this step's pace."""
        return None if self.emitted_g is None else self.emitted_g / self.metered_s * S_PER_H


class Grid(NamedTuple):
    """One zone's carbon intensity, (start_s, end_s, gCO2e/kWh) step by step, and of what quality its prices are."""

    zone: str
    quality: str
    steps: tuple[tuple[float, float, float], ...]


class Curve(NamedTuple):
    """``holes``: times between steps of which nothing is booked for it; ``unseen``: in which a device of its drew nobody knows
    what.  ``energy_j`` and ``location_g`` (at the price of the hour; ``None``: not known of all of it) are the report's."""

    who: str
    step_s: int
    steps: tuple[Step, ...]
    grid: tuple[Grid, ...]
    holes: tuple[tuple[float, float], ...]
    unseen: tuple[tuple[float, float], ...]
    energy_j: Quantity
    location_g: Quantity | None


class Cut(NamedTuple):
    """The sums of each step by its start, in the order of time; and how they were counted."""

    sums: Mapping[int, Sums]
    counted: Counted


def scope_of(ask: Ask, run: str | None = None) -> Scope:
    """Which rows of the books: those of the question, of one ``run`` where it is given."""
    if ask.name is None and run is None:
        return Scope("day", None, ask.from_s, ask.to_s)  # without names there is nothing to tell apart
    scope = Scope(ask.kind, ask.name, ask.from_s, ask.to_s)
    return scope if run is None else _of_run(scope, run)


def _of_run(scope: Scope, run: str) -> Scope:
    class OfRun(Scope):
        """A scope's rows of one run."""

        def where(self) -> tuple[str, list[Any]]:
            condition, given = super().where()
            return f"{condition} AND run = ?", [*given, run]

    return OfRun(*scope)


def is_shared(ask: Ask, run: str | None = None) -> bool:
    """Whether some of the energy may be another's, by the way devices were shared: nothing of what all had together."""
    return ask.kind not in PER_DEVICE and (ask.name, run) != (None, None)


def cut(books: Books, scope: Scope, ask: Ask, rules: Rules, *, step_s: int) -> Cut:
    """The scope's sums in steps of any length, which begin at its multiples since the epoch.  Raises LedgerError."""

    class Each(Ask):
        """A question whose pieces are as long as that."""

        @property
        def bucket_s(self) -> int:
            return step_s

    counted = count(books, scope, Each(*ask._replace(by=None)), rules)
    sums: dict[int, Sums] = {}
    for row in counted.rows:
        combo = counted.slots.combos[row.combo]
        sums.setdefault(combo.bucket_s or 0, Sums()).add(row, combo)
    return Cut(dict(sorted(sums.items())), counted)


def span_of(books: Books, scope: Scope) -> tuple[int, int] | None:
    """From when to when the scope has energy; ``None``: never.  Raises LedgerError."""
    windows = query.windows(books.connection, scope)
    if not windows:
        return None
    start_s, end_s = min(w.start_s for w in windows), max(w.start_s + max(1, w.length_s) for w in windows)
    return max(start_s, scope.from_s or start_s), min(end_s, scope.to_s or end_s)


def curve(books: Books, asked: Ask, rules: Rules, run: str | None = None) -> Curve:
    """Raises LedgerError, and ValueError with one line where there is nothing to draw or no such run."""
    ask = of_day(asked)
    scope = scope_of(ask, run)
    span = span_of(books, scope)
    if span is None:
        if run is not None:
            runs = [row[-1] for row in query.runs(books.connection, Scope("job", ask.name if ask.kind == "job" else None))]
            raise ValueError(f"--run {run!r}: no such run in the books{nearest(run, runs)}")
        raise ValueError(f"nothing is booked for {_who(ask, run)}: there is no power to plot")
    step_s = _step_s(span, min(w.length_s for w in query.windows(books.connection, scope)))
    found = cut(books, scope, ask, rules, step_s=step_s)
    steps = _steps(found.sums, _metered_s(books, scope, step_s), step_s, _ends(books.holding, ask, run))
    whole = Sums()
    for sums in found.sums.values():
        whole.merge(sums)
    shared = is_shared(ask, run)
    known = bool(whole.of("operational energy")) and not whole.missing("operational")
    drawn = steps[0].start_s, steps[-1].end_s
    holes = [(a.end_s, b.start_s) for a, b in pairwise(steps) if b.start_s > a.end_s]
    who = _who(ask, run) + (MADE_UP if made_up.within(books, scope) else "")
    return Curve(
        who, step_s, steps, _grids(found.counted, whole, drawn, step_s), tuple(holes),
        _unseen(books, scope, drawn), whole.energy_j(shared=shared),
        whole.emissions_g("operational", shared=shared) if known else None,
    )  # fmt: skip


def _who(ask: Ask, run: str | None) -> str:
    if run is not None:
        return f"run {fit(run)}" + (f" of {ask.kind} {fit(ask.name)}" if ask.name is not None else "")
    return f"{ask.kind} {fit(ask.name)}" if ask.name is not None else f"all {ask.kind}s"


def _step_s(span: tuple[int, int], shortest_s: int) -> int:
    """The finest that the books tell and that leaves no more than can be drawn."""
    length_s = span[1] - span[0]
    return next((s for s in STEPS_S if s >= min(shortest_s, STEPS_S[-1]) and length_s / s < MOST_STEPS - 1), STEPS_S[-1])


def _metered_s(books: Books, scope: Scope, step_s: int) -> dict[int, float]:
    """By step, over how much of it something was metered."""
    found: dict[int, float] = {}
    for window in query_hours.windows(books.connection, scope):
        length_s = max(1, window.length_s)
        start_s = max(window.start_s, scope.from_s or window.start_s)
        end_s = min(window.start_s + length_s, scope.to_s or window.start_s + length_s)
        for at_s in range(start_s - start_s % step_s, end_s, step_s):
            part = (min(end_s, at_s + step_s) - max(start_s, at_s)) / length_s
            found[at_s] = found.get(at_s, 0.0) + window.seen_ms / 1000 * part
    return found


def _ends(known: Sequence[Known], ask: Ask, run: str | None) -> list[float]:
    """When it was said to have ended, where there are runs to end."""
    facts = [one.fact for one in known if isinstance(one.fact, RunFact) and one.fact.what == "ended" and one.fact.run]
    if run is not None:
        return [fact.at_ms / 1000 for fact in facts if fact.run == run]
    return [fact.at_ms / 1000 for fact in facts if ask.kind == "job" and fact.job == ask.name]


def _steps(sums: Mapping[int, Sums], metered: Mapping[int, float], step_s: int, ends: Sequence[float]) -> tuple[Step, ...]:
    """A step of which only a part was metered, at an edge of the curve, is drawn beside its neighbour and as long as that part."""
    found = []
    for at_s, of in sums.items():
        start_s, end_s = float(at_s), float(at_s + step_s)
        seen_s = metered.get(at_s, 0.0)
        seen_s = seen_s if 0 < seen_s <= step_s - 1 else step_s  # a tick's part that is missing is no edge
        first, last = at_s - step_s not in sums, at_s + step_s not in sums
        ended_s = max((end for end in ends if start_s < end <= end_s), default=None) if last else None
        end_s = ended_s or (end_s if first and not last else start_s + seen_s if last else end_s)
        start_s = max(start_s, end_s - seen_s) if first else start_s
        seen_s = max(1e-3, min(seen_s, end_s - start_s))
        found.append(Step(start_s, end_s, seen_s, _powers(of, seen_s), _grams(of)))
    return tuple(found)


def _powers(of: Sums, seconds: float) -> dict[Layer, float]:
    found: dict[Layer, float] = {}
    for sensor, uj in of.of("energy").items():
        layer = Layer(fit(sensor.component), sensor.method == "estimated")
        found[layer] = found.get(layer, 0.0) + float(uj / UJ_PER_J) / seconds
    return found


def _grams(of: Sums) -> float | None:
    known = bool(of.of("operational energy")) and not of.missing("operational")
    return float(of.emitted_ug("operational") / UG_PER_G) if known else None


def _grids(counted: Counted, whole: Sums, drawn: tuple[float, float], step_s: int) -> tuple[Grid, ...]:
    """Of the zones with the most energy."""
    energy_uj: dict[str, Any] = {}
    for price, uj in whole.of("operational energy").items():
        energy_uj[price.zone] = energy_uj.get(price.zone, 0) + uj
    lists = {prices[0].zone: prices for each in counted.lists.lists.values() if (prices := each.operational)}
    ranked = sorted(lists, key=lambda zone: (-energy_uj.get(zone, 0), zone))
    return tuple(_grid(zone, lists[zone], drawn, step_s) for zone in ranked[:MOST_ZONES])


def _grid(zone: str, prices: Sequence[Price], drawn: tuple[float, float], step_s: int) -> Grid:
    steps: list[tuple[float, float, float]] = []
    qualities: dict[str, None] = {}
    for at_s in range(int(drawn[0]) // step_s * step_s, int(-(-drawn[1] // 1)), step_s):
        parts = list(overlaps(prices, at_s, step_s))
        length_s = sum(end_s - start_s for _, start_s, end_s in parts)
        if not length_s:
            continue
        value = sum(price.ug_per_kwh * (end_s - start_s) for price, start_s, end_s in parts) / length_s / UG_PER_G
        start_s, end_s = max(float(at_s), drawn[0]), min(float(at_s + step_s), drawn[1])
        qualities |= dict.fromkeys(price.quality for price, _, _ in parts)
        if steps and steps[-1][1:] == (start_s, value):
            start_s = steps.pop()[0]
        steps.append((start_s, end_s, value))
    return Grid(fit(zone) or WORLD, ", ".join(sorted(qualities)), tuple(steps))


def _unseen(books: Books, scope: Scope, drawn: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    devices = {(seen.host, seen.device) for seen in query.seen(books.connection, scope)}
    gaps = [one.fact for one in books.holding if isinstance(one.fact, GapFact)]
    return _merged((g.start_ms / 1000, g.end_ms / 1000) for g in gaps if (g.host, g.device) in devices) if gaps else ()


def _merged(spans: Iterable[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    found: list[tuple[float, float]] = []
    for start_s, end_s in sorted(spans):
        if found and start_s <= found[-1][1]:
            start_s, end_s = found[-1][0], max(end_s, found.pop()[1])
        found.append((start_s, end_s))
    return tuple(found)
