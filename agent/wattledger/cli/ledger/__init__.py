"""``wattledger ledger``: the books."""

import importlib

import click

from wattledger.cli.grid import Nearest

# subcommand -> (module, help); loaded when it is called
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


class Lazy(Nearest):
    """Subcommands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        self.commands = {name: click.Command(name) for name in COMMANDS}  # the nearest right name is looked for among them
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])


@click.group("ledger", cls=Lazy)
def command() -> None:
    """The books: facts that are written once, chained, sealed by the day, and proved to anybody."""
