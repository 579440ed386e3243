"""``wattledger asset import``: an inventory of many machines becomes facts of the books."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from wattledger.accounting.assets import inventory, mapping, netbox, redfish_inventory
from wattledger.accounting.assets.mapping import NOTHING, Mapped
from wattledger.accounting.assets.passport import Parsed
from wattledger.cli import fail
from wattledger.cli.asset import kept
from wattledger.cli.asset.asking import boavizta, text_of
from wattledger.ledger.engine import LedgerError
from wattledger.runtime.config import Config, nearest

FORMATS = ("csv", "netbox", "redfish")
MOST_FILES = 20_000


@click.command("import")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--format", "form", metavar="|".join(FORMATS), help="What FILE is; default: csv for .csv, redfish for a folder.")
@click.option("--map", "map_file", metavar="MAP.toml", help="What its columns and words mean (wattledger.mapping/1).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the ids, the warnings, and how many were there already.")
@kept.DRY
@kept.LEDGER
@kept.CONFIG
def command(**given: Any) -> None:
    """Write the machines of an inventory into the books: a CSV table, NetBox's devices, or a folder of Redfish documents.

    All of it, or nothing where one row is wrong: each mistake is a line. What is in the books already is not written again, so that
    an export may be imported anew.

    \b
      schema = "wattledger.mapping/1"           # MAP.toml
      [columns]
      "Asset tag" = "id"
      "In service since" = "commissioned"
      [constants]
      owner = "research"
      [kinds]
      "*GPU node*" = "server"
      "Patch panel" = "skip"
      [footprints]
      "PowerEdge R7*" = { kg = 1313, method = "pcf", source = "Dell, R740 product footprint", year = "2019" }

    \b
    wattledger asset import rooms.csv --map rooms.toml --dry-run
    """
    config = kept.settings(given["config_file"], "import")
    file: Path = given["file"]
    try:
        mapped = mapping.read(text_of(Path(given["map_file"])), given["map_file"]) if given["map_file"] else NOTHING
        found = _read(file, _form(file, given["form"]), mapped, config)
        added = kept.add(found.facts, config, given["ledger"], dry=given["dry"])
    except (LedgerError, ValueError) as wrong:
        fail(f"asset import: {kept.one_line(wrong, 'import')}")
    kept.tell("import", added, found.warnings, as_json=given["as_json"], dry=given["dry"])


def _form(file: Path, said: str | None) -> str:
    """Raises LedgerError with the nearest right word."""
    if said is not None and said not in FORMATS:
        raise LedgerError(f"--format {said}: expected {', '.join(FORMATS)}{nearest(said, FORMATS)}")
    if said is None and not file.is_dir() and file.suffix.lower() != ".csv":
        raise LedgerError(f"{file}: say what it is with --format {'|'.join(FORMATS)}")
    return said or ("redfish" if file.is_dir() else "csv")


def _read(file: Path, form: str, mapped: Mapped, config: Config) -> Parsed:
    """Raises LedgerError and BadPassport."""
    ask = boavizta(config)
    if form == "redfish":
        return redfish_inventory.read(_documents(file), mapped, name=str(file), boavizta=ask)
    if form == "netbox":
        return netbox.read(text_of(file), str(file), mapped, boavizta=ask)
    return inventory.read(text_of(file), mapped, str(file), boavizta=ask)


def _documents(place: Path) -> Iterator[tuple[str, str]]:
    """A file, or the JSON files below a folder, by name."""
    if not place.is_dir():
        yield str(place), text_of(place)
        return
    files = sorted(path for path in place.rglob("*.json") if path.is_file())
    if not files:
        raise LedgerError(f"{place}: no .json file is in this folder: save what the BMC answers at /redfish/v1/Systems and below")
    if len(files) > MOST_FILES:
        raise LedgerError(f"{place}: more than {MOST_FILES} .json files")
    for file in files:
        yield str(file), text_of(file)
