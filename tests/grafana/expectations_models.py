"""What *Model & tokens* must show: a panel's figure and what it must agree with, and what has no answer on the tests' two nodes."""

from collections.abc import Callable
from typing import Any

Shown = Callable[[Any, Any], tuple[float, float]]  # of a page and the nodes, as tests.grafana.test_queries has them
UID = "wattledger-models"
LEAGUE = "Models and the jobs that serve them"
SHOWN: dict[str, Shown] = {
    # Columns of the table: energy A, grams B, tokens C, requests E, joules a token F, grams a million H.
    "Joules a token times tokens": lambda page, nodes: (page.sum(LEAGUE, "F") * page.sum(LEAGUE, "C"), page.sum(LEAGUE, "A")),
    "Grams a million times tokens": lambda page, nodes: (
        page.sum(LEAGUE, "H") * page.sum(LEAGUE, "C") / 1e6,
        page.sum(LEAGUE, "B"),
    ),
    "The stat and the table": lambda page, nodes: (page.sum("A generated token, all in"), page.sum(LEAGUE, "F")),
    "Alone, stat and table": lambda page, nodes: (page.sum("A generated token, alone"), page.sum(LEAGUE, "G")),
    "Carbon, stat and table": lambda page, nodes: (page.sum("Carbon of a million tokens"), page.sum(LEAGUE, "H")),
    "Generated per request": lambda page, nodes: (page.sum("Generated per request"), page.sum(LEAGUE, "C") / page.sum(LEAGUE, "E")),
    "All in, over time": lambda page, nodes: (
        page.sum("The same over time", "A") * page.sum("The same over time", "B"),
        page.sum("Power by what it went into"),
    ),
    "The points are the curves": lambda page, nodes: (
        page.sum("The more at once, the less each", "B"),
        page.sum("The same over time", "B"),
    ),
}
SILENT: dict[tuple[str, str, str], str] = {}
