"""The same question asked ten thousand times, each with other values of what it stands on; a seed gives the same answer again."""

from collections.abc import Mapping, Sequence
from math import inf
from random import Random
from typing import NamedTuple

from wattledger.accounting.compare.assumption import Assumption
from wattledger.accounting.compare.option import GRID, Course, Question, avoided_kg, break_even_g_per_kwh, break_even_y, course

DRAWS = 10_000
SEED = 1


class Drawn(NamedTuple):
    """Of one option against the first, over all draws.

    ``better``: the part of them in which it causes less.  ``repaid``: in which it breaks even within the horizon, and
    ``break_even_y``: when, low and high of 95 % (infinite: not within it).  ``intensity``: I*, low and high (infinite: no grid).
    """

    difference_kg: tuple[float, float]
    better: float
    break_even_y: tuple[float, float]
    repaid: float
    intensity_g_per_kwh: tuple[float, float]
    avoided_kg: tuple[float, float]


class Draws(NamedTuple):
    """``totals_kg``: by option, what it causes within the horizon, draw by draw; ``versus``: the others against the first."""

    totals_kg: tuple[tuple[float, ...], ...]
    versus: tuple[Drawn, ...]


def draw(question: Question, *, seed: int = SEED, draws: int = DRAWS) -> Draws:
    """All options at the same draws."""
    totals: list[tuple[float, ...]] = []
    rows: list[list[tuple[float, float, float]]] = []
    for values in _values(question.assumptions, seed, draws):
        courses = [course(option, values) for option in question.options]
        totals.append(tuple(one.total(question.horizon_y, question.counting) for one in courses))
        rows.append([_row(question, other, courses[0], values[GRID]) for other in courses[1:]])
    by_option = tuple(zip(*totals, strict=True))
    versus = (
        _drawn([new - old for new, old in zip(mine, by_option[0], strict=True)], each)
        for mine, each in zip(by_option[1:], zip(*rows, strict=True), strict=True)
    )
    return Draws(by_option, tuple(versus))


def ends(values: Sequence[float]) -> tuple[float, float]:
    """The 2.5th and the 97.5th percentile."""
    ranked = sorted(values)
    last = len(ranked) - 1
    return ranked[round(last * 0.025)], ranked[round(last * 0.975)]


def _values(assumptions: Mapping[str, Assumption], seed: int, draws: int) -> list[dict[str, float]]:
    """One column after the other, in the order of their names: another assumption does not change what the ones before it drew."""
    random = Random(seed)
    columns = {}
    for name, one in sorted(assumptions.items()):
        columns[name] = [one.value] * draws if one.exact else [one.at(random.gauss(0.0, 1.0)) for _ in range(draws)]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _row(question: Question, new: Course, old: Course, intensity_g_per_kwh: float) -> tuple[float, float, float]:
    """When it breaks even, on which grid, and what is avoided."""
    horizon_y, counting = question.horizon_y, question.counting
    at = break_even_g_per_kwh(new, old, intensity_g_per_kwh=intensity_g_per_kwh, horizon_y=horizon_y, counting=counting)
    return break_even_y(new, old, horizon_y), inf if at is None else at, avoided_kg(old, new, horizon_y)


def _drawn(differences: Sequence[float], rows: Sequence[tuple[float, float, float]]) -> Drawn:
    years, intensities, avoided = zip(*rows, strict=True)
    better = sum(kg < 0 for kg in differences) / len(rows)
    repaid = sum(at != inf for at in years) / len(rows)
    return Drawn(ends(differences), better, ends(years), repaid, ends(intensities), ends(avoided))
