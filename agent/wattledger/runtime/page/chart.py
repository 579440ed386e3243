"""A power curve as the points of an SVG, with the grid's intensity under it: plain numbers, for the template to write down."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from wattledger.core.units import NS_PER_S
from wattledger.runtime.page import words
from wattledger.runtime.page.history import Reading

WIDTH, POWER_H, GRID_H, LEFT, RIGHT, TOP, GAP = 720, 180, 60, 76, 12, 12, 26
MOST_POINTS = 360
MOST_ROWS = 120  # of the table that says the same in words


class Tick(NamedTuple):
    """A line across, or a mark below, with its words."""

    at: float
    text: str


class Plot(NamedTuple):
    """One curve: pieces of ``x,y x,y ...`` (a hole between two), and its lines across."""

    pieces: tuple[str, ...]
    ticks: tuple[Tick, ...]
    top: float
    bottom: float


class PointLine(NamedTuple):
    """A row of the table."""

    start: str
    iso: str
    power: str
    intensity: str


class Chart(NamedTuple):
    """Everything that the drawing and its table say.  ``grid`` is ``None`` where no intensity is known."""

    width: int
    height: int
    left: int
    right: int
    power: Plot
    grid: Plot | None
    times: tuple[Tick, ...]
    summary: str
    rows: tuple[PointLine, ...]
    step: str


def chart(readings: Sequence[Reading]) -> Chart | None:
    """``None`` where there is nothing to draw."""
    readings = thinned(readings, MOST_POINTS)
    known = [reading for reading in readings if reading.power_w is not None]
    if len(known) < 2:
        return None
    start_s, end_s = readings[0].start_s, readings[-1].end_s
    across = _scale(start_s, end_s, LEFT, WIDTH - RIGHT)
    power = _plot(readings, lambda r: r.power_w, across, (TOP, TOP + POWER_H, words.watt))
    grid, bottom = None, TOP + POWER_H
    if any(reading.g_per_kwh is not None for reading in readings):
        bottom += GAP + GRID_H
        grid = _plot(readings, lambda r: r.g_per_kwh, across, (bottom - GRID_H, bottom, lambda v: f"{v:.0f}"))
    marks = [start_s + (end_s - start_s) * n / 4 for n in range(5)]
    signs = 8 if end_s - start_s < 600 else 5  # hours and minutes, or seconds, too
    times = tuple(Tick(across(mark_s), words.clock_time(int(mark_s) * NS_PER_S)[:signs]) for mark_s in marks)
    rows = thinned(readings, MOST_ROWS)
    size = WIDTH, bottom + 24, LEFT, WIDTH - RIGHT
    return Chart(*size, power, grid, times, _summary(readings), _rows(rows), words.span(_step(rows)))


def thinned(readings: Sequence[Reading], most: int) -> list[Reading]:
    """At most so many: neighbours become one, their power the mean over their time, so that the energy under the curve stays."""
    each = -(-len(readings) // most) if readings else 1
    return [_mean(readings[n : n + each]) for n in range(0, len(readings), each)]


def _mean(of: Sequence[Reading]) -> Reading:
    if len(of) == 1:
        return of[0]

    def mean(pairs: list[tuple[float, float]]) -> float | None:
        whole = sum(length for _, length in pairs)
        return sum(value * length for value, length in pairs) / whole if whole else None

    powers = [(r.power_w, r.end_s - r.start_s) for r in of if r.power_w is not None]
    grids = [(r.g_per_kwh, r.end_s - r.start_s) for r in of if r.g_per_kwh is not None]
    return Reading(of[0].start_s, of[-1].end_s, mean(powers), mean(grids))


def _plot(
    readings: Sequence[Reading],
    value_of: Callable[[Reading], float | None],
    across: Callable[[float], float],
    frame: tuple[float, float, Callable[[float], str]],
) -> Plot:
    top, bottom, show = frame
    ceiling = _round_up(max(value for reading in readings if (value := value_of(reading)) is not None))
    up = _scale(0.0, ceiling, bottom, top)
    pieces: list[list[str]] = [[]]
    for reading in readings:
        value = value_of(reading)
        if value is None:
            pieces.append([])
        else:
            pieces[-1] += [f"{across(t):.1f},{up(value):.1f}" for t in (reading.start_s, reading.end_s)]
    parts = 4 if bottom - top > 100 else 2
    ticks = tuple(Tick(up(ceiling * n / parts), show(ceiling * n / parts)) for n in range(parts + 1))
    return Plot(tuple(" ".join(piece) for piece in pieces if piece), ticks, top, bottom)


def _scale(low: float, high: float, to_low: float, to_high: float) -> Callable[[float], float]:
    width = high - low or 1.0
    return lambda value: to_low + (value - low) / width * (to_high - to_low)


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 5 or 8 times a power of ten: quarters of it are short numbers."""
    if value <= 0:
        return 1.0
    power = 1.0
    while power * 10 < value:
        power *= 10
    while power > value:
        power /= 10
    return next(power * n for n in (1, 2, 4, 6, 8, 10) if power * n >= value * 0.9999)


def _summary(readings: Sequence[Reading]) -> str:
    watts = [reading.power_w for reading in readings if reading.power_w is not None]
    whole_s = sum(r.end_s - r.start_s for r in readings if r.power_w is not None)
    mean_w = sum(r.power_w * (r.end_s - r.start_s) for r in readings if r.power_w is not None) / whole_s
    said = f"From {words.date_time(readings[0].start_s)} to {words.date_time(readings[-1].end_s)}: "
    said += f"{words.watt(min(watts))} to {words.watt(max(watts))}, mean {words.watt(mean_w)}."
    grids = [reading.g_per_kwh for reading in readings if reading.g_per_kwh is not None]
    if grids:
        low, high = min(grids), max(grids)
        said += f" Grid: {low:.0f} g/kWh." if low == high else f" Grid: {low:.0f} to {high:.0f} g/kWh."
    return said


def _rows(readings: Sequence[Reading]) -> tuple[PointLine, ...]:
    return tuple(
        PointLine(
            words.clock_time(int(r.start_s) * NS_PER_S),
            words.iso_time(r.start_s),
            words.UNKNOWN if r.power_w is None else words.watt(r.power_w),
            "" if r.g_per_kwh is None else f"{r.g_per_kwh:.0f} g/kWh",
        )
        for r in readings
    )


def _step(readings: Sequence[Reading]) -> float:
    return max((reading.end_s - reading.start_s for reading in readings), default=0.0)
