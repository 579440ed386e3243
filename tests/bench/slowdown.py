"""How much slower a NumPy loop runs while it is measured: with and without in turn (A-B-A), beside what chance alone does."""

import statistics
import sys
from collections.abc import Sequence

from tests.bench.costs import node
from tests.bench.machine import SilentToolError, ask
from tests.bench.table import Row
from tests.bench.venvs import Tool

ROUNDS = 8
CLOCKS = ("wall", "CPU of the process")


def measure(tools: Sequence[Tool]) -> list[Row]:
    """Per cent of slow-down: the median over rounds of B against the A before and after; the noise is A against A."""
    rig = node()
    by_clock: tuple[dict[str, float | str], ...] = ({}, {})
    noise: tuple[dict[str, float | str], ...] = ({}, {})
    for tool in tools:
        print(f"slowdown: {tool.name}", file=sys.stderr)
        try:
            rounds = ask(rig, tool, "loop", str(ROUNDS), timeout_s=300)
        except SilentToolError as silent:
            by_clock[0][tool.name] = str(silent)[:60]
            continue
        for i in range(2):
            by_clock[i][tool.name] = statistics.median(100 * (2 * b[i] / (a[i] + c[i]) - 1) for a, b, c, _ in rounds)
            noise[i][tool.name] = statistics.median(100 * abs(2 * c[i] / (c[i] + d[i]) - 1) for _, _, c, d in rounds)
    rows = []
    for clock, found, chance in zip(CLOCKS, by_clock, noise, strict=True):
        note = f"median of {ROUNDS} A-B-A rounds of 1.2 s turns"
        rows.append(Row(f"slow-down of a NumPy loop, {clock}", "%", found, 0.2, note=note))
        rows.append(Row(f"A against A, {clock} (noise)", "%", chance))
    return rows
