"""A snapshot as tables that people read in a terminal: devices, workloads, sources."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from wattledger.core.figures import gram, joule
from wattledger.core.model import RESERVED, RETIRED, Workload
from wattledger.core.totals import Snapshot
from wattledger.core.units import joules

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


class ConsoleTables:
    """A ``Renderer``; stateless.  ``width``: columns of text; ``None``: the terminal's, or 80."""

    def __init__(self, width: int | None = None) -> None:
        self._width = width

    def render(self, snapshot: Snapshot, accept: str = "") -> bytes:
        """UTF-8 text without colours; ``accept`` is not looked at."""
        import io
        import shutil

        from rich.console import Console

        width = self._width or shutil.get_terminal_size().columns
        text = io.StringIO()
        console = Console(file=text, width=width, color_system=None, force_terminal=False)
        _devices(console, snapshot)
        _workloads(console, snapshot)
        _sources(console, snapshot)
        if snapshot.grid is not None:
            grid = snapshot.grid
            console.print(f"grid {grid.zone}: {grid.value:g} {grid.unit} ({grid.quality})", markup=False)
        return text.getvalue().encode("utf-8", "replace")


def _table(title: str, columns: Sequence[str], right: Iterable[str]) -> "Table":
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _print(console: "Console", table: "Table", rows: Iterable[Sequence[str]]) -> None:
    from rich.text import Text

    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: a job named [red] is a name, not a colour
    if table.row_count:
        console.print(table)


def _devices(console: "Console", snapshot: Snapshot) -> None:
    sums = {**snapshot.device_energy_uj, **snapshot.subdevice_energy_uj}
    rows = []
    for (device_id, method), uj in sorted(sums.items(), key=lambda item: (item[0] in snapshot.subdevice_energy_uj, item[0])):
        device = snapshot.devices[device_id]
        power_uw = snapshot.power_uw.get(device_id)
        power = f"{joules(power_uw):.3g} W" if power_uw is not None else ""
        what = f"{device.model} (inside {device.inside}, not added)" if device.inside else device.model
        rows.append((device_id, device.kind, method, joule(joules(uj)), power, what))
    table = _table("Devices", ("device", "kind", "method", "energy", "power", "model"), ("energy", "power"))
    _print(console, table, rows)


def _workloads(console: "Console", snapshot: Snapshot) -> None:
    sums: dict[Workload, dict[str, int]] = {workload: {} for workload in snapshot.work}
    for (workload, _, _, use), uj in snapshot.energy_uj.items():
        uses = sums.setdefault(workload, {})
        uses[use] = uses.get(use, 0) + uj
    if snapshot.retired_uj:
        sums.setdefault(RETIRED, {})["active"] = sum(snapshot.retired_uj.values())
    rows = []
    for workload, uses in sorted(sums.items(), key=lambda item: (item[0].job in RESERVED, -sum(item[1].values()), item[0].job)):
        held = joule(joules(uses["held"])) if "held" in uses else ""
        grams = snapshot.emissions_g.get(workload)
        work = snapshot.work.get(workload)
        tokens = f"{work.prompt_tokens} / {work.cached_tokens} / {work.generated_tokens}" if work is not None else ""
        name = " ".join([workload.job, *([workload.model] if workload.model else []), *(f"{k}={v}" for k, v in workload.labels)])
        rows.append((name, joule(joules(sum(uses.values()))), held, gram(grams) if grams is not None else "", tokens))
    columns = "workload", "energy", "of it held", "CO2e", "tokens in/cached/out"
    _print(console, _table("Workloads", columns, columns[1:]), rows)


def _sources(console: "Console", snapshot: Snapshot) -> None:
    rows = [
        (name, "up" if health.up else "down", f"{health.read_s * 1e3:.3g} ms", str(health.errors), health.last_error)
        for name, health in sorted(snapshot.health.items())
    ]
    _print(console, _table("Sources", ("source", "", "last read", "errors", "last error"), ("last read", "errors")), rows)
