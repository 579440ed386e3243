"""``wattledger ledger forget``: erase a user's name; the pseudonym in the facts stays, and the chain with it."""

import click

from wattledger.cli import fail
from wattledger.cli.ledger.anchor import books, settings
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.store import OPEN, Store
from wattledger.runtime.config import nearest


@click.command("forget")
@click.argument("name", metavar="NAME")
@click.option("--ledger", "ledger", metavar="PATH", help="The folder of the books; default: this user's.")
@click.option("--config", "config_file", metavar="FILE", help="Configuration file to use.")
def command(name: str, ledger: str | None, config_file: str | None) -> None:
    """Forget whom a pseudonym stands for, for good. The facts keep the pseudonym, which then says nothing; no sum changes."""
    config = settings(config_file, "forget")
    try:
        folder = books(ledger, config)
        if not (folder / OPEN).exists():
            raise LedgerError(f"{folder}: no books are kept here")
        store = Store.open(folder)
        try:
            known = store.names().values()
            if not store.erase(name):
                fail(f"ledger forget: the books know no user {name!r}{nearest(name, known)}")
        finally:
            store.close()
    except LedgerError as wrong:
        fail(f"ledger forget: {wrong}")
    click.echo(f"{name} is forgotten: no fact can be led back to that name any more")
