"""Sums of one line of a report: exact while they are made, with an interval when they are said.

Errors that come from one sensor, price or building are common to all they touched (carbon.md 8.1): they add up linearly, and only
independent ones in quadrature.  Of a product, the logarithms of its factors' intervals do.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import exp, inf, log, sqrt
from typing import Any, NamedTuple

from wattledger.accounting.price import Price
from wattledger.accounting.prices import ANNUAL, HELD_DRIFT_G95, HELD_G95, LIVE_G95, used_for
from wattledger.accounting.report_ask import DAY_S, HOUR_S
from wattledger.accounting.report_slots import PRICED, Combo
from wattledger.accounting.water import WATER, Litres, Where
from wattledger.core.uncertainty import Quantity, Term, total
from wattledger.factors import gains
from wattledger.factors.grid.annual import time_mismatch_g95
from wattledger.factors.grid.cloud import CONFIGURED_PUE_G95
from wattledger.ledger.query import Priced

UJ_PER_J = 1_000_000
UG_PER_G = 1_000_000
UJ_PER_KWH = 3_600_000_000_000
MILLI = 1000
TO_G, TO_KWH = Fraction(1, MILLI * UJ_PER_KWH * UG_PER_G), Fraction(1, MILLI * UJ_PER_KWH)  # of products with PUE in thousandths
# Of a rolled-up day: what is as good as the widest that was (a value held for six hours), and the widest year's average.
ROLLED_G95 = exp(sqrt(log(HELD_G95) ** 2 + log(HELD_DRIFT_G95) ** 2))
ANNUAL_G95 = 1.30


class Sensor(NamedTuple):
    """What the gain of a reading depends on."""

    component: str
    device_model: str
    method: str


class Cause(NamedTuple):
    """Whose error a part of a sum shares: ``of`` one sensor, price class or PUE, for one basis (``energy``: joules)."""

    basis: str
    of: Sensor | Price | Litres | int | str


class Sums:
    """Sums of one line.  State: by what is summed and by denominator, ints; the time that it was used in."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[object, dict[int, int]]] = defaultdict(_by_cause)
        self._span_s: tuple[int, int] | None = None
        self.facts = 0
        self.currency = ""

    def add(self, row: Priced, combo: Combo) -> None:
        """Add what the books say of one sensor and price class."""
        sensor, den = Sensor(row.component, row.device_model, row.method), row.den
        pue = row.pue_milli or MILLI
        self._sums["energy"][sensor][den] += row.energy
        self._sums["pue"][row.pue_milli][den] += row.energy
        self._sums["spread"][""][den] += row.spread
        if row.use == "held":
            self._sums["held"][""][den] += row.energy
        classes = combo.classes if not row.priced_by else (_rolled(row.priced_by), *combo.classes[1:])
        for basis, value, price in zip(PRICED, row.bases, classes, strict=False):
            if price is None:
                self._sums[f"{basis} missing"][""][den] += row.energy
                continue
            self._sums[f"{basis} energy"][price][den] += row.energy
            self._sums[f"{basis} price"][price][den] += value * pue
            self._sums[f"{basis} sensor"][sensor][den] += value * pue
            self._sums[f"{basis} pue"][row.pue_milli][den] += value * pue
        self._add_water(row, sensor, combo)
        if combo.currency:
            self.currency = combo.currency
            self._sums["cost"][""][den] += row.bases[-1] * pue
        else:
            self._sums["cost missing"][""][den] += row.energy
        self._span(row.first_s, row.last_s)
        self.facts += row.rows

    def _add_water(self, row: Priced, sensor: Sensor, combo: Combo) -> None:
        for where, litres in zip(WATER, combo.water, strict=True):
            if litres is None:
                self._sums[f"{where} missing"][""][row.den] += row.energy
                continue
            # What a site evaporates is said by the kWh of IT energy; power stations make what the building draws.
            pue_milli = row.pue_milli if where == "offsite" else 0
            value = row.energy * litres.ul_per_kwh * (pue_milli or MILLI)
            self._sums[f"{where} energy"][litres][row.den] += row.energy
            for of, cause in (("price", litres), ("sensor", sensor), ("pue", pue_milli)):
                self._sums[f"{where} {of}"][cause][row.den] += value

    def merge(self, other: "Sums") -> None:
        """Add another line's sums."""
        for family, causes in other._sums.items():
            mine = self._sums[family]
            for cause, by_den in causes.items():
                for den, value in by_den.items():
                    mine[cause][den] += value
        if other._span_s is not None:
            self._span(*other._span_s)
        self.facts += other.facts
        self.currency = self.currency or other.currency

    def _span(self, first_s: int, last_s: int) -> None:
        mine = self._span_s or (first_s, last_s)
        self._span_s = min(mine[0], first_s), max(mine[1], last_s)

    @property
    def used_s(self) -> int:
        """How long it was used at least, in whole hours: those between the first and the last in which it was.

        An hour that was rolled up does not say when in it the use began, so minutes are not asked either: equal facts give equal
        intervals, and never one that is too narrow."""
        if self._span_s is None:
            return 0
        first_s, last_s = self._span_s
        return max(0, -(-last_s // HOUR_S) - first_s // HOUR_S - 2) * HOUR_S

    def of(self, family: str) -> dict[Any, Fraction]:
        """The exact sums of a family, by cause."""
        found = {
            cause: sum((Fraction(value, den) for den, value in by_den.items()), Fraction(0))
            for cause, by_den in self._sums.get(family, {}).items()
        }
        return dict(sorted(found.items(), key=lambda each: repr(each[0])))

    def energy_uj(self) -> Fraction:
        """All its energy."""
        return sum(self.of("energy").values(), Fraction(0))

    def emitted_ug(self, basis: str) -> Fraction:
        """All its micrograms by one basis, PUE applied where it is known."""
        return sum(self.of(f"{basis} price").values(), Fraction(0)) / (MILLI * UJ_PER_KWH)

    def water_ul(self, where: Where) -> Fraction:
        """All its microlitres there, PUE applied where it is known."""
        return self.emitted_ug(where)

    def cost_micro(self) -> Fraction:
        """Millionths of the currency."""
        return sum(self.of("cost").values(), Fraction(0)) / (MILLI * UJ_PER_KWH)

    def missing(self, basis: str) -> Fraction:
        """How much of the energy has no price by that basis."""
        return sum(self.of(f"{basis} missing").values(), Fraction(0))

    def energy_j(self, *, shared: bool) -> Quantity:
        """Joules; ``shared``: devices were shared with others, so that some of it may be theirs."""
        terms = [_term(uj / UJ_PER_J, f"{sensor}", _gain(sensor, self.used_s)) for sensor, uj in self.of("energy").items()]
        spread_j = float(sum(self.of("spread").values(), Fraction(0)) / UJ_PER_J) if shared else 0.0
        return total([*terms, Term(0.0, "", 1.0, edge=spread_j)])

    def emissions_g(self, basis: str, *, shared: bool) -> Quantity:
        """Grams by one basis."""
        grams = float(self.emitted_ug(basis) / UG_PER_G)
        sensors = _total(_term(v * TO_G, f"{s}", _gain(s, self.used_s)) for s, v in self.of(f"{basis} sensor").items())
        pues = _by_pue(self.of(f"{basis} pue"), TO_G)
        families = [(sensors, sensors), self._by_price(basis), (pues, pues)]
        if shared:
            families.append((self._spread_of(grams),) * 2)
        return _product(grams, families)

    def drawn_kwh(self, *, shared: bool) -> Quantity:
        """What the building drew for it: PUE applied where it is known."""
        drawn = {pue: uj * (pue or MILLI) for pue, uj in self.of("pue").items()}
        value, energy_j = float(sum(drawn.values(), Fraction(0)) * TO_KWH), self.energy_j(shared=shared)
        sensed = Quantity(*(end * value / energy_j.value if energy_j.value else 0.0 for end in energy_j))
        pues = _by_pue(drawn, TO_KWH)
        return _product(value, [(sensed, sensed), (pues, pues)])

    def intensity_g_per_kwh(self, basis: str) -> Quantity:
        """Grams for each kWh that the building drew, as sure as the prices are."""
        drawn_kwh = self.drawn_kwh(shared=False).value
        grams = _product(float(self.emitted_ug(basis) / UG_PER_G), [self._by_price(basis)])
        return Quantity(*(end / drawn_kwh if drawn_kwh else 0.0 for end in grams))

    def _by_price(self, basis: str) -> tuple[Quantity, Quantity]:
        """Grams as sure as their prices: by the lower intervals, and by the upper."""
        classes = [(price, _for_use(price, basis, self.used_s), v * TO_G) for price, v in self.of(f"{basis} price").items()]
        lows = _total(_term(v, price.cause, used.g95) for price, used, v in classes)
        return lows, _total(_term(v, price.cause, used.g95_high or used.g95) for price, used, v in classes)

    def water_l(self, where: Where, *, shared: bool) -> Quantity:
        """Litres consumed there: microlitres are to litres what micrograms are to grams."""
        return self.emissions_g(where, shared=shared)

    def _spread_of(self, grams: float) -> Quantity:
        energy, spread = self.energy_uj(), sum(self.of("spread").values(), Fraction(0))
        part = float(spread / energy) if energy else 0.0
        return Quantity(grams, max(0.0, grams * (1 - part)), grams * (1 + part))


def _by_cause() -> dict[object, dict[int, int]]:
    return defaultdict(lambda: defaultdict(int))


def parts(sums: Mapping[Any, Fraction], word: str) -> dict[str, float]:
    """What part of the energy stands on each ``quality``, ``boundary``, …; by name."""
    whole = sum(sums.values(), Fraction(0))
    found: dict[str, Fraction] = {}
    for price, uj in sums.items():
        name = str(getattr(price, word))
        found[name] = found.get(name, Fraction(0)) + uj
    return {name: float(uj / whole) for name, uj in sorted(found.items())} if whole else {}


def _product(value: float, families: Sequence[tuple[Quantity, Quantity]]) -> Quantity:
    if value <= 0:
        return Quantity(value, value, max(value, 0.0))
    down = sum(log(value / low.low) ** 2 if low.low > 0 else inf for low, _ in families)
    up = sum(log(high.high / value) ** 2 for _, high in families)
    return Quantity(value, value * exp(-sqrt(down)), value * exp(sqrt(up)))


def _by_pue(sums: Mapping[int, Fraction], scale: Fraction) -> Quantity:
    """A sum, as sure as its PUEs."""
    return _total(_term(v * scale, f"{pue}", CONFIGURED_PUE_G95 if pue else 1.0) for pue, v in sums.items())


def _total(terms: Iterable[Term]) -> Quantity:
    return total(list(terms))


def _term(value: Fraction, cause: str, g95: float) -> Term:
    return Term(float(value), cause, g95)


def _gain(sensor: Sensor, used_s: int) -> float:
    return gains.gain(sensor.component, sensor.device_model, sensor.method, float(used_s)).g95  # type: ignore[arg-type]


def _for_use(price: Price, basis: str, used_s: int) -> Price:
    """An annual average is off by more for an hour's job than for a month's; by the inventory's method it is the factor itself."""
    return used_for(price, used_s) if basis == "operational" and price.length_s else price


def _rolled(cause: str) -> Price:
    """The price class of a day that was rolled up: of its prices, the cause alone is left.

    Of live ones it says origin|zone|quality; of a year's average origin|zone|version|boundary, and that was held to be a day's."""
    origin, *words = cause.split("|")
    if len(words) == 3:
        g95 = exp(sqrt(log(ANNUAL_G95) ** 2 + log(time_mismatch_g95(DAY_S)) ** 2))
        return Price("", 0, DAY_S, 0, words[2], ANNUAL[0], cause, g95, origin=origin)
    quality = words[1] if len(words) == 2 and words[1] in {*LIVE_G95, "last-known"} else "rolled-up"
    return Price("", 0, 0, 0, "rolled-up", quality, cause, LIVE_G95.get(quality, ROLLED_G95), origin=origin)
