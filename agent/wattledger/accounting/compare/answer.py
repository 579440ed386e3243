"""The answer to a question: totals, differences, when and where a choice breaks even, and what the answer hangs on most."""

from collections.abc import Sequence
from typing import NamedTuple

from wattledger.accounting.compare import analytic
from wattledger.accounting.compare.assumption import Z95, middle
from wattledger.accounting.compare.draws import SEED, Drawn, draw, ends
from wattledger.accounting.compare.option import (
    GRID,
    Course,
    Option,
    Question,
    avoided_kg,
    break_even_g_per_kwh,
    break_even_y,
    course,
    joules_per_unit,
)  # fmt: skip
from wattledger.core.uncertainty import Quantity

ROUNDING = 1e-9


class Line(NamedTuple):
    """One option: what it causes within the horizon, whole (drawn, and analytic) and by part; the joules that a unit of work takes.

    The two intervals agree within 2 % where no error is over a factor of two; where one is, the drawn one is right.
    """

    option: Option
    total_kg: Quantity
    analytic_kg: Quantity
    parts_kg: dict[str, float]
    joules_per_unit: float


class Swing(NamedTuple):
    """The difference with one assumption at either end of its interval and the others as they are; ``turns``: its sign changes."""

    name: str
    at_low_kg: float
    at_high_kg: float
    turns: bool

    @property
    def width_kg(self) -> float:
        """How far it moves the answer."""
        return abs(self.at_high_kg - self.at_low_kg)


class Versus(NamedTuple):
    """One option against the first.  ``difference_kg``: drawn, below zero where it is better; ``analytic_kg``: the same by moments.

    ``break_even_y``: years from the start, 0.0 already, infinite not within the horizon.  ``intensity_g_per_kwh``: above it the
    option is better (``None``: it takes no less energy).  ``avoided_kg``: what the first avoids of a replacement; no part of any
    inventory.
    """

    option: Option
    difference_kg: Quantity
    analytic_kg: Quantity
    drawn: Drawn
    break_even_y: float
    intensity_g_per_kwh: float | None
    avoided_kg: Quantity | None
    swings: tuple[Swing, ...]


class Answer(NamedTuple):
    """``lines`` in the order of the options; ``versus`` of all but the first."""

    question: Question
    seed: int
    lines: tuple[Line, ...]
    versus: tuple[Versus, ...]


def answer(question: Question, *, seed: int = SEED) -> Answer:
    """Work it out.  The same question and seed give the same answer, byte for byte."""
    first, *others = question.options
    drawn = draw(question, seed=seed)
    versus = tuple(_versus(question, option, first, each) for option, each in zip(others, drawn.versus, strict=True))
    lines = tuple(_line(question, option, kg) for option, kg in zip(question.options, drawn.totals_kg, strict=True))
    return Answer(question, seed, lines, versus)


def _line(question: Question, option: Option, drawn_kg: Sequence[float]) -> Line:
    values = middle(question.assumptions)
    found = analytic.total(option, question)
    parts = course(option, values).parts(question.horizon_y, question.counting)
    return Line(option, Quantity(found.value, *ends(drawn_kg)), found, parts, joules_per_unit(option, values))


def _versus(question: Question, option: Option, first: Option, drawn: Drawn) -> Versus:
    values = middle(question.assumptions)
    new, old = course(option, values), course(first, values)
    found = analytic.difference(option, first, question)
    return Versus(
        option,
        Quantity(found.value, *drawn.difference_kg),
        found,
        drawn,
        break_even_y(new, old, question.horizon_y),
        _intensity(question, new, old),
        Quantity(avoided_kg(old, new, question.horizon_y), *drawn.avoided_kg) if option.kind == "replace" else None,
        swings(question, option, first),
    )


def _intensity(question: Question, new: Course, old: Course) -> float | None:
    now = question.assumptions[GRID].value
    return break_even_g_per_kwh(new, old, intensity_g_per_kwh=now, horizon_y=question.horizon_y, counting=question.counting)


def swings(question: Question, option: Option, first: Option) -> tuple[Swing, ...]:
    """Each assumption that moves the difference, the one that moves it most first (a tornado table)."""
    found = []
    for name, one in question.assumptions.items():
        if one.exact:
            continue
        low, high = (_difference(question, option, first, (name, z)) for z in (-Z95, Z95))
        if abs(low - high) > ROUNDING * max(abs(low), abs(high)):  # what both have alike leaves its rounding behind
            found.append(Swing(name, low, high, (low < 0) != (high < 0)))
    return tuple(sorted(found, key=lambda each: (-each.width_kg, each.name)))


def best(found: Answer) -> Option:
    """The option that causes least, at the values as they are."""
    return min(found.lines, key=lambda line: line.total_kg.value).option


def _difference(question: Question, option: Option, first: Option, at: tuple[str, float]) -> float:
    values = analytic.values_at(question, *at)
    new, old = (course(one, values).total(question.horizon_y, question.counting) for one in (option, first))
    return new - old
