"""A file of one's own: ``zone,start,end,g_per_kwh[,boundary,signal,version,estimated]`` in CSV or Parquet, times ISO with zone.

For figures that a contract or an intranet gives, and for tests without a network.  It is the user's, so one wrong row is an
error that names its line, and nothing of the file is used until it is right.
"""

import csv
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from wattledger.core.facts import IntensityFact, Signal
from wattledger.core.ports import GridPlace, GridProvider, SourceFailed, SourceGone
from wattledger.factors.grid import _reading as reading

NAME = "file"
NEEDED = ("zone", "start", "end", "g_per_kwh")
BOUNDARIES = ("direct", "lifecycle", "upstream", "residual")
SIGNALS = ("average", "marginal")
YES, NO = ("1", "true", "yes"), ("", "0", "false", "no", "none")
LARGEST_BYTES = 64_000_000
SLOT_S = 3_600

RowsOf = Callable[[str], Iterable[Mapping[str, object]]]


class File:
    """State: the rows, as of the file's last change.

    ``rows_of_parquet`` reads the rows of a Parquet file (handed in as an option: only an SQL engine can).
    """

    name = NAME
    signal: Signal = "average"
    boundary = "direct"
    step_s = SLOT_S
    licence = "the user's own"

    def __init__(self, path: str, rows_of_parquet: RowsOf | None) -> None:
        self._path = path
        self._rows_of = _rows_of_csv if not path.lower().endswith((".parquet", ".pq")) else rows_of_parquet
        self._stamp: tuple[int, int] | None = None
        self._facts: list[IntensityFact] = []

    def covers(self, zone: str) -> bool:
        try:
            return any(fact.zone == zone for fact in self._read())
        except SourceFailed:
            return True  # asking says what is wrong with it

    def read(self, zone: str, start_s: int, end_s: int, now_s: int) -> Sequence[IntensityFact]:
        return [f for f in self._read() if f.zone == zone and f.start_s < end_s and f.start_s + f.length_s > start_s]

    def forecast(self, zone: str, now_s: int) -> Sequence[IntensityFact]:
        """The rows that have not ended yet."""
        return [f._replace(forecast=True) for f in self._read() if f.zone == zone and f.start_s + f.length_s > now_s]

    def _read(self) -> list[IntensityFact]:
        """All rows, sorted; of two of the same time the later in the file."""
        if self._rows_of is None:
            raise SourceFailed(f"{NAME}: {self._path}: Parquet needs DuckDB: pip install 'wattledger[books]', or give a CSV")
        try:
            at = os.stat(self._path)
        except OSError as error:
            raise SourceFailed(f"{NAME}: cannot read {self._path}: {error.strerror}") from None
        if at.st_size > LARGEST_BYTES:
            raise SourceFailed(f"{NAME}: {self._path} is longer than {LARGEST_BYTES} bytes")
        if self._stamp != (at.st_mtime_ns, at.st_size):
            held = {}
            for number, row in enumerate(self._rows_of(self._path), 2):
                fact = self._fact(row, number)
                held[fact.zone, fact.start_s, fact.length_s, fact.signal, fact.boundary] = fact
            self._facts = [held[key] for key in sorted(held)]
            self._stamp = (at.st_mtime_ns, at.st_size)
        return self._facts

    def _fact(self, row: Mapping[str, object], number: int) -> IntensityFact:
        try:
            return _fact(row)
        except KeyError as missing:
            raise SourceFailed(f"{NAME}: {self._path} has no column {missing}: {','.join(NEEDED)} are needed") from None
        except reading.Unreadable as wrong:
            raise SourceFailed(f"{NAME}: {self._path}, line {number}: {wrong}") from None


def open(place: GridPlace) -> GridProvider:
    """A provider that reads the configured file; SourceGone where none is."""
    path = str(place.options.get("path", ""))
    if not path:
        raise SourceGone(f"{NAME}: no file is configured: set [grid.{NAME}] path")
    rows_of = place.options.get("rows_of_parquet")
    return File(path, rows_of if callable(rows_of) else None)


def _rows_of_csv(path: str) -> list[dict[str, object]]:
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as lines:
            return [{(k or "").strip(): v for k, v in row.items()} for row in csv.DictReader(lines, strict=True)]
    except OSError as error:
        raise SourceFailed(f"{NAME}: cannot read {path}: {error.strerror}") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise SourceFailed(f"{NAME}: {path} is not CSV in UTF-8: {str(error)[:80]}") from None


def _fact(row: Mapping[str, object]) -> IntensityFact:
    start_s, end_s = (_time_s(row[edge], edge) for edge in ("start", "end"))
    zone = str(row["zone"] or "").strip()
    if not zone or zone != reading.plain(zone) or end_s <= start_s:
        raise reading.Unreadable("it names no zone" if end_s > start_s else "it ends before it starts")
    try:
        ug_per_kwh = reading.ug_per_kwh(row["g_per_kwh"])
    except reading.Unreadable as wrong:
        raise reading.Unreadable(f"g_per_kwh is {wrong}") from None
    signal = _one_of(row, "signal", SIGNALS)
    return IntensityFact(
        zone,
        start_s,
        end_s - start_s,
        ug_per_kwh,
        NAME,
        "marginal" if signal == "marginal" else "average",
        _one_of(row, "boundary", BOUNDARIES),
        reading.plain(str(row.get("version") or "").strip()),
        _one_of(row, "estimated", (*NO, *YES)) in YES,
    )


def _time_s(said: object, edge: str) -> int:
    """A whole second, with the offset that it must name."""
    text = said.isoformat() if isinstance(said, datetime) else str(said or "").strip().replace(" ", "T", 1)
    try:
        return reading.epoch_s(text)
    except reading.Unreadable as wrong:
        raise reading.Unreadable(f"{edge} is {wrong} (as 2026-01-31T13:00:00Z)") from None


def _one_of(row: Mapping[str, object], column: str, words: Sequence[str]) -> str:
    """A word of the list; the first where there is none."""
    said = str(row.get(column) if row.get(column) is not None else "").strip().lower()
    if said and said not in words:
        raise reading.Unreadable(f"{column} is none of {', '.join(filter(None, words))}")
    return said or words[0]
