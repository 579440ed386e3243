"""The store's files: how they are opened, made and brought up to date, and what SQLite's errors mean to a user."""

import os
import secrets
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from urllib.parse import quote

from wattledger.ledger.chain import genesis
from wattledger.ledger.engine import LedgerError

BUSY_MS = 10_000
WAL_ATTEMPTS = 200
APPLICATION = 0x77617474  # "watt": what `file` and we know our databases by
OLDEST = (3, 31, 0)  # generated columns
WAL_LIMIT_BYTES = 16_000_000  # what a long WAL is cut back to

# The body is what is hashed; the other columns are derived from it where they are asked for, so they cannot disagree.  No text in
# a body can look like `"fact":"key"`: inside a string the quotes are escaped.
KEY_ROWS = """instr(body, '"fact":"key"') > 0"""
FIRST = f"""
CREATE TABLE meta (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1), writer TEXT NOT NULL,
    seq INTEGER NOT NULL, hash BLOB NOT NULL, recorded_s INTEGER NOT NULL, floor_s INTEGER NOT NULL
);
CREATE TABLE fact (
    seq INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    hash BLOB NOT NULL,
    kind TEXT GENERATED ALWAYS AS (json_extract(body, '$.fact')) VIRTUAL,
    recorded_s INTEGER GENERATED ALWAYS AS (json_extract(body, '$.recorded_s')) VIRTUAL,
    corrects TEXT GENERATED ALWAYS AS (json_extract(body, '$.corrects')) VIRTUAL,
    key INTEGER GENERATED ALWAYS AS (json_extract(body, '$.key')) VIRTUAL,
    start_s INTEGER GENERATED ALWAYS AS (json_extract(body, '$.start_s')) VIRTUAL,
    length_s INTEGER GENERATED ALWAYS AS (json_extract(body, '$.length_s')) VIRTUAL,
    energy_uj INTEGER GENERATED ALWAYS AS (json_extract(body, '$.energy_uj')) VIRTUAL
);
CREATE INDEX fact_key ON fact (seq) WHERE {KEY_ROWS};
CREATE TABLE journal (
    instance TEXT PRIMARY KEY, pid INTEGER NOT NULL, started INTEGER NOT NULL, boot_id TEXT NOT NULL, at_s INTEGER NOT NULL,
    body TEXT NOT NULL
);
CREATE TABLE aside (instance TEXT NOT NULL, at_s INTEGER NOT NULL, why TEXT NOT NULL, body TEXT NOT NULL)
"""
STEPS: tuple[str, ...] = (FIRST,)  # step i leads from schema i to schema i + 1


def connect(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """A connection to a database file, made where it is not there.  Raises LedgerError."""
    if sqlite3.sqlite_version_info < OLDEST:
        raise LedgerError(f"the books need SQLite 3.31 or newer, this Python has {sqlite3.sqlite_version}: use another Python")
    if readonly and not is_there(path):
        raise LedgerError(f"{path.parent}: no books are kept here")
    mode = "mode=ro" if readonly else "mode=rwc"
    try:
        try:
            return _opened(path, mode)
        except sqlite3.OperationalError:
            if not readonly or _has_wal(path):
                raise
            return _opened(path, "mode=ro&immutable=1")  # on a read-only disk: a file that does not change
    except sqlite3.Error as wrong:
        raise told(path, wrong) from None


def _opened(path: Path, words: str) -> sqlite3.Connection:
    url = f"file:{quote(str(path))}?{words}"
    db = sqlite3.connect(url, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000)
    try:
        db.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error:
        db.close()
        raise
    return db


def prepare(db: sqlite3.Connection, path: Path, *, steps: Sequence[str] = STEPS, readonly: bool = False) -> None:
    """Make the tables, or bring an older schema up to date.  Raises LedgerError, and closes the connection then."""
    try:
        db.execute("PRAGMA synchronous = FULL")
        version, ours = _version(db)
        if version > len(steps):
            raise LedgerError(f"{path}: kept by a newer wattledger (schema {version}, here {len(steps)}): upgrade wattledger")
        if not ours:
            raise LedgerError(f"{path}: this is no ledger but another program's database: name another [ledger] path")
        if readonly:
            if version == 0:
                raise LedgerError(f"{path.parent}: no books are kept here")
            return
        _keep_wal(db, path)
        db.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}").fetchone()
        if version < len(steps):
            _step(db, steps)
    except sqlite3.Error as wrong:
        db.close()
        raise told(path, wrong) from None
    except LedgerError:
        db.close()
        raise


def told(path: Path, wrong: sqlite3.Error) -> LedgerError:
    """What went wrong, where, and what to do, in one line."""
    name = str(getattr(wrong, "sqlite_errorname", ""))
    for start, words in WORDS.items():
        if name.startswith(start):
            return LedgerError(f"{path}: {words}")
    if "malformed JSON" in str(wrong) or "UTF-8" in str(wrong):
        return LedgerError(f"{path}: {DAMAGED}")
    return LedgerError(f"{path}: SQLite says: {wrong}")


DAMAGED = "the file is damaged: `wattledger ledger verify` says what is still good; then move it away"
WORDS = {
    "SQLITE_FULL": "the disk is full, nothing was written: free some room",
    "SQLITE_READONLY": "cannot be written (read-only disk, or not your file): make it writable, or name another [ledger] path",
    "SQLITE_CANTOPEN": "cannot be opened or made: check that the folder exists and is yours, or name another [ledger] path",
    "SQLITE_PERM": "access is denied: check that the folder is yours, or name another [ledger] path",
    "SQLITE_AUTH": "access is denied: check that the folder is yours, or name another [ledger] path",
    "SQLITE_NOTADB": "this is not a ledger: move the file away, or name another [ledger] path",
    "SQLITE_CORRUPT": DAMAGED,
    "SQLITE_BUSY": f"locked by another program for more than {BUSY_MS // 1000} s, nothing was written: look who holds it",
    "SQLITE_LOCKED": "locked by another thread, nothing was written: try again",
    "SQLITE_IOERR_SHMSIZE": "the disk is full, nothing was written: free some room",
    "SQLITE_IOERR": "the disk fails or your quota is used up, nothing was written: look into the system's log",
}


def _keep_wal(db: sqlite3.Connection, path: Path) -> None:
    """The mode is the file's, once and for all; to change it wants the file alone, and does not wait for that by itself."""
    for attempt in range(WAL_ATTEMPTS):
        try:
            mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as wrong:
            if not wrong.sqlite_errorname.startswith("SQLITE_BUSY") or attempt + 1 == WAL_ATTEMPTS:
                raise
            Event().wait(BUSY_MS / 1000 / WAL_ATTEMPTS)
            continue
        if mode != "wal":
            raise LedgerError(f"{path}: this file system has no shared memory, as books need: name a local [ledger] path")
        return


def _version(db: sqlite3.Connection) -> tuple[int, bool]:
    """The schema, and whether the database is a ledger or is empty."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    application = int(db.execute("PRAGMA application_id").fetchone()[0])
    tables = int(db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    return version, application == APPLICATION or (tables == 0 and version == 0)


def _step(db: sqlite3.Connection, steps: Sequence[str]) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        version, _ = _version(db)  # another process may have done it meanwhile
        for number in range(version, len(steps)):
            for statement in steps[number].split(";\n"):
                db.execute(statement)
            if number == 0:
                writer = secrets.token_hex(8)
                db.execute("INSERT INTO meta VALUES (1, ?, 0, ?, 0, 0)", (writer, genesis(writer)))
        db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.execute(f"PRAGMA user_version = {max(version, len(steps))}")
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def is_there(path: Path) -> bool:
    """Whether there is such a file.  Raises LedgerError where its folder is closed to us (``Path.exists`` raises then)."""
    try:
        return path.exists()
    except OSError as wrong:
        raise LedgerError(f"{path}: {wrong.strerror}: check that the folder is yours, or name another [ledger] path") from None


def _has_wal(path: Path) -> bool:
    try:
        return os.stat(f"{path}-wal").st_size > 0
    except OSError:
        return False
