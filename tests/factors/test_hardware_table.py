"""The table of hardware in the package: provenance on every row, nothing that may not ship, the compiler agrees."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

import wattledger.factors
from wattledger.factors.data.compile_hardware import MAY_SHIP
from wattledger.factors.hardware import table

DATA = Path(wattledger.factors.__file__).parent / "data"
COMPILER = "wattledger.factors.data.compile_hardware"
FORBIDDEN = ("odbl", "agpl", "gsf", "sharealike", "by-sa", "environmental-footprint-data", "llm-carbon-index", "poweredge")
HEAD = "id,kind,model,gwp_kgco2e,low,high,unit,boundary,lifetime_years,source,year,licence,note\n"
PAPER, VENDOR = "paper", '"vendor document, cite"'
# Every figure that what has none of its own is scaled by.
KIN = (
    f"nvidia.h100_share,a,H100,164,,,kgCO2e/GPU,cradle-to-gate,,NVIDIA,2025,{VENDOR},\n"
    f"nvidia.b200_share,a,B200,284.25,,,kgCO2e/GPU,cradle-to-gate,,NVIDIA,2025,{VENDOR},\n"
    f"falk.a100_sxm_40,a,A100,127.6,,,kgCO2e/GPU,cradle-to-gate,,Falk,2025,{PAPER},\n"
    f"boavizta.nvidia_h100_sxm_80gb,a,H100,575.1,,,kgCO2e/unit,g,,B,2026,{PAPER},\n"
    f"boavizta.nvidia_b200_180gb,a,B200,1415,,,kgCO2e/unit,g,,B,2026,{PAPER},\n"
    f"boavizta.nvidia_a100_sxm4_40gb,a,A100,319.3,,,kgCO2e/unit,g,,B,2026,{PAPER},\n"
)


def rows(path: Path = DATA / "hardware.csv") -> list[dict[str, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def test_every_row_has_a_source_a_boundary_a_year_and_a_licence_that_may_ship() -> None:
    for row in rows():
        assert row["source"]
        assert row["boundary"]
        assert 2019 <= int(row["year"]) <= 2026
        assert row["licence"] in MAY_SHIP
        assert row["check"] in ("compiled", "transcribed", "memory")
        assert row["method"] in ("pcf", "published", "bottom-up", "nearest", "class")
        assert row["method"] != "bottom-up" or row["inputs"] or row["check"] != "memory"


def test_an_interval_holds_its_value_and_every_figure_of_making_the_thing() -> None:
    everything = rows()
    for row in everything:
        low, kg, high = float(row["low"]), float(row["value"]), float(row["high"])
        assert 0 < low < kg < high
        assert high / low < 26
        others = [float(one["value"]) for one in everything if one["item"] == row["item"] and "life" not in one["boundary"]]
        assert row["default"] == "0" or low <= min(others) <= max(others) <= high


def test_all_rows_are_of_one_whole_thing() -> None:
    assert {row["unit"] for row in rows()} == {"kgCO2e"}


def test_a_whole_lifes_figure_bounds_no_making() -> None:
    life = [row for row in rows() if "life" in row["boundary"]]
    assert [row["source"] for row in life] == ["ADEME Base Empreinte"]
    assert (table.items()["server"].kg, table.items()["server"].high_kg) == (1200, 5700)
    assert "ADEME" not in table.items()["server"].source


def test_nothing_that_may_not_ship_is_shipped() -> None:
    text = (DATA / "hardware.csv").read_text(encoding="utf-8").casefold()
    assert [word for word in FORBIDDEN if word in text] == []


def test_an_item_has_one_default_and_a_name_belongs_to_one_item() -> None:
    everything = rows()
    defaults = [row["item"] for row in everything if row["default"] == "1"]
    assert sorted(defaults) == sorted({row["item"] for row in everything})
    names = [key for row in everything if row["kind"] == "accelerator" for key in row["keys"].strip("|").split("|") if key]
    assert len(names) == len(set(names))


def test_splitting_on_commas_reads_what_csv_reads() -> None:
    lines = (DATA / "hardware.csv").read_text(encoding="utf-8").splitlines()
    split = [line.split(",") for line in lines if not line.startswith("#")]
    assert split[1:] == [list(row.values()) for row in rows()]
    assert tuple(split[0]) == table.Record._fields


def test_a_board_is_of_its_eight_and_example_20_holds() -> None:
    items = table.items()
    assert items["hgx-h100"].kg == pytest.approx(1312)
    assert items["h100-sxm-80gb"].kg == pytest.approx(1312 / 8) == 164
    assert items["hgx-b200"].kg / 8 == items["b200"].kg == 284.25
    assert items["h100-sxm-80gb"]._replace(life_h=35_040).g_per_h == pytest.approx(4.680, abs=0.0005)
    assert items["b200"]._replace(life_h=35_040).g_per_h == pytest.approx(8.112, abs=0.0005)
    of_h100 = {figure.source: figure for figure in table.sources("h100-sxm-80gb")}
    formula = next(figure for source, figure in of_h100.items() if "Boavizta" in source)
    assert formula._replace(life_h=35_040).g_per_h == pytest.approx(16.413, abs=0.0005)


def test_a_kins_figure_stands_in_the_kins_boundary() -> None:
    h200, h100 = table.items()["h200-141gb"], table.items()["h100-sxm-80gb"]
    assert h200.kg == pytest.approx(164 * 1067 / 575.1, abs=0.0001)
    assert (h200.method, h200.boundary) == ("nearest", h100.boundary)


def test_devices_of_one_board_share_it() -> None:
    assert table.items()["m60"].kg == 156.6 / 2
    assert "one of 2 devices on a board of 156.6 kg" in table.items()["m60"].note


def compiled(folder: Path, lines: str) -> subprocess.CompletedProcess[str]:
    (folder / "hardware_embodied.csv").write_text(HEAD + lines)
    command = [sys.executable, "-m", COMPILER, str(folder), str(folder / "out.csv")]
    environ = os.environ | {"PYTHONPATH": str(DATA.parents[2])}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)


def test_the_compiler_writes_the_committed_table_again(tmp_path: Path) -> None:
    folder = os.environ.get("WATTLEDGER_FACTORS")
    if not folder:
        pytest.skip("WATTLEDGER_FACTORS does not name the folder of source tables")
    again = tmp_path / "hardware.csv"
    environ = os.environ | {"PYTHONPATH": str(DATA.parents[2])}
    subprocess.run([sys.executable, "-m", COMPILER, folder, again], check=True, env=environ)
    assert again.read_bytes() == (DATA / "hardware.csv").read_bytes()


def test_rows_of_the_open_database_and_constants_are_left_out(tmp_path: Path) -> None:
    lines = (
        "pcf.dell_r740,s,Dell R740,1313,,,kgCO2e manufacturing,m,4,Dell,2019,ODbL 1.0,\n"
        "boavizta.psu,c,Power supply,24.3,,,kgCO2e/kg,cradle-to-gate,,B,2021,facts; docs in AGPL repo,\n"
    )
    done = compiled(tmp_path, KIN + lines)
    assert done.returncode == 0, done.stderr
    found = rows(tmp_path / "out.csv")
    assert {"h100-sxm-80gb", "b200", "a100-sxm-40gb", "gaudi3"} <= {row["item"] for row in found}
    assert [row for row in found if "R740" in row["model"] or row["item"] == "psu"] == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("boavizta.nvidia_l4,a,L4,123.5,,,kgCO2e/unit,g,3,B,2026,ODbL 1.0,\n", "'ODbL 1.0' may not ship"),
        ("boavizta.nvidia_l4,a,L4,123.5,,,kgCO2e/unit,g,3,B,2026,,\n", "'' may not ship"),
        ("boavizta.nvidia_l4,a,L4,123.5,,,kgCO2e/cm2,g,3,B,2026,paper,\n", "'kgCO2e/cm2' is not of one piece"),
        ("somebody.new,a,L5,123.5,,,kgCO2e/unit,g,3,B,2026,paper,\n", "somebody.new: there is no place for it"),
        ('boavizta.nvidia_l4,a,L4,123.5,,,kgCO2e/unit,g,3,B,"2,026",paper,\n', "or a comma in ['2,026']"),
    ],
)
def test_the_compiler_refuses_what_does_not_fit(tmp_path: Path, line: str, said: str) -> None:
    done = compiled(tmp_path, KIN + line)
    assert done.returncode != 0
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out.csv").exists()


def test_a_meters_start_loads_no_heavy_module() -> None:
    code = (
        "import sys; from wattledger.factors.hardware import hosts, table\n"
        "table.accelerator('NVIDIA H100 80GB HBM3'); hosts.host('server', 64, 256.0)\n"
        "print([m for m in ('csv', 'json', 'difflib', 'statistics', 'dataclasses', 'pathlib', 'decimal') if m in sys.modules])"
    )
    environ = os.environ | {"PYTHONPATH": str(DATA.parents[2])}
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env=environ)
    assert done.stdout.strip() == "[]"
