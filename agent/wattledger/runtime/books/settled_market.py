"""What a kWh emitted by contract (GHG Protocol Scope 2 Guidance, market-based), for the agent's gauge: the method of reports, over
hours instead of minutes.

A contract's volume is shared evenly over all that is consumed in its whole time (in calendar years, as reports have it), so this
agent and those before it must have followed the books from their first fact on.  What it cannot say truly it leaves absent:

- without a contract or a residual mix, and of a day that none of them touches: it would be the grid average under another name;
- where days were sealed that no agent followed (books older than this file, an agent that was down from before midnight until
  after the seal), or a sealed energy was corrected: there may be contracts, or energy that shares in them, that nobody here knows;
- with more than ``MOST`` contracts, or one that reaches back into years that were let go here (``MOST_HOURS``).

``wattledger report day`` knows all of these.  One difference is left: in a contract that begins or ends within a clock hour, that
hour's energy is held to be even, where the report knows its minutes.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from wattledger.core.facts import ContractFact, IntensityFact, Known
from wattledger.runtime.books.settled_chain import Told

if TYPE_CHECKING:
    from wattledger.accounting.scope2 import Blend, Consumption, Market

HOUR_S = 3_600
MOST = 500  # contracts, corrections and residual mixes: each minute they are all weighed
MOST_HOURS = 50_000  # five years of one zone and PUE, 10 MB

Hours = dict[tuple[str, int, int], int]  # zone, PUE in thousandths (0: not known), start → microjoules


class Bought(NamedTuple):
    """A price that holds in ``[start_s, start_s + length_s)``.  ``stands``: on a contract or a residual mix at least in part;
    ``fixed``: neither the rest of a contract's time nor a residual mix that is not known yet can change it."""

    start_s: int
    length_s: int
    ug_per_kwh: int
    stands: bool
    fixed: bool


class Contracts:
    """State: the energy by hour, the bodies of contracts, of residual mixes and of what corrects those, with their ids; since when
    the hours are whole, up to which row all of that is, and whether it is all that the books ever held (``whole``)."""

    def __init__(self, *, whole: bool) -> None:
        self.whole, self.since_s, self.seq = whole, 0, 0
        self.hours: Hours = {}
        self.bodies: dict[str, str] = {}
        self._known: list[Known] = []

    def add(self, zone: str, pue_milli: int, start_s: int, uj: int) -> None:
        """Energy of a slot within one hour."""
        hour = zone, pue_milli, start_s // HOUR_S * HOUR_S
        self.hours[hour] = self.hours.get(hour, 0) + uj
        if len(self.hours) > MOST_HOURS:
            self._let_go()

    def hear(self, told: Told) -> None:
        """A contract, a residual mix, or what corrects one of those; anything else is let by."""
        fact = told.fact
        ours = isinstance(fact, ContractFact) or (isinstance(fact, IntensityFact) and fact.boundary == "residual")
        if ours or told.corrects in self.bodies:
            self.keep(told.id, told.body)

    def keep(self, fact_id: str, body: str) -> None:
        """One of those."""
        self.bodies[fact_id] = body
        self._known = list(_holding(self.bodies))

    def prices(self, from_s: int, to_s: int, now_s: int, settle_s: int) -> Mapping[str, Sequence[Bought]]:
        """By zone, sorted and disjoint; empty where nothing true can be said of that time."""
        if not self.whole or not self._known or len(self.bodies) > MOST:
            return {}
        from wattledger.accounting.report_prices import contract_time

        begin_s, end_s = contract_time(self._known, from_s, to_s)
        if begin_s is None or end_s is None or begin_s < self.since_s:
            return {}
        market = self._market(begin_s, end_s, now_s, settle_s)
        if market is None:
            return {}
        shared = {known.id for known in self._known if isinstance(known.fact, ContractFact) and known.fact.volume_wh is not None}
        open_ids = frozenset(shared) if end_s + settle_s > now_s else frozenset()
        found: dict[str, list[Bought]] = {}
        for blend in market.blends:
            found.setdefault(blend.zone, []).append(_bought(blend, open_ids))
        return found

    def _market(self, begin_s: int, end_s: int, now_s: int, settle_s: int) -> "Market | None":
        from wattledger.accounting import prices, scope2

        rows = list(self._consumption(begin_s, end_s))
        if not rows:
            return None
        span = min(row.start_s for row in rows), max(row.start_s + row.length_s for row in rows)
        zones = sorted({row.zone for row in rows})
        averages = {zone: prices.inventory(zone, *span) for zone in zones}
        residuals = {zone: prices.residual(zone, *span, self._known, as_of_s=now_s, settle_s=settle_s) for zone in zones}
        try:
            return scope2.market_based(rows, self._known, residuals=residuals, averages=averages, as_of_s=now_s)
        except ValueError:  # energy below nothing, by a correction: `report` says it
            return None

    def _consumption(self, begin_s: int, end_s: int) -> "Iterator[Consumption]":
        """The hours put together up to where a contract, a residual mix or a year begins or ends: a year of hours is few rows."""
        from wattledger.accounting.scope2 import Consumption

        cuts = self._cuts(begin_s, end_s)
        sums: dict[tuple[str, int, int, int], int] = {}
        for (zone, pue_milli, start_s), uj in self.hours.items():
            if not begin_s <= start_s < end_s:
                continue
            at = bisect_right(cuts, start_s)
            whole = start_s + HOUR_S <= cuts[at]
            place = (cuts[at - 1], cuts[at] - cuts[at - 1]) if whole else (start_s, HOUR_S)
            sums[zone, pue_milli, *place] = sums.get((zone, pue_milli, *place), 0) + uj
        for (zone, pue_milli, start_s, length_s), uj in sorted(sums.items()):
            yield Consumption(zone, start_s, length_s, uj, pue_milli)

    def _cuts(self, begin_s: int, end_s: int) -> list[int]:
        from wattledger.accounting.prices import year_of

        cuts = {begin_s, end_s}
        for known in self._known:
            if isinstance(known.fact, ContractFact):
                cuts |= {known.fact.start_s, known.fact.end_s}
            elif isinstance(known.fact, IntensityFact):
                cuts |= {known.fact.start_s, known.fact.start_s + known.fact.length_s}
        year_s = year_of(begin_s)[1]
        while year_s < end_s:
            cuts.add(year_s)
            year_s = year_of(year_s)[1]
        return sorted(cut for cut in cuts if begin_s <= cut <= end_s)

    def _let_go(self) -> None:
        """The oldest calendar year."""
        from wattledger.accounting.prices import year_of

        self.since_s = year_of(min(start_s for _, _, start_s in self.hours))[1]
        self.hours = {hour: uj for hour, uj in self.hours.items() if hour[2] >= self.since_s}


def _bought(blend: "Blend", open_ids: frozenset[str]) -> Bought:
    stands = any(piece.category != "grid-average" for piece in blend.pieces)
    stands_in = any(piece.category == "grid-average" for piece in blend.pieces)
    fixed = not stands_in and open_ids.isdisjoint(blend.price.facts)
    return Bought(blend.start_s, blend.length_s, blend.price.ug_per_kwh, stands, fixed)


def _holding(bodies: Mapping[str, str]) -> Iterable[Known]:
    """The facts of these bodies, less what was taken back: as books hand them to a report."""
    from wattledger.ledger.body import decode
    from wattledger.ledger.query_standing import Link, standing

    known, links = [], []
    for fact_id, body in bodies.items():
        found = json.loads(body)
        fact = decode(found, fact_id, {})
        if fact is not None:
            known.append(fact)
        if found.get("corrects"):
            links.append(Link(fact_id, found["corrects"], found["recorded_s"], fact is None))
    gone = standing(links).gone
    return (one for one in known if one.id not in gone)
