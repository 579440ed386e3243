"""What each day emitted, as the grid is known now: the books' energy at the grid's newest figures, and whether it may still change.

Location-based.  Days of which the open books do not hold everything any more are not shown: a part of a day would look like a day.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from wattledger.core.attribution import split
from wattledger.core.facts import EnergyFact, Fact, IntensityFact, Known

if TYPE_CHECKING:
    from wattledger.accounting.price import Price

DAY_S = 86_400
SLOT_S = 300  # the finest grid slot that any provider has
DAYS = 5  # shown: until the last of them has settled, and one more
AGAIN_S = 60
MOST_FACTS = 200_000  # read back at the start; a day that had more begins to be shown with the next one

Rows = Mapping[tuple[str, str, str], float]  # (day, basis, state) → grams
Slot = tuple[str, int, int]  # zone, PUE in thousandths (0: not known), start


class Settled:
    """State: microjoules by slot, what is known of the grid, since when everything was witnessed, and the figures shown (a
    reference that is replaced).  All but ``shown`` belongs to the keeper's thread."""

    def __init__(self, settle_s: int, providers: Sequence[str]) -> None:
        self._settle_s, self._providers = settle_s, providers
        self._energy_uj: dict[int, dict[Slot, int]] = {}
        self._grid: list[Known] = []
        self._heard = 0
        self._since_s = 0
        self._looked_s = 0
        self.shown: Rows = MappingProxyType({})

    def began(self, facts: Iterable[Known] | None, now_s: int) -> None:
        """What the open books hold; ``None``: too much to read, so that only days from tomorrow on are whole."""
        if facts is None:
            self._since_s = now_s // DAY_S * DAY_S + DAY_S
            return
        first_s = None
        for known in facts:
            first_s = known.recorded_s if first_s is None else first_s
            self._add(known.fact, known.recorded_s)
        # Where rows have been sealed away, the day of the first that is left is whole, because days are sealed whole.
        self._since_s = 0 if first_s is None else first_s // DAY_S * DAY_S

    def took(self, facts: Sequence[Fact], now_s: int) -> None:
        """New facts were written."""
        for fact in facts:
            self._add(fact, now_s)
        if not 0 <= now_s - self._looked_s < AGAIN_S:  # a clock may be set back
            self._looked_s = now_s
            self.shown = self._look(now_s)

    def _add(self, fact: Fact, recorded_s: int) -> None:
        if isinstance(fact, EnergyFact):
            parts = range(fact.start_s, fact.start_s + max(1, fact.length_s), SLOT_S)  # nearly always one
            for start_s, uj in zip(parts, split(fact.energy_uj, [1] * len(parts)), strict=True):
                slots = self._energy_uj.setdefault(start_s // DAY_S * DAY_S, {})
                slot = fact.key.zone, fact.key.pue_milli, start_s // SLOT_S * SLOT_S
                slots[slot] = slots.get(slot, 0) + uj
        elif isinstance(fact, IntensityFact) and fact.signal == "average":
            self._heard += 1
            self._grid.append(Known(f":{self._heard}", recorded_s, fact))

    def _look(self, now_s: int) -> Rows:
        oldest_s = now_s // DAY_S * DAY_S - DAYS * DAY_S
        self._energy_uj = {day_s: slots for day_s, slots in self._energy_uj.items() if day_s >= oldest_s}
        self._grid = [known for known in self._grid if _end_s(known) >= oldest_s - DAY_S]
        found: dict[tuple[str, str, str], float] = {}
        for day_s, slots in sorted(self._energy_uj.items()):
            if day_s >= self._since_s:
                found |= self._day(day_s, slots, now_s)
        return MappingProxyType(found)

    def _day(self, day_s: int, slots: Mapping[Slot, int], now_s: int) -> dict[tuple[str, str, str], float]:
        from wattledger.accounting.prices import operational
        from wattledger.accounting.sums import UJ_PER_KWH, overlaps

        prices: dict[str, list[Price]] = {}
        sums = {"provisional": 0.0, "settled": 0.0}
        for (zone, pue_milli, start_s), uj in slots.items():
            if zone not in prices:
                prices[zone] = operational(
                    zone, day_s, day_s + DAY_S, self._grid, as_of_s=now_s, settle_s=self._settle_s, providers=self._providers
                )
            for price, begin_s, stop_s in overlaps(prices[zone], start_s, SLOT_S):
                part = (stop_s - begin_s) / SLOT_S * (pue_milli or 1000) / 1000
                sums["settled" if price.settled else "provisional"] += uj * part * price.ug_per_kwh / UJ_PER_KWH / 1e6
        day = datetime.fromtimestamp(day_s, UTC).strftime("%Y-%m-%d")
        return {(day, "location", state): grams for state, grams in sums.items() if grams}


def _end_s(known: Known) -> int:
    assert isinstance(known.fact, IntensityFact)
    return known.fact.start_s + known.fact.length_s
