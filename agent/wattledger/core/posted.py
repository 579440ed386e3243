"""What was handed out, by minute of the wall clock: what the ledger keeps.

A device whose readings cover several minutes is cut where they end (energy between two readings of a register is a straight
line), as ints that sum to it; so a joule stands in the minute, and in the slot of the grid, in which it was drawn.
"""

from collections.abc import Sequence

from wattledger.core.attribution import split
from wattledger.core.lanes import EnergyCurve
from wattledger.core.model import Instant, Work, Workload
from wattledger.core.totals import EnergyKey
from wattledger.core.units import NS_PER_S

MINUTE_S = 60
MINUTE_NS = MINUTE_S * NS_PER_S


class Minute:
    """One minute's sums; mutable until it is handed over.

    ``energy_uj`` by (workload, device, method, use); ``seen_ns``: over how much of the minute each (device, method) was metered;
    ``shared_by``: the unit of activity by which a device was divided, and so how good the division is; ``work``: prompt, cached
    and generated tokens, requests and engine steps by workload.  ``tokens``: by (workload, component, method), what of a served
    workload's energy went into prompt and generated tokens, standby and overhead; ``weak``: whose division stands on a prior.
    """

    __slots__ = ("energy_uj", "seen_ns", "shared_by", "tokens", "weak", "work")

    def __init__(self) -> None:
        self.energy_uj: dict[EnergyKey, int] = {}
        self.seen_ns: dict[tuple[str, str], int] = {}
        self.shared_by: dict[str, str] = {}
        self.work: dict[Workload, list[int]] = {}
        self.tokens: dict[tuple[Workload, str, str], list[int]] = {}
        self.weak: set[Workload] = set()

    def add(self, other: "Minute") -> None:
        """Take another part of the same minute in."""
        for key, uj in other.energy_uj.items():
            self.energy_uj[key] = self.energy_uj.get(key, 0) + uj
        for lane, ns in other.seen_ns.items():
            self.seen_ns[lane] = self.seen_ns.get(lane, 0) + ns
        self.shared_by |= other.shared_by
        for workload, counts in other.work.items():
            self.add_work(workload, counts)
        for division, energies_uj in other.tokens.items():
            self.add_tokens(division, energies_uj)
        self.weak |= other.weak

    def add_work(self, workload: Workload, counts: Sequence[int]) -> None:
        """Tokens, requests and engine steps."""
        before = self.work.get(workload, (0, 0, 0, 0, 0))
        self.work[workload] = [a + b for a, b in zip(before, counts, strict=True)]

    def add_tokens(self, division: tuple[Workload, str, str], energies_uj: Sequence[int]) -> None:
        """Energy that went into prompt and generated tokens, standby and overhead."""
        before = self.tokens.get(division, (0, 0, 0, 0))
        self.tokens[division] = [a + b for a, b in zip(before, energies_uj, strict=True)]


def counts_of(work: Work) -> tuple[int, int, int, int, int]:
    """Prompt, cached and generated tokens, requests and engine steps."""
    return work.prompt_tokens, work.cached_tokens, work.generated_tokens, work.requests, work.steps


class Posted:
    """State: the minutes touched since they were last taken, and those that the device in hand covers, with its energy in each."""

    def __init__(self) -> None:
        self._minutes: dict[int, Minute] = {}
        self._covered: list[tuple[Minute, int]] = []

    def lane(self, curve: EnergyCurve, at: Instant, unit: str) -> None:
        """The shares that follow are of this device, over the time its readings cover, by the wall clock as it stands ``at``."""
        # By the newest reading of the wall clock: where it was stepped, the time before is told by the boot clock.
        shift_ns = at.wall_ns - at.mono_ns
        start_ns, end_ns = curve.end_ns - curve.span_ns + shift_ns, curve.end_ns + shift_ns
        ends_ns: list[int] = []
        minutes: list[Minute] = []
        while start_ns < end_ns:
            minute_s = start_ns // MINUTE_NS * MINUTE_S
            until_ns = min(end_ns, (minute_s + MINUTE_S) * NS_PER_S)
            minute = self._minute(minute_s)
            lane = curve.device.id, curve.method
            seen_ns = curve.seen_ns(start_ns - shift_ns, until_ns - shift_ns)
            minute.seen_ns[lane] = minute.seen_ns.get(lane, 0) + seen_ns
            minute.shared_by[curve.device.id] = unit
            minutes.append(minute)
            ends_ns.append(until_ns - shift_ns)
            start_ns = until_ns
        # Nearly always one minute; else each gets what the readings say that it drew.
        parts = [1] if len(minutes) == 1 else curve.cut(ends_ns)
        self._covered = list(zip(minutes, parts, strict=True))

    def add(self, key: EnergyKey, energy_uj: int) -> None:
        """A share of the device in hand."""
        if len(self._covered) == 1:
            sums = self._covered[0][0].energy_uj
            known = len(sums)
            before = sums.setdefault(key, energy_uj)  # keys are long: hashed once where they are new
            if len(sums) == known:
                sums[key] = before + energy_uj
            return
        parts = split(energy_uj, [uj for _, uj in self._covered])
        for (minute, _), uj in zip(self._covered, parts, strict=True):
            if uj:
                minute.energy_uj[key] = minute.energy_uj.get(key, 0) + uj

    def work(self, workload: Workload, work: Work) -> None:
        """Tokens and requests, when they were said to be done."""
        self._minute(work.at.wall_ns // MINUTE_NS * MINUTE_S).add_work(workload, counts_of(work))

    def tokens(self, division: tuple[Workload, str, str], at: Instant, energies_uj: Sequence[int], *, weak: bool) -> None:
        """What a served workload's energy went into, in the minute in which that was known."""
        minute = self._minute(at.wall_ns // MINUTE_NS * MINUTE_S)
        minute.add_tokens(division, energies_uj)
        if weak:
            minute.weak.add(division[0])

    def take(self) -> dict[int, Minute]:
        """By start (seconds since the epoch), everything since it was last taken; whoever takes it may go on adding to it."""
        taken, self._minutes, self._covered = self._minutes, {}, []
        return taken

    def _minute(self, start_s: int) -> Minute:
        found = self._minutes.get(start_s)
        if found is None:
            found = self._minutes[start_s] = Minute()
        return found
