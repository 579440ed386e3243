"""A small GPU node that is made up, for the golden files: real samples of sensors that are not there.

Four GPUs, two CPU packages and their memory; a training job on two GPUs, a serving engine with tokens on the third, an evaluation
that comes and goes on the fourth.  Every register is an integral in closed form of a power that follows the clock, so the same
instants give the same samples.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from wattledger.core.model import (
    Activity,
    Claim,
    Device,
    EnergyCounter,
    Holding,
    IdleFloor,
    Instant,
    Member,
    Sample,
    Served,
    Workload,
)
from wattledger.core.ports import Now

NS = 1_000_000_000
EVAL_S = 600  # the evaluation's round: half of it at work


class Part(NamedTuple):
    """A device with its idle and its highest power in watts, and how long its load takes to come round."""

    device: Device
    idle_w: float
    max_w: float
    round_s: float


class Job(NamedTuple):
    """Who works: what it says of itself, its part of the CPUs' and the memory's use, its GPUs, and when it is there."""

    who: str
    workload: Workload
    pod: Workload
    cpu: float
    memory: float
    gpus: tuple[str, ...]
    comes_and_goes: bool = False


def _gpu(n: int) -> Device:
    return Device(f"GPU-demo-{n}", "gpu", "NVIDIA H100 80GB HBM3 (made up)", None, 100_000_000, 910_000_000)


def _cpu(n: int) -> Device:
    return Device(f"demo:package-{n}", "cpu", "a made-up CPU", None, 1_000_000, 600_000_000)


def _dram(n: int) -> Device:
    return Device(f"demo:dram-{n}", "dram", "made-up memory", None, 1_000_000, 100_000_000)


PARTS = (
    *(Part(_gpu(n), 72.0, 640.0 - 40 * n, 47.0 + 13 * n) for n in range(4)),
    *(Part(_cpu(n), 60.0, 270.0, 31.0 + 7 * n) for n in range(2)),
    *(Part(_dram(n), 9.0, 26.0, 61.0) for n in range(2)),
)


def _pod(name: str, namespace: str) -> Workload:
    return Workload(name, None, (("k8s_namespace_name", namespace), ("k8s_pod_name", name)))


JOBS = (
    Job("cgroup:/demo/finetune", Workload("finetune", "llama-3.1-8b", (("team", "search"),)), _pod("finetune-0", "research"),
        0.45, 0.30, ("GPU-demo-0", "GPU-demo-1")),
    Job("cgroup:/demo/serve", Workload("serve", "qwen3-32b", (("team", "chat"),)), _pod("serve-7d9f", "production"),
        0.15, 0.20, ("GPU-demo-2",)),
    Job("cgroup:/demo/eval", Workload("eval", "llama-3.1-8b", (("team", "search"),)), _pod("eval-3", "research"),
        0.10, 0.05, ("GPU-demo-3",), comes_and_goes=True),
)  # fmt: skip


class Demo:
    """State: when it was begun, who has been said to be there, tokens said so far, and use so far by device and name."""

    name = "demo"
    edge = True
    period_ns: int | None = None
    notes = ("every sensor here is made up",)

    def __init__(self) -> None:
        self._begun_ns: int | None = None
        self._last_ns = 0
        self._there: set[str] = set()
        self._used: dict[tuple[str, str], int] = {}
        self._tokens = 0

    def devices(self) -> Sequence[Device]:
        return [part.device for part in PARTS]

    def close(self) -> None:
        return

    def read(self, now: Now, full: bool) -> list[Sample]:
        at = now()
        if self._begun_ns is None:
            self._begun_ns = self._last_ns = at.mono_ns
        since_s = (at.mono_ns - self._begun_ns) / NS
        samples: list[Sample] = [EnergyCounter(p.device, at, int(_energy_j(p, since_s) * 1e6), None) for p in PARTS]
        if full:
            samples += self._activity(at, since_s)
            self._last_ns = at.mono_ns
        return samples

    def _activity(self, at: Instant, since_s: float) -> Iterator[Sample]:
        elapsed_ns = at.mono_ns - self._last_ns
        if not self._there:
            yield from (IdleFloor(p.device.id, "empty", int(p.idle_w * 1e6), at, 64) for p in PARTS if p.device.kind != "dram")
        free = dict.fromkeys(("cpu", "dram", *(p.device.id for p in PARTS if p.device.kind == "gpu")), 1.0)
        for job in JOBS:
            is_here = not job.comes_and_goes or since_s % EVAL_S < EVAL_S / 2
            if is_here != (job.who in self._there):
                since = Instant(self._last_ns, at.wall_ns - elapsed_ns)
                yield from self._come(job, since) if is_here else self._go(job, at)
            if is_here:
                for device, part in (("cpu", job.cpu), ("dram", job.memory), *((gpu, 1.0) for gpu in job.gpus)):
                    free[device] -= part
                    yield self._grown(device, job.who, at, int(elapsed_ns * part))
        for device, part in free.items():
            yield self._grown(device, "(idle)", at, int(elapsed_ns * max(0.0, part)))
        yield self._grown("cpu", "(agent)", at, elapsed_ns // 500)
        yield from self._serve(at, since_s)

    def _come(self, job: Job, at: Instant) -> Iterator[Sample]:
        """It came right after the last look, and its use counts from there."""
        self._there.add(job.who)
        yield Member(job.who, at, f"pod:{job.pod.job}")
        yield Claim(f"pod:{job.pod.job}", at, job.pod, "pod")
        yield Claim(job.who, at, job.workload, "environment")
        for gpu in job.gpus:
            yield Holding(gpu, job.who, at, 1.0, "allocation")
        for device in ("cpu", "dram", *job.gpus):
            self._used[device, job.who] = 0
            yield self._grown(device, job.who, at, 0)

    def _go(self, job: Job, at: Instant) -> Iterator[Sample]:
        self._there.discard(job.who)
        yield Member(job.who, at, None)
        yield Member(f"pod:{job.pod.job}", at, None)

    def _grown(self, device: str, who: str, at: Instant, ns: int) -> Activity:
        self._used[device, who] = self._used.get((device, who), 0) + ns
        unit = "idle_ns" if who == "(idle)" else {"cpu": "cpu_ns", "dram": "byte_ns"}.get(device, "sm_ns")
        return Activity(device, who, at, self._used[device, who], unit)  # type: ignore[arg-type]  # one of the model's units

    def _serve(self, at: Instant, since_s: float) -> Iterator[Sample]:
        """About 900 generated tokens a second, swinging; three prompt tokens for one that is generated, and batches of 24."""
        self._tokens = max(self._tokens, int(900 * since_s + 8_000 * (1 - math.cos(2 * math.pi * since_s / 73))))
        done = 3 * self._tokens, self._tokens // 2, self._tokens, self._tokens // 180
        yield Served("demo 127.0.0.1:8000", "qwen3-32b", "127.0.0.1:8000", JOBS[1].who, at, *done, self._tokens // 24, 24)


def _energy_j(part: Part, since_s: float) -> float:
    """The integral of idle + (max - idle) x (1 - cos(2 pi t / round)) / 2: it starts at rest and never falls below it."""
    swing = since_s - part.round_s / (2 * math.pi) * math.sin(2 * math.pi * since_s / part.round_s)
    return part.idle_w * since_s + (part.max_w - part.idle_w) * swing / 2
