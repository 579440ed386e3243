"""One choice as a course in time: what it causes at once, and what each year from now on.

Going forward only: what was emitted to make the machine that is there is the same in every choice, and no part of any.

    cumulative(t) = (made + end of life) x n(t) + operation x D(t) + maintenance x t
    operation     = joules per unit x units per year x PUE x g/kWh
    D(t)          = integral of kept^t: years at today's intensity, where the grid keeps so much of it each year

n(t) is how often the thing is made: once, and a successor's share of time after its life (``whole``); or the share of its life that
is used, t / life (``share``: P_new t2/EL_new of carbon.md 3.6).  The break-even date is always of the whole: it was all emitted.
"""

from collections.abc import Callable
from itertools import pairwise
from math import exp, inf, log
from typing import Literal, NamedTuple

from wattledger.accounting.compare.assumption import Assumption, Values
from wattledger.core.units import J_PER_KWH

Counting = Literal["whole", "share"]
DAYS_PER_Y = 365  # a year of 8,760 h, as in every lifetime of carbon.md 3.1
G_PER_KG = 1000
PARTS = ("embodied", "operation", "maintenance", "end of life")
CLOSE, STEPS = 1e-9, 60  # a break-even: when a billionth of what was to be repaid is left, or after so many steps

# Names of the assumptions that all options share.
WORK, PUE, GRID, KEPT = "work per day", "PUE", "grid intensity", "grid kept per year"


class Option(NamedTuple):
    """A choice by the names of its assumptions (empty: none, and so nothing is counted of it).  ``kind``: keep, repair, upgrade or
    replace.

    ``energy``: the joules per unit of work are the product of these to these powers (an efficiency divides).
    """

    name: str
    energy: tuple[tuple[str, int], ...]
    made: str = ""
    life: str = ""
    maintenance: str = ""
    end_of_life: str = ""
    kind: str = "replace"


class Question(NamedTuple):
    """``options[0]`` is what the others are compared with.  ``start_s``: when the choice is made."""

    options: tuple[Option, ...]
    assumptions: dict[str, Assumption]
    horizon_y: float
    start_s: int
    counting: Counting = "whole"


class Course(NamedTuple):
    """A choice at one set of values, kilograms CO2e."""

    made_kg: float
    end_of_life_kg: float
    life_y: float
    operation_kg_per_y: float
    maintenance_kg_per_y: float
    kept: float

    def parts(self, horizon_y: float, counting: Counting) -> dict[str, float]:
        """What it causes within the horizon, by ``PARTS``."""
        n = times_made(self.life_y, horizon_y, counting)
        each = (self.made_kg * n, self.operation_kg_per_y * years_at_today(self.kept, horizon_y),
                self.maintenance_kg_per_y * horizon_y, self.end_of_life_kg * n)  # fmt: skip
        return dict(zip(PARTS, each, strict=True))

    def total(self, horizon_y: float, counting: Counting) -> float:
        """Their sum."""
        n = times_made(self.life_y, horizon_y, counting)
        running = self.operation_kg_per_y * years_at_today(self.kept, horizon_y) + self.maintenance_kg_per_y * horizon_y
        return (self.made_kg + self.end_of_life_kg) * n + running


def course(option: Option, values: Values) -> Course:
    """The option at these values."""
    return Course(
        values[option.made] if option.made else 0.0,
        values[option.end_of_life] if option.end_of_life else 0.0,
        values[option.life] if option.life else inf,
        joules_per_unit(option, values) * values[WORK] * values[PUE] * values[GRID] * DAYS_PER_Y / J_PER_KWH / G_PER_KG,
        values[option.maintenance] if option.maintenance else 0.0,
        values[KEPT],
    )


def joules_per_unit(option: Option, values: Values) -> float:
    """What a unit of work takes."""
    found = 1.0
    for name, power in option.energy:
        found *= values[name] ** power
    return found


def times_made(life_y: float, horizon_y: float, counting: Counting) -> float:
    """n(t) of the head of this page."""
    return horizon_y / life_y if counting == "share" and life_y != inf else max(1.0, horizon_y / life_y)


def years_at_today(kept: float, years: float) -> float:
    """D(t) of the head of this page."""
    if kept == 1.0:
        return years
    return years if abs(rate := log(kept)) < 1e-12 else (exp(rate * years) - 1) / rate


def break_even_y(new: Course, old: Course, horizon_y: float) -> float:
    """When what ``new`` has caused falls below what ``old`` has, in years from now: 0.0 from the beginning, infinite where never
    within the horizon."""

    def ahead(t: float) -> float:
        return new.total(t, "whole") - old.total(t, "whole")

    edges = [0.0, *sorted(life for life in {new.life_y, old.life_y} if 0 < life < horizon_y), horizon_y]
    begin = ahead(0.0)
    if begin < 0 or (begin == 0 and ahead(horizon_y * 1e-9) < 0):
        return 0.0
    for since, until in pairwise(edges):
        # Between the ends of lives it is a line and an exponential: at most one dip.
        for at in (_dip(new, old, since, until), until):
            if at is not None and ahead(at) < 0:
                return _root(ahead, since, at)
    return inf


def _dip(new: Course, old: Course, since: float, until: float) -> float | None:
    """Where the difference is least between two times, if it is not at one of them."""
    if new.kept == 1.0:
        return None
    middle_y = (since + until) / 2
    slope = new.maintenance_kg_per_y - old.maintenance_kg_per_y
    for one, sign in ((new, 1), (old, -1)):
        slope += sign * (one.made_kg + one.end_of_life_kg) / one.life_y if middle_y > one.life_y else 0.0
    saved = old.operation_kg_per_y - new.operation_kg_per_y
    if slope <= 0 or saved <= 0:
        return None
    at = log(slope / saved) / log(new.kept)
    return at if since < at < until else None


def _root(ahead: Callable[[float], float], since: float, until: float) -> float:
    """Where a smooth curve falls through zero between two times: regula falsi (Illinois), a line in one step, others in a few."""
    above, below = ahead(since), ahead(until)
    least = CLOSE * above
    for _ in range(STEPS):
        at = since + (until - since) * above / (above - below)
        value = ahead(at)
        if abs(value) <= least:
            return at
        if value > 0:
            since, above, below = at, value, below / 2
        else:
            until, below, above = at, value, above / 2
    return until


def break_even_g_per_kwh(
    new: Course, old: Course, *, intensity_g_per_kwh: float, horizon_y: float, counting: Counting
) -> float | None:
    """The intensity today at which both cause the same within the horizon: I* of carbon.md 3.6.  Below it ``old`` is better.

    ``None`` where ``new`` takes no less energy, so that no grid makes it worth its making; 0.0 where any grid does.
    """
    years = years_at_today(new.kept, horizon_y)
    saved = (old.operation_kg_per_y - new.operation_kg_per_y) * years / intensity_g_per_kwh
    if saved <= 0:
        return None
    operation = (new.operation_kg_per_y - old.operation_kg_per_y) * years
    more = new.total(horizon_y, counting) - old.total(horizon_y, counting) - operation
    return max(0.0, more / saved)


def avoided_kg(old: Course, new: Course, horizon_y: float) -> float:
    """A of carbon.md 3.6: what keeping ``old`` avoids of ``new``: P_new t2/EL_new - F - (e_old - e_new) x I x W.

    Outside every inventory; negative where keeping emits more.
    """
    made = sum(part * times_made(new.life_y, horizon_y, "share") for part in (new.made_kg, new.end_of_life_kg))
    spent = sum(part * times_made(old.life_y, horizon_y, "share") for part in (old.made_kg, old.end_of_life_kg))
    running = old._replace(made_kg=0.0, end_of_life_kg=0.0).total(horizon_y, "share")
    return made - spent - (running - new._replace(made_kg=0.0, end_of_life_kg=0.0).total(horizon_y, "share"))
