"""Energy → grams and money, with the factors used and their uncertainty."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from wattledger.core.accounts import Term
from wattledger.core.model import Factor
from wattledger.core.uncertainty import Quantity, scale
from wattledger.core.units import joules, kwh


def grams(energy_uj: int, intensity_g_per_kwh: float, pue: float) -> float:
    """Grams CO2e of IT energy: kWh x PUE x g/kWh (GHG Protocol Scope 2 Guidance, location-based: kWh times the grid's average)."""
    return kwh(joules(energy_uj)) * pue * intensity_g_per_kwh


def emissions(energy_j: Quantity, factors: Sequence[Factor], mismatch_g95: float) -> Quantity:
    """Grams CO2e with the interval of energy, every factor, and the mismatch of an annual average with one short window.

    ``energy_j`` in joules; ``factors`` are independent of each other, their product is in g/kWh (intensity, then PUE if any).
    """
    product = 1.0
    for factor in factors:
        product *= factor.value
    lows = [*(f.g95 for f in factors), mismatch_g95]
    highs = [*(f.g95_high or f.g95 for f in factors), mismatch_g95]
    return scale(energy_j, kwh(product), lows, highs)


KINDS = {  # basis → the kind of factor that it stands on
    "location_based": "grid", "upstream": "upstream", "onsite": "water_onsite", "offsite": "water_offsite",
}  # fmt: skip
PRICED = ("grid", "upstream", "pue", "tariff", "water_onsite", "water_offsite")  # kinds of factor that a price is made of
OF_THE_HOUR = ("live", "live-estimated", "last-known")  # qualities of a grid factor that is not an average over a year


class Cost(NamedTuple):
    """Money, in a currency by its ISO 4217 code."""

    value: float
    currency: str


class Priced(NamedTuple):
    """A run's grams by basis, its cost, every factor that was used, and litres by where they evaporate."""

    emissions_g: dict[str, Quantity]
    cost: Cost | None
    factors: tuple[Factor, ...]
    water_l: Mapping[str, Quantity] = MappingProxyType({})


def priced(energy_j: Quantity | None, terms: Sequence[Term], mismatch_g95: float) -> Priced:
    """Price a run's energy, each part at the factors that were in force when it was drawn.

    A basis that one part has no factor for is absent.  The parts' errors are added linearly: a provider that is off in one hour is
    off in the next.
    """
    named = (factors.get(kind) for kind in PRICED for factors, _ in terms)
    used = tuple(dict.fromkeys(f for f in named if f is not None and _is_known(f)))
    if energy_j is None:
        return Priced({}, None, used)
    whole_uj = sum(uj for _, uj in terms)
    parts = [(factors, uj / whole_uj if len(terms) > 1 and whole_uj else 1.0 / len(terms)) for factors, uj in terms]
    found: dict[str, Quantity] = {}
    for basis, kind in KINDS.items():
        if parts and all(_is_known(factors.get(kind)) for factors, _ in parts):
            found[basis] = _sum([_emitted(energy_j, part, factors, kind, mismatch_g95) for factors, part in parts])
    water_l: dict[str, Quantity] = {source: found.pop(source) for source in ("onsite", "offsite") if source in found}
    return Priced(found, _cost(energy_j.value, parts), used, water_l)


def _is_known(factor: Factor | None) -> bool:
    """A factor that is in force no more has one of quality ``unknown`` as its successor."""
    return factor is not None and factor.quality != "unknown"


def _emitted(
    energy_j: Quantity, part: float, factors: Mapping[str, Factor], kind: str, mismatch_g95: float
) -> Quantity:
    # What evaporates on the site is counted by the kWh of IT energy, whatever the grid does.
    pue = [factors["pue"]] if "pue" in factors and kind != "water_onsite" else []
    mismatch = 1.0 if factors[kind].quality in OF_THE_HOUR or kind == "water_onsite" else mismatch_g95
    energy_j = energy_j if part == 1.0 else Quantity(*(end * part for end in energy_j))
    return emissions(energy_j, [factors[kind], *pue], mismatch)


def _sum(parts: Sequence[Quantity]) -> Quantity:
    return parts[0] if len(parts) == 1 else Quantity(*(sum(ends) for ends in zip(*parts, strict=True)))


def _cost(energy_j: float, parts: Sequence[tuple[Mapping[str, Factor], float]]) -> Cost | None:
    """The bill is for what the building drew: PUE counts where it is known."""
    if not parts or not all(_is_known(factors.get("tariff")) for factors, _ in parts):
        return None
    currencies = {factors["tariff"].unit.partition("/")[0] for factors, _ in parts}
    if len(currencies) > 1:
        return None
    rates = [(f["tariff"].value * (f["pue"].value if "pue" in f else 1.0), part) for f, part in parts]
    return Cost(sum(rate * kwh(energy_j * part) for rate, part in rates), currencies.pop())
