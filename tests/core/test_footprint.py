"""A footprint: the JSON of the contract, one readable line."""

import json
from typing import Any

import pytest
from tests.core.made import (
    GPU,
    at,
    enter,
    factor,
    full,
    leave,
    run,
)
from tests.core.metered import GRID, IDENTITY, footprint, two_seconds

from wattledger.core.figures import gram, joule
from wattledger.core.footprint import DeviceFootprint, Footprint, iso
from wattledger.core.model import Factor
from wattledger.core.uncertainty import Quantity


def test_the_json_has_the_keys_of_the_contract() -> None:
    found = footprint(two_seconds(), factors={"grid": GRID, "upstream": factor("upstream", 50)}, notes=("a note",)).to_dict()
    assert list(found) == [
        "schema", "run_id", "parent_run_id", "job", "model", "labels", "hosts", "start", "end", "duration_s", "scope", "energy_j",
        "own_energy_j", "measured_fraction", "devices", "rest_of_host", "work", "emissions_g", "factors", "notes",
    ]  # fmt: skip
    assert found["schema"] == "wattledger.footprint/1"
    assert list(found["energy_j"]) == list(found["own_energy_j"]) == ["value", "low", "high"]
    keys = ["id", "host", "kind", "model", "method", "energy_j", "held_j", "device_energy_j"]
    assert [list(device) for device in found["devices"]] == [keys, keys]
    assert list(found["rest_of_host"]) == ["idle_j", "other_workloads_j", "unattributed_j", "agent_j"]
    assert list(found["work"]) == ["prompt_tokens", "cached_tokens", "generated_tokens", "requests"]
    assert {basis: list(q) for basis, q in found["emissions_g"].items()} == {
        "location_based": ["value", "low", "high"],
        "upstream": ["value", "low", "high"],
    }
    shown = {"kind", "zone", "value", "unit", "boundary", "origin", "version", "valid_from", "valid_to", "quality"}
    assert all(shown <= set(row) for row in found["factors"])
    assert json.loads(json.dumps(found)) == found


def test_the_json_says_what_was_measured() -> None:
    found = footprint(two_seconds(), factors={"grid": GRID}, notes=("a note",)).to_dict()
    who = {"run_id": "ab12", "parent_run_id": None, "job": "finetune", "model": "llama", "labels": {"team": "search"}}
    assert {key: found[key] for key in who} == who
    assert (found["hosts"], found["scope"], found["duration_s"]) == (["gpu-7"], "process", 2.0)
    assert (found["start"], found["end"]) == ("2026-11-22T10:00:00.000Z", "2026-11-22T10:00:02.000Z")
    assert found["energy_j"]["value"] == pytest.approx(1075)
    assert found["measured_fraction"] == 1.0
    gpu, cpu = found["devices"]
    assert (gpu["id"], gpu["kind"], gpu["method"], gpu["held_j"], gpu["device_energy_j"]) == (GPU.id, "gpu", "counter", 80, 1000)
    assert (cpu["energy_j"]["value"], cpu["held_j"], cpu["device_energy_j"]) == (75, 0, 100)
    assert found["rest_of_host"] == {"idle_j": 0, "other_workloads_j": 25, "unattributed_j": 0, "agent_j": 0}
    assert found["work"] == {"prompt_tokens": 812, "cached_tokens": 0, "generated_tokens": 64, "requests": 1}
    assert found["emissions_g"]["location_based"]["value"] == pytest.approx(1075 / 3.6e6 * 329)
    assert found["notes"] == ["a note"]


def unmeasured(*notes: str) -> Footprint:
    return Footprint(IDENTITY, at(0), at(3600), None, None, None, (), {}, {}, {}, (), notes)


def test_what_is_not_known_is_absent_and_never_zero() -> None:
    found = unmeasured("no sensor here").to_dict()
    unknown = {"energy_j", "own_energy_j", "measured_fraction", "rest_of_host", "water_l", "cost"}
    assert not unknown & set(found)
    assert (found["devices"], found["work"], found["emissions_g"], found["factors"]) == ([], {}, {}, [])
    assert found["duration_s"] == 3600


def test_without_a_grid_factor_there_are_no_grams() -> None:
    assert footprint(two_seconds()).to_dict()["emissions_g"] == {}
    assert footprint(two_seconds(), factors={"upstream": factor("upstream", 50)}).to_dict()["emissions_g"].keys() == {"upstream"}


def test_a_factors_empty_fields_are_absent_and_its_value_is_not() -> None:
    bare = Factor("grid", "", 0.0, "gCO2e/kWh", "direct", "wind", "", "contract", 1.0)
    [row] = footprint(two_seconds(), factors={"grid": bare}).to_dict()["factors"]
    assert row == {
        "kind": "grid", "value": 0.0, "unit": "gCO2e/kWh", "boundary": "direct", "origin": "wind", "quality": "contract",
        "g95": 1.0,
    }  # fmt: skip


def test_only_the_factors_that_price_it_are_shown() -> None:
    factors = {"grid": GRID, "pue": factor("pue", 1.2, 1.05, "1"), "rest_share": factor("rest_share", 0.2)}
    found = footprint(two_seconds(), factors=factors)
    assert [f.kind for f in found.factors] == ["grid", "pue"]
    assert found.emissions_g["location_based"].value == pytest.approx(1075 / 3.6e6 * 329 * 1.2)


def test_a_stepped_wall_clock_cannot_make_a_run_end_before_it_began() -> None:
    account = two_seconds()
    assert account.left is not None
    account.left = account.left._replace(wall_ns=0)
    found = footprint(account).to_dict()
    assert (found["end"], found["duration_s"]) == ("2026-11-22T10:00:02.000Z", 2.0)


def test_a_footprint_is_one_line() -> None:
    line = str(footprint(two_seconds(), factors={"grid": GRID}))
    assert "\n" not in line
    assert line.startswith("finetune: 1.07 kJ (")
    assert "in 2 s (538 W) = gpu 1 kJ counter, cpu 75 J counter" in line
    assert "98.2 mg (" in line
    assert line.endswith("CO2e (DE 329 g/kWh direct 2023)")


def test_a_line_without_a_grid_has_no_grams_and_without_a_length_no_watts() -> None:
    found = footprint(two_seconds())
    assert "CO2e" not in str(found)
    assert " W)" not in str(found._replace(end=found.start))


def test_a_line_of_what_is_not_known_says_why() -> None:
    assert str(unmeasured("local rank 0 measures for all")).endswith("(local rank 0 measures for all)")
    assert str(unmeasured()).startswith("finetune: energy unknown over 3600 s (no device was read")


def test_a_line_adds_up_what_was_got_in_one_way_the_largest_first() -> None:
    def row(kind: str, method: str, energy_j: float) -> DeviceFootprint:
        return DeviceFootprint("id", "host", kind, "m", method, Quantity(energy_j, energy_j, energy_j), 0.0, energy_j)

    rows = (row("cpu", "counter", 5), row("gpu", "counter", 3), row("gpu", "counter", 4), row("cpu", "estimated", 1))
    found = unmeasured()._replace(devices=rows)
    assert found.by_kind() == [("gpu", "counter", 7), ("cpu", "counter", 5), ("cpu", "estimated", 1)]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0 J"), (1.0, "1 J"), (999.4, "999 J"), (999.7, "1 kJ"), (1250, "1.25 kJ"), (0.0125, "12.5 mJ"), (0.9996, "1 J"),
        (2.5e-6, "2.5 uJ"), (1e-9, "1e-09 J"), (3.6e6, "3.6 MJ"), (1e9, "1 GJ"), (5e12, "5000 GJ"),
    ],
)  # fmt: skip
def test_joules_are_shown_at_three_digits_and_never_as_powers_of_ten(value: float, shown: str) -> None:
    assert joule(value) == shown


def test_grams_are_shown_up_to_tonnes() -> None:
    assert [gram(v) for v in (0.114, 38_000, 2.5e6)] == ["114 mg", "38 kg", "2.5 Mg"]


def test_a_run_without_devices_knows_nothing_of_the_rest_of_the_host() -> None:
    _, spans = run(full(0, enter(1, 0)), full(1, leave(1, 1)))
    found: dict[str, Any] = footprint(spans[1]).to_dict()
    assert "rest_of_host" not in found
    assert "energy_j" not in found


def test_instants_are_written_in_utc_to_the_millisecond() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(1_795_341_600_999_000_000) == "2026-11-22T10:00:00.999Z"
