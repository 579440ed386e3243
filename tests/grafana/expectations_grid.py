"""What *Grid & carbon* must show: a panel's figure and what it must agree with, and what has no answer on the tests' two nodes."""

from collections.abc import Callable
from typing import Any

Shown = Callable[[Any, Any], tuple[float, float]]  # of a page and the nodes, as tests.grafana.test_queries has them
UID = "wattledger-grid"
TODAY_ONLY = "nothing is known of the days before"
BOTH, KWH = "Operational and embodied", "A kilowatt-hour, in litres and in grams"
SHOWN: dict[str, Shown] = {
    "Grams an hour by zone": lambda page, nodes: (page.sum("By zone"), nodes.grams_an_hour),
    "Grams an hour of all": lambda page, nodes: (page.sum(BOTH, "A"), nodes.grams_an_hour),
    "Recorded by zone": lambda page, nodes: (
        page.sum("Intensity, 30 days", grid_zone="DE"),
        page.sum("Intensity now", grid_zone="DE"),
    ),
    "Intensity": lambda page, nodes: (
        page.sum("Intensity now", grid_zone="DE"),
        sum(nodes.g_per_kwh.values()) / len(nodes.g_per_kwh),
    ),
    "PUE": lambda page, nodes: (page.sum("PUE in the grams", grid_zone="DE"), 1.2),
    "Points are curves": lambda page, nodes: (page.sum("Zones: grams across, litres up", "B"), page.sum(KWH, "B")),
    "Embodied share": lambda page, nodes: (
        page.sum("Embodied share"),
        page.sum(BOTH, "B") / (page.sum(BOTH, "A") + page.sum(BOTH, "B")),
    ),
    "Nodes in the table": lambda page, nodes: (page.sum("Where the figures come from", "B", basis="average"), 2),
}
SILENT: dict[tuple[str, str, str], str] = {(UID, "The same hour on earlier days", letter): TODAY_ONLY for letter in "BCD"}
