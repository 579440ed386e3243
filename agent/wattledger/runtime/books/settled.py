"""What each day emitted, as the grid is known now: the books' energy at the grid's newest figures, and whether it may still change.

By both bases of scope 2: location, and, where contracts or a residual mix are in the books, market (``settled_market`` says when it
is left absent).  Of the last ``DAYS`` days, once in ``AGAIN_S``, on the keeper's thread, from the open books alone, which are
followed row by row: what other processes add to them (contracts, corrections) counts from the next minute on.  Days of which the
open books do not hold everything any more are not shown: a part of a day would look like a day.  Which of two meters' words on the
same joules is taken is not asked here: an agent's books are its own.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from wattledger.core.attribution import split
from wattledger.core.facts import EnergyFact, IntensityFact, Known
from wattledger.runtime.books.settled_chain import DAY_S, Chain, Told, corrections, may_be_energy
from wattledger.runtime.books.settled_market import HOUR_S, Bought, Contracts

if TYPE_CHECKING:
    from wattledger.accounting.price import Price
    from wattledger.ledger.query_standing import Link
    from wattledger.ledger.store import Store

SLOT_S = 300  # the finest grid slot that any provider has
DAYS = 5  # shown: until the last of them has settled, and one more
AGAIN_S = 60
MOST_FACTS = 200_000  # read back at the start; a day that had more begins to be shown with the next one

Rows = Mapping[tuple[str, str, str], float]  # (day, basis, state) → grams
Slot = tuple[str, int, int]  # zone, PUE in thousandths (0: not known), start
NOTHING: Rows = MappingProxyType({})


class Settled:
    """State: how far the books were followed, microjoules by slot, what is known of the grid and what was corrected of all that,
    since when everything was witnessed, what contracts are held against, and the figures shown (a reference that is replaced).
    All but ``shown`` belongs to the keeper's thread."""

    def __init__(self, settle_s: int, providers: Sequence[str], *, most_facts: int = MOST_FACTS) -> None:
        self._settle_s, self._providers, self._most_facts = settle_s, providers, most_facts
        self._chain: Chain | None = None
        self._energy_uj: dict[int, dict[Slot, int]] = {}
        self._grid: list[Known] = []
        self._links: list[Link] = []
        self._dead: frozenset[str] = frozenset()
        self._linked = 0
        self._since_s = 0
        self._contracts = Contracts(whole=False)
        self._saved_s = self._looked_s = 0
        self.shown: Rows = NOTHING

    def look(self, store: "Store", now_s: int) -> None:
        """Follow the books to their end, and work the figures out; there are none where the books cannot be read."""
        from wattledger.ledger.engine import LedgerError

        if 0 <= now_s - self._looked_s < AGAIN_S:  # a clock may be set back
            return
        self._looked_s = now_s
        try:
            at_s = max(now_s, self._follow(store, now_s).recorded_s)
            self.shown = self._figures(at_s)
            self._keep(store, at_s)
        except LedgerError:  # whoever writes there says what is wrong with it
            self.shown = NOTHING

    def _follow(self, store: "Store", now_s: int) -> Chain:
        chain = self._chain
        if chain is None or store.start().seq > chain.seq:
            chain = self._begin(store, now_s)
        while not all(self._take(store, told) for told in chain.news(store)):
            chain = self._begin(store, now_s)  # a joule was taken back: which, the open books say, if they still do
        self._contracts.seq = max(self._contracts.seq, chain.seq)
        return chain

    def _begin(self, store: "Store", now_s: int) -> Chain:
        """Forget everything, and stand where the open books are to be read from: at their first row, or, where they are too long,
        at their last or the last that the sums of contracts hold."""
        from wattledger.ledger.query_standing import standing
        from wattledger.runtime.books.settled_kept import load

        start, head = store.start(), store.head()
        few = head.seq - start.seq <= self._most_facts
        self._energy_uj, self._grid, self._saved_s = {}, [], 0
        kept = load(store) if start.seq or not few else None
        first_seq = start.seq if few else head.seq if kept is None else kept.seq
        found = corrections(store, first_seq, kept.bodies if kept is not None else ())
        if kept is not None and any(one.energy and one.seq > kept.seq for one in found):
            kept = None
        self._links = [one.link for one in found]
        self._dead, self._linked = standing(self._links).replaced, head.seq
        self._contracts = kept if kept is not None else Contracts(whole=few and not start.seq)
        self._chain = Chain(first_seq)
        if not few:
            self._chain.catch_up(store)
        # Where rows have been sealed away, the day after is whole, because days are sealed whole.
        last_s = now_s if not few else start.recorded_s
        self._since_s = 0 if few and not start.seq else last_s // DAY_S * DAY_S + DAY_S
        return self._chain

    def _take(self, store: "Store", told: Told) -> bool:
        """One row; false where it takes energy back that was added before."""
        if told.corrects and told.seq > self._linked:
            kind = "energy" if isinstance(told.fact, EnergyFact) else "withdrawal" if told.fact is None else ""
            if may_be_energy(store, kind, told.corrects, {*self._contracts.bodies, *(known.id for known in self._grid)}):
                return False
            self._links.append(told.link)
        if isinstance(told.fact, EnergyFact):
            if told.id not in self._dead:
                self._add(told.fact, summed=told.seq <= self._contracts.seq)
            return True
        if told.seq > self._contracts.seq:
            self._contracts.hear(told)
        if isinstance(told.fact, IntensityFact) and told.fact.signal == "average":
            self._grid.append(told.known)
        return True

    def _add(self, fact: EnergyFact, *, summed: bool) -> None:
        """Energy into its slots, and, unless those have it, into the sums of contracts."""
        parts = range(fact.start_s, fact.start_s + max(1, fact.length_s), SLOT_S)  # nearly always one
        for start_s, uj in zip(parts, split(fact.energy_uj, [1] * len(parts)), strict=True):
            slots = self._energy_uj.setdefault(start_s // DAY_S * DAY_S, {})
            slot = fact.key.zone, fact.key.pue_milli, start_s // SLOT_S * SLOT_S
            slots[slot] = slots.get(slot, 0) + uj
            if not summed:
                self._contracts.add(*slot, uj)

    def _figures(self, now_s: int) -> Rows:
        from wattledger.ledger.query_standing import standing

        oldest_s = now_s // DAY_S * DAY_S - DAYS * DAY_S
        gone = standing(self._links).gone
        self._energy_uj = {day_s: slots for day_s, slots in self._energy_uj.items() if day_s >= oldest_s}
        self._grid = [known for known in self._grid if _end_s(known) >= oldest_s - DAY_S and known.id not in gone]
        found: dict[tuple[str, str, str], float] = {}
        shown = sorted(day_s for day_s in self._energy_uj if day_s >= self._since_s)
        market = self._contracts.prices(shown[0], shown[-1] + DAY_S, now_s, self._settle_s) if shown else {}
        for day_s in shown:
            day = datetime.fromtimestamp(day_s, UTC).strftime("%Y-%m-%d")
            located = self._located(day_s, self._energy_uj[day_s], now_s)
            found |= {(day, "location", state): grams for state, grams in located.items() if grams}
            bought = self._bought(self._energy_uj[day_s], market, now_s)
            found |= {(day, "market", state): grams for state, grams in bought.items()}
        return MappingProxyType(found)

    def _located(self, day_s: int, slots: Mapping[Slot, int], now_s: int) -> Mapping[str, float]:
        from wattledger.accounting.prices import operational
        from wattledger.accounting.sums import overlaps

        prices: dict[str, list[Price]] = {}
        sums = {"provisional": 0.0, "settled": 0.0}
        for (zone, pue_milli, start_s), uj in slots.items():
            if zone not in prices:
                prices[zone] = operational(
                    zone, day_s, day_s + DAY_S, self._grid, as_of_s=now_s, settle_s=self._settle_s, providers=self._providers
                )
            for price, begin_s, stop_s in overlaps(prices[zone], start_s, SLOT_S):
                grams = _grams(uj * (stop_s - begin_s) / SLOT_S, pue_milli, price.ug_per_kwh)
                sums["settled" if price.settled else "provisional"] += grams
        return sums

    def _bought(self, slots: Mapping[Slot, int], prices: Mapping[str, Sequence[Bought]], now_s: int) -> Mapping[str, float]:
        """By contract; empty where none of the day's energy stands on one or on a residual mix.  What is covered whole emits 0."""
        from wattledger.accounting.sums import overlaps

        sums: dict[str, float] = {}
        stands = False
        for (zone, pue_milli, start_s), uj in slots.items():
            hour_over = start_s // HOUR_S * HOUR_S + HOUR_S + self._settle_s <= now_s
            for price, begin_s, stop_s in overlaps(prices.get(zone, ()), start_s, SLOT_S):
                state = "settled" if price.fixed and hour_over else "provisional"
                sums[state] = sums.get(state, 0.0) + _grams(uj * (stop_s - begin_s) / SLOT_S, pue_milli, price.ug_per_kwh)
                stands = stands or price.stands
        return sums if stands else {}

    def _keep(self, store: "Store", now_s: int) -> None:
        """Once an hour: a day's rows are in what is kept before they are sealed."""
        from wattledger.runtime.books.settled_kept import save

        if self._contracts.whole and self._saved_s // HOUR_S != now_s // HOUR_S:
            self._saved_s = now_s
            save(store, self._contracts)


def _grams(uj: float, pue_milli: int, ug_per_kwh: int) -> float:
    from wattledger.accounting.sums import UJ_PER_KWH

    return uj * (pue_milli or 1000) / 1000 * ug_per_kwh / UJ_PER_KWH / 1e6


def _end_s(known: Known) -> int:
    assert isinstance(known.fact, IntensityFact)
    return known.fact.start_s + known.fact.length_s
