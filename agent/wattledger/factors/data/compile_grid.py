"""Write ``grid_annual.csv`` from a folder of source tables: ``python compile_grid.py FOLDER [OUTPUT]``.

Not imported by the package.  Facts carry over, each row with its source, year, boundary and licence; the form is ours:
no field holds a comma or a quote, so that the reader may split on commas.  FOLDER holds ``grid_intensity_country.csv``
(Ember), ``grid_intensity_official.csv`` and ``egrid_subregions.csv``.  Refuses a row whose licence is not in
``MAY_SHIP``.
"""

import csv
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from math import exp, log
from pathlib import Path
from typing import NamedTuple

PUBLIC_NOTICE = "public notice; compilation MIT"
MAY_SHIP = {"public domain", "CC BY 4.0", "OGL v3", "Open Government Licence Canada", PUBLIC_NOTICE}

SHORT = {
    "CD": "Congo (Democratic Republic)",
    "CK": "Cook Islands",
    "FK": "Falkland Islands",
    "HK": "Hong Kong",
    "LA": "Laos",
    "MO": "Macao",
    "PS": "Palestine",
    "PH": "Philippines",
    "TW": "Taiwan",
    "TZ": "Tanzania",
    "VG": "British Virgin Islands",
    "VI": "US Virgin Islands",
    "BA": "Bosnia and Herzegovina",
    "EU": "European Union",
}
# What else people call a place.
# fmt: off
ALSO = {
    "AE": "UAE|Emirates", "CD": "DRC", "CI": "Ivory Coast", "CZ": "Czech Republic", "EU": "EU27",
    "GB": "UK|Great Britain", "IR": "Islamic Republic of Iran", "KR": "Korea|Republic of Korea", "LA": "Lao PDR",
    "NL": "Holland", "RU": "Russian Federation", "SZ": "Swaziland", "TR": "Turkey", "VN": "Vietnam",
    "US": "United States of America|America", "WORLD": "Global|World average", "AU-NSW": "AU-ACT", "AU-WA": "AU-SWIS",
    "US-ERCT": "ERCOT",
}
# fmt: on
# How the source tables begin the names of one publisher, and how we write it: a direct row and its upstream must be
# seen to be a pair.
PUBLISHERS = {
    "EEA": "EEA greenhouse gas emission intensity of electricity generation",
    "UK DESNZ": "UK DESNZ/Defra conversion factors",
    "Australia NGA": "Australian National Greenhouse Accounts Factors",
    "NZ MfE": "New Zealand MfE Measuring Emissions",
    "China MEE": "China MEE and NBS announcement 2024 no. 33",
    "ECCC": "Canada ECCC emission factors v3",
}
AVERAGES = "Africa|Asia|EU|Europe|Latin America and Caribbean|Middle East|North America|Oceania|World"
PLACES = AVERAGES.split("|")

# The name of a part of a country as we show it; its zone is the country's code and the key.
PARTS = {
    "AUS": {
        "NSW/ACT": ("NSW", "New South Wales and ACT"),
        "VIC": ("VIC", "Victoria (Australia)"),
        "QLD": ("QLD", "Queensland"),
        "SA": ("SA", "South Australia"),
        "WA-SWIS": ("WA", "Western Australia (SWIS)"),
        "TAS": ("TAS", "Tasmania"),
        "NT": ("NT", "Northern Territory"),
    },
    "CAN": {"ON": ("ON", "Ontario"), "QC": ("QC", "Quebec"), "BC": ("BC", "British Columbia"), "AB": ("AB", "Alberta")},
    "CHN": {
        part: (part.upper(), f"{part} China grid")
        for part in ("North", "Northeast", "East", "Central", "Northwest", "South", "Southwest")
    },
}

HEADER = """\
# Annual grid intensity by zone, g per kWh of electricity.  Written by compile_grid.py: change that, not this.
# boundary: direct (what the power plants emit), lifecycle (with fuel supply and building), upstream (what direct leaves
# out; belongs to the direct row of the same source).
# check: seen, two witnesses, transcribed, compiled, verify (to be checked at the publisher).
# scope: the boundary in the source's own terms.  note: what a reader of the figure must be told.
# spread_g95: of averages over many countries, how far a place in them may be off (spread() in compile_grid.py).
# Credit: Ember (CC BY 4.0); European Environment Agency (CC BY 4.0); contains public sector information licensed under
# the Open Government Licence v3.0 (UK DESNZ) and the Open Government Licence - Canada (ECCC); Commonwealth of Australia
# DCCEEW (CC BY 4.0); New Zealand MfE (CC BY 4.0); US EPA eGRID (public domain); China MEE and NBS (public notice).
"""


class Row(NamedTuple):
    """One line of ``grid_annual.csv``; ``keys`` are the folded names it answers to, between bars."""

    keys: str
    zone: str
    name: str
    boundary: str
    value_g_per_kwh: str
    unit: str
    year: str
    version: str
    source: str
    licence: str
    check: str
    scope: str
    note: str = ""
    spread_g95: str = ""


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV under leading comment lines (later lines may hold a ``#`` of their own)."""
    lines = path.read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(lines) if not line.startswith("#"))
    return list(csv.DictReader(lines[first:]))


def fold(text: str) -> str:
    """A name as it is compared: no accents, no case, letters and digits alone; the reader folds what people type so."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(c for c in plain if c.isascii() and c.isalnum())


def keys(zone: str, *names: str) -> str:
    """Every folded name a zone answers to, once, between bars."""
    spoken = (zone, *names, *ALSO.get(zone, "").split("|"))
    return f"|{'|'.join(dict.fromkeys(fold(name) for name in spoken if name))}|"


def place_id(name: str) -> str:
    """The zone of a part of the world: ``MIDDLE-EAST``."""
    return "LATIN-AMERICA" if name.startswith("Latin America") else name.upper().replace(" ", "-")


def number(value: float) -> str:
    return f"{value:.6g}"


def ember(rows: Iterable[dict[str, str]]) -> Iterator[Row]:
    for row in rows:
        name = row["name"]
        if row["kind"] == "region":
            if name not in PLACES:
                continue  # G7, G20, OECD and ASEAN are clubs: no machine stands in one
            zone = place_id(name)
        else:
            zone = row["iso2"]
        value = float(row["g_co2e_per_kwh"])
        if value <= 0:
            continue  # no life-cycle is zero (water power alone has 24): a gap in the source, not a figure
        shown = SHORT.get(zone, name)
        yield Row(
            keys(zone, row["iso3"], shown, name),
            zone,
            shown,
            "lifecycle",
            number(value),
            "gCO2e/kWh",
            row["year"],
            row["year"],
            "Ember yearly electricity data",
            "CC BY 4.0",
            "compiled",
            "AR5 GWP100; generation-based",
        )


def egrid(rows: Iterable[dict[str, str]]) -> Iterator[Row]:
    for row in rows:
        code = row["subregion"]
        zone, name = ("US", "United States") if code == "US" else (f"US-{code}", row["name"])
        yield Row(
            keys(zone, name, code),
            zone,
            name,
            "direct",
            number(float(row["co2e_g_per_kwh_ar5"])),
            "gCO2e/kWh",
            row["data_year"],
            "eGRID2023 rev2",
            "US EPA eGRID",
            "public domain",
            "two witnesses",
            "AR5 GWP100; total output rate; no line losses",
        )


def official(rows: list[dict[str, str]], country: dict[str, Row]) -> Iterator[Row]:
    """National tables.  Where a row is marked "verify" and an older one is not, the older one is taken.

    Britain's upstream is the sum of its fuel-supply and line-loss pair, New Zealand's the line losses alone (all that
    was at hand), and the rows say so.
    """
    best: dict[tuple[str, str], Row] = {}
    for source in rows:
        row = one_official(source, country)
        held = best.get((row.zone, row.boundary))
        if held and row.boundary == "upstream":
            total = float(held.value_g_per_kwh) + float(row.value_g_per_kwh)
            row = row._replace(
                value_g_per_kwh=number(total),
                scope=f"{held.scope} + {row.scope}",
                note="upstream is an edition of its own year; without the fuel supply of the losses",
            )
        elif held and (held.check != "verify", held.year) > (row.check != "verify", row.year):
            row = held
        best[row.zone, row.boundary] = row
    yield from best.values()


def one_official(row: dict[str, str], country: dict[str, Row]) -> Row:
    iso3, part = row["iso3"], row["subdivision_or_component"]
    base = country["EU" if iso3 == "EU27" else iso3]
    zone, name, known = base.zone, base.name, base.keys
    if part in PARTS.get(iso3, {}):
        code, name = PARTS[iso3][part]
        zone = f"{base.zone}-{code}"
        known = keys(zone, name, name.split(" (")[0])
    scope = row["boundary"].replace(",", ";")
    boundary = "upstream" if scope.startswith("scope 3") else "direct"
    unit = "g" + row["unit"].removeprefix("kg")
    note = "CO2 only: CH4 and N2O are left out" if unit == "gCO2/kWh" else ""
    if iso3 == "NZL" and part:
        note = "upstream holds the line losses alone; no fuel supply"
    licence = row["licence"].split(" (")[0]
    publisher = next(ours for theirs, ours in PUBLISHERS.items() if row["source"].startswith(theirs))
    year = row["edition_year"]
    return Row(
        known,
        zone,
        name,
        boundary,
        number(float(row["value"]) * 1000),
        unit,
        year,
        year,
        publisher,
        PUBLIC_NOTICE if licence == "public notice" else licence,
        checked(row["note"]),
        scope,
        note,
    )


def checked(note: str) -> str:
    """How a row was read, as one word of the ``check`` column."""
    if "verify" in note:
        return "verify"
    return "seen" if note.startswith("page seen") else "compiled" if "MIT" in note else "transcribed"


def spread(average: float, values: Iterable[float]) -> float:
    """How far from an average 95 % of places are: the 95th percentile of ``|ln(place / average)|``, as a factor.

    For the world the places are the public regions of the three largest clouds, one vote each (``cloud_zones.csv``),
    each with the value that would have been used had the zone been known: that is where rented AI work runs, and no
    table of generation was at hand.  The answer is 15.4; one vote per country gives 12.9.  For the EU the places are
    the member states of the EEA table.
    """
    distances = sorted(abs(log(value / average)) for value in values)
    return exp(distances[-(-len(distances) * 95 // 100) - 1])


def with_spread(rows: list[Row], regions: list[dict[str, str]]) -> list[Row]:
    """Fill ``spread_g95`` of the averages over many countries; what is not the EU takes the world's, the widest."""
    located = {row.zone: row for row in rows if row.boundary == "lifecycle"} | {
        row.zone: row for row in rows if row.boundary == "direct"
    }
    values = {zone: float(row.value_g_per_kwh) for zone, row in located.items()}
    members = [float(row.value_g_per_kwh) for row in rows if row.source.startswith("EEA") and row.zone != "EU"]
    world = spread(values["WORLD"], [values[region["zone"]] for region in regions])
    union = spread(values["EU"], members)
    places = {place_id(name) for name in PLACES}
    text = {zone: f"{union if zone == 'EU' else world:.1f}" for zone in places}
    return [row._replace(spread_g95=text.get(row.zone, "")) for row in rows]


def compile_grid(folder: Path, regions: Path) -> str:
    """The text of ``grid_annual.csv``; raises ``ValueError`` for a row that may not ship or does not fit the form."""
    lifecycle = list(ember(table(folder / "grid_intensity_country.csv")))
    by_iso3 = {row.keys.split("|")[2].upper(): row for row in lifecycle if len(row.zone) == 2} | {
        row.zone: row for row in lifecycle if row.zone == "EU"
    }
    direct = list(egrid(table(folder / "egrid_subregions.csv")))
    names = {row.zone: row for row in lifecycle}
    direct = [row._replace(keys=names[row.zone].keys) if row.zone in names else row for row in direct]
    rows = [*lifecycle, *direct, *official(table(folder / "grid_intensity_official.csv"), by_iso3)]
    lines = [",".join(Row._fields)]
    for row in sorted(with_spread(rows, table(regions)), key=lambda row: (row.zone, row.boundary)):
        if row.licence not in MAY_SHIP:
            raise ValueError(f"{row.zone} {row.boundary}: licence {row.licence!r} may not ship")
        if any(mark in field for field in row for mark in ',"\n'):
            raise ValueError(f"{row.zone} {row.boundary}: a field holds a comma or a quote: {row}")
        lines.append(",".join(row))
    return HEADER + "\n".join(lines) + "\n"


if __name__ == "__main__":
    here = Path(__file__).parent
    target = Path(sys.argv[2]) if len(sys.argv) > 2 else here / "grid_annual.csv"
    target.write_text(compile_grid(Path(sys.argv[1]), here / "cloud_zones.csv"), encoding="utf-8")
