"""A dashboard's file, read as Grafana reads it: panels, queries with the variables put in, and the units of their answers."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).resolve().parents[2] / "grafana" / "dashboards"
# A test's quarter of a minute stands for Grafana's hours: the scrape is once a second.
SPANS = {"__rate_interval": "20s", "__interval": "2s", "__range": "20s", "__range_s": "20"}
RANGE_S = 20
A_MINUTE, A_SECOND = "60 * sum", "1 * sum"  # what the rules record each minute, they record each second here
_NAMED = re.compile(r"\$\{(\w+)(?::[^}]*)?\}|\$(\w+)|\[\[(\w+)\]\]")


class Target(NamedTuple):
    """One query of a panel, ready to be asked; ``unit`` is the one that its values are shown in."""

    page: str
    panel: str
    kind: str
    ref: str
    expr: str
    unit: str
    instant: bool
    exemplar: bool

    @property
    def name(self) -> str:
        return f"{self.page} / {self.panel} / {self.ref}"


def dashboards() -> dict[str, dict[str, Any]]:
    """Every committed one by its uid."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))]
    return {page["uid"]: page for page in found}


def panels(page: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All but the headings, those in collapsed rows too."""
    for top in page["panels"]:
        yield from (panel for panel in (top, *top.get("panels", ())) if panel["type"] != "row")


def chosen(page: Mapping[str, Any], opened: Mapping[str, str]) -> dict[str, str]:
    """What each variable stands for as the dashboard opens: everything, a word, or of ``opened`` what Prometheus lists first."""
    said = dict(SPANS)
    for variable in page["templating"]["list"]:
        current = variable.get("current", {}).get("value", opened.get(variable["name"], ""))
        is_all = current in ("$__all", ["$__all"])
        said[variable["name"]] = variable["allValue"] if is_all else current if isinstance(current, str) else "|".join(current)
    return said


def put_in(text: str, said: Mapping[str, str]) -> str:
    """The text with every variable that is known; another dollar (``$1`` of label_replace) stays, as in Grafana."""
    return _NAMED.sub(lambda found: said.get(next(filter(None, found.groups())), found.group()), text)


def targets(page: Mapping[str, Any], opened: Mapping[str, str]) -> Iterator[Target]:
    said = chosen(page, opened)
    for panel in panels(page):
        for target in panel.get("targets", ()):
            yield Target(
                page["uid"], panel["title"], panel["type"], target["refId"],
                put_in(target["expr"], said).replace(A_MINUTE, A_SECOND),
                _unit(panel, target), bool(target.get("instant")), bool(target.get("exemplar")),
            )  # fmt: skip


def _unit(panel: Mapping[str, Any], target: Mapping[str, Any]) -> str:
    """The panel's, or what an override says of this query's column or series."""
    renamed: dict[str, str] = {}
    for change in panel.get("transformations", ()):
        renamed |= change["options"].get("renameByName", {}) if change["id"] == "organize" else {}
    own = {renamed.get(f"Value #{target['refId']}", renamed.get("Value", "")), target.get("legendFormat", "")} - {""}
    unit = str(panel["fieldConfig"]["defaults"].get("unit", ""))
    for override in panel["fieldConfig"]["overrides"]:
        matcher, values = override["matcher"], {one["id"]: one["value"] for one in override["properties"]}
        wanted = str(matcher["options"])
        fits = wanted in own if matcher["id"] == "byName" else any(re.search(wanted.strip("/"), name) for name in own)
        unit = str(values["unit"]) if fits and "unit" in values else unit
    return unit
