"""The open books, read for the pages: by plain SQLite, read-only, a bounded number of rows and a bounded time.

Sealed days are a report's business.  Facts that were corrected since are left out; of the agent's page, only what agents metered
counts, because a tracker beside them may have metered the same joules.
"""

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from wattledger.core.facts import EnergyFact, IntensityFact, Key, Known, RunFact, WorkFact
from wattledger.ledger import store_journal as journals
from wattledger.ledger import store_rows
from wattledger.ledger.body import BadBody, decode, decode_key
from wattledger.ledger.columns import DAY_S
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.store import OPEN
from wattledger.ledger.store_schema import KEY_ROWS, connect, prepare, told
from wattledger.runtime import clock

MOST_ROWS = 200_000
MOST_S = 1.5
LOOK_EACH = 20_000  # steps of SQLite's machine between two looks at the clock
SLOT_S = 300  # the finest grid slot that any provider has
ENERGY = """instr(body, '"fact":"energy"') > 0"""


class Place(NamedTuple):
    """Where the agent's books are, and by which id it meters."""

    folder: Path
    meter: str


class Amount(NamedTuple):
    """Energy of one key in a window, summed over ``facts``."""

    key: Key
    start_s: int
    length_s: int
    energy_uj: int
    spread_uj: int
    facts: int


class Reader:
    """Open books; within ``reading``.  State: the connection, the first row looked at, and what was corrected since."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db, self._path = db, path
        self.writer = store_rows.writer(db)
        last = store_rows.last_seq(db)
        self._after = max(0, last - MOST_ROWS)
        self._dead = self._corrected()
        self._keys: dict[int, dict[int, Key]] | None = None

    def since_s(self) -> int:
        """When the oldest row that is looked at was recorded; what was before is not told."""
        row = self._db.execute("SELECT min(recorded_s) FROM (SELECT recorded_s FROM fact WHERE seq > ? LIMIT 1)", (self._after,))
        found = row.fetchone()[0]
        return int(found) if found is not None else 0

    def _corrected(self) -> set[int]:
        sql = """SELECT corrects FROM fact WHERE seq > ? AND instr(body, '"corrects":') > 0"""
        ids = (str(row[0]).rpartition(":") for row in self._db.execute(sql, (self._after,)) if row[0])
        return {int(seq) for writer, _, seq in ids if writer == self.writer and seq.isdecimal()}

    def keys(self) -> dict[int, dict[int, Key]]:
        """By recorded day and number; a day that began before the first row looked at is read from its beginning."""
        if self._keys is None:
            self._keys = {}
            first_s = self.since_s() // DAY_S * DAY_S
            for (body,) in self._db.execute(f"SELECT body FROM fact WHERE {KEY_ROWS} AND recorded_s >= ?", (first_s,)):
                said = decode_key(json.loads(body))
                self._keys.setdefault(said.recorded_s // DAY_S, {})[said.number] = said.key
        return self._keys

    def amounts(self, numbers: Collection[tuple[int, int]] | None, slot_s: int, from_s: int = 0) -> Iterator[Amount]:
        """Energy by key and slot of ``slot_s`` (0: all in one); ``numbers``: of these (day, key) only; from ``from_s`` on."""
        slot = f"start_s - start_s % {slot_s:d}" if slot_s else "0"
        chosen = "1 = 1"
        if numbers is not None:
            listed = ", ".join(f"{day * 1_000_000 + key:d}" for day, key in numbers)
            chosen = f"recorded_s / {DAY_S} * 1000000 + key IN ({listed})"
        dead = f"seq NOT IN ({', '.join(map(str, sorted(self._dead)))})" if self._dead else "1 = 1"
        sql = (
            f"SELECT recorded_s / {DAY_S}, key, min(start_s), max(start_s + length_s), sum(energy_uj),"
            f" sum(coalesce(json_extract(body, '$.spread_uj'), 0)), count(*), {slot} AS slot FROM fact"
            f" WHERE seq > ? AND {ENERGY} AND start_s >= ? AND {chosen} AND {dead} GROUP BY 1, 2, slot"
        )
        keys = self.keys()
        for day, number, start_s, end_s, uj, spread_uj, facts, _ in self._db.execute(sql, (self._after, from_s)):
            key = keys.get(day, {}).get(number)
            if key is not None:
                yield Amount(key, start_s, end_s - start_s, uj, spread_uj, facts)

    def work(self, numbers: Collection[tuple[int, int]]) -> tuple[int, ...]:
        """Prompt, cached and generated tokens, and requests, of these (day, key) together."""
        names = WorkFact._fields[3:7]
        sums = ", ".join(f"coalesce(sum(json_extract(body, '$.{name}')), 0)" for name in names)
        listed = ", ".join(f"{day * 1_000_000 + key:d}" for day, key in numbers)
        sql = (
            f"SELECT {sums} FROM fact WHERE seq > ? AND kind = 'work' AND recorded_s / {DAY_S} * 1000000 + key IN ({listed})"
        )
        return tuple(self._db.execute(sql, (self._after,)).fetchone())

    def open_minutes(self) -> list[Amount]:
        """What stands in the journals: the minutes that are not closed yet, as they were committed last."""
        found = []
        for (body,) in self._db.execute("SELECT body FROM journal").fetchall():
            keys = store_rows.keys_of(self._db, journals.day_of(body))
            energies = (fact for fact in journals.read(body, keys) if isinstance(fact, EnergyFact))
            found += [Amount(f.key, f.start_s, f.length_s, f.energy_uj, f.spread_uj, 0) for f in energies]
        return found

    def open_work(self) -> list[WorkFact]:
        """The journals' tokens and requests."""
        found: list[WorkFact] = []
        for (body,) in self._db.execute("SELECT body FROM journal").fetchall():
            keys = store_rows.keys_of(self._db, journals.day_of(body))
            found += [fact for fact in journals.read(body, keys) if isinstance(fact, WorkFact)]
        return found

    def facts(self, kind: str) -> list[Known]:
        """Facts that have no key (``run``, ``intensity``), corrected ones left out."""
        sql = "SELECT seq, body FROM fact WHERE seq > ? AND instr(body, ?) > 0"
        rows = self._db.execute(sql, (self._after, f'"fact":"{kind}"')).fetchall()
        made = (decode(json.loads(body), f"{self.writer}:{seq}", {}) for seq, body in rows if seq not in self._dead)
        return [known for known in made if known is not None and isinstance(known.fact, (RunFact, IntensityFact))]


@contextmanager
def reading(folder: Path, most_s: float = MOST_S) -> Iterator[Reader]:
    """The books in a folder, as they stand now.  Raises LedgerError: there are none, they are damaged, or it takes too long."""
    path = folder / OPEN
    db = connect(path, readonly=True)
    prepare(db, path, readonly=True)
    until_ns = clock.elapsed_ns() + round(most_s * 1e9)
    db.set_progress_handler(lambda: int(clock.elapsed_ns() > until_ns), LOOK_EACH)
    try:
        db.execute("BEGIN")
        yield Reader(db, path)
    except sqlite3.OperationalError as wrong:
        if "interrupt" in str(wrong):
            raise LedgerError(f"{path}: too many facts to be read for a page in {most_s:g} s; a report has them") from None
        raise told(path, wrong) from None
    except sqlite3.Error as wrong:
        raise told(path, wrong) from None
    except (BadBody, KeyError, TypeError, ValueError) as wrong:
        raise LedgerError(f"{path}: a row is damaged ({wrong!s:.80}): `wattledger ledger verify` says which") from None
    finally:
        db.set_progress_handler(None, 0)
        db.close()


def numbers_of(reader: Reader, keys: Sequence[Key]) -> list[tuple[int, int]]:
    """(day, number) of keys."""
    wanted = set(keys)
    return [(day, number) for day, known in reader.keys().items() for number, key in known.items() if key in wanted]


def is_agents(key: Key) -> bool:
    """Whether an agent metered it."""
    return key.meter.startswith("agent:")


def run_name(key: Key) -> str:
    """What the page of this energy is called."""
    return key.run or f"job:{key.job}"

