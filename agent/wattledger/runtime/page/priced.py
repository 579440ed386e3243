"""Energy of the books → grams, at the grid's newest figures: by the arithmetic and with the intervals of reports."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from wattledger.core.facts import Known
from wattledger.runtime.page.books import Amount

if TYPE_CHECKING:
    from wattledger.accounting.explain import Slot
    from wattledger.accounting.report_slots import Lists
    from wattledger.accounting.report_slots import Slots as Cut
    from wattledger.accounting.report_sums import Sums
    from wattledger.ledger.query import Priced as Row

UG_PER_G = 1_000_000


class Rules(NamedTuple):
    """How the grid is read: the providers in order of trust, after how long no revision is expected, and the zone of energy whose
    zone the books do not say."""

    providers: tuple[str, ...] = ()
    settle_s: int = 72 * 3600
    zone: str = ""


class Priced(NamedTuple):
    """What amounts come to: sums with their intervals, as a report's line has them, and each price with what lies under it,
    exactly, in the order of time; energy that crosses prices is in the slots of all of them."""

    sums: "Sums"
    slots: "tuple[Slot, ...]"


def lists(amounts: Iterable[Amount], grid: Sequence[Known], now_s: int, rules: Rules) -> "Mapping[str, Lists]":
    """The prices of all the amounts' time, by the zones that they name."""
    from wattledger.accounting import report_ask
    from wattledger.accounting.report_prices import price_lists
    from wattledger.accounting.report_slots import Lists
    from wattledger.ledger.query import Window

    windows = [Window(*window) for window in sorted({_window(amount) for amount in amounts})]
    of = report_ask.Rules(rules.zone, rules.providers, rules.settle_s)
    found = price_lists(windows, (), grid, report_ask.Ask("job", as_of_s=now_s), of)
    return {zone: Lists(each.operational) for zone, each in found.lists.items()}


def priced(amounts: Sequence[Amount], prices: "Mapping[str, Lists]", *, apart: bool = True) -> Priced:
    """``prices``: of ``lists``, over these amounts and maybe others.  ``apart``: with the slots, for who names every price."""
    from wattledger.accounting.explain import slots_of
    from wattledger.accounting.report_ask import Ask
    from wattledger.accounting.report_prices import PriceLists
    from wattledger.accounting.report_slots import slots
    from wattledger.accounting.report_sums import Sums
    from wattledger.accounting.reports import Counted
    from wattledger.ledger.query import Window

    windows = [Window(*window) for window in sorted({_window(amount) for amount in amounts})]
    cut, sums = slots(windows, prices, Ask("job"), apart=apart), Sums()
    rows = _rows(amounts, cut)
    for row in rows:
        sums.add(row, cut.combos[row.combo])
    return Priced(sums, slots_of(Counted(cut, PriceLists(prices, "", ()), rows), "operational") if apart else ())


def _window(amount: Amount) -> tuple[str, int, int]:
    return amount.key.zone, amount.start_s, max(1, amount.length_s)


def _rows(amounts: Iterable[Amount], cut: "Cut") -> "list[Row]":
    """Amounts beside the prices of their windows, summed by sensor and price: what ``ledger.query`` asks of a database."""
    from wattledger.ledger.query import Priced as Row

    pieces: dict[Any, list[Any]] = {}
    for zone, start_s, length_s, combo, den, part, operational, *_ in cut.rows:
        pieces.setdefault((zone, start_s, length_s), []).append((combo, den, part, operational))
    sums: dict[tuple[Any, ...], list[int]] = {}
    for amount in amounts:
        key, start_s = amount.key, amount.start_s
        end_s = start_s + max(1, amount.length_s)
        for combo, den, part, operational in pieces[_window(amount)]:
            names = key.component, key.device_model, key.method, key.use, key.pue_milli, combo, den
            sofar = sums.setdefault(names, [0, 0, 0, 0, start_s, end_s])
            sofar[0] += amount.energy_uj * part
            sofar[1] += amount.spread_uj * part
            sofar[2] += amount.energy_uj * operational
            sofar[3] += amount.facts
            sofar[4], sofar[5] = min(sofar[4], start_s), max(sofar[5], end_s)
    found = []
    for names, (uj, spread_uj, ug, facts, first_s, last_s) in sorted(sums.items()):
        component, device_model, method, use, pue_milli, combo, den = names
        bases = ug, 0, 0, 0, 0, 0  # the others are not asked for
        row = Row((), component, device_model, method, use, pue_milli, combo, den, "", uj, spread_uj, bases, facts, first_s, last_s)
        found.append(row)
    return found


def grams(found: "Sequence[Slot]") -> float:
    """All of them."""
    from wattledger.accounting.explain import total

    return float(total(found)[1] / UG_PER_G)
