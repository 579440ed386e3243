"""``wattledger grid now``: the factors in force, asked for live where a provider is configured."""

import json
import os
from typing import NamedTuple

import click

from wattledger.cli import fail
from wattledger.cli.grid_known import Asking, asking, in_books, providers
from wattledger.cli.grid_lines import dated, factor_lines, show
from wattledger.core.facts import IntensityFact
from wattledger.core.model import Factor
from wattledger.runtime.config import Config, ConfigError
from wattledger.runtime.grid.feed import Feed, Outlets, Plan
from wattledger.runtime.grid.standing import HOUR_S, Standing, table_of
from wattledger.runtime.prices import PriceList, mismatch_g95, price_list, today

ANNUAL = ("zone-annual", "country-annual", "world")


class Now(NamedTuple):
    """What is in force, and what must be said of it."""

    zone: str
    factors: list[Factor]
    notes: list[str]
    live: bool


@click.command("now", short_help="The factors in force here.")
@click.option("--zone", metavar="ZONE", help="The zone to ask for; default: the one in force here.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
@click.option("--json", "as_json", is_flag=True, help="The factors in force as JSON.")
def command(zone: str | None, config_file: str | None, as_json: bool) -> None:
    """The factors in force for a run started now: where from, how old, how sure.

    Live where [grid] provider names one that answers or the books hold a value of this hour; else the last known one of the last
    six hours; else the annual average from the package.
    """
    asked = asking("grid now", zone or None, config_file)
    found = _found(asked, zone)
    if as_json:
        rows = [dated(factor, today(), asked.now_s) for factor in found.factors]
        click.echo(json.dumps({"factors": rows, "notes": found.notes}, ensure_ascii=False))
        return
    click.echo(found.zone + _why(asked.config, zone))
    for factor in found.factors:
        show(factor_lines(factor, today(), asked.now_s))
    if not found.live:
        show([f"for one hour, an annual average may be wrong by a further factor of {mismatch_g95(HOUR_S):g} either way"])
    show(f"note      {note}" for note in found.notes)


def _found(asked: Asking, zone: str | None) -> Now:
    notes: list[str] = []
    standing = _live(asked, notes)
    prices = _prices(asked, zone, standing)
    if standing is None:
        return Now(prices.factors["grid"].zone, list(prices.factors.values()), [*notes, *prices.notes], False)
    others = [factor for kind, factor in prices.factors.items() if kind not in ("grid", "upstream")]
    if standing.step in ANNUAL:
        return Now(standing.factors[0].zone, [*standing.factors, *others], [*notes, *prices.notes], False)
    unlike = [note for note in prices.notes if not note.startswith("grid ")]  # those are of the annual figure
    return Now(standing.factors[0].zone, [*standing.factors, *others], [*notes, *standing.notes, *unlike], True)


def _live(asked: Asking, notes: list[str]) -> Standing | None:
    """What a feed says; ``None`` where no provider can be asked here."""
    found = providers(asked, notes)
    if not found:
        return None
    facts = [one.fact for one in in_books(asked, notes) if isinstance(one.fact, IntensityFact)]
    said: list[str] = []
    outlets = Outlets(lambda _: None, lambda _, __: None, said.append)
    plan = Plan(asked.zone, found, settle_s=24 * HOUR_S, doubt_g95=asked.here.doubt_g95)
    feed = Feed(plan, outlets, facts)
    standing = feed.refresh_once()
    notes += said
    return standing


def _prices(asked: Asking, zone: str | None, standing: Standing | None) -> PriceList:
    try:
        return price_list(asked.config, os.environ, zone)
    except ConfigError as wrong:
        if standing is None or asked.config["facility.pue"]:
            fail(f"grid now: {wrong}")
    # A provider's zone that the annual table does not hold: its country's figures stand behind it.
    table = table_of(asked.zone, today())
    return PriceList({"grid": table.grid}, table.notes)


def _why(config: Config, zone: str | None) -> str:
    if zone:
        return ""
    configured = dict(config.rows())["grid.zone"]
    return f"  (from {configured.origin})" if configured.value else "  (no zone is configured: the first note says why this one)"
