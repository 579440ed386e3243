"""``wattledger asset list``: the machines and parts that the books know, each below what it is in."""

import json
import re
from collections.abc import Iterator, Mapping

import click

from wattledger.accounting.assets.life import Kind, Life
from wattledger.cli import fail
from wattledger.cli.asset import kept
from wattledger.cli.asset.words import UG_PER_KG, iso, kinds, life_used, row
from wattledger.cli.ledger.anchor import now_s
from wattledger.ledger.engine import LedgerError
from wattledger.runtime.config import nearest

SCHEMA = "wattledger.assets/1"
COLUMNS = ("asset", "kind", "status", "place", "made kg", "carried kg", "life")
NUMBERS_FROM = COLUMNS.index("made kg")


@click.command("list")
@click.option("--host", "host", metavar="HOST", help="Only what is on this host.")
@click.option("--kind", "kind", metavar="KIND", help="Only servers, or gpu, cpu, dram, ….")
@click.option("--json", "as_json", is_flag=True, help=f"One JSON object ({SCHEMA}).")
@kept.LEDGERS
@kept.CONFIG
def command(host: str | None, kind: str | None, as_json: bool, ledgers: tuple[str, ...], config_file: str | None) -> None:
    """The machines and parts that the books know: where they are, what it emitted to make them, how much of it is still carried.

    \b
    wattledger asset list --kind gpu --host gpu-7
    """
    config = kept.settings(config_file, "list")
    if kind is not None and kind not in kinds():
        fail(f"asset list: no kind of asset is called {kind!r}{nearest(kind, kinds())}: {', '.join(kinds())}")
    now = now_s()
    try:
        lives = kept.fleet(config, ledgers, "list")[1].lives
    except (LedgerError, ValueError) as wrong:
        fail(f"asset list: {wrong}")
    chosen = {name: life for name, life in lives.items() if _fits(life, host, kind)}
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "at": iso(now), "assets": [row(life, now) for life in chosen.values()]}))
        return
    if not lives:
        click.echo("no assets are in the books yet: `wattledger asset discover` proposes this machine's passport")
        return
    if not chosen:
        fail(f"asset list: none of {len(lives)} assets is {_asked(host, kind)}", 1)
    for line in table(chosen, now):
        click.echo(line)


def table(lives: Mapping[str, Life], now_s: int) -> Iterator[str]:
    """A line for each, parts below what they are in; the last line sums."""
    rows = [_cells(lives[name], depth, now_s) for name, depth in ordered(lives)]
    # Of the grams that are shown, so that the column adds up as it is printed.
    made_g, carried_g = (sum(round(float(row[n]) * 1000) for row in rows) for n in (NUMBERS_FROM, NUMBERS_FROM + 1))
    sums = f"{made_g / 1000:.3f}", f"{carried_g / 1000:.3f}"
    total = (f"{len(lives)} asset{'s' if len(lives) != 1 else ''}", "", "", "", *sums, "")
    widths = [max(len(line[n]) for line in (COLUMNS, *rows, total)) for n in range(len(COLUMNS))]
    for line in (COLUMNS, *rows, total):
        cells = [cell.rjust(widths[n]) if n >= NUMBERS_FROM else cell.ljust(widths[n]) for n, cell in enumerate(line)]
        yield "  ".join(cells).rstrip()


def ordered(lives: Mapping[str, Life]) -> Iterator[tuple[str, int]]:
    """Names with their depth: containers by name, and below each its parts."""
    inside: dict[str, list[str]] = {}
    for name, life in lives.items():
        where = life.place.inside
        inside.setdefault(where if where in lives else "", []).append(name)

    def below(name: str, depth: int) -> Iterator[tuple[str, int]]:
        for part in sorted(inside.get(name, ()), key=natural):
            yield part, depth
            yield from below(part, depth + 1)

    yield from below("", 0)


def natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    """gpu-2 before gpu-10."""
    words = [word for word in re.split(r"([0-9]{1,9})", name) if word]
    return tuple((not word.isdecimal(), int(word) if word.isdecimal() else 0, word) for word in words)


def _cells(life: Life, depth: int, now_s: int) -> tuple[str, ...]:
    name = "  " * depth + life.passport.asset
    where = life.place.host or life.place.site
    made_kg, carried_kg = (f"{ug / UG_PER_KG:.3f}" for ug in (life.balance(now_s).made_ug, life.carried_ug(now_s)))
    return name, life.passport.kind, life.status, where, made_kg, carried_kg, life_used(life)


def _fits(life: Life, host: str | None, kind: Kind | str | None) -> bool:
    return (host is None or life.place.host == host) and (kind is None or life.passport.kind == kind)


def _asked(host: str | None, kind: str | None) -> str:
    return " ".join([*([f"a {kind}"] if kind else []), *([f"on host {host!r}"] if host else [])])
