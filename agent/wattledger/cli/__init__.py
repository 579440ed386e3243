"""The front door for operators: one file per command group.  Nothing imports this package."""

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from wattledger.cli.groups import Lazy

# command -> (module, help)
COMMANDS = {
    "run": ("wattledger.cli.run", "Run a command and measure it."),
    "doctor": ("wattledger.cli.doctor", "Say what can be measured here, what cannot, why, and what would mend it."),
    "replay": ("wattledger.cli.replay", "Put a recorded capture through the same pipeline."),
    "grid": ("wattledger.cli.grid", "Grid zones and their carbon intensities."),
    "agent": ("wattledger.cli.agent", "Run the node agent: meter everybody on this machine."),
    "top": ("wattledger.cli.top", "A live table of jobs, devices, watts and grams."),
    "ledger": ("wattledger.cli.ledger", "The books: show, verify, seal, export, prove, anchor."),
    "report": ("wattledger.cli.report", "What a job, model, device, day or host cost: joules, grams, money."),
    "slurm": ("wattledger.cli.slurm", "Slurm: footprints in jobs' comments, its accounting beside the books."),
    "asset": ("wattledger.cli.asset", "Machines and parts with a life: what it emitted to make them, and where it goes."),
    "explain": ("wattledger.cli.explain", "How a figure was computed, down to the facts."),
    "config": ("wattledger.cli.config", "The configuration in force, with where each value came from."),
}


def version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    """Print the version and end."""
    if value and not ctx.resilient_parsing:
        from wattledger import __version__

        click.echo(f"wattledger {__version__}")
        ctx.exit()


@click.group(cls=Lazy, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
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
    except PermissionError as wrong:
        if wrong.filename is None:
            raise  # of no file: a bug of ours
        # Looking into a folder that is closed to us, wherever a command does: ``Path.exists`` raises then.
        fail(f"{wrong.filename}: {wrong.strerror}: it is closed to you: ask as whose it is or as root, or name another place")
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): that is its right, and nothing is left to say.
        sys.stderr.close()
        raise SystemExit(0) from None
