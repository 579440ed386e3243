"""Write ``hardware.csv``: ``python -m wattledger.factors.data.compile_hardware FOLDER [OUTPUT]``.

Not imported by the package.  Facts carry over from FOLDER's ``hardware_embodied.csv``, each with its source, boundary, year and
licence; what has no published figure is made from ``compile_hardware_dies`` by the bottom-up formulas.  The form is ours: no field
holds a comma or a quote, so that the reader may split on commas.  Rows ``pcf.*`` (an ODbL database) are left out; any other
whose licence does not come to one in ``MAY_SHIP`` is refused.
"""

import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from wattledger.factors.data.compile_hardware_dies import ACCELERATORS, PROCESSORS, Made
from wattledger.factors.hardware import bottom_up

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

# Multiplicative half-widths at 95 % by how a figure was got: carbon.md 8.3; "nearest" is a vendor's 1.5 and a kin's 1.6 together.
G95 = {"pcf": 1.5, "published": 2.0, "bottom-up": 2.0, "class": 3.0, "nearest": 2.0}
# Where a maker's or a measured figure stands beside the formula's, it is lower: H100 3.5, B200 5.0, A100 2.5 times.  So what has
# only the formula's may be as far below it; without stacked memory, where no pair is known, a class's 3.
BELOW = {True: 5.0, False: 3.0}
SMALL = {"mass_kg": 0.3, "heatsink_kg": 0.15, "casing_kg": 0.05, "pwb_cm2": 110.0}

HEADER = """\
# What it emitted to make hardware, by item.  Written by compile_hardware.py: change that, not this.
# An item has one row with default=1, whose low to high holds every figure published of it; the others are those figures.
# keys: names it answers to, between bars (of processors: patterns).  inputs: of figures that are computed.
# method: pcf (the maker's product footprint), published, bottom-up, nearest (a kin's figure times the ratio of the two bottom-up
# figures), class.  boundary: in the source's own terms; figures of several boundaries stand side by side.
# check: compiled (from a sheet of cited figures), transcribed (by a third party), memory (inputs written down from memory).
# Credit: Luccioni et al. 2022 (BLOOM; CC BY 4.0); Cloud Carbon Footprint (Apache-2.0); ADEME Base Empreinte (Licence Ouverte).
"""


class Row(NamedTuple):
    """One line of ``hardware.csv``."""

    keys: str
    item: str
    kind: str
    model: str
    value: str
    low: str
    high: str
    unit: str
    boundary: str
    method: str
    source: str
    year: str
    licence: str
    check: str
    default: str
    inputs: str = ""
    note: str = ""


class Place(NamedTuple):
    """Where a row of the sheet goes: its item, kind, names, whether it is the item's default, how it was got."""

    item: str
    kind: str
    method: str
    keys: str = ""
    default: bool = False
    hbm: bool = False
    model: str = ""
    like: str = ""  # a kin's item: this figure is kept, and the default is the kin's, scaled


A100, H100, B200 = "a100-sxm-40gb", "h100-sxm-80gb", "b200"
B = "boavizta."
# fmt: off
PLACES = {
    "nvidia.hgx_h100": Place("hgx-h100", "board", "pcf", "hgx h100", True),
    "nvidia.hgx_b200": Place("hgx-b200", "board", "pcf", "hgx b200", True),
    "nvidia.h100_share": Place(H100, "accelerator", "pcf", "h100|h100 sxm|h100 sxm5|h100 80gb", True, True, "NVIDIA H100 SXM 80GB"),
    "ecologits.gpu": Place(H100, "accelerator", "published"),
    B + "nvidia_h100_sxm_80gb": Place(H100, "accelerator", "bottom-up"),
    "nvidia.b200_share": Place(B200, "accelerator", "pcf", "b200|b200 180gb", True, True, "NVIDIA B200 180GB"),
    B + "nvidia_b200_180gb": Place(B200, "accelerator", "bottom-up"),
    "falk.a100_sxm_40": Place(A100, "accelerator", "published", "a100|a100 sxm4|a100 sxm4 40gb|a100 40gb", True, True),
    "chien.a100": Place(A100, "accelerator", "published"),
    B + "nvidia_a100_sxm4_40gb": Place(A100, "accelerator", "bottom-up"),
    B + "nvidia_a100_sxm4_80gb": Place("a100-sxm-80gb", "accelerator", "bottom-up", "a100 80gb|a100 sxm4 80gb", hbm=True, like=A100),
    "bloom.gpu": Place("a100-sxm-80gb", "accelerator", "published"),
    B + "nvidia_a100_pcie_40gb": Place("a100-pcie-40gb", "accelerator", "bottom-up", "a100 pcie|a100 pcie 40gb", hbm=True, like=A100),
    B + "nvidia_a100_pcie_80gb": Place("a100-pcie-80gb", "accelerator", "bottom-up", "a100 pcie 80gb|a100 80gb pcie", hbm=True,
                                       like=A100),
    B + "nvidia_h100_pcie_80gb": Place("h100-pcie-80gb", "accelerator", "bottom-up", "h100 pcie|h100 pcie 80gb", hbm=True, like=H100),
    B + "nvidia_h100_nvl_94gb": Place("h100-nvl-94gb", "accelerator", "bottom-up", "h100 nvl|h100 94gb|h100 nvl 94gb", hbm=True,
                                      like=H100),
    B + "nvidia_h200_sxm_141gb": Place("h200-141gb", "accelerator", "bottom-up", "h200|h200 141gb|h200 nvl|h200 143gb", hbm=True,
                                       like=H100),
    B + "nvidia_b300_288gb": Place("b300", "accelerator", "bottom-up", "b300|b300 288gb|b300 275gb", hbm=True, like=B200),
    B + "amd_instinct_mi300x_192gb": Place("mi300x", "accelerator", "bottom-up", "mi300x|mi300", True, True),
    B + "nvidia_p100": Place("p100", "accelerator", "bottom-up", "p100|p100 16gb", True, True),
    B + "nvidia_l4": Place("l4", "accelerator", "bottom-up", "l4", True),
    B + "nvidia_l40s_48gb": Place("l40s", "accelerator", "bottom-up", "l40s", True),
    B + "nvidia_t4": Place("t4", "accelerator", "bottom-up", "t4|t4g", True),
    B + "nvidia_a10": Place("a10", "accelerator", "bottom-up", "a10|a10g", True),
    B + "nvidia_tesla_p4": Place("p4", "accelerator", "bottom-up", "p4", True),
    B + "nvidia_tesla_m60": Place("m60", "accelerator", "bottom-up", "m60", True),
    B + "nvidia_tesla_v100_sxm2_16gb": Place("v100-sxm2-16gb", "accelerator", "bottom-up", "v100|v100 sxm2 16gb|v100 16gb", True, True),
    B + "nvidia_tesla_v100_sxm2_32gb": Place("v100-sxm2-32gb", "accelerator", "bottom-up", "v100 32gb|v100 sxm2 32gb", True, True),
    B + "nvidia_tesla_v100_pcie_16gb": Place("v100-pcie-16gb", "accelerator", "bottom-up", "v100 pcie|v100 pcie 16gb", True, True),
    B + "nvidia_tesla_v100_pcie_32gb": Place("v100-pcie-32gb", "accelerator", "bottom-up", "v100 pcie 32gb", True, True),
    B + "nvidia_tesla_v100s_pcie_32gb": Place("v100s-pcie-32gb", "accelerator", "bottom-up", "v100s", True, True),
    B + "nvidia_gtx_1080_ti": Place("gtx-1080-ti", "accelerator", "bottom-up", "gtx 1080", True),
    B + "nvidia_titan_rtx": Place("titan-rtx", "accelerator", "bottom-up", "titan rtx", True),
    B + "nvidia_rtx_a4500": Place("rtx-a4500", "accelerator", "bottom-up", "a4500", True),
    B + "nvidia_quadro_rtx_5000": Place("quadro-rtx-5000", "accelerator", "bottom-up", "quadro rtx 5000", True),
    B + "nvidia_rtx_pro_6000_blackwell_server_edition_96gb": Place("rtx-pro-6000", "accelerator", "bottom-up", "rtx pro 6000", True),
    B + "nvidia_rtx_pro_4500_blackwell_server_edition_32gb": Place("rtx-pro-4500", "accelerator", "bottom-up", "rtx pro 4500", True),
    B + "amd_radeon_pro_v710": Place("radeon-pro-v710", "accelerator", "bottom-up", "v710", True),
    B + "amd_radeon_pro_v520": Place("radeon-pro-v520", "accelerator", "bottom-up", "v520", True),
    B + "amd_radeon_pro_v620": Place("radeon-pro-v620", "accelerator", "bottom-up", "v620", True),
    B + "amd_radeon_instinct_mi25": Place("mi25", "accelerator", "bottom-up", "mi25", True, True),
    "bloom.server": Place("server", "server", "published"),
    "ecologits.server": Place("server", "server", "published"),
    "ccf.base": Place("server", "server", "published"),
    "ademe.server": Place("server", "server", "published"),
    B + "inst.dellR740": Place("server", "server", "bottom-up"),
    B + "inst.platform_compute_medium": Place("server", "server", "bottom-up"),
    B + "inst.p5.48xlarge": Place("p5.48xlarge", "instance", "bottom-up", "p5.48xlarge", True),
    B + "inst.p4d.24xlarge": Place("p4d.24xlarge", "instance", "bottom-up", "p4d.24xlarge", True),
    B + "inst.p3dn.24xlarge": Place("p3dn.24xlarge", "instance", "bottom-up", "p3dn.24xlarge", True),
    B + "inst.m5.xlarge": Place("m5.xlarge", "instance", "bottom-up", "m5.xlarge", True),
    B + "hdd": Place("hdd", "hdd", "bottom-up", "hdd", True),
    B + "psu": Place("psu", "psu", "bottom-up", "psu", True),
    B + "rack_case": Place("chassis-rack", "chassis", "bottom-up", "rack", True),
    B + "blade_case": Place("chassis-blade", "chassis", "bottom-up", "blade", True),
    B + "motherboard": Place("board", "board", "bottom-up", "board", True),
    B + "assembly": Place("assembly", "assembly", "bottom-up", "assembly", True),
    "llmcarbon.cpa_a100": Place("wafer-7nm", "silicon", "published", "wafer 7nm", True),
    "llmcarbon.cpa_h100": Place("wafer-4n", "silicon", "published", "wafer 4n", True),
}
# fmt: on
# Rows of the sheet that are constants of a formula, and stand in bottom_up.py.
CONSTANTS = {B + part for part in ("cpu_die", "cpu_base", "ram_die", "ram_base", "ssd_die", "ssd_base")}


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
    output.write_text(HEADER + "\n".join(",".join(row) for row in (Row(*Row._fields), *rows)) + "\n", encoding="utf-8")


def compiled(sheet: Iterable[dict[str, str]]) -> Iterator[Row]:
    """The sheet's figures, and those made from what things are made of; each item with one default."""
    cited = list(_cited(sheet))
    by_item: dict[str, list[Row]] = {}
    for row in cited:
        by_item.setdefault(row.item, []).append(row)
    for made in ACCELERATORS:
        by_item.setdefault(made.item, []).append(_made(made))
    likes = {place.item: place for place in PLACES.values() if place.like}
    likes |= {made.item: Place(made.item, "accelerator", "nearest", hbm=made.hbm, like=made.like) for made in ACCELERATORS if made.like}
    stacked = {made.item for made in ACCELERATORS if made.hbm} | {place.item for place in PLACES.values() if place.hbm}
    for item, figures in by_item.items():
        if item in likes:
            figures = [_kin(likes[item], figures, by_item[likes[item].like]), *(f._replace(default="0", keys="") for f in figures)]
        elif item == "server":
            figures = [_middle(figures), *figures]
        yield from _spread(figures, hbm=item in stacked)
    for silicon in PROCESSORS:
        kg = bottom_up.cpu(silicon.mm2)
        yield _row(silicon.item, "cpu", silicon.model, kg, "bottom-up", keys=silicon.names, default=True)._replace(
            inputs=f"{silicon.mm2:g} mm2 for {silicon.cores} cores" + (f" ({silicon.how})" if silicon.how else ""),
            low=_text(kg / G95["bottom-up"]), high=_text(kg * G95["bottom-up"]),
        )  # fmt: skip


def _cited(sheet: Iterable[dict[str, str]]) -> Iterator[Row]:
    for line in sheet:
        if line["id"].startswith(DATABASE) or line["id"] in CONSTANTS:
            continue
        place = PLACES[line["id"]]
        yield Row(
            _keys(place.keys), place.item, place.kind, _plain(place.model or line["model"]), _text(float(line["gwp_kgco2e"])),
            line["low"], line["high"], _plain(line["unit"]), _plain(line["boundary"]), place.method, _plain(line["source"]),
            line["year"], LICENCES.get(line["licence"], line["licence"]), "compiled", str(int(place.default)),
            note=_plain(line["note"]),
        )  # fmt: skip


def _made(made: Made) -> Row:
    size = SMALL if made.board == "small" else {}
    card = bottom_up.Card(made.dies_mm2, made.memory_gb, made.memory_dies, **size)
    kg = bottom_up.gpu(card)
    dies = " + ".join(f"{area:g}" for area in made.dies_mm2)
    area_of = "the largest that can be exposed" if made.area_of == "reticle" else made.area_of
    row = _row(made.item, "accelerator", made.model, kg, "bottom-up", keys=made.names, default=not made.like)
    inputs = f"dies {dies} mm2 ({area_of}); {made.memory_gb:g} GB in {made.memory_dies} dies; {made.board}"
    return row._replace(boundary=bottom_up.GPU_BOUNDARY, inputs=_plain(inputs))


def _row(item: str, kind: str, model: str, kg: float, method: str, *, keys: str = "", default: bool = False) -> Row:
    return Row(
        _keys(keys), item, kind, _plain(model), _text(kg), "", "", "kgCO2e/unit", bottom_up.BOUNDARY, method, _plain(bottom_up.SOURCE),
        bottom_up.YEAR, OURS, "memory", str(int(default)),
    )  # fmt: skip


def _kin(place: Place, figures: list[Row], kin: list[Row]) -> Row:
    """The kin's own figure, times the ratio of what the formula says of both."""
    whole = next(row for row in kin if row.default == "1")
    of_kin = next(float(row.value) for row in kin if row.method == "bottom-up")
    own = next(row for row in figures if row.method == "bottom-up")
    kg = float(whole.value) * float(own.value) / of_kin
    keys = next((row.keys for row in figures if row.keys), "")
    note = f"{whole.model} ({whole.value} kg by {whole.method}) x {own.value} / {of_kin:g} (bottom-up of both)"
    return own._replace(
        keys=keys, value=_text(kg), method="nearest", default="1", note=_plain(note), source=_plain(f"{whole.source} and {own.source}"),
        licence=OURS, low=_text(kg / G95["nearest"]), high=_text(kg * G95["nearest"]),
    )  # fmt: skip


def _middle(figures: list[Row]) -> Row:
    """Of servers in general: the median of what it took to make them (a whole life's figure is none of these)."""
    made = [row for row in figures if "life" not in row.boundary]
    kg = median(float(row.value) for row in made)
    sources = "; ".join(f"{row.source} {row.value} kg" for row in made)
    return made[0]._replace(
        keys="", model="Server without accelerators", value=_text(kg), low="", high="", method="class", source=_plain(f"median of {sources}"),
        licence=OURS, default="1", note="", boundary="manufacture", unit="kgCO2e/unit", year="2026",
    )  # fmt: skip


def _spread(figures: list[Row], *, hbm: bool) -> Iterator[Row]:
    """With the interval of the default: its own, and every other figure that was published of the item."""
    for row in figures:
        kg = float(row.value)
        g95 = G95[row.method]
        below = BELOW[hbm] if row.method == "bottom-up" and row.kind == "accelerator" else g95
        low, high = float(row.low or kg / below), float(row.high or kg * g95)
        if row.default == "1":
            every = [float(end) for other in figures for end in (other.value, other.low, other.high) if end]
            low, high = min(low, *every), max(high, *every)
        yield row._replace(low=_text(low), high=_text(high))


def _keys(names: str) -> str:
    return f"|{names}|" if names else ""


def _plain(text: str) -> str:
    return " ".join(text.replace('"', "").replace(",", ";").split())


def _text(kg: float) -> str:
    return f"{kg:.4f}".rstrip("0").rstrip(".")


if __name__ == "__main__":
    main(sys.argv[1:])
