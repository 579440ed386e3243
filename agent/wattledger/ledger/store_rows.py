"""What is read out of the store's tables: rows, where the chain stands, facts."""

import json
import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from wattledger.core.facts import Key, Known
from wattledger.ledger import store_journal as journals
from wattledger.ledger.body import NONSENSE, BadBody, decode, decode_key
from wattledger.ledger.columns import DAY_S
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.store_schema import KEY_ROWS, told

BATCH = 2_000
# The casts hold whatever a flipped bit makes of a column's type.
ROWS = (
    "SELECT seq, coalesce(CAST(body AS TEXT), ''), coalesce(CAST(hash AS BLOB), x'') FROM fact "
    "WHERE seq > ? AND seq <= ? ORDER BY seq"
)


class Row(NamedTuple):
    """A row of the chain as it is stored."""

    seq: int
    body: str
    hash: bytes


class Head(NamedTuple):
    """Where a chain stands: the last row's number (0: none yet), its hash, and when it was recorded."""

    seq: int
    hash: bytes
    recorded_s: int


class Withdrawal(NamedTuple):
    """A fact was taken back, and nothing put in its place."""

    id: str
    recorded_s: int
    corrects: str
    reason: str


def writer(db: sqlite3.Connection) -> str:
    return str(db.execute("SELECT writer FROM meta").fetchone()[0])


def floor_s(db: sqlite3.Connection) -> int:
    """The end of the last sealed day: nothing is recorded before it any more."""
    return int(db.execute("SELECT floor_s FROM meta").fetchone()[0])


def start(db: sqlite3.Connection) -> Head:
    """Before the first row held."""
    return Head(*db.execute("SELECT seq, hash, recorded_s FROM meta").fetchone())


def last_seq(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(seq), 0) FROM fact").fetchone()[0])


def head(db: sqlite3.Connection) -> Head:
    """After the last row.  Raises LedgerError where that row is damaged: nothing can follow it."""
    seq = last_seq(db)
    return at(db, seq) if seq else start(db)


def at(db: sqlite3.Connection, seq: int) -> Head:
    """After that row; zeros where it is not there."""
    for found, body, digest in db.execute(ROWS, (seq - 1, seq)):
        try:
            return Head(found, digest, int(json.loads(body)["recorded_s"]))
        except NONSENSE:
            raise LedgerError(f"row {seq} of the books is damaged: `wattledger ledger verify` says what is still good") from None
    return Head(0, b"", 0)


def rows(db: sqlite3.Connection, path: Path, after_seq: int, upto_seq: int) -> Iterator[Row]:
    """Rows in order, a batch at a time."""
    cursor = db.cursor()
    try:
        while after_seq < upto_seq:
            chunk = _batch(cursor, after_seq, min(upto_seq, after_seq + BATCH))
            after_seq += BATCH
            yield from map(Row._make, chunk)
    except sqlite3.Error as wrong:
        raise told(path, wrong) from None
    finally:
        cursor.close()


def _batch(cursor: sqlite3.Cursor, after_seq: int, upto_seq: int) -> list[Any]:
    try:
        return cursor.execute(ROWS, (after_seq, upto_seq)).fetchall()
    except sqlite3.OperationalError as wrong:
        if "UTF-8" not in str(wrong):
            raise
    found = cursor.execute(ROWS.replace("AS TEXT), ''", "AS BLOB), x''"), (after_seq, upto_seq)).fetchall()
    return [(seq, body.decode("utf-8", "surrogateescape"), digest) for seq, body, digest in found]


def keys_of(db: sqlite3.Connection, day: int) -> dict[int, Key]:
    """The keys that a recorded day has explained so far, as far as they are held.  Raises BadBody."""
    said = (decode_key(json.loads(body)) for body in key_texts(db, day).values())
    return {key.number: key.key for key in said}


def key_texts(db: sqlite3.Connection, day: int) -> dict[int, str]:
    """Number → body."""
    query = f"SELECT json_extract(body, '$.number'), body FROM fact WHERE {KEY_ROWS} AND recorded_s BETWEEN ? AND ?"
    return dict(db.execute(query, (day * DAY_S, (day + 1) * DAY_S - 1)))


def with_keys(db: sqlite3.Connection, body: str, day: int) -> str:
    """A journal as it is to be kept when the rows up to that day go; one that cannot be read stays as it is."""
    try:
        own = journals.day_of(body)
        return journals.with_keys(body, key_texts(db, own)) if own <= day else body
    except BadBody:
        return body


def facts(db: sqlite3.Connection, path: Path, name: str, kinds: Collection[str] | None) -> Iterator[Known | Withdrawal]:
    """The open part decoded.  ``name``: the writer's."""
    wanted = None if kinds is None else {*kinds}
    keys: dict[int, Key] = {}
    day = -1
    try:
        last = last_seq(db)
    except sqlite3.Error as wrong:
        raise told(path, wrong) from None
    for seq, body, _ in rows(db, path, 0, last):
        try:
            found = json.loads(body)
            kind, now = found["fact"], found["recorded_s"] // DAY_S
            if now != day:
                keys, day = {}, now
            if kind == "key":
                key = decode_key(found)
                keys[key.number] = key.key
            elif wanted is None or kind in wanted:
                fact_id = f"{name}:{seq}"
                known = decode(found, fact_id, keys)
                reason = str(found.get("because", found.get("reason", "")))
                yield known or Withdrawal(fact_id, found["recorded_s"], found["corrects"], reason)
        except NONSENSE as wrong:
            raise LedgerError(f"{path}: row {seq} is damaged: {wrong!s:.120}") from None
