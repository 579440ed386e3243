"""``wattledger grid``: which zones there are, what is known of one, which factor is in force here, and when it is cleanest."""

import json
from typing import Any

import click

from wattledger.cli import fail, grid_best, grid_history, grid_now, grid_water
from wattledger.cli import grid_lines as lines
from wattledger.cli.groups import Nearest
from wattledger.factors.grid import annual
from wattledger.runtime.prices import today


@click.group("grid", cls=Nearest)
def command() -> None:
    """Carbon intensities of electricity grids: annual averages from the package, live ones from whom [grid] provider names."""


for subcommand in (grid_now.command, grid_history.command, grid_best.command):
    command.add_command(subcommand)


@command.command("zones", short_help="List the zones.")
@click.argument("text", required=False)
@click.option("--water", is_flag=True, help="Water beside carbon, both ways of counting hydro power, with ranks.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array of zones with their factors.")
def zones(text: str | None, water: bool, as_json: bool) -> None:
    """List the zones; with TEXT, those whose code or name contains it."""
    found = [zone for zone in annual.zones(today()) if text is None or _matches(zone, text)]
    if text is not None and not found:
        found = [_lookup(text)]  # a country's other name or code (deu), or one line with the nearest right ones
    if water:
        grid_water.table(found, as_json=as_json)
        return
    if as_json:
        click.echo(json.dumps([_zone_dict(zone) for zone in found], ensure_ascii=False))
        return
    click.echo(f"{'zone':<8} {'gCO2e/kWh':>9}  {'boundary':<9} {'year':<4}  name")
    for zone in found:
        factor = zone.location_based
        click.echo(f"{zone.zone:<8} {factor.value:>9g}  {factor.boundary:<9} {factor.valid_from[:4]:<4}  {zone.name}")
    click.echo(f"{len(found)} zone{'s' if len(found) != 1 else ''}; `wattledger grid show ZONE` for source and interval")


@command.command("show", short_help="Everything known of one zone.")
@click.argument("zone", required=False)
@click.option("--water", is_flag=True, help="The water of its power stations too, both ways of counting hydro power.")
@click.option("--json", "as_json", is_flag=True, help="The zone with its factors as JSON.")
def show(zone: str | None, water: bool, as_json: bool) -> None:
    """Everything known of ZONE, by code or by name (DE, deu, Germany): each factor, its source, how old, how sure.

    Without a ZONE, --water sets all zones' water beside their carbon, as `grid zones --water` does."""
    if zone is None and water:
        grid_water.table(list(annual.zones(today())), as_json=as_json)
        return
    if zone is None:
        fail("grid show: which zone? `wattledger grid zones` lists all; --water alone sets water beside carbon for each")
    found = _lookup(zone)
    if as_json:
        said = _zone_dict(found) | (grid_water.as_dict(found) if water else {})
        click.echo(json.dumps(said, ensure_ascii=False))
        return
    click.echo(f"{found.zone}  {found.name}")
    for factor in (found.direct, found.lifecycle, found.upstream):
        if factor is not None:
            lines.show(lines.factor_lines(factor, today()))
    lines.show(f"note      {note}" for note in found.notes)
    if water:
        grid_water.show(found)


def _matches(zone: annual.Prices, text: str) -> bool:
    words = f"{zone.zone} {zone.name}".casefold()
    return text.casefold() in words


def _lookup(zone: str) -> annual.Prices:
    if not zone.strip():
        fail("grid: an empty name is no zone: `wattledger grid zones` lists all")
    try:
        return annual.lookup(zone, today())
    except annual.UnknownZone as wrong:
        fail(f"grid: {wrong}")
        raise


def _zone_dict(zone: annual.Prices) -> dict[str, Any]:
    factors = [factor for factor in (zone.direct, zone.lifecycle, zone.upstream) if factor is not None]
    rows = [lines.dated(factor, today()) for factor in factors]
    return {"zone": zone.zone, "name": zone.name, "factors": rows, "notes": list(zone.notes)}
