"""What books hold, in figures, and one fact out of them."""

import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from wattledger.ledger.body import NONSENSE, day_of
from wattledger.ledger.columns import COLUMNS, DAY_S, Rows
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.manifest import Manifest, manifests
from wattledger.ledger.parquet import Sealed
from wattledger.ledger.plain import ENERGY
from wattledger.ledger.store import OPEN, Store
from wattledger.ledger.store_check import journals

KIND = re.compile(r'"fact":"([a-z]+)"')  # quotes within a body's texts are escaped, so nothing else looks like it
RECORDED = re.compile(r'"recorded_s":([0-9]+)')
MOST_DIGITS = 18  # surely within 64 bits


class Contents(NamedTuple):
    """``kinds``: facts by kind, keys beside them; ``bytes_per_fact``: of what is sealed; times are when facts were recorded."""

    folder: str
    writers: tuple[str, ...]
    kinds: dict[str, int]
    sealed_days: int
    rolled_up_days: int
    open_days: int
    sealed_facts: int
    open_facts: int
    sealed_bytes: int
    open_bytes: int
    bytes_per_fact: float | None
    first_s: int | None
    last_s: int | None
    journals: int


def contents(folder: Path) -> Contents:
    """The figures of a store or a lake's folder.  Raises LedgerError."""
    sealed = manifests(folder)
    here = [manifest for manifest in sealed if manifest.path.exists()]
    opened = _open_part(folder) if (folder / OPEN).exists() else None
    if opened is None and not sealed:
        raise LedgerError(f"{folder}: no books are kept here")
    kinds = Counter(opened.kinds if opened else {})
    here = [manifest for manifest in here if opened is None or not opened.holds(manifest)]
    for manifest in here:
        reader = Sealed(manifest.path)
        try:
            kinds.update(reader.kinds())
        finally:
            reader.close()
    times = [s for m in sealed for s in (m.segment.recorded_from_s, m.segment.recorded_to_s)]
    times += [s for s in (opened.first_s, opened.last_s) if s is not None] if opened else []
    facts, size = sum(m.segment.count for m in here), sum(m.bytes for m in here)
    writers = {m.segment.writer for m in sealed} | ({opened.writer} if opened else set())
    return Contents(
        str(folder), tuple(sorted(writers)), dict(sorted(kinds.items())), len(here), sum(not m.path.exists() for m in sealed),
        len(opened.days) if opened else 0, facts, opened.count if opened else 0, size, _open_bytes(folder),
        size / facts if facts else None, min(times, default=None), max(times, default=None),
        journals(folder) if opened else 0,
    )  # fmt: skip


def find(folder: Path, fact_id: str) -> dict[str, Any] | None:
    """The columns of one fact (``WRITER:SEQ``), its key's included; ``None`` where it is not here.  Raises LedgerError."""
    writer, _, number = fact_id.partition(":")
    if not (number.isascii() and number.isdigit() and writer and len(number) <= MOST_DIGITS):
        raise LedgerError(f"{fact_id!r} is no fact's id: expected WRITER:SEQ, as export and explain print them")
    seq = int(number)
    row = _find_open(folder, writer, seq) if (folder / OPEN).exists() else None
    for manifest in manifests(folder) if row is None else ():
        segment = manifest.segment
        if segment.writer == writer and segment.first_seq <= seq <= segment.last_seq:
            if not manifest.path.exists():
                raise LedgerError(f"{manifest.path}: rolled up, or gone: of the facts of {segment.day} only their digest is left")
            reader = Sealed(manifest.path)
            try:
                row = reader.row(seq)
            finally:
                reader.close()
    return None if row is None else dict(zip(COLUMNS, row, strict=True))


class _OpenPart(NamedTuple):
    writer: str
    start_seq: int
    count: int  # type: ignore[assignment]  # a tuple counts too, and nobody asks this one
    kinds: dict[str, int]
    days: frozenset[str]
    first_s: int | None
    last_s: int | None

    def holds(self, manifest: Manifest) -> bool:
        return manifest.segment.writer == self.writer and manifest.segment.first_seq > self.start_seq


def _open_part(folder: Path) -> _OpenPart:
    store = Store.open(folder, readonly=True)
    try:
        kinds: Counter[str] = Counter()
        first = last = ""
        days: set[int] = set()
        for row in store.rows():
            plain = ENERGY.fullmatch(row.body)
            kind = KIND.search(row.body) if plain is None else None
            recorded = RECORDED.search(row.body) if plain is None else None
            kinds["energy" if plain else kind[1] if kind else "?"] += 1
            said = plain[4] if plain else recorded[1] if recorded else ""
            if said and said != last:
                first, last = first or said, said
                days.add(int(said) // DAY_S)
        named = frozenset(day_of(day * DAY_S) for day in days)
        times = (int(first), int(last)) if first else (None, None)
        return _OpenPart(store.writer, store.start().seq, sum(kinds.values()), kinds, named, *times)
    finally:
        store.close()


def _find_open(folder: Path, writer: str, seq: int) -> tuple[Any, ...] | None:
    store = Store.open(folder, readonly=True)
    try:
        if store.writer != writer or not store.start().seq < seq <= store.head().seq:
            return None
        rows = Rows(writer)
        for row in store.rows(upto_seq=seq):
            if row.seq == seq or '"fact":"key"' in row.body:
                try:
                    found = rows.row(row.seq, row.body)
                except NONSENSE:
                    raise LedgerError(f"{folder}: fact {writer}:{row.seq} is damaged: run `wattledger ledger verify`") from None
        return found
    finally:
        store.close()


def _open_bytes(folder: Path) -> int:
    there = [folder / f"{OPEN}{end}" for end in ("", "-wal")]
    return sum(path.stat().st_size for path in there if path.exists())
