"""Litres that power stations consume (evaporate) for a kWh of electricity: the water intensity factor (EWIF) of a place's grid.

Consumption, not withdrawal (carbon.md 7).  What reservoirs evaporate is most of it where there is hydro power, and whose water that
is, is a convention: ``allocate`` counts it as hydro's (WRI 2020), ``exclude`` counts none (Li et al., arXiv 2304.03271).  National
figures by WRI's method hold it and cannot be split, so ``exclude`` is worked out from what the country generated and from
constants by fuel.  ``data/compile_water.py`` writes the tables and says what may ship.
"""

from collections.abc import Mapping
from functools import lru_cache
from os.path import dirname, join
from typing import Literal, NamedTuple, get_args

from wattledger.core.model import Factor

Hydro = Literal["allocate", "exclude"]

DATA = join(dirname(dirname(__file__)), "data")
TABLE = join(DATA, "water.csv")
MIXES = join(DATA, "generation_mix.csv")
KIND = "water_offsite"
UNIT = "L/kWh"
WORLD = "WORLD"

# carbon.md 8.3.  What stands in for another place, and constants by fuel wherever the plant stands, are defaults.
NATIONAL_G95 = 1.5
DEFAULT_G95 = 2.5
# Between plants hydro's evaporation is 1,425 to 18,000 gallons a MWh around 4,491 (Macknick et al. 2012).
HYDRO_G95 = 4.0
PART_G95 = 4.0
MIX_SOURCE = "Our World in Data (Ember; Energy Institute)"

BOUNDARY: Mapping[Hydro, str] = {
    "allocate": "consumed by power stations; reservoirs' evaporation allocated to hydro power",
    "exclude": "consumed by power stations; hydro power counts 0",
}
# What generation is called elsewhere (``factors.grid.mix``) → the fuel whose constant it takes.
ALSO = {"lignite": "coal", "biomass": "other", "waste": "other", "geothermal": "other", "marine": "wind"}
STORED = "storage"  # counted when it was generated


class NotKnown(ValueError):
    """There is no figure of that kind for that place.  The message is one line."""


class Record(NamedTuple):
    """One row of ``water.csv``, in the order of its columns; ``keys`` are the codes it answers to, between bars."""

    keys: str
    kind: str
    name: str
    value_l_per_kwh: str
    boundary: str
    source: str
    year: str
    licence: str
    check: str


def offsite(zone: str | None, hydro: Hydro = "allocate") -> Factor:
    """The factor of a grid zone by its code (``DE``, ``deu``, ``US-CAMX``): of its nation, else of the world, and ``quality`` says
    which (``national``, ``world``; ``by-mix`` where hydro is excluded).

    A part of a country has the country's, wider.  Raises NotKnown where hydro cannot be excluded, because the mix is not known.
    """
    _check(hydro)
    code = (zone or "").strip().upper()
    country, _, part = code.partition("-")
    if hydro == "exclude":
        return _without_hydro(country, part)
    row = _rows().get(country, _rows()[WORLD])
    g95 = NATIONAL_G95 if row.kind == "national" and not part else DEFAULT_G95
    return Factor(
        KIND, row.name, float(row.value_l_per_kwh), UNIT, row.boundary, row.source, row.year, row.kind, g95,
        f"{row.year}-01-01", f"{row.year}-12-31", row.licence,
    )  # fmt: skip


def by_mix(mix: Mapping[str, float], hydro: Hydro = "allocate", *, zone: str = "", year: str = "") -> Factor:
    """The factor of a mix of generation, in shares or amounts by fuel: sum b_k EWIF_k / sum b_k (carbon.md 7).

    Fuels as ``factors.grid.mix`` names them; what comes out of storage is left out.  Raises ValueError for a fuel that is none, an
    amount below 0, or nothing at all.
    """
    _check(hydro)
    made = _by_fuel(mix)
    total = sum(made.values())
    if not total:
        raise ValueError("a mix of nothing has no water: give shares by fuel")
    counted = {fuel: amount for fuel, amount in made.items() if fuel != "hydro" or hydro == "allocate"}
    litres = {fuel: amount * float(_rows()[fuel].value_l_per_kwh) for fuel, amount in counted.items()}
    whole = sum(litres.values())
    sources = dict.fromkeys(_rows()[fuel].source for fuel in counted)
    doubtful = litres.get("hydro", 0.0) > whole / 2
    return Factor(
        KIND, zone, whole / total, UNIT, BOUNDARY[hydro], " and ".join(sources) or "hydro counts 0", year, "by-mix",
        HYDRO_G95 if doubtful else DEFAULT_G95, *((f"{year}-01-01", f"{year}-12-31") if year else ()),
    )  # fmt: skip


def mix_of(zone: str | None) -> tuple[str, str, Mapping[str, float]] | None:
    """What a country (or, without one, the world) generated: its code, the year, TWh by fuel; ``None`` where that is not known."""
    return _mixes().get((zone or WORLD).strip().upper().partition("-")[0])


def _without_hydro(country: str, part: str) -> Factor:
    found = mix_of(country)
    if found is None:
        raise NotKnown(
            f"water of {country}: what reservoirs evaporate cannot be left out of the average, "
            "because what the electricity is made of is not known there ([water] hydro = allocate)"
        )
    code, year, made = found
    factor = by_mix(made, "exclude", zone=code, year=year)
    # The mix of a part of a country may be another altogether.
    return factor._replace(
        origin=f"{factor.origin}; mix: {MIX_SOURCE}", licence="CC BY 4.0", quality="world" if code == WORLD else "by-mix",
        g95=PART_G95 if part else DEFAULT_G95,
    )  # fmt: skip


def _by_fuel(mix: Mapping[str, float]) -> dict[str, float]:
    made: dict[str, float] = {}
    for name, amount in mix.items():
        fuel = ALSO.get(name, name)
        if name == STORED:
            continue
        if fuel not in _rows() or _rows()[fuel].kind != "fuel":
            raise ValueError(f"{name!r} is no fuel: {', '.join((*_fuels(), *ALSO))}")
        if not amount >= 0:
            raise ValueError(f"{name} of {amount:g} in a mix: what is generated is 0 or more")
        made[fuel] = made.get(fuel, 0.0) + amount
    return made


def _fuels() -> list[str]:
    return [name for name, row in _rows().items() if row.kind == "fuel"]


def _check(hydro: str) -> None:
    if hydro not in get_args(Hydro):
        raise ValueError(f"[water] hydro = {hydro!r}: expected allocate or exclude")


@lru_cache(maxsize=1)
def _rows() -> Mapping[str, Record]:
    """By code.  No field holds a comma (the tables' compiler refuses them), so a split will do."""
    found: dict[str, Record] = {}
    with open(TABLE, encoding="utf-8") as table:
        for line in table:
            if line.startswith("|"):
                row = Record(*line.rstrip("\n").split(","))
                found.update((key, row) for key in row.keys.strip("|").split("|") if row.kind != "operator")
    return found


@lru_cache(maxsize=1)
def _mixes() -> Mapping[str, tuple[str, str, Mapping[str, float]]]:
    found: dict[str, tuple[str, str, Mapping[str, float]]] = {}
    with open(MIXES, encoding="utf-8") as table:
        fuels: list[str] = []
        for line in table:
            words = line.rstrip("\n").split(",")
            if line.startswith("keys,"):
                fuels = words[3:]
            elif line.startswith("|"):
                keys, zone, year, *amounts = words
                row = zone, year, dict(zip(fuels, map(float, amounts), strict=True))
                found.update((key, row) for key in keys.strip("|").split("|"))
    return found
