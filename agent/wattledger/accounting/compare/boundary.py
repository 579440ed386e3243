"""Where the grid's grams are counted from, and what the other boundary would answer.

What it takes to make a machine is counted from the cradle; so are a kilowatt-hour's grams by a life-cycle factor (fuel supply and
plants' building too), and not by a direct one (the plants' own).  A decision weighs the two, so it takes the life-cycle factor,
where there is one.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from wattledger.accounting.compare.answer import Answer, Versus
from wattledger.accounting.compare.assumption import Assumption, middle
from wattledger.accounting.compare.option import GRID, course

Boundary = Literal["lifecycle", "direct"]
CALLED: Mapping[str, str] = {"lifecycle": "life-cycle", "direct": "direct"}
HOLDS: Mapping[str, str] = {
    "lifecycle": "life-cycle: fuel supply and building too",
    "direct": "direct: the power stations' own alone",
}


class Grid(NamedTuple):
    """The intensity that is taken; ``boundary``: empty where somebody said a number.  ``other``: the zone's by the other one."""

    taken: Assumption
    boundary: Boundary | Literal[""] = ""
    other: Assumption | None = None

    @property
    def other_boundary(self) -> Boundary:
        """The one that is not taken."""
        return "direct" if self.boundary == "lifecycle" else "lifecycle"


class Beside(NamedTuple):
    """An option against the first by the other boundary, all else as it is: ``turns``: another one is better; ``outside``: of the
    95 % interval that was answered."""

    boundary: Boundary
    g_per_kwh: float
    difference_kg: float
    turns: bool
    outside: bool

    @property
    def matters(self) -> bool:
        """Whether people must be told."""
        return self.turns or self.outside


def beside(found: Answer, versus: Versus, grid: Grid) -> Beside | None:
    """What the other boundary answers; ``None`` where the zone has no other one."""
    if grid.other is None:
        return None
    question = found.question
    values = {**middle(question.assumptions), GRID: grid.other.value}
    new, old = (course(one, values).total(question.horizon_y, question.counting) for one in (versus.option, question.options[0]))
    kg, said = new - old, versus.difference_kg
    return Beside(grid.other_boundary, grid.other.value, kg, (kg < 0) != (said.value < 0), not said.low <= kg <= said.high)
