"""``wattledger asset add``: a machine's passport becomes facts of the books."""

from pathlib import Path

import click

from wattledger.accounting.assets.passport import Parsed, read
from wattledger.cli import fail
from wattledger.cli.asset import kept
from wattledger.cli.asset.asking import boavizta, text_of
from wattledger.cli.asset.energy import priced
from wattledger.ledger.engine import LedgerError
from wattledger.runtime.config import Config

FORMS = {".toml": "toml", ".json": "json"}


@click.command("add")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the ids, the warnings, and how many were there already.")
@kept.DRY
@kept.LEDGER
@kept.CONFIG
def command(file: Path, as_json: bool, dry: bool, ledger: str | None, config_file: str | None) -> None:
    """Write the passport in FILE (.toml or .json) into the books: the machine, its parts, and what happened to them so far.

    All of it, or nothing where one line is wrong or could not have been. What is in the books already is not written again.
    `wattledger asset discover --write FILE` proposes the passport of this machine.

    \b
      schema = "wattledger.passport/1"
      [asset]
      id = "dgx-1"
      kind = "server"
      host = "gpu-7"                     # as the meters name it
      commissioned = 2026-01-15
      life_years = 5
      [asset.footprint]
      kg = 1500                          # without the parts below
      source = "the vendor's product footprint"
      [[component]]
      kind = "gpu"
      model = "NVIDIA H100 80GB HBM3"
      count = 8                          # no footprint: estimated, and marked so
      devices = ["GPU-…", "GPU-…"]       # as `nvidia-smi -L` lists them
    """
    config = kept.settings(config_file, "add")
    try:
        found = _read(file, config)
        added = kept.add(priced(found.facts, config), config, ledger, dry=dry)
    except (LedgerError, ValueError) as wrong:
        fail(f"asset add: {kept.one_line(wrong, 'add')}")
    kept.tell("add", added, found.warnings, as_json=as_json, dry=dry)


def _read(file: Path, config: Config) -> Parsed:
    """Raises LedgerError where the file cannot be read, and BadPassport."""
    form = FORMS.get(file.suffix.lower())
    if form is None:
        raise LedgerError(f"{file}: the name must end in .toml or .json, which says how it is written")
    return read(
        text_of(file), "toml" if form == "toml" else "json", str(file),
        opened=lambda name: text_of(file.parent / name), boavizta=boavizta(config),
    )  # fmt: skip
