"""What *Node & devices* must show: a panel's figure and what it must agree with, and what has no answer on the tests' two nodes."""

from collections.abc import Callable
from typing import Any

from tests.grafana.asked import RANGE_S

Shown = Callable[[Any, Any], tuple[float, float]]  # of a page and the nodes, as tests.grafana.test_queries has them
UID = "wattledger-node"
MET, EACH = "Energy by workload, and the devices' own line", "Devices over the time chosen"
SHOWN: dict[str, Shown] = {
    "Power": lambda page, nodes: (page.sum("Power"), nodes.all_watts),
    "Power by device": lambda page, nodes: (page.sum("Power by device, and its limit", "A"), nodes.all_watts),
    "Energy": lambda page, nodes: (page.sum("Energy"), nodes.all_watts * RANGE_S),
    "Handed out is what was measured": lambda page, nodes: (page.sum(MET, "A"), page.sum(MET, "B")),
    "Active and held are all": lambda page, nodes: (page.sum("Active and held"), page.sum(MET, "B")),
    "By component is all": lambda page, nodes: (page.sum("Power by component, and how it was got"), page.sum(MET, "B")),
    "By method is all": lambda page, nodes: (page.sum("How the energy was got"), page.sum("Energy")),
    "The table is all": lambda page, nodes: (page.sum(EACH, "A"), page.sum("Energy")),
    "Its mean power": lambda page, nodes: (page.sum(EACH, "B"), page.sum("Energy") / RANGE_S),
    "Its power": lambda page, nodes: (page.sum(EACH, "C"), page.sum("Power")),
    "Residual": lambda page, nodes: (page.sum("Attribution residual"), 0.0),
    "Sources down": lambda page, nodes: (page.sum("Sources down"), 0.0),
}
SILENT: dict[tuple[str, str, str], str] = {}
