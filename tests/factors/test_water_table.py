"""The tables of water and of generation in the package: provenance on every row, nothing that may not ship, the compiler agrees."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import wattledger.factors
from wattledger.factors.water import ewif

DATA = Path(wattledger.factors.__file__).parent / "data"
LICENCES = {"CC BY 4.0", "MIT", "public domain", "single figure; cited"}
FORBIDDEN = ("odbl", "agpl", "gsf", "sharealike", "by-sa", "jdf", "electricity maps", "watttime", "llm-carbon-index")
HEAD = "kind,key,value,unit,boundary,source,year,licence,note\n"


def rows(name: str = "water.csv") -> list[dict[str, str]]:
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def test_every_row_has_source_year_boundary_and_a_licence_that_may_ship() -> None:
    for row in rows():
        assert row["source"]
        assert 2012 <= int(row["year"]) <= 2026
        assert row["boundary"]
        assert row["licence"] in LICENCES
        assert row["check"] in ("compiled", "from memory")
        assert 0 <= float(row["value_l_per_kwh"]) < 20


@pytest.mark.parametrize("name", ["water.csv", "generation_mix.csv"])
def test_nothing_that_may_not_ship_is_shipped(name: str) -> None:
    text = (DATA / name).read_text(encoding="utf-8").casefold()
    assert [word for word in FORBIDDEN if word in text] == []


def test_the_worlds_average_ships_once_and_under_no_nations_name() -> None:
    world = [row for row in rows() if row["value_l_per_kwh"] == "3.908"]
    assert [row["kind"] for row in world] == ["world"]


@pytest.mark.parametrize("name", ["water.csv", "generation_mix.csv"])
def test_splitting_on_commas_reads_what_csv_reads(name: str) -> None:
    split = [line.split(",") for line in (DATA / name).read_text(encoding="utf-8").splitlines() if line[0] == "|"]
    assert split == [list(row.values()) for row in rows(name)]


def test_the_reader_knows_the_tables_columns() -> None:
    assert tuple(rows()[0]) == ewif.Record._fields
    keys = [key for row in rows() for key in row["keys"].strip("|").split("|")]
    assert len(keys) == len(set(keys))


def test_the_worlds_mix_is_the_sum_of_the_countries() -> None:
    *countries, world = rows("generation_mix.csv")
    assert world["zone"] == "WORLD"
    for fuel in list(world)[3:]:
        assert sum(float(row[fuel]) for row in countries) == pytest.approx(float(world[fuel]), rel=1e-5)


def test_the_compiler_writes_the_committed_table_again(tmp_path: Path) -> None:
    folder = os.environ.get("WATTLEDGER_FACTORS")
    if not folder:
        pytest.skip("WATTLEDGER_FACTORS does not name the folder of source tables")
    again = tmp_path / "water.csv"
    subprocess.run([sys.executable, DATA / "compile_water.py", folder, again], check=True)
    assert again.read_bytes() == (DATA / "water.csv").read_bytes()


def sources(folder: Path, lines: str) -> Path:
    (folder / "grid_intensity_country.csv").write_text("iso3,iso2\nDEU,DE\nSWE,SE\n")
    (folder / "water_factors.csv").write_text(HEAD + lines)
    return folder


def compiled(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, DATA / "compile_water.py", *words, folder, folder / "out.csv"], capture_output=True, text=True, check=False
    )


def test_gallons_become_litres_exactly_and_defaults_under_a_nations_name_are_left_out(tmp_path: Path) -> None:
    lines = (
        'offsite_country,DEU,3.908,L/kWh,b,EcoLogits,2025,MPL-2.0,"world default, no national value"\n'
        "offsite_country,SWE,6.0315,L/kWh,b,EcoLogits,2025,MPL-2.0,\n"
        "offsite_fuel,coal,1.7,L/kWh,450 gal/MWh consumption,Li,2023,MIT,\n"
    )
    assert compiled(sources(tmp_path, lines)).returncode == 0
    found = {row["name"]: row["value_l_per_kwh"] for row in csv.DictReader(
        line for line in (tmp_path / "out.csv").read_text().splitlines() if not line.startswith("#"))}  # fmt: skip
    assert found == {"SE": "6.0315", "coal": "1.7034353", "hydro": "17.0002843"}


def test_the_compiler_refuses_what_does_not_fit_the_form(tmp_path: Path) -> None:
    done = compiled(sources(tmp_path, 'offsite_country,SWE,6.0,L/kWh,b,EcoLogits,"2025,6",MPL-2.0,\n'))
    assert done.returncode != 0
    assert "holds a comma or a quote" in done.stderr
    assert not (tmp_path / "out.csv").exists()


def test_old_years_and_places_without_a_code_are_left_out_of_the_mixes(tmp_path: Path) -> None:
    made = {f"{fuel}_TWh": 1.0 for fuel in ("coal", "gas", "oil", "nuclear", "hydroelectricity", "solar", "wind", "biofuel")}
    made["other_renewable_exc_biofuel_TWh"] = 0.5
    countries = {"SWE": {**made, "year": 2023}, "DEU": {**made, "year": 2009}, "ZZZ": {**made, "year": 2023}}
    (tmp_path / "mix.json").write_text(json.dumps(countries))
    assert compiled(sources(tmp_path, ""), "--mix", tmp_path / "mix.json").returncode == 0
    lines = [line for line in (tmp_path / "out.csv").read_text().splitlines() if line.startswith("|")]
    assert lines == ["|SE|SWE|,SE,2023,1,1,1,1,1,1,1,1.5", "|WORLD|,WORLD,2023,1,1,1,1,1,1,1,1.5"]
