"""Segments as Parquet, written and read by the engine: rows stream through a file of lines, so memory does not grow with a day.

A line holds a row's numbers and its body; what else a row says in words is the same for thousands of rows, and goes to the engine
once.  Reading back, a row is checked against its body by the engine where the body has the plain shape, and through JSON elsewhere.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from wattledger.ledger.body import BadBody, decode_key
from wattledger.ledger.columns import (
    COLUMNS,
    DAY_S,
    FIRST_COLUMNS,
    KEY_COLUMNS,
    KEYED,
    OWN_COLUMNS,
    TIME_AND_ENERGY,
    Rows,
    labels_text,
)
from wattledger.ledger.engine import LedgerError, connect, told
from wattledger.ledger.forms import as_now, rows_sql
from wattledger.ledger.plain import body_sql

MEMORY_MB = 400
BATCH = 20_000
WORDS = ("fact", "corrects", *KEY_COLUMNS, "tenant")
FIRST_WORD, FIRST_OWN = 3, 3 + len(WORDS)  # of a row as Rows makes it
LINE = ("seq", "said", "recorded_s", *OWN_COLUMNS, "body")
MISSING = "a fact is missing here, or stands out of order"
BACKWARDS = "it was recorded before the one before it"
NO_MORE = "\t" * (len(OWN_COLUMNS) - len(TIME_AND_ENERGY) + 1)  # of its own, a plain fact has no more columns
NOT_IN_A_LINE = re.compile(r"[\t\n\r\x00]")


class Stage:
    """One day's rows on their way to Parquet.  State: the words told so far, by number; and what keys stand for."""

    def __init__(self, writer: str, lines: Path) -> None:
        """``lines``: the file that the rows wait in; ``close`` it."""
        self._writer, self._lines = writer, lines
        self._file = open(lines, "w", encoding="utf-8", newline="\n")  # noqa: SIM115  (closed by `close`)
        self._rows = Rows(writer)
        self._said: dict[tuple[Any, ...], int] = {}
        self._keys: dict[str, int] = {}

    def add(self, seq: int, body: str, plain: "re.Match[str] | None") -> None:
        """One row, in order; ``plain``: its match with ENERGY, if it has that shape.  Raises BadBody or ValueError."""
        if plain is not None:
            energy, key, length, recorded, seen, spread, start = plain.groups()
            said = self._keys.get(key)
            if said is None:
                raise BadBody(f"key {key} was not explained before on that day")
            self._file.write(f"{seq}\t{said}\t{recorded}\t{start}\t{length}\t{seen}\t{energy}\t{spread or 0}{NO_MORE}{body}\n")
            return
        try:
            row = self._rows.row(seq, body)
        except (KeyError, TypeError) as wrong:
            raise BadBody(f"not a fact: {wrong!r}") from None
        if NOT_IN_A_LINE.search(body):
            raise BadBody("a body is one line")
        words = row[FIRST_WORD:FIRST_OWN]
        numbers = ["" if number is None else str(int(number)) for number in row[FIRST_OWN:-2]]
        line = [str(seq), str(self._number(words)), str(row[2]), *numbers, row[-2] or "", body]
        self._file.write("\t".join(line) + "\n")
        if words[0] == "key":
            number, key_words = _explained(body)
            self._keys[str(number)] = self._number(("energy", None, *key_words, None))

    def _number(self, words: tuple[Any, ...]) -> int:
        return self._said.setdefault(words, len(self._said))

    def close(self) -> None:
        """Let go of the file; it is the caller's to remove."""
        self._file.close()

    def write(self, to: Path) -> None:
        """All rows → a Parquet file.  Raises LedgerError."""
        self._file.close()
        kinds = {"said": "BIGINT", **COLUMNS}
        line = ", ".join(f"'{name}': '{kinds[name]}'" for name in LINE)
        lines = (
            f"read_csv({_text(self._lines)}, delim = '\t', quote = '', escape = '', nullstr = '', header = false,"
            f" auto_detect = false, columns = {{{line}}})"
        )
        names = {**{name: f"r.{name}" for name in COLUMNS}, "writer": f"'{self._writer}'", **{name: f"w.{name}" for name in WORDS}}
        chosen = ", ".join(f"CAST({sql} AS {COLUMNS[name]}) AS {name}" for name, sql in names.items())
        with told(str(to)):
            engine = _engine(self._lines.parent)
            try:
                said = [(number, *words) for words, number in self._said.items()]
                _fill(engine, "words", {"said": "BIGINT", **{name: COLUMNS[name] for name in WORDS}}, said)
                engine.execute(
                    f"COPY (SELECT {chosen} FROM {lines} r JOIN words w ON w.said = r.said ORDER BY r.seq) TO {_text(to)}"
                    " (FORMAT parquet, COMPRESSION zstd)"
                )
            finally:
                engine.close()


class Sums(NamedTuple):
    """What a segment's rows come to."""

    count: int  # type: ignore[assignment]  # a tuple counts too, and nobody asks this one
    energy_uj: int
    recorded_from_s: int | None
    recorded_to_s: int | None


class Sealed:
    """A segment's Parquet file, open for reading; ``close`` it.  Every method raises LedgerError."""

    def __init__(self, path: Path) -> None:
        """Open it.  Raises LedgerError where it is no such file or has other columns."""
        self._path = path
        with told(str(path)):
            self._engine = _engine(None)
            try:
                found_in = f"read_parquet({_text(path)}, hive_partitioning = false, file_row_number = true)"
                found = [row[:2] for row in self._engine.execute(f"DESCRIBE SELECT * FROM {found_in}").fetchall()][:-1]
                columns = [as_now(name, older=len(found) == len(FIRST_COLUMNS)) for name in COLUMNS]
                if found in (list(COLUMNS.items()), list(FIRST_COLUMNS.items())):
                    self._engine.execute(f"CREATE VIEW sealed AS SELECT {', '.join(columns)}, file_row_number FROM {found_in}")
                else:
                    raise LedgerError(f"{path}: not the columns of a segment")
            except BaseException:
                self._engine.close()
                raise

    def close(self) -> None:
        """Close."""
        self._engine.close()

    def batches(self) -> Iterator[list[bytes]]:
        """The bodies, in the order of the file."""
        with told(str(self._path)):
            cursor = self._engine.cursor()
            try:
                cursor.execute("SELECT encode(body) FROM sealed")
                while rows := cursor.fetchmany(BATCH):
                    yield [row[0] for row in rows]
            finally:
                cursor.close()

    def first_misplaced(self, first_seq: int) -> tuple[int, str] | None:
        """Where the rows are not numbered on from ``first_seq``, or time runs backwards: the seq there, and what is wrong."""
        with told(str(self._path)):
            found = self._engine.execute(_MISPLACED, [first_seq, first_seq]).fetchall()
        for right, seq in found:
            return right, MISSING if seq != right else BACKWARDS
        return None

    def sums(self) -> "Sums":
        """Its rows, energy and times in all."""
        with told(str(self._path)):
            [found] = self._engine.execute(
                "SELECT count(*), coalesce(sum(energy_uj) FILTER (WHERE fact = 'energy'), 0), min(recorded_s), max(recorded_s)"
                " FROM sealed"
            ).fetchall()
        return Sums(*found)

    def kinds(self) -> dict[str, int]:
        """How many rows of each kind."""
        with told(str(self._path)):
            return dict(self._engine.execute("SELECT fact, count(*) FROM sealed GROUP BY fact").fetchall())

    def row(self, seq: int) -> tuple[Any, ...] | None:
        """The columns of one row."""
        with told(str(self._path)):
            found = self._engine.execute(f"SELECT {', '.join(COLUMNS)} FROM sealed WHERE seq = ?", [seq]).fetchone()
        return None if found is None else tuple(found)

    def first_differing(self, writer: str) -> tuple[int, str] | None:
        """The first row whose columns are not what its body says: its seq, and what is wrong.

        The segment's keys are read first.  What the engine can derive from them is right as it is; the rest goes through JSON.
        """
        keys: list[tuple[Any, ...]] = []
        with told(str(self._path)):
            for seq, body in self._engine.execute("SELECT seq, body FROM sealed WHERE fact = 'key' ORDER BY seq").fetchall():
                try:
                    number, words = _explained(body)
                except (ValueError, KeyError, TypeError) as wrong:
                    return seq, f"it stands as a key and is none: {wrong!r}"
                keys.append((number, seq, *words))
            # A number that was explained twice is left to JSON.
            twice = {row[0] for row in keys} if len({row[0] for row in keys}) < len(keys) else set()
            _fill(self._engine, "keys", {"number": "BIGINT", "since": "BIGINT", **{n: COLUMNS[n] for n in KEY_COLUMNS}},
                  [row for row in keys if row[0] not in twice])  # fmt: skip
            cursor = self._engine.execute(_NOT_PLAIN, [writer])
            return _differing(cursor, Rows(writer))


def _differing(cursor: Any, rows: Rows) -> tuple[int, str] | None:
    while found := cursor.fetchmany(BATCH):
        for row in found:
            try:
                right = rows.row(row[1], row[-1])
            except (ValueError, KeyError, TypeError) as wrong:
                return row[1], f"its body is no fact: {wrong!r}"
            if right != row:
                name = next(name for name, a, b in zip(COLUMNS, right, row, strict=True) if a != b)
                return row[1], f"its column {name} is not what its body says"
    return None


_MISPLACED = """
SELECT r.place + ?, r.seq FROM (SELECT file_row_number AS place, seq, recorded_s, lag(recorded_s) OVER () AS before FROM sealed) r
WHERE r.seq IS DISTINCT FROM r.place + ? OR r.recorded_s < r.before ORDER BY r.place LIMIT 1"""
_NOT_PLAIN = f"""
SELECT {", ".join(f"p.{name}" for name in COLUMNS)} FROM sealed p ANTI JOIN keys k
ON {" AND ".join(f"p.{name} = k.{name}" for name in KEY_COLUMNS)} AND k.since < p.seq AND p.writer = ?
AND p.body = {body_sql("p", "k.number")}
ORDER BY p.seq"""


def write_rows(files: Sequence[Path], where: "Where", to: Path, form: str) -> int:
    """The rows of segments' files that are asked for, by writer and number, as one file; how many.  Raises LedgerError."""
    tests = [f"fact IN ({', '.join('?' for _ in where.kinds)})"] if where.kinds else ["fact <> 'key'"]
    tests += ["coalesce(start_s, recorded_s) >= ?"] * (where.from_s is not None)
    tests += ["coalesce(start_s, recorded_s) < ?"] * (where.to_s is not None)
    bound = [*where.kinds, *(s for s in (where.from_s, where.to_s) if s is not None)]
    options = {"csv": "FORMAT csv, HEADER", "parquet": "FORMAT parquet, COMPRESSION zstd"}
    with told(str(to)):
        engine = _engine(to.parent)
        try:
            given = f"({rows_sql(engine, list(map(str, files)), COLUMNS)})" if files else f"(SELECT {_NO_ROW} WHERE false)"
            asked = f"FROM {given} WHERE {' AND '.join(tests)}"
            rows = f"{asked} ORDER BY writer, seq"
            if form in options:
                sql = f"COPY (SELECT {', '.join(COLUMNS)} {rows}) TO {_text(to)} ({options[form]})"
                return int(engine.execute(sql, bound).fetchone()[0])
            # Bodies say their keys by numbers: each goes with what explained its day's numbers, whenever that was.
            days = f"SELECT DISTINCT writer, recorded_s // {DAY_S} AS day {asked} AND fact IN {KEYED}"
            engine.execute(f"CREATE TEMP TABLE day AS {days}", bound)
            keys = f"fact = 'key' AND (writer, recorded_s // {DAY_S}) IN (SELECT writer, day FROM day)"
            sql = f"SELECT writer, seq, body FROM {given} WHERE ({' AND '.join(tests)}) OR {keys} ORDER BY writer, seq"
            engine.execute(sql, bound)
            count = 0
            with open(to, "w", encoding="utf-8") as file:
                while found := engine.fetchmany(BATCH):
                    count += len(found)
                    file.writelines(f'{{"id":"{writer}:{seq}","body":{body}}}\n' for writer, seq, body in found)
            return count
        finally:
            engine.close()


_NO_ROW = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in COLUMNS.items())


class Where(NamedTuple):
    """Which rows: ``kinds`` (none: all but keys), and when what they say began (or was recorded, where they say no time)."""

    kinds: tuple[str, ...] = ()
    from_s: int | None = None
    to_s: int | None = None


def _explained(body: str) -> tuple[int, tuple[Any, ...]]:
    """A key's number, and its words as columns."""
    said = decode_key(json.loads(body))
    return said.number, (*said.key[:-1], labels_text(said.key.labels))


def _engine(spill: Path | None) -> Any:
    engine = connect(memory_mb=MEMORY_MB, threads=1)
    engine.execute(f"SET temp_directory = {_text(spill)}" if spill else "SET temp_directory = ''")
    return engine


def _fill(engine: Any, table: str, columns: dict[str, str], rows: list[tuple[Any, ...]]) -> None:
    """A table of these rows, passed by the column: one at a time would take the engine a millisecond each."""
    engine.execute(f"CREATE OR REPLACE TEMP TABLE {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
    if rows:
        given = [list(column) for column in zip(*rows, strict=True)]
        chosen = ", ".join(f"unnest(CAST(? AS {kind}[]))" for kind in columns.values())
        engine.execute(f"INSERT INTO {table} SELECT {chosen}", given)


def _text(value: Path) -> str:
    return "'" + str(value).replace("'", "''") + "'"
