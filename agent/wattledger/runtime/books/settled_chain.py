"""The open books followed row by row: each is read once, whichever process wrote it, and what corrects another says so."""

import json
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from wattledger.core.facts import Fact, Key, Known

if TYPE_CHECKING:
    from wattledger.ledger.query_standing import Link
    from wattledger.ledger.store import Row, Store

DAY_S = 86_400
WANTED = ("energy", "intensity", "contract")


class Told(NamedTuple):
    """A row that matters: an energy, intensity or contract, or (``fact`` of ``None``) that another was taken back."""

    id: str
    seq: int
    recorded_s: int
    body: str
    fact: Fact | None
    corrects: str

    @property
    def known(self) -> Known:
        """The fact as the books have it."""
        assert self.fact is not None
        return Known(self.id, self.recorded_s, self.fact, self.corrects)

    @property
    def link(self) -> "Link":
        """What it takes the place of."""
        from wattledger.ledger.query_standing import Link

        return Link(self.id, self.corrects, self.recorded_s, self.fact is None)


class Chain:
    """State: the last row read, when it was recorded, and the keys said so far on that day: ``catch_up`` reads them for one that
    does not begin with a day."""

    def __init__(self, after_seq: int = 0) -> None:
        self.seq, self.recorded_s = after_seq, 0
        self._keys: dict[int, Key] = {}
        self._day = -1

    def news(self, store: "Store") -> Iterator[Told]:
        """The rows since, in order.  Raises LedgerError, and may be called again."""
        from wattledger.ledger.body import BadBody
        from wattledger.ledger.engine import LedgerError

        for row in store.rows(self.seq):
            try:
                told = self._told(store.writer, row)
            except (BadBody, KeyError, TypeError, ValueError) as wrong:
                raise LedgerError(f"row {row.seq} of the books is damaged: {wrong!s:.120}") from None
            self.seq = row.seq
            if told is not None:
                yield told

    def catch_up(self, store: "Store") -> None:
        """Read the keys that were said on the day of the last row read."""
        wanted, self.seq = self.seq, self._day_before(store)
        for row in store.rows(self.seq, wanted):
            if '"fact":"key"' in row.body:
                self._told(store.writer, row)
        self.seq = wanted

    def _day_before(self, store: "Store") -> int:
        """The last row of the day before that of the last row read; recorded times never decrease."""
        low, high = store.start().seq, self.seq
        if low >= high:
            return high
        day = _row(store, high)["recorded_s"] // DAY_S
        while low < high:
            middle = (low + high) // 2
            if _row(store, middle + 1)["recorded_s"] // DAY_S < day:
                low = middle + 1
            else:
                high = middle
        return low

    def _told(self, writer: str, row: "Row") -> Told | None:
        from wattledger.ledger.body import KINDS, decode, decode_key

        found: dict[str, Any] = json.loads(row.body)
        kind, self.recorded_s = found["fact"], found["recorded_s"]
        if self._day != self.recorded_s // DAY_S:
            self._day, self._keys = self.recorded_s // DAY_S, {}
        if kind == "key":
            said = decode_key(found)
            self._keys[said.number] = said.key
        if kind == "key" or (kind in KINDS and kind not in WANTED):
            return None
        fact_id = f"{writer}:{row.seq}"
        known = decode(found, fact_id, self._keys)
        return Told(fact_id, row.seq, self.recorded_s, row.body, known and known.fact, str(found.get("corrects", "")))


class Corrected(NamedTuple):
    """A row that corrects another: which, and whether that was, or may have been, energy of this chain."""

    seq: int
    link: "Link"
    energy: bool


def corrections(store: "Store", after_seq: int, others: Collection[str]) -> list[Corrected]:
    """What the rows behind that one take back or put in another's place.  ``others``: ids that are known to be no energy."""
    from wattledger.ledger.query_standing import Link

    found = []
    for row in store.rows(after_seq):
        if '"corrects":' in row.body:  # in a text the quotes would be escaped
            said = json.loads(row.body)
            link = Link(f"{store.writer}:{row.seq}", said["corrects"], said["recorded_s"], said["fact"] == "withdrawal")
            found.append(Corrected(row.seq, link, may_be_energy(store, said["fact"], said["corrects"], others)))
    return found


def may_be_energy(store: "Store", kind: str, corrects: str, others: Collection[str]) -> bool:
    """Whether a row of this kind takes energy of this chain back: what it corrects may be sealed away, and then nobody can say."""
    if kind != "withdrawal":
        return kind == "energy"
    writer, _, seq = corrects.rpartition(":")
    if corrects in others or writer != store.writer or not seq.isdecimal():
        return False
    return int(seq) <= store.start().seq or _row(store, int(seq)).get("fact") in ("energy", "withdrawal")


def _row(store: "Store", seq: int) -> dict[str, Any]:
    """The row of that number, parsed; empty where it is not there."""
    for row in store.rows(seq - 1, seq):
        found: dict[str, Any] = json.loads(row.body)
        return found
    return {}
