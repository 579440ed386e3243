"""A footprint: the JSON of the contract, one readable line, and bounds that hold what was not seen."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from tests.core.made import (
    CPU,
    GPU,
    RIVAL,
    TREE,
    at,
    claim,
    counter,
    enter,
    factor,
    floor,
    full,
    gauge,
    holding,
    leave,
    run,
    used,
)
from wattledger.core.footprint import DeviceFootprint, Footprint, Identity, assemble, gram, iso, joule
from wattledger.core.model import AGENT, IDLE, OTHER, UNATTRIBUTED, Batch, Device, Factor, Gap, Work
from wattledger.core.spans import SpanAccount
from wattledger.core.uncertainty import Quantity

IDENTITY = Identity("ab12", None, "finetune", "llama", {"team": "search"}, "gpu-7", "process")
DEVICES: Mapping[str, Device] = {GPU.id: GPU, CPU.id: CPU}
GRID = factor("grid", 329, 1.1)


def gain_of(device: Device, method: str, _: float) -> Factor:
    g95 = {"gpu": 1.05, "cpu": 1.1}[device.kind]
    return Factor("sensor_gain", f"{device.kind}:{device.model}:{method}", 1.0, "1", "sensor", "test", "", method, g95)


def footprint(
    account: SpanAccount,
    *,
    factors: Mapping[str, Factor] | None = None,
    scope: str = "process",
    notes: tuple[str, ...] = (),
    devices: Mapping[str, Device] = DEVICES,
) -> Footprint:
    assert account.left is not None
    return assemble(
        IDENTITY._replace(scope=scope),
        account,
        devices,
        end=account.left,
        factors=factors or {},
        gain_of=gain_of,
        mismatch_g95=1.0,
        notes=notes,
    )


def two_seconds(gpu_j: float = 1000, *more: Batch) -> SpanAccount:
    """A run of 2 s: all of the GPU, which held 40 W of idle; 3/4 of a CPU of 100 J."""
    _, spans = run(
        full(
            0,
            claim("pid:1", TREE),
            claim("pid:2", RIVAL),
            floor(GPU, 40),
            holding(GPU.id, "pid:1", 1.0),
            counter(GPU, 0, 0),
            counter(CPU, 0, 0),
            used(GPU.id, "pid:1", 0, 0),
            used("cpu", "pid:1", 0, 0, "cpu_ns"),
            used("cpu", "pid:2", 0, 0, "cpu_ns"),
            enter(1, 0),
        ),
        full(
            2,
            Work(TREE, at(1), 812, 0, 64, 1, span=1),
            leave(1, 2),
            counter(GPU, 2, gpu_j),
            counter(CPU, 2, 100),
            used(GPU.id, "pid:1", 2, 2),
            used("cpu", "pid:1", 2, 3, "cpu_ns"),
            used("cpu", "pid:2", 2, 1, "cpu_ns"),
        ),
        *more,
    )
    return spans[1]


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


def test_of_nothing_no_fraction_was_measured() -> None:
    found = silent().to_dict()
    assert "measured_fraction" not in found
    assert found["energy_j"]["value"] == 0


def silent() -> Footprint:
    """A device that moved for others only: this run used nothing of it."""
    _, spans = run(
        full(0, claim("pid:2", RIVAL), counter(GPU, 0, 0), used(GPU.id, "pid:2", 0, 0), enter(1, 0)),
        full(2, leave(1, 2), counter(GPU, 2, 100), used(GPU.id, "pid:2", 2, 2)),
    )
    return footprint(spans[1])


def test_who_seems_to_have_used_nothing_may_have_used_it_too_briefly_to_see() -> None:
    energy = silent().energy_j
    assert energy is not None
    assert (energy.value, energy.low) == (0, 0)
    assert energy.high == pytest.approx(5, rel=0.01)  # 50 W for a refresh period of 100 ms


def test_a_factors_empty_fields_are_absent_and_its_value_is_not() -> None:
    bare = Factor("grid", "", 0.0, "gCO2e/kWh", "direct", "wind", "", "contract", 1.0)
    [row] = footprint(two_seconds(), factors={"grid": bare}).to_dict()["factors"]
    assert row == {
        "kind": "grid", "value": 0.0, "unit": "gCO2e/kWh", "boundary": "direct", "origin": "wind", "quality": "contract", "g95": 1.0,
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


def test_the_scope_of_a_host_is_everything_its_devices_drew() -> None:
    found = footprint(two_seconds(), scope="host")
    assert found.energy_j is not None
    assert found.energy_j.value == 1100
    assert found.own_energy_j == found.energy_j
    assert [d.energy_j.value for d in found.devices] == [1000, 100]


def test_a_runs_own_energy_is_without_its_childrens() -> None:
    _, spans = run(
        full(0, claim("pid:1", TREE), counter(GPU, 0, 0), used(GPU.id, "pid:1", 0, 0), enter(1, 0)),
        full(4, enter(2, 1, parent=1), leave(2, 4), leave(1, 4), counter(GPU, 4, 400), used(GPU.id, "pid:1", 4, 4)),
    )
    found = footprint(spans[1])
    assert found.energy_j is not None
    assert found.own_energy_j is not None
    assert (found.energy_j.value, found.own_energy_j.value) == (400, 100)


def test_the_interval_is_the_sensors_and_the_endpoints() -> None:
    """GPU: gain 5 %, ends 0.1 s x 500 W = 50 J.  Alone on the card, so that no share is in doubt."""
    [gpu, _] = footprint(two_seconds()).devices
    assert gpu.energy_j.high == pytest.approx(1000 + (50**2 + 50**2) ** 0.5)
    assert gpu.energy_j.low == pytest.approx(1000 - ((1000 - 1000 / 1.05) ** 2 + 50**2) ** 0.5)


def test_the_endpoints_errors_do_not_shrink_with_the_length_of_the_run() -> None:
    def edge_j(seconds: int) -> float:
        cells = [full(t, counter(GPU, t, 500 * t), used(GPU.id, "pid:1", t, t)) for t in range(1, seconds)]
        last = full(seconds, leave(1, seconds), counter(GPU, seconds, 500 * seconds), used(GPU.id, "pid:1", seconds, seconds))
        opening = full(0, claim("pid:1", TREE), counter(GPU, 0, 0), used(GPU.id, "pid:1", 0, 0), enter(1, 0))
        _, spans = run(opening, *cells, last)
        energy = footprint(spans[1]).energy_j
        assert energy is not None
        return ((energy.high - energy.value) ** 2 - (energy.value * 0.05) ** 2) ** 0.5

    assert edge_j(1) == pytest.approx(50)
    assert edge_j(60) == pytest.approx(50)


def test_a_share_of_what_others_use_too_is_less_sure_than_the_whole() -> None:
    alone, shared = footprint(two_seconds()).devices
    assert shared.energy_j.high / shared.energy_j.value > 1.1 > alone.energy_j.high / alone.energy_j.value


def with_gap(seconds: float) -> SpanAccount:
    account = two_seconds()
    account.gaps.append(Gap(GPU, at(1), at(1 + seconds), "the counter restarted"))
    return account


def test_a_gap_widens_upward_only() -> None:
    whole, holed = footprint(two_seconds()).energy_j, footprint(with_gap(0.5)).energy_j
    assert whole is not None
    assert holed is not None
    assert (holed.value, holed.low) == (whole.value, whole.low)
    # At the most the card drew what it can, for as long as nobody looked.
    assert whole.high + 0.5 * 500 <= holed.high <= whole.high + 0.5 * 700


def test_a_gap_is_said() -> None:
    [note] = footprint(with_gap(0.5)).notes
    assert note.startswith(f"{GPU.id}: the counter restarted; 0.5 s are not counted")


def test_a_device_nobody_read_is_not_surely_zero() -> None:
    """Read before the run, silent since: what it drew is not known, so that its interval must reach above zero."""
    _, spans = run(full(0, counter(GPU, 0, 0)), full(1, counter(GPU, 1, 300)), full(9, enter(1, 2), leave(1, 9)))
    found = footprint(spans[1])
    assert found.notes
    assert all(device.energy_j.high >= 7 * 300 for device in found.devices)
    assert found.energy_j is None or found.energy_j.high >= 7 * 300


def test_a_power_only_device_nobody_read_is_not_surely_zero_either() -> None:
    card = GPU._replace(cap_uw=None)
    _, spans = run(full(0, gauge(card, 0, 300)), full(9, enter(1, 2), leave(1, 9)))
    assert all(row.energy_j.high > 0 for row in footprint(spans[1], devices={card.id: card}).devices)


def test_a_floor_from_a_table_is_said_and_widens() -> None:
    def found(n: int) -> Footprint:
        readings = [used("cpu", "pid:1", 0, 0, "cpu_ns"), used("cpu", "pid:2", 0, 0, "cpu_ns")]
        _, spans = run(
            full(0, claim("pid:1", TREE), claim("pid:2", RIVAL), floor(CPU, 20, n), counter(CPU, 0, 0), *readings, enter(1, 0)),
            full(
                2, leave(1, 2), counter(CPU, 2, 100), used("cpu", "pid:1", 2, 1, "cpu_ns"), used("cpu", "pid:2", 2, 1, "cpu_ns")
            ),
        )
        return footprint(spans[1])

    assert found(1).notes == ()
    assert "table" in found(0).notes[0]
    narrow, wide = found(1).energy_j, found(0).energy_j
    assert narrow is not None
    assert wide is not None
    assert wide.high > narrow.high


def test_the_rest_of_the_host_is_told_by_whose_it_was() -> None:
    account = two_seconds()
    account.others = {IDLE: 1e6, OTHER: 2e6, RIVAL: 3e6, UNATTRIBUTED: 4e6, AGENT: 0.5e6}
    assert footprint(account).rest_of_host == {"idle_j": 1, "other_workloads_j": 5, "unattributed_j": 4, "agent_j": 0.5}


def test_a_run_without_devices_knows_nothing_of_the_rest_of_the_host() -> None:
    _, spans = run(full(0, enter(1, 0)), full(1, leave(1, 1)))
    found: dict[str, Any] = footprint(spans[1]).to_dict()
    assert "rest_of_host" not in found
    assert "energy_j" not in found


def test_what_a_model_answered_is_not_measured() -> None:
    _, spans = run(
        full(
            0,
            claim("pid:1", TREE),
            counter(GPU, 0, 0),
            gauge(CPU, 0, 0, estimated=True),
            used(GPU.id, "pid:1", 0, 0),
            used("cpu", "pid:1", 0, 0, "cpu_ns"),
            enter(1, 0),
        ),
        full(
            2,
            leave(1, 2),
            counter(GPU, 2, 300),
            gauge(CPU, 2, 50, estimated=True),
            used(GPU.id, "pid:1", 2, 2),
            used("cpu", "pid:1", 2, 2, "cpu_ns"),
        ),
    )
    assert footprint(spans[1]).measured_fraction == 0.75


def test_instants_are_written_in_utc_to_the_millisecond() -> None:
    assert iso(0) == "1970-01-01T00:00:00.000Z"
    assert iso(1_795_341_600_999_000_000) == "2026-11-22T10:00:00.999Z"
