"""Write ``hardware.csv``: ``python -m wattledger.factors.data.compile_hardware FOLDER [OUTPUT]``.

Not imported by the package.  Facts carry over from FOLDER's ``hardware_embodied.csv``, each with its source, boundary, year and
licence; what has no published figure is made from ``compile_hardware_dies`` by the bottom-up formulas.  The form is ours: no field
holds a comma or a quote, so that the reader may split on commas.  Rows ``pcf.*`` (an ODbL database) are left out; any other
whose licence does not come to one in ``MAY_SHIP``, or whose unit is not of one piece, is refused.
"""

import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median

from wattledger.factors.data.compile_hardware_dies import ACCELERATORS, PROCESSORS, Made
from wattledger.factors.data.compile_hardware_places import LEFT_OUT, PLACES, Place
from wattledger.factors.hardware import bottom_up
from wattledger.factors.hardware.table import Record

OURS = "ours; of cited facts"
MAY_SHIP = {
    "vendor document; single figure cited", "paper; single figure cited", "fact; cited", "CC BY 4.0", "Apache-2.0", "MIT",
    "Licence Ouverte", OURS,
}  # fmt: skip
# How the source sheet names a licence, and what that comes to for one cited figure; any other keeps its name.
LICENCES = {
    "vendor document, cite": "vendor document; single figure cited",
    "paper": "paper; single figure cited",
    "paper CC BY 4.0": "CC BY 4.0",
    "MPL-2.0 code": "fact; cited",
    "AGPL-3.0 software; output quoted as reference": "fact; cited",
    "AGPL-3.0 software; output quoted": "fact; cited",
    "facts; docs in AGPL repo": "fact; cited",
}
DATABASE = "pcf."
TRANSCRIBED = {"chien.a100"}
WHOLE = "kgCO2e"
PIECES = {f"kgCO2e/{piece}" for piece in ("unit", "GPU", "board", "server", "drive")} | {"kgCO2e total life"}  # the last: instances

# Multiplicative half-widths at 95 % by how a figure was got: carbon.md 8.3; "nearest" is a vendor's 1.5 and a kin's 1.6 together.
G95 = {"pcf": 1.5, "published": 2.0, "bottom-up": 2.0, "class": 3.0, "nearest": 2.0}
# Where a maker's or a measured figure stands beside the formula's, it is lower: H100 3.5, B200 5.0, A100 2.5 times.  So what has
# only the formula's may be as far below it; without stacked memory, where no pair is known, a class's 3.
BELOW = {True: 5.0, False: 3.0}

HEADER = """\
# What it emitted to make hardware, by item.  Written by compile_hardware.py: change that, not this.
# An item has one row with default=1, whose low to high holds every figure of making it; the others are those figures, and where
# the boundary says so a whole life's, for comparison alone.  unit: of one whole thing (GPU, board with eight, server).
# keys: names it answers to, between bars (of processors: patterns).  inputs: of figures that are computed.
# method: pcf (the maker's product footprint), published, bottom-up, nearest (a kin's figure, in its boundary, times the ratio
# of the two bottom-up figures), class.  boundary: in the source's own terms; figures of several boundaries stand side by side.
# check: compiled (from a sheet of cited figures), transcribed (by a third party), memory (inputs written down from memory).
# Credit: Luccioni et al. 2022 (BLOOM; CC BY 4.0); Cloud Carbon Footprint (Apache-2.0); ADEME Base Empreinte (Licence Ouverte).
"""


def main(arguments: list[str]) -> None:
    """Compile FOLDER's sheet to OUTPUT (default: beside this file)."""
    sheet = Path(arguments[0], "hardware_embodied.csv")
    output = Path(arguments[1]) if len(arguments) > 1 else Path(__file__).with_name("hardware.csv")
    with sheet.open(encoding="utf-8", newline="") as lines:
        found = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    rows = sorted(compiled(found), key=lambda row: (row.kind, row.item, -int(row.default), row.source))
    for row in rows:
        wrong = [field for field in row if "," in field or '"' in field or "\n" in field]
        if wrong or row.licence not in MAY_SHIP:
            raise SystemExit(f"{row.item}: {row.licence!r} may not ship, or a comma in {wrong}")
    if (defaults := sorted(row.item for row in rows if row.default == "1")) != sorted({row.item for row in rows}):
        raise SystemExit(f"each item has one default; these are: {', '.join(defaults)}")
    output.write_text(HEADER + "\n".join(",".join(row) for row in (Record(*Record._fields), *rows)) + "\n", encoding="utf-8")


def compiled(sheet: Iterable[dict[str, str]]) -> Iterator[Record]:
    """The sheet's figures, and those made from what things are made of; each item with one default."""
    cited = list(_cited(sheet))
    by_item: dict[str, list[Record]] = {}
    for row in cited:
        by_item.setdefault(row.item, []).append(row)
    for made in ACCELERATORS:
        by_item.setdefault(made.item, []).append(_made(made))
    likes = {place.item: place for place in PLACES.values() if place.like}
    likes |= {made.item: Place(made.item, "accelerator", "nearest", like=made.like) for made in ACCELERATORS if made.like}
    stacked = {made.item for made in ACCELERATORS if made.hbm} | {place.item for place in PLACES.values() if place.hbm}
    for item, figures in by_item.items():
        if item in likes:
            figures = [_kin(likes[item], figures, by_item[likes[item].like]), *(f._replace(default="0", keys="") for f in figures)]
        elif item == "server":
            figures = [_middle(figures), *figures]
        yield from _spread(figures, hbm=item in stacked)
    nic = bottom_up.gpu(bottom_up.NIC_CARD)
    yield _row("nic", "nic", "Network adapter", nic, "bottom-up", keys="nic", default=True)._replace(
        boundary=bottom_up.GPU_BOUNDARY, inputs="dies 200 mm2 (taken as typical); 1 GB in 1 dies; small",
        low=_text(nic / G95["class"]), high=_text(nic * G95["class"]),
    )  # fmt: skip
    for silicon in PROCESSORS:
        kg = bottom_up.cpu(silicon.mm2)
        yield _row(silicon.item, "cpu", silicon.model, kg, "bottom-up", keys=silicon.names, default=True)._replace(
            inputs=f"{silicon.mm2:g} mm2 for {silicon.cores} cores" + (f" ({silicon.how})" if silicon.how else ""),
            low=_text(kg / G95["bottom-up"]), high=_text(kg * G95["bottom-up"]),
        )  # fmt: skip


def _cited(sheet: Iterable[dict[str, str]]) -> Iterator[Record]:
    for line in sheet:
        if line["id"].startswith(DATABASE) or line["id"] in LEFT_OUT:
            continue
        if line["id"] not in PLACES or line["unit"] not in PIECES:
            raise SystemExit(f"{line['id']}: there is no place for it, or {line['unit']!r} is not of one piece")
        place = PLACES[line["id"]]
        model, kg, shared = _shared(place.model or line["model"], float(line["gwp_kgco2e"]), place.devices)
        yield Record(
            _keys(place.keys), place.item, place.kind, _plain(model), _text(kg), line["low"], line["high"], WHOLE,
            _plain(line["boundary"]), place.method, _plain(line["source"]), line["year"],
            LICENCES.get(line["licence"], line["licence"]), _check(line), str(int(place.default)),
            note=_plain("; ".join(part for part in (shared, line["note"]) if part)),
        )  # fmt: skip


def _shared(model: str, kg: float, devices: int) -> tuple[str, float, str]:
    """Model and kilograms of one of the devices that a driver shows of one board, and a word on it."""
    if devices == 1:
        return model, kg, ""
    return f"{model} (one of {devices})", kg / devices, f"one of {devices} devices on a board of {_text(kg)} kg"


def _made(made: Made) -> Record:
    board = bottom_up.SMALL_CARD if made.board == "small" else bottom_up.Card()
    card = board._replace(dies_mm2=made.dies_mm2, memory_gb=made.memory_gb, memory_dies=made.memory_dies)
    model, kg, shared = _shared(made.model, bottom_up.gpu(card), made.devices)
    dies = " + ".join(f"{area:g}" for area in made.dies_mm2)
    area_of = "the largest that can be exposed" if made.area_of == "reticle" else made.area_of
    row = _row(made.item, "accelerator", model, kg, "bottom-up", keys=made.names, default=not made.like)
    inputs = f"dies {dies} mm2 ({area_of}); {made.memory_gb:g} GB in {made.memory_dies} dies; {made.board}"
    return row._replace(boundary=bottom_up.GPU_BOUNDARY, inputs=_plain(inputs), note=shared)


def _row(item: str, kind: str, model: str, kg: float, method: str, *, keys: str = "", default: bool = False) -> Record:
    return Record(
        _keys(keys), item, kind, _plain(model), _text(kg), "", "", WHOLE, bottom_up.BOUNDARY, method, _plain(bottom_up.SOURCE),
        bottom_up.YEAR, OURS, "memory", str(int(default)),
    )  # fmt: skip


def _kin(place: Place, figures: list[Record], kin: list[Record]) -> Record:
    """The kin's own figure, times the ratio of what the formula says of both."""
    whole = next(row for row in kin if row.default == "1")
    of_kin = next(float(row.value) for row in kin if row.method == "bottom-up")
    own = next(row for row in figures if row.method == "bottom-up")
    kg = float(whole.value) * float(own.value) / of_kin
    keys = next((row.keys for row in figures if row.keys), "")
    note = f"{whole.model} ({whole.value} kg by {whole.method}) x {own.value} / {of_kin:g} (bottom-up of both)"
    return own._replace(
        keys=keys, value=_text(kg), method="nearest", default="1", note=_plain(note),
        source=_plain(f"{whole.source} and {own.source}"), licence=OURS, low=_text(kg / G95["nearest"]),
        high=_text(kg * G95["nearest"]), boundary=whole.boundary, year=whole.year,
    )  # fmt: skip


def _middle(figures: list[Record]) -> Record:
    """Of servers in general: the median of what it took to make them (a whole life's figure is none of these)."""
    made = [row for row in figures if _of_making(row)]
    kg = median(float(row.value) for row in made)
    sources = "; ".join(f"{row.source} {row.value} kg" for row in made)
    return made[0]._replace(
        keys="", model="Server without accelerators", value=_text(kg), low="", high="", method="class",
        source=_plain(f"median of {sources}"), licence=OURS, default="1", note="", boundary="manufacture", year="2026",
    )  # fmt: skip


def _spread(figures: list[Record], *, hbm: bool) -> Iterator[Record]:
    """With the interval of the default: its own, and every other figure that was published of the item."""
    for row in figures:
        kg = float(row.value)
        g95 = G95[row.method]
        below = BELOW[hbm] if row.method == "bottom-up" and row.kind == "accelerator" else g95
        low, high = float(row.low or kg / below), float(row.high or kg * g95)
        if row.default == "1":
            made = [other for other in figures if _of_making(other)]
            every = [float(end) for other in made for end in (other.value, other.low, other.high) if end]
            low, high = min(low, *every), max(high, *every)
        yield row._replace(low=_text(low), high=_text(high))


def _of_making(row: Record) -> bool:
    """Not of a whole life, use included: that is no bound on what it took to make."""
    return "life" not in row.boundary


def _check(line: dict[str, str]) -> str:
    return "transcribed" if line["id"] in TRANSCRIBED or "via " in line["source"] + line["note"] else "compiled"


def _keys(names: str) -> str:
    return f"|{names}|" if names else ""


def _plain(text: str) -> str:
    return " ".join(text.replace('"', "").replace(",", ";").split())


def _text(kg: float) -> str:
    return f"{kg:.4f}".rstrip("0").rstrip(".")


if __name__ == "__main__":
    main(sys.argv[1:])
