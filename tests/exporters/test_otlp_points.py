"""A snapshot in OpenTelemetry's words: names of the semantic conventions, each joule of the host once, deltas that lose nothing."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.golden.scenario import H100, MEMORY, TRAIN
from tests.golden.scenario import snapshot as golden

from wattledger.core.catalog import CATALOG, Number
from wattledger.core.model import Device, Kind, Workload
from wattledger.core.totals import Snapshot, State, Totals
from wattledger_exporters.otlp_points import Attributes, Cumulative, Delta, Reading, parts, readings

S = 1_000_000_000


def by_name(snapshot: Snapshot) -> dict[str, Reading]:
    found = list(readings(snapshot, "host-1"))
    assert len(found) == len({reading.name for reading in found})
    return {reading.name: reading for reading in found}


def one_device(device: Device) -> Totals:
    found = Totals()
    found.devices[device.id] = device
    sums = found.device_energy_uj if device.inside is None else found.subdevice_energy_uj
    sums[device.id, "counter"] = 5_000_000
    found.power_uw[device.id] = 7_000_000
    return found


# --- names ------------------------------------------------------------------------------------------------------------------


def test_every_metric_of_the_catalog_is_an_instrument_with_its_unit_and_kind() -> None:
    found = by_name(golden())
    named = {m.otlp_name: (m.otlp_unit, m.kind) for m in CATALOG if m.otlp_name and list(m.rows(golden()))}
    host = {"hw.host.energy": ("J", "counter"), "hw.host.power": ("W", "gauge")}
    assert {reading.name: (reading.unit, reading.kind) for reading in found.values()} == named | host


def test_a_devices_energy_says_which_device_by_the_conventions_names() -> None:
    rows = dict(by_name(golden())["hw.energy"].rows)
    expected = {"hw.id": H100.id, "hw.type": "gpu", "hw.model": H100.model, "wattledger.method": "counter"}
    assert tuple(expected.items()) in rows


def test_a_domain_of_a_device_names_its_parent_under_the_same_instrument() -> None:
    rows = by_name(golden())["hw.energy"].rows
    assert [dict(attributes)["hw.parent"] for attributes, _ in rows if "hw.parent" in dict(attributes)] == ["rapl:package-0"]


def test_a_workloads_energy_says_whose() -> None:
    [attributes] = [
        dict(a) for a, _ in by_name(golden())["wattledger.energy"].rows
        if ("wattledger.job.name", TRAIN.job) in a and ("hw.id", MEMORY.id) in a
    ]  # fmt: skip
    assert attributes == {
        "wattledger.job.name": TRAIN.job,
        "wattledger.model.name": TRAIN.model,
        "hw.id": MEMORY.id,
        "hw.type": "memory",
        "wattledger.method": "estimated",
        "wattledger.use": "active",
    }


def test_what_the_kernel_vouches_for_has_the_conventions_names_and_ones_own_labels_a_prefix() -> None:
    labels = {"k8s_namespace_name": "ns", "k8s_pod_name": "pod", "k8s_container_name": "box", "slurm_job_id": "7", "team": "search"}
    found = one_device(Device("gpu", "gpu", "card"))
    found.add((Workload("train", None, tuple(sorted(labels.items()))), "gpu", "counter", "active"), 1)
    [(attributes, _)] = by_name(found.snapshot(State(label_names=("team",))))["wattledger.energy"].rows
    assert set(attributes) >= {
        ("k8s.namespace.name", "ns"),
        ("k8s.pod.name", "pod"),
        ("k8s.container.name", "box"),
        ("slurm.job.id", "7"),
        ("wattledger.team", "search"),
    }


@pytest.mark.parametrize(
    ("kind", "said"),
    [("gpu", "gpu"), ("cpu", "cpu"), ("dram", "memory"), ("nic", "network"), ("storage", "physical_disk"),
     ("accelerator", "accelerator"), ("rest", "rest")],
)  # fmt: skip
def test_the_kind_of_a_device_in_the_conventions_words(kind: Kind, said: str) -> None:
    [(attributes, _)] = by_name(one_device(Device("d", kind, "x")).snapshot(State()))["hw.energy"].rows
    assert dict(attributes)["hw.type"] == said


def test_no_attribute_is_empty() -> None:
    assert all(value for reading in by_name(golden()).values() for attributes, _ in reading.rows for _, value in attributes)


# --- the host ---------------------------------------------------------------------------------------------------------------


def test_the_host_counts_each_joule_and_each_watt_once() -> None:
    found = by_name(golden())
    [(attributes, energy)] = found["hw.host.energy"].rows
    assert attributes == (("hw.id", "host-1"),)
    assert energy == Decimal(sum(golden().device_energy_uj.values())).scaleb(-6)
    assert float(found["hw.host.power"].rows[0][1]) == pytest.approx(sum(float(v) for _, v in found["hw.power"].rows))


def test_a_meter_of_the_whole_host_is_not_a_device_beside_its_parts() -> None:
    found = one_device(Device("node/redfish", "node", "BMC", "(parts)"))
    found.devices["gpu"] = Device("gpu", "gpu", "card")
    found.device_energy_uj["gpu", "counter"] = 3_000_000
    named = by_name(found.snapshot(State()))
    assert [dict(attributes)["hw.id"] for attributes, _ in named["hw.energy"].rows] == ["gpu"]
    assert named["hw.host.energy"].rows == [((("hw.id", "host-1"),), Decimal(3))]


def test_what_is_not_known_has_no_instrument() -> None:
    assert by_name(Totals().snapshot(State())) == {}


# --- requests ---------------------------------------------------------------------------------------------------------------

LENGTHS = st.lists(st.integers(0, 9), max_size=6)


@given(LENGTHS, st.integers(1, 10))
def test_parts_hold_every_row_once_and_no_more_than_asked(lengths: list[int], size: int) -> None:
    found = [Reading(f"m{i}", "counter", "", "", [((("n", f"{i}.{j}"),), j) for j in range(n)]) for i, n in enumerate(lengths)]
    made = list(parts(found, size))
    assert [row for part in made for reading in part for row in reading.rows] == [row for reading in found for row in reading.rows]
    assert [sum(len(reading.rows) for reading in part) for part in made[:-1]] == [size] * (len(made) - 1)
    assert all(0 < sum(len(reading.rows) for reading in part) <= size for part in made)


# --- deltas -----------------------------------------------------------------------------------------------------------------

WHO: Attributes = (("wattledger.job.name", "train"),)


def total(number: Number, name: str = "e") -> Reading:
    return Reading(name, "counter", "J", "", [(WHO, number)])


@given(st.lists(st.tuples(st.integers(0, 10**15), st.booleans()), min_size=1, max_size=20))
def test_whatever_was_lost_on_the_way_the_deltas_that_arrived_add_up_to_the_total(steps: list[tuple[int, bool]]) -> None:
    delta, energy_uj, arrived = Delta(0), 0, Decimal(0)
    for second, (grown_uj, arrives) in enumerate([*steps, (0, True)], 1):
        energy_uj += grown_uj
        reading = total(Decimal(f"{energy_uj}e-6"))
        [point] = delta.points(reading)
        if arrives:
            arrived += Decimal(point.value)
            delta.arrived([reading], second * S)
    assert float(arrived) == pytest.approx(energy_uj / 1e6)


@given(st.lists(st.booleans(), min_size=1, max_size=10))
def test_a_delta_begins_where_the_last_one_that_arrived_ended(arrives: list[bool]) -> None:
    delta, end_ns = Delta(0), 0
    for second, arrived in enumerate(arrives, 1):
        [point] = delta.points(total(second))
        assert point.start_ns == end_ns
        if arrived:
            delta.arrived([total(second)], second * S)
            end_ns = second * S


def test_series_that_are_gone_are_forgotten_and_begin_again_whole() -> None:
    delta = Delta(0)
    delta.arrived([total(25), total(4, "other")], S)
    delta.forget_all_but([total(4, "other")])
    assert [point.value for point in delta.points(total(30))] == [30]
    assert [point.value for point in delta.points(total(4, "other"))] == [0]


def test_a_total_that_fell_began_again_at_0_and_is_no_negative_delta() -> None:
    delta = Delta(0)
    delta.arrived([total(25)], S)
    assert [point.value for point in delta.points(total(3))] == [3]


def test_a_gauge_is_what_it_is() -> None:
    delta, power = Delta(0), Reading("p", "gauge", "W", "", [(WHO, 200.0)])
    delta.arrived([power], S)
    assert [point.value for point in delta.points(power)] == [200.0]


def test_a_decimal_context_of_the_program_does_not_round_a_delta() -> None:
    delta = Delta(0)
    delta.arrived([total(Decimal("12345678.000001"))], S)
    with localcontext() as context:
        context.prec = 3
        assert [point.value for point in delta.points(total(Decimal("12345679.000003")))] == [1.000002]


def test_cumulative_points_are_the_totals_since_the_meter_began() -> None:
    assert [(p.value, p.start_ns) for p in Cumulative(7).points(total(Decimal("1.5")))] == [(1.5, 7)]
