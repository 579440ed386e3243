"""The last hour in memory: the mean power of each workload over steps of ten seconds.

Bounded: so many workloads, so many steps.  Nothing finer is kept, and nothing of it is written anywhere.
"""

import threading
from array import array
from collections.abc import Collection, Mapping
from math import isnan, nan
from typing import NamedTuple

from wattledger.core.model import Instant, Workload
from wattledger.core.units import NS_PER_S
from wattledger.runtime.page.powers import Mark, mean_w

STEP_NS = 10 * NS_PER_S
POINTS = 360
ROWS = 200


class Reading(NamedTuple):
    """Mean power from ``start_s`` to ``end_s`` (seconds since the epoch), ``None``: not known; and the grid meanwhile."""

    start_s: float
    end_s: float
    power_w: float | None
    g_per_kwh: float | None


class History:
    """State: a ring of steps, a ring of watts for each workload, and the two newest marks (references).  Any thread."""

    def __init__(self, rows: int = ROWS, points: int = POINTS) -> None:
        self._most, self._points = rows, points
        self._lock = threading.Lock()
        self._steps: list[tuple[float, float, float | None]] = [(0.0, 0.0, None)] * points
        self._n = 0
        self._rows: dict[Workload, array[float]] = {}
        self._heard: dict[Workload, int] = {}  # the last step in which it drew anything
        self._marks: tuple[Mark, ...] = ()

    def due(self, at: Instant) -> bool:
        """Whether a step is over."""
        marks = self._marks
        return not marks or at.mono_ns - marks[-1].at.mono_ns >= STEP_NS

    def marks(self, at: Instant, least_ns: int) -> tuple[Mark, ...]:
        """Those that are at least so old, oldest first: what power of now is reckoned from."""
        return tuple(mark for mark in self._marks if at.mono_ns - mark.at.mono_ns >= least_ns)

    def add(self, mark: Mark, g_per_kwh: float | None) -> None:
        """A step ends here."""
        with self._lock:
            before = self._marks[-1] if self._marks else None
            if before is not None:
                length_s = (mark.at.mono_ns - before.at.mono_ns) / NS_PER_S
                if length_s <= 0:
                    return
                end_s = mark.at.wall_ns / NS_PER_S
                self._steps[self._n % self._points] = (end_s - length_s, end_s, g_per_kwh)
                self._fill(mean_w(self._marks, mark))
                self._n += 1
            self._marks = (*self._marks[-1:], mark)

    def _fill(self, powers_w: Mapping[Workload, float]) -> None:
        place = self._n % self._points
        for row in self._rows.values():
            row[place] = nan
        for workload, power_w in sorted(powers_w.items(), key=lambda each: -each[1]):
            if power_w and (row_of := self._row(workload)) is not None:
                row_of[place] = power_w
                self._heard[workload] = self._n

    def _row(self, workload: Workload) -> "array[float] | None":
        """Its ring; a new one takes the place of who has been silent for the longest time, but of nobody who draws now."""
        found = self._rows.get(workload)
        if found is None:
            if len(self._rows) >= self._most:
                silent = min(self._heard, key=self._heard.__getitem__)
                if self._heard[silent] >= self._n - 1:
                    return None
                del self._rows[silent], self._heard[silent]
            found = self._rows[workload] = array("f", [nan]) * self._points
        return found

    def names(self) -> list[Workload]:
        """Who has a ring."""
        with self._lock:
            return list(self._rows)

    def curve(self, workloads: Collection[Workload]) -> list[Reading]:
        """What they drew together, oldest first, from the first step in which one of them drew anything to the last."""
        with self._lock:
            rows = [self._rows[w] for w in workloads if w in self._rows]
            first = max(0, self._n - self._points)
            found = []
            for n in range(first, self._n):
                start_s, end_s, grid = self._steps[n % self._points]
                watts = [row[n % self._points] for row in rows]
                known = [w for w in watts if not isnan(w)]
                found.append(Reading(start_s, end_s, sum(known) if known else None, grid))
        drawn = [n for n, reading in enumerate(found) if reading.power_w is not None]
        return found[drawn[0] : drawn[-1] + 1] if drawn else []

