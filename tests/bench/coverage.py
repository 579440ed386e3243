"""How often a stated 95 % interval holds the truth: random machines, loads and lengths, each device and the total.

Twice: with sensors that are exact but for what they are (refresh, averaging), and with a gain drawn for each model and run from
the very interval that our own table gives it.
"""

import math
import random
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from tests.bench.accuracy import truth_j
from tests.bench.machine import answer, machine, start
from tests.bench.table import Row
from tests.bench.venvs import Tool
from tests.rig.rig import KEPLER, VOLTA, Gpu, Load, Rig, Zone, load_steps

RIGS, AT_ONCE, BODIES = 10, 2, 24
SHORT_S = 0.5


def measure(tools: Sequence[Tool], *, seed: int = 1) -> list[Row]:
    """240 runs on ten machines."""
    dice = random.Random(seed)
    ours = next(t for t in tools if t.name == "wattledger")
    held: dict[str, list[bool]] = {}
    for batch in range(0, RIGS, AT_ONCE):
        print(f"coverage: machines {batch + 1} to {batch + AT_ONCE} of {RIGS}", file=sys.stderr)
        asked = [_start(ours, dice) for _ in range(AT_ONCE)]
        for rig, process, length_s in asked:
            for energies in answer(process, length_s + 60):
                judge(rig, energies, dice, held)
    return [_row(what, results) for what, results in sorted(held.items())]


def _row(what: str, results: Sequence[bool]) -> Row:
    values = {"wattledger": 100 * sum(results) / len(results)}
    return Row(f"95 % intervals that hold the truth: {what}", "%", values, 93, at_least=True, note=f"of {len(results)}")


def _start(ours: Tool, dice: random.Random) -> "tuple[Rig, subprocess.Popen[str], float]":
    rig = any_machine(dice)
    lengths_s = [math.exp(dice.uniform(math.log(0.05), math.log(5))) for _ in range(BODIES)]
    process = start(rig, ["env", "WATTLEDGER_FACILITY_REST=off", *ours.argv("bodies", str(lengths_s), "0.25")])
    return rig, process, sum(lengths_s) + BODIES * 0.25


def any_load(dice: random.Random, top_w: float) -> Load:
    """One to five steps of 5 ms to 2 s, repeating."""
    n = dice.randint(1, 5)
    steps = [(math.exp(dice.uniform(math.log(0.005), math.log(2))), dice.uniform(0.05, 1) * top_w) for _ in range(n)]
    return load_steps(*steps, repeat=True)


def any_machine(dice: random.Random) -> Rig:
    """Four cards, of which one in four has no register, and two sockets."""
    gpus = [_any_gpu(dice) for _ in range(4)]
    size = 262_143_328_850
    zones = [
        Zone(f"intel-rapl:{place}", name, any_load(dice, top_w), range_uj=size, start_uj=dice.randrange(size), refresh_us=977)
        for i in range(2)
        for place, name, top_w in ((f"{i}", f"package-{i}", 250), (f"{i}:2", "dram", 40))
    ]
    return machine(gpus, zones)


def _any_gpu(dice: random.Random) -> Gpu:
    load = any_load(dice, 650)
    match dice.choice(("none", "fast", "slow", "slow")):
        case "none":
            return Gpu(load, name="Tesla K40m", arch=KEPLER, counter=False, refresh_ms=15, phase_ms=dice.uniform(0, 15),
                       usage_window_ms=15, average_window_ms=None, instant_window_ms=None)  # fmt: skip
        case "fast":
            return Gpu(load, name="Tesla V100-SXM2-16GB", arch=VOLTA, refresh_ms=20, phase_ms=dice.uniform(0, 20))
        case _:
            return Gpu(load, phase_ms=dice.uniform(0, 100))


def judge(rig: Rig, energies: Sequence[Any], dice: random.Random, held: dict[str, list[bool]]) -> None:
    """Note, for each device of one run and for their sum, whether low <= truth <= high."""
    total, gained, whole = 0.0, 0.0, None
    gains: dict[str, float] = {}
    for row in energies:
        device, start_ns, end_ns, _, low, high = row
        if device == "all":
            whole = row
            continue
        truth = truth_j(rig, device, start_ns, end_ns)
        if truth is None:
            raise ValueError(f"a device that is not of this machine: {device}")
        kind, g95 = _gain(rig, device)
        # One gain for all devices of a model: that is what the interval of their sum assumes.
        gain = gains.setdefault(kind, math.exp(dice.gauss(0, math.log(g95) / 1.96)))
        total, gained = total + truth, gained + truth * gain
        when = "under 0.5 s" if (end_ns - start_ns) / 1e9 < SHORT_S else "0.5 s and more"
        held.setdefault(f"device, exact sensor, {when}", []).append(low <= truth <= high)
        held.setdefault(f"device, random gain, {when}", []).append(low <= truth * gain <= high)
    if whole is not None:
        held.setdefault("total, exact sensors", []).append(whole[4] <= total <= whole[5])
        held.setdefault("total, random gains", []).append(whole[4] <= gained <= whole[5])


def _gain(rig: Rig, device: str) -> tuple[str, float]:
    """What the gains table says of datacentre cards and of RAPL: 10 % (factors/gains.py); of a card it does not know, 15 %."""
    name = next((g.name for g in rig.gpus if g.uuid == device), "RAPL")
    return name, 1.15 if name == "Tesla K40m" else 1.10
