"""The books as a report sees them: open parts of stores, sealed segments, lakes and compacted days, as one set of tables.

A sealed day of one chain is read once, wherever it lies: from a compacted file, else from the store's own segments or a lake's,
else from the open part.  The tables are ``energy`` and ``work`` (corrections applied, one meter per host, device and time); the
other facts are few and come decoded, in ``other``.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from wattledger.core.facts import ContractFact, Known
from wattledger.ledger import books_files, compaction, lake
from wattledger.ledger.body import NONSENSE, day_of, decode
from wattledger.ledger.books_files import File
from wattledger.ledger.chain import link
from wattledger.ledger.columns import COLUMNS, FIRST_COLUMNS, KEY_COLUMNS, KEYED, Rows
from wattledger.ledger.engine import LedgerError, connect, told
from wattledger.ledger.forms import rows_sql
from wattledger.ledger.query_meters import NOT_DOUBLED, find_doubled, outer_meters
from wattledger.ledger.query_standing import Link, standing
from wattledger.ledger.rollup import PRICED, text
from wattledger.ledger.store import OPEN, Store

BATCH = 50_000
# An intensity says something of a report as long as its window, or the six hours that it may be held on, touch it.
HELD_S = 6 * 3600
MEASURES = ("start_s", "length_s", "seen_ms", "energy_uj", "spread_uj")
WORK = ("prompt_tokens", "cached_tokens", "generated_tokens", "requests")
# 12, 16 and 20 characters, so that the greatest is the one learnt last, and its parts can be cut out again.
_IDENTITY = "LPAD(CAST(recorded_s AS VARCHAR), 12, '0') || ':' || writer || ':' || LPAD(CAST(seq AS VARCHAR), 20, '0')"


class Span(NamedTuple):
    """What is asked of the books: recorded until ``as_of_s``, windows from ``from_s`` on (``None``: without end).

    A fact is recorded after its window began, so days recorded before ``from_s`` hold no joule of the span."""

    from_s: int | None = None
    to_s: int | None = None
    as_of_s: int | None = None


class Books:
    """Open books: a context.  Methods raise LedgerError.

    ``other``: facts that are neither energy nor work, as of then, in the order of their ids, with what corrects them beside them;
    withdrawn ones are left out, and an intensity that many hosts wrote down alike is there once.  ``last_s``: when the last fact
    was recorded.  ``doubled``: how many windows of trackers were left to an agent, or to the meter of the program that
    started them.  ``unfound``: how many corrected facts are not in these books as facts of their own.  ``blurred``: how many sums
    of rolled-up hours were left out, because their last fact was learnt after ``as_of_s``.  State: the connection, and what is in
    its tables.
    """

    def __init__(self, places: Sequence[str | Path], span: Span | None = None) -> None:
        """Open the books in ``places``: folders of stores, and lakes."""
        self._span = span or Span()
        self.places = [str(place) for place in places]
        self._made: set[str] = set()
        self.connection = connect()
        try:
            with told("the books"):
                self._gather(places)
                self._correct()
                self.other = tuple(self._others())
                self._views()
                self.last_s = self._last_s()
        except BaseException:
            self.connection.close()
            raise

    def __enter__(self) -> "Books":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def holding(self) -> tuple[Known, ...]:
        """Those of ``other`` that were not corrected since."""
        return tuple(one for one in self.other if one.id not in self._standing.replaced)

    def close(self) -> None:
        """Close; the tables are gone."""
        self.connection.close()

    def fill(self, table: str, columns: dict[str, str], rows: Iterable[Sequence[object]]) -> None:
        """A temporary table of these rows, in place of one of that name."""
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} ({', '.join(f'{n} {k}' for n, k in columns.items())})")
        chosen = ", ".join(f"unnest(CAST(? AS {kind}[]))" for kind in columns.values())
        for batch in _batches(rows):
            # By the column: one row at a time would take the engine a millisecond each.
            self.connection.execute(f"INSERT INTO {table} SELECT {chosen}", [list(column) for column in zip(*batch, strict=True)])

    def _gather(self, places: Sequence[str | Path]) -> None:
        """The open rows first: what is sealed meanwhile is then found in both, and read once."""
        opened = [(store, rows) for place in places if (store := _store(place)) for rows in [_open_rows(store)]]
        roots = [compaction.root_of(place) for place in dict.fromkeys(map(str, places))]
        sealed: dict[tuple[str, str], File] = {}
        for root in roots:
            system = lake.filesystem(root)
            if system is not None:
                self.connection.register_filesystem(system)
            for file in books_files.sealed(root):
                sealed.setdefault((file.day, file.writer), file)
        compacted, taken = books_files.compacted(roots)
        segments = [file for unit, file in sorted(sealed.items()) if unit not in taken]
        held = set(sealed) | taken
        self.fill("open_rows", COLUMNS, (row for _, rows in opened for row in rows if (day_of(row[2]), row[0]) not in held))
        self._files = [file for file in [*sorted(compacted), *segments] if not self._after(file.day)]

    def _after(self, day: str) -> bool:
        return self._span.as_of_s is not None and day > day_of(self._span.as_of_s)

    def _correct(self) -> None:
        """The table of all rows, and which facts hold no more."""
        self._table("facts_all", self._files)
        sql = f"SELECT writer, seq, corrects, recorded_s, fact FROM facts_all WHERE corrects IS NOT NULL AND {self._known()}"
        found = self.connection.execute(sql).fetchall()
        self._standing = standing(Link(f"{w}:{n}", corrects, at_s, fact == "withdrawal") for w, n, corrects, at_s, fact in found)
        dead = [(writer, int(seq)) for writer, _, seq in (i.rpartition(":") for i in self._standing.replaced) if seq.isdecimal()]
        self.fill("dead", {"writer": "VARCHAR", "seq": "BIGINT"}, sorted(dead))
        self.unfound = 0
        if dead:
            there = self.connection.execute("SELECT COUNT(*) FROM dead x JOIN facts_all f ON f.writer = x.writer AND f.seq = x.seq")
            self.unfound = len(dead) - int(there.fetchall()[0][0])

    def _needed(self) -> list[File]:
        """The files that may hold joules of the span, or that share a contract with it: its volume is the whole period's."""
        since_s = self._span.from_s
        if since_s is None:
            return self._files
        contracts = [one.fact for one in self.other if isinstance(one.fact, ContractFact)]
        starts = [contract.start_s for contract in contracts if contract.end_s > since_s]
        # A certificate may cover the whole calendar year that it is of.
        first = f"{day_of(min([since_s, *starts]))[:4]}-01-01" if contracts else day_of(since_s)
        return [file for file in self._files if file.day >= first]

    def _table(self, name: str, files: Sequence[File]) -> None:
        columns = {**FIRST_COLUMNS, **PRICED}
        nulls = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in PRICED.items())
        parts = [f"SELECT {', '.join(FIRST_COLUMNS)}, {nulls} FROM open_rows"]
        for compacted, chosen in ((True, ", ".join(columns)), (False, f"{', '.join(FIRST_COLUMNS)}, {nulls}")):
            listed = ", ".join(text(file.address) for file in files if (not file.writer) is compacted)
            if listed:
                parts.append(f"SELECT {chosen} FROM read_parquet([{listed}], hive_partitioning = false)")
        self.connection.execute(f"CREATE TEMP VIEW {name} AS {' UNION ALL '.join(parts)}")

    def whole(self) -> str:
        """The name of a table of all rows with all columns, also of files that were written before there were so many."""
        if "facts_whole" not in self._made:
            self._made.add("facts_whole")
            self.connection.execute(f"CREATE TEMP VIEW facts_whole AS {self._all_columns(self._files)}")
        return "facts_whole"

    def view(self, name: str, kind: str, columns: Collection[str]) -> None:
        """A view of the facts of one kind that count, in the span, with columns that older files may lack; once."""
        if name not in self._made:
            self._made.add(name)
            rows = f"SELECT {', '.join(columns)} FROM ({self._all_columns(self._needed())}) f"
            self.connection.execute(f"CREATE TEMP VIEW {name} AS {rows} WHERE fact = '{kind}' AND {self._alive()}")

    def _all_columns(self, files: Sequence[File]) -> str:
        parts = [f"SELECT {', '.join(COLUMNS)} FROM open_rows"]
        with told("the books"):
            parts += [rows_sql(self.connection, [file.address for file in files], COLUMNS)] if files else []
        return " UNION ALL ".join(parts)

    def _known(self) -> str:
        return "1 = 1" if self._span.as_of_s is None else f"recorded_s <= {self._span.as_of_s:d}"

    def _alive(self) -> str:
        """What facts that count are: known by then, and not corrected since."""
        if not self._standing.replaced:
            return self._known()
        return f"{self._known()} AND NOT EXISTS (SELECT 1 FROM dead x WHERE x.writer = f.writer AND x.seq = f.seq)"

    def _views(self) -> None:
        self._table("facts", self._needed())
        alive = self._alive()
        shape = {"energy": (*MEASURES, *PRICED), "work": ("start_s", "length_s", *WORK)}
        for kind, measures in shape.items():
            chosen = ", ".join((*KEY_COLUMNS, *measures))
            name = "metered" if kind == "energy" else kind
            self.connection.execute(f"CREATE TEMP VIEW {name} AS SELECT {chosen} FROM facts f WHERE fact = '{kind}' AND {alive}")
        self.doubled = find_doubled(self.connection, "metered", outer_meters(self.holding))
        self.blurred = 0 if self._span.as_of_s is None else self._count(
            f"writer IS NULL AND recorded_s > {self._span.as_of_s:d} AND start_s < {self._span.as_of_s:d}"
        )  # fmt: skip
        condition = NOT_DOUBLED if self.doubled else "1 = 1"
        self.connection.execute(f"CREATE TEMP VIEW energy AS SELECT * FROM metered f WHERE {condition}")

    def _count(self, condition: str) -> int:
        return int(self.connection.execute(f"SELECT COUNT(*) FROM facts WHERE {condition}").fetchall()[0][0])

    def _others(self) -> Iterator[Known]:
        rows = self.connection.execute(self._others_sql()).fetchall()
        for writer, seq, body in sorted(rows):
            fact_id = f"{writer}:{seq}"
            if fact_id in self._standing.gone:
                continue
            try:
                known = decode(json.loads(body), fact_id, {})
            except NONSENSE as wrong:
                raise LedgerError(f"fact {fact_id}: {wrong}: run `wattledger ledger verify`") from None
            if known is not None:
                yield known

    def _others_sql(self) -> str:
        near = ["1 = 1"]
        if self._span.from_s is not None:
            near.append(f"start_s + length_s > {self._span.from_s - HELD_S:d}")
        if self._span.to_s is not None:
            near.append(f"start_s < {self._span.to_s:d}")
        kinds = ", ".join(text(kind) for kind in (*KEYED, "key", "withdrawal", "intensity"))
        plain = "corrects IS NULL AND NOT EXISTS (SELECT 1 FROM dead x WHERE x.writer = f.writer AND x.seq = f.seq)"
        said = "REPLACE(body, '\"recorded_s\":' || CAST(recorded_s AS VARCHAR), '')"
        # A thousand agents ask for the same zone's intensities: of the same words, those learnt last are enough.
        return f"""SELECT writer, seq, body FROM facts_all f WHERE {self._known()} AND (fact NOT IN ({kinds})
            OR (fact = 'intensity' AND NOT ({plain})))
            UNION ALL
            SELECT SUBSTRING(last, 14, 16), CAST(SUBSTRING(last, 31, 20) AS BIGINT), SUBSTRING(last, 52) FROM (
              SELECT MAX({_IDENTITY} || ':' || body) AS last FROM facts_all f
              WHERE {self._known()} AND fact = 'intensity' AND {plain} AND {" AND ".join(near)} GROUP BY {said}) latest"""

    def _last_s(self) -> int | None:
        found = self.connection.execute(f"SELECT MAX(recorded_s) FROM facts_all WHERE {self._known()}").fetchall()
        return None if found[0][0] is None else int(found[0][0])


def _store(place: str | Path) -> Path | None:
    if lake.is_url(place):
        return None
    folder = lake.path_of(place)
    return folder if (folder / OPEN).exists() else None


def _open_rows(folder: Path) -> list[tuple[Any, ...]]:
    """Every row is held against its chain: a report over books that were changed would look as right as any."""
    store = Store.open(folder, readonly=True)
    try:
        rows = Rows(store.writer)
        found = []
        with store.frozen():
            start = store.start()
            read = list(store.rows(start.seq))
        at = start.hash
        for row in read:
            at = link(at, row.body)
            if at != row.hash:
                changed = f"row {row.seq} does not fit its chain, so these books were changed"
                raise LedgerError(f"{folder}: {changed}: run `wattledger ledger verify`")
            try:
                found.append(rows.row(row.seq, row.body))
            except NONSENSE as wrong:
                raise LedgerError(f"{folder}: row {row.seq} is no fact ({wrong}): run `wattledger ledger verify`") from None
        return found
    finally:
        store.close()


def _batches(rows: Iterable[Sequence[object]]) -> Iterator[list[Sequence[object]]]:
    batch: list[Sequence[object]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
