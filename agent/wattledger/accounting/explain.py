"""How a report's grams were computed: each price of its time with the joules that it was laid on, down to the facts.

The books are summed once more, with every price apart, and held against the report's own figure: both are exact, so they are equal
or one of them is wrong.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from wattledger.accounting.price import Price
from wattledger.accounting.report_ask import Ask, Rules
from wattledger.accounting.report_slots import PRICED, Slots
from wattledger.accounting.report_sums import MILLI, UJ_PER_KWH
from wattledger.accounting.reports import Counted, count, report
from wattledger.accounting.sums import overlaps
from wattledger.ledger.books import Books
from wattledger.ledger.query import Priced, Scope


class Slot(NamedTuple):
    """Energy of ``facts`` facts under one price and PUE (thousandths; 0: not known, not applied) → micrograms, exactly.

    ``price``: ``None`` where that basis has none, and of days that were rolled up: those bring what they were priced at, and
    ``priced_by`` says by what.  A fact whose window crosses prices is in the slots of all of them.
    """

    price: Price | None
    priced_by: str
    pue_milli: int
    facts: int
    energy_uj: Fraction
    emitted_ug: Fraction

    @property
    def is_priced(self) -> bool:
        """Whether anything is known of its grams."""
        return self.price is not None or bool(self.priced_by)

    @property
    def ug_per_kwh(self) -> Fraction | None:
        """The price; of a rolled-up day, what it comes to on average."""
        if self.price is not None:
            return Fraction(self.price.ug_per_kwh)
        if not self.priced_by or not self.energy_uj:
            return None
        return self.emitted_ug * UJ_PER_KWH * MILLI / (self.energy_uj * (self.pue_milli or MILLI))


class Figure(NamedTuple):
    """A report's figure and the slots that it is made of, in the order of time.  ``reported``: what the report says."""

    ask: Ask
    basis: str
    slots: tuple[Slot, ...]
    reported_uj: Fraction
    reported_ug: Fraction
    notes: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether the slots add up to what the report says, exactly."""
        return total(self.slots) == (self.reported_uj, self.reported_ug)


def explain(books: Books, ask: Ask, rules: Rules | None = None, *, basis: str = "operational") -> Figure:
    """The figure of a report's total by one basis (of ``report_slots.PRICED``).  Raises what ``report`` raises."""
    rules = rules or Rules()
    found = report(books, ask, rules._replace(embodied=False))
    counted = count(books, Scope(ask.kind, ask.name, ask.from_s, ask.to_s), ask, rules, apart=True)
    sums = found.total.sums
    return Figure(ask, basis, slots_of(counted, basis), sums.energy_uj(), sums.emitted_ug(basis), found.notes)


def slots_of(counted: Counted, basis: str) -> tuple[Slot, ...]:
    """The energy of a scope that was counted with its prices ``apart``, under each price of one basis, in the order of time."""
    return _slots(counted.rows, counted.slots, PRICED.index(basis))


def total(slots: Sequence[Slot]) -> tuple[Fraction, Fraction]:
    """Microjoules and micrograms of these slots together."""
    zero = Fraction(0)
    return sum((slot.energy_uj for slot in slots), zero), sum((slot.emitted_ug for slot in slots), zero)


def under(window: tuple[int, int], energy_uj: int, pue_milli: int, prices: Sequence[Price]) -> list[Slot]:
    """One fact's energy under the prices of its window ``(start_s, length_s)``, held to be even over it."""
    start_s, length_s = window[0], max(1, window[1])
    found = []
    for price, begin_s, stop_s in overlaps(prices, start_s, length_s):
        part_uj = Fraction(energy_uj * (stop_s - begin_s), length_s)
        emitted_ug = part_uj * price.ug_per_kwh * (pue_milli or MILLI) / (MILLI * UJ_PER_KWH)
        found.append(Slot(price, "", pue_milli, 1, part_uj, emitted_ug))
    return found


def _slots(rows: Sequence[Priced], slots: Slots, place: int) -> tuple[Slot, ...]:
    """``place``: the basis's, in ``PRICED``."""
    found: dict[tuple[Price | None, str, int], Slot] = {}
    for row in rows:
        # Only the price of the hour was kept of a rolled-up day; the others are laid on it as on any.
        priced_by = row.priced_by if place == 0 else ""
        price = None if priced_by else slots.prices[row.combo][place]
        key = price, priced_by, row.pue_milli
        value = row.bases[place] if price is not None or priced_by else 0
        sofar = found.get(key, Slot(*key, 0, Fraction(0), Fraction(0)))
        found[key] = sofar._replace(
            facts=sofar.facts + row.rows,
            energy_uj=sofar.energy_uj + Fraction(row.energy, row.den),
            emitted_ug=sofar.emitted_ug + Fraction(value * (row.pue_milli or MILLI), row.den * MILLI * UJ_PER_KWH),
        )
    return tuple(sorted(found.values(), key=_order))


def _order(slot: Slot) -> tuple[int, str, str, int]:
    start_s, zone = (slot.price.start_s, slot.price.zone) if slot.price is not None else (0, "")
    return start_s, zone, slot.priced_by, slot.pue_milli
