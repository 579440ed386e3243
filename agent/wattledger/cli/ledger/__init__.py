"""``wattledger ledger``: the books."""

import click

from wattledger.cli.groups import Lazy

# subcommand -> (module, help)
COMMANDS = {
    "show": ("wattledger.cli.ledger.show", "What the books hold: facts, days, writers, and what is open."),
    "verify": ("wattledger.cli.ledger.verify", "Check every fact against its chain, and every segment against its digest."),
    "seal": ("wattledger.cli.ledger.seal", "Close past days into Parquet segments, and share them."),
    "compact": ("wattledger.cli.ledger.compact", "Roll old days up, and put a fleet's days into one file each."),
    "export": ("wattledger.cli.ledger.export", "Write facts as CSV, JSON lines or Parquet."),
    "add": ("wattledger.cli.ledger.add", "Write facts of your own: contracts, residual mixes, purchases."),
    "restate": ("wattledger.cli.ledger.restate", "Correct or withdraw a fact by a new one that names it."),
    "prove": ("wattledger.cli.ledger.prove", "A short proof that a fact stands in the books, or that they only grew."),
    "check": ("wattledger.cli.ledger.check", "Check a proof without the books."),
    "anchor": ("wattledger.cli.ledger.anchor", "Put a signed tree head outside this host."),
    "forget": ("wattledger.cli.ledger.forget", "Erase a user's name; the pseudonym in the facts stays."),
}


@click.group("ledger", cls=Lazy, table=COMMANDS)
def command() -> None:
    """The books: facts that are written once, chained, sealed by the day, and proved to anybody."""
