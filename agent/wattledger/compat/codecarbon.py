"""CodeCarbon's API over our meter: change ``from codecarbon import …`` to ``from wattledger.compat.codecarbon import …``.

Names, arguments, units and the columns of ``emissions.csv`` are those of CodeCarbon 3.3; the figures are ours, so a number that
is not known is NaN and an empty cell, never 0.  ``tracker.footprint`` has the rest: intervals, devices, methods, notes.  The place
is never looked up over the network: say it (``country_iso_code``, ``WATTLEDGER_GRID_ZONE``), or the world's average stands in.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from wattledger import Footprint, Run, track
from wattledger.compat import _emissions_csv as files
from wattledger.compat._arguments import DECORATOR_NAMES, NAMES, Asked, say_once, understood
from wattledger.compat._emissions_csv import EmissionsData

__all__ = ["EmissionsTracker", "OfflineEmissionsTracker", "OutputMethod", "track_emissions"]

F = TypeVar("F", bound=Callable[..., Any])


class OutputMethod(StrEnum):
    """Where CodeCarbon sends figures; we do CSV and PROMETHEUS (a Pushgateway), and say so of the others."""

    CSV = "csv"
    API = "api"
    LOGGER = "logger"
    PROMETHEUS = "prometheus"
    LOGFIRE = "logfire"
    BOAMPS = "boamps"


class _Span:
    """One measured stretch: a run that was entered and is left once."""

    def __init__(self, asked: Asked, job: str) -> None:
        self._track = track(job=job, labels=asked.labels, zone=asked.zone, scope=asked.scope, config=asked.config or None)
        self.run: Run = self._track.__enter__()
        self._asked = asked
        self._open = True

    def end(self) -> None:
        if self._open:
            self._open = False
            self._track.__exit__(None, None, None)

    def row(self) -> dict[str, str | float | None] | None:
        """CodeCarbon's columns; ``None`` where the meter could not even be loaded."""
        footprint = self.run.footprint
        if not isinstance(footprint, Footprint):
            return None
        row = footprint.to_codecarbon_row()
        zones = [factor.zone for factor in footprint.factors if factor.kind == "grid"]
        if "WORLD" in zones:
            say_once("no grid zone is known, so the world's average stands in: give country_iso_code or set WATTLEDGER_GRID_ZONE")
        if row["pue"] is None and "facility.pue" in self._asked.config:
            say_once("pue was not applied: the first tracker of a program, or its agent, says the PUE (WATTLEDGER_FACILITY_PUE)")
        files.about_here(row, zones[-1] if zones else "")
        return row | dict(self._asked.row)


class EmissionsTracker:
    """``start()``, ``stop()`` (kg CO2e), ``flush()``, tasks, or a ``with`` block.

    State: the open span and those of the tasks.  Not to be used from two threads at once, as there.
    """

    _names: tuple[str, ...] = NAMES

    def __init__(self, *given: Any, **named: Any) -> None:
        self._asked = understood(given, named, names=self._names)
        self._whole: _Span | None = None
        self._tasks: dict[str, _Span] = {}
        self._task_rows: dict[str, dict[str, str | float | None]] = {}
        self._active: str | None = None
        self.final_emissions: float | None = None
        self.final_emissions_data: EmissionsData | None = None

    @property
    def run_id(self) -> str | None:
        """The run's name, as in the file and in the ledger; ``None`` before the start."""
        return None if self._whole is None else self._whole.run.run_id

    @property
    def footprint(self) -> Footprint | None:
        """Ours, live while running and final after; ``None`` before the start."""
        return None if self._whole is None else self._whole.run.footprint

    def start(self) -> None:
        """Begin to measure; a second start does nothing."""
        if self._whole is None:
            self._whole = _Span(self._asked, self._asked.job)

    def stop(self) -> float | None:
        """End the measurement and write the row; kg CO2e, ``None`` where nothing was ever started."""
        if self._whole is None or self.final_emissions_data is not None:
            return self.final_emissions
        for name in list(self._tasks):
            self.stop_task(name)
        self._whole.end()
        self.final_emissions_data = self._keep()
        self.final_emissions = None if self.final_emissions_data is None else self.final_emissions_data.emissions
        return self.final_emissions

    def flush(self) -> float | None:
        """Write the figures until now, and go on; kg CO2e."""
        if self._whole is None or self.final_emissions_data is not None:
            return self.final_emissions
        data = self._keep()
        return None if data is None else float(data.emissions)

    def start_task(self, task_name: str | None = None) -> None:
        """Measure a task by itself, inside the whole (which begins now, if it has not)."""
        if self._active is not None:
            say_once(f"task {self._active!r} is still measured: {task_name!r} was not begun")
            return
        self.start()
        name = task_name or f"task {len(self._task_rows) + 1}"
        while name in self._task_rows:
            name += "_"
        self._tasks[name] = _Span(self._asked, name)
        self._active = name

    def stop_task(self, task_name: str | None = None) -> EmissionsData | None:
        """The task's own figures; ``None`` where there is no such task."""
        span = self._tasks.pop(task_name or self._active or "", None)
        if span is None:
            return None
        name = task_name or self._active or ""
        self._active = None
        span.end()
        row = span.row()
        if row is None:
            return None
        row |= {"project_name": self._asked.job, "run_id": self.run_id}
        self._task_rows[name] = {"task_name": name, **row}
        return EmissionsData(row)

    def _keep(self) -> EmissionsData | None:
        """Read the figures and write the files; a folder that cannot be written is one line."""
        row = self._whole.row() if self._whole is not None else None
        if row is None:
            return None
        path = self._asked.csv
        try:
            if path is not None:
                files.write(path, row, update=self._asked.update)
            if path is not None and self._task_rows:
                files.write_tasks(
                    path.with_name(f"emissions_{self._asked.experiment_name}_{self.run_id}.csv"), self._task_rows.values()
                )
        except OSError as failure:
            say_once(f"{path} was not written: {failure.strerror or failure}; give output_dir a folder that is there")
        return EmissionsData(row)

    def __enter__(self) -> "EmissionsTracker":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()


class OfflineEmissionsTracker(EmissionsTracker):
    """The same: ours is always offline.  ``country_iso_code`` and its like are taken by both."""


class _Decorated(EmissionsTracker):
    _names = DECORATOR_NAMES


def track_emissions(fn: F | None = None, *given: Any, **named: Any) -> Any:
    """Measure every call of a function, with or without parentheses; each call writes a row, and returns what the function does."""

    def around(function: F) -> Any:
        if iscoroutinefunction(function):

            @wraps(function)
            async def measured_async(*args: Any, **kwargs: Any) -> Any:
                with _Decorated(*given, **named):
                    return await function(*args, **kwargs)

            return measured_async

        @wraps(function)
        def measured(*args: Any, **kwargs: Any) -> Any:
            with _Decorated(*given, **named):
                return function(*args, **kwargs)

        return measured

    return around if fn is None else around(fn)
