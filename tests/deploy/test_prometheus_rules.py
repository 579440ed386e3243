"""The rules, alerts and examples of ``deploy/prometheus``: sound by Prometheus's own tools, true to the catalog and the README."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from tests.servers.programs import path_of

from wattledger.cli import cli
from wattledger.core.catalog import CATALOG

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
RULE_FILES = ("rules.yml", "alerts.yml", "budgets.yml")
OURS = re.compile(r"(?:[a-z0-9_]+:)?wattledger[_:][a-z0-9_:]+")  # a metric of ours, recorded ones too
LEVEL = r"(instance|fleet|workload|top_workload|model|team|namespace|zone|tenant|job_name)(_[a-z]+)*"
TARGET = {"job", "instance", "cluster"}  # a target's own labels, and the operator's
CONFIGURED = {"team"}  # what [agent] labels may export
ALERTS_OWN = {"alertname", "alertstate"}


def groups(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load((FOLDER / name).read_text())["groups"])


def rules(*names: str) -> Iterator[dict[str, Any]]:
    for name in names or RULE_FILES:
        for group in groups(name):
            yield from group["rules"]


RECORDED = sorted({rule["record"] for rule in rules() if "record" in rule})
ALERTS = {rule["alert"]: rule for rule in rules("alerts.yml")}
BY_NAME = {metric.name: metric for metric in CATALOG}


def names_in(text: str) -> set[str]:
    """Metrics of ours that an expression or a test names (groups of rules and job names are no metrics)."""
    return set(OURS.findall(text))


def asked(name: str) -> str:
    """Every expression of a file of rules; of a file of tests, every expression and series."""
    if not name.endswith("_test.yml"):
        return "\n".join(rule["expr"] for rule in rules(name))
    cases = yaml.safe_load((FOLDER / name).read_text())["tests"]
    series = [row["series"].partition("{")[0] for case in cases for row in case["input_series"]]
    return "\n".join([*series, *(test["expr"] for case in cases for test in case["promql_expr_test"])])


def promtool(*words: str) -> str:
    """Runs it beside the files; what it said, as one text, if it found no fault."""
    done = subprocess.run([path_of("promtool"), *words], cwd=FOLDER, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_prometheus_finds_no_fault_in_the_rules() -> None:
    said = promtool("check", "rules", *RULE_FILES)
    assert said.count("SUCCESS") == len(RULE_FILES)


def test_prometheus_finds_no_fault_in_the_example_configuration() -> None:
    assert "prometheus.yml is valid" in promtool("check", "config", "prometheus.yml")


def test_alertmanager_finds_no_fault_in_its_example() -> None:
    words = [path_of("amtool"), "check-config", "alertmanager.yml"]
    done = subprocess.run(words, cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["rules_test.yml", "alerts_test.yml"])
def test_rules_give_what_their_cases_say(name: str) -> None:
    assert "SUCCESS" in promtool("test", "rules", name)


@pytest.mark.parametrize("name", [*RULE_FILES, "rules_test.yml", "alerts_test.yml"])
def test_every_metric_is_in_the_catalog_or_recorded(name: str) -> None:
    found = names_in(asked(name))
    assert found or name == "budgets.yml"
    assert found <= {*BY_NAME, *RECORDED}


def test_a_recorded_name_says_level_metric_and_operation() -> None:
    for name in RECORDED:
        if name == "wattledger:job_energy_budget_joules":  # the operator's word, not computed from a metric
            continue
        level, metric, operation = name.split(":")
        assert re.fullmatch(LEVEL, level), name
        assert metric.startswith("wattledger_"), name
        assert not metric.endswith("_total"), name
        assert re.fullmatch(r"rate5m|increase1h|sum30d|ratio|ratio_rate5m|avg|max", operation), name


def test_labels_are_of_the_metric_or_its_target() -> None:
    """A label that nobody has groups nothing, and no tool says so."""
    known = TARGET | CONFIGURED | ALERTS_OWN | {label for metric in CATALOG for label in metric.labels}
    for rule in rules("rules.yml", "alerts.yml"):
        listed = re.findall(r"(?:by|without|on|ignoring|group_left)\s*\(([a-z0-9_, ]*)\)", rule["expr"])
        matched = re.findall(r"[{,]\s*([a-z0-9_]+)\s*(?:=~|!~|!=|=)\s*\"", rule["expr"])
        assert {label.strip() for part in listed for label in part.split(",") if label.strip()} <= known, rule
        assert set(matched) <= known, rule


def test_no_sum_counts_a_joule_twice() -> None:
    """What is inside a device is its device's, and settled grams of a day stay up for days: neither is ever summed."""
    text = asked("rules.yml") + asked("alerts.yml")
    assert "wattledger_subdevice_energy_joules_total" not in text
    assert "wattledger_settled_emissions_grams" not in text


def test_what_ended_jobs_leave_behind_is_nobodys_rate() -> None:
    """Grams, litres, money and tokens of who ended move to (retired): its growth would count them a second time."""
    for short in ("emissions_grams", "embodied_emissions_grams", "water_litres", "cost", "tokens"):
        name = f"wattledger_{short}_total"
        found = [rule["expr"] for rule in rules("rules.yml", "alerts.yml") if name in rule["expr"]]
        assert found, name
        assert all(f'{name}{{job_name!="(retired)"' in expr for expr in found), name


def test_counters_are_only_asked_how_they_grow() -> None:
    for rule in rules("rules.yml", "alerts.yml"):
        for name in names_in(rule["expr"]) & {metric.name for metric in CATALOG if metric.kind == "counter"}:
            bare = re.findall(rf"(\w+)\({name}[^\[\]]*\[", rule["expr"])
            assert len(bare) == rule["expr"].count(name), rule
            assert set(bare) <= {"rate", "increase", "max_over_time"}, rule


def test_the_hours_are_sums_of_rates_a_minute() -> None:
    """Sixty rates make an hour only if there are sixty, and each comes from a group that runs every minute."""
    every = {rule["record"]: group["interval"] for group in groups("rules.yml") for rule in group["rules"]}
    hourly = [rule for rule in rules("rules.yml") if rule["record"].endswith(":increase1h")]
    assert len(hourly) > 15
    for rule in hourly:
        assert every[rule["record"]] == "1h"
        [summed] = re.findall(r"sum_over_time\(([a-z0-9_:]+)\[59m59s999ms\]\)", rule["expr"])
        assert every[summed] == "1m"
        per_hour = "per_hour" in summed
        assert rule["expr"].endswith("/ 60") if per_hour else rule["expr"].startswith("60 * ")
        assert rule["record"].split(":")[:2] == summed.replace("_per_hour", "").split(":")[:2]


def test_every_recorded_name_and_every_alert_is_in_the_readme() -> None:
    text = (FOLDER / "README.md").read_text()
    assert [name for name in RECORDED if f"`{name}`" not in text and f"`{name.rpartition(':')[0]}:" not in text] == []
    assert [name for name in ALERTS if f"### {name}\n" not in text] == []
    assert names_in(text) <= {*BY_NAME, *RECORDED}


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_where_and_what_to_run(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    said = rule["annotations"]
    assert set(said) == {"summary", "description", "runbook"}
    assert said["summary"].endswith(".")
    assert said["runbook"] == f"deploy/prometheus/README.md#{name.lower()}"
    assert re.search(r"Run\b[^:]*: .*(wattledger|promtool)", said["description"])
    for words in re.findall(r"wattledger ((?:[a-z]+ ?)+)", said["description"]):
        assert command_exists(words.split()), words


def command_exists(words: list[str]) -> bool:
    """Whether our command line has these words, up to the first that is an argument."""
    command: click.Command | None = cli
    for word in words:
        if not isinstance(command, click.Group):
            break
        command = command.get_command(click.Context(command), word)
    return command is not None


@pytest.mark.parametrize("name", ALERTS)
def test_each_alert_fires_in_one_case_and_is_silent_in_another(name: str) -> None:
    cases = yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]
    expected = [[sample["labels"] for sample in test["exp_samples"]] for case in cases for test in case["promql_expr_test"]]
    assert any(f'alertname="{name}"' in labels for one in expected for labels in one)
    assert any(one == [] for one in expected)


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("wrong", ["({}) and vector(0) > 1", "({}) or on () vector(1)"], ids=["never", "always"])
def test_an_alert_that_loses_its_measure_is_found_by_a_case(tmp_path: Path, wrong: str) -> None:
    """The cases are no decoration: whichever expression never holds, or always, one of them names its alert."""
    broken = groups("alerts.yml")
    for rule in (rule for group in broken for rule in group["rules"]):
        rule["expr"] = wrong.format(rule["expr"])
    (tmp_path / "alerts.yml").write_text(yaml.safe_dump({"groups": broken}))
    for name in ("rules.yml", "alerts_test.yml"):
        (tmp_path / name).write_text((FOLDER / name).read_text())
    words = [path_of("promtool"), "test", "rules", "alerts_test.yml"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    named = re.findall(r'alertname="(\w+)"', "\n".join(re.findall(r"(?:exp|got): .*", done.stdout + done.stderr)))
    assert set(named) == set(ALERTS)
