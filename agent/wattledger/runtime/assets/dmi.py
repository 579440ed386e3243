"""What the firmware says of the machine: ``/sys/class/dmi/id``, and the raw SMBIOS table where root may read it.

Layouts: DMTF DSP0134, System Management BIOS Reference Specification 3.7, sections 6.1.2 (structures), 7.4 (chassis), 7.18 (memory
devices), 7.40 (power supplies).  Firmware lies and tables are cut short: nothing here raises, and what cannot be read is not known.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from wattledger.runtime.assets.words import hashed, known, read, read_bytes, whole

TABLE_MOST = 1 << 20  # bytes; the largest servers have some 64 KiB
STRUCTURES_MOST = 8192
END, MEMORY_DEVICE, POWER_SUPPLY = 127, 17, 39
# Section 7.18.2, the memory types that a machine of today may have.
MEMORY_TYPES = {0x14: "DDR2", 0x18: "DDR3", 0x1A: "DDR4", 0x1B: "LPDDR", 0x1C: "LPDDR2", 0x1D: "LPDDR3", 0x1E: "LPDDR4",
                0x20: "HBM", 0x21: "HBM2", 0x22: "DDR5", 0x23: "LPDDR5", 0x24: "HBM3"}  # fmt: skip
UNKNOWN_SIZE, EXTENDED_SIZE, IN_KIB = 0xFFFF, 0x7FFF, 0x8000
NOT_PRESENT, UNKNOWN_WATTS = 0x02, 0x8000


class Board(NamedTuple):
    """What ``/sys/class/dmi/id`` says; empty text and ``None``: not known.  ``chassis_type``: SMBIOS's number (DSP0134 7.4.1)."""

    vendor: str = ""
    product: str = ""
    chassis_type: int | None = None
    board_vendor: str = ""
    board: str = ""
    serial_hash: str = ""
    board_serial_hash: str = ""


class Structure(NamedTuple):
    """One structure of the table: its type, its formatted part (header included), and its strings (the first is number 1)."""

    kind: int
    data: bytes
    strings: tuple[str, ...]

    def number(self, at: int, size: int) -> int | None:
        """An unsigned field; ``None`` where this version of the structure is shorter."""
        return int.from_bytes(self.data[at : at + size], "little") if at + size <= len(self.data) else None

    def text(self, at: int) -> str:
        """The string that a field names; empty where it names none, or one that says nothing."""
        index = self.number(at, 1) or 0
        return known(self.strings[index - 1]) if 0 < index <= len(self.strings) else ""


class Stick(NamedTuple):
    """One memory module that is plugged in.  ``kind``: DDR5, HBM3, ….  ``mib``: its size; ``None``: not known."""

    mib: int | None
    kind: str
    speed_mts: int | None
    vendor: str
    part: str
    serial_hash: str
    slot: str


class Supply(NamedTuple):
    """One power supply that is plugged in; ``watts``: the most it gives, ``None``: not known."""

    name: str
    vendor: str
    part: str
    serial_hash: str
    watts: int | None


def board(sysfs: Path) -> Board:
    """What may be read without root, and serials (hashed) where we are root."""
    folder = sysfs / "class/dmi/id"
    words = {name: known(read(folder / name)) for name in ("sys_vendor", "product_name", "board_vendor", "board_name")}
    return Board(
        words["sys_vendor"],
        words["product_name"],
        whole(read(folder / "chassis_type")),
        words["board_vendor"],
        words["board_name"],
        hashed(read(folder / "product_serial")) or hashed(read(folder / "chassis_serial")),
        hashed(read(folder / "board_serial")),
    )


def table(sysfs: Path) -> bytes:
    """The raw table; empty where there is none or we may not read it (it needs root)."""
    return read_bytes(sysfs / "firmware/dmi/tables/DMI", TABLE_MOST)


def structures(table: bytes) -> Iterator[Structure]:
    """The structures of a table, up to its end or to where it stops making sense; never raises."""
    at = 0
    for _ in range(STRUCTURES_MOST):
        if at + 4 > len(table) or table[at] == END:
            return
        kind, length = table[at], table[at + 1]
        if length < 4 or at + length > len(table):
            return
        data = table[at : at + length]
        # The strings follow, each ended by a zero, and the set by another; without strings there are two zeros (6.1.3).
        end = table.find(b"\x00\x00", at + length)
        if end < 0:
            return
        strings = table[at + length : end].split(b"\x00") if end > at + length else []
        yield Structure(kind, data, tuple(one.decode("utf-8", "replace") for one in strings))
        at = end + 2


def sticks(table: bytes) -> tuple[Stick, ...]:
    """The memory modules; empty slots are left out."""
    return tuple(stick for one in structures(table) if one.kind == MEMORY_DEVICE for stick in _stick(one))


def supplies(table: bytes) -> tuple[Supply, ...]:
    """The power supplies; empty bays are left out."""
    return tuple(supply for one in structures(table) if one.kind == POWER_SUPPLY for supply in _supply(one))


def _stick(one: Structure) -> Iterator[Stick]:
    size = one.number(0x0C, 2)
    if not size:  # 0: an empty slot
        return
    mib: int | None = size
    if size == UNKNOWN_SIZE:
        mib = None
    elif size == EXTENDED_SIZE:
        mib = (one.number(0x1C, 4) or 0) & 0x7FFFFFFF or None
    elif size & IN_KIB:
        mib = (size & ~IN_KIB) // 1024 or None
    speed = one.number(0x15, 2)
    kind = MEMORY_TYPES.get(one.number(0x12, 1) or 0, "")
    fast = speed if speed and speed != 0xFFFF else None
    yield Stick(mib, kind, fast, one.text(0x17), one.text(0x1A), hashed(one.text(0x18)), one.text(0x10))


def _supply(one: Structure) -> Iterator[Supply]:
    # Bit 1 of the characteristics (7.40.1): present.  A table that is too short for it says nothing against it.
    characteristics = one.number(0x0E, 2)
    if characteristics is not None and not characteristics & NOT_PRESENT:
        return
    watts = one.number(0x0C, 2)
    most = watts if watts and watts != UNKNOWN_WATTS and watts != 0xFFFF else None
    yield Supply(one.text(0x06), one.text(0x07), one.text(0x0A), hashed(one.text(0x08)), most)
