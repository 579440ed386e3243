"""What is in the books already: a fact by its id, and the facts that people wrote."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from wattledger.core.facts import AllocationFact, Fact, Key, Known
from wattledger.ledger import lake
from wattledger.ledger.body import KEYED, KINDS, decode
from wattledger.ledger.books import Books
from wattledger.ledger.columns import COLUMNS, KEY_COLUMNS, unescaped
from wattledger.ledger.compaction import root_of
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.manifest import Segment


class Found(NamedTuple):
    """A fact as it stands in the books, and the id of the newest that corrects it (empty: none)."""

    known: Known
    corrected_by: str


def find(places: Sequence[str | Path], fact_id: str) -> Found | None:
    """The fact of this id, if it is there on its own (one that was rolled up is not).  Raises LedgerError."""
    writer, seq = parsed(fact_id)
    with Books(places) as books:
        sql = f"SELECT {', '.join(COLUMNS)} FROM {books.whole()} WHERE writer = ? AND seq = ?"
        rows = books.connection.execute(sql, [writer, seq]).fetchall()
        sql = "SELECT writer, seq FROM facts_all WHERE corrects = ? ORDER BY recorded_s DESC, writer DESC, seq DESC"
        later = books.connection.execute(sql, [fact_id]).fetchall()
    if not rows:
        return None
    row = dict(zip(COLUMNS, rows[0], strict=True))
    by = ":".join(map(str, later[0])) if later else ""
    if row["fact"] in ("key", "withdrawal"):
        said = "explains a key" if row["fact"] == "key" else "withdraws another fact"
        raise LedgerError(f"{fact_id} {said}: that cannot be corrected")
    return Found(_known(row, fact_id), by)


def facts_of_people(folder: Path) -> set[Fact]:
    """The contracts, intensities and purchases that hold now.  Raises LedgerError."""
    with Books([folder]) as books:
        return {known.fact for known in books.other}


def segment_of(place: str | Path, fact_id: str) -> Segment | None:
    """The sealed segment that the fact is or was in.  Raises LedgerError."""
    writer, seq = parsed(fact_id)
    sealed = (one.segment for one in lake.fetch_manifests(root_of(place)))
    return next((one for one in sealed if one.writer == writer and one.first_seq <= seq <= one.last_seq), None)


def parsed(fact_id: str) -> tuple[str, int]:
    """WRITER:SEQ in parts.  Raises LedgerError."""
    writer, _, seq = fact_id.rpartition(":")
    if not writer or not (seq.isascii() and seq.isdigit()) or len(seq) > 18:
        raise LedgerError(f"{fact_id!r} is no fact's id: it is WRITER:NUMBER, as `wattledger ledger export` says it")
    return writer, int(seq)


def new_only(facts: Iterable[Fact], held: set[Fact]) -> list[Fact]:
    """Those that are not held yet, in order."""
    return [fact for fact in facts if fact not in held]


def _known(row: dict[str, Any], fact_id: str) -> Known:
    """A row of the table as the fact it is; one that has a key from its columns, since a key is explained elsewhere."""
    kind = KINDS[row["fact"]]
    if row["fact"] not in KEYED:
        known = decode(json.loads(row["body"]), fact_id, {})
        assert known is not None
        return known
    labels = tuple(sorted(json.loads(row["labels"]).items())) if row["labels"] else ()
    key = Key(**{**{name: row[name] for name in KEY_COLUMNS}, "labels": labels})
    own = {name: row[name] for name in kind._fields if name != "key"}
    if kind is AllocationFact:
        own |= {"weak": bool(row["weak"]), **{name: unescaped(row[name]) for name in ("request", "tenant")}}
    said = json.loads(row["body"]) if row["body"] else {}
    return Known(fact_id, row["recorded_s"], kind(key=key, **own), row["corrects"] or "", said.get("because", ""))
