"""``wattledger ledger export``: facts as CSV, JSON lines or Parquet."""

import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from wattledger.cli import fail
from wattledger.cli.ledger.anchor import settings
from wattledger.cli.ledger.verify import LEDGERS, folders
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.export import ALL_KINDS, FORMS, Exported, export
from wattledger.ledger.parquet import Where
from wattledger.runtime.config import nearest


@click.command("export")
@click.option("--format", "form", type=click.Choice(FORMS), help="Default: by FILE's ending, else csv.")
@click.option("-o", "--output", "file", metavar="FILE", help="The file to write, whole or not at all; default: standard output.")
@click.option("--from", "begin", metavar="TIME", help="Facts of this time (ISO, UTC) and later.")
@click.option("--to", "end", metavar="TIME", help="Facts before this time.")
@click.option("--kind", "kind", metavar="KINDS", help="Only these, e.g. energy,work.")
@LEDGERS
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
def command(form: str | None, file: str | None, ledgers: tuple[str, ...], config_file: str | None, **asked: str | None) -> None:
    """Write facts as they stand in the books, sealed or not, by writer and number; nothing is summed or priced.

    CSV and Parquet have a column for everything that facts are asked by; a line of JSON is {"id", "body"}, keys included.
    """
    config = settings(config_file, "export")
    try:
        where = Where(_kinds(asked["kind"]), _time("--from", asked["begin"]), _time("--to", asked["end"]))
        chosen = form or next((each for each in FORMS if file and file.endswith(f".{each}")), "csv")
        places = folders(ledgers, config)
        if file is not None:
            _missing(export(places, Path(file).expanduser().absolute(), where, chosen))
            return
        with tempfile.TemporaryDirectory() as made:
            to = Path(made, f"export.{chosen}")
            _missing(export(places, to, where, chosen))
            sys.stdout.flush()
            with open(to, "rb") as rows:
                shutil.copyfileobj(rows, sys.stdout.buffer)
    except LedgerError as wrong:
        fail(f"ledger export: {wrong}")


def _missing(done: Exported) -> None:
    if done.missing_days:
        days = len(done.missing_days)
        first = done.missing_days[0]
        click.echo(f"wattledger: ledger export: {days} rolled-up day{'' if days == 1 else 's'} left out, from {first} on", err=True)


def _kinds(given: str | None) -> tuple[str, ...]:
    kinds = tuple(word.strip() for word in (given or "").split(",") if word.strip())
    for kind in kinds:
        if kind not in ALL_KINDS:
            raise LedgerError(f"--kind {kind}: no facts are called so{nearest(kind, ALL_KINDS)}")
    return tuple(dict.fromkeys(kinds))


def _time(option: str, given: str | None) -> int | None:
    if given is None:
        return None
    try:
        moment = datetime.fromisoformat(given)
    except ValueError:
        raise LedgerError(f"{option} {given}: expected a time such as 2026-03-31 or 2026-03-31T12:00:00Z") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() // 1)
