"""A writer's log as it stands in its folder: one segment a recorded day, in order, sealed or still in the open part.

A snapshot: what is appended or sealed afterwards changes nothing that it says.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from wattledger.ledger import merkle, segments
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.heads import TreeHead
from wattledger.ledger.manifest import Segment, manifests
from wattledger.ledger.store import Store


class Log(NamedTuple):
    """``days``: all recorded days; the last one is still open, even where it is sealed already: facts may yet join it elsewhere."""

    folder: Path
    writer: str
    days: tuple[Segment, ...]

    @property
    def closed(self) -> tuple[Segment, ...]:
        """The segments that are leaves of the log."""
        return self.days[:-1]

    def leaves(self, count: int) -> list[bytes]:
        """The leaf hashes of the first ``count`` segments."""
        return [merkle.leaf_hash(segment.leaf()) for segment in self.days[:count]]

    def head(self, at_s: int) -> TreeHead:
        """The tree head, as of this snapshot; unsigned."""
        root = merkle.root(self.leaves(len(self.closed))).hex()
        if not self.days:
            return TreeHead(self.writer, 0, root, "", 0, merkle.EMPTY_ROOT.hex(), at_s)
        newest = self.days[-1]
        return TreeHead(self.writer, len(self.closed), root, newest.day, newest.count, newest.root, at_s)

    def bodies(self, day: Segment) -> Iterator[bytes]:
        """The bodies of one day, in order.  Raises LedgerError where they are not all there any more."""
        sealed = next((m.path for m in manifests(self.folder) if m.segment == day), None)
        if sealed is not None and not sealed.exists():
            raise LedgerError(f"{sealed}: rolled up, or gone: of the rows of {day.day} only their digest is left")
        count = 0
        for body in segments.bodies(self.folder, day):
            count += 1
            yield body.encode("utf-8", "surrogateescape")
        if count != day.count:
            found = f"{count:,} of {day.count:,} rows of {day.day} are there"
            raise LedgerError(f"{self.folder}: {found}: run `wattledger ledger verify`")


def look(folder: Path) -> Log:
    """The log of the books in ``folder``.  Raises LedgerError where they cannot be read, or a day is missing."""
    store = Store.open(folder, readonly=True)
    try:
        # The open part first: a day that is sealed in between is then seen twice, and not missed.
        with store.frozen():
            found = [day.segment for day in segments.cut(store)]
        writer = store.writer
    finally:
        store.close()
    sealed = [manifest.segment for manifest in manifests(folder) if manifest.segment.writer == writer]
    # Of one day the longest: while it is sealed it may grow in the open part once more.
    longest = {day.first_seq: day for day in sorted([*sealed, *found], key=lambda day: day.count)}
    days = tuple(longest[first_seq] for first_seq in sorted(longest))
    _whole(folder, days)
    return Log(folder, writer, days)


def _whole(folder: Path, days: Sequence[Segment]) -> None:
    """Raises LedgerError where the days do not follow one another."""
    expected = 1
    for day in days:
        if day.first_seq != expected:
            rows = f"rows {expected} to {day.first_seq - 1}"
            raise LedgerError(f"{folder}: {rows} are missing before {day.day}: run `wattledger ledger verify`")
        expected = day.last_seq + 1
