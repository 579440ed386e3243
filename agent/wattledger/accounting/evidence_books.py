"""Which books a report was made from, for an auditor: each chain's head as of then, and what was changed in them since.

A head here is (writer, number of its last fact, chain hash after it): what ``wattledger ledger verify --json`` says of the same
books, and what anchors are held against.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from wattledger.accounting.reports import iso_time
from wattledger.core.facts import Known, RunFact
from wattledger.ledger import lake
from wattledger.ledger.body import day_of
from wattledger.ledger.books import Books
from wattledger.ledger.chain import link
from wattledger.ledger.compaction import root_of
from wattledger.ledger.engine import told
from wattledger.ledger.manifest import Segment
from wattledger.ledger.store import OPEN, Store

BATCH = 20_000


class ChainHead(NamedTuple):
    """The last fact of a chain that was known then; ``hash`` is empty where the facts of its day are not here one by one."""

    writer: str
    seq: int
    hash: str


def heads(books: Books, as_of_s: int | None) -> list[ChainHead]:
    """Of each chain in the books, by writer.  Raises LedgerError."""
    best: dict[str, ChainHead] = {}
    read = _read(books)
    for place in books.places:
        for head in (*_sealed(books, place, as_of_s), *_opened(place, as_of_s, read)):
            if head.seq > (best[head.writer].seq if head.writer in best else 0):
                best[head.writer] = head
    return [best[writer] for writer in sorted(best)]


def _read(books: Books) -> dict[str, int]:
    """The last fact of each chain that was read: a meter may have gone on since."""
    with told("the books"):
        sql = "SELECT writer, MAX(seq) FROM facts_all WHERE writer IS NOT NULL GROUP BY writer"
        return {writer: int(seq) for writer, seq in books.connection.execute(sql).fetchall()}


def _sealed(books: Books, place: str, as_of_s: int | None) -> Iterator[ChainHead]:
    """Only each writer's last day is opened: a fleet's year is 365,000 of them."""
    root = root_of(place)
    if not lake.is_url(root) and not Path(root).is_dir():
        return
    last: dict[str, str] = {}
    for name in lake.names(root):
        if lake.SEALED.fullmatch(name):
            day, _, file = name.split("/")
            writer, day = file.removesuffix(".json"), day.removeprefix("day=")
            if (as_of_s is None or day <= day_of(as_of_s)) and day > last.get(writer, ""):
                last[writer] = day
    for day in sorted(set(last.values())):
        for manifest in lake.fetch_manifests(root, f"day={day}"):
            segment = manifest.segment
            if last.get(segment.writer) == day:
                yield _of(books, segment, as_of_s)


def _of(books: Books, segment: Segment, as_of_s: int | None) -> ChainHead:
    if as_of_s is None or segment.recorded_to_s <= as_of_s:
        return ChainHead(segment.writer, segment.last_seq, segment.head)
    if segment.recorded_from_s > as_of_s:
        return ChainHead(segment.writer, segment.first_seq - 1, segment.head_before)
    sql = "SELECT seq, body FROM facts_all WHERE writer = ? AND seq BETWEEN ? AND ? AND recorded_s <= ? ORDER BY seq"
    digest, seq = bytes.fromhex(segment.head_before), segment.first_seq - 1
    with told("the books"):
        books.connection.execute(sql, [segment.writer, segment.first_seq, segment.last_seq, as_of_s])
        while rows := books.connection.fetchmany(BATCH):
            for number, body in rows:
                digest = link(digest, body) if number == seq + 1 and digest else b""
                seq = number
    return ChainHead(segment.writer, seq, digest.hex())


def _opened(place: str, as_of_s: int | None, read: Mapping[str, int]) -> Iterator[ChainHead]:
    if lake.is_url(place) or not (lake.path_of(place) / OPEN).exists():
        return
    store = Store.open(lake.path_of(place), readonly=True)
    try:
        with store.frozen():
            start = store.start()
            if as_of_s is not None and start.recorded_s > as_of_s:
                return
            found = ChainHead(store.writer, start.seq, start.hash.hex())
            for row in store.rows(start.seq):
                if row.seq > read.get(store.writer, 0) or (as_of_s is not None and json.loads(row.body)["recorded_s"] > as_of_s):
                    break
                found = ChainHead(store.writer, row.seq, row.hash.hex())
    finally:
        store.close()
    yield found


def corrections(books: Books, as_of_s: int | None) -> list[dict[str, Any]]:
    """Each correction in the books, in the order in which they were learnt: what, by what, why."""
    sql = "SELECT writer, seq, recorded_s, corrects, fact, body FROM facts_all WHERE corrects IS NOT NULL ORDER BY 3, 1, 2"
    with told("the books"):
        rows = books.connection.execute(sql).fetchall()
    found = []
    for writer, seq, recorded_s, corrects, fact, body in rows:
        if as_of_s is None or recorded_s <= as_of_s:
            said = {"id": f"{writer}:{seq}", "corrects": corrects, "learnt": iso_time(recorded_s)}
            said |= {"because": json.loads(body).get("because", "")}
            found.append(said | ({"withdraws": True} if fact == "withdrawal" else {}))
    return found


def versions(known: Iterable[Known]) -> list[dict[str, Any]]:
    """Which versions of the program metered, each with its hosts and the first and last time that a meter of it began or ended."""
    found: dict[str, tuple[set[str], list[int]]] = {}
    for one in known:
        if isinstance(one.fact, RunFact) and one.fact.version:
            hosts, times = found.setdefault(one.fact.version, (set(), []))
            hosts.add(one.fact.host)
            times.append(one.fact.at_ms // 1000)
    return [
        {"version": version, "hosts": len(hosts), "from": iso_time(min(times)), "to": iso_time(max(times))}
        for version, (hosts, times) in sorted(found.items())
    ]  # fmt: skip
