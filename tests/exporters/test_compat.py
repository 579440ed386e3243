"""Other exporters' names: the same joules as ours, in parts that add up."""

import math
from collections.abc import Iterator
from decimal import Decimal

import pytest
from prometheus_client.parser import text_string_to_metric_families as text_families

from wattledger.core.model import IDLE, UNATTRIBUTED, Condition, Device, Factor, Instant, Workload
from wattledger.core.totals import Growth, Snapshot, State, Totals, powered
from wattledger_exporters.compat import FAMILIES, Compat
from wattledger_exporters.prometheus import OPENMETRICS, TEXT

CARD = Device("GPU-a", "gpu", "NVIDIA H100 80GB HBM3")
OTHER_CARD = Device("GPU-b", "gpu", "NVIDIA H100 80GB HBM3")
SLICE = Device("MIG-a", "gpu", "a slice", "GPU-a")
CPU = Device("rapl:package-0", "cpu", "Intel(R) Xeon(R)")
CORE = Device("rapl:package-0/core", "cpu", "Intel(R) Xeon(R)", "rapl:package-0")
DRAM = Device("rapl:dram-0", "dram", "Intel(R) Xeon(R)")
REST = Device("rest", "rest", "what no sensor covers")
NODE = Device("redfish:1", "node", "BMC")


def pod(name: str) -> Workload:
    labels = {"k8s_container_name": "main", "k8s_namespace_name": "research", "k8s_pod_name": name, "k8s_pod_uid": f"uid-{name}"}
    return Workload(name, None, tuple(sorted({**labels, "container_id": f"c-{name}"}.items())))


RED, BLUE = pod("red"), pod("blue")
SLURM = Workload("train", "m", (("slurm_job_id", "4711"),))
MACHINE = Workload("guest", None, (("vm", "guest-1"),))
WHO = {RED: 100, BLUE: 60, SLURM: 30, MACHINE: 7, IDLE: 11, UNATTRIBUTED: 2}
DEVICES = (CARD, OTHER_CARD, CPU, DRAM, REST)


def totals(times: int) -> Totals:
    """So many seconds in which each microwatt was drawn by each of ``WHO``, on each device."""
    found = Totals()
    found.devices = {d.id: d for d in (*DEVICES, SLICE, CORE, NODE)}
    for n, device in enumerate(DEVICES, 1):
        for who, part in WHO.items():
            found.add((who, device.id, "counter", "active"), times * part * n * 10**5)
            found.add((who, device.id, "counter", "held"), times * part * n * 10**4)
        found.device_energy_uj[device.id, "counter"] = sum(uj for key, uj in found.energy_uj.items() if key[1] == device.id)
        found.power_uw[device.id] = found.device_energy_uj[device.id, "counter"] // times
    found.subdevice_energy_uj[CORE.id, "counter"] = times * 5 * 10**6
    found.power_uw[NODE.id] = 900_000_000
    found.conditions[CARD.id] = Condition(CARD.id, Instant(0, 0), 61_000, 700_000_000)
    return found


def grown(before: Snapshot, now: Snapshot, elapsed_ns: int) -> Snapshot:
    """All devices grew in that time."""
    return powered(now, dict.fromkeys(now.devices, Growth(before, now, elapsed_ns)))


@pytest.fixture
def seen() -> Snapshot:
    grid = Factor("grid", "US-CAMX", 360.0, "gCO2e/kWh", "direct", "eGRID", "2022", "annual-average", 1.1)
    return grown(totals(1).snapshot(State()), totals(3).snapshot(State(grid)), 2 * 10**9)


Samples = dict[str, list[tuple[dict[str, str], float]]]


def scraped(seen: Snapshot, names: str = "dcgm,kepler,ceems", pue: float = 1.0) -> Samples:
    found: Samples = {}
    text = Compat(names, "node-1", lambda: pue).render(seen).decode()
    for family in text_families(text):
        for sample in family.samples:
            # The parser gives every counter a _total, which dcgm-exporter's has not.
            name = sample.name if f"\n{sample.name}{{" in text else sample.name.removesuffix("_total")
            found.setdefault(name, []).append((sample.labels, sample.value))
    return found


def total(samples: Samples, name: str, **labels: str) -> float:
    return math.fsum(value for found, value in samples[name] if labels.items() <= found.items())


def watts(seen: Snapshot, device: Device) -> float:
    return seen.power_uw[device.id] / 1e6


@pytest.mark.parametrize("device", [CARD, OTHER_CARD])
def test_the_rows_of_a_gpu_add_up_to_the_gpu(seen: Snapshot, device: Device) -> None:
    """dcgm-exporter's own give each pod the whole card."""
    samples = scraped(seen, "dcgm")
    assert total(samples, "DCGM_FI_DEV_POWER_USAGE", UUID=device.id) == pytest.approx(watts(seen, device))
    energy_mj = seen.device_energy_uj[device.id, "counter"] / 1e3
    assert total(samples, "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", UUID=device.id) == pytest.approx(energy_mj, rel=1e-12)


def test_two_pods_on_one_gpu_have_their_own_parts(seen: Snapshot) -> None:
    found = scraped(seen, "dcgm")["DCGM_FI_DEV_POWER_USAGE"]
    by_pod = {labels.get("pod", ""): value for labels, value in found if labels["UUID"] == CARD.id and not labels.get("hpc_job")}
    assert by_pod == pytest.approx({"red": 11.0, "blue": 6.6, "": (7 + 11 + 2) * 0.11})


def test_a_slurm_job_is_dcgms_hpc_job(seen: Snapshot) -> None:
    assert total(scraped(seen, "dcgm"), "DCGM_FI_DEV_POWER_USAGE", hpc_job="4711", gpu="0") == pytest.approx(3.3)


def test_a_slice_is_not_counted_beside_its_gpu(seen: Snapshot) -> None:
    assert {labels["gpu"] for rows in scraped(seen, "dcgm").values() for labels, _ in rows} == {"0", "1"}


def test_temperature_and_limit_are_there_where_the_gpu_tells(seen: Snapshot) -> None:
    samples = scraped(seen, "dcgm")
    for name, value in (("DCGM_FI_DEV_GPU_TEMP", 61.0), ("DCGM_FI_DEV_ENFORCED_POWER_LIMIT", 700.0)):
        assert [(labels["UUID"], found) for labels, found in samples[name]] == [(CARD.id, value)]


def test_keplers_node_is_each_zone_once_and_the_rest_in_none(seen: Snapshot) -> None:
    samples = scraped(seen, "kepler")
    joules = {labels["zone"]: value for labels, value in samples["kepler_node_cpu_joules_total"]}
    devices = seen.device_energy_uj
    assert joules == {
        "package": devices[CPU.id, "counter"] / 1e6, "dram": devices[DRAM.id, "counter"] / 1e6, "core": 15.0,
    }  # fmt: skip
    assert total(samples, "kepler_node_cpu_watts", zone="package") == pytest.approx(watts(seen, CPU))


@pytest.mark.parametrize(("side", "devices"), [("cpu", (CPU, DRAM)), ("gpu", (CARD, OTHER_CARD))])
def test_keplers_active_and_idle_make_the_node(seen: Snapshot, side: str, devices: tuple[Device, ...]) -> None:
    samples = scraped(seen, "kepler")
    parts = [total(samples, f"kepler_node_{side}_{state}_watts") for state in ("active", "idle")]
    assert sum(parts) == pytest.approx(sum(watts(seen, device) for device in devices))
    idle = sum(n * (sum(WHO.values()) * 0.01 + WHO[IDLE] * 0.1) for n, d in enumerate(DEVICES, 1) if d in devices)
    assert parts[1] == pytest.approx(idle)


@pytest.mark.parametrize(("level", "whose"), [("pod", {RED, BLUE}), ("container", {RED, BLUE}), ("vm", {MACHINE}),
                                              ("process", {RED, BLUE, SLURM, MACHINE})])  # fmt: skip
def test_each_level_holds_its_own_and_nobody_twice(seen: Snapshot, level: str, whose: set[Workload]) -> None:
    samples = scraped(seen, "kepler")
    part = sum(WHO[who] for who in whose) / sum(WHO.values())
    for side, devices in (("cpu", (CPU, DRAM)), ("gpu", (CARD, OTHER_CARD))):
        whole = sum(watts(seen, device) for device in devices)
        assert total(samples, f"kepler_{level}_{side}_watts") == pytest.approx(whole * part)
        joules = sum(seen.device_energy_uj[device.id, "counter"] for device in devices) / 1e6
        assert total(samples, f"kepler_{level}_{side}_joules_total") == pytest.approx(joules * part)


def test_the_platform_is_the_bmcs_word(seen: Snapshot) -> None:
    assert scraped(seen, "kepler")["kepler_platform_watts"] == [
        ({"source": "redfish", "node_name": "node-1", "bmc_id": "redfish:1"}, 900.0)
    ]


def test_ceems_units_are_without_the_idle_and_add_up(seen: Snapshot) -> None:
    samples = scraped(seen, "ceems", pue=1.5)
    part = (100 + 60 + 30 + 7) / sum(WHO.values())
    host = sum(watts(seen, device) for device in (CPU, DRAM, REST))
    gpus = sum(watts(seen, device) for device in (CARD, OTHER_CARD))
    assert total(samples, "uuid:ceems_host_power_watts:pue") == pytest.approx(1.5 * host * part)
    assert total(samples, "uuid:ceems_gpu_power_watts:pue") == pytest.approx(1.5 * gpus * part)
    found = {(labels["manager"], labels["uuid"]) for labels, _ in samples["uuid:ceems_gpu_power_watts:pue"]}
    assert found == {("slurm", "4711"), ("k8s", "uid-red"), ("k8s", "uid-blue"), ("libvirt", "guest-1")}


def test_ceems_emissions_are_power_times_the_grid(seen: Snapshot) -> None:
    samples = scraped(seen, "ceems")
    for side in ("host", "gpu"):
        grams_s = total(samples, f"uuid:ceems_{side}_power_watts:pue", uuid="4711") * 360 / 3.6e6
        assert total(samples, f"uuid:ceems_{side}_emissions_g_s:pue", uuid="4711") == pytest.approx(grams_s)
    assert samples["ceems_emissions_gCo2_kWh"] == [({"country_code": "US", "provider": "eGRID"}, 360.0)]


def test_an_unknown_grid_is_no_factor(seen: Snapshot) -> None:
    assert seen.grid is not None
    found = scraped(seen._replace(grid=seen.grid._replace(quality="unknown", value=0.0)), "ceems")
    assert not any("emissions" in name for name in found)


def test_before_two_cells_are_closed_there_is_energy_and_no_power(seen: Snapshot) -> None:
    found = scraped(seen._replace(share_uw={}))
    assert "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION" in found
    assert not {"DCGM_FI_DEV_POWER_USAGE", "kepler_pod_cpu_watts", "uuid:ceems_host_power_watts:pue"} & found.keys()


def test_what_has_ended_between_two_cells_takes_no_power_from_another() -> None:
    before, after = totals(1), totals(3)
    after.retire([RED])
    found = grown(before.snapshot(State()), after.snapshot(State()), 10**9)
    assert RED not in {who for who, _, _ in found.share_uw}
    assert all(uw >= 0 for uw in found.share_uw.values())


def test_a_series_that_ended_and_came_again_draws_no_less_than_nothing() -> None:
    before, after = totals(5), totals(3)
    assert min(grown(before.snapshot(State()), after.snapshot(State()), 10**9).share_uw.values()) == 0


@pytest.mark.parametrize("names", [",".join(FAMILIES), *FAMILIES])
def test_the_text_is_valid_and_the_same_twice(seen: Snapshot, names: str) -> None:
    made = Compat(names, 'a "host"\n', lambda: 1.2)
    assert made.render(seen) == b"".join(made.chunks(seen))
    families = list(text_families(made.render(seen, OPENMETRICS).decode()))
    assert [family for family in families if not family.samples] == []
    assert len({family.name for family in families}) == len(families) > 2
    assert made.content_type(OPENMETRICS) == TEXT


def test_no_row_comes_twice(seen: Snapshot) -> None:
    def keys() -> Iterator[tuple[str, tuple[str, ...]]]:
        for metric in Compat(",".join(FAMILIES), "n", lambda: 1.0).catalog:
            for labels, value in metric.rows(seen):
                assert len(labels) == len(metric.labels)
                assert isinstance(value, int | float | Decimal)
                yield metric.name, labels

    found = list(keys())
    assert len(found) == len(set(found)) > 50


def test_a_family_that_there_is_not_is_named() -> None:
    with pytest.raises(ValueError, match=r"exporters\.compat\.names: no family 'scaphandre'; there are dcgm, kepler, ceems"):
        Compat("dcgm, scaphandre", "n", lambda: 1.0)
