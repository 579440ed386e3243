"""The life of a machine or a part, step by step: what each fact brought in and took out, and at what pace it is booked.

Two accounts are held against each other: what the periods book and the movements bring, added up here, and what the fold itself
says is carried.  They are equal, to the microgram, or one of them is wrong.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from wattledger.accounting.assets.books import fleet_of
from wattledger.accounting.assets.fold import Fleet
from wattledger.accounting.assets.life import Balance, Life, Movement, Passport, Period, Place
from wattledger.accounting.prices_live import standing
from wattledger.accounting.reports import UnknownName
from wattledger.core.facts import AssetFact, Known
from wattledger.ledger.books import Books

# What happens to a machine with all that is inside it.
WITH_PARTS = ("commission", "move", "install", "remove", "transfer", "second-life", "scrap")


class Step(NamedTuple):
    """What one fact (of its own, or of what it was inside of) did to an asset: micrograms that came and went, ``carried_ug`` after
    it, and where it was then.

    ``counted_ug`` is the same, counted here: what came, less what went, less what was booked till then."""

    asset: str
    known: Known
    fact: AssetFact
    moved: tuple[Movement, ...]
    carried_ug: int
    counted_ug: int
    place: Place


class AssetStory(NamedTuple):
    """An asset up to ``until_s``.  ``refused``: facts of it that break a rule and were left out."""

    life: Life
    steps: tuple[Step, ...]
    balance: Balance
    until_s: int
    refused: tuple[str, ...] = ()

    @property
    def is_equal(self) -> bool:
        """Whether both accounts agree after each event, at the begin of each period and at the end."""
        life = self.life
        begun = (period for period in life.periods if period.start_s <= self.until_s)
        begins = all(period.carried_ug == life.carried_ug(period.start_s) for period in begun)
        return begins and not self.balance.residual_ug and all(step.carried_ug == step.counted_ug for step in self.steps)


class Change(NamedTuple):
    """What the books have of an asset on a host (empty: in stock) with a fact, and would have without it; from a time on."""

    asset: str
    host: str
    from_s: int
    with_ug: int
    without_ug: int


class Effect(NamedTuple):
    """What an asset's fact does: ``steps`` of all assets that it touches; ``changes``: of what is booked until ``until_s``.

    ``why_none``: it does nothing, because; ``breaks``: which later events could not have happened without it, and why.
    """

    steps: tuple[Step, ...]
    changes: tuple[Change, ...]
    until_s: int
    why_none: str = ""
    breaks: tuple[str, ...] = ()


def asset(books: Books, name: str, *, to_s: int | None = None) -> AssetStory:
    """The life of an asset, till ``to_s`` or the last fact in the books.  Raises UnknownName and LedgerError."""
    until_s = _until_s(books, to_s)
    holds = {one.id: one for one in _holding(books.other)}
    fleet = fleet_of(books.other, until_s=until_s)
    if name not in fleet.lives:
        raise UnknownName(f"no asset {name!r} in the books", sorted(fleet.lives))
    life = fleet.lives[name]
    refused = tuple(f"{breach.event}: {breach.message}" for breach in fleet.refused if breach.asset == name)
    return AssetStory(life, tuple(_steps(life, fleet, holds)), life.balance(until_s), until_s, refused)


def effect(books: Books, fact_id: str, *, to_s: int | None = None) -> Effect:
    """What one asset fact of the books does to the lives of machines.  Raises LedgerError."""
    until_s = _until_s(books, to_s)
    holds = {one.id: one for one in _holding(books.other)}
    if fact_id not in holds:
        return Effect((), (), until_s, "it was corrected since: what took its place counts")
    fleet = fleet_of(books.other, until_s=until_s)
    refused = [breach.message for breach in fleet.refused if breach.event == fact_id]
    if refused:
        return Effect((), (), until_s, f"it was left out, because it breaks a rule: {refused[0]}")
    at_s = getattr(holds[fact_id].fact, "at_s", 0)
    near = [life for life in fleet.lives.values() if at_s in life.account.at_s]
    steps = [step for life in near for step in _steps(life, fleet, holds) if step.known.id == fact_id]
    if not steps:
        return Effect((), (), until_s, "it happens after that time")
    # Without a correction, what it corrects would hold.
    without = fleet_of((one for one in books.other if one.id != fact_id), until_s=until_s)
    already = {(breach.rule, breach.event) for breach in fleet.refused}
    breaks = tuple(breach.message for breach in without.refused if (breach.rule, breach.event) not in already)
    now, then = _booked(fleet, until_s), _booked(without, until_s)
    changes = [
        Change(asset, host, steps[0].fact.at_s, now.get((asset, host), 0), then.get((asset, host), 0))
        for asset, host in sorted({*now, *then})
        if now.get((asset, host), 0) != then.get((asset, host), 0)
    ]
    return Effect(tuple(steps), tuple(changes), until_s, breaks=breaks)


def rate_g_per_h(period: Period) -> float:
    """Grams an hour: r = C / (EL - age)."""
    return period.carried_ug / period.life_left_s * 3600 / 1e6 if period.life_left_s else 0.0


def counted_ug(life: Life, at_s: int, facts: Collection[str]) -> int:
    """What is carried at a time after these facts, counted by hand: what came, less what went, less what was booked till then."""
    signs: Mapping[str, int] = {"made": 1, "added": 1, "transferred-in": 1, "written-off": -1, "transferred-out": -1}
    came_ug = sum(signs[moved.cause] * moved.ug for moved in life.movements if moved.at_s <= at_s and moved.fact in facts)
    return came_ug - sum(period.booked_ug(period.start_s, at_s) for period in life.periods if period.start_s < at_s)


def sources(passport: Passport) -> Mapping[str, str]:
    """Where the figure of its making comes from, word by word, as far as it is said."""
    words = ("method", "boundary", "source", "year")
    said = {word: str(getattr(passport, word)) for word in words}
    said["licence"] = passport.details.get("licence", "")
    return {word: value for word, value in said.items() if value}


def facts_of(life: Life, fleet: Fleet, known: Iterable[Known]) -> tuple[str, ...]:
    """The facts that made an asset's life what it is, in the order in which they happened."""
    return tuple(each.id for each, _ in _touching(life, fleet, {one.id: one for one in known}))


def _touching(life: Life, fleet: Fleet, holds: Mapping[str, Known]) -> list[tuple[Known, AssetFact]]:
    """In the order in which they happened; events of what it was inside of, too, where they touched it."""
    touching = {*life.events, *(moved.fact for moved in life.movements), *_from_around(life, fleet, holds)}
    facts = [(one, one.fact) for fact_id in touching if isinstance((one := holds[fact_id]).fact, AssetFact)]
    order = {fact_id: number for number, fact_id in enumerate(life.events)}
    return sorted(facts, key=lambda each: (each[1].at_s, order.get(each[0].id, len(order)), each[0].recorded_s, each[0].id))


def _steps(life: Life, fleet: Fleet, holds: Mapping[str, Known]) -> Iterator[Step]:
    done: set[str] = set()
    ordered = _touching(life, fleet, holds)
    for number, (known, fact) in enumerate(ordered):
        done.add(known.id)
        mine_ug = counted_ug(life, fact.at_s, done)
        # Of events of one second only what all of them come to stands in the fold's own account.
        last = number + 1 == len(ordered) or ordered[number + 1][1].at_s != fact.at_s
        moved = tuple(each for each in life.movements if each.fact == known.id)
        places = [stay.place for stay in life.stays if stay.start_s <= fact.at_s]
        place = places[-1] if places else life.place
        yield Step(life.passport.asset, known, fact, moved, life.carried_ug(fact.at_s) if last else mine_ug, mine_ug, place)


def _from_around(life: Life, fleet: Fleet, holds: Mapping[str, Known]) -> Iterator[str]:
    """Events of what it was inside of at that time, at which the fold took this asset's account anew."""
    for at_s in life.account.at_s:
        around, more = set[str](), _inside(life, at_s)
        while more:
            around |= more
            more = {name for each in more for name in _inside(fleet.lives[each], at_s)} - around
        for fact_id in (fact_id for name in sorted(around) for fact_id in fleet.lives[name].events):
            fact = holds[fact_id].fact
            if isinstance(fact, AssetFact) and fact.at_s == at_s and (fact.event in WITH_PARTS or "owner" in dict(fact.details)):
                yield fact_id


def _inside(life: Life, at_s: int) -> set[str]:
    """Before and after a time."""
    near = (stay for stay in life.stays if stay.start_s <= at_s and (stay.end_s is None or stay.end_s >= at_s))
    return {stay.place.inside for stay in near} - {""}


def _until_s(books: Books, to_s: int | None) -> int:
    if to_s is not None:
        return to_s
    return max([books.last_s or 0, *(one.fact.at_s for one in _holding(books.other) if isinstance(one.fact, AssetFact))])


def _holding(known: Iterable[Known]) -> list[Known]:
    """The asset facts that hold."""
    mine = {one.id for one in known if isinstance(one.fact, AssetFact)}
    found = standing((one for one in known if one.id in mine or one.corrects in mine), None)
    return [each.known for each in found if isinstance(each.known.fact, AssetFact)]


def _booked(fleet: Fleet, until_s: int) -> dict[tuple[str, str], int]:
    found: dict[tuple[str, str], int] = {}
    for life in fleet.lives.values():
        for period in life.periods:
            key = period.asset, period.place.host
            found[key] = found.get(key, 0) + period.booked_ug(period.start_s, until_s)
    return found
