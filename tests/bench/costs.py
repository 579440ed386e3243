"""What measuring costs: importing, the first span, a span, a hundred thousand of them, and an idle open one."""

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from tests.bench.machine import SilentToolError, ask, machine
from tests.bench.table import Row
from tests.bench.venvs import Tool, environment
from tests.rig.rig import Gpu, Rig, load_constant, load_square, sockets

REPEATS = 9
# Slow ones are asked less often.
SPANS = {"codecarbon": 30, "zeus": 300}
SPANS_OF_OURS = 4000
WARM_UP = 5
MODULES = {"plain": "pynvml", "wattledger": "wattledger", "codecarbon": "codecarbon", "zeus": "zeus.monitor"}
IMPORT = """
import os, resource, sys, time
mb = lambda: int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6
before, at = mb(), time.perf_counter()
import {module}
print((time.perf_counter() - at) * 1e3, mb() - before)
"""


def node(*, latency_us: float = 0) -> Rig:
    """Eight GPUs and two sockets.  Sockets that say the same to the digit would be taken for one die seen twice."""
    gpus = [Gpu(load_square(0.2, 80, 500 + i), phase_ms=12.5 * i, latency_us=latency_us) for i in range(8)]
    zones = sockets(2, package=load_constant(100), dram=load_constant(10))
    other = [replace(zone, start_uj=10**9) if zone.key.startswith("intel-rapl:1") else zone for zone in zones]
    return machine(gpus, other)


def imports(tools: Sequence[Tool]) -> list[Row]:
    """Milliseconds and megabytes of the import statement alone, warm files, and of the first span after it."""
    found = {tool.name: _import_costs(tool) for tool in tools}
    rig = node()
    ready = {tool.name: _each(partial(_ready, rig, tool)) for tool in tools}
    return [
        Row("import", "ms", {name: ms for name, (ms, _) in found.items()}, 40, note=f"median of {REPEATS}"),
        Row("import", "MB", {name: mb for name, (_, mb) in found.items()}, 15),
        Row("first span ready after import, 8 GPUs, 2 sockets", "ms", ready, 120, note=f"median of {REPEATS}"),
    ]


def _import_costs(tool: Tool) -> tuple[float, float]:
    code = IMPORT.format(module=MODULES[tool.name])
    pairs = [_numbers([str(tool.python), "-c", code]) for _ in range(REPEATS + 1)][1:]  # the first one compiles
    return statistics.median(ms for ms, _ in pairs), statistics.median(mb for _, mb in pairs)


def _numbers(argv: Sequence[str]) -> list[float]:
    done = subprocess.run(argv, env={**os.environ, **environment()}, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def _ready(rig: Rig, tool: Tool) -> float:
    return _median(ask(rig, tool, "ready") for _ in range(REPEATS))


def _median(values: Iterable[Any]) -> float:
    return float(statistics.median(values))


def _each(call: Callable[[], float]) -> float | str:
    try:
        return call()
    except SilentToolError as silent:
        return str(silent)[:60]


def regions(tools: Sequence[Tool]) -> list[Row]:
    """Entering plus leaving, beside the bare reads of the same sensors; then again with drivers as slow as real ones."""
    rows = []
    for label, latency_us in (("", 0), (", NVML answers in 50 us", 50)):
        rig = node(latency_us=latency_us)
        spans = {t.name: _spans(rig, t) for t in tools}
        bare_us = statistics.median(spans["plain"]) / 1e3
        limit_us = 1.5 * bare_us + 60
        note = "target: 1.5 x bare + 60"
        rows.append(_us(f"span, enter and leave{label}, median", spans, statistics.median, limit_us, note))
        rows.append(_us(f"span, enter and leave{label}, mean", spans, statistics.mean, limit_us, note))
        rows.append(_us(f"span, enter and leave{label}, longest", spans, max, None, f"of {SPANS_OF_OURS}"))
        far = {t.name: list(ask(rig, t, "apart", "150"))[WARM_UP:] for t in tools}
        far_us = 1.5 * statistics.median(far["plain"]) / 1e3 + 60
        rows.append(_us(f"span with 12 ms in it{label}, median", far, statistics.median, far_us, note))
        rows.append(_us(f"span with 12 ms in it{label}, mean", far, statistics.mean, far_us, note))
        ours = next(t for t in tools if t.name == "wattledger")
        inner = {"plain": spans["plain"], "wattledger": ask(rig, ours, "nested", str(SPANS_OF_OURS))[WARM_UP:]}
        rows.append(_us(f"inner span{label}, median", inner, statistics.median, limit_us, note))
        rows.append(_us(f"inner span{label}, mean", inner, statistics.mean, limit_us, note))
    sizes = ask(node(), ours, "growth", "100000", timeout_s=550)
    rows.append(Row("memory grown over the last 90,000 of 100,000 spans", "MB", {"wattledger": sizes[2] - sizes[1]}, 5))
    return rows


def _spans(rig: Rig, tool: Tool) -> list[float]:
    return list(ask(rig, tool, "region", str(SPANS.get(tool.name, SPANS_OF_OURS))))[WARM_UP:]


def _us(name: str, spans: dict[str, list[float]], of: Callable[..., float], target: float | None, note: str) -> Row:
    return Row(name, "us", {tool: of(ns) / 1e3 for tool, ns in spans.items()}, target, note=note)


def idle(tools: Sequence[Tool], *, seconds: int = 30) -> list[Row]:
    """An open measurement in a program that sleeps; each with its own defaults, one after another."""
    rig = node()
    found: dict[str, dict[str, Any]] = {}
    for tool in tools:
        print(f"idle: {tool.name}, {seconds} s", file=sys.stderr)
        try:
            found[tool.name] = ask(rig, tool, "idle", str(seconds), timeout_s=seconds + 60)
        except SilentToolError as silent:
            found[tool.name] = {"own_pct": str(silent)}
    parts = (
        ("own_pct", "CPU of an open, idle measurement", "% of a core", 0.3),
        ("helpers_pct", "its helper processes", "% of a core", None),
        ("wakes_per_s", "wake-ups", "1/s", None),
    )
    rows = []
    for key, name, unit, target in parts:
        values = {tool: figures[key] for tool, figures in found.items() if key in figures}
        rows.append(Row(name, unit, values, target, note="8 GPUs, 2 sockets, 1 Hz (theirs: their own pace)"))
    return rows
