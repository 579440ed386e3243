"""Every panel's query of every dashboard, asked of a real Prometheus over real agents: there is an answer, of the right size."""

import math
import re
import time
from collections.abc import Iterator
from statistics import mean
from types import ModuleType
from typing import NamedTuple

import pytest
from tests.grafana import (
    expectations_fleet,
    expectations_grid,
    expectations_health,
    expectations_job,
    expectations_models,
    expectations_node,
)
from tests.grafana.asked import Target, chosen, dashboards, put_in, targets
from tests.grafana.site import PUE, RUN, Site, site
from tests.node.agents import total

pytestmark = [pytest.mark.slow, pytest.mark.soak]
# What a unit's values may be, on two nodes over a quarter of a minute.  A unit that is not named here: any finite number.
BOUNDS = {
    "watt": (0, 20_000), "watth": (0, 5_000), "joule": (0, 1e7), "massg": (0, 500), "litre": (0, 5), "percentunit": (0, 1.0001),
    "s": (0, 7 * 86_400), "celsius": (5, 120), "suffix: g/kWh": (0, 2_000), "suffix: g/h": (0, 10_000), "si:J/token": (0, 1_000),
    "si:token/s": (0, 1e6), "currencyEUR": (0, 1),
}  # fmt: skip
CURVE_S = 5
NEAR = 0.25  # how far a panel's figure may be from the expected one: sensors, scrapes and the question have clocks of their own
EXPECTED = (
    expectations_fleet,
    expectations_grid,
    expectations_health,
    expectations_job,
    expectations_models,
    expectations_node,
)
# (dashboard, panel, query) that has no answer here → why.
SILENT: dict[tuple[str, str, str], str] = {key: why for module in EXPECTED for key, why in module.SILENT.items()}


class Series(NamedTuple):
    """Labels, and values as they came."""

    labels: dict[str, str]
    values: list[float]


class Page:
    """What a dashboard shows: the mean of each series, by panel and query; on a busy machine a single scrape comes late."""

    def __init__(self, answers: dict[tuple[str, str], list[Series]]) -> None:
        self._answers = answers

    def sum(self, panel: str, *refs: str, **labels: str) -> float:
        found = [one for ref in refs or ("A",) for one in self._answers[panel, ref]]
        return sum(mean(one.values) for one in found if labels.items() <= one.labels.items())


class Nodes:
    """What the agents say of themselves, by their own pages: watts, and the grid's grams for a kWh."""

    def __init__(self, found: Site) -> None:
        rows = {name: node.scrape() for name, node in found.nodes.items()}
        self.watts = {name: float(total(page, "wattledger_device_power_watts")) for name, page in rows.items()}
        grams = "wattledger_grid_carbon_intensity_grams_per_kwh"
        self.g_per_kwh = {name: float(total(page, grams, basis="average")) for name, page in rows.items()}

    @property
    def all_watts(self) -> float:
        return sum(self.watts.values())

    @property
    def grams_an_hour(self) -> float:
        """With the building's overhead, as the agents are told to."""
        return sum(watts / 1000 * self.g_per_kwh[name] * PUE for name, watts in self.watts.items())


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site")) as found:
        yield found


def asked(found: Site, target: Target) -> list[Series]:
    """The answer, as the panel asks for it."""
    now = time.time()
    if target.instant:
        rows = found.ask("query", query=target.expr, time=now)["result"]
        return [Series(row["metric"], [float(row["value"][1])]) for row in rows]
    rows = found.ask("query_range", query=target.expr, start=now - CURVE_S, end=now, step=1)["result"]
    return [Series(row["metric"], [float(value) for _, value in row["values"]]) for row in rows]


def opened(found: Site) -> dict[str, str]:
    """What is chosen where a dashboard opens with one node: both, as a reader who ticks both would have it."""
    addresses = (re.escape(node.url.removeprefix("http://")) for node in found.nodes.values())
    return {"instance": "|".join(addresses).replace("\\", "\\\\")}  # twice, as Grafana writes a pattern within PromQL's quotes


def wrong_with(target: Target, answer: list[Series]) -> str:
    """What is not right about an answer, in a line; nothing where all is."""
    if not answer:
        return "no data"
    low, high = BOUNDS.get(target.unit, (-math.inf, math.inf))
    for series in answer:
        if strange := [value for value in series.values if not (math.isfinite(value) and low <= value <= high)]:
            return f"{strange[0]:g} {target.unit} is not within {low:g} to {high:g}: {series.labels}"
    return ""


def test_every_query_of_every_panel_has_an_answer_of_its_units_size(here: Site) -> None:
    mistakes, silent = [], set()
    for page in dashboards().values():
        for target in targets(page, opened(here)):
            try:
                wrong = wrong_with(target, asked(here, target))
            except ValueError as error:
                wrong = str(error)
            key = target.page, target.panel, target.ref
            if wrong == "no data" and key in SILENT:
                silent.add(key)
            elif wrong:
                mistakes.append(f"{target.name}: {wrong}\n    {target.expr}")
    assert not mistakes, "\n".join(mistakes)
    assert silent == set(SILENT), f"these have an answer by now: {set(SILENT) - silent}"


def read(found: Site, uid: str) -> Page:
    return Page({(target.panel, target.ref): asked(found, target) for target in targets(dashboards()[uid], opened(found))})


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda module: module.UID)
def test_what_a_panel_shows_is_what_the_agents_say(here: Site, expected: ModuleType) -> None:
    page, nodes = read(here, expected.UID), Nodes(here)
    told = {name: shown(page, nodes) for name, shown in expected.SHOWN.items()}
    assert {name: pair for name, pair in told.items() if pair[0] != pytest.approx(pair[1], rel=NEAR, abs=1e-6)} == {}


def test_what_a_part_is_of_is_no_less_than_the_part(here: Site) -> None:
    fleet, job = read(here, expectations_fleet.UID), read(here, expectations_job.UID)
    assert 0.3 < fleet.sum("Measured fraction") < 1  # fans and board of the rig are a model's answer
    assert 0 < fleet.sum("Idle part") < 1
    assert fleet.sum("Idle waste today", "A", "B") == pytest.approx(fleet.sum("Idle part") * fleet.sum("Energy today"), rel=NEAR)
    assert fleet.sum("Tenants of serving engines") < fleet.sum("Top jobs")
    assert job.sum("CO2e of idle") == pytest.approx(job.sum("CO2e") * job.sum("Held idle") / job.sum("Energy"), rel=NEAR)
    assert job.sum("Cost of idle") < job.sum("Cost")


def test_runs_are_behind_the_curves_that_promise_them(here: Site) -> None:
    promised = [target for page in dashboards().values() for target in targets(page, opened(here)) if target.exemplar]
    assert {target.page for target in promised} >= {"wattledger-fleet", "wattledger-job"}
    for target in promised:
        now = time.time()
        answer = here.ask("query_exemplars", query=target.expr, start=now - 60, end=now)
        runs = {one["labels"]["run_id"] for series in answer for one in series["exemplars"]}
        assert RUN in runs, target.name


def test_every_variable_has_values_to_choose(here: Site) -> None:
    for uid, page in dashboards().items():
        said = chosen(page, opened(here))
        for variable in page["templating"]["list"]:
            if variable["type"] != "query":
                continue
            asks = re.fullmatch(r"label_values\((.+), (\w+)\)", put_in(variable["query"]["query"], said))
            assert asks, (uid, variable["name"])
            values = here.ask(f"label/{asks[2]}/values", **{"match[]": asks[1]})
            fitting = [value for value in values if re.search(variable.get("regex", "").strip("/"), value)]
            assert fitting, (uid, variable["name"])
            assert not (variable["name"] == "job_name" and any(value.startswith("(") for value in fitting))
