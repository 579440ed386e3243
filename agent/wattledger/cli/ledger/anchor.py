"""``wattledger ledger anchor``: signed tree heads outside the host, and whether today's books extend them."""

import os
from collections.abc import Iterable
from pathlib import Path

import click

from wattledger.cli import fail
from wattledger.cli.ledger.check import public_key
from wattledger.ledger import anchors, signing
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.log import Log, look
from wattledger.ledger.proofs import Unproven
from wattledger.runtime.books.place import ledger_folder
from wattledger.runtime.clock import now
from wattledger.runtime.config import Config, ConfigError, load

NS = 1_000_000_000


@click.command("anchor")
@click.option("--to", "where", metavar="PLACE", required=True, help="A folder, an fsspec URL, or git:PATH (a working tree).")
@click.option("--check", "checking", is_flag=True, help="Anchor nothing: verify that today's books extend the head anchored last.")
@click.option("--all", "every", is_flag=True, help="With --check: every anchored head, not only the last one.")
@click.option("--key", "key", metavar="PUBLIC", help="With --check: the anchored heads must be signed by this public key.")
@click.option("--ledger", "ledger", metavar="PATH", help="The folder of the books; default: this user's.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
def command(**given: str | bool | None) -> None:
    """Put the books' tree head, signed if [ledger] sign_key_file is set, where this host's root cannot change it.

    Nothing is overwritten, and nothing new is written where nothing changed.  A history that does not extend the head anchored last
    is not anchored: exit status 1 and one line, as with --check.
    """
    where, checking = str(given["where"]), bool(given["checking"])
    config = settings(given["config_file"], "anchor")
    try:
        folder, there = books(given["ledger"], config), anchors.place(where)
        log = looked(folder, checking)
        if checking:
            key = None if given["key"] is None else public_key(str(given["key"]))
            click.echo("\n".join(anchors.check(log, there, key=key, every=bool(given["every"]))))
            return
        click.echo(anchors.anchor(log, there, now_s=now_s(), key_file=signing_key(config)))
    except Unproven as wrong:
        fail(f"ledger anchor: {wrong}", 1)
    except LedgerError as wrong:
        fail(f"ledger anchor: {wrong}")


def looked(folder: Path, checking: bool) -> Log:
    """The books; where they are checked, books too broken to look at are what was found, and not the user's mistake."""
    try:
        return look(folder)
    except LedgerError as wrong:
        if checking:
            raise Unproven(str(wrong)) from None
        raise


def now_s() -> int:
    """The clock, in seconds since the epoch."""
    return now().wall_ns // NS


def settings(config_file: object, word: str) -> Config:
    """The settings in force; a wrong one is one line and exit status 2."""
    try:
        return load(os.environ, file=None if config_file is None else str(config_file))
    except ConfigError as wrong:
        fail(f"ledger {word}: {wrong}")


def books(given: object, config: Config) -> Path:
    """The folder of the books: as given, else this user's.  Raises LedgerError where there is none."""
    folder = Path(str(given)).expanduser() if given is not None else ledger_folder(config, os.environ)
    if folder is None:
        raise LedgerError("there is no place for books here: name one with --ledger PATH or [ledger] path")
    return folder


def signing_key(config: Config) -> str:
    """The file of the signing key, empty where heads are not signed; a warning where others may read it."""
    key_file = str(config["ledger.sign_key_file"])
    key_file = str(Path(key_file).expanduser()) if key_file else ""
    if key_file and (warning := signing.exposed(key_file)):
        click.echo(f"wattledger: ledger: {warning}", err=True)
    return key_file


def of_writer(folders: Iterable[Path], writer: str) -> Path:
    """The books of one writer among these folders.  Raises LedgerError where none are."""
    from wattledger.ledger.store import Store

    seen = []
    for folder in folders:
        store = Store.open(folder, readonly=True)
        seen.append(f"{folder} ({store.writer})")
        store.close()
        if store.writer == writer:
            return folder
    raise LedgerError(f"no books of {writer} here: {', '.join(seen) or 'none were found'}; name their folder with --ledger PATH")
