"""What all choices of a comparison share, by flag, else as measured, else as configured: work, joules, PUE, the grid's grams."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from wattledger.accounting.assets.efficiency import Unit
from wattledger.accounting.assets.fold import Fleet
from wattledger.accounting.compare import ask
from wattledger.accounting.compare.assumption import Assumption
from wattledger.accounting.compare.boundary import CALLED, HOLDS, Boundary, Grid
from wattledger.accounting.compare.machine import Machine
from wattledger.accounting.compare.option import GRID, WORK
from wattledger.core.model import Factor
from wattledger.core.uncertainty import Quantity
from wattledger.factors.grid import annual
from wattledger.factors.grid.cloud import CONFIGURED_PUE_G95
from wattledger.ledger.books import Books
from wattledger.runtime.config import Config, ConfigError
from wattledger.runtime.prices import COUNTRY_FOR_ZONE_G95, PriceList, price_list, today

JOULES_G95, WORK_G95, GRID_G95, UPKEEP_G95 = 1.15, 1.0, 1.10, 1.5  # of numbers given without an interval: carbon.md 8.3


class Here(NamedTuple):
    """What is known here: the books, if there are any, and what was asked."""

    config: Config
    books: Books | None
    fleet: Fleet | None
    given: Mapping[str, Any]

    @property
    def unit(self) -> Unit:
        """What work is counted in."""
        found: Unit = self.given["unit"]
        return found


def shared(here: Here, of: Machine) -> tuple[ask.Shared, Grid, list[str]]:
    """What all options stand on: by flag, else measured, else as configured; and what must be said of it."""
    given, unit = here.given, here.unit
    joules = _said(given, "joules", "--joules-per-unit", of, "joules_per_unit")
    work = _said(given, "work", "--work-per-day", of, "units_per_day")
    grid, notes, prices = _grid(here, of)
    decline = None if given["decline"] is None else ask.number(given["decline"].rstrip("% "), "--decline")
    upkeep = None
    if given["maintenance"] is not None:
        said = ask.number(given["maintenance"], "--maintenance")
        upkeep = ask.given(ask.MAINTENANCE, said, unit="kg CO2e a year", g95=UPKEEP_G95)
    found = ask.Shared(
        unit,
        ask.given(WORK, work[0], unit=f"{unit}s a day", g95=WORK_G95, source=work[1]),
        ask.given(ask.JOULES, joules[0], unit=f"J per {unit}", g95=JOULES_G95, source=joules[1]),
        _pue(given, prices),
        grid.taken,
        ask.kept(decline),
        upkeep,
    )
    return found, grid, notes


def _said(given: Mapping[str, Any], name: str, flag: str, of: Machine, measure: str) -> tuple[Quantity, str]:
    """A number by its flag, else as measured.  Raises WrongWords where there is neither."""
    if given[name] is not None:
        return ask.number(given[name], flag, positive=True), ask.FLAG
    found: Quantity | None = None if of.measured is None else getattr(of.measured, measure)
    if of.measured is None or found is None:
        why = "it has no meter of its own" if of.measured is None else of.measured.why["joules_per_unit"]
        raise ask.WrongWords(f"{of.told}: {why}: say {flag}")
    months = sorted({month.month for month in of.measured.months})[-3:]
    return found, f"measured, {months[0]} to {months[-1]}"


def _grid(here: Here, of: Machine) -> tuple[Grid, list[str], PriceList]:
    """The grid by one boundary, with the other one where the zone has both, and what must be said of it.  Raises WrongWords."""
    given, prices = here.given, _prices(here, of)
    if given["intensity"] is not None:
        if given["boundary"] is not None:
            raise ask.WrongWords("--intensity or --boundary, not both: a number of yours has the boundary that you took it from")
        flagged = ask.number(given["intensity"], "--intensity", positive=True)
        return Grid(ask.given(GRID, flagged, unit="gCO2e/kWh", g95=GRID_G95)), [], prices
    direct, lifecycle = _both(prices)
    wanted: Boundary = given["boundary"] or "lifecycle"
    taken, other = (lifecycle, direct) if wanted == "lifecycle" else (direct, lifecycle)
    notes = [note for note in prices.notes if note.startswith(("grid ", "NO GRID"))]
    if taken is None:
        taken, other, missing = other, None, wanted
        assert taken is not None  # a zone has one of the two
        wanted = "direct" if missing == "lifecycle" else "lifecycle"
        notes.append(f"grid {taken.zone}: no {CALLED[missing]} factor at hand; the {CALLED[wanted]} one stands in")
    if wanted == "lifecycle" and given["boundary"] is None:  # it stands in for nothing: it is what was asked for
        notes = [note for note in notes if "no direct factor at hand" not in note]
    return Grid(_assumed(taken, wanted), wanted, None if other is None else _assumed(other, wanted)), notes, prices


def _assumed(factor: Factor, boundary: Boundary) -> Assumption:
    named = CALLED.get(factor.boundary, boundary)
    words = factor.zone, f"{factor.origin} {factor.version}".strip(), HOLDS.get(factor.boundary, named), factor.quality
    high = factor.value * (factor.g95_high or factor.g95)
    return ask.intensity(Quantity(factor.value, factor.value / factor.g95, high), ", ".join(word for word in words if word))


def _both(prices: PriceList) -> tuple[Factor | None, Factor | None]:
    """The zone's direct and life-cycle factors.  One that is not in the table (``DK-DK1``) has its country's, as its price has."""
    said = prices.factors["grid"]
    try:
        found = annual.lookup(said.zone, today(), doubt_g95=prices.doubt_g95)
    except annual.UnknownZone:
        doubt_g95 = prices.doubt_g95 * COUNTRY_FOR_ZONE_G95
        found = annual.lookup(said.zone.partition("-")[0], today(), doubt_g95=doubt_g95)
    named = ((each and each._replace(zone=said.zone, quality=_quality(each, said))) for each in (found.direct, found.lifecycle))
    direct, lifecycle = named
    return direct, lifecycle


def _quality(factor: Factor, said: Factor) -> str:
    """A country's stands in for its zone's, whichever boundary."""
    return said.quality if said.quality == "country-annual" else factor.quality


def _prices(here: Here, of: Machine) -> PriceList:
    if here.given["zone"] is None and of.zone:
        try:
            return price_list(here.config, os.environ, of.zone)
        except ConfigError:  # a zone that only its provider knows: as if nothing was metered
            pass
    return price_list(here.config, os.environ, here.given["zone"])


def _pue(given: Mapping[str, Any], prices: PriceList) -> Assumption:
    if given["pue"] is not None:
        return ask.pue(ask.number(given["pue"], "--pue"), ask.FLAG, g95=CONFIGURED_PUE_G95)
    factor = prices.factors.get("pue")
    if factor is None:
        return ask.pue(None, "not known and not applied")
    return ask.pue(Quantity(factor.value, factor.value, factor.value), f"{factor.origin} {factor.version}".strip(), g95=factor.g95)
