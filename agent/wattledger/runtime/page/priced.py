"""Energy of the books → grams, at the grid's newest figures: each price with what lies under it, exactly."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from wattledger.core.facts import Known
from wattledger.core.uncertainty import Quantity, scale
from wattledger.runtime.page.books import Amount

if TYPE_CHECKING:
    from wattledger.accounting.explain import Slot

UG_PER_G = 1_000_000


class Rules(NamedTuple):
    """How the grid is read: the providers in order of trust, after how long no revision is expected, and the zone of energy whose
    zone the books do not say."""

    providers: tuple[str, ...] = ()
    settle_s: int = 72 * 3600
    zone: str = ""


def slots(amounts: Iterable[Amount], grid: Sequence[Known], now_s: int, rules: Rules) -> "list[Slot]":
    """The amounts under their prices, in the order of time; energy that crosses prices is in the slots of all of them."""
    from wattledger.accounting.explain import Slot, under
    from wattledger.accounting.prices import operational

    windows: dict[tuple[str, int, int, int], list[int]] = {}
    for amount in amounts:
        window = amount.key.zone or rules.zone, amount.key.pue_milli, amount.start_s, max(1, amount.length_s)
        sums = windows.setdefault(window, [0, 0])
        sums[0] += amount.energy_uj
        sums[1] += amount.facts
    found: dict[tuple[object, int], Slot] = {}
    for zone in sorted({window[0] for window in windows}):
        of = {window: sums for window, sums in windows.items() if window[0] == zone}
        begin_s, end_s = min(w[2] for w in of), max(w[2] + w[3] for w in of)
        given = {"as_of_s": now_s, "settle_s": rules.settle_s}
        prices = operational(zone, begin_s, end_s, grid, providers=rules.providers, **given)
        for (_, pue_milli, start_s, length_s), (uj, facts) in of.items():
            for slot in under((start_s, length_s), uj, pue_milli, prices):
                key = slot.price, pue_milli
                sofar = found.get(key)
                slot = slot._replace(facts=facts)
                found[key] = slot if sofar is None else sofar._replace(
                    facts=sofar.facts + facts, energy_uj=sofar.energy_uj + slot.energy_uj,
                    emitted_ug=sofar.emitted_ug + slot.emitted_ug,
                )  # fmt: skip
    return sorted(found.values(), key=_order)


def _order(slot: "Slot") -> tuple[int, str, int]:
    assert slot.price is not None
    return slot.price.start_s, slot.price.zone, slot.pue_milli


def grams(found: "Sequence[Slot]") -> float:
    """All of them."""
    from wattledger.accounting.explain import total

    return float(total(found)[1] / UG_PER_G)


def emitted_g(found: "Sequence[Slot]", energy: Quantity, length_s: int) -> Quantity:
    """Grams, as sure as the energy and the widest of the prices are."""
    from wattledger.accounting.prices import used_for

    value = grams(found)
    prices = [used_for(slot.price, length_s) for slot in found if slot.price is not None and slot.energy_uj]
    if not prices or energy.value <= 0 or value <= 0:
        return Quantity(value, value, value)
    low, high = max(price.g95 for price in prices), max(price.g95_high or price.g95 for price in prices)
    return scale(energy, value / energy.value, [low], [high])
