"""Which of the things that providers said holds at each instant: versions, corrections, windows that overlap."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import pairwise
from typing import NamedTuple

from wattledger.core.facts import IntensityFact, Known, Signal

# No grid emits less than nothing, and none comes near five kilograms a kWh (the dirtiest plants emit some 1.3): such a value is a
# provider's mistake or a wrong unit.
IMPOSSIBLE_UG_PER_KWH = 5_000_000_000

Learnt = tuple[int, str, int]


class Standing(NamedTuple):
    """A fact that holds.  ``learnt``: when the place it stands in was taken: a correction takes that of the fact it corrects, so
    that mending an old version does not make it newer than the one that followed."""

    known: Known
    learnt: Learnt


class Said(NamedTuple):
    """An intensity that holds, the ids of the facts it was made from, and how late it was learnt."""

    fact: IntensityFact
    ids: tuple[str, ...]
    learnt: Learnt


class Step(NamedTuple):
    """From ``start_s`` to ``end_s`` this is what holds; its own window may be longer."""

    start_s: int
    end_s: int
    said: Said


def standing(known: Iterable[Known], as_of_s: int | None) -> list[Standing]:
    """The facts that hold as of then (``None``: all that is known), corrections applied by id, in the order they were learnt.

    Of two corrections of one fact the later holds.  Withdrawn facts are left out by who reads them.  One id twice is one fact.
    """
    seen = {one.id: one for one in known if as_of_s is None or one.recorded_s <= as_of_s}
    by: dict[str, Known] = {}
    for one in seen.values():
        if one.corrects and (one.corrects not in by or _learnt(by[one.corrects]) < _learnt(one)):
            by[one.corrects] = one
    found = []
    for one in seen.values():
        root = _root(one, seen, by)
        if root is not None and one.id not in by:
            found.append(Standing(one, _learnt(root)))
    return sorted(found, key=lambda each: (each.learnt, each.known.id))


def said(known: Iterable[Known], zone: str, signal: Signal, as_of_s: int | None) -> list[Said]:
    """What holds of one zone's intensities; impossible values and empty windows are left out."""
    # Only intensities are looked at: the books hold a thousand joules for each of them.
    mine = (one for one in known if isinstance(one.fact, IntensityFact))
    found = []
    for each in standing(mine, as_of_s):
        fact = each.known.fact
        if not isinstance(fact, IntensityFact) or fact.zone != zone or fact.signal != signal or fact.length_s <= 0:
            continue
        if 0 <= fact.ug_per_kwh <= IMPOSSIBLE_UG_PER_KWH:
            found.append(Said(fact, (each.known.id,), each.learnt))
    return found


def ranked(found: Iterable[Said], providers: Sequence[str]) -> list[Said]:
    """Best first: what was observed before what was forecast, then the providers in the order given (others after, by name), then
    the finer window, then what was learnt last (at one instant: measured before estimated)."""
    place = {provider: number for number, provider in reversed(list(enumerate(providers)))}
    latest = sorted(found, key=_lateness, reverse=True)

    def rank(one: Said) -> tuple[bool, int, str, int]:
        fact = one.fact
        return fact.forecast, place.get(fact.provider, len(place)), fact.provider, fact.length_s

    return sorted(latest, key=rank)


def sweep(best_first: Sequence[Said], start_s: int, end_s: int) -> list[Step]:
    """The steps between two times, sorted and disjoint; where nothing was said there is none."""
    near = [(one.fact.start_s, one.fact.start_s + one.fact.length_s, one) for one in best_first]
    near = [each for each in near if each[0] < end_s and each[1] > start_s]
    cuts = sorted({start_s, end_s} | {min(max(cut, start_s), end_s) for begin, stop, _ in near for cut in (begin, stop)})
    waiting = sorted(((begin, place) for place, (begin, _, _) in enumerate(near)), reverse=True)
    open_: list[int] = []
    steps: list[Step] = []
    for here, then in pairwise(cuts):
        while waiting and waiting[-1][0] <= here:
            heappush(open_, waiting.pop()[1])
        while open_ and near[open_[0]][1] <= here:
            heappop(open_)
        if not open_:
            continue
        holds = near[open_[0]][2]
        if steps and steps[-1].said is holds and steps[-1].end_s == here:
            steps[-1] = Step(steps[-1].start_s, then, holds)
        else:
            steps.append(Step(here, then, holds))
    return steps


def pairs(found: Iterable[Said]) -> list[Said]:
    """Upstream intensities: said as such, or one provider's life-cycle less its direct value of the same window.

    Never across providers, and never below zero: such a pair says nothing of the upstream part.
    """
    newest: dict[tuple[str, int, int, bool], dict[str, Said]] = {}
    for one in sorted(found, key=_lateness):
        fact = one.fact
        newest.setdefault((fact.provider, fact.start_s, fact.length_s, fact.forecast), {})[fact.boundary] = one
    return [upstream for by in newest.values() for upstream in _upstream(by)]


def holes(windows: Iterable[tuple[int, int]], start_s: int, end_s: int) -> Iterator[tuple[int, int]]:
    """What sorted, disjoint ``(start_s, end_s)`` leave open."""
    at_s = start_s
    for begin_s, stop_s in windows:
        if begin_s > at_s:
            yield at_s, min(begin_s, end_s)
        at_s = max(at_s, stop_s)
    if at_s < end_s:
        yield at_s, end_s


def with_boundary(found: Sequence[Said], boundary: str) -> list[Said]:
    """Those of one boundary."""
    return [one for one in found if one.fact.boundary == boundary]


def overlapping(start_s: int, end_s: int) -> Callable[[Said], bool]:
    """Whether something was said of any part of a time."""
    return lambda one: one.fact.start_s < end_s and one.fact.start_s + one.fact.length_s > start_s


def _upstream(by: dict[str, Said]) -> Iterator[Said]:
    if "upstream" in by:
        yield by["upstream"]
    elif "direct" in by and "lifecycle" in by:
        direct, whole = by["direct"], by["lifecycle"]
        difference_ug = whole.fact.ug_per_kwh - direct.fact.ug_per_kwh
        if difference_ug >= 0:
            fact = whole.fact._replace(
                ug_per_kwh=difference_ug, boundary="upstream", estimated=whole.fact.estimated or direct.fact.estimated
            )
            yield Said(fact, (*whole.ids, *direct.ids), max(whole.learnt, direct.learnt))


def _root(one: Known, seen: dict[str, Known], by: dict[str, Known]) -> Known | None:
    """The fact whose place ``one`` stands in; ``None`` where a later correction took that place."""
    steps = 0
    while one.corrects:
        steps += 1
        if by[one.corrects] is not one or steps > len(seen):  # the second: corrections in a ring, which nobody can have meant
            return None
        if one.corrects not in seen:
            return one
        one = seen[one.corrects]
    return one


def _learnt(one: Known) -> Learnt:
    writer, _, seq = one.id.rpartition(":")
    return one.recorded_s, writer, int(seq) if seq.isdecimal() else 0


def _lateness(one: Said) -> tuple[int, bool, int, str, int]:
    recorded_s, writer, seq = one.learnt
    # Two writers that learnt different values in one second: by the value, because their names were drawn by lot.
    return recorded_s, not one.fact.estimated, one.fact.ug_per_kwh, writer, seq
