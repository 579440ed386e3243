"""Readings, boundaries and batches, said in joules, watts and seconds, so that the tests can be checked by hand."""

from collections.abc import Iterable

from wattledger.core.accounts import SpanAccount
from wattledger.core.model import (
    Activity,
    Batch,
    Boundary,
    Claim,
    Device,
    EnergyCounter,
    Factor,
    Holding,
    IdleFloor,
    Instant,
    PowerGauge,
    Sample,
    Workload,
)
from wattledger.core.pipeline import Pipeline

S = 1_000_000_000
WALL_NS = 1_795_341_600_000_000_000  # 2026-11-22T10:00:00Z at second 0

GPU = Device("GPU-0", "gpu", "card", None, 100_000_000, 700_000_000)
CPU = Device("package-0", "cpu", "chip", None, 1_000_000, 400_000_000)
DRAM = Device("dram-0", "dram", "memory", None, 1_000_000, 100_000_000)
CORE = Device("core-0", "cpu", "chip", "package-0", 1_000_000, 400_000_000)

TREE = Workload("pid 1")
OTHER_TREE = Workload("pid 2")
RIVAL = Workload("rival")


def at(time_s: float) -> Instant:
    ns = round(time_s * S)
    return Instant(ns, WALL_NS + ns)


def counter(device: Device, time_s: float, energy_j: float, range_j: float | None = None) -> EnergyCounter:
    return EnergyCounter(device, at(time_s), round(energy_j * 1e6), None if range_j is None else round(range_j * 1e6))


def gauge(device: Device, time_s: float, power_w: float, *, estimated: bool = False) -> PowerGauge:
    return PowerGauge(device, at(time_s), round(power_w * 1e6), estimated)


def used(device_id: str, who: str, time_s: float, used_s: float, unit: str = "sm_ns") -> Activity:
    return Activity(device_id, who, at(time_s), round(used_s * S), unit)  # type: ignore[arg-type]


def claim(who: str, workload: Workload | None, time_s: float = 0.0) -> Claim:
    return Claim(who, at(time_s), workload)


def holding(device_id: str, who: str, part: float, time_s: float = 0.0) -> Holding:
    return Holding(device_id, who, at(time_s), part)


def floor(device: Device, power_w: float, n: int = 5) -> IdleFloor:
    return IdleFloor(device.id, "empty", round(power_w * 1e6), None, n)


def enter(span: int, time_s: float, *, parent: int | None = None, **clocks: float) -> Boundary:
    return _boundary(span, time_s, "enter", parent, clocks)


def leave(span: int, time_s: float, **clocks: float) -> Boundary:
    return _boundary(span, time_s, "leave", None, clocks)


def mark(time_s: float, **clocks: float) -> Boundary:
    return _boundary(0, time_s, "mark", None, clocks)


def _boundary(span: int, time_s: float, edge: str, parent: int | None, clocks: dict[str, float]) -> Boundary:
    """``clocks``: cpu_s, thread, thread_cpu_s."""
    cpu_s, thread, thread_s = clocks.get("cpu_s"), clocks.get("thread"), clocks.get("thread_cpu_s")
    return Boundary(
        span,
        at(time_s),
        edge,  # type: ignore[arg-type]
        workload_of(span),
        TREE,
        parent,
        None if cpu_s is None else round(cpu_s * S),
        None if thread is None else int(thread),
        None if thread_s is None else round(thread_s * S),
    )


def workload_of(span: int) -> Workload:
    return Workload(f"span {span}")


def factor(kind: str, value: float, g95: float = 1.1, unit: str = "gCO2e/kWh") -> Factor:
    return Factor(kind, "DE", value, unit, "direct", "EEA", "2023", "annual-average", g95, "2023-01-01", "2023-12-31")


def part_batch(time_s: float, *samples: Sample) -> Batch:
    return Batch(at(time_s), False, samples)


def full(time_s: float, *samples: Sample) -> Batch:
    return Batch(at(time_s), True, samples)


def run(*batches: Batch) -> tuple[Pipeline, dict[int, SpanAccount]]:
    """Step a new pipeline through the batches; what settled, by span."""
    pipeline = Pipeline()
    return pipeline, settled(pipeline, batches)


def settled(pipeline: Pipeline, batches: Iterable[Batch]) -> dict[int, SpanAccount]:
    return {account.span: account for batch in batches for account in pipeline.step(batch).settled}


def totals_j(pipeline: Pipeline, device: Device, use: str | None = None) -> dict[str, float]:
    """Joules by workload's name on one device."""
    sums: dict[str, float] = {}
    for (workload, device_id, _, used_as), uj in pipeline.totals.energy_uj.items():
        if device_id == device.id and use in (None, used_as):
            sums[workload.job] = sums.get(workload.job, 0.0) + uj / 1e6
    return sums


def metered_j(pipeline: Pipeline, device: Device) -> float:
    sums = {**pipeline.totals.device_energy_uj, **pipeline.totals.subdevice_energy_uj}
    return sum(uj for (device_id, _), uj in sums.items() if device_id == device.id) / 1e6
