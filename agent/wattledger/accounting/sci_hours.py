"""How many hours were metered for somebody: the R of a score per hour."""

from collections.abc import Iterable
from itertools import pairwise

from wattledger.ledger.query_hours import Seen

MS_PER_S = 1000


def metered_s(windows: Iterable[Seen], from_s: int | None, to_s: int | None) -> float:
    """The time that was metered in ``[from_s, to_s)``, seconds, each instant once.

    A window says for how long its devices were seen, not when: that is laid evenly over it.  Of windows that lie over each other
    (of several hosts, or an hour that was rolled up over minutes that were not) the one that saw most counts.
    """
    edges: list[tuple[int, bool, int]] = []
    found = [(each.start_s, each.start_s + max(1, each.length_s), each.seen_ms) for each in windows if each.seen_ms > 0]
    for number, (start_s, end_s, _) in enumerate(found):
        edges += [(start_s, True, number), (end_s, False, number)]
    edges.sort()
    open_now: set[int] = set()
    whole = 0.0
    for (at_s, begins, number), (next_s, *_) in pairwise(edges):
        (open_now.add if begins else open_now.discard)(number)
        begin_s, stop_s = max(at_s, from_s or 0), next_s if to_s is None else min(next_s, to_s)
        if open_now and stop_s > begin_s:
            whole += (stop_s - begin_s) * max(_part(*found[each]) for each in open_now)
    return whole


def _part(start_s: int, end_s: int, seen_ms: int) -> float:
    return min(1.0, seen_ms / ((end_s - start_s) * MS_PER_S))
