"""What *Agent health* must show: a panel's figure and what it must agree with, and what has no answer on the tests' two nodes."""

from collections.abc import Callable
from typing import Any

Shown = Callable[[Any, Any], tuple[float, float]]  # of a page and the nodes, as tests.grafana.test_queries has them
UID = "wattledger-health"
SHOWN: dict[str, Shown] = {
    "Agents up": lambda page, nodes: (page.sum("Agents up"), 2),
    "Up, over time": lambda page, nodes: (page.sum("Up"), 2),
    "Agents down": lambda page, nodes: (page.sum("Agents down"), 0),
    "Agents": lambda page, nodes: (page.sum("Agents"), 2),
    "Versions": lambda page, nodes: (page.sum("Versions"), 2),
    "Series": lambda page, nodes: (page.sum("Series"), page.sum("Agents", "E")),
    "Own power": lambda page, nodes: (page.sum("Own power"), page.sum("The agents' own power")),
}
SILENT: dict[tuple[str, str, str], str] = {}
