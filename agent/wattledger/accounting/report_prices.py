"""The price lists of a report: for each zone and basis, out of the facts that are in the books."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from wattledger.accounting import prices, scope2, tariffs, water
from wattledger.accounting.price import Price
from wattledger.accounting.report_ask import HOUR_S, Ask, Rules
from wattledger.accounting.report_slots import Lists
from wattledger.core.facts import ContractFact, IntensityFact, Known
from wattledger.ledger.query import Used, Window

NO_CONTRACTS = "no contracts, no residual mix"


class PriceLists(NamedTuple):
    """By the zones that windows have.  ``why_no_market``: empty where there is a market-based figure.  ``notes``: to disclose."""

    lists: Mapping[str, Lists]
    why_no_market: str
    notes: tuple[str, ...]


class Span(NamedTuple):
    """A time, ``[start_s, end_s)``."""

    start_s: int
    end_s: int


def price_lists(windows: Sequence[Window], used: Sequence[Used], known: Sequence[Known], ask: Ask, rules: Rules) -> PriceLists:
    """Prices over the time of the windows.  ``used``: all that was consumed, also by others and in the contracts' whole time; it is
    asked for only where there is a contract or a residual mix (``has_market``)."""
    zones = sorted({window.zone for window in windows})
    if not zones:
        return PriceLists({}, "", ())
    span = _span(windows)
    market = _market(used, known, ask, rules)
    rates = tariffs.rates(rules.tariff, *span) if rules.tariff is not None else []
    lists = {}
    for zone in zones:
        named = zone or rules.zone
        of = {"as_of_s": ask.as_of_s, "settle_s": rules.settle_s, "providers": rules.providers}
        operational = list(_settled_apart(prices.operational(named, *span, known, **of), ask.as_of_s, rules))  # type: ignore[arg-type]
        upstream = prices.beside_direct(prices.upstream(named, *span, known, **of), operational)  # type: ignore[arg-type]
        marginal = prices.marginal(named, *span, known, **of) if ask.marginal else ()  # type: ignore[arg-type]
        priced = market.prices(named) if market is not None else ()
        litres = water.water_of(named, rules)
        lists[zone] = Lists(operational, prices.inventory(named, *span), upstream, priced, marginal, rates, litres)
    notes = [f"market-based: {each.text}" for each in market.disclosures] if market is not None else []
    notes += water.disclosures({zone or rules.zone for zone in zones}, rules)
    return PriceLists(lists, "" if market is not None else NO_CONTRACTS, tuple(notes))


def _span(windows: Sequence[Window | Used]) -> Span:
    """All their time, in whole hours: an hour that was rolled up is priced as its minutes are."""
    start_s, end_s = min(w.start_s for w in windows), max(w.start_s + max(1, w.length_s) for w in windows)
    return Span(start_s - start_s % HOUR_S, end_s + -end_s % HOUR_S)


def _settled_apart(found: Iterable[Price], now_s: int | None, rules: Rules) -> Iterator[Price]:
    """An average that fills a long time is settled up to where its time was over ``settle_s`` ago, as if asked for day by day."""
    cut_s = None if now_s is None else (now_s - rules.settle_s) // HOUR_S * HOUR_S
    for price in found:
        end_s = price.start_s + price.length_s
        if price.facts or cut_s is None or not price.start_s < cut_s < end_s:
            yield price
            continue
        for begin_s, stop_s, settled in ((price.start_s, cut_s, True), (cut_s, end_s, False)):
            yield prices.used_for(price, stop_s - begin_s)._replace(start_s=begin_s, length_s=stop_s - begin_s, settled=settled)


def has_market(known: Sequence[Known]) -> bool:
    """Whether there is anything that a market-based figure could stand on: without it, there is none, and never zero."""
    facts = (one.fact for one in known)
    return any(isinstance(f, ContractFact) or (isinstance(f, IntensityFact) and f.boundary == "residual") for f in facts)


def contract_time(known: Sequence[Known], from_s: int | None, to_s: int | None) -> tuple[int | None, int | None]:
    """The span, made as long as the contracts that touch it, in calendar years: their volume is the whole time's."""
    contracts = [one.fact for one in known if isinstance(one.fact, ContractFact)]
    touching = [c for c in contracts if (to_s is None or c.start_s < to_s) and (from_s is None or c.end_s > from_s)]
    if not contracts:
        return from_s, to_s
    since_s = None if from_s is None else min([from_s, *(contract.start_s for contract in touching)])
    until_s = None if to_s is None else max([to_s, *(contract.end_s for contract in touching)])
    return None if since_s is None else _year_s(since_s, 0), None if until_s is None else _year_s(until_s - 1, 1)


def _year_s(time_s: int, further: int) -> int:
    return int(datetime(datetime.fromtimestamp(time_s, UTC).year + further, 1, 1, tzinfo=UTC).timestamp())


def _market(used: Sequence[Used], known: Sequence[Known], ask: Ask, rules: Rules) -> scope2.Market | None:
    if not used or not has_market(known):
        return None
    span = _span(used)
    consumption = [scope2.Consumption(row.zone or rules.zone, *row[1:]) for row in used]
    zones = sorted({row.zone for row in consumption})
    averages: dict[str, Sequence[Price]] = {zone: prices.inventory(zone, *span) for zone in zones}
    residuals = {zone: prices.residual(zone, *span, known, as_of_s=ask.as_of_s, settle_s=rules.settle_s) for zone in zones}
    return scope2.market_based(consumption, known, residuals=residuals, averages=averages, as_of_s=ask.as_of_s)
