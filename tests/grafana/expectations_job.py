"""What *Job* must show: a panel's figure and what it must agree with, and what has no answer on the tests' two nodes."""

from collections.abc import Callable
from typing import Any

from tests.grafana.asked import RANGE_S
from tests.grafana.site import PRICE, PUE

Shown = Callable[[Any, Any], tuple[float, float]]  # of a page and the nodes, as tests.grafana.test_queries has them
UID = "wattledger-job"
WH = RANGE_S / 3600
SHOWN: dict[str, Shown] = {
    "Power by component": lambda page, nodes: (page.sum("Power by component"), page.sum("Power now")),
    "Power at work and held": lambda page, nodes: (page.sum("Power at work and held"), page.sum("Power now")),
    "Power by how it was got": lambda page, nodes: (page.sum("Power by how it was got"), page.sum("Power now")),
    "Power by job and node": lambda page, nodes: (page.sum("Power by job and node"), page.sum("Power now")),
    "Energy and its devices": lambda page, nodes: (page.sum("Its devices"), page.sum("Energy")),
    "Energy and who it is": lambda page, nodes: (page.sum("Who it is"), page.sum("Energy")),
    "Held idle": lambda page, nodes: (page.sum("Its devices", "B"), page.sum("Held idle")),
    "Cost": lambda page, nodes: (page.sum("Cost"), page.sum("Energy") / 1000 * PRICE * PUE),
    "CO2e by the hour": lambda page, nodes: (page.sum("CO2e by the hour"), page.sum("CO2e") / WH),
    "Share of its nodes": lambda page, nodes: (page.sum("Share of its nodes"), page.sum("Energy") / (nodes.all_watts * WH)),
}
SILENT: dict[tuple[str, str, str], str] = {}
