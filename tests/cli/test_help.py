"""--help is complete: every command says what it does, and every option what it is for."""

import importlib
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from wattledger.cli import cli
from wattledger.cli.report import OTHERS


def commands(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that can be typed, by its words."""
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, (*words, name))
    if words == ("report",):
        for name, module in OTHERS.items():
            yield (*words, name), importlib.import_module(module).command


ALL = dict(commands(cli))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_a_command_says_what_it_does_and_what_each_option_is_for(words: tuple[str, ...]) -> None:
    command = ALL[words]
    assert (command.help or command.short_help or "").strip()
    silent = [p.opts for p in command.params if isinstance(p, click.Option) and not p.hidden and not (p.help or "").strip()]
    assert silent == []


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_help_is_printed_and_names_every_option(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(cli, [*words, "--help"])
    assert done.exit_code == 0, done.output
    shown = [p.opts[-1] for p in ALL[words].params if isinstance(p, click.Option) and not p.hidden]
    assert [option for option in shown if option not in done.output] == []
