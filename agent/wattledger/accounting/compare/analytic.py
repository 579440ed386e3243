"""Intervals without drawing: the moments of a sum of products of log-normals, exactly, and the curve that has the same ones.

carbon.md 8.1 refits a sum by its mean and variance (Fenton-Wilkinson).  A difference may be negative and intervals need not be
symmetric, so here the third moment is matched too, by a log-normal that is shifted and, where the tail is on the left, mirrored.
Terms that share an assumption share its error: it is in each expectation once.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations_with_replacement
from math import exp, factorial, log, pi, prod, sqrt
from typing import NamedTuple

from wattledger.accounting.compare.assumption import Z95, Assumption, Values, middle
from wattledger.accounting.compare.option import (
    DAYS_PER_Y,
    G_PER_KG,
    GRID,
    KEPT,
    PUE,
    WORK,
    Option,
    Question,
    course,
    times_made,
    years_at_today,
)  # fmt: skip
from wattledger.core.uncertainty import Quantity
from wattledger.core.units import J_PER_KWH

# Nodes of the standard normal: a split log-normal bends at 0, so that is one of them.
_STEP = 0.1
NODES = tuple(n * _STEP for n in range(-80, 81))
WEIGHTS = tuple(_STEP * exp(-z * z / 2) / sqrt(2 * pi) for z in NODES)


class Term(NamedTuple):
    """``kg`` x a function of each of these assumptions."""

    kg: float
    of: Mapping[str, Callable[[float], float]]


def terms(option: Option, question: Question) -> list[Term]:
    """What ``option.course`` computes, as a sum of products."""
    horizon_y, counting = question.horizon_y, question.counting
    found = []
    for name in (option.made, option.end_of_life):
        if name:
            again = {option.life: lambda life_y: times_made(life_y, horizon_y, counting)} if option.life else {}
            found.append(Term(1.0, {name: _itself, **again}))
    if option.maintenance:
        found.append(Term(horizon_y, {option.maintenance: _itself}))
    powers = dict(option.energy)
    for name in (WORK, PUE, GRID):
        powers[name] = powers.get(name, 0) + 1
    used = {name: _power(power) for name, power in powers.items()}
    return [*found, Term(DAYS_PER_Y / J_PER_KWH / G_PER_KG, {**used, KEPT: lambda kept: years_at_today(kept, horizon_y)})]


def total(option: Option, question: Question) -> Quantity:
    """What the option causes within the horizon, kilograms with the 95 % interval."""
    value = course(option, middle(question.assumptions)).total(question.horizon_y, question.counting)
    low, high = _interval(terms(option, question), question.assumptions)
    return Quantity(value, max(0.0, low), high)


def difference(new: Option, old: Option, question: Question) -> Quantity:
    """``new`` less ``old``, kilograms: below zero where ``new`` is better."""
    values = middle(question.assumptions)
    parts = [course(one, values).total(question.horizon_y, question.counting) for one in (new, old)]
    both = [*terms(new, question), *(term._replace(kg=-term.kg) for term in terms(old, question))]
    return Quantity(parts[0] - parts[1], *_interval(both, question.assumptions))


def _itself(value: float) -> float:
    return value


def _power(power: int) -> Callable[[float], float]:
    return lambda value: value**power


def _interval(found: Sequence[Term], assumptions: Mapping[str, Assumption]) -> tuple[float, float]:
    mean, variance, skew = _moments(found, assumptions)
    return fitted(mean, variance, skew)


def _moments(found: Sequence[Term], assumptions: Mapping[str, Assumption]) -> tuple[float, float, float]:
    """Mean, variance and skewness of the sum."""
    exact = {name: one.value for name, one in assumptions.items() if one.exact}
    fixed = [term.kg * prod(f(exact[name]) for name, f in term.of.items() if name in exact) for term in found]
    # Of each uncertain assumption: what every term makes of it at each node; ``None`` where a term has no part of it.
    curves = [
        [[f(value) for value in values] if (f := term.of.get(name)) else None for term in found]
        for name, one in sorted(assumptions.items()) if not one.exact
        for values in [[one.at(z) for z in NODES]]
    ]  # fmt: skip
    raw = [_raw(fixed, curves, order) for order in (1, 2, 3)]
    mean, variance = raw[0], raw[1] - raw[0] ** 2
    if variance <= 1e-18 * max(1e-30, raw[1]):
        return mean, 0.0, 0.0
    return mean, variance, (raw[2] - 3 * mean * variance - mean**3) / variance**1.5


Curves = Sequence[Sequence[Sequence[float] | None]]


def _raw(fixed: Sequence[float], curves: Curves, order: int) -> float:
    """The expectation of the sum's power."""
    found = 0.0
    for chosen in combinations_with_replacement(range(len(fixed)), order):
        ways = factorial(order) / prod(factorial(chosen.count(n)) for n in set(chosen))
        part = ways * prod(fixed[n] for n in chosen)
        found += part * prod(_expected([curve[n] for n in chosen]) for curve in curves) if part else 0.0
    return found


def _expected(curves: Sequence[Sequence[float] | None]) -> float:
    there = [curve for curve in curves if curve is not None]
    return sum(weight * prod(values) for weight, *values in zip(WEIGHTS, *there, strict=True)) if there else 1.0


def fitted(mean: float, variance: float, skew: float) -> tuple[float, float]:
    """The 95 % interval of the shifted log-normal with these moments."""
    deviation = sqrt(variance)
    if abs(skew) < 1e-6 or not deviation:
        return mean - Z95 * deviation, mean + Z95 * deviation
    # (w + 2) sqrt(w - 1) = skew, w = exp(sigma^2): of (w + 2)^2 (w - 1) = skew^2 the one real root.
    half = 1 + skew * skew / 2
    root = (half + sqrt(half * half - 1)) ** (1 / 3)
    w = root + 1 / root - 1
    sigma = sqrt(log(w))
    scale = deviation / sqrt(w * (w - 1))
    ends = [scale * (exp(sign * Z95 * sigma) - sqrt(w)) for sign in (-1, 1)]
    low, high = ends if skew > 0 else (-ends[1], -ends[0])
    return mean + low, mean + high


def values_at(question: Question, name: str, z: float) -> Values:
    """All assumptions at their values, but one."""
    return {**middle(question.assumptions), name: question.assumptions[name].at(z)}
