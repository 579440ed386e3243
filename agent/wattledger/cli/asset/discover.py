"""``wattledger asset discover``: what this machine is made of, and a passport for it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from wattledger.cli import fail
from wattledger.cli.asset import kept
from wattledger.cli.ledger.anchor import now_s
from wattledger.runtime.assets.discover import Machine, discover, machine_class
from wattledger.runtime.assets.proposal import estimates, propose

SCHEMA = "wattledger.machine/1"


@click.command("discover")
@click.option("--write", "write", metavar="FILE", type=click.Path(path_type=Path), help="Write the passport there (.toml).")
@click.option("--json", "as_json", is_flag=True, help=f"What was found as one JSON object ({SCHEMA}), with the passport's text.")
@kept.CONFIG
def command(write: Path | None, as_json: bool, config_file: str | None) -> None:
    """Look at this machine and propose its passport: CPUs, memory, disks, network cards, power supplies, GPUs.

    Changes nothing and writes nothing into the books. Without root, memory modules and power supplies are not seen one by one.
    Serial numbers are hashed. What it emitted to make each part is estimated, with the source, until you know better.

    \b
    wattledger asset discover --write gpu-7.toml       # then look at it, and
    wattledger asset add gpu-7.toml
    """
    config = kept.settings(config_file, "discover")
    machine = discover(config, os.environ)
    text = propose(machine, estimates(config), now_s=now_s())
    if write is not None:
        _write(write, text)
    if as_json:
        click.echo(json.dumps(to_dict(machine, text), ensure_ascii=False))
        return
    if write is None:
        click.echo(text.rstrip())
        return
    for line in lines(machine):
        click.echo(line)
    click.echo(f"proposed passport: {write}; check it, then: wattledger asset add {write}")


def _write(file: Path, text: str) -> None:
    """A file that is there already may hold what somebody has put in: it is not written over."""
    if file.suffix.lower() != ".toml":
        fail(f"asset discover: --write {file}: the name must end in .toml")
    try:
        with file.open("x", encoding="utf-8") as made:
            made.write(text)
    except FileExistsError:
        fail(f"asset discover: {file} is there already: name another file, or remove it")
    except OSError as wrong:
        fail(f"asset discover: --write {file}: {wrong.strerror or wrong}")


def lines(machine: Machine) -> Iterator[str]:
    """What was found, for people."""
    board, cpus = machine.board, machine.processors
    name = " ".join(word for word in (board.vendor, board.product) if word)
    yield f"{machine.host}: {name or 'the firmware does not say what it is'} ({machine_class(machine)})"
    if cpus.threads:
        counts = f"{cpus.sockets or '?'} x {cpus.model or 'CPU of no name'}, {cpus.cores or '?'} cores, {cpus.threads} threads"
        yield f"  cpu        {counts}"
    if machine.memory_gib:
        modules = f" in {len(machine.sticks)} modules" if machine.sticks else ""
        yield f"  memory     {machine.memory_gib:g} GiB{modules}"
    for disk in machine.disks:
        where = {"part": "", "served": ", served by its host or a network", "array": ", a volume of a controller"}[disk.how]
        name = " ".join(word for word in (disk.name, disk.vendor, disk.model) if word)
        yield f"  {disk.kind:<9}  {name}, {disk.gb:.0f} GB{where}"
    for nic in machine.nics:
        speed = f", {nic.mbps / 1000:g} Gb/s" if nic.mbps else ""
        yield f"  nic        {', '.join(nic.ports)} ({nic.driver or 'no driver'}){speed}"
    for supply in machine.supplies:
        yield f"  psu        {' '.join(word for word in (supply.vendor, supply.part or supply.name) if word)}"
    for card in machine.cards:
        yield f"  {card.kind:<9}  {card.model} {card.device}" + (f", board {card.part}" if card.part else "")
    yield from (f"  note       {note}" for note in machine.notes)


def to_dict(machine: Machine, text: str) -> dict[str, Any]:
    """JSON, schema ``wattledger.machine/1``; what is not known is absent."""
    found: dict[str, Any] = {
        "schema": SCHEMA, "host": machine.host, "class": machine_class(machine), "virtual": machine.guest,
        "board": _known(machine.board), "processors": _known(machine.processors), "memory_gib": machine.memory_gib,
        "modules": [_known(one) for one in machine.sticks], "disks": [_known(one) for one in machine.disks],
        "nics": [_known(one) for one in machine.nics], "accelerators": [_known(one) for one in machine.cards],
        "supplies": [_known(one) for one in machine.supplies], "notes": list(machine.notes), "passport": text,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def _known(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row._asdict().items() if value not in (None, "")}
