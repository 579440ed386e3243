"""A process tree's part of the energy → its spans: inclusive for the span's own result, exclusive for the books.

A span tree is two views of one sum: ``energy`` of a span contains its children's; ``own`` is posted once, to the innermost.
"""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from math import log
from typing import NamedTuple

from wattledger.core.accounts import WORK_KINDS, Lane, SpanAccount
from wattledger.core.attribution import split
from wattledger.core.model import Boundary, Gap, Work, Workload

# Concurrent spans of one process, g95 (carbon.md 8.4): CPU by thread time as by process time, anything else an equal split.
THREAD_SHARE_G95 = 1.25
BLIND_SHARE_G95 = 3.0


Given = tuple[dict[Workload, tuple[int, int]], tuple[int, int]]


class Slice(NamedTuple):
    """A stretch of a cell between two boundaries: who is innermost, who is open, and the process's CPU clock over it.

    ``innermost``: a chain for each innermost span, itself first, then the open spans around it.
    """

    start_ns: int
    end_ns: int
    innermost: tuple[tuple[SpanAccount, ...], ...]
    open: tuple[SpanAccount, ...]
    cpu_ns: int | None


class LanePart(NamedTuple):
    """One device's energy in a cell as a process tree sees it: cut by slices, its part of the whole, and how much to doubt that
    part.

    ``idles_uj``: of each slice's energy, what is idle; ``spread``: of each active microjoule, how much may be another's;
    ``table_uj``: idle energy in the cell that stands on a table.
    """

    lane: Lane
    tree: Workload
    by_thread: bool
    energies_uj: Sequence[int]
    idles_uj: Sequence[int]
    active_uj: int
    held_uj: int
    weights: Sequence[int]
    peak_uw: int
    spread: float
    table_uj: float


class SpanBook:
    """The open spans of all process trees.

    State: accounts by span id, those not left yet by tree, each span's parent (kept while a descendant lives: a task may outlive
    the block it was started in), and CPU clocks at boundaries.
    """

    def __init__(self) -> None:
        self._accounts: dict[int, SpanAccount] = {}
        self._open: dict[Workload, dict[int, SpanAccount]] = {}
        self._parents: dict[int, int | None] = {}
        self._clock: dict[Workload, int] = {}
        self._thread_clock: dict[int, tuple[int, int]] = {}

    def open_accounts(self) -> Iterable[SpanAccount]:
        """Spans that were entered and have not been settled."""
        return self._accounts.values()

    def find(self, span: int) -> SpanAccount | None:
        """The account of a span that is not settled yet."""
        return self._accounts.get(span)

    def add_work(self, work: Work) -> None:
        """Count tokens and requests for the span they were done in and for those around it."""
        if work.span is None:
            return
        for span in (work.span, *self._ancestors(work.span)):
            account = self._accounts.get(span)
            if account is not None:
                for kind in WORK_KINDS:
                    account.work[kind] = account.work.get(kind, 0) + getattr(work, kind)

    def note_gaps(self, gaps: Iterable[Gap]) -> None:
        """Tell every span of the times in it that nobody metered."""
        for gap in gaps:
            for account in self._accounts.values():
                start = max(gap.start, account.entered)
                end = gap.end if account.left is None else min(gap.end, account.left)
                if gap.device.inside is None and end > start:
                    account.gaps.append(gap._replace(start=start, end=end))

    def settle(self) -> list[SpanAccount]:
        """Hand over, and forget, the spans that have ended and whose cell is closed."""
        done = [a for a in self._accounts.values() if a.left is not None]
        for account in done:
            del self._accounts[account.span]
        if done:
            needed = {span for live in self._accounts for span in (live, *self._ancestors(live))}
            self._parents = {span: parent for span, parent in self._parents.items() if span in needed}
        return done

    def forget_trees(self, here: Container[Workload]) -> None:
        """Process trees that nobody claims any more have no clock: their number may come back as another's."""
        for tree in [tree for tree in self._open if tree not in here and not self._open[tree]]:
            del self._open[tree]
            self._clock.pop(tree, None)

    def _ancestors(self, span: int) -> Iterator[int]:
        parent = self._parents.get(span)
        while parent is not None:
            yield parent
            parent = self._parents.get(parent)

    # --- cutting a cell -------------------------------------------------------------------------------------------------

    def cut(self, start_ns: int, end_ns: int, boundaries: Sequence[Boundary]) -> dict[Workload, list[Slice]]:
        """Cut a cell at its boundaries (sorted by time), for each process tree that has spans in it."""
        trees = dict.fromkeys([*(tree for tree, spans in self._open.items() if spans), *(b.within for b in boundaries)])
        return {tree: self._cut_tree(tree, (start_ns, end_ns), boundaries) for tree in trees}

    def _cut_tree(self, tree: Workload, cell_ns: tuple[int, int], boundaries: Sequence[Boundary]) -> list[Slice]:
        slices: list[Slice] = []
        at_ns, end_ns = cell_ns
        state = self._state(tree)
        for boundary in boundaries:
            if boundary.within != tree:
                continue
            to_ns = min(boundary.at.mono_ns, end_ns)
            cpu_ns = self._cpu_since(boundary)
            if to_ns > at_ns:
                slices.append(Slice(at_ns, to_ns, *state, cpu_ns))
                at_ns = to_ns
            if boundary.edge != "mark":
                self._apply(boundary)
                state = self._state(tree)
            elif boundary.span in self._accounts:
                self._rate(self._accounts[boundary.span], boundary)
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
            account = self._accounts[boundary.span] = SpanAccount(boundary)
            self._parents[boundary.span] = boundary.parent
            self._open.setdefault(boundary.within, {})[boundary.span] = account
            self._rate(account, boundary)
        elif boundary.span in (spans := self._open.get(boundary.within, {})):
            account = spans.pop(boundary.span)
            account.left = boundary.at
            self._rate(account, boundary)
            self._thread_clock.pop(boundary.span, None)

    def _rate(self, account: SpanAccount, boundary: Boundary) -> None:
        """How busy a span's thread was since it was last looked at: by that, spans of several threads share a CPU."""
        if boundary.thread_cpu_ns is None or boundary.thread != account.thread:
            return
        looked_ns, cpu_ns = self._thread_clock.get(account.span, (boundary.at.mono_ns, 0))
        if boundary.at.mono_ns > looked_ns:
            account.rate = max(0, boundary.thread_cpu_ns - cpu_ns) / (boundary.at.mono_ns - looked_ns)
        self._thread_clock[account.span] = boundary.at.mono_ns, boundary.thread_cpu_ns

    def _state(self, tree: Workload) -> tuple[tuple[tuple[SpanAccount, ...], ...], tuple[SpanAccount, ...]]:
        """(innermost chains, open accounts) of a tree now: innermost is open without an open descendant."""
        spans = self._open.get(tree, {})
        now_open = tuple(spans.values())
        if len(now_open) < 2:
            return (now_open,) if now_open else (), now_open
        chains = [(a, *(spans[s] for s in self._ancestors(a.span) if s in spans)) for a in now_open]
        around = {outer.span for chain in chains for outer in chain[1:]}
        return tuple(chain for chain in chains if chain[0].span not in around), now_open

    # --- handing out ----------------------------------------------------------------------------------------------------

    def post(self, slices: Sequence[Slice], part: LanePart, left_uj: list[int]) -> Given:
        """Give a tree's part of one device to its spans; returns (active, held) by span's workload, and outside all spans, which
        sum to the part exactly.

        ``left_uj`` gathers, slice by slice, what the tree leaves to others.  The inner loop of everything: a program may cross
        thousands of boundaries a second.
        """
        lengths = [s.end_ns - s.start_ns for s in slices]
        actives = split(part.active_uj, part.weights if any(part.weights) else lengths)
        helds = split(part.held_uj, part.idles_uj if any(part.idles_uj) else lengths) if part.held_uj else lengths
        posted: dict[Workload, tuple[int, int]] = {}
        outside = 0, 0
        table_per_ns = part.table_uj / max(1, sum(lengths))
        for i, piece in enumerate(slices):
            active_uj, held_uj = actives[i], helds[i] if part.held_uj else 0
            left_uj[i] += part.energies_uj[i] - active_uj - held_uj
            for account in piece.open:
                lane = account.lanes.get(part.lane) or account.lane(part.lane)
                lane.device_uj += part.energies_uj[i]
                lane.doubt_uj += table_per_ns * lengths[i]
                if part.peak_uw > lane.peak_uw:
                    lane.peak_uw = part.peak_uw
            if not piece.innermost:
                outside = outside[0] + active_uj, outside[1] + held_uj
            elif len(piece.innermost) == 1:
                _give(piece.innermost[0], part, active_uj, held_uj)
                _tally(posted, piece.innermost[0][0].workload, active_uj, held_uj)
            else:
                _give_each(piece.innermost, part, (active_uj, held_uj), posted)
        return posted, outside

    def reserve(self, slices: Sequence[Slice], reserved_ns: Mapping[str, int]) -> tuple[dict[Workload, float], float]:
        """Give the time that devices were a tree's to its spans: inside a program it goes by time, and concurrent spans share it
        equally.  Returns the part of it by innermost span's workload, and the part outside all spans.
        """
        whole_ns = max(1, sum(s.end_ns - s.start_ns for s in slices))
        parts: dict[int, float] = {}  # by span: one that is open all the time is in thousands of slices
        own: dict[Workload, float] = {}
        outside = 0.0
        for piece in slices:
            part = (piece.end_ns - piece.start_ns) / whole_ns
            if not piece.innermost:
                outside += part
            each = part / max(1, len(piece.innermost))
            for chain in piece.innermost:
                own[chain[0].workload] = own.get(chain[0].workload, 0.0) + each
                for account in chain:
                    parts[account.span] = parts.get(account.span, 0.0) + each
        for span, part in parts.items():
            sums = self._accounts[span].reserved_ns
            for binding, ns in reserved_ns.items():
                sums[binding] = sums.get(binding, 0.0) + ns * part
        return own, outside

    def note_others(self, slices: Sequence[Slice], left_uj: Sequence[int], others_uj: Mapping[Workload, int]) -> None:
        """What the rest of the host drew, to every span by what its tree left of each slice: own and others add up to the
        devices."""
        # A slice below the idle floor, while its tree holds the device, leaves less than nothing: others drew nothing then.
        left_uj = [max(0, left) for left in left_uj]
        whole_uj = sum(left_uj)
        if not whole_uj:
            return
        part_uj: dict[int, int] = {}  # by span: one that is open all the time is in thousands of slices
        for piece, left in zip(slices, left_uj, strict=True):
            for account in piece.open:
                part_uj[account.span] = part_uj.get(account.span, 0) + left
        for span, left in part_uj.items():
            others = self._accounts[span].others
            for workload, uj in others_uj.items():
                others[workload] = others.get(workload, 0.0) + uj * left / whole_uj


def _give_each(
    chains: Sequence[tuple[SpanAccount, ...]],
    part: LanePart,
    uj: tuple[int, int],
    posted: dict[Workload, tuple[int, int]],
) -> None:
    """Concurrent spans share each instant equally, a CPU by thread time where all of them are known (the spans of one thread, tasks
    that take turns, equally).  Either way nobody saw whose work it was: that doubt is each span's."""
    ones = [1] * len(chains)
    weights = ones
    doubt_g95 = BLIND_SHARE_G95
    if part.by_thread and all(chain[0].rate is not None for chain in chains):
        threads = [chain[0].thread for chain in chains]
        weights = [int((chain[0].rate or 0.0) * 1_000_000) // threads.count(chain[0].thread) for chain in chains]
        doubt_g95 = THREAD_SHARE_G95 if len(set(threads)) == len(threads) else BLIND_SHARE_G95
    actives, helds = split(uj[0], weights if any(weights) else ones), split(uj[1], ones)
    for chain, active_uj, held_uj in zip(chains, actives, helds, strict=True):
        chain[0].lanes[part.lane].spread_uj += log(doubt_g95) * min(active_uj, uj[0] - active_uj)
        _give(chain, part, active_uj, held_uj)
        _tally(posted, chain[0].workload, active_uj, held_uj)


def _give(chain: tuple[SpanAccount, ...], part: LanePart, active_uj: int, held_uj: int) -> None:
    """Own energy to the innermost span, inclusive energy to it and to every open span around it."""
    chain[0].lanes[part.lane].own_uj += active_uj + held_uj
    spread_uj = part.spread * active_uj
    for account in chain:
        lane = account.lanes[part.lane]  # every span of a chain is open, so ``post`` has made it
        lane.active_uj += active_uj
        lane.held_uj += held_uj
        lane.spread_uj += spread_uj


def _tally(posted: dict[Workload, tuple[int, int]], workload: Workload, active_uj: int, held_uj: int) -> None:
    before = posted.get(workload)
    posted[workload] = (active_uj, held_uj) if before is None else (before[0] + active_uj, before[1] + held_uj)
