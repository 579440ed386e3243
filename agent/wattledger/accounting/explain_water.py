"""How a report's litres were computed: each figure of water with the joules that it was laid on, exactly.

On-site is by the kWh of IT energy; off-site by what the building drew, so with its PUE where that is known (carbon.md 7).
"""

from fractions import Fraction
from typing import NamedTuple

from wattledger.accounting.report_ask import Ask, Rules
from wattledger.accounting.report_sums import MILLI, UJ_PER_KWH
from wattledger.accounting.reports import Counted, count, report
from wattledger.accounting.water import WATER, Litres, Where
from wattledger.ledger.books import Books
from wattledger.ledger.query import Scope


class Wet(NamedTuple):
    """Energy of ``facts`` facts under one figure of water and PUE (0: not known, or not applied) → microlitres, exactly.

    ``litres`` of ``None``: not known of that energy.
    """

    litres: Litres | None
    pue_milli: int
    facts: int
    energy_uj: Fraction
    water_ul: Fraction


class WaterFigure(NamedTuple):
    """A report's litres and what they are made of."""

    ask: Ask
    where: Where
    slots: tuple[Wet, ...]
    reported_uj: Fraction
    reported_ul: Fraction
    notes: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether the slots add up to what the report says, exactly."""
        return total(self.slots) == (self.reported_uj, self.reported_ul)


def water(books: Books, ask: Ask, rules: Rules | None = None, *, where: Where) -> WaterFigure:
    """The litres of a report's total.  Raises what ``report`` raises."""
    rules = rules or Rules()
    found = report(books, ask, rules._replace(embodied=False))
    counted = count(books, Scope(ask.kind, ask.name, ask.from_s, ask.to_s), ask, rules)
    sums = found.total.sums
    return WaterFigure(ask, where, slots_of(counted, where), sums.energy_uj(), sums.water_ul(where), found.notes)


def slots_of(counted: Counted, where: Where) -> tuple[Wet, ...]:
    """The energy of a counted scope under each figure of water."""
    found: dict[tuple[Litres | None, int], Wet] = {}
    for row in counted.rows:
        litres = counted.slots.combos[row.combo].water[WATER.index(where)]
        key = litres, row.pue_milli if where == "offsite" else 0
        energy_uj = Fraction(row.energy, row.den)
        each = 0 if litres is None else litres.ul_per_kwh
        sofar = found.get(key, Wet(*key, 0, Fraction(0), Fraction(0)))
        found[key] = sofar._replace(
            facts=sofar.facts + row.rows,
            energy_uj=sofar.energy_uj + energy_uj,
            water_ul=sofar.water_ul + energy_uj * each * (key[1] or MILLI) / (MILLI * UJ_PER_KWH),
        )
    return tuple(sorted(found.values(), key=lambda wet: (wet.litres.zone if wet.litres else "", wet.pue_milli)))


def total(slots: tuple[Wet, ...]) -> tuple[Fraction, Fraction]:
    """Microjoules and microlitres of these slots together."""
    zero = Fraction(0)
    return sum((slot.energy_uj for slot in slots), zero), sum((slot.water_ul for slot in slots), zero)
