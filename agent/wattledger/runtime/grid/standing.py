"""Which grid factor is in force now: the live one, the last known, the zone's, the country's or the world's annual average.

Pure: what is known and what time it is are handed in.  Each step is wider than the one before it and named in ``quality``
(carbon.md 6, 8.3 and 8.4).
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from math import exp, log, sqrt
from types import MappingProxyType
from typing import Literal, NamedTuple

from wattledger.accounting.prices import HELD_DRIFT_G95, HELD_G95, HOLD_S, LIVE_G95
from wattledger.core.facts import IntensityFact
from wattledger.core.model import Factor
from wattledger.factors.grid import annual

Step = Literal["live", "live-estimated", "last-known", "zone-annual", "country-annual", "world"]

HOUR_S = 3_600
FORECAST_G95 = LIVE_G95["forecast"]
LAST_KNOWN_S = HOLD_S
# A country's average for one of its zones: eGRID's subregions lie within 0.3 to 2 times of the US average, most within 1.5.
COUNTRY_FOR_ZONE_G95 = 1.5


class Table(NamedTuple):
    """What the annual table holds for a zone: always something, and which step that is."""

    step: Step
    grid: Factor
    upstream: Factor | None
    notes: tuple[str, ...]


class Rules(NamedTuple):
    """Whose word counts, in which order.

    ``grace_s``: how long after its end a slot still counts as live: the next one cannot be here at once.  ``doubt_g95``: where the
    zone itself was guessed (the table has it in it already).
    """

    zone: str
    order: tuple[str, ...]
    table: Table
    grace_s: int = 600
    doubt_g95: float = 1.0
    licences: Mapping[str, str] = MappingProxyType({})


class Standing(NamedTuple):
    """What is in force: ``factors`` are the grid's and, from the table's own pair, ``upstream``.

    ``fact``: what it rests on, ``None`` for an annual average.
    """

    step: Step
    factors: tuple[Factor, ...]
    notes: tuple[str, ...]
    fact: IntensityFact | None = None

    def age_s(self, now_s: int) -> int:
        """Seconds since the end of the time it speaks of; 0 while that lasts, and for an annual average."""
        return 0 if self.fact is None else max(0, now_s - end_s(self.fact))


def end_s(fact: IntensityFact) -> int:
    """The end of its window."""
    return fact.start_s + fact.length_s


def in_force(known: Iterable[IntensityFact], now_s: int, rules: Rules) -> Standing:
    """The best of what is known: live by the order of providers, else the newest of the last six hours, else the table's."""
    found = [fact for fact in known if _may_stand(fact, now_s, rules)]
    if not found:
        table = rules.table
        return Standing(table.step, _with_upstream(table.grid, table), table.notes)
    best = min(found, key=lambda fact: _rank(fact, now_s, rules))
    factor = _factor(best, now_s, rules)
    return Standing(_step(best, now_s, rules), _with_upstream(factor, rules.table), _notes(factor), best)


def table_of(zone: str | None, today: date, doubt_g95: float = 1.0) -> Table:
    """What the package knows of a zone without asking anybody; a zone it does not hold stands on its country, else on the world."""
    try:
        prices = annual.lookup(zone, today, doubt_g95=doubt_g95)
    except annual.UnknownZone:
        country = (zone or "").partition("-")[0]
        if country == zone:
            return table_of(None, today)
        within = table_of(country, today, combined_g95(doubt_g95, COUNTRY_FOR_ZONE_G95))
        note = f"grid {zone}: no annual figure of its own; that of {within.grid.zone} stands in while nothing live is known"
        return within._replace(notes=(note, *within.notes))
    step: Step = "world" if prices.zone == "WORLD" else "country-annual"
    if "-" in prices.zone and prices.location_based.g95_high == 0.0:  # a region of many countries is no zone
        step = "zone-annual"
    grid = prices.location_based._replace(kind="grid", quality=step)
    upstream = prices.upstream._replace(kind="upstream") if prices.upstream is not None else None
    return Table(step, grid, upstream, prices.notes)


def combined_g95(*g95s: float) -> float:
    """Independent multiplicative errors together."""
    return exp(sqrt(sum(log(g95) ** 2 for g95 in g95s)))


def _may_stand(fact: IntensityFact, now_s: int, rules: Rules) -> bool:
    """A marginal signal never stands for the average, and what was only expected is not known afterwards."""
    if fact.zone != rules.zone or fact.signal != "average" or fact.boundary not in ("direct", "lifecycle"):
        return False
    if fact.provider not in rules.order or fact.start_s > now_s:
        return False
    return now_s < end_s(fact) if fact.forecast else now_s - end_s(fact) <= LAST_KNOWN_S


def is_live(fact: IntensityFact, now_s: int, grace_s: int) -> bool:
    """Whether it speaks of now, or of a moment ago."""
    return fact.start_s <= now_s < end_s(fact) + (0 if fact.forecast else grace_s)


def _rank(fact: IntensityFact, now_s: int, rules: Rules) -> tuple[int, int, int, int]:
    order = rules.order.index(fact.provider)
    if is_live(fact, now_s, rules.grace_s):
        return 0, order, -end_s(fact), fact.length_s
    return 1, -end_s(fact), order, fact.length_s


def _step(fact: IntensityFact, now_s: int, rules: Rules) -> Step:
    if not is_live(fact, now_s, rules.grace_s):
        return "last-known"
    return "live-estimated" if fact.estimated or fact.forecast else "live"


def _factor(fact: IntensityFact, now_s: int, rules: Rules) -> Factor:
    step = _step(fact, now_s, rules)
    said_g95 = FORECAST_G95 if fact.forecast else LIVE_G95["live-estimated" if fact.estimated else "live"]
    held_g95 = 1.0
    if step == "last-known":
        # By whole hours begun, as reports do it: the factor is replaced six times, and not at each look.
        hours = -(-max(0, now_s - end_s(fact)) // HOUR_S)
        said_g95, held_g95 = max(said_g95, HELD_G95), HELD_DRIFT_G95 ** (hours * HOUR_S / LAST_KNOWN_S)
    return Factor(
        kind="grid",
        zone=fact.zone,
        value=fact.ug_per_kwh / 1e6,
        unit="gCO2e/kWh",
        boundary=fact.boundary,
        origin=fact.provider,
        version=fact.version,
        quality=step,
        g95=combined_g95(said_g95, held_g95, rules.doubt_g95),
        valid_from=instant(fact.start_s),
        valid_to=instant(end_s(fact)),
        licence=rules.licences.get(fact.provider, ""),
    )


def seen(fact: IntensityFact, quality: str) -> Factor:
    """A fact to be looked at, of a signal or a time that prices nothing."""
    times = instant(fact.start_s), instant(end_s(fact))
    value = fact.ug_per_kwh / 1e6
    g95 = FORECAST_G95 if fact.forecast else LIVE_G95["live-estimated" if fact.estimated else "live"]
    return Factor("grid", fact.zone, value, "gCO2e/kWh", fact.boundary, fact.provider, fact.version, quality, g95, *times)


def instant(at_s: int) -> str:
    """ISO, UTC."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _with_upstream(grid: Factor, table: Table) -> tuple[Factor, ...]:
    """A life-cycle factor holds the upstream part already."""
    return (grid,) if table.upstream is None or grid.boundary != "direct" else (grid, table.upstream)


def _notes(factor: Factor) -> tuple[str, ...]:
    where = f"grid {factor.zone}"
    lifecycle = f"{where}: {factor.origin} gives a life-cycle figure, which holds the upstream part too"
    times = f"{factor.valid_from[11:16]} to {factor.valid_to[11:16]} UTC"
    stale = f"{where}: nothing newer is known than the value of {times}, which stands in"
    return (
        *([lifecycle] if factor.boundary == "lifecycle" else []),
        *([stale] if factor.quality == "last-known" else []),
    )
