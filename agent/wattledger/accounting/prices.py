"""Prices in carbon: for a zone and a time, sorted lists of ``Price``, each with where it came from and how sure it is.

``operational`` and ``inventory`` have no holes: they step down (live, last known, annual, world), and every step says its name and
is wider.  ``marginal``, ``upstream`` and ``residual`` never step down to another quantity: what is not known is absent.
No clock: ``as_of_s`` is handed in.  ``known`` may be any facts in any order; the answer does not depend on it.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from math import exp, log, sqrt
from typing import NamedTuple

from wattledger.accounting import prices_live as live
from wattledger.accounting.price import Price
from wattledger.accounting.sums import overlaps
from wattledger.core.facts import Known, Signal
from wattledger.core.model import Factor
from wattledger.factors.grid import annual

UG_PER_G = 1_000_000

# carbon.md 8.3: live hourly values, measured, estimated by the provider, forecast; marginal rates; upstream; a year's residual mix
# is held to be as good as an official factor a year old.
LIVE_G95 = {"live": 1.10, "live-estimated": 1.25, "forecast": 1.30}
MARGINAL_G95 = 1.30
UPSTREAM_G95 = 1.20
RESIDUAL_G95 = 1.10

# A value that is held on is a guess as good as a provider's estimate, and drifts: held for 6 h it is off by up to 28 % (the 95th
# percentile; science.md 6).  Longer than that it is not held.
HOLD_S = 6 * 3600
HOLD_STEP_S = 3600
HELD_G95 = 1.25
HELD_DRIFT_G95 = 1.28

ANNUAL = ("zone-annual", "country-annual", "world")


def operational(
    zone: str,
    start_s: int,
    end_s: int,
    known: Iterable[Known],
    *,
    as_of_s: int | None,
    settle_s: int,
    providers: Sequence[str] = (),
) -> list[Price]:
    """Average intensities as the grid was, contiguous over ``[start_s, end_s)``: live values of ``providers`` in their order
    (others after them), else the last known for 6 h, else the annual average of the zone, its country or the world.

    One boundary per list where possible: ``direct`` if anybody said it of that time, then holes are filled by direct values too;
    ``sums.by_boundary`` says what became of it.  Settled: ``settle_s`` after the window ended, as of then (``None``: as of the
    latest fact given).  Ask for the whole time at once: the boundary is chosen per list.
    """
    facts = list(known)
    found = live.said(facts, zone, "average", as_of_s)
    boundary = _boundary(found, start_s, end_s)
    now_s = _now_s(facts, as_of_s)
    best = live.ranked(live.with_boundary(found, boundary), providers)
    steps = live.sweep(best, start_s - HOLD_S, end_s)
    return list(_filled([_live(step, now_s, settle_s) for step in steps], _Hole(zone, start_s, end_s, boundary, now_s, settle_s)))


def inventory(zone: str, start_s: int, end_s: int) -> list[Price]:
    """Official annual averages for a scope 2 inventory, contiguous, one price per calendar year (UTC): direct, or, as ``stand-in``,
    life-cycle.

    No time mismatch: by this method the year's average *is* the factor.  Settled where the factor is of that very year.
    """
    found = []
    for begin_s, stop_s, year in _years(start_s, end_s):
        step, prices = _annual(zone, year)
        factor = prices.location_based
        quality = "stand-in" if factor.boundary != "direct" and step != "world" else step
        settled = factor.valid_from[:4] == str(year)
        found.append(_from_factor(zone, begin_s, stop_s, factor)._replace(quality=quality, settled=settled))
    return found


def marginal(
    zone: str,
    start_s: int,
    end_s: int,
    known: Iterable[Known],
    *,
    as_of_s: int | None,
    settle_s: int,
    providers: Sequence[str] = (),
) -> list[Price]:
    """Marginal intensities where a provider said them, of one boundary; absent elsewhere, and never an average in their place."""
    facts = list(known)
    found = live.said(facts, zone, "marginal", as_of_s)
    best = live.ranked(live.with_boundary(found, _boundary(found, start_s, end_s)), providers)
    now_s = _now_s(facts, as_of_s)
    return [_live(step, now_s, settle_s, MARGINAL_G95) for step in live.sweep(best, start_s, end_s)]


def upstream(
    zone: str,
    start_s: int,
    end_s: int,
    known: Iterable[Known],
    *,
    as_of_s: int | None,
    settle_s: int,
    providers: Sequence[str] = (),
) -> list[Price]:
    """What direct intensities leave out (fuel supply, building), from one source's own pair: a provider's life-cycle less direct of
    the same window, else the annual table's; absent where there is neither.  See ``beside_direct`` before adding it to anything."""
    facts = list(known)
    now_s = _now_s(facts, as_of_s)
    best = live.ranked(live.pairs(live.said(facts, zone, "average", as_of_s)), providers)
    found = [_live(step, now_s, settle_s, UPSTREAM_G95) for step in live.sweep(best, start_s, end_s)]
    for begin_s, stop_s in list(live.holes(((p.start_s, p.start_s + p.length_s) for p in found), start_s, end_s)):
        for since_s, until_s, year in _years(begin_s, stop_s):
            step, prices = _annual(zone, year)
            if prices.upstream is not None:
                price = _from_factor(zone, since_s, until_s, prices.upstream)
                found.append(price._replace(quality=step, settled=_settled(until_s, now_s, settle_s)))
    return sorted(found, key=lambda price: price.start_s)


def residual(zone: str, start_s: int, end_s: int, known: Iterable[Known], *, as_of_s: int | None, settle_s: int) -> list[Price]:
    """The residual mix where the books have one for that zone and time; absent elsewhere, never zero."""
    facts = list(known)
    found = live.with_boundary(live.said(facts, zone, "average", as_of_s), "residual")
    now_s = _now_s(facts, as_of_s)
    prices = [_live(step, now_s, settle_s, RESIDUAL_G95) for step in live.sweep(live.ranked(found, ()), start_s, end_s)]
    return [price._replace(quality="residual", cause=f"{price.origin}|{zone}|residual") for price in prices]


def beside_direct(upstreams: Sequence[Price], location: Sequence[Price]) -> list[Price]:
    """The upstream prices cut to where the location-based ones are direct: a life-cycle value holds its upstream already."""
    found = []
    for price in location:
        if price.boundary == "direct":
            for each, begin_s, stop_s in overlaps(upstreams, price.start_s, price.length_s):
                found.append(each._replace(start_s=begin_s, length_s=stop_s - begin_s))
    return found


def used_for(price: Price, used_s: float) -> Price:
    """The same price for a use that lasted only so long: an annual average is further from a short time's mix than a long one's."""
    if price.quality not in ANNUAL or used_s >= price.length_s:
        return price
    wider, before = annual.time_mismatch_g95(used_s), annual.time_mismatch_g95(price.length_s)

    def again(g95: float) -> float:
        return exp(sqrt(max(0.0, log(g95) ** 2 - log(before) ** 2) + log(wider) ** 2))

    return price._replace(g95=again(price.g95), g95_high=again(price.g95_high) if price.g95_high else 0.0)


class _Hole(NamedTuple):
    """Where prices are wanted, and what those that are made up must be like."""

    zone: str
    start_s: int
    end_s: int
    boundary: str
    now_s: int | None
    settle_s: int


def _filled(steps: Sequence[Price], want: _Hole) -> Iterator[Price]:
    """Live steps (from 6 h before) with their holes filled, cut to what is wanted."""
    held: Price | None = None
    at_s = want.start_s
    for price in steps:
        stop_s = price.start_s + price.length_s
        if stop_s > at_s:
            yield from _fill(want._replace(start_s=at_s, end_s=max(at_s, price.start_s)), held)
            begin_s = max(at_s, price.start_s)
            yield price._replace(start_s=begin_s, length_s=stop_s - begin_s)
            at_s = stop_s
        held = held if price.quality == "forecast" else price
    yield from _fill(want._replace(start_s=at_s), held)


def _fill(hole: _Hole, held: Price | None) -> Iterator[Price]:
    at_s = hole.start_s
    while held is not None and at_s < hole.end_s:
        since_s = held.start_s + held.length_s
        if at_s - since_s >= HOLD_S:
            break
        stop_s = min(hole.end_s, at_s + HOLD_STEP_S - (at_s - since_s) % HOLD_STEP_S)
        yield _held(held, at_s, stop_s, _settled(stop_s, hole.now_s, hole.settle_s))
        at_s = stop_s
    for begin_s, stop_s, year in _years(at_s, hole.end_s):
        step, prices = _annual(hole.zone, year)
        whole, direct = prices.lifecycle, prices.location_based
        factor = whole if hole.boundary == "lifecycle" and whole is not None else direct
        price = _from_factor(hole.zone, begin_s, stop_s, factor, annual.time_mismatch_g95(hole.end_s - at_s))
        yield price._replace(quality=step, settled=_settled(stop_s, hole.now_s, hole.settle_s))


def _held(held: Price, start_s: int, end_s: int, settled: bool) -> Price:
    age_s = end_s - (held.start_s + held.length_s)
    g95 = exp(sqrt(log(max(HELD_G95, held.g95)) ** 2 + (log(HELD_DRIFT_G95) * age_s / HOLD_S) ** 2))
    return held._replace(
        start_s=start_s, length_s=end_s - start_s, quality="last-known", settled=settled, g95=g95,
        cause=f"{held.origin}|{held.zone}|last-known",
    )  # fmt: skip


def _live(step: live.Step, now_s: int | None, settle_s: int, least_g95: float = 1.0) -> Price:
    fact = step.said.fact
    quality = "forecast" if fact.forecast else "live-estimated" if fact.estimated else "live"
    signal: Signal | str = "" if fact.signal == "average" else "|marginal"
    return Price(
        zone=fact.zone,
        start_s=step.start_s,
        length_s=step.end_s - step.start_s,
        ug_per_kwh=fact.ug_per_kwh,
        boundary=fact.boundary,
        quality=quality,
        cause=f"{fact.provider}|{fact.zone}|{quality}{signal}",
        g95=max(LIVE_G95[quality], least_g95),
        settled=_settled(fact.start_s + fact.length_s, now_s, settle_s),
        facts=step.said.ids,
        origin=fact.provider,
        version=fact.version,
    )


def _from_factor(zone: str, start_s: int, end_s: int, factor: Factor, mismatch_g95: float = 1.0) -> Price:
    """An annual factor's price; its quality is set by who knows why it was taken."""

    def wider(g95: float) -> float:
        return exp(sqrt(log(g95) ** 2 + log(mismatch_g95) ** 2))

    return Price(
        zone=zone,
        start_s=start_s,
        length_s=end_s - start_s,
        ug_per_kwh=round(factor.value * UG_PER_G),
        boundary=factor.boundary,
        quality=factor.quality,
        cause=f"{factor.origin}|{factor.zone}|{factor.version}|{factor.boundary}",
        g95=wider(factor.g95),
        g95_high=wider(factor.g95_high) if factor.g95_high else 0.0,
        origin=factor.origin,
        version=factor.version,
    )


def _boundary(found: Sequence[live.Said], start_s: int, end_s: int) -> str:
    """Direct if anybody said it of that time; what was said right before it decides only where nothing was."""
    for since_s in (start_s, start_s - HOLD_S):
        near = {one.fact.boundary for one in found if live.overlapping(since_s, end_s)(one)}
        for boundary in ("direct", "lifecycle"):
            if boundary in near:
                return boundary
    return "direct"


def _now_s(known: Sequence[Known], as_of_s: int | None) -> int | None:
    return as_of_s if as_of_s is not None else max((one.recorded_s for one in known), default=None)


def _settled(end_s: int, now_s: int | None, settle_s: int) -> bool:
    return now_s is not None and end_s + settle_s <= now_s


def year_of(at_s: int) -> tuple[int, int]:
    """The calendar year (UTC) of a time, as (start_s, end_s)."""
    year = datetime.fromtimestamp(at_s, UTC).year
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp()), int(datetime(year + 1, 1, 1, tzinfo=UTC).timestamp())


def _years(start_s: int, end_s: int) -> Iterator[tuple[int, int, int]]:
    """The calendar years of a time, as (start_s, end_s, year)."""
    while start_s < end_s:
        stop_s = min(end_s, year_of(start_s)[1])
        yield start_s, stop_s, datetime.fromtimestamp(start_s, UTC).year
        start_s = stop_s


@lru_cache(maxsize=1024)
def _annual(zone: str, year: int) -> tuple[str, annual.Prices]:
    """The annual table's word on a zone in a year, else on its country, else on the world; and which it was."""
    last = date(year, 12, 31)  # a factor's age is that in the year it prices, not in the year of the report
    for step, name in (("zone-annual", zone), ("country-annual", zone.partition("-")[0])):
        if name.strip():
            try:
                return step, annual.lookup(name, last)
            except annual.UnknownZone:
                continue
    return "world", annual.lookup(None, last)
