"""The table in the package: provenance on every row, nothing that may not ship, the compiler writes it again."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

import wattledger.factors
from wattledger.factors.grid import annual

DATA = Path(wattledger.factors.__file__).parent / "data"
LICENCES = {
    "public domain", "CC BY 4.0", "OGL v3", "Open Government Licence Canada", "public notice; compilation MIT",
}  # fmt: skip
FORBIDDEN = (
    "electricity maps",
    "electricitymaps",
    "odbl",
    "agpl",
    "gsf",
    "aib",
    "green-e",
    "sharealike",
    "by-sa",
    "watttime",
)


def rows() -> list[dict[str, str]]:
    lines = (DATA / "grid_annual.csv").read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def test_every_row_has_source_year_boundary_and_a_licence_that_may_ship() -> None:
    for row in rows():
        assert row["source"]
        assert row["version"]
        assert 2020 <= int(row["year"]) <= 2026
        assert row["boundary"] in {"direct", "lifecycle", "upstream"}
        assert row["unit"] in {"gCO2e/kWh", "gCO2/kWh"}
        assert row["licence"] in LICENCES
        assert row["scope"]
        assert row["check"]


@pytest.mark.parametrize("name", ["grid_annual.csv", "cloud_zones.csv"])
def test_nothing_that_may_not_ship_is_shipped(name: str) -> None:
    text = (DATA / name).read_text(encoding="utf-8").casefold()
    assert [word for word in FORBIDDEN if word in text] == []


def test_no_intensity_is_zero_or_absurd() -> None:
    assert [row["zone"] for row in rows() if not 0 < float(row["value_g_per_kwh"]) < 1500] == []


def test_a_zone_has_each_boundary_once_and_a_name_belongs_to_one_zone() -> None:
    table = rows()
    assert len({(row["zone"], row["boundary"]) for row in table}) == len(table)
    owner: dict[str, str] = {}
    for row in table:
        for key in row["keys"].strip("|").split("|"):
            assert owner.setdefault(key, row["zone"]) == row["zone"]


def test_splitting_on_commas_reads_what_csv_reads() -> None:
    split = [
        line.split(",")
        for line in (DATA / "grid_annual.csv").read_text(encoding="utf-8").splitlines()
        if line[0] == "|"
    ]
    assert split == [list(row.values()) for row in rows()]
    assert tuple(rows()[0]) == annual._Record._fields


def test_every_cloud_region_lies_in_a_zone_of_the_table() -> None:
    known = {row["zone"] for row in rows()}
    lines = (DATA / "cloud_zones.csv").read_text(encoding="utf-8").splitlines()
    regions = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    assert len(regions) > 100
    assert [region["region"] for region in regions if region["zone"] not in known] == []
    assert len({(region["provider"], region["region"]) for region in regions}) == len(regions)


def test_the_compiler_writes_the_committed_table_again(tmp_path: Path) -> None:
    folder = os.environ.get("WATTLEDGER_FACTORS")
    if not folder:
        pytest.skip("WATTLEDGER_FACTORS does not name the folder of source tables")
    again = tmp_path / "grid_annual.csv"
    subprocess.run([sys.executable, DATA / "compile_grid.py", folder, again], check=True)
    assert again.read_bytes() == (DATA / "grid_annual.csv").read_bytes()


def test_the_compiler_refuses_a_licence_that_may_not_ship(tmp_path: Path) -> None:
    (tmp_path / "grid_intensity_country.csv").write_text(
        "iso3,iso2,name,kind,year,g_co2e_per_kwh\nDEU,DE,Germany,country,2024,342.06\n,,EU,region,2024,213.02\n"
        ",,World,region,2024,472.94\n"
    )
    (tmp_path / "egrid_subregions.csv").write_text(
        "subregion,name,data_year,co2e_g_per_kwh_ar5\nUS,U.S.,2023,349.686\n"
    )
    (tmp_path / "grid_intensity_official.csv").write_text(
        "iso3,subdivision_or_component,edition_year,value,unit,boundary,source,licence,note\n"
        "DEU,,2023,0.329,kgCO2e/kWh,direct,EEA 2023,ODbL 1.0,transcribed\n"
    )
    (tmp_path / "cloud_zones.csv").write_text(
        "provider,region,place,zone,basis\naws,eu-central-1,Frankfurt,DE,country\n"
    )
    compiler = tmp_path / "compile_grid.py"
    compiler.write_bytes((DATA / "compile_grid.py").read_bytes())
    done = subprocess.run([sys.executable, compiler, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "licence 'ODbL 1.0' may not ship" in done.stderr
    assert not (tmp_path / "grid_annual.csv").exists()


def test_pricing_a_zone_imports_neither_csv_nor_datetime() -> None:
    code = (
        "import sys; from wattledger.factors.grid import annual, cloud; from wattledger.factors import gains\n"
        "class Day: year = 2026\n"
        "annual.lookup('DE', Day()); cloud.zone_from_environ({'AWS_REGION': 'eu-central-1'})\n"
        "print([m for m in ('csv', 'json', 'difflib', 'datetime', 'dataclasses', 'pathlib') if m in sys.modules])"
    )
    package = Path(wattledger.factors.__file__).parents[2]
    environ = os.environ | {"PYTHONPATH": str(package)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environ)
    assert done.stdout.strip() == "[]"
