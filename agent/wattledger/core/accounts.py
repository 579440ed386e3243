"""What one span got: running sums by device and method, inclusive and own."""

from collections.abc import Mapping, Sequence

from wattledger.core.model import Boundary, Device, Factor, Gap, Instant, Method, Workload

Lane = tuple[str, Method]
# Factors by kind that were in force for so many microjoules: a run that goes on while the grid changes has several.
Term = tuple[Mapping[str, Factor], int]
SILENCE_NS = 500_000_000  # a reading this much older than a span's end leaves the end unread
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

    __slots__ = (
        "entered", "gaps", "lanes", "left", "others", "parent", "priced_uj", "rate", "reserved_ns", "span", "terms", "thread",
        "within", "work", "workload",
    )  # fmt: skip

    def __init__(self, boundary: Boundary) -> None:
        self.span, self.workload, self.within = boundary.span, boundary.workload, boundary.within
        self.parent, self.thread = boundary.parent, boundary.thread
        self.entered: Instant = boundary.at
        self.left: Instant | None = None
        self.lanes: dict[Lane, LaneAccount] = {}
        self.others: dict[Workload, float] = {}
        self.gaps: list[Gap] = []
        self.work: dict[str, int] = {}
        self.terms: list[Term] = []
        self.priced_uj = 0  # the sum of ``terms``
        self.reserved_ns: dict[str, float] = {}  # time that each device, or the host, was its; children's included
        self.rate: float | None = None  # CPU ns per ns of the span's own thread, once it is known

    def lane(self, key: Lane) -> LaneAccount:
        """This span's sums for one device and method, begun at first use."""
        found = self.lanes.get(key)
        if found is None:
            found = self.lanes[key] = LaneAccount()
        return found


    @property
    def energy_uj(self) -> int:
        """Everything it got, children's included."""
        return sum(lane.active_uj + lane.held_uj for lane in self.lanes.values())

    def price(self, factors: Mapping[str, Factor]) -> None:
        """What it got since it was last priced is at these factors, because others are in force from now on, or it is final."""
        energy_uj = self.energy_uj
        if factors and energy_uj != self.priced_uj:
            self.terms.append((factors, energy_uj - self.priced_uj))
            self.priced_uj = energy_uj


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
        for binding, ns in account.reserved_ns.items():
            whole.reserved_ns[binding] = whole.reserved_ns.get(binding, 0.0) + ns
        for kind, n in account.work.items():
            whole.work[kind] = whole.work.get(kind, 0) + n
        whole.gaps += account.gaps
        whole.terms = joined([*whole.terms, *account.terms])
        whole.priced_uj += account.priced_uj
    return whole


def joined(terms: Sequence[Term]) -> list[Term]:
    """Terms that follow each other at the same factors as one: a million pieces of a run have no more prices than the grid had."""
    found: list[Term] = []
    for factors, uj in terms:
        if found and (found[-1][0] is factors or found[-1][0] == factors):
            found[-1] = found[-1][0], found[-1][1] + uj
        else:
            found.append((factors, uj))
    return found


def note_unread(
    account: SpanAccount, read_at: Mapping[str, tuple[Instant, Method]], devices: Mapping[str, Device]
) -> None:
    """A sensor that fell silent before the span ended: what its device drew since then is not known (yet)."""
    assert account.left is not None
    for device_id, (seen, method) in read_at.items():
        device = devices[device_id]
        silent_ns = account.left.mono_ns - max(seen, account.entered).mono_ns
        if device.inside is None and silent_ns > max(SILENCE_NS, 2 * device.refresh_ns):
            account.lane((device_id, method))  # it has no energy that we know, but the bound of what it may have drawn
            account.gaps.append(Gap(device, max(seen, account.entered), account.left, "no reading since"))
