"""Questions of keep or replace, made by hand, for the tests of comparisons."""

from typing import Any

from wattledger.accounting.compare.assumption import Assumption, exact, spread
from wattledger.accounting.compare.option import GRID, KEPT, PUE, WORK, Counting, Option, Question

JOULES = "joules per unit"
KEEP = Option("keep", ((JOULES, 1),))
REPLACE = Option("replace", ((JOULES, 1), ("efficiency", -1)), "kg", "years")

# 10 J a unit, 36,000 units a day: 0.1 kWh a day, 36.5 kWh a year; at 1,000 g/kWh 36.5 kg a year.
PLAIN = {WORK: 36_000.0, PUE: 1.0, GRID: 1000.0, KEPT: 1.0, JOULES: 10.0, "efficiency": 2.0, "kg": 73.0, "years": 8.0}


def asked(*options: Option, g95: float = 1.0, horizon_y: float = 8.0, counting: Counting = "whole", **more: Any) -> Question:
    """Keep against replace, all exact or all with the same g95; ``values``: other values, ``g95s``: other intervals."""
    g95s = more.get("g95s", {})
    stands = {name: _one(name, value, g95s.get(name, g95)) for name, value in {**PLAIN, **more.get("values", {})}.items()}
    return Question(options or (KEEP, REPLACE), stands, horizon_y, 0, counting)


def _one(name: str, value: float, g95: float) -> Assumption:
    if g95 == 1.0 or name == KEPT:
        return exact(name, value, unit="", source="test")
    return spread(name, value, g95=g95, unit="", source="test")
