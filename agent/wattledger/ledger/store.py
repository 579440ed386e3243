"""The store: one user's open books on one host, in SQLite, as one chain of facts that any of the user's processes appends to.

Every write is one durable transaction (WAL, ``synchronous=FULL``) under SQLite's lock: it is whole, or it is not there.
"""

import os
import secrets
import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from wattledger.core.facts import AssetFact, Correction, Fact, Known, fits
from wattledger.ledger import store_journal as journals
from wattledger.ledger import store_rows as rows_of
from wattledger.ledger.body import BadBody
from wattledger.ledger.chain import link
from wattledger.ledger.columns import DAY_S
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.store_journal import Amounts, Process, Taken
from wattledger.ledger.store_keys import Keys
from wattledger.ledger.store_people import People
from wattledger.ledger.store_rows import Head as Head
from wattledger.ledger.store_rows import Row as Row
from wattledger.ledger.store_rows import Withdrawal as Withdrawal
from wattledger.ledger.store_schema import DAMAGED, connect, prepare, told

OPEN = "open.db"
PEOPLE = "people.db"
ASSETS = "assets"  # an empty file beside books that tell of machines: a meter need not open the others to look
INSERT = "INSERT INTO fact (seq, body, hash) VALUES (?, ?, ?)"


class Store:
    """The open books in a folder.  Any thread, but not while another iterates; not across a fork.  All methods raise LedgerError.

    A method that raises has written nothing.  State: the connection, the keys' numbers; ``_journaled``, what this instance's
    journal says; ``_taken``, what of it another process took to the chain, held to be dead wrongly.
    """

    def __init__(self, folder: Path, db: sqlite3.Connection, instance: str, *, readonly: bool = False) -> None:
        """For ``open``, which makes stores."""
        self.folder, self._path, self._db = folder, folder / OPEN, db
        self._me = journals.this_process()
        self.instance = instance or f"{self._me.pid}-{secrets.token_hex(4)}"
        self._people = People(folder / PEOPLE, readonly=readonly)
        self._keys = Keys(db, self._people)
        self._lock, self._readonly = threading.RLock(), readonly
        self._journaled: Sequence[Amounts] = ()
        self._taken: Taken = {}
        self.writer = rows_of.writer(db)

    @classmethod
    def open(cls, folder: Path, *, instance: str = "", readonly: bool = False) -> "Store":
        """The books in ``folder``, which is made where it is not there.  ``instance`` names who journals: a meter's id."""
        path = folder / OPEN
        try:
            if not readonly and not folder.is_dir():
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as wrong:
            raise LedgerError(f"{folder}: {wrong.strerror}: make the folder, or name another [ledger] path") from None
        db = connect(path, readonly=readonly)
        prepare(db, path, readonly=readonly)
        try:
            return cls(folder, db, instance, readonly=readonly)
        except sqlite3.Error as wrong:
            db.close()
            raise told(path, wrong) from None

    def append(self, facts: Sequence[Fact | Correction], now_s: int) -> list[str]:
        """Write facts down, in one durable transaction; their ids."""
        if not all(map(fits, facts)):
            raise LedgerError(f"{self._path}: a number of more than 64 bits cannot be kept: nothing of this was written")
        with self._writing():
            ids = self._add(facts, now_s)
        found = [fact.fact if isinstance(fact, Correction) else fact for fact in facts]
        # What is withdrawn may have been said of a machine.
        if any(isinstance(fact, AssetFact) or fact is None for fact in found):
            with suppress(OSError):
                (self.folder / ASSETS).touch()
        return ids

    def journal(self, facts: Sequence[Amounts], now_s: int) -> None:
        """This instance's open minutes as they stand, in place of what was said of them before."""
        with self._writing():
            self._claim(now_s)
            left = journals.less(facts, self._taken)
            self._say(left, now_s)
        self._journaled = left

    def close_minutes(self, closed: Sequence[Amounts], still_open: Sequence[Amounts], now_s: int) -> list[str]:
        """At once: ``closed`` become facts of the chain (their ids), and the journal says ``still_open``."""
        with self._writing():
            self._claim(now_s)
            ids = self._add(journals.less(closed, self._taken), now_s)
            left = journals.less(still_open, self._taken)
            self._say(left, now_s)
        for fact in closed if self._taken else ():
            self._taken.pop(journals.window(fact), None)
        self._journaled = left
        return ids

    def recover(self, now_s: int) -> int:
        """Journals of processes that are gone become facts of the chain; how many facts.

        A journal that cannot be read is kept: ``aside`` tells of it.
        """
        with self._writing():
            found = self._db.execute("SELECT instance, pid, started, boot_id, at_s FROM journal").fetchall()
            gone = [
                name
                for name, pid, started, boot, at_s in found
                if not journals.is_alive(Process(pid, started, boot), now_s - at_s)
            ]
            return sum(self._recovered(name, now_s) for name in gone)

    def aside(self) -> list[str]:
        """A line for each journal that could not be read, oldest first."""
        with self._reading():
            found = self._db.execute("SELECT instance, at_s, why FROM aside ORDER BY rowid").fetchall()
        words = "cannot be read and is kept aside in the table of that name"
        return [f"{self._path}: the journal of {name}, written at {at_s}, {words}: {why}" for name, at_s, why in found]

    def rows(self, after_seq: int = 0, upto_seq: int | None = None) -> Iterator[Row]:
        """The open rows after ``after_seq``, in order, up to the newest at the time of the call.

        Damaged text comes as it is, bytes that are no UTF-8 as lone surrogates, so that its hash can be seen to be wrong.
        """
        with self._reading():
            last = rows_of.last_seq(self._db)
        return rows_of.rows(self._db, self._path, after_seq, last if upto_seq is None else upto_seq)

    def start(self) -> Head:
        """Where the chain stood before the first row that is held here."""
        with self._reading():
            return rows_of.start(self._db)

    def head(self) -> Head:
        """Where the chain stands."""
        with self._reading():
            return rows_of.head(self._db)

    def known(self, kinds: Collection[str] | None = None) -> Iterator[Known]:
        """The open facts (``kinds``: of these names only), in order, corrections not applied."""
        return (fact for fact in self._facts(kinds) if isinstance(fact, Known))

    def withdrawals(self) -> Iterator[Withdrawal]:
        """What was taken back without a fact in its place, in order."""
        return (fact for fact in self._facts(("withdrawal",)) if isinstance(fact, Withdrawal))

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """All that is read within is of one state of the books, whatever other processes write meanwhile.  Nothing is written."""
        with self._reading():
            self._db.execute("BEGIN")
            rows_of.start(self._db)  # the state is that of the first read
        try:
            yield
        finally:
            self._undo()

    def forget(self, upto_seq: int) -> None:
        """Rows up to this one are sealed elsewhere: let them go.  No fact will be recorded on their days any more.

        Refused where the day of the last one goes on behind it: then it was not whole when it was sealed.
        """
        with self._writing():
            start, head = rows_of.start(self._db), rows_of.head(self._db)
            if upto_seq <= start.seq:
                return
            if upto_seq > head.seq:
                raise LedgerError(f"{self._path}: row {upto_seq} is not there, the last one is {head.seq}")
            last, following = rows_of.at(self._db, upto_seq), rows_of.at(self._db, upto_seq + 1)
            day = last.recorded_s // DAY_S
            if following.seq and following.recorded_s // DAY_S == day:
                raise LedgerError(f"{self._path}: rows were added to a day behind row {upto_seq}: seal that day again")
            for name, body in self._db.execute("SELECT instance, body FROM journal").fetchall():
                kept = rows_of.with_keys(self._db, body, day)
                self._db.execute("UPDATE journal SET body = ? WHERE instance = ?", (kept, name))
            self._db.execute("DELETE FROM fact WHERE seq <= ?", (upto_seq,))
            self._db.execute("UPDATE meta SET seq = ?, hash = ?, recorded_s = ?, floor_s = ?", (*last, (day + 1) * DAY_S))

    def names(self) -> dict[str, str]:
        """Pseudonyms of users → their names, as far as they were not erased."""
        return self._people.names()

    def erase(self, name: str) -> bool:
        """Forget whom a pseudonym stands for, for good; whether the name was there.  Its facts stay."""
        with self._lock:
            self._keys.drop()
            return self._people.erase(name)

    def close(self) -> None:
        """Close; a journal stays, for whoever recovers it."""
        with self._lock:
            if os.getpid() == self._me.pid:
                self._people.close()
                self._db.close()

    def _add(self, facts: Sequence[Fact | Correction], now_s: int) -> list[str]:
        head, recorded_s = self._caught_up(now_s)
        bodies, places = self._keys.encoded(facts, recorded_s)
        self._write(head, bodies)
        first = head.seq + 1
        return [f"{self.writer}:{first + place}" for place in places]

    def _say(self, facts: Sequence[Amounts], now_s: int) -> None:
        """The journal's row, which is gone where there is nothing to say."""
        if not facts:
            self._db.execute("DELETE FROM journal WHERE instance = ?", (self.instance,))
            return
        head, recorded_s = self._caught_up(now_s)
        bodies, numbers = self._keys.numbered(facts, recorded_s)
        self._write(head, bodies)
        body = journals.written(facts, numbers, recorded_s // DAY_S)
        self._db.execute("REPLACE INTO journal VALUES (?, ?, ?, ?, ?, ?)", (self.instance, *self._me, now_s, body))

    def _claim(self, now_s: int) -> None:
        """A dead process's journal of our name is recovered first; what another took of our own is kept in mind."""
        row = self._db.execute("SELECT pid, started, boot_id, at_s FROM journal WHERE instance = ?", (self.instance,)).fetchone()
        if row is None:
            if self._journaled:
                journals.take(self._taken, self._journaled)
                self._journaled = ()
            return
        owner = Process(*row[:3])
        if owner == self._me:
            return
        if journals.is_alive(owner, now_s - row[3]):
            raise LedgerError(f"{self._path}: process {owner.pid} journals as {self.instance!r} too: give each its own name")
        self._recovered(self.instance, now_s)

    def _recovered(self, name: str, now_s: int) -> int:
        at_s, body = self._db.execute("SELECT at_s, body FROM journal WHERE instance = ?", (name,)).fetchone()
        facts: list[Amounts] = []
        try:
            facts = journals.read(body, rows_of.keys_of(self._db, journals.day_of(body)))
        except BadBody as wrong:
            self._db.execute("INSERT INTO aside VALUES (?, ?, ?, ?)", (name, at_s, str(wrong), body))
        if facts:
            self._add(facts, now_s)
        self._db.execute("DELETE FROM journal WHERE instance = ?", (name,))
        return len(facts)

    def _caught_up(self, now_s: int) -> tuple[Head, int]:
        """The head, and the time to record: time does not run backwards along a chain, and sealed days stay as they are."""
        head = rows_of.head(self._db)
        recorded_s = max(now_s, head.recorded_s, rows_of.floor_s(self._db))
        self._keys.catch_up(head.seq, recorded_s)
        return head, recorded_s

    def _write(self, head: Head, bodies: Sequence[str]) -> None:
        seq, before = head.seq, head.hash
        rows = []
        for body in bodies:
            seq += 1
            before = link(before, body)
            rows.append((seq, body, before))
        self._db.executemany(INSERT, rows)
        self._keys.wrote(seq)

    def _facts(self, kinds: Collection[str] | None) -> Iterator[Known | Withdrawal]:
        return rows_of.facts(self._db, self._path, self.writer, kinds)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as wrong:
                raise told(self._path, wrong) from None

    @contextmanager
    def _writing(self) -> Iterator[None]:
        if os.getpid() != self._me.pid:
            raise LedgerError(f"{self._path}: was opened before a fork: open it anew in each process")
        if self._readonly:
            raise LedgerError(f"{self._path}: cannot be written: it was opened for reading")
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except BaseException as wrong:
                self._undo()
                self._keys.drop()
                if isinstance(wrong, sqlite3.Error):
                    raise told(self._path, wrong) from None
                if isinstance(wrong, BadBody):
                    raise LedgerError(f"{self._path}: {DAMAGED}") from None
                raise

    def _undo(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:  # SQLite has rolled back by itself
            pass
