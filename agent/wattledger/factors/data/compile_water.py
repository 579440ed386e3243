"""Write ``water.csv`` from a folder of source tables: ``python compile_water.py FOLDER [OUTPUT]``, and ``generation_mix.csv`` from
a file of yearly generation by country: ``python compile_water.py --mix FILE.json FOLDER [OUTPUT]``.

Not imported by the package.  Facts carry over, each row with its source, year, boundary and licence; the form is ours: no field
holds a comma or a quote, so that the reader may split on commas.  FOLDER holds ``water_factors.csv`` and
``grid_intensity_country.csv`` (for the countries' codes).  Rows that only repeat the world's average under a country's name are not
national values: the world's row ships alone.
"""

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from wattledger.factors.water.ewif import Record

GALLON_L = 3.785411784  # US liquid gallon, exactly (231 cubic inches)
KWH_PER_MWH = 1000
WRI = "WRI guidance on water in purchased electricity (2020) in the form of EcoLogits 0.11.3"
LI = "Li; Yang; Islam; Ren: Making AI Less Thirsty (arXiv 2304.03271)"
MACKNICK = "Macknick et al. 2012 (NREL): median of hydropower; in-stream and reservoir"
OPERATOR = "the operator's own report in the form of EcoLogits 0.11.3"
OWID = "Our World in Data energy data (Ember and Energy Institute) in the form of CodeCarbon 3.3.2"
MAY_SHIP = {"CC BY 4.0", "MIT", "public domain", "single figure; cited"}
# Key of the source's row → provider.  What other rows say of one region or a range is not a provider's average, or may not ship.
OPERATORS = {"Google": "gcp", "Microsoft Azure": "azure"}
FUELS = {"natural gas": "gas"} | {name: name for name in ("coal", "nuclear", "oil", "other", "solar", "wind")}
# Median, in gallons per MWh (1,425 to 18,000 between plants): NREL/TP-6A20-50900, from memory.
HYDRO_GAL_PER_MWH = 4491
# Our fuel → the columns of the file that are it.
GENERATED = {
    "coal": ("coal_TWh",), "gas": ("gas_TWh",), "oil": ("oil_TWh",), "nuclear": ("nuclear_TWh",),
    "hydro": ("hydroelectricity_TWh",), "solar": ("solar_TWh",), "wind": ("wind_TWh",),
    "other": ("biofuel_TWh", "other_renewable_exc_biofuel_TWh"),
}  # fmt: skip
OLDEST = 2022

HEADER = """\
# Water consumed (evaporated), litres per kWh: off-site of electricity generated, on-site of IT energy.  Written by
# compile_water.py: change that, not this.
# kind: world, national (of a country by its codes), fuel (off-site by what the electricity is made of), operator (on-site average).
# check: compiled, from memory (to be checked at the publisher).
# Credit: WRI (CC BY 4.0); EcoLogits (the figures, as facts); P. Li, J. Yang, M. A. Islam, S. Ren (MIT); NREL (public domain).
"""
MIX_HEADER = f"""\
# Electricity generated in a year by country and by what it was made of, TWh.  Written by compile_water.py: change that, not this.
# Every row: {OWID}, CC BY 4.0 (CodeCarbon: MIT), transcribed.
# other: biomass, waste, geothermal.  WORLD: the sum of the countries below.
"""


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV under leading comment lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    return list(csv.DictReader(lines[first:]))


def national(rows: list[dict[str, str]], codes: Mapping[str, str]) -> Iterator[Record]:
    """The world's average, and the countries that have a value of their own."""
    boundary = "consumed by power stations; reservoirs' evaporation allocated to hydro power"
    for row in rows:
        if row["kind"] != "offsite_country" or "world default" in row["note"]:
            continue
        iso3 = row["key"]
        world = iso3 == "WOR"
        zone = "WORLD" if world else codes[iso3]
        keys = "|WORLD|" if world else f"|{zone}|{iso3}|"
        value = f"{float(row['value']):g}"
        kind = "world" if world else "national"
        yield Record(keys, kind, zone, value, boundary, WRI, row["year"], "CC BY 4.0", "compiled")


def fuels(rows: list[dict[str, str]]) -> Iterator[Record]:
    """By fuel, from gallons per MWh: exact, where the source table has rounded litres."""
    for row in rows:
        if row["kind"] == "offsite_fuel" and row["key"] in FUELS:
            gallons = int(row["boundary"].split(" gal/MWh")[0])
            yield of_fuel(FUELS[row["key"]], gallons, LI, row["year"], "MIT", "compiled")
    yield of_fuel("hydro", HYDRO_GAL_PER_MWH, MACKNICK, "2012", "public domain", "from memory")


def of_fuel(name: str, gal_per_mwh: int, *said: str) -> Record:
    value = f"{gal_per_mwh * GALLON_L / KWH_PER_MWH:.9g}"
    boundary = "evaporated by reservoirs" if name == "hydro" else "consumed by power stations"
    return Record(f"|{name}|", "fuel", name, value, boundary, *said)


def operators(rows: list[dict[str, str]]) -> Iterator[Record]:
    for row in rows:
        if row["kind"] == "onsite_wue" and row["key"] in OPERATORS:
            provider = OPERATORS[row["key"]]
            value = f"{float(row['value']):g}"
            said = "consumed by cooling; average of all sites", OPERATOR, row["year"], "single figure; cited", "compiled"
            yield Record(f"|{provider}|", "operator", provider, value, *said)


def compile_water(folder: Path) -> str:
    """The text of ``water.csv``; raises ``ValueError`` for a row that may not ship or does not fit the form."""
    given = table(folder / "water_factors.csv")
    rows = [*national(given, codes_in(folder)), *fuels(given), *operators(given)]
    lines = [",".join(Record._fields)]
    for row in sorted(rows, key=lambda row: (row.kind, row.name)):
        if row.licence not in MAY_SHIP:
            raise ValueError(f"{row.name}: licence {row.licence!r} may not ship")
        lines.append(joined(row))
    return HEADER + "\n".join(lines) + "\n"


def compile_mix(file: Path, folder: Path) -> str:
    """The text of ``generation_mix.csv``."""
    codes, whole = codes_in(folder), dict.fromkeys(GENERATED, 0.0)
    lines = [",".join(("keys", "zone", "year", *GENERATED))]
    found = []
    for iso3, said in json.loads(file.read_text(encoding="utf-8")).items():
        made = {fuel: sum(float(said.get(name) or 0) for name in names) for fuel, names in GENERATED.items()}
        if iso3 not in codes or said["year"] < OLDEST or not sum(made.values()):
            continue
        whole = {fuel: whole[fuel] + made[fuel] for fuel in GENERATED}
        zone = codes[iso3]
        found.append((f"|{zone}|{iso3}|", zone, str(said["year"]), *(f"{amount:.6g}" for amount in made.values())))
    newest = max(row[2] for row in found)
    lines += [joined(row) for row in sorted(found, key=lambda row: row[1])]
    lines.append(joined(("|WORLD|", "WORLD", newest, *(f"{amount:.6g}" for amount in whole.values()))))
    return MIX_HEADER + "\n".join(lines) + "\n"


def codes_in(folder: Path) -> dict[str, str]:
    """ISO 3166: three letters → two."""
    rows = table(folder / "grid_intensity_country.csv")
    return {row["iso3"]: row["iso2"] for row in rows if row["iso3"] and row["iso2"]}


def joined(row: tuple[str, ...]) -> str:
    if any(mark in field for field in row for mark in ',"\n'):
        raise ValueError(f"a field holds a comma or a quote: {row}")
    return ",".join(row)


if __name__ == "__main__":
    here, words = Path(__file__).parent, sys.argv[1:]
    if words[0] == "--mix":
        name, text, rest = "generation_mix.csv", compile_mix(Path(words[1]), Path(words[2])), words[3:]
    else:
        name, text, rest = "water.csv", compile_water(Path(words[0])), words[1:]
    (Path(rest[0]) if rest else here / name).write_text(text, encoding="utf-8")
