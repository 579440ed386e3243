"""Is the open part whole?  The chain link by link and what each body says, in one pass; SQLite's own check beside it."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from wattledger.core.facts import Key
from wattledger.ledger.body import NONSENSE, BadBody, decode, decode_key
from wattledger.ledger.chain import genesis
from wattledger.ledger.columns import DAY_S
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.plain import ENERGY_BYTES
from wattledger.ledger.store import OPEN, Head
from wattledger.ledger.store_schema import STEPS, connect, prepare, told

BATCH = 5_000
ROWS = "SELECT seq, CAST(body AS BLOB), hash FROM fact WHERE seq > ? ORDER BY seq"


class Checked(NamedTuple):
    """How far the open part is good: ``head`` is after the last row that is chained.

    ``seq`` and ``wrong``: the first that is not.  ``no_fact``: the first chained row whose body is no fact, and why.  ``file``:
    what is wrong with the file itself.  ``allocates``: whether any fact is an allocation.
    """

    writer: str
    start: Head
    head: Head
    seq: int | None = None
    wrong: str = ""
    no_fact: tuple[int, str] | None = None
    file: str = ""
    allocates: bool = False


def check(folder: Path) -> Checked:
    """All of it.  Raises LedgerError where the rows cannot be read at all."""
    # SQLite checks its file without Python's lock: beside the rows it costs no time.
    with ThreadPoolExecutor(1) as beside:
        file = beside.submit(_file, folder)
        checked = _rows(folder)
    return checked._replace(file=file.result())


def _rows(folder: Path) -> Checked:
    with _reading(folder) as db:
        writer, *start = db.execute("SELECT writer, seq, hash, recorded_s FROM meta").fetchone() or ("", 0, b"", 0)
        before = Head(*start)
        if not writer or (before.seq == 0 and before.hash != genesis(writer)):
            return Checked(writer, before, before, None, "the chain does not begin as this writer's does")
        at, wrong, no_fact, bodies = before, "", None, _Bodies(before.recorded_s)
        try:
            cursor = db.execute(ROWS, (before.seq,))
            while not wrong and (rows := cursor.fetchmany(BATCH)):
                first, (at, wrong) = at.seq, _links(at, rows)
                no_fact = no_fact or bodies.first_bad(rows[: at.seq - first])
        except sqlite3.Error as failed:
            wrong = str(told(folder / OPEN, failed))
        if not wrong and db.execute("SELECT count(*) FROM fact WHERE seq <= ?", (before.seq,)).fetchone()[0]:
            return Checked(writer, before, at, None, f"facts up to {before.seq} are here, though they were sealed", no_fact)
        return Checked(writer, before, at, at.seq + 1 if wrong else None, wrong, no_fact, allocates=bodies.allocates)


def _file(folder: Path) -> str:
    """What SQLite finds wrong with its file, or that the schema is not ours to the letter; else empty."""
    try:
        with _reading(folder) as db:
            [(said,)] = db.execute("PRAGMA integrity_check(1)").fetchall()
            if said != "ok":
                return f"SQLite finds its file damaged: {' '.join(str(said).split())[:200]}"
            return "" if _schema_holds(db) else "the database's schema was changed"
    except LedgerError as wrong:
        return str(wrong)


def journals(folder: Path) -> int:
    """How many meters have open minutes there."""
    with _reading(folder) as db:
        return int(db.execute("SELECT count(*) FROM journal").fetchone()[0])


def _schema_holds(db: sqlite3.Connection) -> bool:
    ours = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for statement in ";\n".join(STEPS).split(";\n"):
            ours.execute(statement)
        query = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name"
        return ours.execute(query).fetchall() == db.execute(query).fetchall()
    finally:
        ours.close()


class _Bodies:
    """What the bodies so far have said.  State: the time of the last one, its day, and the keys explained on it."""

    def __init__(self, last_s: int) -> None:
        self.recorded = b""
        self.keys: set[bytes] = set()
        self._explained: dict[int, Key] = {}
        self._last_s, self._day, self.allocates = last_s, -1, False

    def first_bad(self, rows: Sequence[tuple[int, bytes, bytes]]) -> tuple[int, str] | None:
        """The first of these rows, in order, whose body is no fact, uses a key that was not explained that day, or goes back in
        time."""
        match = ENERGY_BYTES.fullmatch
        for seq, body, _ in rows:
            plain = match(body)
            try:
                if plain is None:
                    self.take(body)
                    continue
                key, recorded = plain.group(2, 4)
                if recorded != self.recorded:
                    self.move_to(recorded)
                if key not in self.keys:
                    raise BadBody(f"key {int(key)} was not explained before on that day")
            except NONSENSE as wrong:
                return seq, f"its body is no fact: {wrong}"
        return None

    def move_to(self, recorded: bytes) -> None:
        """Time goes on.  BadBody where it runs backwards."""
        recorded_s = int(recorded)
        if recorded_s < self._last_s:
            raise BadBody("it was recorded before the one before it")
        if recorded_s // DAY_S != self._day:
            self.keys, self._explained, self._day = set(), {}, recorded_s // DAY_S
        self.recorded, self._last_s = recorded, recorded_s

    def take(self, body: bytes) -> None:
        """A body that is not plain.  Raises BadBody, or what JSON raises."""
        found: dict[str, Any] = json.loads(body.decode())
        self.move_to(b"%d" % found["recorded_s"])
        if found["fact"] == "key":
            said = decode_key(found)
            self.keys.add(b"%d" % said.number)
            self._explained[said.number] = said.key
        else:
            decode(found, "", self._explained)
            self.allocates = self.allocates or found["fact"] == "allocation"


def _links(at: Head, rows: Sequence[tuple[int, bytes, bytes]]) -> tuple[Head, str]:
    """How far these rows follow from ``at``, and what is wrong with the first that does not."""
    sha, head, seq = sha256, at.hash, at.seq
    for found, body, digest in rows:
        if found != seq + 1:
            return Head(seq, head, 0), f"{found - seq - 1} facts are missing here"
        if body is None or sha(head + body).digest() != digest:
            return Head(seq, head, 0), "the chain is broken here: the fact, or its hash, is not what was written"
        seq, head = found, digest
    return Head(seq, head, 0), ""


@contextmanager
def _reading(folder: Path) -> Iterator[sqlite3.Connection]:
    """The open part as it is now, whatever is written meanwhile."""
    path = folder / OPEN
    db = connect(path, readonly=True)
    try:
        prepare(db, path, readonly=True)
        db.text_factory = lambda text: text.decode("utf-8", "replace")
        db.execute("BEGIN")
        yield db
    except sqlite3.Error as wrong:
        raise told(path, wrong) from None
    except (TypeError, ValueError) as wrong:
        raise LedgerError(f"{path}: not as the books are kept: {wrong}") from None
    finally:
        db.close()
