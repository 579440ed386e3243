"""A recorded day in the making: rows of the open part, in order, become the segment that stands for them."""

import json
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from itertools import groupby, islice
from typing import Any

from wattledger.ledger.body import NONSENSE, day_of
from wattledger.ledger.columns import DAY_S
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.manifest import Segment
from wattledger.ledger.parquet import Stage
from wattledger.ledger.plain import ENERGY
from wattledger.ledger.store import Head, Row, Store
from wattledger.ledger.tally import Tally

BATCH = 5_000
Plain = re.Match[str] | None
Parsed = tuple[int, Row, Plain, Any]  # recorded day, row, its match if it is plain, else its JSON


class Growing:
    """A segment in the making.  State: the tally of its bodies, and what its leaf says beside."""

    def __init__(self, store: Store, before: Head, host: str) -> None:
        self._store, self._before, self._host_before = store, before, host
        self._tally = Tally(before.hash)
        self._host = ""
        self._energy_uj = 0
        self._from_s = self._to_s = 0

    def take(self, parsed: Iterable[Parsed], stage: Stage | None) -> None:
        """One day's rows, in order.  Raises LedgerError at the first that does not fit."""
        parsed = iter(parsed)
        while batch := list(islice(parsed, BATCH)):
            links = self._tally.add([row.body.encode("utf-8", "surrogateescape") for _, row, _, _ in batch])
            seq = self._before.seq + self._tally.count - len(batch)
            for (_, row, plain, found), link in zip(batch, links, strict=True):
                seq += 1
                if row.seq != seq or row.hash != link:
                    raise self._broken(seq, "the chain is broken here")
                try:
                    self._say(plain, found)
                    if stage is not None:
                        stage.add(seq, row.body, plain)
                except NONSENSE as wrong:
                    raise self._broken(seq, f"its body is no fact: {wrong!r}") from None

    def _say(self, plain: Plain, found: Any) -> None:
        if plain is not None:
            self._energy_uj += int(plain[1])
            recorded_s = int(plain[4])
        else:
            recorded_s = int(found["recorded_s"])
            if found["fact"] == "energy":
                self._energy_uj += int(found["energy_uj"])
            self._host = self._host or str(found.get("host", ""))
        if recorded_s < self._to_s:
            raise ValueError("it was recorded before the one before it")
        self._from_s, self._to_s = self._from_s or recorded_s, recorded_s

    def _broken(self, seq: int, what: str) -> LedgerError:
        where = f"{self._store.folder / 'open.db'}: fact {self._store.writer}:{seq}"
        return LedgerError(f"{where}: {what}; run `wattledger ledger verify`")

    def segment(self) -> Segment:
        """The segment as it stands.  A day that names no host is of the last one's."""
        tally, before = self._tally, self._before
        return Segment(
            self._store.writer, self._host or self._host_before or "unknown", day_of(self._from_s), before.seq + 1, tally.count,
            tally.root().hex(), before.hash.hex(), tally.head.hex(), self._energy_uj, self._from_s, self._to_s,
        )  # fmt: skip

    def end(self) -> Head:
        """Where the chain stands behind it."""
        return Head(self._before.seq + self._tally.count, self._tally.head, self._to_s)


def rows_of(store: Store, after_seq: int, upto_seq: int | None = None) -> Generator[Row, None, None]:
    """A store's rows; it can be closed before its end."""
    yield from store.rows(after_seq, upto_seq)


def parse(row: Row) -> Parsed:
    """A row and what it says at first sight.  Raises LedgerError."""
    plain = ENERGY.fullmatch(row.body)
    if plain is not None:
        return int(plain[4]) // DAY_S, row, plain, None
    try:
        found = json.loads(row.body)
        return found["recorded_s"] // DAY_S, row, None, found
    except NONSENSE:
        raise LedgerError(f"fact {row.seq} of the open part is none: run `wattledger ledger verify`") from None


def by_day(store: Store, after_seq: int) -> Generator[tuple[int, Iterator[Parsed]], None, None]:
    """(recorded day, its rows), oldest first, each to be taken before the next; close it if it is left before its end."""
    with closing(rows_of(store, after_seq)) as found:
        yield from groupby(map(parse, found), key=lambda parsed: parsed[0])
