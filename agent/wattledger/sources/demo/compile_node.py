"""Compiles node.capture.gz: ten minutes of a GPU node that is made up, second by second.  Never shipped, never imported by us.

    python -m wattledger.sources.demo.compile_node node.capture.gz

Every figure is ours.  Eight GPUs like an H100 SXM (700 W, 70 W at rest, some 118 W with a context), two CPUs, their memory, and a
BMC that sees fans and losses, too; powers follow what the jobs do, temperatures follow the powers, registers are their sums.  The
last second is the first one's again but for what was counted, so that the capture can be played round and round.
"""

import gzip
import json
import sys
from collections.abc import Iterator, Sequence
from math import pi, sin
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from wattledger.core.model import (
    Activity,
    Batch,
    Condition,
    Device,
    EnergyCounter,
    Fault,
    IdleFloor,
    Instant,
    PowerGauge,
    Request,
    Sample,
    Served,
)
from wattledger.sources.demo import compile_cast as cast
from wattledger.sources.demo import compile_serving as serving
from wattledger.sources.demo.compile_serving import ROUND_S, Counts

NS = 1_000_000_000
START = Instant(1_000 * NS, 1_767_001_000 * NS)  # alike in their last digits, so that they compress well
PARTS_OF_S = 10  # the powers' steps in a second
THREADS, MEMORY_GB = 2 * cast.CORES, 2_048
BMC_S, BMC_DOWN = 10, (300, 310)  # it is asked so often; and at these times it does not answer
LOOK_S = 10  # between two looks at temperatures
LIMIT_UW = 700_000_000
FANS_W, SWITCHES_W, EFFICIENCY = 300.0, 420.0, 0.945
AMBIENT_C, C_PER_W, THERMAL_S = 27.0, 0.062, 35.0

GPUS = [Device(f"GPU-demo-{n}", "gpu", "NVIDIA H100 80GB HBM3 (made up)", None, 100_000_000, 910_000_000) for n in range(8)]
CPUS = [Device(f"demo:package-{n}", "cpu", "a made-up CPU of 56 cores", None, 1_000_000, 500_000_000) for n in range(2)]
DRAM = [Device(f"demo:dram-{n}", "dram", "1 TB of made-up memory", None, 1_000_000, 100_000_000) for n in range(2)]
NODE = Device("demo:bmc", "node", "a made-up server", "(parts)", BMC_S * NS, 14_000_000_000)
FLOORS_W = {**{gpu.id: 70.0 for gpu in GPUS}, **{cpu.id: 62.0 for cpu in CPUS}}
CONTEXT_W = 118.0


class Second(NamedTuple):
    """One second: watts by device and the whole node's, GPUs' temperatures, and threads busy by name."""

    watts: tuple[float, ...]
    node_w: float
    celsius: tuple[int, ...]
    busy: tuple[tuple[str, float], ...]


def _gpu_w(n: int, at_s: float, engine: tuple[Counts, Counts], noise: float) -> float:
    """What one GPU draws at a moment of the round."""
    rest_w = FLOORS_W[GPUS[n].id] + n % 3
    if n < 4:  # training: a step is 11 s of work and one of exchange; every 200 s a checkpoint, for which it waits
        if cast.checkpoints(at_s):
            return 152.0 + noise
        return (655.0 if at_s % 12 < 11 else 470.0) - 6 * n + 8 * sin(2 * pi * at_s / 60) + 2 * noise
    if n == 4:
        begun_s = at_s - cast.SLURM_S[0]
        if not cast.is_there(cast.SLURM_S, at_s):
            return rest_w + noise / 8
        if begun_s < 15 or at_s > cast.SLURM_S[1] - 12:
            return 150.0 + noise
        return 430.0 + 45 * sin(2 * pi * begun_s / 20) + 30 * sin(2 * pi * begun_s / 240) + noise
    if n == 5:
        before, after = engine
        grown = [b - a for a, b in zip(before, after, strict=True)]
        return CONTEXT_W + 5.2 * grown[4] + 0.055 * grown[0] + 0.16 * grown[2] + noise / 8
    if n == 6:  # a notebook that somebody left open, with one cell that is run
        return (260.0 if cast.notebook_works(at_s) else CONTEXT_W) + noise / 8
    if not cast.is_there(cast.EVAL_S, at_s):
        return rest_w + noise / 8
    begun_s = at_s - cast.EVAL_S[0]
    return 130.0 + noise if begun_s < 8 else (545.0 if cast.generates(at_s) else 210.0) + noise


def seconds(engine: Sequence[Counts]) -> list[Second]:
    """The round's, in order.  The first of two rounds warms up; the second one's end is its beginning."""
    random, found = Random(11), list[Second]()
    noises = [[16 * random.random() - 8 for _ in GPUS] for _ in range(ROUND_S * PARTS_OF_S)]
    celsius = [AMBIENT_C + 20.0] * len(GPUS)
    for second in [*range(ROUND_S)] * 2:
        told = engine[second], engine[second + 1]
        busy = cast.busy(second, told[1].running)
        sums = [0.0] * len(GPUS)
        for part in range(PARTS_OF_S):
            at_s = second + part / PARTS_OF_S
            for n in range(len(GPUS)):
                watts = _gpu_w(n, at_s, told, noises[second * PARTS_OF_S + part][n])
                sums[n] += watts / PARTS_OF_S
                warm = AMBIENT_C + C_PER_W * watts
                celsius[n] += (warm - celsius[n]) / THERMAL_S / PARTS_OF_S
        threads = sum(busy.values())
        cpu_w = FLOORS_W[CPUS[0].id] + 1.7 * threads**0.9
        dram_w = 21.0 + 0.14 * threads + (0.004 * sum(sums))
        parts = [*sums, 1.04 * cpu_w, 0.96 * cpu_w, dram_w, 0.97 * dram_w]
        fans_w = FANS_W + max(0.0, sum(celsius) / len(GPUS) - 35) * 14
        node_w = (sum(parts) + SWITCHES_W + fans_w) / EFFICIENCY
        found.append(Second(tuple(parts), node_w, tuple(map(round, celsius)), tuple(busy.items())))
    return found[ROUND_S:]


class Recording:
    """State: the registers, and how much everybody has used since he came."""

    def __init__(self) -> None:
        self.asked = serving.requests()
        self.engine = serving.by_second(self.asked)
        self.seconds = seconds(self.engine)
        self._devices = [*GPUS, *CPUS, *DRAM]
        self._count_mj = {device.id: 400_000_000 + 7_654_321 * n for n, device in enumerate(self._devices)}
        self._used: dict[tuple[str, str], int] = {}

    def batches(self) -> list[Batch]:
        """One a second, the first and the last included: what one round has counted is their difference."""
        return [Batch(at_(second), True, tuple(self._second(second, at_(second)))) for second in range(ROUND_S + 1)]

    def _second(self, second: int, at: Instant) -> Iterator[Sample]:
        past = self.seconds[second - 1] if second else None
        if past is None:
            yield from (IdleFloor(device, "empty", int(watts * 1e6), at, 64) for device, watts in FLOORS_W.items())
        for watts, device in zip(past.watts if past else [0.0] * len(self._devices), self._devices, strict=True):
            self._count_mj[device.id] += round(watts * 1_000)
            yield EnergyCounter(device, at, self._count_mj[device.id] * 1_000, None)
        if second % BMC_S == 0:
            yield from self._node(second, at)
        now = self.seconds[second % ROUND_S]
        if second % LOOK_S == 0:
            yield from (Condition(gpu.id, at, c * 1_000, LIMIT_UW) for gpu, c in zip(GPUS, now.celsius, strict=True))
            yield from (Condition(cpu.id, at, None, LIMIT_UW // 2) for cpu in CPUS)
        yield from cast.coming(second, at)
        yield from self._use(second, at, dict(past.busy) if past else {})
        yield from self._served(second, at)
        yield from cast.going(second, at)

    def _node(self, second: int, at: Instant) -> Iterator[Sample]:
        if second in BMC_DOWN:
            yield Fault("demo_redfish", None, at, "the made-up BMC does not answer for 20 s of each round", False)
            return
        yield PowerGauge(NODE, at, round(self.seconds[second % ROUND_S].node_w) * 1_000_000)

    def _use(self, second: int, at: Instant, busy: dict[str, float]) -> Iterator[Sample]:
        """Of the second that has passed; who has just come has used nothing yet."""
        here = cast.here(second)
        here = cast.here(second)
        used_ms = {who: round(busy.get(who, 0.0) * 1_000) for who in here}
        used_ms["(idle)"] = THREADS * 1_000 - sum(used_ms.values())
        used_gb = {who: gb if cast.is_here(who, second - 1) else 0 for who, gb in cast.MEMORY_GB.items() if who in here}
        used_gb["(idle)"] = MEMORY_GB - sum(used_gb.values())
        yield from (self._grown("cpu", who, at, ms * 1_000_000 if second else 0) for who, ms in used_ms.items())
        yield from (self._grown("dram", who, at, gb * NS * NS if second else 0) for who, gb in used_gb.items())
        for n, gpu in enumerate(GPUS):
            worker = self._worker(n, second - 1)
            for who in (cast.holder(n), "(idle)"):
                if who == "(idle)" or who in here:
                    yield self._grown(gpu.id, who, at, NS if who == worker and second else 0)

    def _worker(self, n: int, second: int) -> str:
        """Who worked on a GPU in the second that begins so; nobody: it is said to have been idle."""
        rests = n == 6 and not cast.notebook_works(second)
        rests |= n == 5 and not (self.engine[second].running or self.engine[second + 1].running)
        who = cast.holder(n)
        return who if cast.is_here(who, second) and not rests else "(idle)"

    def _grown(self, device: str, who: str, at: Instant, more: int) -> Activity:
        self._used[device, who] = self._used.get((device, who), 0) + more
        unit = "idle_ns" if who == "(idle)" else {"cpu": "cpu_ns", "dram": "byte_ns"}.get(device, "sm_ns")
        return Activity(device, who, at, self._used[device, who], unit)  # type: ignore[arg-type]  # one of the model's units

    def _served(self, second: int, at: Instant) -> Iterator[Sample]:
        now, before = self.engine[second], cast.SERVED_BEFORE
        yield Served(
            cast.ENGINE, cast.SERVED, cast.ADDRESS, cast.SERVER, at, before.prompt + now.prompt, before.cached + now.cached,
            before.generated + now.generated, before.requests + now.requests, before.steps + now.steps, now.running, "made up",
        )  # fmt: skip
        for number, one in enumerate(self.asked):
            for end_s in (one.end_s, one.end_s - ROUND_S):
                if second and second - 1 < end_s <= second:
                    began, first, ended = (at_(edge + end_s - one.end_s) for edge in (one.scheduled_s, one.first_s, one.end_s))
                    tokens = one.computed, one.cached, one.generated
                    yield Request(f"demo-{number}", cast.SERVED, began, first, ended, *tokens, cast.ADDRESS, one.tenant)


def at_(second: float) -> Instant:
    """An instant of the round."""
    return Instant(*(start + round(second * 100) * (NS // 100) for start in START))


def lines(batches: Sequence[Batch]) -> Iterator[str]:
    """As ``wattledger run --record`` writes them (runtime/capture.py)."""
    note = "a GPU node that is made up, for wattledger agent --demo"
    yield json.dumps({"schema": "wattledger.capture/1", "notes": [note], "counted": list(cast.COUNTED)})
    known: set[str] = set()
    for batch in batches:
        rows: list[list[Any]] = []
        for sample in batch.samples:
            fields: list[Any] = list(sample)
            for i, field in enumerate(fields):
                if isinstance(field, Device):
                    if field.id not in known:
                        known.add(field.id)
                        rows.append(["Device", *field])
                    fields[i] = field.id
            rows.append([type(sample).__name__, *fields])
        yield json.dumps({"at": batch.at, "full": batch.full, "s": rows}, separators=(",", ":"))


def main(path: Path) -> None:
    """Write the capture; equal words make equal bytes."""
    text = "\n".join(lines(Recording().batches())) + "\n"
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
