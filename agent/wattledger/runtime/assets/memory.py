"""How much memory there is: by module where the firmware's table may be read, else what the kernel manages."""

from pathlib import Path

from wattledger.runtime.assets.dmi import Stick
from wattledger.runtime.assets.words import read, whole

KIB_PER_GIB = 1 << 20
# The kernel keeps some of the memory for itself, and firmware and graphics keep more: 2 to 5 % of what is plugged in.
USUAL_GIB = tuple(n * size for size in (1, 2, 4, 8, 16, 32, 64, 96, 128, 256) for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32))


def managed_gib(procfs: Path) -> float | None:
    """``MemTotal``: what the kernel manages, which is a little less than what is plugged in."""
    words = read(procfs / "meminfo", 512).split()
    kib = whole(words[1]) if len(words) > 1 and words[0] == "MemTotal:" else None
    return kib / KIB_PER_GIB if kib else None


def plugged_gib(sticks: tuple[Stick, ...], managed: float | None) -> float | None:
    """What is plugged in: the modules' sum where each says its size, else the size above what the kernel manages in which memory is
    sold (DIMMs come in such sizes); ``None``: not known."""
    sizes = [stick.mib for stick in sticks]
    if sizes and all(sizes):
        return sum(mib for mib in sizes if mib is not None) / 1024
    if managed is None:
        return None
    return float(min((size for size in USUAL_GIB if managed <= size <= managed * 1.1), default=round(managed)))
