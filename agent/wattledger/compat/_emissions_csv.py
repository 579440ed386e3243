"""CodeCarbon's files: ``emissions.csv`` and the one of its tasks, kept as CodeCarbon keeps them.

A row is appended in one write; a new or rewritten file is put in place whole.  A file whose columns differ is moved to ``.bak``
(``_0.bak``, ``_1.bak``, …), never overwritten.
"""

import csv
import io
import os
import platform
from collections.abc import Iterable, Mapping
from datetime import datetime
from math import isnan
from pathlib import Path
from typing import Any

from wattledger.compat._countries import country

Row = Mapping[str, str | float | None]
# The task file's columns are those of the run, but for these.
NOT_OF_TASKS = ("experiment_id", "pue", "wue")
BYTES_PER_GB = 1024**3  # as CodeCarbon counts


class EmissionsData:
    """One row with its columns as attributes, as CodeCarbon's ``final_emissions_data``: kWh, kg, W, seconds.

    What is not known is NaN where a number is expected (never 0) and an empty text elsewhere.
    """

    TEXTS = (
        "timestamp", "project_name", "run_id", "experiment_id", "country_name", "country_iso_code", "region", "cloud_provider",
        "cloud_region", "os", "python_version", "codecarbon_version", "cpu_model", "gpu_model", "tracking_mode", "on_cloud",
    )  # fmt: skip

    def __init__(self, row: Row) -> None:
        for name, value in row.items():
            setattr(self, name, ("" if name in self.TEXTS else float("nan")) if value is None else value)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no column {name!r}: there are {', '.join(self.__dict__)}")

    @property
    def values(self) -> dict[str, Any]:
        """Every column in order."""
        return dict(self.__dict__)

    def toJSON(self) -> str:  # noqa: N802 - CodeCarbon's name
        """The row as JSON; what is not known is null."""
        import json

        known = {name: None if _unknown(value) else value for name, value in self.values.items()}
        return json.dumps(known, indent=4, sort_keys=True)

    def __repr__(self) -> str:
        return f"EmissionsData({', '.join(f'{name}={value!r}' for name, value in self.values.items())})"


def about_here(row: dict[str, str | float | None], zone: str) -> None:
    """Fill in what a footprint does not say: the machine, the country of its grid zone, and the local time of the row's end."""
    place = country(zone.partition("-")[0]) if zone else None
    if place is not None:
        row["country_name"], row["country_iso_code"] = place.name, place.alpha_3
    row["os"], row["python_version"], row["cpu_count"] = platform.platform(), platform.python_version(), os.cpu_count()
    row["ram_total_size"] = memory_gb()
    if row["timestamp"]:
        # CodeCarbon writes local time without a zone; two kinds in one file would be read as neither.
        local = datetime.fromisoformat(f"{row['timestamp']}+00:00").astimezone()
        row["timestamp"] = local.replace(tzinfo=None).isoformat(timespec="seconds")


def memory_gb() -> float | None:
    """Memory of the machine; ``None`` where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / BYTES_PER_GB
    except (AttributeError, ValueError, OSError):
        return None


def write(path: Path, row: Row, *, update: bool = False) -> None:
    """Add a row; ``update``: in place of the one row of its ``run_id``.  Raises OSError."""
    columns = _columns(path)
    if columns is not None and sorted(columns) != sorted(row):
        path.rename(_backup(path))
        columns = None
    if columns is None:
        _replace(path, [list(row), _cells(row, row)])
    elif update:
        with path.open(newline="", encoding="utf-8") as file:
            before = list(csv.DictReader(file))
        others = [old for old in before if old["run_id"] != row["run_id"]]
        kept = others if len(before) - len(others) <= 1 else before
        _replace(path, [columns, *(_cells(old, columns) for old in kept), _cells(row, columns)])
    else:
        with path.open("ab") as file:
            # A line that a killed writer left unfinished stays a line of its own.
            begin = "" if _ends_with_newline(path) else "\n"
            file.write((begin + _text([_cells(row, columns)])).encode())


def write_tasks(path: Path, rows: Iterable[Row]) -> None:
    """The tasks of one run, rewritten whole.  Raises OSError."""
    shown = [{name: value for name, value in row.items() if name not in NOT_OF_TASKS} for row in rows]
    _replace(path, [list(shown[0]), *(_cells(row, row) for row in shown)])


def _columns(path: Path) -> list[str] | None:
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            return next(csv.reader(file), None)
    except FileNotFoundError:
        return None
    except csv.Error:
        return []  # no table at all: kept aside as one of other columns


def _backup(path: Path) -> Path:
    found, n = path.with_name(path.name + ".bak"), 0
    while found.exists():
        found, n = path.with_name(f"{path.name}_{n}.bak"), n + 1
    return found


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        return not file.seek(0, os.SEEK_END) or (file.seek(-1, os.SEEK_END), file.read(1))[1] == b"\n"


def _replace(path: Path, rows: Iterable[Iterable[str]]) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.write_text(_text(rows), encoding="utf-8", newline="")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _cells(row: Mapping[str, Any], columns: Iterable[str]) -> list[str]:
    return ["" if _unknown(row[name]) else str(row[name]) for name in columns]


def _unknown(value: Any) -> bool:
    return value is None or (isinstance(value, float) and isnan(value))


def _text(rows: Iterable[Iterable[str]]) -> str:
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerows(rows)
    return made.getvalue()
