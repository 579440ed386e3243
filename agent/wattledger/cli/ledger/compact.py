"""``wattledger ledger compact``: roll old days up, and put a fleet's days into one file each."""

import json
from pathlib import Path
from typing import Any, get_args

import click

from wattledger.accounting.price import Price
from wattledger.accounting.prices import operational
from wattledger.cli import fail
from wattledger.cli.ledger.anchor import books, now_s, settings
from wattledger.ledger import compact, lake, query
from wattledger.ledger.books import Books, Span
from wattledger.ledger.columns import DAY_S
from wattledger.ledger.compaction import Compaction, root_of
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.rollup import HOUR_S, Keep, Level, due, midnight_s
from wattledger.runtime.config import Config

PRICED_DAYS = 3  # windows that were recorded later than this after their time stay slots


@click.command("compact")
@click.option("--ledger", "ledger", metavar="PATH-OR-URL", help="The books or a lake; default: this user's books.")
@click.option("--day", "day", metavar="YYYY-MM-DD", help="Only this recorded day (UTC); default: all that are old enough.")
@click.option("--level", "level", type=click.Choice(get_args(Level)), help="How coarse; default: as coarse as the settings allow.")
@click.option("--drop", "drop", is_flag=True, help="Then delete the segments' files (not the manifests): their minutes are gone.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array: a compacted day each.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
def command(**given: Any) -> None:
    """Put each past day's segments into one file, rolled up to the grid's slots, and later to days, as [ledger] keep_… say.

    No joule changes: the new file is read back and compared key by key before it stands. Done twice, it does nothing.
    """
    config = settings(given["config_file"], "compact")
    made: list[Compaction] = []
    try:
        place = _place(given["ledger"], config)
        if given["drop"] and isinstance(place, Path) and config["ledger.lake"]:
            lake.share(place, str(config["ledger.lake"]), lambda _: None)  # once dropped they could not be shared any more
        for day in _days(place, given["day"]):
            done = _compact(place, day, given, config)
            made += [] if done is None else [done]
    except LedgerError as wrong:
        fail(f"ledger compact: {wrong}")
    if given["as_json"]:
        rows = [{**one._asdict(), "sources": len(one.sources), "file": one.file} for one in made]
        click.echo(json.dumps(rows))
    elif not made:
        click.echo("nothing to compact: no sealed day is old enough ([ledger] keep_minutes_days) or may be coarser")


def _place(given: str | None, config: Config) -> str | Path:
    if given is not None and lake.is_url(given):
        return given
    folder = books(None if given is None else str(lake.path_of(given)), config)
    if not folder.is_dir():
        raise LedgerError(f"{folder}: no books are kept here")
    return folder


def _days(place: str | Path, day: str | None) -> list[str]:
    found = compact.days(place)
    if day is None:
        return found
    try:
        midnight_s(day)
    except ValueError:
        raise LedgerError(f"--day {day}: expected a day such as 2026-03-31") from None
    if day not in found:
        raise LedgerError(f"{place}: no segment of {day} is here: seal the books first (`wattledger ledger seal`)")
    return [day]


def _compact(place: str | Path, day: str, given: dict[str, Any], config: Config) -> Compaction | None:
    """The day compacted as far as was asked for; ``None`` where there is nothing to gain."""
    at_s = now_s()
    keep = Keep(int(config["ledger.keep_minutes_days"]), int(config["ledger.keep_slots_days"]), float(config["grid.settle_h"]))
    level = given["level"] or due(day, at_s, keep)
    if level is None or (given["level"] is None and level == "minutes" and _segments(place, day) < 2):
        return None
    prices = _prices(place, day, at_s, config) if level == "days" else ()
    plan = compact.Plan(level, tuple(prices), bool(given["drop"]))
    say = (lambda _: None) if given["as_json"] else click.echo
    return compact.compact(place, day, plan, now_s=at_s, keep=keep, say=say)


def _segments(place: str | Path, day: str) -> int:
    return sum(name.endswith(".json") for name in lake.names(root_of(place), f"day={day}"))


def _prices(place: str | Path, day: str, at_s: int, config: Config) -> list[Price]:
    """What the day's windows cost, operationally: from the facts in these books, as reports take them."""
    from_s, to_s = midnight_s(day) - PRICED_DAYS * DAY_S, midnight_s(day) + DAY_S
    providers = tuple(name.strip() for name in str(config["grid.provider"]).split(",") if name.strip())
    settle_s = int(float(config["grid.settle_h"]) * HOUR_S)
    with Books([place], Span(from_s, to_s)) as found:
        zones = query.zones(found.connection, query.Scope("day", None, from_s, to_s))
        known = found.other
    prices: list[Price] = []
    for zone in zones:
        prices += operational(zone, from_s, to_s, known, as_of_s=at_s, settle_s=settle_s, providers=providers)
    return prices
