"""``wattledger ledger verify``: every fact against its chain, every segment against its digests."""

import json
import os
from pathlib import Path

import click

from wattledger.cli import fail
from wattledger.cli.ledger.anchor import books, settings
from wattledger.cli.ledger.check import public_key
from wattledger.ledger import lake, signing
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.verify import Report, verify
from wattledger.runtime.books.place import folders_to_read
from wattledger.runtime.config import Config

LARGE_BYTES = 100_000_000  # from here on a second process is worth its start


LEDGERS = click.option(
    "--ledger", "ledgers", metavar="PATH", multiple=True, help="Books or a lake's folder (may be repeated); default: all here."
)


@click.command("verify")
@LEDGERS
@click.option("--key", "key", metavar="PUBLIC", help="Whom segments must be signed by; default: [ledger] sign_key_file.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array: a report for each folder.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
def command(ledgers: tuple[str, ...], key: str | None, as_json: bool, config_file: str | None) -> None:
    """Check every fact against its chain, every segment against its digests, and that nothing is missing between them.

    Exit status 0: all is as it was written; 1: something is not, each named with what is still good; 2: there is nothing to check.
    """
    config = settings(config_file, "verify")
    try:
        asked = _key(key, config)
        reports = [verify(folder, key=asked, processes=_processes(folder)) for folder in folders(ledgers, config)]
    except LedgerError as wrong:
        fail(f"ledger verify: {wrong}")
    if as_json:
        click.echo(json.dumps([report.to_dict() for report in reports], ensure_ascii=False))
    else:
        for report in reports:
            _print(report)
    if not all(report.clean for report in reports):
        raise SystemExit(1)


def folders(given: tuple[str, ...], config: Config) -> list[Path]:
    """The folders to read: as given, else all books here.  Raises LedgerError."""
    for place in given:
        if lake.is_url(place):
            raise LedgerError(f"{lake.shown(place)}: only a folder can be verified: copy the lake to one first")
    found = [lake.path_of(place) for place in given] if given else [f for f in folders_to_read(config, os.environ) if f.is_dir()]
    return found or [books(None, config)]


def _key(given: str | None, config: Config) -> str:
    if given:
        return public_key(given)
    key_file = str(config["ledger.sign_key_file"])
    # Who verifies may not be who signs: a private key that cannot be read here is no reason not to check the rest.
    try:
        return signing.public_key(Path(key_file).expanduser()) if key_file else ""
    except LedgerError as wrong:
        click.echo(f"wattledger: ledger verify: signatures are checked by the keys they name: {wrong}", err=True)
        return ""


def _processes(folder: Path) -> int:
    size = 0
    for name in ("open.db", "**/*.parquet"):
        size += sum(path.stat().st_size for path in folder.glob(name))
    return min(2, os.cpu_count() or 1) if size > LARGE_BYTES else 1


def _print(report: Report) -> None:
    for problem in report.problems:
        click.echo(problem.line())
    for note in report.notes:
        click.echo(f"note: {note}")
    words = [f"{report.facts} facts hold", f"{report.segments} sealed day{'' if report.segments == 1 else 's'}"]
    words += [f"{report.open_facts} facts open"] + ([f"{report.rolled_up} days rolled up"] if report.rolled_up else [])
    words += [f"{count} signed by {key[:16]}…" for key, count in report.signed_by.items()]
    click.echo(f"{report.folder}: {'right' if report.clean else 'NOT RIGHT'}: {', '.join(words)}")
