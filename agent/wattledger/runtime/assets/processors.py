"""The CPUs: how many sockets, cores and hardware threads, of which model."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from wattledger.runtime.assets.words import known, read, read_bytes

CPUINFO_MOST = 8 << 20  # a thousand hardware threads and more
# MIDR implementers and some parts, as the kernel's arch/arm64/include/asm/cputype.h numbers them.
IMPLEMENTERS = {0x41: "Arm", 0x43: "Cavium", 0x48: "HiSilicon", 0x4E: "NVIDIA", 0x51: "Qualcomm", 0x61: "Apple", 0xC0: "Ampere",
                0x46: "Fujitsu", 0x70: "Phytium"}  # fmt: skip
PARTS = {(0x41, 0xD0C): "Neoverse N1", (0x41, 0xD40): "Neoverse V1", (0x41, 0xD49): "Neoverse N2", (0x41, 0xD4F): "Neoverse V2",
         (0x41, 0xD84): "Neoverse V3", (0x41, 0xD8E): "Neoverse N3", (0x4E, 0x010): "Olympus", (0xC0, 0xAC3): "AmpereOne",
         (0x41, 0xD42): "Cortex-A78AE"}  # fmt: skip


class Processors(NamedTuple):
    """All CPUs of the machine; empty text and ``None``: not known.  ``threads``: hardware threads, as the kernel counts CPUs."""

    model: str = ""
    sockets: int | None = None
    cores: int | None = None
    threads: int | None = None


def processors(procfs: Path, sysfs: Path) -> Processors:
    """From ``cpuinfo``, and from the topology in sysfs where that says no sockets (ARM)."""
    blocks = list(_blocks(read_bytes(procfs / "cpuinfo", CPUINFO_MOST).decode("utf-8", "replace")))
    threads = [block for block in blocks if block.get("processor", "").isdecimal()]
    places = {(block["physical id"], block.get("core id", block["processor"])) for block in threads if "physical id" in block}
    if not places:
        places = _topology(sysfs)
    present = count(read(sysfs / "devices/system/cpu/present"))
    sockets = len({socket for socket, _ in places}) or None
    return Processors(_model(blocks), sockets, len(places) or None, len(threads) or present)


def count(listing: str) -> int | None:
    """How many ``0-3,8`` are; ``None`` where the list is none."""
    found = 0
    for part in listing.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or not (last or first).isdecimal() or int(last or first) < int(first):
            return None
        found += int(last or first) - int(first) + 1
    return found


def _blocks(text: str) -> Iterator[dict[str, str]]:
    for block in text.split("\n\n"):
        lines = (line.partition(":") for line in block.splitlines())
        yield {name.strip(): value.strip() for name, colon, value in lines if colon}


def _topology(sysfs: Path) -> set[tuple[str, str]]:
    """(socket, core) of each CPU; the kernel says -1 where the firmware does not say it."""
    found = set()
    for number in _numbers(read(sysfs / "devices/system/cpu/present")):
        folder = sysfs / f"devices/system/cpu/cpu{number}/topology"
        socket, core = read(folder / "physical_package_id"), read(folder / "core_id")
        if socket.isdecimal() and core.isdecimal():
            found.add((socket, core))
    return found


def _numbers(listing: str) -> Iterator[int]:
    if (count(listing) or 0) > 8192:  # the kernel's own limit (CONFIG_NR_CPUS): anything above is no list of CPUs
        return
    for part in listing.split(",") if count(listing) else ():
        first, _, last = part.strip().partition("-")
        yield from range(int(first), int(last or first) + 1)


def _model(blocks: list[dict[str, str]]) -> str:
    for block in blocks:
        for name in ("model name", "cpu model", "Model", "cpu"):  # x86 and some ARM; MIPS; boards; POWER
            if said := known(block.get(name, "")):
                return said
    for block in blocks:
        try:
            who, part = int(block["CPU implementer"], 16), int(block["CPU part"], 16)
        except (KeyError, ValueError):
            continue
        return " ".join(word for word in (IMPLEMENTERS.get(who, ""), PARTS.get((who, part), "")) if word)
    return ""
