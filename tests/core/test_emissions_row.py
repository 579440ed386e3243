"""A footprint as a row of CodeCarbon's file: its columns in its order, its units, and no zero that means unknown."""

import pytest
from tests.core.made import at, factor
from tests.core.metered import GRID, IDENTITY, footprint, two_seconds

from wattledger.core.emissions_row import COLUMNS, zone_of
from wattledger.core.footprint import DeviceFootprint, Footprint
from wattledger.core.model import Factor
from wattledger.core.uncertainty import Quantity
from wattledger.core.version import __version__

PUE = Factor("pue", "", 1.5, "1", "", "set by hand", "", "configured", 1.05)


def unmeasured() -> Footprint:
    return Footprint(IDENTITY, at(0), at(3600), None, None, None, (), {}, {}, {}, (), ())


def test_a_row_has_codecarbons_columns_in_its_order() -> None:
    row = footprint(two_seconds(), factors={"grid": GRID}).to_codecarbon_row()
    assert tuple(row) == COLUMNS
    assert len(COLUMNS) == 38
    assert (COLUMNS[0], COLUMNS[13], COLUMNS[-1]) == ("timestamp", "energy_consumed", "wue")


def test_units_are_kwh_kg_and_watts() -> None:
    row = footprint(two_seconds(), factors={"grid": GRID}).to_codecarbon_row()
    assert row["energy_consumed"] == pytest.approx(1075 / 3.6e6)
    assert [row["gpu_energy"], row["cpu_energy"]] == pytest.approx([1000 / 3.6e6, 75 / 3.6e6])
    assert [row["gpu_power"], row["cpu_power"]] == pytest.approx([500, 37.5])
    assert row["emissions"] == pytest.approx(1075 / 3.6e6 * 0.329)
    assert row["emissions_rate"] == pytest.approx(1075 / 3.6e6 * 0.329 / 2)
    assert (row["duration"], row["timestamp"]) == (2.0, "2026-11-22T10:00:02")


def test_a_row_says_whose_it_is_and_how_it_was_got() -> None:
    row = footprint(two_seconds(), factors={"grid": GRID}).to_codecarbon_row()
    assert (row["project_name"], row["run_id"], row["experiment_id"]) == ("finetune", "ab12", None)
    assert row["codecarbon_version"] == f"wattledger {__version__} (gpu counter, cpu counter)"
    assert (row["gpu_count"], row["gpu_model"], row["cpu_model"]) == (1, "card", "chip")
    named = unmeasured()._replace(identity=IDENTITY._replace(labels={"experiment_id": "e1"}))
    assert named.to_codecarbon_row()["experiment_id"] == "e1"


def test_energy_and_power_are_the_buildings_where_its_pue_is_known() -> None:
    row = footprint(two_seconds(), factors={"grid": GRID, "pue": PUE}).to_codecarbon_row()
    assert [row["pue"], row["gpu_power"]] == pytest.approx([1.5, 750])
    assert row["energy_consumed"] == pytest.approx(1.5 * 1075 / 3.6e6)
    assert row["emissions"] == pytest.approx(1.5 * 1075 / 3.6e6 * 0.329)


def test_a_pue_that_changed_is_not_said_as_one() -> None:
    run = footprint(two_seconds(), factors={"grid": GRID, "pue": PUE})
    row = run._replace(factors=(*run.factors, PUE._replace(value=1.1))).to_codecarbon_row()
    assert row["pue"] is None
    assert row["energy_consumed"] == pytest.approx(1075 / 3.6e6)


def test_what_is_not_known_is_none_and_never_zero() -> None:
    row = unmeasured().to_codecarbon_row()
    known = {name for name, value in row.items() if value is not None}
    assert known == {"timestamp", "project_name", "run_id", "duration", "codecarbon_version", "tracking_mode"}
    assert 0 not in row.values()
    assert str(row["codecarbon_version"]).endswith("(nothing was measured)")


def test_a_run_of_no_length_has_no_power_and_no_rate() -> None:
    run = footprint(two_seconds(), factors={"grid": GRID})
    row = run._replace(end=run.start).to_codecarbon_row()
    assert (row["gpu_power"], row["emissions_rate"]) == (None, None)
    assert row["emissions"] is not None


def test_memory_is_their_ram_and_the_rest_is_only_in_the_sum() -> None:
    def device(kind: str, energy_j: float) -> DeviceFootprint:
        return DeviceFootprint(kind, "host", kind, "m", "estimated", Quantity(energy_j, energy_j, energy_j), 0.0, None)

    whole = Quantity(10.0, 10.0, 10.0)
    row = unmeasured()._replace(energy_j=whole, devices=(device("dram", 4), device("rest", 6))).to_codecarbon_row()
    assert [row["ram_energy"], row["energy_consumed"]] == pytest.approx([4 / 3.6e6, 10 / 3.6e6])
    assert (row["cpu_energy"], row["gpu_energy"], row["gpu_count"]) == (None, None, None)


def test_several_cards_of_one_model_are_counted_as_they_are_there() -> None:
    def card(name: str, method: str) -> DeviceFootprint:
        return DeviceFootprint(name, "host", "gpu", "H100", method, Quantity(1.0, 1.0, 1.0), 0.0, None)

    devices = (card("a", "counter"), card("b", "counter"), card("b", "integrated"))
    row = unmeasured()._replace(devices=devices).to_codecarbon_row()
    assert (row["gpu_count"], row["gpu_model"]) == (2, "2 x H100")


def test_the_mode_is_machine_for_the_whole_host() -> None:
    run = unmeasured()
    assert run.to_codecarbon_row()["tracking_mode"] == "process"
    assert run._replace(identity=IDENTITY._replace(scope="host")).to_codecarbon_row()["tracking_mode"] == "machine"


def test_a_part_of_a_country_is_a_region_and_the_worlds_average_none() -> None:
    def priced(zone: str) -> Footprint:
        return unmeasured()._replace(factors=(factor("grid", 1)._replace(zone=zone),))

    assert priced("US-CAMX").to_codecarbon_row()["region"] == "CAMX"
    assert priced("DE").to_codecarbon_row()["region"] is None
    assert [zone_of(priced(zone)) for zone in ("WORLD", "DE")] == ["", "DE"]
