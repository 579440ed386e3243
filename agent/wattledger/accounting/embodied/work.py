"""Machines whose carbon is spread over work, not time: jobs pay for what they did, and what the plan was off by is a line.

The passport says ``el_work`` units of ``work_unit`` (``energy_j``, ``tokens`` or ``requests``) for its whole life.  The books'
amortisation goes by time; of a time's part jobs are charged for their work at the planned price of a unit, and the rest is
``(true-up)``: positive where less was done than planned, negative where more was.
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from wattledger.accounting.assets.life import HOUR_S, Life
from wattledger.accounting.embodied.entries import TRUE_UP, Booked, Due
from wattledger.accounting.embodied.made import Figure
from wattledger.accounting.embodied.shares import Piece, Span
from wattledger.core.attribution import split
from wattledger.ledger import query_embodied as query
from wattledger.ledger.books import Books
from wattledger.ledger.query_embodied import Worked

UJ_PER_J = 1_000_000
COUNTED = ("tokens", "requests")
SCHEME = "work"

Words = Mapping[str, Mapping[str, str]]  # asset → what its events say


class Done(NamedTuple):
    """What the books say was done, by host and window, and what assets say of their plans.

    ``by_group``: of a report of devices it is not known which of them did it."""

    by_host: Mapping[str, Sequence[Worked]]
    words: Words
    by_group: bool


class Charged(NamedTuple):
    """What jobs pay for their work, by the units each did (or, where these are not known one by one, by energy)."""

    ug: int
    units: Mapping[tuple[str, tuple[str, ...]], int]


def gather(books: Books, dues: Sequence[Due], words: Words, kind: str, span: Span) -> Done:
    """Tokens and requests of the hosts whose assets are spread over them."""
    said = [words.get(due.period.asset, {}) for due in dues]
    found: dict[str, list[Worked]] = {}
    if any(each.get("scheme") == SCHEME and each.get("work_unit") in COUNTED for each in said):
        for row in query.worked(books.connection, kind, span.from_s, span.to_s):
            found.setdefault(row.host, []).append(row)
    return Done(found, words, kind != "device")


def book(due: Due, life: Life, figure: Figure, at: tuple[Piece, Done]) -> Iterator[Booked]:
    """One piece of time."""
    piece, done = at
    booked_ug = due.period.booked_ug(piece.from_s, piece.to_s)
    charged = _charged(due, life, piece, done)
    parts = split(charged.ug, list(charged.units.values()))
    for (job, group), ug in zip(charged.units, parts, strict=True):
        if ug:
            yield Booked(due.period.asset, figure, job, group, piece.bucket_s, ug)
    if booked_ug != charged.ug:
        yield Booked(due.period.asset, figure, TRUE_UP, None, piece.bucket_s, booked_ug - charged.ug)


def _charged(due: Due, life: Life, piece: Piece, done: Done) -> Charged:
    period, said = due.period, done.words.get(due.period.asset, {})
    planned = _planned(said.get("el_work", ""))
    unit = said.get("work_unit", "energy_j")
    units = _units(unit, due, piece, done)
    whole = sum(units.values())
    weights = units if done.by_group else _units("energy_j", due, piece, done)
    if not planned or not whole or not weights:
        return Charged(0, {})
    scale = 1 if unit in COUNTED else UJ_PER_J
    # The period's carbon is for what is left of the life, and so of the work.
    left = planned * Fraction(period.life_left_s, life.el_s or HOUR_S) * scale
    return Charged(int(period.carried_ug * whole / left) if left else 0, weights)


def _units(unit: str, due: Due, piece: Piece, done: Done) -> dict[tuple[str, tuple[str, ...]], int]:
    found: dict[tuple[str, tuple[str, ...]], int] = {}
    if unit not in COUNTED:
        for each in piece.taken:
            found[each.job, each.group] = found.get((each.job, each.group), 0) + each.energy_uj
        return found
    for row in done.by_host.get(due.period.place.host, ()):
        if piece.from_s <= row.start_s < piece.to_s:
            units = row.tokens if unit == "tokens" else row.requests
            found[row.job, row.group] = found.get((row.job, row.group), 0) + units
    return found


def _planned(text: str) -> Fraction:
    try:
        return max(Fraction(0), Fraction(text))
    except (ValueError, ZeroDivisionError):
        return Fraction(0)
