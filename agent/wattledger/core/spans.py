"""A process tree's part of the energy → its spans: inclusive for the span's own result, exclusive for the books.

A span tree is two views of one sum: ``energy`` of a span contains its children's; ``own`` is posted once, to the innermost.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from wattledger.core.attribution import split
from wattledger.core.model import Boundary, Gap, Instant, Method, Work, Workload

Lane = tuple[str, Method]
WORK_KINDS = ("prompt_tokens", "cached_tokens", "generated_tokens", "requests")


class LaneAccount:
    """What one span got from one device by one method, microjoules; a mutable sum."""

    __slots__ = ("active_uj", "device_uj", "doubt_uj", "held_uj", "own_uj", "peak_uw", "spread_uj")

    def __init__(self) -> None:
        self.active_uj = 0  # dynamic energy, children's included
        self.held_uj = 0  # idle energy of what the process holds, children's included
        self.own_uj = 0  # both, without children
        self.device_uj = 0  # everything the device drew meanwhile
        self.peak_uw = 0  # the highest mean power of any stretch: what an endpoint may have missed
        self.doubt_uj = 0  # idle energy that stands on a table, not on a measurement
        self.spread_uj = 0.0  # active energy x ln(g95 of the way it was shared) x what others could have had


class SpanAccount:
    """The running sums of one span; mutable until it is settled."""

    __slots__ = ("entered", "gaps", "lanes", "left", "others", "parent", "rate", "span", "thread", "work", "workload", "within")

    def __init__(self, boundary: Boundary) -> None:
        self.span, self.workload, self.within = boundary.span, boundary.workload, boundary.within
        self.parent, self.thread = boundary.parent, boundary.thread
        self.entered: Instant = boundary.at
        self.left: Instant | None = None
        self.lanes: dict[Lane, LaneAccount] = {}
        self.others: dict[Workload, int] = {}
        self.gaps: list[Gap] = []
        self.work: dict[str, int] = {}
        self.rate: float | None = None  # CPU ns per ns of the span's own thread, once it is known

    def lane(self, key: Lane) -> LaneAccount:
        """This span's sums for one device and method, begun at first use."""
        found = self.lanes.get(key)
        if found is None:
            found = self.lanes[key] = LaneAccount()
        return found


class Slice(NamedTuple):
    """A stretch of a cell between two boundaries: who is innermost, who is open, and the process's CPU clock over it."""

    start_ns: int
    end_ns: int
    innermost: tuple[SpanAccount, ...]
    open: tuple[SpanAccount, ...]
    cpu_ns: int | None


class LanePart(NamedTuple):
    """One device's energy in a cell as a process tree sees it: cut by slices, and its part of the whole."""

    lane: Lane
    tree: Workload
    by_thread: bool
    energies_uj: Sequence[int]
    active_uj: int
    held_uj: int
    weights: Sequence[int]
    others: Mapping[Workload, int]


class SpanBook:
    """The open spans of all process trees.  State: accounts by span id, and the CPU clock at the last boundary."""

    def __init__(self) -> None:
        self._accounts: dict[int, SpanAccount] = {}
        self._clock: dict[Workload, int] = {}
        self._thread_clock: dict[int, int] = {}

    def open_accounts(self) -> Iterable[SpanAccount]:
        """Spans that were entered and have not been settled."""
        return self._accounts.values()

    def find(self, span: int) -> SpanAccount | None:
        """The account of a span that is not settled yet."""
        return self._accounts.get(span)

    def add_work(self, work: Work) -> None:
        """Count tokens and requests for the span they were done in and for those around it."""
        at = None if work.span is None else self._accounts.get(work.span)
        while at is not None:
            for kind in WORK_KINDS:
                at.work[kind] = at.work.get(kind, 0) + getattr(work, kind)
            at = None if at.parent is None else self._accounts.get(at.parent)

    def settle(self) -> list[SpanAccount]:
        """Hand over, and forget, the spans that have ended and whose cell is closed."""
        done = [a for a in self._accounts.values() if a.left is not None]
        for account in done:
            del self._accounts[account.span]
        return done

    def cut(self, start_ns: int, end_ns: int, boundaries: Sequence[Boundary]) -> dict[Workload, list[Slice]]:
        """Cut a cell at its boundaries (sorted by time), for each process tree that has spans in it."""
        trees = {a.within for a in self._accounts.values()} | {b.within for b in boundaries}
        return {tree: self._cut_tree(tree, (start_ns, end_ns), boundaries) for tree in trees}

    def _cut_tree(self, tree: Workload, cell_ns: tuple[int, int], boundaries: Sequence[Boundary]) -> list[Slice]:
        slices: list[Slice] = []
        at_ns, end_ns = cell_ns
        state = self._state(tree)
        for boundary in boundaries:
            if boundary.within != tree:
                continue
            to_ns = min(max(boundary.at.mono_ns, at_ns), end_ns)
            cpu_ns = self._cpu_since(boundary)
            if to_ns > at_ns:
                slices.append(Slice(at_ns, to_ns, *state, cpu_ns))
                at_ns = to_ns
            self._apply(boundary)
            if boundary.edge != "mark":
                state = self._state(tree)
        if end_ns > at_ns or not slices:
            slices.append(Slice(at_ns, end_ns, *state, None))
        return slices

    def _cpu_since(self, boundary: Boundary) -> int | None:
        if boundary.cpu_ns is None:
            return None
        before = self._clock.get(boundary.within)
        self._clock[boundary.within] = boundary.cpu_ns
        return None if before is None else max(0, boundary.cpu_ns - before)

    def _apply(self, boundary: Boundary) -> None:
        if boundary.edge == "enter":
            self._accounts[boundary.span] = SpanAccount(boundary)
            if boundary.thread_cpu_ns is not None:
                self._thread_clock[boundary.span] = boundary.thread_cpu_ns
        elif boundary.edge == "leave" and (account := self._accounts.get(boundary.span)) is not None:
            account.left = boundary.at
            began = self._thread_clock.pop(boundary.span, None)
            elapsed_ns = boundary.at.mono_ns - account.entered.mono_ns
            if began is not None and boundary.thread_cpu_ns is not None and account.thread == boundary.thread and elapsed_ns:
                account.rate = (boundary.thread_cpu_ns - began) / elapsed_ns

    def _state(self, tree: Workload) -> tuple[tuple[SpanAccount, ...], tuple[SpanAccount, ...]]:
        """(innermost, open) accounts of a tree now: innermost is open without an open child."""
        now_open = [a for a in self._accounts.values() if a.left is None and a.within == tree]
        parents = {a.parent for a in now_open}
        return tuple(a for a in now_open if a.span not in parents), tuple(now_open)

    def post(self, slices: Sequence[Slice], part: LanePart) -> dict[Workload, tuple[int, int]]:
        """Give a tree's part of one device to its spans; returns (active, held) by workload, which sums to the part exactly."""
        lengths = [s.end_ns - s.start_ns for s in slices]
        actives = split(part.active_uj, part.weights if any(part.weights) else lengths)
        helds = split(part.held_uj, lengths)
        others = {w: split(uj, _or(part.energies_uj, lengths)) for w, uj in part.others.items()}
        posted: dict[Workload, tuple[int, int]] = {}
        for i, piece in enumerate(slices):
            for account in piece.open:
                lane = account.lane(part.lane)
                lane.device_uj += part.energies_uj[i]
                for workload, parts in others.items():
                    account.others[workload] = account.others.get(workload, 0) + parts[i]
            for workload, active_uj, held_uj in self._give(piece, part, actives[i], helds[i]):
                before = posted.get(workload, (0, 0))
                posted[workload] = before[0] + active_uj, before[1] + held_uj
        return posted

    def _give(
        self, piece: Slice, part: LanePart, active_uj: int, held_uj: int
    ) -> Iterable[tuple[Workload, int, int]]:
        """One slice's energy to its innermost spans: each instant equally, or by thread time where all of them are known."""
        if not piece.innermost:
            yield part.tree, active_uj, held_uj
            return
        ones = [1] * len(piece.innermost)
        rates = [a.rate for a in piece.innermost]
        known = part.by_thread and all(r is not None for r in rates)
        by_thread = [int((r or 0.0) * 1_000_000) for r in rates] if known else ones
        actives, helds = split(active_uj, _or(by_thread, ones)), split(held_uj, ones)
        for account, active, held in zip(piece.innermost, actives, helds, strict=True):
            account.lane(part.lane).own_uj += active + held
            self._add_up(account, part.lane, active, held)
            yield account.workload, active, held

    def _add_up(self, account: SpanAccount, lane: Lane, active_uj: int, held_uj: int) -> None:
        at: SpanAccount | None = account
        while at is not None:
            entry = at.lane(lane)
            entry.active_uj += active_uj
            entry.held_uj += held_uj
            at = self._accounts.get(at.parent) if at.parent is not None else None


def _or(weights: Sequence[int], fallback: Sequence[int]) -> Sequence[int]:
    return weights if any(weights) else fallback


def merge(accounts: Sequence[SpanAccount]) -> SpanAccount:
    """The pieces of one run (a generator's resumptions) as one account: sums, from the first entry to the last leave."""
    first = accounts[0]
    if len(accounts) == 1:
        return first
    whole = SpanAccount(Boundary(first.span, first.entered, "enter", first.workload, first.within, first.parent))
    whole.left = accounts[-1].left
    for account in accounts:
        for key, lane in account.lanes.items():
            sums = whole.lane(key)
            for name in LaneAccount.__slots__:
                old, new = getattr(sums, name), getattr(lane, name)
                setattr(sums, name, max(old, new) if name == "peak_uw" else old + new)
        for workload, uj in account.others.items():
            whole.others[workload] = whole.others.get(workload, 0) + uj
        for kind, n in account.work.items():
            whole.work[kind] = whole.work.get(kind, 0) + n
        whole.gaps += account.gaps
    return whole
