"""Joules per unit of work of a machine or a part, month by month, and whether it takes more of them as it ages: measured, never
assumed.

The trend is the slope of ln(joules per unit) over time by least squares, with a level of its own for each model that was served
(or job), so that a change of the mix is no change of the machine.  Joules are the active ones: what it holds idle is its load's,
not its age's.  Neighbouring months are alike (load, season, driver), so the interval is widened by the residuals' lag-1 correlation
(Bartlett: sqrt((1 + r) / (1 - r))), and Student's t of the months it stands on makes it as wide as few months deserve.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from math import exp, log, sqrt
from statistics import stdev
from typing import Any, Literal, NamedTuple

from wattledger.core.uncertainty import Quantity, Term, total
from wattledger.core.units import UJ_PER_J
from wattledger.factors import gains
from wattledger.ledger import query_efficiency as query

Unit = Literal["token", "request", "hour"]
UNITS: tuple[Unit, ...] = ("token", "request", "hour")
Z95 = 1.96
LEAST_MONTHS = 4  # two of freedom, of which t is 4.3: fewer say nothing
RECENT_MONTHS = 3  # what it takes now
MS_PER_H = 3_600_000
DAYS_PER_Y = 365
DAY_S = 86_400
# Of two months or less nobody knows how the load varies: as carbon.md 8.2 takes fair temporal correlation.
FEW_MONTHS_G95 = 1.2

# 97.5 % of Student's t by degrees of freedom, 1 to 30 (any table of statistics); beyond, Cornish and Fisher's first term.
T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110,
       2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)  # fmt: skip


class Month(NamedTuple):
    """What one group's work took in a calendar month (UTC, ``2026-11``): joules ``active`` and ``held``, and units of work."""

    month: str
    group: str
    active_j: float
    held_j: float
    units: float


class Trend(NamedTuple):
    """``per_year``: how much more a unit takes each year, as a part (0.02: 2 % more); over so many months."""

    per_year: Quantity
    months: int


class Efficiency(NamedTuple):
    """What is measured of a machine.  ``why``: by part (``joules_per_unit``, ``trend``), why it is not known.

    ``joules_per_unit`` (active and held) and ``units_per_day`` are of the last three months in which it worked.
    """

    unit: Unit
    months: tuple[Month, ...]
    joules_per_unit: Quantity | None
    units_per_day: Quantity | None
    trend: Trend | None
    why: Mapping[str, str]


def efficiency(connection: Any, stays: Sequence[query.Stay], unit: Unit) -> Efficiency:
    """Measure it in the books; where it was is said by ``stays``."""
    days = _days(connection, stays, unit)
    months = monthly(days)
    if not months:
        why = _nothing(unit, query.left_out(connection, stays) if unit != "hour" else 0)
        return Efficiency(unit, (), None, None, None, {"joules_per_unit": why, "trend": why})
    found = "an hour of use is no fixed work: how hard it worked is in it" if unit == "hour" else trend(months)
    recent = _recent(months)
    gain_g95 = _gain_g95(query.sensed(connection, stays))
    known = {"trend": found} if isinstance(found, str) else {}
    return Efficiency(
        unit, months, _per_unit(recent, gain_g95), _per_day(days, recent), None if isinstance(found, str) else found, known,
    )  # fmt: skip


def monthly(days: Iterable[Month]) -> tuple[Month, ...]:
    """Days (``month`` being the day, ``2026-11-22``) put together by month and group, sorted."""
    sums: dict[tuple[str, str], list[float]] = {}
    for day in days:
        each = sums.setdefault((day.month[:7], day.group), [0.0, 0.0, 0.0])
        for n, value in enumerate(day[2:]):
            each[n] += value
    return tuple(Month(*key, *each) for key, each in sorted(sums.items()))


def trend(months: Sequence[Month]) -> Trend | str:
    """The yearly change of joules per unit, or why it is not known."""
    points = [(each.group, _year(each.month), log(each.active_j / each.units)) for each in months if each.active_j > 0]
    groups: dict[str, list[tuple[float, float]]] = {}
    for group, at_y, level in points:
        groups.setdefault(group, []).append((at_y, level))
    # A group of one month has a level and no slope.
    held = [_centred(each) for _, each in sorted(groups.items()) if len(each) > 1]
    seen = sorted({at_y for rows in held for at_y, *_ in rows})
    if len(seen) < LEAST_MONTHS:
        return f"work of one kind in {len(seen)} months: a trend needs {LEAST_MONTHS}"
    rows = [row for each in held for row in each]
    square = sum(x * x for _, x, _ in rows)
    slope = sum(x * y for _, x, y in rows) / square
    half = _half(rows, slope, len(held))
    return Trend(Quantity(exp(slope) - 1, exp(slope - half) - 1, exp(slope + half) - 1), len(seen))


def ratio(old: Efficiency, new: Efficiency) -> Quantity | str:
    """How many times the work ``new`` does with a joule (2: twice as much), on the models that both have served; or why not known.

    Of several models, the mean of the logarithms by the joules that ``old`` spent on each.
    """
    both = [_by_group(_recent(each.months)) for each in (old, new)]
    shared = sorted(both[0].keys() & both[1].keys())
    if old.unit == "hour" or not shared or old.joules_per_unit is None or new.joules_per_unit is None:
        return "no model or job has run on both: they did not do the same work"
    weights = [sum(both[0][name][:2]) for name in shared]
    logs = [log(_joules(both[0][name]) / _joules(both[1][name])) for name in shared]
    middle = sum(w * x for w, x in zip(weights, logs, strict=True)) / sum(weights)
    known = [log(q.high / q.value) for q in (old.joules_per_unit, new.joules_per_unit)]
    apart = 0.0
    if len(logs) > 1:
        apart = Z95 * stdev(logs) / sqrt(len(logs))
    g95 = exp(sqrt(sum(x * x for x in known) + apart**2))
    return Quantity(exp(middle), exp(middle) / g95, exp(middle) * g95)


def _days(connection: Any, stays: Sequence[query.Stay], unit: Unit) -> list[Month]:
    if unit == "hour":
        return [Month(_date(day_s), "", uj / UJ_PER_J, 0.0, ms / MS_PER_H)
                for day_s, uj, ms in query.busy(connection, stays) if ms and uj]  # fmt: skip
    found = []
    for row in query.worked(connection, stays):
        units = (row.tokens if unit == "token" else row.requests) / row.devices
        if units:
            found.append(Month(_date(row.day_s), row.group, row.active_uj / UJ_PER_J, row.held_uj / UJ_PER_J, units))
    return found


def _nothing(unit: Unit, elsewhere: int) -> str:
    if unit == "hour":
        return "the books hold no time in which it worked for anybody"
    who = "1 job on several hosts is" if elsewhere == 1 else f"{elsewhere} jobs on several hosts are"
    spread_out = f"; {who} left out" if elsewhere else ""
    return f"the books hold no {unit}s beside its energy{spread_out}"


def _recent(months: Sequence[Month]) -> list[Month]:
    last = sorted({each.month for each in months})[-RECENT_MONTHS:]
    return [each for each in months if each.month in last]


def _by_group(months: Iterable[Month]) -> dict[str, tuple[float, float, float]]:
    found: dict[str, tuple[float, float, float]] = {}
    for each in months:
        active_j, held_j, units = found.get(each.group, (0.0, 0.0, 0.0))
        found[each.group] = (active_j + each.active_j, held_j + each.held_j, units + each.units)
    return found


def _joules(sums: tuple[float, float, float]) -> float:
    return (sums[0] + sums[1]) / sums[2]


def _sums(months: Iterable[Month]) -> tuple[float, float, float]:
    found = list(months)
    return sum(each.active_j for each in found), sum(each.held_j for each in found), sum(each.units for each in found)


def _per_unit(recent: Sequence[Month], gain_g95: float) -> Quantity:
    """The sensor's gain is common to all that it said; how months differ is not."""
    by_month = [_joules(_sums(each for each in recent if each.month == name)) for name in sorted({m.month for m in recent})]
    g95 = exp(sqrt(log(gain_g95) ** 2 + log(_apart_g95(by_month, few_g95=1.0)) ** 2))
    value = _joules(_sums(recent))
    return Quantity(value, value / g95, value * g95)


def _per_day(days: Sequence[Month], recent: Sequence[Month]) -> Quantity:
    """Over all days from the first to the last of each month, worked or not: a machine that rests on Sundays does so next year."""
    first, last = min(day.month for day in days), max(day.month for day in days)
    rates, units, length = [], 0.0, 0
    for name in sorted({each.month for each in recent}):
        year, month = int(name[:4]), int(name[5:])
        begin = max(first, f"{name}-01")
        after = f"{year + month // 12:04d}-{month % 12 + 1:02d}-01"
        end_s = min(_seconds(after), _seconds(last) + DAY_S)
        lasted = (end_s - _seconds(begin)) // DAY_S
        done = sum(each.units for each in recent if each.month == name)
        rates.append(done / lasted)
        units, length = units + done, length + lasted
    g95 = _apart_g95(rates, few_g95=FEW_MONTHS_G95)
    return Quantity(units / length, units / length / g95, units / length * g95)


def _apart_g95(values: Sequence[float], *, few_g95: float) -> float:
    """The interval of the mean of months that differ."""
    if len(values) < RECENT_MONTHS:
        return few_g95
    half = T95[len(values) - 2] * stdev([log(value) for value in values]) / sqrt(len(values))
    return exp(half)


def _gain_g95(sensors: Sequence[query.Sensed]) -> float:
    """Of all sensors together; of one kind and model the error is taken as common."""
    terms = [
        Term(each.energy_uj / UJ_PER_J, f"{each[:3]}", gains.gain(each.component, each.device_model, each.method, float(DAY_S)).g95)  # type: ignore[arg-type]
        for each in sensors
    ]
    whole = total(terms)
    return whole.high / whole.value if whole.value > 0 else 1.0


Row = tuple[float, float, float]  # a month's time, and time and level less the group's means


def _centred(points: Sequence[tuple[float, float]]) -> list[Row]:
    at_y, level = (sum(column) / len(points) for column in zip(*points, strict=True))
    return [(x, x - at_y, y - level) for x, y in points]


def _half(rows: Sequence[Row], slope: float, groups: int) -> float:
    """Half of the slope's 95 % interval: by all residuals, or by those of a month together where that is wider."""
    square = sum(x * x for _, x, _ in rows)
    left = [(at_y, x, y - slope * x) for at_y, x, y in rows]
    seen = sorted({at_y for at_y, *_ in left})
    freedom = len(seen) - 2
    alone = sum(e * e for *_, e in left) / max(1, len(left) - groups - 1) / square
    together = sum(sum(x * e for at_y, x, e in left if at_y == month) ** 2 for month in seen)
    together *= len(seen) / freedom / square**2
    means = [_mean([e for at_y, _, e in left if at_y == month]) for month in seen]
    alike = sum(a * b for a, b in pairwise(means)) / (sum(e * e for e in means) or 1.0)
    alike = min(0.9, max(0.0, alike))
    return _t95(freedom) * sqrt(max(alone, together) * (1 + alike) / (1 - alike))


def _t95(freedom: int) -> float:
    return T95[freedom - 1] if freedom <= len(T95) else Z95 + (Z95**3 + Z95) / (4 * freedom)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _date(day_s: int) -> str:
    return datetime.fromtimestamp(day_s, UTC).strftime("%Y-%m-%d")


def _seconds(day: str) -> int:
    return int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())


def _year(month: str) -> float:
    return (int(month[:4]) * 12 + int(month[5:]) - 1) / 12
