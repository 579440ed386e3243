"""Rows of figures as a Markdown table and as JSON."""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.venvs import Tool


@dataclass(frozen=True)
class Row:
    """One figure of each tool, in ``unit``; ``target`` is what ours should not exceed (or, for ``at_least``, fall short of)."""

    name: str
    unit: str
    values: Mapping[str, float | str]
    target: float | None = None
    at_least: bool = False
    note: str = ""

    def missed(self) -> bool:
        ours = self.values.get("wattledger")
        if self.target is None or not isinstance(ours, float | int):
            return False
        return ours < self.target if self.at_least else ours > self.target


@dataclass(frozen=True)
class Report:
    """What was measured, where and when."""

    tools: Sequence[Tool]
    rows: list[Row]
    machine: str = field(default_factory=lambda: _machine())
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="minutes"))

    def markdown(self) -> str:
        names = [t.name for t in self.tools]
        head = ["", "unit", *(f"{t.name} {t.version}" for t in self.tools), *_ratio_heads(names), "target", ""]
        lines = [f"{self.machine}; {self.at}", "", _line(head), _line(["---"] * len(head))]
        for row in self.rows:
            mark = "" if row.target is None else "MISSED" if row.missed() else "met"
            target = "" if row.target is None else f"{'≥' if row.at_least else '≤'} {shown(row.target)}"
            cells = [shown(row.values.get(name, "")) for name in names]
            remark = " ".join(filter(None, [mark, row.note]))
            lines.append(_line([row.name, row.unit, *cells, *_ratios(row, names), target, remark]))
        return "\n".join(lines)

    def write(self, path: Path) -> None:
        tools = {t.name: t.version for t in self.tools}
        rows = [asdict(row) for row in self.rows]
        path.write_text(json.dumps({"machine": self.machine, "at": self.at, "tools": tools, "rows": rows}, indent=1) + "\n")


def shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"


def _ratio_heads(names: Iterable[str]) -> list[str]:
    return [f"{name} / ours" for name in names if name in ("codecarbon", "zeus")]


def _ratios(row: Row, names: Iterable[str]) -> list[str]:
    """How many times ours a peer's figure is; a peer that is better than ours is below one."""
    ours = row.values.get("wattledger")
    cells = []
    for name in names:
        if name in ("codecarbon", "zeus"):
            theirs = row.values.get(name)
            both = isinstance(ours, float | int) and isinstance(theirs, float | int) and ours > 0
            cells.append(f"{theirs / ours:.2g}" if both else "")  # type: ignore[operator]
    return cells


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _machine() -> str:
    return f"{_processor()}, {os.cpu_count()} CPUs, Linux {platform.release()}, Python {platform.python_version()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ", 1)[1] for line in lines if line.startswith("model name")), platform.machine())
