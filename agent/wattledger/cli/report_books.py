"""Which books a report reads, and by which rules: what the commands ``report`` and ``explain`` have in common."""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from wattledger.accounting.embodied.methods import METHODS, method_of, prices_of
from wattledger.accounting.report_ask import YEAR_H, Rules
from wattledger.accounting.tariffs import Tariff, tariff
from wattledger.factors.grid import annual
from wattledger.factors.hardware.figure import Embodied
from wattledger.ledger import lake
from wattledger.ledger.engine import LedgerError
from wattledger.runtime.assets.footprints import first_line, own_figures
from wattledger.runtime.books.place import folders_to_read
from wattledger.runtime.config import Config, ConfigError, load
from wattledger.runtime.prices import today


class Asked(NamedTuple):
    """The books to read and the rules to price by."""

    places: list[str]
    rules: Rules


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which time, and which books."""
    for option in (
        click.option("--config", "config_file", metavar="FILE", help="Configuration file to use."),
        click.option("--zone", metavar="ZONE", help="Grid zone of the energy whose zone the books do not say."),
        click.option(
            "--ledger", "ledgers", metavar="PATH-OR-URL", multiple=True, help="Books or a lake, repeatable; default: all here."
        ),
        click.option("--as-of", "as_of", metavar="INSTANT", help="As the books stood then; default: all that they hold."),
        click.option("--to", "to", metavar="DATE", help="To this UTC date or ISO time, without it."),
        click.option("--from", "from_", metavar="DATE", help="From this UTC date or ISO time on."),
    ):
        command = option(command)
    return command


METHOD = click.option("--method", help=f"How machines' embodied carbon is allocated: {', '.join(METHODS)}.")
PRICES = click.option("--prices", metavar="CSV", help="What jobs pay for an hour (rows of JOB,PRICE): to allocate by price.")


def allocated(rules: Rules, method: str | None, prices: str | None) -> Rules:
    """The rules with another way to allocate shared machines.  Raises ConfigError or ValueError with one line."""
    rules = rules if method is None else rules._replace(allocation=method_of(method))
    if prices is None:
        return rules
    try:
        rows = Path(prices).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeError) as wrong:
        raise ConfigError(f"--prices {prices}: {getattr(wrong, 'strerror', None) or 'is no text'}") from None
    return rules._replace(prices=tuple(sorted(prices_of(rows, prices).items())))


def asked(config_file: str | None, ledgers: Sequence[str], zone: str | None) -> Asked:
    """Raises ConfigError or LedgerError with one line."""
    config = load(os.environ, file=config_file)
    return Asked(_places(config, ledgers), _rules(config, zone))


def instant(text: str | None, option: str) -> int | None:
    """A UTC date or an ISO time (UTC where it says no zone), in seconds.  Raises ConfigError."""
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ConfigError(f"{option} {text!r}: expected a date or an ISO time, e.g. 2026-11-22 or 2026-11-22T10:00:00Z") from None
    return int(seconds // 1)


def _places(config: Config, ledgers: Sequence[str]) -> list[str]:
    lakes = [str(config["ledger.lake"])] if config["ledger.lake"] else []
    given = list(ledgers) or [str(folder) for folder in folders_to_read(config, os.environ) if folder.is_dir()] + lakes
    if not given:
        raise LedgerError("no books are kept here yet: measure something first (wattledger run), or name them with --ledger")
    for place in given:
        if not lake.is_url(place) and not lake.path_of(place).is_dir():
            raise LedgerError(f"{place}: there are no books: --ledger names a folder of books, a lake's folder or its URL")
    return given


def _rules(config: Config, zone: str | None) -> Rules:
    named = zone if zone is not None else str(config["grid.zone"])
    try:
        found = _zone(named.strip())
    except annual.UnknownZone as wrong:
        raise ConfigError(f"{'--zone' if zone is not None else config.origin('grid.zone')}: {wrong}") from None
    providers = tuple(name for word in str(config["grid.provider"]).split(",") if (name := word.strip()))
    rules = Rules(found, providers, int(config["grid.settle_h"] * 3600), _tariff(config))
    return rules._replace(
        wue=float(config["facility.wue"]), hydro="exclude" if config["water.hydro"] == "exclude" else "allocate",
        embodied=bool(config["embodied.enabled"]), host_kg=float(config["embodied.host_kg"]),
        host_life_h=_life_h(config, "embodied.host_life_y"), gpu_life_h=_life_h(config, "embodied.gpu_life_y"),
        footprints=_footprints(config),
    )  # fmt: skip


def _footprints(config: Config) -> tuple[Embodied, ...]:
    if not config["embodied.enabled"]:
        return ()
    try:
        return own_figures(str(config["embodied.footprints"]))
    except ValueError as wrong:
        raise ConfigError(f"{config.origin('embodied.footprints')}: [embodied] footprints: {first_line(wrong)}") from None


def _life_h(config: Config, name: str) -> float:
    years = float(config[name])
    if years <= 0:
        raise ConfigError(f"{config.origin(name)}: a service life of {years:g} years: it must be more than nothing")
    return years * YEAR_H


def _zone(named: str) -> str:
    """The zone by its own name.  One that only providers know (DK-DK1) stands where its country is known.  Raises UnknownZone."""
    if not named:
        return ""
    try:
        return annual.lookup(named, today()).zone
    except annual.UnknownZone:
        country, dash, _ = named.partition("-")
        if not dash or annual.lookup(country, today()).zone != country:
            raise
        return named


def _tariff(config: Config) -> Tariff | None:
    file, zone = str(config["tariff.file"]), str(config["tariff.timezone"])
    try:
        rows = Path(file).expanduser().read_text(encoding="utf-8") if file else ""
        money = {"timezone": zone, "currency": str(config["tariff.currency"]), "rows": rows}
        return tariff(config["tariff.per_kwh"], str(config["tariff.hours"]), **money)
    except (OSError, ValueError) as wrong:
        raise ConfigError(f"[tariff]: {wrong}") from None
