"""Whom the pseudonyms of users stand for: a file of its own beside the books, so that a name can be erased and the chain stays.

A label ``user`` is written to the chain as ``user-xxxxxxxx``, drawn at random, so that it says nothing once the name is erased.
"""

import re
import secrets
import sqlite3
from contextlib import suppress
from pathlib import Path

from wattledger.core.facts import Correction, Fact, Key, RunFact
from wattledger.ledger.store_schema import connect, told

USER = "user"
PSEUDONYM = re.compile(r"user-[0-9a-f]{8}")
TABLE = "CREATE TABLE IF NOT EXISTS person (pseudonym TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE)"


class People:
    """The map of one store.  State: the connection, opened when first needed; the pseudonyms read, and of which state they are."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self._path, self._readonly = path, readonly
        self._db: sqlite3.Connection | None = None
        self._known: dict[str, str] = {}
        self._state = 0

    def masked(self, fact: Fact | Correction) -> Fact | Correction:
        """A run's facts with pseudonyms in their labels; the others as they are (their keys are masked one by one)."""
        if isinstance(fact, Correction):
            return fact._replace(fact=self._run(fact.fact)) if isinstance(fact.fact, RunFact) else fact
        return self._run(fact) if isinstance(fact, RunFact) else fact

    def masked_key(self, key: Key) -> Key:
        """The key with a pseudonym for its user."""
        return key._replace(labels=self._labels(key.labels)) if any(name == USER for name, _ in key.labels) else key

    def changed(self) -> bool:
        """Whether another process has changed the map, so that keys masked before may be masked otherwise now."""
        if self._db is None:
            return False
        try:
            state = int(self._db.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error as wrong:
            raise told(self._path, wrong) from None
        changed = state != self._state
        if changed:
            self._known, self._state = {}, state
        return changed

    def names(self) -> dict[str, str]:
        if self._db is None and not self._path.exists():
            return {}
        try:
            return dict(self._open().execute("SELECT pseudonym, name FROM person ORDER BY pseudonym"))
        except sqlite3.Error as wrong:
            raise told(self._path, wrong) from None

    def erase(self, name: str) -> bool:
        """Overwritten with zeros in the file; a new pseudonym is drawn should the name come again."""
        self._known.pop(name, None)
        if self._db is None and not self._path.exists():
            return False
        try:
            return self._open().execute("DELETE FROM person WHERE name = ?", (name,)).rowcount > 0
        except sqlite3.Error as wrong:
            raise told(self._path, wrong) from None

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _run(self, fact: RunFact) -> RunFact:
        return fact._replace(labels=self._labels(fact.labels))

    def _labels(self, labels: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        return tuple((name, self._pseudonym(value) if name == USER else value) for name, value in labels)

    def _pseudonym(self, name: str) -> str:
        if not name or PSEUDONYM.fullmatch(name):  # as read from the books, to be written anew
            return name
        if name not in self._known:
            self._known[name] = self._drawn(name)
        return self._known[name]

    def _drawn(self, name: str) -> str:
        """The name's pseudonym; durable before any fact says it."""
        db = self._open()
        name = name.encode("utf-8", "replace").decode()
        try:
            db.execute("INSERT OR IGNORE INTO person VALUES (?, ?)", (f"user-{secrets.token_hex(4)}", name))
            found = db.execute("SELECT pseudonym FROM person WHERE name = ?", (name,)).fetchone()
        except sqlite3.Error as wrong:
            raise told(self._path, wrong) from None
        # No row: the very pseudonym was another's (one in four thousand million); draw again.
        return str(found[0]) if found else self._drawn(name)

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            db = connect(self._path, readonly=self._readonly)
            try:
                if not self._readonly:
                    with suppress(OSError):
                        self._path.chmod(0o600)
                    db.execute("PRAGMA synchronous = FULL")
                    db.execute("PRAGMA secure_delete = ON").fetchone()
                    db.execute(TABLE)
                self._state = int(db.execute("PRAGMA data_version").fetchone()[0])
            except sqlite3.Error as wrong:
                db.close()
                raise told(self._path, wrong) from None
            self._db = db
        return self._db
