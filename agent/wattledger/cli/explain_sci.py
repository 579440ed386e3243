"""A score of software carbon intensity with its formula in numbers, and which commands take its inputs apart."""

from collections.abc import Iterator, Mapping
from math import isclose
from typing import Any

from wattledger.accounting.sci import FORMULA
from wattledger.cli.explain_asset import word
from wattledger.cli.report_sci import lines
from wattledger.core.figures import digits

PRECISION = 1e-9  # of floats that were made of the same ints along two ways
BASIS = {"average": "", "marginal": " --basis marginal"}


def sci_lines(found: Mapping[str, Any], intensity: str) -> Iterator[str]:
    """The score as ``report sci`` says it, and the arithmetic."""
    yield from lines(found)
    for row in found["rows"]:
        if "sci_g" not in row:
            continue
        inputs, named = row["inputs"], f"{found['kind']}:{word(row[found['kind']])}"
        energy, grid = inputs["energy_kwh"]["value"], inputs["intensity_g_per_kwh"]["value"]
        made = inputs.get("embodied_g", {}).get("value", 0.0)
        count = inputs["functional_unit"]["count"]
        yield f"  {FORMULA}"
        yield f"  ({energy:.6g} kWh x {digits(grid)} g/kWh + {made:.6g} g) / {count:.10g} = {(energy * grid + made) / count:.6g} g"
        yield f"  E x I, price by price: wattledger explain {named}{BASIS[intensity]}"
        if "embodied_g" in inputs:
            yield f"  M, machine by machine: wattledger explain {named} --basis embodied"
    if not adds_up(found):
        yield "  NOT EQUAL: the score is not what its inputs come to: a bug; please report it"


def adds_up(found: Mapping[str, Any]) -> bool:
    """Whether each score is what its inputs come to."""
    for row in found["rows"]:
        if "sci_g" not in row:
            continue
        inputs = row["inputs"]
        operated = inputs["energy_kwh"]["value"] * inputs["intensity_g_per_kwh"]["value"]
        made = inputs.get("embodied_g", {}).get("value", 0.0)
        score = (operated + made) / inputs["functional_unit"]["count"]
        if not isclose(score, row["sci_g"]["value"], rel_tol=PRECISION):
            return False
    return True
