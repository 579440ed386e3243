"""The committed dashboards: written from the source, of Grafana's schema, and by the rules that Grafana's own linter has."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.grafana.asked import FOLDER, dashboards, panels

from wattledger.core.catalog import CATALOG, WHO

pytest.importorskip("grafana_foundation_sdk", reason="grafana-foundation-sdk, which the source is written in, is not here")

from grafana.source import build, colours
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import units

ROOT = FOLDER.parents[1]
PAGES = dashboards()
PALETTE = {value for name, value in vars(colours).items() if name.isupper() and isinstance(value, str)}
# What Prometheus puts on every series, and what an agent may be told to.
TARGET_LABELS, OWN_LABELS = {"job", "instance", "cluster", "node"}, {"team", "user", "run_id"}
OPENS_WITH_ONE = {("wattledger-node", "instance")}  # what is drawn there of each device is too much of a whole fleet
SELECTOR = re.compile(r"([a-zA-Z_][\w:]*)\{([^{}]*)\}")
NAME = re.compile(r"\b(?:\w+:)?wattledger_\w+(?::\w+)?")
COUNTED = re.compile(r"\b(rate|irate|increase)\((\w+)\{[^{}]*\}\[([^\]]+)\]")
each = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)


def exprs(page: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(panel, PromQL) of every query."""
    return ((panel["title"], target["expr"]) for panel in panels(page) for target in panel.get("targets", ()))


def links(page: dict[str, Any]) -> Iterator[str]:
    """The addresses that a click on a series or a cell leads to."""
    for panel in panels(page):
        fields = panel.get("fieldConfig", {"defaults": {}, "overrides": []})
        for link in fields["defaults"].get("links", ()):
            yield link["url"]
        for override in fields["overrides"]:
            yield from (link["url"] for one in override["properties"] if one["id"] == "links" for link in one["value"])


def recorded() -> set[str]:
    """The names that the shipped rules record."""
    groups = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yml").read_text(encoding="utf-8"))["groups"]
    return {rule["record"] for group in groups for rule in group["rules"]}


def test_the_committed_files_are_what_the_source_writes(tmp_path: Path) -> None:
    build.main(tmp_path)
    made = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    kept = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert made == kept, "python -m grafana.source.build, and commit what it writes"


def test_there_is_one_for_each_question_that_people_have() -> None:
    assert set(PAGES) == {f"wattledger-{name}" for name in ("fleet", "job", "models", "node", "grid", "health")}


@each
def test_every_key_is_one_of_grafanas_schema(page: dict[str, Any]) -> None:
    """Read into Grafana's own types and written again: a key that they do not know would be lost."""
    register_default_plugins()
    plain = {key: value for key, value in page.items() if key not in ("id", "__requires")}
    again = json.loads(json.dumps(model.Dashboard.from_json(plain), cls=JSONEncoder))
    for variable in again["templating"]["list"]:
        # The SDK gives every variable what an interval alone may have; Grafana's types refuse it, and our files have it not.
        assert [variable.pop(key) for key in ("auto", "auto_count", "auto_min")] == [False, 30, "10s"]
    assert again == plain


@each
def test_it_can_be_imported_as_it_is(page: dict[str, Any]) -> None:
    assert page["id"] is None
    assert re.fullmatch(r"[a-z-]{8,40}", page["uid"])
    assert not page["editable"]
    assert page["title"].startswith("wattledger / ")
    assert page["description"].endswith(".")
    assert page["tags"] == ["wattledger"]
    needed = {one["id"] for one in page["__requires"] if one["type"] == "panel"}
    assert needed == {panel["type"] for panel in panels(page)}
    assert "__inputs" not in page  # the data source is a variable: nothing is asked at import


@each
def test_its_variables_are_those_that_grafanas_linter_wants(page: dict[str, Any]) -> None:
    found = {variable["name"]: variable for variable in page["templating"]["list"]}
    assert (found["datasource"]["type"], found["datasource"]["label"], found["datasource"]["query"]) == (
        "datasource", "Data Source", "prometheus",
    )  # fmt: skip
    assert {"job", "instance", "cluster"} <= set(found)
    for variable in found.values():
        if variable["type"] == "query":
            assert variable["refresh"] == 2, variable["name"]
            assert variable["datasource"]["uid"] == "${datasource}", variable["name"]
            assert variable["query"]["query"].startswith("label_values(wattledger_"), variable["name"]
            assert variable["includeAll"] or (page["uid"], variable["name"]) in OPENS_WITH_ONE, variable["name"]
            assert variable["allValue"], variable["name"]
    assert found["job"]["label"] == "job"
    assert found["instance"]["label"] == "instance"


@each
def test_every_panel_says_what_it_shows_in_what_unit(page: dict[str, Any]) -> None:
    known = {value for name, value in vars(units).items() if isinstance(value, str) and not name.startswith("_")}
    for panel in panels(page):
        assert panel["title"], panel
        assert panel["description"].endswith((".", ".)")), panel["title"]
        assert panel["description"] != panel["title"], panel["title"]
        if panel["type"] == "text":
            continue
        assert panel["targets"], panel["title"]
        assert {one["datasource"]["uid"] for one in (panel, *panel["targets"])} == {"${datasource}"}, panel["title"]
        assert [one["refId"] for one in panel["targets"]] == [chr(65 + i) for i in range(len(panel["targets"]))], panel["title"]
        unit = panel["fieldConfig"]["defaults"]["unit"]
        assert unit in known or re.match(r"(suffix|prefix|si|currency)", unit), (panel["title"], unit)


@each
def test_panels_have_names_numbers_and_places_of_their_own(page: dict[str, Any]) -> None:
    every = [panel for top in page["panels"] for panel in (top, *top.get("panels", ()))]
    assert max(Counter(panel["id"] for panel in every).values()) == 1
    assert max(Counter(panel["title"] for panel in panels(page)).values()) == 1
    taken: set[tuple[int, int]] = set()
    for panel in every:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert max(x for x, _ in cells) < 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells


@each
def test_a_counter_is_only_read_by_its_rate(page: dict[str, Any]) -> None:
    for panel, expr in exprs(page):
        counters = {name: expr.count(name) for name in NAME.findall(expr) if name.endswith("_total")}
        read = Counter(name for _, name, _ in COUNTED.findall(expr))
        assert {name: read[name] for name in counters} == counters, (panel, expr)


@each
def test_a_range_follows_the_dashboards(page: dict[str, Any]) -> None:
    """``$__rate_interval`` for a rate; for an increase the range that is shown."""
    for panel, expr in exprs(page):
        for function, _, span in COUNTED.findall(expr):
            usual = {"rate": ("$__rate_interval", "$__range"), "increase": ("$__range", "$__rate_interval", "$__interval")}
            assert span in usual[function] or re.fullmatch(r"\d+[mhd]", span), (panel, span)
            assert function != "rate" or span.startswith("$"), (panel, span)


@each
def test_every_metric_is_in_the_catalog_or_recorded(page: dict[str, Any]) -> None:
    known = {metric.name for metric in CATALOG} | recorded()
    for panel, expr in exprs(page):
        named = set(NAME.findall(expr))
        assert named <= known, (panel, named - known)


@each
def test_every_selector_asks_for_labels_that_the_metric_has(page: dict[str, Any]) -> None:
    labels = {metric.name: {*metric.labels, *(OWN_LABELS if metric.labels[:1] == WHO[:1] else ())} for metric in CATALOG}
    for panel, expr in exprs(page):
        for name, within in SELECTOR.findall(expr):
            asked = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', within))
            if name in labels:
                assert asked <= labels[name] | TARGET_LABELS, (panel, name, asked - labels[name] - TARGET_LABELS)
                assert {"job", "instance"} <= asked, (panel, name)
            else:
                assert "cluster" in asked, (panel, name)  # recorded: whose targets' labels are summed over


@each
def test_a_curve_of_many_nodes_is_asked_for_in_steps_of_a_minute_or_more(page: dict[str, Any]) -> None:
    """By their own step; all nodes' raw series in Grafana's 20 s were three times as slow to draw.  One node's are not."""
    curves = [panel for panel in panels(page) if not all(target["instant"] for target in panel.get("targets", [{"instant": True}]))]
    steps = {panel["interval"] for panel in curves if panel["type"] != "state-timeline" and "interval" in panel}
    assert page["uid"] == "wattledger-node" or steps <= {"1m", "1h", "1d"}
    assert bool(steps) == (page["uid"] != "wattledger-node")


@each
def test_a_panel_that_needs_the_rules_says_so_and_is_in_the_readme(page: dict[str, Any]) -> None:
    readme = (ROOT / "grafana" / "README.md").read_text(encoding="utf-8")
    rules = recorded()
    needs = {panel for panel, expr in exprs(page) if rules & set(NAME.findall(expr))}
    month = {panel["title"] for top in page["panels"] if "rules" in top["title"] for panel in top["panels"]}
    for panel in panels(page):
        if panel["title"] in needs - month:
            assert "rules.yml" in panel["description"], panel["title"]
            assert f"*{panel['title']}*" in readme, panel["title"]
    assert month <= needs


@each
def test_what_is_counted_already_is_never_summed_with_what_counted_it(page: dict[str, Any]) -> None:
    for panel, expr in exprs(page):
        if "subdevice" in expr:
            assert set(NAME.findall(expr)) == {"wattledger_subdevice_energy_joules_total"}, panel
        if "wattledger_retired" in expr:  # what a job used was counted as its own while it lived, and Prometheus still has that
            assert set(NAME.findall(expr)) == {"wattledger_retired_energy_joules_total"}, panel


@each
def test_every_colour_is_of_the_palette(page: dict[str, Any]) -> None:
    for panel in panels(page):
        fields = json.dumps(panel.get("fieldConfig", {}))
        used = set(re.findall(r'"(?:fixedColor|color)": "([^"]+)"', fields))
        assert used <= PALETTE, (panel["title"], used - PALETTE)
        assert "palette-classic" not in fields, panel["title"]


@each
def test_thresholds_rise_from_the_lowest(page: dict[str, Any]) -> None:
    for panel in panels(page):
        steps = panel.get("fieldConfig", {}).get("defaults", {}).get("thresholds", {}).get("steps", [{"value": None}])
        assert steps[0]["value"] is None, panel["title"]
        assert all(low["value"] < high["value"] for low, high in pairwise(steps[1:])), panel["title"]


@each
def test_links_lead_to_a_dashboard_that_has_the_variables_they_set(page: dict[str, Any]) -> None:
    for url in links(page):
        uid = re.match(r"/d/([\w-]+)\?", url)
        assert uid, url
        theirs = {variable["name"] for variable in PAGES[uid[1]]["templating"]["list"]}
        assert set(re.findall(r"[?&]var-(\w+)=", url)) <= theirs, url
        assert "${__url_time_range}" in url, url
        assert "${datasource:queryparam}" in url, url


def test_one_can_walk_from_the_fleet_to_every_other_dashboard() -> None:
    leads = {uid: {found[1] for url in links(page) if (found := re.match(r"/d/([\w-]+)", url))} for uid, page in PAGES.items()}
    reached, new = {"wattledger-fleet"}, {"wattledger-fleet"}
    while new:
        new = set().union(*(leads[uid] for uid in new)) - reached
        reached |= new
    assert reached == set(PAGES)


def test_provisioning_names_what_the_dashboards_ask_for() -> None:
    folder = ROOT / "grafana" / "provisioning"
    sources = yaml.safe_load((folder / "datasources" / "wattledger.yaml").read_text(encoding="utf-8"))["datasources"]
    providers = yaml.safe_load((folder / "dashboards" / "wattledger.yaml").read_text(encoding="utf-8"))["providers"]
    assert [source["type"] for source in sources] == ["prometheus"]
    (provider,) = providers
    assert provider["type"] == "file"
    assert not provider["allowUiUpdates"]
    scraped = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    assert sources[0]["jsonData"]["timeInterval"] == scraped["global"]["scrape_interval"]
    leads_to = sources[0]["jsonData"]["exemplarTraceIdDestinations"][0]
    assert leads_to["name"] == "run_id"
    uid, name = re.match(r"/d/([\w-]+)\?.*var-(\w+)=", leads_to["url"]).groups()  # type: ignore[union-attr]
    assert name in {variable["name"] for variable in PAGES[uid]["templating"]["list"]}
