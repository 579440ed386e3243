"""Which factors are in force: the zone by flag, configuration or cloud environment, the PUE where somebody knows it."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import NamedTuple

from wattledger.core.model import Device, Factor
from wattledger.factors import gains
from wattledger.factors.grid import annual, cloud
from wattledger.runtime import clock
from wattledger.runtime.config import Config, ConfigError

# A country's average for one of its zones: eGRID's subregions lie within 0.3 to 2 times of the US average, most within 1.5.
COUNTRY_FOR_ZONE_G95 = 1.5


class PriceList(NamedTuple):
    """Factors by kind (``grid``, ``upstream``, ``pue``) and what must be said about them.

    ``own_notes``: those that are not of the annual figure; ``doubt_g95``: where the zone itself was guessed.  ``rates``: what it
    took to make each device (or ``host``), grams per hour.
    """

    factors: Mapping[str, Factor]
    notes: tuple[str, ...]
    own_notes: tuple[str, ...] = ()
    doubt_g95: float = 1.0
    rates: Mapping[str, Factor] = MappingProxyType({})


def price_list(config: Config, environ: Mapping[str, str], zone: str | None = None) -> PriceList:
    """Resolve the prices for a zone.  An unknown zone or an impossible PUE is a ConfigError with the nearest right name."""
    named = zone or str(config["grid.zone"]) or None
    found = None if named else cloud.zone_from_environ(environ, cloud.CLOUD_INIT)
    try:
        where = "the zone asked for" if zone else config.origin("grid.zone")
        place = named or (found.zone if found else None)
        prices = _known(place, asked=bool(config["grid.provider"]), doubt_g95=found.g95 if found else 1.0)
        where = config.origin("facility.pue")
        pue = cloud.configured_pue(float(config["facility.pue"])) if config["facility.pue"] else None
    except ValueError as failure:
        raise ConfigError(f"{where}: {failure}") from failure
    if pue is None and found is not None:
        pue = cloud.pue(found.provider)
    factors = {"grid": prices.location_based._replace(kind="grid")}
    if prices.upstream is not None:
        factors["upstream"] = prices.upstream._replace(kind="upstream")
    if pue is not None:
        factors["pue"] = pue._replace(kind="pue")
    try:
        litres, dry = _water(config, prices.zone, found.provider if found else None)
    except ValueError as failure:
        raise ConfigError(f"{config.origin('facility.wue')}: {failure}") from failure
    factors |= litres
    why = (found.why,) if found else ()
    bare = "PUE is not known and not applied: grams are for the IT energy alone ([facility] pue sets it)"
    own = (*(() if pue is not None else (bare,)), *dry)
    return PriceList(factors, (*why, *prices.notes, *own), (*why, *own), found.g95 if found else 1.0)


def _water(config: Config, zone: str, provider: str | None) -> tuple[dict[str, Factor], tuple[str, ...]]:
    """Litres per kWh, by kind of factor, and what cannot be said of them.  Raises ValueError for a WUE that cannot be."""
    from wattledger.factors.water import ewif, site

    found: dict[str, Factor] = {}
    notes: tuple[str, ...] = ()
    try:
        found[ewif.KIND] = ewif.offsite(zone, config["water.hydro"])
    except ewif.NotKnown as wrong:
        notes = (str(wrong),)
    wue = float(config["facility.wue"])
    cooling = site.onsite(wue) if wue else site.onsite_cloud(provider) if provider else None
    if cooling is not None:
        found[site.KIND] = cooling
    return found, notes


def _known(zone: str | None, *, asked: bool, doubt_g95: float) -> annual.Prices:
    """The annual prices of a zone.  One that only live providers know (``DK-DK1``, where one is ``asked``) stands on its country's.

    Raises annual.UnknownZone.
    """
    try:
        return annual.lookup(zone, today(), doubt_g95=doubt_g95)
    except annual.UnknownZone:
        country = (zone or "").partition("-")[0]
        if not asked or not zone or country == zone:
            raise
        within = annual.lookup(country, today(), doubt_g95=doubt_g95 * COUNTRY_FOR_ZONE_G95)
        name = zone.strip().upper()
        note = f"grid {name}: no annual figure of its own; that of {within.zone} stands in while nothing live is known"
        return within._replace(
            zone=name,
            direct=_for_zone(within.direct, name),
            lifecycle=_for_zone(within.lifecycle, name),
            upstream=_for_zone(within.upstream, name),
            notes=(note, *within.notes),
        )


def _for_zone(factor: Factor | None, zone: str) -> Factor | None:
    return None if factor is None else factor._replace(zone=zone, quality="country-annual")


def today() -> date:
    """The day, UTC."""
    return datetime.fromtimestamp(clock.now().wall_ns / 1e9, UTC).date()


def gain_of(device: Device, method: str, duration_s: float) -> Factor:
    """The sensor's gain (core asks for it when a footprint is put together)."""
    return gains.gain(device.kind, device.model, method, duration_s, refresh_s=device.refresh_ns / 1e9)  # type: ignore[arg-type]


def mismatch_g95(duration_s: float) -> float:
    """An annual average's error for a window so short (carbon.md 8.4)."""
    return annual.time_mismatch_g95(duration_s)
