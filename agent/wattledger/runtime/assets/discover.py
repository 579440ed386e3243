"""What this machine is, read from the machine itself: without root as far as it goes, and never failing.

Paths come from ``[paths] sysfs`` and ``procfs``, so a container with the host's mounted elsewhere discovers the host.
"""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from wattledger.runtime import host as place
from wattledger.runtime.assets import cards as boards
from wattledger.runtime.assets import dmi, memory
from wattledger.runtime.assets.cards import Card
from wattledger.runtime.assets.disks import Disk, Nic, disks, nics
from wattledger.runtime.assets.dmi import Board, Stick, Supply
from wattledger.runtime.assets.host import host_facts, is_guest
from wattledger.runtime.assets.processors import Processors, processors
from wattledger.runtime.assets.words import known, listed, read, whole
from wattledger.runtime.config import Config

PATIENCE_S = 10.0  # a GPU driver that has not answered by then hangs
# Power supplies that talk PMBus, by their hwmon driver (Documentation/hwmon: acbel-fsg032, bel-pfe, corsair-psu, crps, dps920ab,
# fsp-3y, ibm-cffps, inspur-ipsps1).
SUPPLIES = {"acbel_fsg032", "pfe1100", "pfe3000", "corsairpsu", "crps", "crps185", "dps920ab", "dps650ab", "ym2151e", "yh5151e",
            "cffps", "cffps1", "cffps2", "ipsps1"}  # fmt: skip
UW_PER_W = 1_000_000

__all__ = ["Machine", "discover", "host_facts", "machine_class"]


class Machine(NamedTuple):
    """What is here.  Empty text, ``None`` and no parts: not known, never "there are none".

    ``host`` is its name as the energy facts have it.  ``guest``: a hypervisor runs it; ``own_pids``: we are in a container.
    ``memory_gib``: what is plugged in, ``managed_gib`` what the kernel manages of it.  ``notes``: what a reader must know.
    """

    host: str
    said_class: str
    guest: bool
    own_pids: bool
    board: Board
    processors: Processors
    memory_gib: float | None
    sticks: tuple[Stick, ...]
    disks: tuple[Disk, ...]
    nics: tuple[Nic, ...]
    cards: tuple[Card, ...]
    supplies: tuple[Supply, ...]
    battery: bool
    notes: tuple[str, ...]


def discover(config: Config, environ: Mapping[str, str]) -> Machine:
    """Look around; may take seconds where a driver is slow, and needs no permission."""
    sysfs, procfs = Path(str(config["paths.sysfs"])), Path(str(config["paths.procfs"]))
    board, table = dmi.board(sysfs), dmi.table(sysfs)
    guest = is_guest(str(procfs), board.vendor, board.product)
    sticks = dmi.sticks(table)
    found = _patiently(sysfs)
    machine = Machine(
        host=place.host_name(environ), said_class=str(config["embodied.host"]), guest=guest,
        own_pids=not place.pids_match(str(procfs)), board=board, processors=processors(procfs, sysfs),
        memory_gib=memory.plugged_gib(sticks, memory.managed_gib(procfs)), sticks=sticks, disks=disks(sysfs), nics=nics(sysfs),
        cards=found.cards, supplies=dmi.supplies(table) or _supplies(sysfs), battery=_battery(sysfs), notes=(),
    )  # fmt: skip
    return machine._replace(notes=(*_notes(machine, table), *found.notes))


def machine_class(machine: Machine) -> str:
    """``server``, ``workstation``, ``desktop``, ``laptop`` or ``vm``; as [embodied] host says it, where it says so."""
    if machine.said_class not in ("auto", "none"):
        return machine.said_class
    if machine.guest:
        return "vm"
    from wattledger.factors.hardware.chassis import chassis_class

    if machine.board.chassis_type is None and machine.battery:
        return "laptop"
    return chassis_class(machine.board.chassis_type)


def _patiently(sysfs: Path) -> boards.Found:
    """The cards, unless a driver hangs: its call cannot be broken off, so it is left behind on its thread."""
    answer: list[boards.Found] = []
    asking = threading.Thread(target=lambda: answer.append(boards.cards(sysfs)), name="wattledger-discover", daemon=True)
    asking.start()
    asking.join(PATIENCE_S)
    return answer[0] if answer else boards.Found((), (f"a GPU driver has not answered within {PATIENCE_S:g} s: no GPU is listed",))


def _supplies(sysfs: Path) -> tuple[Supply, ...]:
    found = []
    for folder in listed(sysfs / "class/hwmon"):
        name = known(read(folder / "name"))
        if name.casefold() in SUPPLIES:
            most_uw = max((whole(read(folder / f"power{n}_rated_max")) or 0 for n in (1, 2)), default=0)
            found.append(Supply(name, "", "", "", most_uw // UW_PER_W or None))
    return tuple(found)


def _battery(sysfs: Path) -> bool:
    """A battery of the machine itself; those of mice and keyboards say that they are a device's."""
    folders = listed(sysfs / "class/power_supply")
    return any(read(folder / "type") == "Battery" and read(folder / "scope") != "Device" for folder in folders)


def _notes(machine: Machine, table: bytes) -> list[str]:
    found = []
    if machine.guest:
        found.append("a virtual machine: the hardware below it is its host's to count; its own part is estimated")
    if machine.own_pids:
        found.append("in a container: what the host shows in its sysfs is listed")
    if not machine.board.vendor and not machine.guest:
        found.append("the firmware does not say what this machine is (no class/dmi/id)")
    if not table and not machine.guest:
        found.append("memory modules and power supplies stand in a table that only root may read: run this as root to list them")
    arrays = [disk.name for disk in machine.disks if disk.how == "array"]
    if arrays:
        found.append(f"{', '.join(arrays)}: volumes of a RAID controller; the disks behind it are not seen: add them by hand")
    return found
