"""The scrape: valid text in both forms, the same twice, exact to the last digit, and never ended by a name."""

import math
import shutil
import subprocess
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families
from prometheus_client.registry import Collector
from tests.golden.scenario import snapshot

from wattledger.core.catalog import CATALOG
from wattledger.core.model import Device, Workload
from wattledger.core.totals import Snapshot, State, Totals
from wattledger_exporters.prometheus import CHUNK_ROWS, OPENMETRICS, SERIES, TEXT, Prometheus, content_type, families

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
FORMS = {TEXT: text_families, OPENMETRICS: openmetrics_families}


def parsed(text: str, form: str) -> Samples:
    """An empty label is an absent one (Prometheus's data model)."""
    samples = [s for family in FORMS[form](text) for s in family.samples]  # type: ignore[no-untyped-call]
    return {(s.name, frozenset((k, v) for k, v in s.labels.items() if v)): s.value for s in samples}


def of_catalog(found: Snapshot) -> Samples:
    return {
        (m.name, frozenset((k, v) for k, v in zip(m.label_names(found), labels, strict=True) if v)): float(value)
        for m in CATALOG
        for labels, value in m.rows(found)
    }


@pytest.mark.parametrize("form", [TEXT, OPENMETRICS])
def test_a_scrape_says_what_the_catalog_says(form: str) -> None:
    found = snapshot()
    assert parsed(Prometheus().render(found, form).decode(), form) == of_catalog(found)


@pytest.mark.parametrize("form", [TEXT, OPENMETRICS])
def test_two_scrapes_without_a_tick_are_identical(form: str) -> None:
    found, exporter = snapshot(), Prometheus()
    assert exporter.render(found, form) == exporter.render(found, form) == Prometheus().render(found, form)


def test_a_program_can_put_the_families_into_its_own_registry() -> None:
    class Ours(Collector):
        def collect(self) -> list[object]:  # type: ignore[override]
            return list(families(snapshot()))

    registry = CollectorRegistry()
    registry.register(Ours())
    assert parsed(generate_latest(registry).decode(), TEXT) == of_catalog(snapshot())


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain;version=0.0.4;q=0.3,*/*;q=0.2", TEXT),
        ("application/json", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.4", OPENMETRICS),
        ("text/plain, Application/OpenMetrics-Text; version=1.0.0", OPENMETRICS),
    ],
)
def test_who_asks_for_openmetrics_gets_it_and_all_others_the_plain_text(accept: str, answer: str) -> None:
    assert content_type(accept) == answer
    assert Prometheus().render(snapshot(), accept).endswith(b"# EOF\n") == (answer == OPENMETRICS)


def one_job(job: str, energy_uj: int = 1_500_000) -> Snapshot:
    found = Totals()
    found.devices["gpu"] = Device("gpu", "gpu", 'a "card" \\ of\nours')
    found.device_energy_uj["gpu", "counter"] = energy_uj
    found.add((Workload(job), "gpu", "counter", "active"), energy_uj)
    return found.snapshot(State())


@pytest.mark.parametrize("form", [TEXT, OPENMETRICS])
@given(job=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_name_comes_back_as_it_was(form: str, job: str) -> None:
    text = Prometheus().render(one_job(job), form).decode()
    names = {dict(labels)["job_name"] for name, labels in parsed(text, form) if name == "wattledger_energy_joules_total"}
    assert names == {job}


@pytest.mark.parametrize("form", [TEXT, OPENMETRICS])
def test_a_name_that_is_no_text_does_not_end_the_scrape(form: str) -> None:
    text = Prometheus().render(one_job("caf\udce9"), form).decode("utf-8")
    assert 'job_name="caf?"' in text


@given(st.lists(st.integers(1, 10**22), min_size=1, max_size=6))
def test_the_text_of_all_jobs_sums_to_the_text_of_the_device(parts_uj: list[int]) -> None:
    found = Totals()
    found.devices["gpu"] = Device("gpu", "gpu", "card")
    found.device_energy_uj["gpu", "counter"] = sum(parts_uj)
    for i, part in enumerate(parts_uj):
        found.add((Workload(f"job-{i}"), "gpu", "counter", "active"), part)
    lines = Prometheus().render(found.snapshot(State())).decode().splitlines()
    jobs = [Decimal(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("wattledger_energy_joules_total{")]
    [device] = [Decimal(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("wattledger_device_energy_joules_total{")]
    assert len(jobs) == len(parts_uj)
    assert sum(jobs) == device


def many(jobs: int) -> Snapshot:
    found = Totals()
    found.devices["gpu"] = Device("gpu", "gpu", "card")
    for i in range(jobs):
        found.add((Workload(f"job-{i}"), "gpu", "counter", "active"), i + 1)
    return found.snapshot(State())


@pytest.mark.parametrize("form", [TEXT, OPENMETRICS])
def test_a_scrape_comes_in_pieces_that_make_the_whole(form: str) -> None:
    """So that other threads run between two of them."""
    exporter, found = Prometheus(), many(2_000)
    pieces = list(exporter.chunks(found, form))
    assert b"".join(pieces) == exporter.render(found, form)
    assert max(piece.count(b"\n") for piece in pieces) <= CHUNK_ROWS + 4  # a family's head goes with its first row
    assert exporter.content_type(form) == form


def test_more_series_than_are_remembered_are_still_right() -> None:
    found = many(SERIES + 100)
    first, second = Prometheus().render(found), Prometheus().render(found)
    assert first == second
    assert first.count(b"wattledger_energy_joules_total{") == SERIES + 100


def of_run(run_id: str, label_names: tuple[str, ...] = ()) -> Snapshot:
    found = Totals()
    found.devices["gpu"] = Device("gpu", "gpu", "card")
    found.device_energy_uj["gpu", "counter"] = 4_000_000
    found.add((Workload("train", "m", (("run_id", run_id), ("team", "search"))), "gpu", "counter", "active"), 1_500_000)
    found.add((Workload("serve"), "gpu", "counter", "active"), 2_500_000)
    return found.snapshot(State(label_names=label_names))


@pytest.mark.parametrize("labels", [(), ("team",), ("run_id", "team")])
def test_an_exemplar_names_the_run_behind_a_counter(labels: tuple[str, ...]) -> None:
    text = Prometheus().render(of_run("slurm:ab-12", labels), OPENMETRICS).decode()
    samples = [s for family in openmetrics_families(text) for s in family.samples]  # type: ignore[no-untyped-call]
    found = {s.labels["job_name"]: s.exemplar for s in samples if s.name == "wattledger_energy_joules_total"}
    assert found["serve"] is None
    assert (found["train"].labels, found["train"].value) == ({"run_id": "slurm:ab-12"}, 1.5)
    assert all(s.exemplar is None for s in samples if "job_name" not in s.labels)


def test_the_plain_text_has_no_exemplars_and_an_odd_run_id_makes_none() -> None:
    assert "# {" not in Prometheus().render(of_run("ab12")).decode()
    assert "# {" in Prometheus().render(of_run("x" * 122), OPENMETRICS).decode()
    for odd in ("x" * 123, 'a"b', "a\\", "a b", "caf\u00e9", "a}b", "a#b", ""):
        assert "# {" not in Prometheus().render(of_run(odd), OPENMETRICS).decode()


def test_labels_that_the_agent_was_told_to_export_are_labels() -> None:
    names = dict(label for (name, labels) in parsed(Prometheus().render(of_run("ab12", ("team",))).decode(), TEXT)
                 for label in labels if name == "wattledger_energy_joules_total")  # fmt: skip
    assert names["team"] == "search"
    assert "run_id" not in names


def test_a_metric_without_labels_is_a_name_and_a_number() -> None:
    text = Prometheus().render(Totals().snapshot(State(late_s=0.25))).decode()
    assert "\nwattledger_tick_late_seconds 0.25\n" in text


def test_numbers_are_finite_and_counters_do_not_fall_below_zero() -> None:
    values = parsed(Prometheus().render(snapshot()).decode(), TEXT)
    assert values
    assert all(math.isfinite(value) for value in values.values())
    assert all(value >= 0 for (name, _), value in values.items() if name.endswith("_total"))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_has_nothing_to_say() -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=Prometheus().render(snapshot()), capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr.decode()
