"""``wattledger asset``: machines and parts, from the day they were made to the day they are gone."""

import click

from wattledger.cli.groups import Lazy

# subcommand -> (module, help)
COMMANDS = {
    "discover": ("wattledger.cli.asset.discover", "What this machine is made of, and a passport for it."),
    "add": ("wattledger.cli.asset.add", "Write a machine's passport, with its parts, into the books."),
    "import": ("wattledger.cli.asset.bring", "Write an inventory into the books: CSV, NetBox or Redfish."),
    "list": ("wattledger.cli.asset.list", "The machines and parts that the books know."),
    "show": ("wattledger.cli.asset.show", "One asset: its carbon, its parts, and all that happened to it."),
    "event": ("wattledger.cli.asset.event", "Write down what happened: moved, repaired, swapped, retired, …."),
    "compare": ("wattledger.cli.asset.compare", "Keep, repair, upgrade or replace: which emits less, and from when on."),
}


@click.group("asset", cls=Lazy, table=COMMANDS)
def command() -> None:
    """Machines and parts with a life: what it emitted to make them, where they are, and who has used it up.

    \b
    wattledger asset discover --write dgx-1.toml       # propose a passport for this machine
    wattledger asset add dgx-1.toml                    # put it into the books
    wattledger asset event dgx-1 repair --kg 12 --at 2026-11-20
    wattledger asset list
    """
