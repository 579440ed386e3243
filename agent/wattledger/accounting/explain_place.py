"""Where a fact stands in its chain: the hash before it and after it, and in which day."""

from collections.abc import Iterator
from typing import NamedTuple

from wattledger.ledger import lake
from wattledger.ledger.body import day_of
from wattledger.ledger.books import Books
from wattledger.ledger.chain import link
from wattledger.ledger.compaction import root_of
from wattledger.ledger.engine import LedgerError, told
from wattledger.ledger.manifest import Segment
from wattledger.ledger.store import OPEN, Store

BATCH = 20_000


class Place(NamedTuple):
    """``day``: when it was recorded.  ``sealed``: in the segment of that day, with the number of its facts; else in the open part.

    ``before`` and ``after``: hashes in hex, empty where the facts before it are not here one by one any more.  ``holds``: whether
    they follow one another as they should.
    """

    day: str
    sealed: bool
    segment_facts: int
    before: str
    after: str
    holds: bool


def place_of(books: Books, writer: str, seq: int, recorded_s: int) -> Place:
    """Of a fact that stands in the books by itself.  Raises LedgerError."""
    day = day_of(recorded_s)
    for place in books.places:
        for manifest in lake.fetch_manifests(root_of(place), f"day={day}"):
            segment = manifest.segment
            if segment.writer == writer and segment.first_seq <= seq <= segment.last_seq:
                return _sealed(books, segment, seq)
    for place in books.places:
        if (found := _open(place, writer, seq)) is not None:
            return Place(day, False, 0, *found)
    raise LedgerError(f"{writer}:{seq}: its segment's manifest is not in these books: run `wattledger ledger verify`")


def _sealed(books: Books, segment: Segment, seq: int) -> Place:
    """Its place among the hashes of its segment, which end in the segment's head if all rows are still here."""
    before = after = last = b""
    at = 0
    for at, digest in _hashes(books, segment):
        if at == seq:
            before, after = last, digest
        last = digest
    holds = at != segment.last_seq or last.hex() == segment.head
    return Place(segment.day, True, segment.count, before.hex() if after else "", after.hex(), holds)


def _hashes(books: Books, segment: Segment) -> Iterator[tuple[int, bytes]]:
    """(number, hash) from the one before the first on, as far as no number is missing: what was rolled up has none."""
    sql = "SELECT seq, body FROM facts_all WHERE writer = ? AND seq BETWEEN ? AND ? ORDER BY seq"
    digest, expected = bytes.fromhex(segment.head_before), segment.first_seq
    yield expected - 1, digest
    with told("the books"):
        books.connection.execute(sql, [segment.writer, segment.first_seq, segment.last_seq])
        while rows := books.connection.fetchmany(BATCH):
            for seq, body in rows:
                if seq != expected:
                    return
                digest, expected = link(digest, body), expected + 1
                yield seq, digest


def _open(place: str, writer: str, seq: int) -> tuple[str, str, bool] | None:
    if lake.is_url(place) or not (lake.path_of(place) / OPEN).exists():
        return None
    store = Store.open(lake.path_of(place), readonly=True)
    try:
        start = store.start()
        if store.writer != writer or seq <= start.seq:
            return None
        before = start.hash
        for row in store.rows(max(start.seq, seq - 2), seq):
            if row.seq == seq:
                return before.hex(), row.hash.hex(), row.hash == link(before, row.body)
            before = row.hash
        return None
    finally:
        store.close()
