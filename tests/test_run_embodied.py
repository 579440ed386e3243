"""``wattledger run``: what it took to make the machine and the water of its energy: shown, recorded, and replayed as they were."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.programs import environ, rigged, wattledger

HOURS_PER_YEAR = 8760
BUSY = "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done; sleep 0.5"
PASSPORT = """
schema = "wattledger.passport/1"
[asset]
id = "box"
kind = "server"
host = "here"
commissioned = 2026-01-01
life_years = 5
[asset.footprint]
kg = 2500
source = "the supplier"
"""


def told(env: dict[str, str], *words: str, scope: str = "host") -> Any:
    return json.loads(wattledger(env, "run", "--json", "--scope", scope, *words, "--", "sh", "-c", BUSY).out.splitlines()[-1])


def rates(footprint: Any) -> dict[str, float]:
    return {factor["zone"]: factor["value"] for factor in footprint["factors"] if factor["kind"] == "embodied"}


def test_a_run_of_the_whole_host_pays_for_all_of_its_time(tmp_path: Path) -> None:
    found = told(rigged(tmp_path, WATTLEDGER_EMBODIED_HOST_KG="1000"))
    said = rates(found)
    assert sorted(said) == ["GPU-00000000-0000-4000-8000-000000000000", "host"]
    assert said["host"] == pytest.approx(1e6 / (5 * HOURS_PER_YEAR))
    grams = found["emissions_g"]["embodied"]
    assert grams["value"] == pytest.approx(sum(said.values()) * found["duration_s"] / 3600, rel=0.01)
    assert grams["low"] < grams["value"] < grams["high"]


def test_a_run_that_used_a_part_pays_for_that_part(tmp_path: Path) -> None:
    found = told(rigged(tmp_path), scope="process")
    assert 0 < found["emissions_g"]["embodied"]["value"] < sum(rates(found).values()) * found["duration_s"] / 3600


def test_switched_off_nothing_of_it_is_said(tmp_path: Path) -> None:
    env = rigged(tmp_path, WATTLEDGER_EMBODIED_ENABLED="false")
    found = told(env)
    assert "embodied" not in found["emissions_g"]
    assert rates(found) == {}
    assert "embodied" not in wattledger(env, "run", "--", "sh", "-c", BUSY).err
    assert found["water_l"]["offsite"]["value"] > 0  # that is another matter


def test_a_capture_replays_to_the_same_grams_and_litres(tmp_path: Path) -> None:
    env = rigged(tmp_path, WATTLEDGER_FACILITY_WUE="0.5", WATTLEDGER_GRID_ZONE="FR")
    found = told(env, "--record", str(tmp_path / "c.cap"), scope="process")
    again = json.loads(wattledger(environ(tmp_path), "replay", "--json", str(tmp_path / "c.cap")).out.splitlines()[-1])
    assert found["emissions_g"]["embodied"] == again["emissions_g"]["embodied"]
    assert found["water_l"] == again["water_l"]
    assert set(found["water_l"]) == {"onsite", "offsite"}


def test_water_is_the_energy_at_its_litres(tmp_path: Path) -> None:
    found = told(rigged(tmp_path, WATTLEDGER_FACILITY_WUE="0.5", WATTLEDGER_FACILITY_PUE="1.5", WATTLEDGER_GRID_ZONE="DE"))
    kwh = found["energy_j"]["value"] / 3.6e6
    offsite = next(factor["value"] for factor in found["factors"] if factor["kind"] == "water_offsite")
    assert found["water_l"]["onsite"]["value"] == pytest.approx(kwh * 0.5)  # by the kWh of IT energy
    assert found["water_l"]["offsite"]["value"] == pytest.approx(kwh * 1.5 * offsite)


def test_reservoirs_are_counted_as_it_is_configured(tmp_path: Path) -> None:
    found = []
    for hydro in ("allocate", "exclude"):
        (tmp_path / hydro).mkdir()
        told_of = told(rigged(tmp_path / hydro, WATTLEDGER_WATER_HYDRO=hydro, WATTLEDGER_GRID_ZONE="NO"))
        found += [factor["value"] for factor in told_of["factors"] if factor["kind"] == "water_offsite"]
    allocated, excluded = found
    assert excluded < allocated / 100


@pytest.mark.parametrize("wue", ["20", "-1", "nan", "1800 per MWh"])
def test_a_wue_that_cannot_be_is_one_line(tmp_path: Path, wue: str) -> None:
    done = wattledger(rigged(tmp_path, WATTLEDGER_FACILITY_WUE=wue), "run", "--", "true")
    assert done.status == 2
    [line] = done.err.splitlines()
    assert "wue" in line.casefold()


def test_carbon_and_water_are_lines_of_what_is_shown(tmp_path: Path) -> None:
    env = rigged(tmp_path, WATTLEDGER_FACILITY_WUE="0.5", WATTLEDGER_EMBODIED_HOST_KG="1000")
    shown = wattledger(env, "run", "--scope", "host", "--", "sh", "-c", BUSY).err.splitlines()
    [made] = [line for line in shown if "embodied" in line]
    assert "CO2e, embodied: 22.8 g/h host (declared), 4.68 g/h GPU-" in made
    [onsite, offsite] = [line for line in shown if line.startswith("  water")]
    assert onsite.endswith(" onsite: 0.5 L/kWh IT, configured")
    assert "L/kWh 20" in offsite


def test_a_passport_stands_in_the_estimates_place(tmp_path: Path) -> None:
    env = rigged(tmp_path, NODE_NAME="here")
    (tmp_path / "box.toml").write_text(PASSPORT)
    assert wattledger(env, "asset", "add", str(tmp_path / "box.toml")).status == 0
    found = told(env)
    [host] = [factor for factor in found["factors"] if factor["kind"] == "embodied" and factor["zone"] == "host"]
    assert host["value"] == pytest.approx(2_500_000 / (5 * HOURS_PER_YEAR), rel=1e-6)
    assert host["quality"].startswith("passport")
