"""A place with a grid of its own: settings, a file of intensities or a service on this machine, books."""

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from wattledger.core.facts import IntensityFact
from wattledger.ledger.store import Store
from wattledger.runtime import clock

HOUR = 3_600


def this_hour_s() -> int:
    """The start of the hour that it is: the commands read the clock of this machine."""
    return clock.now().wall_ns // 1_000_000_000 // HOUR * HOUR


def iso(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def configure(text: str) -> None:
    Path("wattledger.toml").write_text(text)


def configure_file(rows: Iterable[tuple[int, float]], more: str = "", zone: str = "DE") -> None:
    """A provider that reads a file: (start of an hour, g/kWh)."""
    lines = [f"{zone},{iso(start_s)},{iso(start_s + HOUR)},{grams}\n" for start_s, grams in rows]
    Path("grid.csv").write_text("zone,start,end,g_per_kwh\n" + "".join(lines))
    configure(f'[grid]\nzone = "{zone}"\nprovider = "file"\n{more}[grid.file]\npath = "{os.path.abspath("grid.csv")}"\n')


def books(facts: Sequence[IntensityFact], recorded_s: int | None = None) -> None:
    """In the user's own ledger."""
    store = Store.open(Path(os.environ["HOME"], ".local", "state", "wattledger", "ledger"))
    store.append(facts, recorded_s or this_hour_s())
    store.close()


def said(start_s: int, grams: float, *, provider: str = "neso", zone: str = "DE", estimated: bool = False) -> IntensityFact:
    return IntensityFact(zone, start_s, HOUR, round(grams * 1e6), provider, estimated=estimated)
