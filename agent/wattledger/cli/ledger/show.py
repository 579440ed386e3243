"""``wattledger ledger show``: what the books hold, or one fact of them."""

import json
from datetime import UTC, datetime
from typing import Any

import click

from wattledger.cli import fail
from wattledger.cli.explain_tokens import allocation_headline
from wattledger.cli.ledger.anchor import settings
from wattledger.cli.ledger.verify import LEDGERS, folders
from wattledger.ledger.contents import Contents, contents, find
from wattledger.ledger.engine import LedgerError


@click.command("show")
@click.argument("fact", required=False)
@LEDGERS
@click.option("--json", "as_json", is_flag=True, help="A JSON array, an object for each folder; with FACT, the fact.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
def command(fact: str | None, ledgers: tuple[str, ...], as_json: bool, config_file: str | None) -> None:
    """What the books hold: facts by kind, days, writers, bytes; with FACT (WRITER:SEQ), that fact and what it stands for."""
    config = settings(config_file, "show")
    try:
        places = folders(ledgers, config)
        if fact is not None:
            found = next((row for place in places if (row := find(place, fact)) is not None), None)
            if found is None:
                raise LedgerError(f"{fact}: no such fact in {', '.join(map(str, places))}")
            _print_fact(fact, found, as_json)
            return
        held = [contents(place) for place in places]
    except LedgerError as wrong:
        fail(f"ledger show: {wrong}")
    if as_json:
        click.echo(json.dumps([one._asdict() for one in held], ensure_ascii=False))
        return
    for one in held:
        _print(one)


def _print_fact(fact: str, row: dict[str, Any], as_json: bool) -> None:
    body = json.loads(row["body"])
    if as_json:
        said = {name: value for name, value in row.items() if value is not None and name != "body"}
        click.echo(json.dumps({"id": fact, **said, "body": body}, ensure_ascii=False))
        return
    click.echo(f"{fact}{_headline(row)}")
    for name, value in row.items():
        if value not in (None, "") and name not in ("body", "writer", "seq"):
            more = f"  ({_time(value)})" if name.endswith("_s") and name != "length_s" else ""
            click.echo(f"  {name:<14} {value}{more}")
    click.echo(f"  {'body':<14} {row['body']}")


def _headline(row: dict[str, Any]) -> str:
    if row["fact"] != "allocation":
        return ""
    window = f"{_time(row['start_s'])} + {row['length_s']} s"
    return f": {allocation_headline(row, window)}"


def _print(one: Contents) -> None:
    click.echo(one.folder)
    lines = {
        "facts": ", ".join(f"{count} {kind}" for kind, count in one.kinds.items()) or "none yet",
        "sealed": f"{one.sealed_facts} facts of {_days(one.sealed_days)} in {one.sealed_bytes} bytes{_each(one)}",
        "open": f"{one.open_facts} facts of {_days(one.open_days)} in {one.open_bytes} bytes, {one.journals} open journals",
        "rolled up": _days(one.rolled_up_days) if one.rolled_up_days else "",
        "recorded": f"{_time(one.first_s)} to {_time(one.last_s)}" if one.first_s is not None and one.last_s is not None else "",
        "writers": ", ".join(one.writers),
    }
    for name, text in lines.items():
        if text:
            click.echo(f"  {name:<10} {text}")


def _each(one: Contents) -> str:
    return "" if one.bytes_per_fact is None else f" ({one.bytes_per_fact:.0f} a fact)"


def _days(count: int) -> str:
    return f"{count} day{'' if count == 1 else 's'}"


def _time(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
