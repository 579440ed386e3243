"""How a run's grams were computed, as rows: each price of its time with the joules it was laid on; sums are exact."""

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from wattledger.runtime.page import words
from wattledger.runtime.page.words import plain

if TYPE_CHECKING:
    from wattledger.accounting.explain import Slot

MOST = 48
FORMULA = "microjoules x (micrograms per kWh) x PUE / 3.6e12 = micrograms of CO2e"


class Line(NamedTuple):
    """One price, exactly."""

    when: str
    iso: str
    zone: str
    energy_uj: str
    facts: int
    ug_per_kwh: str
    pue: str
    emitted_ug: str
    source: str
    state: str


class Explained(NamedTuple):
    """``more``: lines that are not shown but are in the sums."""

    formula: str
    lines: tuple[Line, ...]
    more: int
    sum_uj: str
    sum_ug: str
    grams: str


def explained(slots: "Sequence[Slot]") -> Explained | None:
    """``None`` where there is nothing to explain."""
    from wattledger.accounting.explain import total

    if not slots:
        return None
    energy_uj, emitted_ug = total(slots)
    lines = tuple(_line(slot) for slot in slots[:MOST])
    return Explained(
        FORMULA, lines, len(slots) - len(lines), _number(energy_uj), _number(emitted_ug), words.mass(float(emitted_ug / 1_000_000))
    )


def _line(slot: "Slot") -> Line:
    price = slot.price
    assert price is not None, "prices of now have no holes"
    source = " ".join(word for word in (price.origin, price.version) if word) or ", ".join(price.facts[:3])
    pue = f"{slot.pue_milli / 1000:g}" if slot.pue_milli else "not known, not applied"
    return Line(
        words.date_time(price.start_s), words.iso_time(price.start_s), plain(price.zone) or "no zone", _number(slot.energy_uj),
        slot.facts, _number(Fraction(price.ug_per_kwh)), pue, _number(slot.emitted_ug),
        f"{price.quality}, {price.boundary}: {plain(source)}", "settled" if price.settled else "provisional",
    )  # fmt: skip


def _number(value: Fraction) -> str:
    """An int with thin gaps between its thousands; a fraction at three decimals, marked as rounded."""
    if value.denominator == 1:
        return f"{value.numerator:,}".replace(",", "\N{NO-BREAK SPACE}")
    return f"~{float(value):,.3f}".replace(",", "\N{NO-BREAK SPACE}")
