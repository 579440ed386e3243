"""Rated power of processors by name, and of virtual CPUs by microarchitecture, from ``cpu_power.csv``.

The file is searched as text, never parsed: a look-up costs one read and one ``find`` among its 4,900 rows.
"""

import os
import re
import statistics
from functools import cache
from typing import NamedTuple

TABLE = os.path.join(os.path.dirname(__file__), "cpu_power.csv")

# What vendors, kernels and data sheets write around the part that tells two processors apart.
# Applied to the table's names and to the kernel's alike.
_NOISE = (
    (r"\((r|tm|c)\)|[®™]", " "),
    (r"\s+(with|w/)\s+(radeon|intel|vega).*$", ""),
    (r"@\s*[\d.]+\s*[gm]hz", " "),
    (r"\((oem only|\d+w)\)", " "),
    (r"\b\d+(st|nd|rd|th) gen(eration)?\b", " "),
    (r"\b(\d+|two|four|six|eight|twelve|sixteen)[- ]cores?\b", " "),
    (r"\b(intel|amd|genuine|cpu|apu|soc|processor|mobile processor)\b", " "),
    (r"(?<=\d)v(?=\d$)", " v"),
    (r"\bcore i([3579]) (?=\d)", r"core i\1-"),
    (r"\b0$", ""),  # Xeon E5-26xx of the first generation announce themselves as "... 0 @ 2.60GHz"
)
_NOISE_COMPILED = tuple((re.compile(pattern), into) for pattern, into in _NOISE)

# (vendor, family, first model, last model, first stepping) -> the name in the table, the last that fits wins.
# Model numbers as the vendors publish them in CPUID; Skylake, Cascade and Cooper Lake share one and differ by stepping.
_X86 = (
    ("AuthenticAMD", 23, 0x00, 0x2F, 0, "epyc 1st gen"),
    ("AuthenticAMD", 23, 0x30, 0x3F, 0, "epyc 2nd gen"),
    ("AuthenticAMD", 25, 0x00, 0x0F, 0, "epyc 3rd gen"),
    ("AuthenticAMD", 25, 0x10, 0x1F, 0, "epyc 4th gen"),
    ("AuthenticAMD", 25, 0xA0, 0xAF, 0, "epyc 4th gen"),
    ("AuthenticAMD", 26, 0x00, 0x1F, 0, "epyc 5th gen"),
    ("GenuineIntel", 6, 0x2D, 0x2D, 0, "sandy bridge"),
    ("GenuineIntel", 6, 0x3E, 0x3E, 0, "ivy bridge"),
    ("GenuineIntel", 6, 0x3F, 0x3F, 0, "haswell"),
    ("GenuineIntel", 6, 0x4F, 0x4F, 0, "broadwell"),
    ("GenuineIntel", 6, 0x56, 0x56, 0, "broadwell"),
    ("GenuineIntel", 6, 0x55, 0x55, 0, "skylake"),
    ("GenuineIntel", 6, 0x55, 0x55, 5, "cascade lake"),
    ("GenuineIntel", 6, 0x9E, 0x9E, 0, "coffee lake"),
    ("GenuineIntel", 6, 0x6A, 0x6C, 0, "ice lake"),
    ("GenuineIntel", 6, 0x8F, 0x8F, 0, "sapphire rapids"),
    ("GenuineIntel", 6, 0xCF, 0xCF, 0, "emerald rapids"),
    ("GenuineIntel", 6, 0xAD, 0xAE, 0, "granite rapids"),
)
_ARM = {0xD0C: "graviton2", 0xD40: "graviton3", 0xD4F: "graviton4"}  # Neoverse N1, V1, V2
# No figure of its own that could be true (see the table's head): the generation before it stands in, and says so.
STAND_INS = {"epyc 5th gen": "epyc 4th gen"}


class Rating(NamedTuple):
    """Watts at most and at rest (``None``: not in the table), whose figures they are, and how they were found."""

    max_w: float
    idle_w: float | None
    origin: str
    licence: str
    how: str


def normalise(name: str) -> str:
    """What tells a processor apart: ``Intel(R) Xeon(R) CPU E5-2650 v2 @ 2.60GHz`` and ``Xeon E5-2650 v2`` are one."""
    key = name.lower().replace("\xa0", " ").replace(",", " ")
    for pattern, into in _NOISE_COMPILED:
        key = " ".join(pattern.sub(into, key).split())
    return key


def microarchitecture(vendor: str, family: int, model: int, stepping: int) -> str | None:
    if vendor == "ARM":
        return _ARM.get(model)
    fits = [row[5] for row in _X86 if row[:2] == (vendor, family) and row[2] <= model <= row[3] and stepping >= row[4]]
    return fits[-1] if fits else None


def processor(name: str) -> Rating | None:
    """The rated power (TDP) of one socket: of this name, or without suffix letters, or the median of its relatives."""
    key = normalise(name)
    if not key:
        return None
    bare = re.sub(r"(?<=\d)[a-z+]+$", "", key)
    for candidate in dict.fromkeys((key, bare)):
        if row := _row(candidate):
            return row._replace(how="rated" if candidate == key else f"rated, as {candidate}")
    stem = re.match(r"(.*[ -]\D?\d)[\w+-]*$", key)
    relatives = _rows(stem[1]) if stem and len(stem[1]) > 4 else []
    if len(relatives) < 3:
        return None
    middle = statistics.median(row.max_w for row in relatives)
    how = f"median of {len(relatives)} relatives ({stem[1] if stem else ''}...)"
    return relatives[0]._replace(max_w=middle, how=how)


def virtual_cpu(microarch: str | None) -> Rating:
    """Watts of one virtual CPU, of this microarchitecture or, where it is unknown, the median of all that are known."""
    row = _row(f"vcpu {microarch}") if microarch else None
    if row:
        return row._replace(how=f"{microarch} class")
    stand_in = _row(f"vcpu {STAND_INS.get(microarch or '', '')}")
    if stand_in:
        return stand_in._replace(how=f"{microarch} class, by the figures of {STAND_INS[microarch or '']}")
    rows = _rows("vcpu ")
    return rows[0]._replace(
        max_w=statistics.median(row.max_w for row in rows),
        idle_w=statistics.median(row.idle_w for row in rows if row.idle_w is not None),
        how=f"unknown class, median of {len(rows)}",
    )


def core_key(cores: int) -> str:
    """Watts per core fall with the number of cores that share a socket."""
    return "core of 1-8" if cores <= 8 else "core of 9-16" if cores <= 16 else "core of 17+"


def nameless(cores: int) -> Rating:
    """The rated power of one socket of so many cores whose name says nothing."""
    row = _row(core_key(cores))
    if row is None:
        raise LookupError(f"{TABLE}: no row {core_key(cores)!r}; compile it again")
    how = f"unknown name, {row.max_w:g} W for each of {cores} cores (median)"
    return row._replace(max_w=row.max_w * cores, how=how)


@cache
def _text() -> str:
    with open(TABLE, encoding="utf-8") as file:
        return file.read()


def _row(key: str) -> Rating | None:
    text = _text()
    start = text.find(f"\n{key},") + 1
    return _parse(text[start : text.index("\n", start)]) if start else None


def _rows(prefix: str) -> list[Rating]:
    return [_parse(line) for line in re.findall(rf"^{re.escape(prefix)}.*$", _text(), re.MULTILINE)]


def _parse(line: str) -> Rating:
    _, max_w, idle_w, origin, licence = line.split(",")
    return Rating(float(max_w), float(idle_w) if idle_w else None, origin, licence, "")
