"""``wattledger grid``: which zones there are, what is known of one, and which factor is in force here."""

import json
import os
from collections.abc import Iterable
from datetime import date
from typing import Any

import click

from wattledger.cli import fail
from wattledger.core.footprint import factor_dict
from wattledger.core.model import Factor
from wattledger.factors.grid import annual
from wattledger.runtime.config import Config, ConfigError, load, nearest
from wattledger.runtime.prices import mismatch_g95, price_list, today

HOUR_S = 3600.0


class Nearest(click.Group):
    """A group that answers no word with its help, and a wrong one with the nearest right one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            click.echo(ctx.get_help())
            raise SystemExit(2)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            raise click.UsageError(f"no command {args[0]!r}{nearest(args[0], self.commands)}", ctx)
        return super().resolve_command(ctx, args)


@click.group("grid", cls=Nearest)
def command() -> None:
    """Carbon intensities of electricity grids: annual averages from the package, no network."""


@command.command("zones", short_help="List the zones.")
@click.argument("text", required=False)
@click.option("--json", "as_json", is_flag=True, help="A JSON array of zones with their factors.")
def zones(text: str | None, as_json: bool) -> None:
    """List the zones; with TEXT, those whose code or name contains it."""
    found = [zone for zone in annual.zones(today()) if text is None or _matches(zone, text)]
    if text is not None and not found:
        found = [_lookup(text)]  # a country's other name or code (deu), or one line with the nearest right ones
    if as_json:
        click.echo(json.dumps([_zone_dict(zone) for zone in found], ensure_ascii=False))
        return
    click.echo(f"{'zone':<8} {'gCO2e/kWh':>9}  {'boundary':<9} {'year':<4}  name")
    for zone in found:
        factor = zone.location_based
        click.echo(f"{zone.zone:<8} {factor.value:>9g}  {factor.boundary:<9} {factor.valid_from[:4]:<4}  {zone.name}")
    click.echo(f"{len(found)} zone{'s' if len(found) != 1 else ''}; `wattledger grid show ZONE` for source and interval")


@command.command("show", short_help="Everything known of one zone.")
@click.argument("zone")
@click.option("--json", "as_json", is_flag=True, help="The zone with its factors as JSON.")
def show(zone: str, as_json: bool) -> None:
    """Everything known of ZONE, by code or by name (DE, deu, Germany): each factor, its source, how old, how sure."""
    found = _lookup(zone)
    if as_json:
        click.echo(json.dumps(_zone_dict(found), ensure_ascii=False))
        return
    click.echo(f"{found.zone}  {found.name}")
    for factor in (found.direct, found.lifecycle, found.upstream):
        if factor is not None:
            _print(_factor_lines(factor, today()))
    _print(f"note      {note}" for note in found.notes)


@command.command("now", short_help="The factors in force here.")
@click.option("--zone", metavar="ZONE", help="The zone to ask for; default: the one in force here.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
@click.option("--json", "as_json", is_flag=True, help="The factors in force as JSON.")
def now(zone: str | None, config_file: str | None, as_json: bool) -> None:
    """The factors in force for a run started now: where from, how old, how sure. Today these are annual averages."""
    try:
        config = load(os.environ, file=config_file)
        prices = price_list(config, os.environ, zone)
    except ConfigError as wrong:
        fail(f"grid now: {wrong}")
    factors = list(prices.factors.values())
    if as_json:
        rows = [_dated(factor, today()) for factor in factors]
        click.echo(json.dumps({"factors": rows, "notes": list(prices.notes)}, ensure_ascii=False))
        return
    click.echo(prices.factors["grid"].zone + _why(config, zone))
    for factor in factors:
        _print(_factor_lines(factor, today()))
    hour_g95 = mismatch_g95(HOUR_S)
    _print([f"for one hour, an annual average may be wrong by a further factor of {hour_g95:g} either way"])
    _print(f"note      {note}" for note in prices.notes)


def _why(config: Config, zone: str | None) -> str:
    if zone:
        return ""
    configured = dict(config.rows())["grid.zone"]
    return f"  (from {configured.origin})" if configured.value else "  (no zone is configured: the first note says why this one)"


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


def _factor_lines(factor: Factor, day: date) -> list[str]:
    name = factor.kind if factor.kind == "pue" else factor.boundary
    unit = "" if factor.unit == "1" else f" {factor.unit}"
    low, high = _interval(factor)
    interval = f"95 % between {_digits(low)} and {_digits(high)}"
    lines = [f"{name:<9} {factor.value:g}{unit}, {interval}", f"          {factor.origin} {factor.version}".rstrip()]
    said = [factor.quality, *([_age(factor, day)] if factor.valid_to else []), *([factor.licence] if factor.licence else [])]
    return [*lines, f"          {', '.join(said)}"]


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _interval(factor: Factor) -> tuple[float, float]:
    """The 95 % interval; a PUE is never below 1."""
    low = factor.value / factor.g95
    return max(1.0, low) if factor.kind == "pue" else low, factor.value * (factor.g95_high or factor.g95)


def _age(factor: Factor, day: date) -> str:
    year = factor.valid_from[:4] if factor.valid_from[:4] == factor.valid_to[:4] else f"{factor.valid_from} to {factor.valid_to}"
    months = _age_days(factor, day) * 12 // 365
    return f"of {year}, which ended {months} months ago" if months > 0 else f"of {year}"


def _age_days(factor: Factor, day: date) -> int:
    return (day - date.fromisoformat(factor.valid_to)).days


def _dated(factor: Factor, day: date) -> dict[str, Any]:
    low, high = _interval(factor)
    row = {**factor_dict(factor), "low": low, "high": high}
    return {**row, "age_days": max(0, _age_days(factor, day))} if factor.valid_to else row


def _zone_dict(zone: annual.Prices) -> dict[str, Any]:
    factors = [factor for factor in (zone.direct, zone.lifecycle, zone.upstream) if factor is not None]
    rows = [_dated(factor, today()) for factor in factors]
    return {"zone": zone.zone, "name": zone.name, "factors": rows, "notes": list(zone.notes)}


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(f"  {line}")
