"""Device time → whom it was for: what the carbon that made a machine is divided by.

Amortisation goes by time (ISO/IEC 21031: time reserved x resources reserved), so what is handed out here is time of a device, in
whole nanoseconds that sum to the cell; grams are that time at the device's rate (grams per hour of its life).
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from wattledger.core.attribution import split
from wattledger.core.lanes import EnergyCurve
from wattledger.core.model import IDLE, Factor, Workload
from wattledger.core.uncertainty import Quantity, Term, total

HOST = "host"  # what is no device of its own: chassis, board, supplies, disks; it is used by whoever uses the devices
NS_PER_H = 3_600_000_000_000
NOT_MADE = ("rest", "node")  # kinds that are no thing that somebody made


def paying(active: Mapping[Workload, int], held: Mapping[Workload, int]) -> dict[Workload, int]:
    """Weights by which workloads pay for a device's time, given their dynamic and idle energy.

    Idle energy is paid by who holds the device, in proportion to what he holds: so that part of the time is the holders', by their
    idle energy.  The rest, which nobody holds, is its users', by dynamic energy, and ``(idle)``'s.  Where no idle draw is known, by
    use alone.
    """
    free_uj = held.get(IDLE, 0) + active.get(IDLE, 0)
    if free_uj and held.keys() <= {IDLE} and 0 not in active.values():
        return {**active, IDLE: free_uj}  # the rule below, divided by what is free: most devices are held by nobody
    used = {workload: uj for workload, uj in active.items() if workload != IDLE and uj > 0}
    holders = {workload: uj for workload, uj in held.items() if workload != IDLE and uj > 0}
    if not free_uj:
        return holders or used
    base_uj = sum(used.values()) + free_uj
    found = {workload: uj * base_uj for workload, uj in holders.items()}
    for workload, uj in used.items():
        found[workload] = found.get(workload, 0) + free_uj * uj
    found[IDLE] = free_uj * free_uj
    return found


class Service:
    """State of one close: grams by workload, and for trees with spans the time that each device was theirs."""

    def __init__(self, rates: Mapping[str, Factor], trees: Iterable[Workload]) -> None:
        self.grams: dict[Workload, float] = {}
        self.trees: dict[Workload, dict[str, int]] = {}
        self._rates, self._of = rates, frozenset(trees)

    def device(self, curve: EnergyCurve, active: Mapping[Workload, int], held: Mapping[Workload, int]) -> None:
        """One device's cell, before spans have taken their part out of it."""
        if curve.device.kind not in NOT_MADE:
            self.hand_out(curve.device.id, curve.span_ns, paying(active, held))

    def hand_out(self, binding: str, length_ns: int, weights: Mapping[Workload, int]) -> None:
        """So much time of a device, or of the ``HOST``."""
        rate = self._rates.get(binding)
        g_per_ns = 0.0 if rate is None else rate.value / NS_PER_H
        if not g_per_ns and not self._of:
            return  # nobody asks: a node's tick hands out thousands of these
        grams = self.grams
        whole = sum(weights.values())
        each_g = length_ns * g_per_ns / whole if whole else 0.0
        if each_g:
            for workload, weight in weights.items():
                grams[workload] = grams.get(workload, 0.0) + weight * each_g
        if self._of and not self._of.isdisjoint(weights):
            for workload, ns in zip(weights, split(length_ns, list(weights.values())), strict=True):
                if workload in self._of:
                    self.trees.setdefault(workload, {})[binding] = ns


class Share(NamedTuple):
    """Grams of what it took to make what a run reserved, and the factors."""

    grams: Quantity
    factors: tuple[Factor, ...]


def share_of(reserved_ns: Mapping[str, float], rates: Mapping[str, Factor]) -> Share | None:
    """A run's part of the carbon that made its devices; ``None`` where nothing is known of any of them.

    Devices of one kind of figure share its error (carbon.md 8.1); an interval may be wider above than below.
    """
    known = {binding: rate for binding, rate in rates.items() if rate.quality != "unknown"}
    used = [(known[binding], ns) for binding, ns in sorted(reserved_ns.items()) if binding in known]
    if not used:
        return None
    below = total(_terms(used, upper=False))
    above = total(_terms(used, upper=True))
    return Share(Quantity(below.value, below.low, above.high), tuple(factor for factor, _ in used))


def _terms(used: list[tuple[Factor, float]], *, upper: bool) -> Iterator[Term]:
    for factor, ns in used:
        g95 = factor.g95_high if upper and factor.g95_high else factor.g95
        yield Term(ns * factor.value / NS_PER_H, f"{factor.origin}|{factor.version}", g95)
