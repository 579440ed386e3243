"""What agents before this one metered today: the books' part of today's figures.

This agent's own energy is counted by its running sums and never from the books, so nothing is counted twice.
"""

from typing import NamedTuple

from wattledger.core.model import Instant
from wattledger.core.units import NS_PER_S
from wattledger.runtime.page.books import SLOT_S, Place, is_agents, reading
from wattledger.runtime.page.figures import Read
from wattledger.runtime.page.priced import Rules, grams, lists, priced
from wattledger.runtime.page.today import DAY_S


class Earlier(NamedTuple):
    """Energy by sensor from ``since_s`` on, and its grams (``None``: not known)."""

    parts: tuple[Read, ...]
    since_s: float
    grams: float | None


NONE = Earlier((), 0.0, 0.0)


def earlier(place: Place, at: Instant, rules: Rules) -> Earlier:
    """Of the day of ``at`` (UTC).  Raises LedgerError."""
    now_s = at.wall_ns // NS_PER_S
    midnight_s = now_s // DAY_S * DAY_S
    with reading(place.folder) as books:
        found = [a for a in books.amounts(None, SLOT_S, midnight_s) if is_agents(a.key) and a.key.meter != place.meter]
        if not found:
            return NONE
        grid = books.facts("intensity")
    parts: dict[tuple[str, str, str], list[int]] = {}
    for amount in found:
        key = amount.key.component, amount.key.device_model, amount.key.method
        sums = parts.setdefault(key, [0, 0])
        sums[0] += amount.energy_uj
        sums[1] += amount.spread_uj
    first_s = min(amount.start_s for amount in found)
    # A whole device is nobody's share: what may be another workload's does not matter to the sum of all.
    reads = tuple(Read(*key, uj) for key, (uj, _) in sorted(parts.items()))
    return Earlier(reads, max(first_s, midnight_s), grams(priced(found, lists(found, grid, now_s, rules)).slots))
