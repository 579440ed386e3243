"""Water in reports: litres consumed, W = E_IT x (WUE + PUE x EWIF) (carbon.md 7), on-site and off-site apart.

On-site is the site's own (its cooling), off-site is of the power stations that made the electricity.  Both are annual figures, so a
zone has one of each, whatever the hour.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

from wattledger.accounting.report_ask import Rules
from wattledger.core.model import Factor
from wattledger.core.uncertainty import Quantity, scale
from wattledger.factors.water import ewif, site

Where = Literal["onsite", "offsite"]
WATER: tuple[Where, ...] = ("onsite", "offsite")
UL_PER_L = 1_000_000


class Litres(NamedTuple):
    """Microlitres per kWh, of IT energy (on-site) or of what the building drew (off-site), and how they were got.

    ``cause`` names what their error comes from: sums with one cause share it.  ``zone``: whose figure it is, not where it was used.
    """

    ul_per_kwh: int
    zone: str
    boundary: str
    quality: str
    cause: str
    g95: float
    g95_high: float = 0.0
    origin: str = ""
    version: str = ""


class Both(NamedTuple):
    """What a kWh in one zone takes; ``None`` where that is not known."""

    onsite: Litres | None = None
    offsite: Litres | None = None


DRY = Both()  # nothing is known


def water_of(zone: str, rules: Rules) -> Both:
    """Of a zone by its code; empty: the world's average stands in.  Raises ValueError for rules that cannot be."""
    return Both(_onsite(rules.wue), _offsite(zone, rules.hydro))


def water_l(energy_kwh: float, wue: float, pue: float, ewif_l_per_kwh: float) -> tuple[float, float]:
    """Litres (on-site, off-site) of IT energy by the formula alone, without intervals."""
    return energy_kwh * wue, energy_kwh * pue * ewif_l_per_kwh


def litres(energy_kwh: Quantity, factors: Iterable[Factor]) -> Quantity:
    """Litres with an interval: energy by factors (of the grid and PUE, or of the site) that are independent of each other."""
    found, product = list(factors), 1.0
    for factor in found:
        product *= factor.value
    return scale(energy_kwh, product, [f.g95 for f in found], [f.g95_high or f.g95 for f in found])


def disclosures(zones: Iterable[str], rules: Rules) -> Iterator[str]:
    """What a reader of the litres must be told."""
    found = {zone: _offsite(zone, rules.hydro) for zone in zones}
    known = {zone: one for zone, one in found.items() if one is not None}
    if known:
        how = "with what reservoirs evaporate" if rules.hydro == "allocate" else "hydro power counted as 0"
        site_said = f"on-site at {rules.wue:g} L/kWh ([facility] wue)" if rules.wue else "on-site not known ([facility] wue)"
        yield f"water: consumed by power stations, {how} ([water] hydro = {rules.hydro}), at yearly averages; {site_said}"
    if world := _named(zone for zone, one in known.items() if one.quality == "world"):
        yield f"water: the world's average stands in for {world}: no figure of its own"
    if parts := _named(zone for zone, one in known.items() if one.quality != "world" and "-" in zone):
        yield f"water: the country's average stands in for {parts}"
    if missing := _named(zone for zone, one in found.items() if one is None):
        yield (
            f"water: not known of {missing}: what reservoirs evaporate cannot be left out there, because what the electricity is "
            "made of is not known ([water] hydro = allocate)"
        )


def _named(zones: Iterable[str]) -> str:
    return ", ".join(sorted(zone or "energy of no known zone" for zone in zones))


@lru_cache(maxsize=1024)
def _offsite(zone: str, hydro: ewif.Hydro) -> Litres | None:
    try:
        return _from_factor(ewif.offsite(zone, hydro))
    except ewif.NotKnown:
        return None


@lru_cache(maxsize=16)
def _onsite(wue: float) -> Litres | None:
    """A WUE of 0 is one that nobody said."""
    return _from_factor(site.onsite(wue)) if wue else None


def _from_factor(factor: Factor) -> Litres:
    return Litres(
        ul_per_kwh=round(factor.value * UL_PER_L),
        zone=factor.zone,
        boundary=factor.boundary,
        quality=factor.quality,
        cause=f"{factor.origin}|{factor.zone}|{factor.version}|{factor.kind}",
        g95=factor.g95,
        g95_high=factor.g95_high,
        origin=factor.origin,
        version=factor.version,
    )
