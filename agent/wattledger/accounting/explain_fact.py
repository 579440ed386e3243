"""One fact, explained: what it says, where it stands in its chain, what corrects it, and what its joules came to in grams.

A fact that was learnt after ``as_of_s`` is explained too; that it was not known then is said.
"""

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from wattledger.accounting import made_up, prices
from wattledger.accounting import prices_live as live
from wattledger.accounting.explain import Slot, under
from wattledger.accounting.explain_place import Place, place_of
from wattledger.accounting.explain_tokens import Division, division
from wattledger.accounting.report_ask import Rules
from wattledger.accounting.reports import UnknownName
from wattledger.ledger.body import canonical
from wattledger.ledger.books import Books, Span
from wattledger.ledger.columns import COLUMNS, KEY_COLUMNS
from wattledger.ledger.engine import LedgerError, told
from wattledger.ledger.held import parsed, segment_of


class Correcting(NamedTuple):
    """A later fact that names an earlier one; ``withdraws``: and puts nothing in its place."""

    id: str
    recorded_s: int
    reason: str
    withdraws: bool


class Version(NamedTuple):
    """What was said of a window: ``body`` without its time, by these facts (the first first), learnt from then on."""

    body: dict[str, Any]
    ids: tuple[str, ...]
    learnt_s: int
    corrected_by: tuple[str, ...]
    in_force: bool


class Story(NamedTuple):
    """A fact as it stands.  ``columns``: the row of the books; ``known``: by then; ``why_not``: reports do not count it, because.

    ``slots``: of an energy fact, its prices.  ``versions``: of an intensity, all that was ever said of its window; ``in_force``:
    what holds there, of its signal and boundary.  ``division``: of an allocation, what it divides.  ``notes``: to disclose.
    """

    id: str
    columns: dict[str, Any]
    place: Place
    corrected_by: tuple[Correcting, ...]
    corrects: str
    reason: str
    known: bool
    why_not: str = ""
    slots: tuple[Slot, ...] = ()
    versions: tuple[Version, ...] = ()
    in_force: tuple[str, ...] = ()
    division: Division | None = None
    notes: tuple[str, ...] = ()


def story(places: Sequence[str | Path], fact_id: str, rules: Rules, as_of_s: int | None = None) -> Story:
    """Explain a fact (``WRITER:SEQ``).  Raises UnknownName (no such fact) and LedgerError."""
    writer, seq = parsed(fact_id)
    with Books(places) as books:
        row = _row(books, writer, seq)
        place = place_of(books, writer, seq, row["recorded_s"])
        known = as_of_s is None or row["recorded_s"] <= as_of_s
        corrected_by = tuple(one for one in _correcting(books, fact_id) if as_of_s is None or one.recorded_s <= as_of_s)
        reason = str(json.loads(row["body"]).get("because", ""))
        found = Story(fact_id, row, place, corrected_by, row["corrects"] or "", reason, known)
        if row["fact"] == "intensity":
            found = found._replace(versions=tuple(_versions(books, row)))
        if as_of_s is None:
            return _judged(books, found, rules, None)
    # Prices and corrections as they were then; the versions above are all that were ever said.
    with Books(places, Span(as_of_s=as_of_s)) as then:
        return _judged(then, found, rules, as_of_s)


def _judged(books: Books, found: Story, rules: Rules, as_of_s: int | None) -> Story:
    """With what depends on the time that is asked of."""
    row = found.columns
    found = found._replace(notes=tuple(made_up.notes(made_up.hosts(books.holding) & {row["host"]})))
    if row["fact"] == "energy":
        found = found._replace(slots=tuple(_slots(books, row, rules, as_of_s)))
    if row["fact"] == "allocation":
        found = found._replace(division=division(books, row))
    if row["fact"] == "intensity":
        holds = _in_force(books, row, rules, as_of_s)
        versions = tuple(one._replace(in_force=not {*one.ids}.isdisjoint(holds)) for one in found.versions)
        found = found._replace(versions=versions, in_force=holds)
    if not found.known:
        return found._replace(why_not="not known then")
    return found._replace(why_not=_why_not(books, row))


def _row(books: Books, writer: str, seq: int) -> dict[str, Any]:
    with told("the books"):
        sql = f"SELECT {', '.join(COLUMNS)} FROM {books.whole()} WHERE writer = ? AND seq = ?"
        rows = books.connection.execute(sql, [writer, seq]).fetchall()
    if rows:
        return dict(zip(COLUMNS, rows[0], strict=True))
    for place in books.places:
        if (segment := segment_of(place, f"{writer}:{seq}")) is not None:
            raise LedgerError(f"{writer}:{seq} was rolled up: of {segment.day} only sums are left, and the digests in its manifest")
    with told("the books"):
        sql = "SELECT writer, MAX(seq) FROM facts_all WHERE writer IS NOT NULL GROUP BY writer ORDER BY writer"
        last = dict(books.connection.execute(sql).fetchall())
    near = [f"{name}:{min(max(seq, 1), last[name])}" for name in difflib.get_close_matches(writer, last, n=1, cutoff=0.5)]
    raise UnknownName(f"no fact {writer}:{seq} in the books", near)


def _correcting(books: Books, fact_id: str) -> list[Correcting]:
    sql = "SELECT writer, seq, recorded_s, body, fact FROM facts_all WHERE corrects = ? ORDER BY recorded_s, writer, seq"
    with told("the books"):
        rows = books.connection.execute(sql, [fact_id]).fetchall()
    return [
        Correcting(f"{writer}:{seq}", recorded_s, str(json.loads(body).get("because", "")), fact == "withdrawal")
        for writer, seq, recorded_s, body, fact in rows
    ]


def _why_not(books: Books, row: dict[str, Any]) -> str:
    """Why reports do not sum this row, or empty."""
    with told("the books"):
        dead = books.connection.execute("SELECT 1 FROM dead WHERE writer = ? AND seq = ?", [row["writer"], row["seq"]]).fetchall()
        if dead:
            return "corrected since"
        if row["fact"] != "energy":
            return ""
        names = (*KEY_COLUMNS, "start_s", "length_s")
        sql = f"SELECT 1 FROM energy WHERE {' AND '.join(f'{name} = ?' for name in names)} LIMIT 1"
        there = books.connection.execute(sql, [row[name] for name in names]).fetchall()
    return "" if there else "another meter that goes first metered the same joules: those are counted"


def _slots(books: Books, row: dict[str, Any], rules: Rules, as_of_s: int | None) -> list[Slot]:
    start_s, length_s = row["start_s"], max(1, row["length_s"])
    now_s = as_of_s if as_of_s is not None else books.last_s
    found = prices.operational(
        row["zone"] or rules.zone, start_s, start_s + length_s, books.other,
        as_of_s=now_s, settle_s=rules.settle_s, providers=rules.providers,
    )  # fmt: skip
    return under((start_s, length_s), row["energy_uj"], row["pue_milli"], found)


def _in_force(books: Books, row: dict[str, Any], rules: Rules, as_of_s: int | None) -> tuple[str, ...]:
    """The facts that hold in the window, of this one's signal and boundary."""
    body = json.loads(row["body"])
    said = live.said(books.other, row["zone"], body.get("signal", "average"), as_of_s)
    best = live.ranked(live.with_boundary(said, body.get("boundary", "direct")), rules.providers)
    steps = live.sweep(best, row["start_s"], row["start_s"] + row["length_s"])
    return tuple(dict.fromkeys(fact_id for step in steps for fact_id in step.said.ids))


def _versions(books: Books, row: dict[str, Any]) -> list[Version]:
    """What was ever said of the same window, oldest first; the same words of many hosts are one version."""
    same = "fact = 'intensity' AND zone = ? AND start_s = ? AND length_s = ?"
    sql = f"SELECT writer, seq, recorded_s, body FROM facts_all WHERE {same} ORDER BY recorded_s, writer, seq"
    given = [row[name] for name in ("zone", "start_s", "length_s")]
    ids = f"SELECT writer || ':' || CAST(seq AS VARCHAR) FROM facts_all WHERE {same}"
    later = f"SELECT corrects, writer, seq FROM facts_all WHERE corrects IN ({ids})"
    with told("the books"):
        rows = books.connection.execute(sql, given).fetchall()
        corrected: dict[str, list[str]] = {}
        for corrects, writer, seq in books.connection.execute(f"{later} ORDER BY recorded_s, writer, seq", given).fetchall():
            corrected.setdefault(corrects, []).append(f"{writer}:{seq}")
    found: dict[str, Version] = {}
    for writer, seq, recorded_s, text in rows:
        body = {name: value for name, value in json.loads(text).items() if name != "recorded_s"}
        key, fact_id = canonical(body), f"{writer}:{seq}"
        sofar = found.get(key, Version(body, (), recorded_s, (), in_force=False))
        by = (*sofar.corrected_by, *corrected.get(fact_id, ()))
        found[key] = sofar._replace(ids=(*sofar.ids, fact_id), corrected_by=by)
    return list(found.values())
