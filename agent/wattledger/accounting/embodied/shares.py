"""Whose time devices were for, cut where assets come and go: what the books say, ready to divide kilograms by."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from wattledger.accounting.embodied.methods import Method, weights_of
from wattledger.accounting.report_ask import DAY_S
from wattledger.core.facts import Known, RunFact
from wattledger.ledger import query_embodied as query
from wattledger.ledger.books import Books
from wattledger.ledger.query_embodied import Binding, Paid, Segment, Taken

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Span(NamedTuple):
    """The time of a report, and how long the pieces are that it is cut into (``None``: it is not)."""

    from_s: int
    to_s: int
    bucket_s: int | None = None

    def clip(self, start_s: int, end_s: int | None) -> tuple[int, int]:
        """What of a time lies in it; empty where it ends before it begins."""
        return max(self.from_s, start_s), self.to_s if end_s is None else min(self.to_s, end_s)


class Piece(NamedTuple):
    """A time of a binding in which nothing comes or goes: who pays for how much of it, and how much was metered at all."""

    from_s: int
    to_s: int
    bucket_s: int | None
    taken: tuple[Taken, ...]
    seen_ns: int

    @property
    def length_ns(self) -> int:
        """All of it."""
        return (self.to_s - self.from_s) * NS_PER_S

    @property
    def unseen_ns(self) -> int:
        """What of it nobody metered."""
        return max(0, self.length_ns - self.seen_ns)


class Cuts:
    """State: by binding, when something that is bound to it comes or goes.

    ``always``: times at which everything is cut: where metering began and ended, so that what a job pays is the same however much
    longer a report's time is.
    """

    def __init__(self, span: Span, always: Iterable[int] = ()) -> None:
        self.span = span
        self._always = sorted(set(always))
        self._at: dict[Binding, set[int]] = {}

    def want(self, binding: Binding, start_s: int, end_s: int | None) -> bool:
        """Somebody books there then; whether any of it is in the span."""
        from_s, to_s = self.span.clip(start_s, end_s)
        if from_s >= to_s:
            return False
        self._at.setdefault(binding, set()).update((from_s, to_s))
        return True

    def pieces(self) -> int:
        """How many pieces of time there are."""
        bucket_s = self.span.bucket_s
        if bucket_s is None:
            return sum(len(self._edges(binding)) - 1 for binding in self._at)
        return sum(1 + (each.to_s - each.from_s) // bucket_s for each in self.segments())

    def segments(self) -> list[Segment]:
        """The times between, sorted."""
        found = []
        for binding in sorted(self._at):
            found += [Segment(binding, *ends) for ends in pairwise(self._edges(binding))]
        return found

    def _edges(self, binding: Binding) -> list[int]:
        edges = self._at[binding]
        first_s, last_s = min(edges), max(edges)
        return sorted(edges.union(at_s for at_s in self._always if first_s < at_s < last_s))


class Shares:
    """What the books say of a report's time.  State: pieces by binding, in order."""

    def __init__(self, span: Span, pieces: Mapping[Binding, list[Piece]]) -> None:
        self.span = span
        self._pieces = pieces

    def of(self, binding: Binding, start_s: int, end_s: int | None) -> Iterator[Piece]:
        """The pieces between two times at which they were cut."""
        from_s, to_s = self.span.clip(start_s, end_s)
        return (piece for piece in self._pieces.get(binding, ()) if from_s <= piece.from_s and piece.to_s <= to_s)

    def bare(self, start_s: int, end_s: int | None) -> Iterator[Piece]:
        """The time between, in the report's pieces, as nobody's."""
        from_s, to_s = self.span.clip(start_s, end_s)
        return (Piece(begin_s, stop_s, at_s, (), 0) for at_s, begin_s, stop_s in _buckets(from_s, to_s, self.span.bucket_s))


class Gathered:
    """The books' rows for these segments, which each method is then asked of; gathered when they are first asked.  State: tables of
    the books.
    """

    def __init__(self, books: Books, cuts: Cuts, kind: str) -> None:
        self._books, self._kind, self._span = books, kind, cuts.span
        self._segments = cuts.segments()
        self.pieces = cuts.pieces()

    def rows(self) -> int:
        """How many rows of energy are looked at."""
        hosts = {segment.binding.host for segment in self._segments}
        return query.rows_on(self._books, hosts, self._span.from_s, self._span.to_s)

    @cached_property
    def _seen(self) -> Mapping[tuple[int, int | None], int]:
        query.gather(self._books, self._segments, self._kind, paid_of(self._books.holding, self._span.from_s))
        return query.seen(self._books, bucket_s=self._span.bucket_s)

    def unsaid(self) -> int:
        """Of how many runs that metered themselves the books do not say what they reserved."""
        return query.unsaid(self._books) if self._segments and self._seen is not None else 0

    def shares(self, method: Method, prices: Mapping[str, float] | None = None) -> Shares:
        """Divided by a method.  Raises NoPrice."""
        if not self._segments:
            return Shares(self._span, {})
        bucket_s, seen = self._span.bucket_s, self._seen
        weights = weights_of(prices, query.jobs(self._books)) if prices and method == "economic" else None
        taken: dict[tuple[int, int | None], list[Taken]] = {}
        for row in query.times(self._books, self._kind, method, bucket_s=bucket_s, prices=weights):
            taken.setdefault((row.segment, row.bucket_s), []).append(row)
        pieces: dict[Binding, list[Piece]] = {}
        for number, segment in enumerate(self._segments):
            for bucket, from_s, to_s in _buckets(segment.from_s, segment.to_s, bucket_s):
                at = number, bucket
                piece = Piece(from_s, to_s, bucket, tuple(taken.get(at, ())), seen.get(at, 0))
                pieces.setdefault(segment.binding, []).append(piece)
        return Shares(self._span, pieces)


def _buckets(from_s: int, to_s: int, bucket_s: int | None) -> Iterator[tuple[int | None, int, int]]:
    if from_s >= to_s:
        return
    if bucket_s is None:
        yield None, from_s, to_s
        return
    for at_s in range(from_s - from_s % bucket_s, to_s, bucket_s):
        yield at_s, max(at_s, from_s), min(at_s + bucket_s, to_s)


def paid_of(holding: Iterable[Known], from_s: int) -> list[Paid]:
    """What programs that metered themselves had reserved: all outermost runs of each meter, which say what those inside them had,
    too; under the run that the meter's energy is booked for.

    Books that are opened for a time begin with its day: how long a run was metered before, its meter's beginning tells."""
    facts = [one.fact for one in holding if isinstance(one.fact, RunFact)]
    began = {fact.meter: fact for fact in reversed(facts) if fact.what == "began"}
    said: dict[tuple[str, str, str], int] = {}
    for fact in facts:
        for device, ns in fact.reserved if fact.what == "ended" else ():
            own = fact.run if fact.meter.startswith("run:") else fact.parent  # of a meter whose beginning is not in these books
            key = fact.meter, began[fact.meter].run if fact.meter in began else own, device
            said[key] = said.get(key, 0) + ns
    midnight_s = from_s - from_s % DAY_S
    found = []
    for (meter, run, device), ns in sorted(said.items()):
        since_ms = began[meter].at_ms if meter in began else midnight_s * 1000
        before_ns = max(0, midnight_s * 1000 - since_ms) * NS_PER_MS
        found.append(Paid(meter, run, device, ns, before_ns, midnight_s))
    return found
