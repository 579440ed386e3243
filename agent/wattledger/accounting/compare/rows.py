"""An answer as JSON (schema ``wattledger.compare/1``).  What is not known is absent."""

from collections.abc import Sequence
from datetime import UTC, datetime
from math import inf
from typing import Any, NamedTuple

from wattledger.accounting.assets.efficiency import Efficiency
from wattledger.accounting.compare.answer import Answer, Swing, Versus
from wattledger.accounting.compare.boundary import CALLED, Beside, Grid, beside
from wattledger.accounting.compare.machine import Machine
from wattledger.accounting.compare.option import DAYS_PER_Y

SCHEMA = "wattledger.compare/1"
DAY_S = 86_400
SHOWN_SWINGS = 12
# How sure a sentence may sound, by the probability of what it says.
SURE = ((0.975, "almost certainly"), (0.9, "very likely"), (0.75, "likely"), (0.6, "more likely than not"))
UNSURE = "cannot be told apart from"


class Aside(NamedTuple):
    """What must be told beside an answer.  ``stand_ins``: what a model's figure is taken from that has none of its own; ``grid``:
    by which boundary, with the zone's other one."""

    notes: Sequence[str] = ()
    stand_ins: Sequence[str] = ()
    grid: Grid | None = None


NOTHING_BESIDE = Aside()


def to_dict(found: Answer, of: Machine, unit: str, aside: Aside = NOTHING_BESIDE) -> dict[str, Any]:
    """All of it."""
    question, grid = found.question, aside.grid
    first = question.options[0].name
    others = [None if grid is None else beside(found, each, grid) for each in found.versus]
    return {
        "schema": SCHEMA,
        "asset": of.name,
        "told": of.told,
        "unit": unit,
        "start": _date(question.start_s, 0.0),
        "horizon_y": question.horizon_y,
        "counting": question.counting,
        **({"grid_boundary": grid.boundary} if grid is not None and grid.boundary else {}),
        **({"stand_ins": list(aside.stand_ins)} if aside.stand_ins else {}),
        "seed": found.seed,
        "options": [
            {"name": line.option.name, "total_kg": line.total_kg.to_dict(), "total_kg_analytic": line.analytic_kg.to_dict(),
             "parts_kg": line.parts_kg,
             "joules_per_unit": line.joules_per_unit}
            for line in found.lines
        ],
        "versus": [
            {**_versus(each, first, question.start_s), **({} if other is None else {"other_boundary": other._asdict()})}
            for each, other in zip(found.versus, others, strict=True)
        ],
        **({} if of.carried_kg is None else {"sunk": {"carried_kg": of.carried_kg}}),
        **({} if of.measured is None else {"measured": measured(of.measured)}),
        "assumptions": [
            {"name": one.name, "value": one.value, "low": one.low, "high": one.high, "unit": one.unit, "source": one.source}
            for one in question.assumptions.values()
        ],
        "verdict": [verdict(each, first, other) for each, other in zip(found.versus, others, strict=True)],
        "notes": list(aside.notes),
    }  # fmt: skip


def measured(found: Efficiency) -> dict[str, Any]:
    """What the books say of a machine's work."""
    said = {"joules_per_unit": found.joules_per_unit, "units_per_day": found.units_per_day}
    trend = None if found.trend is None else {**found.trend.per_year.to_dict(), "months": found.trend.months}
    return {
        "unit": found.unit,
        **{name: quantity.to_dict() for name, quantity in said.items() if quantity is not None},
        **({} if trend is None else {"change_per_year": trend}),
        "months": [
            {"month": month.month, "group": month.group, "joules_per_unit": (month.active_j + month.held_j) / month.units,
             "units": month.units}
            for month in found.months
        ],
        "not_known": dict(found.why),
    }  # fmt: skip


def verdict(found: Versus, first: str, other: Beside | None = None) -> str:
    """Which is better and how sure that is, in words; where the grid's ``other`` boundary turns it, it hangs on that, and is not
    sure."""
    name, better = found.option.name, found.drawn.better
    high, low = (name, first) if better >= 0.5 else (first, name)
    words = next((word for least, word in SURE if max(better, 1 - better) >= least), "")
    if not words:
        return f"{name} {UNSURE} {first}: the chance that it emits less is {percent(better)}"
    chance = percent(max(better, 1 - better))
    said = f"(P {chance})" if chance.startswith((">", "<")) else f"(P = {chance})"
    if other is not None and other.turns and low == (name if other.difference_kg < 0 else first):
        taken = CALLED["direct" if other.boundary == "lifecycle" else "lifecycle"]
        by_other = f"by the {CALLED[other.boundary]} one {low} does: the boundary decides"
        return f"by the grid's {taken} factor {high} emits less than {low} {said}; {by_other}"
    return f"{high} {words} emits less than {low} {said}"


def percent(part: float) -> str:
    """Of ten thousand draws, all are not certainty."""
    if 0.01 <= part <= 0.99:
        return f"{part * 100:.0f} %"
    return "> 99.9 %" if part > 0.9995 else "< 0.1 %" if part < 0.0005 else f"{part * 100:.1f} %"


def _versus(found: Versus, first: str, start_s: int) -> dict[str, Any]:
    drawn = found.drawn
    return {
        "option": found.option.name,
        "against": first,
        "difference_kg": found.difference_kg.to_dict(),
        "difference_kg_analytic": found.analytic_kg.to_dict(),
        "better_probability": drawn.better,
        "break_even": {
            **_when(found.break_even_y, start_s),
            "within_horizon_probability": drawn.repaid,
            "low": _when(drawn.break_even_y[0], start_s),
            "high": _when(drawn.break_even_y[1], start_s),
        },
        **_intensity(found),
        **({} if found.avoided_kg is None else {"outside_inventory": {"avoided_kg": found.avoided_kg.to_dict()}}),
        "sensitivity": [_swing(each) for each in found.swings[:SHOWN_SWINGS]],
    }


def _when(years: float, start_s: int) -> dict[str, Any]:
    if years == inf:
        return {"state": "never"}
    return {"state": "already" if years == 0 else "date", "years": years, "date": _date(start_s, years)}


def _intensity(found: Versus) -> dict[str, Any]:
    """Where the new takes no less energy, no grid makes it better; of an upper end that is no grid, only the lower is said."""
    if found.intensity_g_per_kwh is None:
        return {}
    low, high = found.drawn.intensity_g_per_kwh
    ends = {"low": low, **({} if high == inf else {"high": high})}
    return {"break_even_g_per_kwh": {"value": found.intensity_g_per_kwh, **({} if low == inf else ends)}}


def _swing(found: Swing) -> dict[str, Any]:
    return {"name": found.name, "at_low_kg": found.at_low_kg, "at_high_kg": found.at_high_kg, "turns": found.turns}


def _date(start_s: int, years: float) -> str:
    return datetime.fromtimestamp(start_s + years * DAYS_PER_Y * DAY_S, UTC).strftime("%Y-%m-%d")
