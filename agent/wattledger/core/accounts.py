"""What one span got: running sums by device and method, inclusive and own."""

from collections.abc import Sequence

from wattledger.core.model import Boundary, Gap, Instant, Method, Workload

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
        self.doubt_uj = 0.0  # idle energy that stands on a table, not on a measurement
        self.spread_uj = 0.0  # active energy x ln(g95 of the way it was shared) x what others could have had


class SpanAccount:
    """The running sums of one span; mutable until it is settled."""

    __slots__ = ("entered", "gaps", "lanes", "left", "others", "parent", "rate", "span", "thread", "within", "work", "workload")

    def __init__(self, boundary: Boundary) -> None:
        self.span, self.workload, self.within = boundary.span, boundary.workload, boundary.within
        self.parent, self.thread = boundary.parent, boundary.thread
        self.entered: Instant = boundary.at
        self.left: Instant | None = None
        self.lanes: dict[Lane, LaneAccount] = {}
        self.others: dict[Workload, float] = {}
        self.gaps: list[Gap] = []
        self.work: dict[str, int] = {}
        self.rate: float | None = None  # CPU ns per ns of the span's own thread, once it is known

    def lane(self, key: Lane) -> LaneAccount:
        """This span's sums for one device and method, begun at first use."""
        found = self.lanes.get(key)
        if found is None:
            found = self.lanes[key] = LaneAccount()
        return found


def merge(accounts: Sequence[SpanAccount]) -> SpanAccount:
    """The pieces of one run (a generator's resumptions) as one account: sums, from the first entry to the last leave."""
    first = accounts[0]
    if len(accounts) == 1:
        return first
    whole = SpanAccount(Boundary(first.span, first.entered, "enter", first.workload, first.within, first.parent))
    whole.left = None if any(a.left is None for a in accounts) else max(a.left for a in accounts if a.left is not None)
    for account in accounts:
        for key, lane in account.lanes.items():
            sums = whole.lane(key)
            for name in LaneAccount.__slots__:
                old, new = getattr(sums, name), getattr(lane, name)
                setattr(sums, name, max(old, new) if name == "peak_uw" else old + new)
        for workload, uj in account.others.items():
            whole.others[workload] = whole.others.get(workload, 0.0) + uj
        for kind, n in account.work.items():
            whole.work[kind] = whole.work.get(kind, 0) + n
        whole.gaps += account.gaps
    return whole
