"""How far each tool is from the truth, over the window that it itself measured: loads x sensors x lengths, in random phases."""

import random
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from tests.bench.machine import SilentToolError, answer, machine, start
from tests.bench.table import Row
from tests.bench.venvs import Tool
from tests.rig.rig import VOLTA, Gpu, Load, Rig, Zone, load_constant, load_square, load_steps

LENGTHS_S = (1.0, 4.0, 10.0)
# Bodies of each length in a case: one body is one draw of how load, refresh and window lie, and short ones depend on it most.
DRAWS = {1.0: 8, 4.0: 3, 10.0: 2}
SETTLE_S = 0.3  # a register that refreshes ten times a second has moved by then
PHASES = 8
# What each part must not be further off than, in per cent, by length.
TARGETS = {
    "RAPL": {1.0: 0.1, 4.0: 0.1, 10.0: 0.1},
    "NVML 20 ms": {4.0: 0.6, 10.0: 0.6},
    "NVML 100 ms": {1.0: 6.0, 10.0: 0.5},
    "no counter": {1.0: 3.0, 4.0: 3.0, 10.0: 3.0},
}
NOTHING = load_constant(0)
PASCAL = 4
CARDS = {
    "NVML 20 ms": Gpu(NOTHING, arch=VOLTA, name="Tesla V100-SXM2-16GB", refresh_ms=20),
    "NVML 100 ms": Gpu(NOTHING),
    # Its power is the mean of the last 20 ms; Zeus asks for it by field, CodeCarbon by the older call.
    "no counter": Gpu(NOTHING, arch=PASCAL, name="Tesla P100-PCIE-16GB", counter=False, refresh_ms=20, usage_window_ms=20,
                      average_window_ms=None, instant_window_ms=20),
}  # fmt: skip
TOOLS_S = 60.0  # opening a tool, at most, beside the bodies


class Case(NamedTuple):
    """One machine under one load, seen by one kind of sensor."""

    sensor: str
    load: str
    rig: Rig


def loads(top_w: float) -> dict[str, Load]:
    """Constant; a square of 300 ms; bursts of 130 ms about every second, never in step with a second."""
    return {
        "constant": load_constant(0.6 * top_w),
        "square 300 ms": load_square(0.3, 0.1 * top_w, top_w),
        "burst": load_steps((0.91, 0.1 * top_w), (0.13, top_w), repeat=True),
    }


def cases(dice: random.Random) -> Iterator[Case]:
    """Eight cards or four sockets a machine; each one's refresh and load begin at a moment of their own."""
    for name, load in loads(600).items():
        for sensor, card in CARDS.items():
            gpus = [replace(_own_pace(card, dice), load=shifted(load, dice)) for _ in range(PHASES)]
            yield Case(sensor, name, machine(gpus))
    for name, load in loads(220).items():
        yield Case("RAPL", name, machine((), _sockets(load, dice, range_uj=262_143_328_850)))
    # A register 500 times smaller than real ones, so that it wraps about four times in ten seconds.
    yield Case("RAPL", "multi-wrap", machine((), _sockets(load_constant(200), dice, range_uj=520_000_000)))


def _own_pace(card: Gpu, dice: random.Random) -> Gpu:
    """No two cards refresh at quite the same rate; if all did, those of a machine would lag alike at both ends of a body."""
    refresh_ms = card.refresh_ms * dice.uniform(0.95, 1)
    return replace(card, refresh_ms=refresh_ms, phase_ms=dice.uniform(0, refresh_ms))


def _sockets(load: Load, dice: random.Random, *, range_uj: int) -> list[Zone]:
    starts = [dice.randrange(range_uj) for _ in range(4)]
    return [
        Zone(f"intel-rapl:{i}", f"package-{i}", shifted(load, dice), range_uj=range_uj, start_uj=start, refresh_us=977)
        for i, start in enumerate(starts)
    ]


def shifted(load: Load, dice: random.Random) -> Load:
    """The same load, begun at a random moment of its period, with a few per cent of strength of its own."""
    strength = dice.uniform(0.95, 1.05)
    steps = [(d, round(p * strength)) for d, p in load.steps]
    if not load.repeat:
        return Load(tuple(steps), load.repeat)
    skip_ns = dice.randrange(sum(d for d, _ in steps))
    while skip_ns:
        (duration_ns, power_uw), *rest = steps
        part_ns = min(skip_ns, duration_ns)
        left = [(duration_ns - part_ns, power_uw)] if part_ns < duration_ns else []
        steps, skip_ns = [*left, *rest, (part_ns, power_uw)], skip_ns - part_ns
    return Load(tuple(steps), True)


def truth_j(rig: Rig, device: str, start_ns: int, end_ns: int) -> float | None:
    """What the device truly drew; of a kind, all of its devices; ``None`` where no sensor of the rig stands behind it."""
    zones = {z.name.replace("dram", f"dram-{z.key.split(':')[1]}"): z.key for z in rig.zones}
    match device:
        case "gpu":
            ids = [g.uuid for g in rig.gpus]
        case "cpu":
            ids = [z.key for z in rig.zones]
        case _ if device in zones:
            ids = [zones[device]]
        case _:
            ids = [g.uuid for g in rig.gpus if g.uuid == device]
    return sum(rig.truth_uj(i, start_ns, end_ns) for i in ids) / 1e6 if ids else None


def errors_pct(rig: Rig, energies: Sequence[Sequence[Any]]) -> list[float]:
    """Of each device (or of the kind, where a tool says no more), how far off it is."""
    found = []
    for device, start_ns, end_ns, joules, *_ in energies:
        truth = truth_j(rig, device, start_ns, end_ns)
        if truth:
            found.append(100 * abs(joules / truth - 1))
    return found


def measure(tools: Sequence[Tool], *, lengths_s: Sequence[float] = LENGTHS_S, seed: int = 1) -> list[Row]:
    """Every case with all tools at once (they only read); one case after another, so that the machine is not starved."""
    rows = []
    dice = random.Random(seed)
    for case in cases(dice):
        print(f"accuracy: {case.sensor}, {case.load}", file=sys.stderr)
        # Never a whole number of refresh periods: both ends would then lag alike, and any difference be right.
        drawn = [s for s in lengths_s for _ in range(DRAWS.get(s, 1))]
        bodies_s = [s + dice.uniform(0, 0.1) for s in drawn]
        asked = {t.name: start(case.rig, t.argv("bodies", str(bodies_s), str(SETTLE_S))) for t in tools if can(t, case)}
        answers = {name: _bodies(process, sum(bodies_s)) for name, process in asked.items()}
        for length_s in lengths_s:
            at = [i for i, s in enumerate(drawn) if s == length_s]
            values = {name: _shown(found, at, case) for name, found in answers.items()}
            target = TARGETS[case.sensor].get(length_s)
            name = f"{case.sensor}, {case.load}, {length_s:g} s"
            rows.append(
                Row(name, "% off", values, target, note="" if "codecarbon" not in values else "CodeCarbon: of all together")
            )
            if case.sensor != "RAPL" and case.load.startswith("square"):
                whole = {n: _shown(found, at, case, together=True) for n, found in answers.items()}
                rows.append(Row(f"{name}, {PHASES} GPUs together", "% off", whole, target))
    return rows


def can(tool: Tool, case: Case) -> bool:
    """The plain reader knows counters alone."""
    return tool.name != "plain" or case.sensor != "no counter"


def _bodies(process: "subprocess.Popen[str]", length_s: float) -> list[Any] | str:
    try:
        found: list[Any] = answer(process, length_s + TOOLS_S)
    except SilentToolError as silent:
        return str(silent)
    return found


def _shown(found: list[Any] | str, at: Sequence[int], case: Case, *, together: bool = False) -> float | str:
    """The median over all devices and bodies, or over bodies of the devices' sum."""
    if isinstance(found, str):
        return found[:60]
    errors: list[float] = []
    for i in at:
        if together:
            pairs = [(row[3], truth) for row in found[i] if (truth := truth_j(case.rig, row[0], row[1], row[2]))]
            errors += [100 * abs(sum(j for j, _ in pairs) / sum(t for _, t in pairs) - 1)] if pairs else []
        else:
            errors += errors_pct(case.rig, found[i])
    return statistics.median(errors) if errors else "says nothing"
