"""When to start a piece of work so that it emits least: from a forecast, or from what the last days were like.  Pure.

Advice, not a schedule: it says what it rests on, how sure it is, and what is saved against starting now.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from wattledger.core.facts import IntensityFact
from wattledger.runtime.grid.standing import FORECAST_G95, HOUR_S, end_s

DAY_S = 24 * HOUR_S
FEWEST_DAYS = 2  # one day is no habit

# Micrograms per kWh by hour: {start of the hour: value}.
Hours = Mapping[int, float]


class Best(NamedTuple):
    """``start_s``: when to start (``now_s`` itself where nothing is better).  Intensities are means over the work, in g/kWh.

    ``days``, ``days_better``: from history, on how many of the days that are known this start would have beaten the one now; of a
    forecast 0.  ``g95``: of one such mean; errors of both starts are alike, so what is saved is surer than that.
    """

    source: Literal["forecast", "history"]
    start_s: int
    g_per_kwh: float
    now_g_per_kwh: float
    g95: float
    days: int = 0
    days_better: int = 0

    @property
    def saved(self) -> float:
        """The part of the emissions of a start now that is saved."""
        return 0.0 if self.now_g_per_kwh <= 0 else 1.0 - self.g_per_kwh / self.now_g_per_kwh


def from_forecast(facts: Iterable[IntensityFact], now_s: int, hours: float, within: float) -> Best | None:
    """``None`` where the forecast does not reach over the work that starts now and at least one later start."""
    known = by_hour(facts)
    hour_s = now_s // HOUR_S * HOUR_S
    if hour_s + HOUR_S in known:
        known.setdefault(hour_s, known[hour_s + HOUR_S])  # some begin with the next full hour
    found = _means(known, _starts(now_s, hours, within), hours)
    if now_s not in found or len(found) < 2:
        return None
    start_s = _least(found)
    return Best("forecast", start_s, found[start_s], found[now_s], FORECAST_G95)


def from_history(facts: Iterable[IntensityFact], now_s: int, hours: float, within: float) -> Best | None:
    """By the mean of the same hours of the day (UTC) of the days before; ``None`` where fewer than two days are known.

    The interval is that of the days' own spread.
    """
    known = {at_s: value for at_s, value in by_hour(facts).items() if at_s < now_s}
    starts = [at_s for at_s in _starts(now_s, hours, within) if at_s < now_s + DAY_S]  # after a day the same hours come again
    first = -(-(now_s - min(known, default=now_s)) // DAY_S)
    days = [_means(known, starts, hours, back_s=back * DAY_S) for back in range(1, first + 2)]
    days = [day for day in days if len(day) == len(starts)]  # a day that lacks an hour would favour one start
    if len(days) < FEWEST_DAYS:
        return None
    mean = {start_s: sum(day[start_s] for day in days) / len(days) for start_s in starts}
    start_s = _least(mean)
    better = sum(day[start_s] < day[now_s] for day in days)
    spread_g95 = _spread_g95([day[start_s] for day in days])
    return Best("history", start_s, mean[start_s], mean[now_s], spread_g95, len(days), better)


def by_hour(facts: Iterable[IntensityFact]) -> dict[int, float]:
    """Micrograms per kWh of each hour of which at least half is known: the mean by time."""
    parts: dict[int, list[tuple[int, int]]] = {}
    for fact in facts:
        at_s = fact.start_s
        while at_s < end_s(fact):
            hour_s = at_s // HOUR_S * HOUR_S
            until_s = min(hour_s + HOUR_S, end_s(fact))
            parts.setdefault(hour_s, []).append((until_s - at_s, fact.ug_per_kwh))
            at_s = until_s
    found = {}
    for hour_s, told in parts.items():
        length_s = sum(seconds for seconds, _ in told)
        if 2 * length_s >= HOUR_S:
            found[hour_s] = sum(seconds * value for seconds, value in told) / length_s
    return found


def _starts(now_s: int, hours: float, within: float) -> list[int]:
    """Now, and each full hour at which the work would still end in time."""
    last_s = now_s + round((within - hours) * HOUR_S)
    return [now_s, *range((now_s // HOUR_S + 1) * HOUR_S, last_s + 1, HOUR_S)]


def _means(known: Hours, starts: Sequence[int], hours: float, back_s: int = 0) -> dict[int, float]:
    """g/kWh over the work by start, for those starts whose every hour is known; ``back_s`` looks at as long before."""
    found = {}
    for start_s in starts:
        mean = _mean(known, start_s - back_s, start_s - back_s + round(hours * HOUR_S))
        if mean is not None:
            found[start_s] = mean
    return found


def _mean(known: Hours, from_s: int, until_s: int) -> float | None:
    total, at_s = 0.0, from_s
    while at_s < until_s:
        hour_s = at_s // HOUR_S * HOUR_S
        if hour_s not in known:
            return None
        end = min(hour_s + HOUR_S, until_s)
        total += known[hour_s] * (end - at_s)
        at_s = end
    return total / (until_s - from_s) / 1e6


def _least(means: Mapping[int, float]) -> int:
    """The earliest of those that are not worse than any other by a thousandth: waiting for nothing is no advice."""
    least = min(means.values())
    return min(start_s for start_s, mean in means.items() if mean <= least * 1.001)


def _spread_g95(values: Sequence[float]) -> float:
    """A multiplicative interval that holds the days seen."""
    middle = sum(values) / len(values)
    if middle <= 0 or min(values) <= 0:
        return FORECAST_G95
    return max(FORECAST_G95, max(values) / middle, middle / min(values))
