"""The front door for operators: one file per command group.  Nothing imports this package."""

import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

# command -> (module, help): a command's module is loaded when it is called, because `run` must add as little as it can.
COMMANDS = {
    "run": ("wattledger.cli.run", "Run a command and measure it."),
    "doctor": ("wattledger.cli.doctor", "Say what can be measured here, what cannot, why, and what would mend it."),
    "replay": ("wattledger.cli.replay", "Put a recorded capture through the same pipeline."),
    "grid": ("wattledger.cli.grid", "Grid zones and their carbon intensities."),
    "agent": ("wattledger.cli.agent", "Run the node agent: meter everybody on this machine."),
    "top": ("wattledger.cli.top", "A live table of jobs, devices, watts and grams."),
    "ledger": ("wattledger.cli.ledger", "The books: show, verify, seal, export, prove, anchor."),
    "report": ("wattledger.cli.report", "What a job, model, device, day or host cost: joules, grams, money."),
    "explain": ("wattledger.cli.explain", "How a figure was computed, down to the facts."),
    "config": ("wattledger.cli.config", "The configuration in force, with where each value came from."),
}


class Lazy(click.Group):
    """A group whose commands are imported when they are asked for."""

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
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from wattledger.runtime.config import nearest

            raise click.UsageError(f"no command {args[0]!r}{nearest(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])


def version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """Print the version and end."""
    if value and not ctx.resilient_parsing:
        from wattledger import __version__

        click.echo(f"wattledger {__version__}")
        ctx.exit()


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=version, help="Print the version.")
def cli() -> None:
    """Meter the energy of AI work, say whom each joule worked for, and price it in carbon."""


def fail(message: str, status: int = 2) -> NoReturn:
    """One line on standard error, and the exit status: 2 where the words or the configuration are wrong."""
    click.echo(f"wattledger: {message}", err=True)
    raise SystemExit(status)


def main(args: Sequence[str] | None = None) -> None:
    """The console script.  The user's mistakes are one line and exit status 2, never a traceback."""
    try:
        words = list(sys.argv[1:] if args is None else args) or ["--help"]
        status = cli.main(args=words, prog_name="wattledger", standalone_mode=False)
        if isinstance(status, int) and status:
            raise SystemExit(status)
    except click.UsageError as wrong:
        where = wrong.ctx.command_path if wrong.ctx is not None else "wattledger"
        fail(f"{wrong.format_message()} (see `{where} --help`)")
    except click.ClickException as wrong:
        fail(wrong.format_message(), wrong.exit_code)
    except click.exceptions.Exit as done:
        raise SystemExit(done.exit_code) from None
    except click.Abort:
        raise SystemExit(130) from None
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): that is its right, and nothing is left to say.
        sys.stderr.close()
        raise SystemExit(0) from None
