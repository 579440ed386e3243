"""Files that people write → records with the lines they stand on: TOML, JSON lines and CSV, told apart by the file's name."""

import csv
import io
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from wattledger.ledger.engine import LedgerError

HEADER = re.compile(r"\s*\[\[\s*([A-Za-z_]+)\s*\]\]")
SETTING = re.compile(r"\s*([A-Za-z_0-9]+)\s*=")
CRITERIA_TABLE = re.compile(r"\s*\[\s*[A-Za-z_]+\.([A-Za-z_]+)\s*\]")


class Record(NamedTuple):
    """One fact as it was written: its kind, its values, the line it begins on, and those of its values where they are known."""

    kind: str
    values: Mapping[str, Any]
    line: int
    lines: Mapping[str, int]


def records(path: Path, kinds: Mapping[str, Sequence[str]]) -> list[Record]:
    """The records of a file.  ``kinds``: kind → the names of its fields.  Raises LedgerError, with a line for each mistake."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as wrong:
        raise LedgerError(f"{path}: cannot be read: {getattr(wrong, 'strerror', None) or wrong}") from None
    readers = {".toml": _toml, ".jsonl": _lines, ".json": _lines, ".ndjson": _lines, ".csv": _csv}
    if path.suffix.lower() not in readers:
        raise LedgerError(f"{path}: the name must end in .toml, .jsonl or .csv, which says how it is written")
    return list(readers[path.suffix.lower()](path, text, kinds))


def _toml(path: Path, text: str, kinds: Mapping[str, Sequence[str]]) -> Iterator[Record]:
    try:
        found = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError, ArithmeticError) as wrong:
        at = re.search(r"line (\d+)", str(wrong))
        raise LedgerError(f"{path}:{at[1] if at else 1}: not TOML: {wrong}") from None
    places = _places(text)
    for kind, tables in found.items():
        if kind not in kinds:
            raise LedgerError(f"{path}:{places.get(kind, [(1, {})])[0][0]}: no facts are called {kind!r}{_nearest(kind, kinds)}")
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise LedgerError(f"{path}: {kind} must be written as [[{kind}]] tables")
        for n, table in enumerate(tables):
            line, lines = places[kind][n] if n < len(places.get(kind, ())) else (1, {})
            yield Record(kind, table, line, lines)


def _places(text: str) -> dict[str, list[tuple[int, dict[str, int]]]]:
    """kind → for each of its tables: its line, and the lines of its settings.  The parser does not say."""
    found: dict[str, list[tuple[int, dict[str, int]]]] = {}
    lines: dict[str, int] = {}
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if header := HEADER.match(line):
            lines, inside = {}, False
            found.setdefault(header[1], []).append((number, lines))
        elif table := CRITERIA_TABLE.match(line):
            lines.setdefault(table[1], number)
            inside = True
        elif (setting := SETTING.match(line)) and not inside:
            lines.setdefault(setting[1], number)
    return found


def _lines(path: Path, text: str, kinds: Mapping[str, Sequence[str]]) -> Iterator[Record]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line, parse_float=Decimal)
        except (ValueError, RecursionError, ArithmeticError) as wrong:
            raise LedgerError(f"{path}:{number}: not JSON (one object a line): {wrong}") from None
        if not isinstance(found, dict) or not isinstance(found.get("fact"), str):
            raise LedgerError(f"{path}:{number}: each line is an object that says its kind: \"fact\": {' or '.join(kinds)}")
        yield Record(_kind(found.pop("fact"), kinds, f"{path}:{number}"), found, number, {})


def _csv(path: Path, text: str, kinds: Mapping[str, Sequence[str]]) -> Iterator[Record]:
    lines = text.splitlines()
    first = next((n for n, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    reader = csv.reader(io.StringIO("\n".join(lines[first:])), strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        where = f"{path}:{first + 1}"
        if len(set(names)) < len(names):
            raise LedgerError(f"{where}: two columns have one name")
        kind = "" if "fact" in names else _of_columns(names, kinds, where)
        before = reader.line_num
        for row in reader:
            number, before = first + before + 1, reader.line_num
            if not any(value.strip() for value in row) or row[0].startswith("#"):
                continue
            if len(row) != len(names):
                raise LedgerError(f"{path}:{number}: {len(row)} values for {len(names)} columns")
            values = {name: value.strip() for name, value in zip(names, row, strict=True)}
            of = kind or _kind(values.pop("fact"), kinds, f"{path}:{number}")
            # Several kinds share one header: what is left empty is not said.
            yield Record(of, values if kind else {n: v for n, v in values.items() if v or n in kinds[of]}, number, {})
    except csv.Error as wrong:
        raise LedgerError(f"{path}:{first + reader.line_num}: not CSV: {wrong}") from None


def _of_columns(names: Sequence[str], kinds: Mapping[str, Sequence[str]], where: str) -> str:
    """The kind that has most of these columns."""
    best = max(kinds, key=lambda kind: len(set(names) & set(kinds[kind])))
    if not set(names) & set(kinds[best]):
        raise LedgerError(f"{where}: these are no columns of {', '.join(kinds)}: the first line must name them")
    return best


def _kind(word: str, kinds: Mapping[str, Sequence[str]], where: str) -> str:
    if word not in kinds:
        raise LedgerError(f"{where}: no facts are called {word!r}{_nearest(word, kinds)}")
    return word


def _nearest(word: str, kinds: Mapping[str, Sequence[str]]) -> str:
    import difflib

    close = difflib.get_close_matches(word, list(kinds), n=1, cutoff=0.4)
    return f"; did you mean {close[0]!r}?" if close else f" (there are {', '.join(kinds)})"
