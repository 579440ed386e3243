"""The catalog: names are for ever, energy leaves as exact decimals, and the sums close in the text too."""

from collections import Counter
from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger import __version__
from wattledger.core.attribution import split
from wattledger.core.catalog import CATALOG, Metric, Row, number_text
from wattledger.core.model import Device, Factor, Instant, Method, Use, Work, Workload
from wattledger.core.totals import Health, Sent, Snapshot, State, Totals

AT = Instant(1, 1)
TRAIN = ("train", "m", "", "", "", "")
WHO = ("job_name", "model_name", "k8s_namespace_name", "k8s_pod_name", "k8s_container_name", "slurm_job_id")
CONTRACT = {
    "wattledger_energy_joules_total": ("counter", (*WHO, "device", "component", "method", "use")),
    "wattledger_device_energy_joules_total": ("counter", ("device", "component", "device_model", "method")),
    "wattledger_subdevice_energy_joules_total": ("counter", ("device", "component", "inside", "method")),
    "wattledger_device_power_watts": ("gauge", ("device", "component")),
    "wattledger_device_power_limit_watts": ("gauge", ("device", "component")),
    "wattledger_device_temperature_celsius": ("gauge", ("device", "component")),
    "wattledger_emissions_grams_total": ("counter", WHO),
    "wattledger_embodied_emissions_grams_total": ("counter", WHO),
    "wattledger_water_litres_total": ("counter", (*WHO, "source")),
    "wattledger_cost_total": ("counter", (*WHO, "currency")),
    "wattledger_tokens_total": ("counter", (*WHO, "kind")),
    "wattledger_requests_total": ("counter", WHO),
    "wattledger_token_energy_joules_total": ("counter", (*WHO, "component", "method", "kind")),
    "wattledger_token_energy_pending_joules": ("gauge", WHO),
    "wattledger_token_emissions_grams_total": ("counter", (*WHO, "kind")),
    "wattledger_energy_per_token_joules": ("gauge", (*WHO, "kind", "bound")),
    "wattledger_request_energy_joules_total": ("counter", (*WHO, "tenant", "kind")),
    "wattledger_request_tokens_total": ("counter", (*WHO, "tenant", "kind")),
    "wattledger_grid_carbon_intensity_grams_per_kwh": ("gauge", ("grid_zone", "provider", "basis", "quality")),
    "wattledger_grid_carbon_intensity_forecast_grams_per_kwh": ("gauge", ("grid_zone", "provider", "hours_ahead")),
    "wattledger_grid_carbon_intensity_age_seconds": ("gauge", ("grid_zone", "provider")),
    "wattledger_settled_emissions_grams": ("gauge", ("day", "basis", "state")),
    "wattledger_attribution_residual_joules": ("gauge", ("device",)),
    "wattledger_retired_energy_joules_total": ("counter", ("device", "component")),
    "wattledger_coverage_ratio": ("gauge", ("source",)),
    "wattledger_tick_late_seconds": ("gauge", ()),
    "wattledger_ledger_lag_seconds": ("gauge", ()),
    "wattledger_exports_total": ("counter", ("exporter", "outcome")),
    "wattledger_source_up": ("gauge", ("source",)),
    "wattledger_source_read_seconds": ("gauge", ("source",)),
    "wattledger_source_errors_total": ("counter", ("source",)),
    "wattledger_build_info": ("gauge", ("version",)),
}
TARGET_LABELS = {"job", "instance", "zone", "region", "cluster", "namespace", "pod", "container"}
UNITS = {"J": "joules", "W": "watts", "g": "grams", "s": "seconds", "Cel": "celsius"}


def rows(name: str, snapshot: Snapshot) -> list[Row]:
    return list(named(name).rows(snapshot))


def named(name: str) -> Metric:
    return next(metric for metric in CATALOG if metric.name == name)


def test_names_kinds_and_labels_are_those_of_the_contract() -> None:
    assert {m.name: (m.kind, m.labels) for m in CATALOG} == CONTRACT
    assert len(CATALOG) == len(CONTRACT)


def test_no_label_is_one_that_prometheus_sets_on_targets() -> None:
    assert not TARGET_LABELS & {label for metric in CATALOG for label in metric.labels}


@pytest.mark.parametrize("metric", [m for m in CATALOG if m.otlp_name.startswith("wattledger.")], ids=lambda m: m.name)
def test_an_otlp_name_translates_to_the_prometheus_name(metric: Metric) -> None:
    unit = UNITS.get(metric.otlp_unit, "")
    parts = [metric.otlp_name.replace(".", "_"), unit, "total" if metric.kind == "counter" else ""]
    assert "_".join(part for part in parts if part) == metric.name


@pytest.mark.parametrize("metric", CATALOG, ids=lambda m: m.name)
def test_a_unit_is_spelled_in_the_name(metric: Metric) -> None:
    assert metric.name.removesuffix("_total").endswith(metric.unit)
    assert metric.help.strip() == metric.help != ""


METHODS: tuple[Method, ...] = ("counter", "integrated", "estimated")
USES: tuple[Use, ...] = ("active", "held")
NAMES = st.text(min_size=1, max_size=6) | st.sampled_from(["train", "\udcff", "\ud800", "?"])
WORKLOADS = st.builds(
    Workload, NAMES, st.none() | NAMES, st.lists(st.tuples(NAMES, NAMES), max_size=1).map(tuple)
)
# From a microjoule to what a nation uses in a year: beyond 2^53 a float holds no microjoule.
ENERGIES_UJ = st.integers(0, 10**24)


@st.composite
def totals(draw: st.DrawFn) -> Totals:
    """Devices whose energy has been handed out to workloads as the pipeline does it: whole, as ints."""
    found = Totals()
    for i in range(draw(st.integers(0, 3))):
        device = Device(f"dev-{i}", draw(st.sampled_from(["gpu", "cpu", "dram"])), draw(NAMES))
        found.devices[device.id] = device
        for method in draw(st.sets(st.sampled_from(METHODS), min_size=1)):
            energy = draw(ENERGIES_UJ)
            found.device_energy_uj[device.id, method] = energy
            workloads = draw(st.lists(st.tuples(WORKLOADS, st.sampled_from(USES)), min_size=1, max_size=5))
            weights = draw(st.lists(st.integers(0, 10**6), min_size=len(workloads), max_size=len(workloads)))
            for (workload, use), part in zip(workloads, split(energy, weights), strict=True):
                found.add((workload, device.id, method, use), part)
    return found


def snapshot_of(found: Totals) -> Snapshot:
    return found.snapshot(State())


@given(totals())
def test_the_joules_of_all_workloads_are_the_joules_of_the_device(found: Totals) -> None:
    handed_out: Counter[tuple[str, str]] = Counter()
    for labels, joules in rows("wattledger_energy_joules_total", snapshot_of(found)):
        handed_out[labels[6], labels[8]] += int(Decimal(number_text(joules)).scaleb(6))
    for labels, joules in rows("wattledger_device_energy_joules_total", snapshot_of(found)):
        assert handed_out[labels[0], labels[3]] == int(Decimal(number_text(joules)).scaleb(6))
    assert all(value == 0 for _, value in rows("wattledger_attribution_residual_joules", snapshot_of(found)))


@given(totals())
def test_no_two_rows_share_their_labels_once_they_are_text(found: Totals) -> None:
    for metric in CATALOG:
        labels = [tuple(v.encode("utf-8", "replace") for v in values) for values, _ in metric.rows(snapshot_of(found))]
        assert len(labels) == len(set(labels))
        assert all(len(values) == len(metric.labels) for values in labels)


@given(totals())
def test_reading_a_snapshot_changes_nothing(found: Totals) -> None:
    snapshot = snapshot_of(found)
    assert [list(m.rows(snapshot)) for m in CATALOG] == [list(m.rows(snapshot)) for m in CATALOG]


@given(ENERGIES_UJ)
def test_text_of_energy_is_the_integer_with_its_point_moved(energy_uj: int) -> None:
    found = Totals()
    found.devices["gpu"] = Device("gpu", "gpu", "card")
    found.device_energy_uj["gpu", "counter"] = energy_uj
    [(_, joules)] = rows("wattledger_device_energy_joules_total", snapshot_of(found))
    text = number_text(joules)
    whole, _, rest = text.partition(".")
    assert int(whole + rest.ljust(6, "0")) == energy_uj
    assert "e" not in text.lower()


def test_a_decimal_context_of_the_program_does_not_round_energy() -> None:
    found = Totals()
    found.devices["gpu"] = Device("gpu", "gpu", "card")
    found.device_energy_uj["gpu", "counter"] = 12_345_678_901_234_567
    with localcontext() as context:
        context.prec = 3
        [(_, joules)] = rows("wattledger_device_energy_joules_total", snapshot_of(found))
        assert number_text(joules) == "12345678901.234567"


@pytest.mark.parametrize(
    ("value", "text"),
    [(Decimal("0.000000"), "0"), (Decimal("-0.000001"), "-0.000001"), (Decimal("1.500000"), "1.5"), (Decimal("100"), "100"),
     (329.0, "329"), (0.1, "0.1"), (1e-07, "1e-07"), (1e22, "1e+22"), (3, "3")],
)  # fmt: skip
def test_numbers_are_written_short_and_exact(value: Decimal | float | int, text: str) -> None:
    assert number_text(value) == text
    assert type(value)(text) == value


def test_workloads_that_differ_in_labels_alone_share_one_series_and_keep_their_sum() -> None:
    found = Totals()
    found.devices["gpu"] = Device("gpu", "gpu", "card")
    for team, energy_uj in (("a", 1_000_000), ("b", 500_000)):
        workload = Workload("train", "m", (("team", team),))
        found.add((workload, "gpu", "counter", "active"), energy_uj)
        found.emissions_g[workload] = 0.25
        found.add_work(Work(workload, AT, prompt_tokens=3, generated_tokens=1, requests=1))
    snapshot = snapshot_of(found)
    assert rows("wattledger_energy_joules_total", snapshot) == [((*TRAIN, "gpu", "gpu", "counter", "active"), Decimal("1.5"))]
    assert rows("wattledger_emissions_grams_total", snapshot) == [(TRAIN, 0.5)]
    assert rows("wattledger_requests_total", snapshot) == [(TRAIN, 2)]
    tokens = dict(rows("wattledger_tokens_total", snapshot))
    assert tokens == {(*TRAIN, "prompt"): 6, (*TRAIN, "cached"): 0, (*TRAIN, "generated"): 2}


def test_a_label_that_is_configured_keeps_series_apart_and_stands_at_the_end() -> None:
    found = Totals()
    found.devices["gpu"] = Device("gpu", "gpu", "card")
    for team in ("a", "b"):
        pod = (("k8s_pod_name", f"pod-{team}"), ("team", team))
        found.add((Workload("train", "m", pod), "gpu", "counter", "active"), 1_000_000)
    snapshot = found.snapshot(State(label_names=("team",)))
    metric = named("wattledger_energy_joules_total")
    assert metric.label_names(snapshot)[-1] == "team"
    got = [dict(zip(metric.label_names(snapshot), labels, strict=True)) for labels, _ in metric.rows(snapshot)]
    assert [(row["k8s_pod_name"], row["team"]) for row in got] == [("pod-a", "a"), ("pod-b", "b")]


def test_health_lateness_and_deliveries_are_said_when_they_are_known() -> None:
    health = {"nvml": Health(True, 0.001, 0, "", 0.75), "new": Health(True, 0.0, 0)}
    snapshot = Totals().snapshot(State(None, health, {"otlp": Sent(3, 1, "no route")}, 0.002))
    assert rows("wattledger_coverage_ratio", snapshot) == [(("nvml",), 0.75)]
    assert rows("wattledger_tick_late_seconds", snapshot) == [((), 0.002)]
    assert rows("wattledger_exports_total", snapshot) == [(("otlp", "delivered"), 3), (("otlp", "failed"), 1)]


@pytest.mark.parametrize("use", ["active", "held"])
def test_active_and_held_stay_apart(use: Use) -> None:
    found = Totals()
    found.devices["gpu"] = Device("gpu", "gpu", "card")
    found.add((Workload("train"), "gpu", "counter", use), 7)
    [(labels, _)] = rows("wattledger_energy_joules_total", snapshot_of(found))
    assert labels == ("train", *[""] * 5, "gpu", "gpu", "counter", use)


def test_what_is_not_known_has_no_row() -> None:
    empty = snapshot_of(Totals())
    assert {m.name for m in CATALOG if list(m.rows(empty))} == {"wattledger_build_info"}
    assert rows("wattledger_build_info", empty) == [((__version__,), 1)]


def test_a_sum_over_device_power_counts_each_watt_once() -> None:
    found = Totals()
    for device in (Device("pkg", "cpu", "x"), Device("core", "cpu", "x", inside="pkg")):
        found.devices[device.id] = device
        found.power_uw[device.id] = 40_000_000
        found.subdevice_energy_uj["core", "counter"] = 5
    snapshot = snapshot_of(found)
    assert rows("wattledger_device_power_watts", snapshot) == [(("pkg", "cpu"), Decimal(40))]
    assert rows("wattledger_subdevice_energy_joules_total", snapshot) == [(("core", "cpu", "pkg", "counter"), Decimal("0.000005"))]


def test_a_source_that_is_gone_reads_0_and_keeps_its_errors() -> None:
    grid = Factor("grid", "DE", 329.0, "gCO2e/kWh", "direct", "EEA", "2023", "annual-average", 1.1)
    snapshot = Totals().snapshot(State(grid, {"nvml": Health(False, 0.5, 2, "gone")}))
    assert rows("wattledger_source_up", snapshot) == [(("nvml",), 0)]
    assert rows("wattledger_source_errors_total", snapshot) == [(("nvml",), 2)]
    assert rows("wattledger_source_read_seconds", snapshot) == [(("nvml",), 0.5)]
    assert rows("wattledger_grid_carbon_intensity_grams_per_kwh", snapshot) == [(("DE", "EEA", "average", "annual-average"), 329.0)]
    assert rows("wattledger_grid_carbon_intensity_age_seconds", snapshot) == []
    live = snapshot._replace(grid_age_s=90.0, settled_g={("2026-11-21", "location", "settled"): 12.5})
    assert rows("wattledger_ledger_lag_seconds", snapshot) == []  # nobody keeps books
    assert rows("wattledger_ledger_lag_seconds", Totals().snapshot(State(ledger_lag_s=4.5))) == [((), 4.5)]
    assert rows("wattledger_grid_carbon_intensity_age_seconds", live) == [(("DE", "EEA"), 90.0)]
    assert rows("wattledger_settled_emissions_grams", live) == [(("2026-11-21", "location", "settled"), 12.5)]
