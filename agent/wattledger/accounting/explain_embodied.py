"""How a report's embodied grams were computed: each asset, each time, what it booked then, and whose part of that time it was.

M = TE x time share x resource share (ISO/IEC 21031): an asset books ``carried x seconds / life left`` in a time, to the microgram,
and that is divided by the nanoseconds that each job is held to have had of it.  What is counted here asset by asset is held against
what the report booked: both are ints, so they are equal or one of them is wrong.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from wattledger.accounting import made_up
from wattledger.accounting.assets.life import Life, Period
from wattledger.accounting.embodied import estimates, overhead, work
from wattledger.accounting.embodied.booking import Embodieds, Ready
from wattledger.accounting.embodied.entries import Booked, Due
from wattledger.accounting.embodied.estimates import Guessed
from wattledger.accounting.embodied.methods import method_of
from wattledger.accounting.embodied.shares import Piece, Shares
from wattledger.accounting.explain_asset import facts_of
from wattledger.accounting.explain_embodied_why import Why, whys_of
from wattledger.accounting.report_ask import Ask, Rules, of_day
from wattledger.accounting.reports import report
from wattledger.core.attribution import split
from wattledger.core.facts import Known
from wattledger.ledger.books import Books
from wattledger.ledger.query import GROUPS, NAMED, Scope
from wattledger.ledger.query_embodied import Segment

Group = tuple[str, ...]


class Pay(NamedTuple):
    """What an asset booked in ``[from_s, to_s)`` and how much of that, ``ug``, stands under the name that is asked of.

    ``mine_ns`` of ``of_ns``: the time that it is divided by, as far as it is (``how``: ``time``); by ``work``, ``spread`` over
    hosts and of an ``estimate`` other weights go before that, and ``formula`` says which.  ``period``: of an asset with a passport.
    ``whys``: what ``mine_ns`` is made of.
    """

    asset: str
    how: str
    formula: str
    from_s: int
    to_s: int
    booked_ug: int
    mine_ns: int
    of_ns: int
    ug: int
    period: Period | None = None
    whys: tuple[Why, ...] = ()


class Payer(NamedTuple):
    """An asset that was paid for: what its figure stands on, and the facts of its life so far; or the estimate in their place."""

    asset: str
    life: Life | None
    guessed: Guessed | None
    facts: tuple[str, ...]


class EmbodiedFigure(NamedTuple):
    """A report's embodied micrograms.  ``reported``: by asset, what was booked; ``reported_ug``: what the report's total says."""

    ask: Ask
    found: Embodieds
    payers: tuple[Payer, ...]
    pays: tuple[Pay, ...]
    reported: Mapping[str, int]
    reported_ug: int
    notes: tuple[str, ...]

    @property
    def counted(self) -> dict[str, int]:
        """By asset, what was counted here."""
        sums: dict[str, int] = {}
        for pay in self.pays:
            sums[pay.asset] = sums.get(pay.asset, 0) + pay.ug
        return {asset: ug for asset, ug in sums.items() if ug}

    @property
    def is_equal(self) -> bool:
        """Whether both are the same, asset by asset, and together what the report says."""
        return self.counted == self.reported and sum(self.counted.values()) == self.reported_ug


def explain(books: Books, ask: Ask, rules: Rules) -> EmbodiedFigure:
    """Of a report's total, without what nobody metered, by ``rules.allocation``.  Raises what ``report`` raises, and ValueError
    where embodied carbon is left out as configured."""
    ask = of_day(ask)._replace(by=None, marginal=False)
    said = report(books, ask, rules)
    found = said.embodied
    if found is None:
        raise ValueError("embodied carbon is left out as configured ([embodied] enabled)")
    mine, reported = _Mine(ask), dict[str, int]()
    for one in found.booked:
        if mine.is_in(one.group):
            reported[one.asset] = reported.get(one.asset, 0) + one.ug
    ready = Ready(books, ask, rules)
    shares = ready.shares(method_of(rules.allocation), dict(rules.prices) or None)
    whys = whys_of(books, ask) if any(due.binding is not None for due in ready.dues) else {}
    pays = tuple(pay for pay in _pays(ready, shares, mine, whys) if pay.ug)
    reported = {asset: ug for asset, ug in reported.items() if ug}
    reported_ug = 0 if said.total.made is None else said.total.made.ug
    notes = (*made_up.notes(made_up.within(books, Scope(ask.kind, ask.name, ask.from_s, ask.to_s))), *found.notes)
    return EmbodiedFigure(ask, found, tuple(_payers(ready, pays, books.other)), pays, reported, reported_ug, notes)


class _Mine:
    """What of the report is asked of."""

    def __init__(self, ask: Ask) -> None:
        self._name = ask.name if ask.kind in NAMED else None
        self._at = GROUPS[ask.kind].index(NAMED[ask.kind]) if ask.kind in NAMED else 0

    def is_in(self, group: Group | None) -> bool:
        """What stands apart from all lines is nobody's."""
        return group is not None and (self._name is None or group[self._at] == self._name)


def _pays(ready: Ready, shares: Shares, mine: _Mine, whys: Mapping[Segment, tuple[Why, ...]]) -> Iterator[Pay]:
    for due in ready.dues:
        if due.binding is None:
            continue
        by_work = ready.words.get(due.period.asset, {}).get("scheme") == work.SCHEME
        for piece in shares.of(due.binding, due.period.start_s, due.period.end_s):
            because = whys.get(Segment(due.binding, piece.from_s, piece.to_s), ())
            yield _by_work(ready, due, piece, mine) if by_work else _by_time(due, piece, mine)._replace(whys=because)
    for one in ready.spread:
        booked = list(overhead.book([one], shares, ready.figures))
        from_s, to_s = shares.span.clip(one.period.start_s, one.period.end_s)
        whole = sum(each.ug for each in booked)
        said = f"spread over {len(one.hosts)} hosts by {one.key}, then by each host's time"
        yield Pay(one.period.asset, "spread", said, from_s, to_s, whole, 0, 0, _sum(booked, mine), one.period)
    for guess in ready.guessed:
        booked = list(estimates.book([guess], shares))
        whole = sum(each.ug for each in booked)
        said = "kg / life x metered time, divided by time"
        span = shares.span
        yield Pay(booked[0].asset if booked else "", "estimate", said, span.from_s, span.to_s, whole, 0, 0, _sum(booked, mine))


def _by_time(due: Due, piece: Piece, mine: _Mine) -> Pay:
    booked_ug = due.period.booked_ug(piece.from_s, piece.to_s)
    weights = [*(each.ns for each in piece.taken), piece.unseen_ns]
    parts = split(booked_ug, weights)
    own = [n for n, each in enumerate(piece.taken) if mine.is_in(each.group)]
    mine_ns, ug = sum(weights[n] for n in own), sum(parts[n] for n in own)
    said = "carried x seconds / life left, divided by time"
    return Pay(due.period.asset, "time", said, piece.from_s, piece.to_s, booked_ug, mine_ns, sum(weights), ug, due.period)


def _by_work(ready: Ready, due: Due, piece: Piece, mine: _Mine) -> Pay:
    asset = due.period.asset
    booked = list(work.book(due, ready.fleet.lives[asset], ready.figures[asset], (piece, ready.work)))
    whole = sum(each.ug for each in booked)
    said = "carried x work done / work left, divided by work"
    return Pay(asset, "work", said, piece.from_s, piece.to_s, whole, 0, 0, _sum(booked, mine), due.period)


def _sum(booked: Iterable[Booked], mine: _Mine) -> int:
    return sum(each.ug for each in booked if mine.is_in(each.group))


def _payers(ready: Ready, pays: Iterable[Pay], known: Sequence[Known]) -> Iterator[Payer]:
    by_name = {f"estimate:{guess.asset}": guess for guess in ready.guessed}
    for asset in dict.fromkeys(pay.asset for pay in pays):
        life = ready.fleet.lives.get(asset)
        facts = facts_of(life, ready.fleet, known) if life is not None else ()
        yield Payer(asset, life, by_name.get(asset) if life is None else None, facts)
