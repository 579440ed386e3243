"""Groups of commands: a wrong word is answered with the nearest right one, and a command's module is loaded when it is called."""

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import click

Table = Mapping[str, tuple[str, str]]  # command → (module with a click command called ``command``, help)


def refuse(word: str, names: Iterable[str], ctx: click.Context) -> None:
    """Raise a UsageError that names the nearest right word."""
    from wattledger.runtime.config import nearest  # `run` must add as little as it can

    raise click.UsageError(f"no command {word!r}{nearest(word, list(names))}", ctx)


class Nearest(click.Group):
    """A group that answers no word with its help, and a wrong one with the nearest right one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            click.echo(ctx.get_help())
            raise SystemExit(2)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            refuse(args[0], names, ctx)
        return super().resolve_command(ctx, args)


class Lazy(Nearest):
    """A group whose commands stand in a ``table``."""

    def __init__(self, *args: Any, table: Table, **options: Any) -> None:
        super().__init__(*args, **options)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._table:
            return None
        command = importlib.import_module(self._table[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in self._table.items()])
