"""What *Fleet overview* must show: a panel's figure and what it must agree with, and what has no answer on the tests' two nodes."""

from collections.abc import Callable
from typing import Any

from tests.grafana.asked import RANGE_S
from tests.grafana.site import AVERAGE_G, PRICE, PUE, WUE, ZONE

Shown = Callable[[Any, Any], tuple[float, float]]  # of a page and the nodes, as tests.grafana.test_queries has them
UID = "wattledger-fleet"
WH = RANGE_S / 3600
SHOWN: dict[str, Shown] = {
    "Power now": lambda page, nodes: (page.sum("Power now"), nodes.all_watts),
    "Energy today": lambda page, nodes: (page.sum("Energy today"), nodes.all_watts * WH),
    "CO2e today": lambda page, nodes: (page.sum("CO2e today"), nodes.grams_an_hour * WH),
    "Cost today": lambda page, nodes: (page.sum("Cost today", currency="EUR"), nodes.all_watts / 1000 * WH * PRICE * PUE),
    "Water today": lambda page, nodes: (page.sum("Water today", source="onsite"), nodes.all_watts / 1000 * WH * WUE),
    "Nodes": lambda page, nodes: (page.sum("Nodes"), 2),
    "Power by component": lambda page, nodes: (page.sum("Power by component"), nodes.all_watts),
    "Power by what it was for": lambda page, nodes: (page.sum("Power by what it was for", "A", "B", "C"), nodes.all_watts),
    "Power by how it was got": lambda page, nodes: (page.sum("Power by how it was got"), nodes.all_watts),
    "Top jobs' energy": lambda page, nodes: (page.sum("Top jobs") + page.sum("No job's"), nodes.all_watts * WH),
    "Jobs by $owner": lambda page, nodes: (page.sum("Jobs by $owner"), page.sum("Top jobs")),
    "Grid intensity now": lambda page, nodes: (page.sum("Grid intensity now", provider="file"), AVERAGE_G),
    "Map": lambda page, nodes: (page.sum("Map", country=ZONE), nodes.all_watts),
    "Zones' power": lambda page, nodes: (page.sum("Zones"), nodes.all_watts),
    "Zones' CO2e": lambda page, nodes: (page.sum("Zones", "B"), nodes.grams_an_hour),
    "Zones' nodes": lambda page, nodes: (page.sum("Zones", "D"), 2),
    "Recorded power": lambda page, nodes: (page.sum("Power by component, 30 days"), nodes.all_watts),
    "Recorded CO2e": lambda page, nodes: (page.sum("CO2e an hour by zone, 30 days"), nodes.grams_an_hour),
}
SILENT: dict[tuple[str, str, str], str] = {}
