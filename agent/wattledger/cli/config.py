"""``wattledger config``: the settings in force, with where each came from."""

import json
import os
from collections.abc import Iterator
from typing import Any

import click

from wattledger.cli import fail
from wattledger.cli.groups import Nearest
from wattledger.runtime.config import Config, ConfigError, all_keys, load
from wattledger.runtime.prices import price_list

ORDER = """\
Searched, the first one found is used alone: --config FILE, $WATTLEDGER_CONFIG, ./wattledger.toml, ~/.config/wattledger/config.toml,
/etc/wattledger/config.toml. WATTLEDGER_<SECTION>_<KEY> in the environment wins over the file, a flag over both."""


@click.group("config", cls=Nearest)
def command() -> None:
    """The configuration in force, with where each value came from."""


@command.command("show", epilog=ORDER, short_help="Every setting, its value, and its origin.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object: setting to value and origin.")
def show(config_file: str | None, as_json: bool) -> None:
    """Print every setting, its value, and where the value came from."""
    config = _load(config_file, "show")
    if as_json:
        rows = {name: {"value": value.value, "origin": value.origin} for name, value in config.rows()}
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    rows_of = [(name, toml_value(value.value), value.origin) for name, value in config.rows()]
    wide = [max(len(row[i]) for row in rows_of) for i in (0, 1)]
    for name, text, origin in rows_of:
        click.echo(f"{name:<{wide[0]}}  {text:<{wide[1]}}  {origin}")


@command.command("check", epilog=ORDER, short_help="Say whether the configuration is right.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object: ok, error, warnings, settings.")
def check(config_file: str | None, as_json: bool) -> None:
    """Check the settings, the grid zone and the PUE.

    Exit status 0: all right; 2: one line says what is wrong, where, and the nearest right name.
    """
    try:
        config = load(os.environ, file=config_file)
        price_list(config, os.environ)
    except ConfigError as wrong:
        if as_json:
            click.echo(json.dumps({"ok": False, "error": str(wrong)}, ensure_ascii=False))
            raise SystemExit(2) from None
        fail(f"config check: {wrong}")
    given = {name: value.origin for name, value in config.rows() if value.origin != "default"}
    if as_json:
        click.echo(json.dumps({"ok": True, "warnings": list(config.warnings), "settings": given}, ensure_ascii=False))
        return
    _warn(config)
    where = ", ".join(dict.fromkeys(given.values()))
    click.echo(f"right: {len(given)} setting{'s' if len(given) != 1 else ''} from {where}" if given else "right: all defaults")


@command.command("default", short_help="Print a wattledger.toml to start from.")
def default() -> None:
    """Print a wattledger.toml with every setting at its default, commented out, and what it does."""
    click.echo("\n".join(default_lines()))


def default_lines() -> Iterator[str]:
    """TOML that changes nothing as it stands; a line takes effect when its ``#`` is taken away."""
    yield "# wattledger.toml: every setting at its default. Take the # away from a line to set it."
    section = ""
    for name, key in all_keys():
        before, _, last = name.rpartition(".")
        if before != section:
            section = before
            yield from ("", f"[{section}]")
        choices = f" ({key.kind.replace('|', ' or ')})" if "|" in key.kind else ""
        yield f"## {key.help}{choices}"
        yield f"# {last} = {toml_value(key.default)}"


def toml_value(value: Any) -> str:
    """A setting as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    # JSON's strings are TOML's basic strings: the same quotes and escapes.
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else f"{value:g}" if value % 1 else f"{value:.1f}"


def _load(config_file: str | None, word: str) -> Config:
    try:
        config = load(os.environ, file=config_file)
    except ConfigError as wrong:
        fail(f"config {word}: {wrong}")
        raise
    _warn(config)
    return config


def _warn(config: Config) -> None:
    for warning in config.warnings:
        click.echo(f"wattledger: {warning}", err=True)
