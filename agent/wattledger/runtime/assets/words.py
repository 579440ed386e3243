"""What firmware and drivers say of themselves: small files, placeholders that say nothing, and serials that are only hashed."""

from collections.abc import Iterator
from pathlib import Path

from wattledger.accounting.assets.passport_fields import hashed_serial

# What vendors leave in fields that they did not fill in.
PLACEHOLDERS = {
    "", "-", "0", "none", "null", "n/a", "na", "unknown", "undefined", "not specified", "not available", "not present",
    "not provided", "no dimm", "empty", "default string", "default", "system product name", "system manufacturer",
    "system serial number", "system version", "chassis serial number", "base board serial number", "to be filled by o.e.m.",
    "to be filled by oem", "o.e.m.", "oem", "xxxxxxxx", "0123456789", "123456789", "1234567890", "01234567", "serial",
    "serial number", "part number", "manufacturer", "fill by oem", "invalid", "type1productconfigid", "not settable", "all series",
}  # fmt: skip
FOLDER_MOST = 4096  # entries: no bus has more, and a tree that is not sysfs must not hold us up


def read(path: Path, most: int = 4096) -> str:
    """The text of a small file, stripped; empty where it is not there, may not be read, or does not answer."""
    return read_bytes(path, most).decode("utf-8", "replace").replace("\x00", " ").strip()


def read_bytes(path: Path, most: int = 4096) -> bytes:
    """The first bytes of a file; none where it is not there, may not be read, or does not answer."""
    try:
        with path.open("rb", buffering=0) as file:
            return file.read(most) or b""
    except (OSError, ValueError):
        return b""


def listed(folder: Path) -> list[Path]:
    """What is in a folder, by name; nothing where it cannot be read."""
    try:
        return sorted(_some(folder))
    except OSError:
        return []


def _some(folder: Path) -> Iterator[Path]:
    for count, path in enumerate(folder.iterdir()):
        if count == FOLDER_MOST:
            return
        yield path


def known(text: str) -> str:
    """The words on one line without blanks around and between, or empty where they say nothing."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())[:128]
    bare = line.casefold().strip(" .-_*#")
    return "" if bare in PLACEHOLDERS or line.casefold() in PLACEHOLDERS or not bare.strip("0fx") else line


def hashed(serial: str) -> str:
    """``sha256:…`` of a serial as passports hash it, or empty where there is none: a serial itself never enters the books."""
    said = known(serial)
    return hashed_serial(said) if said else ""


def whole(text: str) -> int | None:
    """A count that a file says in decimal; ``None`` where it says none, or a negative one (speed of a link that is down)."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
