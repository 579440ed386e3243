"""``wattledger slurm``: what its jobs used, in their comments and beside its accounting."""

import click

from wattledger.cli.groups import Lazy

# subcommand -> (module, help)
COMMANDS = {
    "comment": ("wattledger.cli.slurm_comment", "Write a job's footprint into its comment."),
    "import": ("wattledger.cli.slurm_import", "Lay sacct's jobs beside the books: joules, grams and money of each."),
}


@click.group("slurm", cls=Lazy, table=COMMANDS)
def command() -> None:
    """Slurm: footprints in jobs' comments, and its accounting beside the books (scripts for its prologs: deploy/slurm)."""
