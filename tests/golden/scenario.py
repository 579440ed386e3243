"""The machine of the golden files: two GPUs, one of them power-only, a CPU package with its core domain, memory, two jobs, tokens.

    python -m tests.golden.scenario          # writes two_jobs.cap and everything rendered from it anew

A change of these files is a change of figures that people graph: the diff is the review.
"""

from collections.abc import Iterator
from pathlib import Path

from wattledger import __version__
from wattledger.cli.present import footprint_lines
from wattledger.core.model import (
    Activity,
    Batch,
    Boundary,
    Claim,
    Device,
    EnergyCounter,
    Factor,
    Fault,
    Holding,
    IdleFloor,
    Instant,
    PowerGauge,
    Sample,
    Work,
    Workload,
)
from wattledger.core.totals import Health, Snapshot, State
from wattledger.runtime.capture import Recorder
from wattledger.testing import replay_all
from wattledger_exporters.console import ConsoleTables
from wattledger_exporters.jsonl import Jsonl
from wattledger_exporters.prometheus import OPENMETRICS, Prometheus

HERE = Path(__file__).parent
CAPTURE = HERE / "two_jobs.cap"

H100 = Device("GPU-0f4a", "gpu", "NVIDIA H100 80GB HBM3", refresh_ns=100_000_000, cap_uw=910_000_000)
OLD_GPU = Device("GPU-51c2", "gpu", "Tesla P40", refresh_ns=20_000_000, cap_uw=325_000_000)
PACKAGE = Device("rapl:package-0", "cpu", "Intel(R) Xeon(R) Platinum 8480+", refresh_ns=1_000_000, cap_uw=700_000_000)
CORE = PACKAGE._replace(id="rapl:package-0/core", inside=PACKAGE.id)
MEMORY = Device("dram", "dram", "512 GB")

TRAIN = Workload("train", "llama-3.1-8b", (("team", "search"),))
SERVE = Workload("serve", "qwen-2.5")
RANGE_UJ = 262_143_328_850
HEADER = {
    "identity": {
        "run_id": "golden", "parent_run_id": None, "job": "train", "model": "llama-3.1-8b", "labels": {"team": "search"},
        "host": "gpu-7", "scope": "process",
    },
    "notes": ["PUE is not known and not applied: grams are for the IT energy alone ([facility] pue sets it)"],
    "sensor_notes": ["no memory energy sensor here: memory energy is a model's answer"],
}  # fmt: skip
HEALTH = {
    "nvml": Health(True, 0.00125, 1, "GPU-51c2: not enough memory"),
    "rapl": Health(True, 0.0003, 0),
    "ipmi": Health(False, 0.0, 3),
}


def at(second: float) -> Instant:
    """``second`` after the start of the capture."""
    ns = round(second * 1e9)
    return Instant(5_000_000_000_000 + ns, 1_795_341_600_000_000_000 + ns)


def batches() -> list[Batch]:
    """Five seconds: baseline, two under load with a span inside, a wrap of the package's register, a quiet one."""
    return [
        Batch(at(0.0), False, tuple(_facts())),
        _tick(0, h100=0, old=50, package=RANGE_UJ - 100_000_000, used=(0, 0, 0)),
        Batch(at(0.5), False, (_edge(0.5, "enter"), *_registers(0.5, 300_000_000, 110_000_000, at_uj=RANGE_UJ - 40_000_000))),
        _tick(1, h100=650, old=180, package=RANGE_UJ - 1, used=(900, 300, 0)),
        _tick(2, h100=1_340, old=170, package=109_999_999, used=(1_900, 700, 0)),
        Batch(at(2.25), False, (_work(), *_registers(2.25, 1_450_000_001, 109_999_999 + 30_000_000, at_uj=140_000_000))),
        Batch(at(2.5), False, (*_registers(2.5, 1_500_000_003, 0, at_uj=160_000_000), _edge(2.5, "leave"))),
        _tick(3, h100=1_580, old=60, package=190_000_000, used=(2_300, 1_100, 400)),
        _tick(4, h100=1_660, old=50, package=240_000_000, used=(2_300, 1_100, 2_000), failed=True),
    ]


def _facts() -> Iterator[Sample]:
    yield Claim("pid:100", at(0.0), TRAIN)
    yield Claim("pid:200", at(0.0), SERVE)
    yield Holding(H100.id, "pid:100", at(0.0), 1.0)
    yield Holding(OLD_GPU.id, "pid:200", at(0.0), 1.0)
    yield IdleFloor(H100.id, "context", 80_000_000, at(-60.0), 32)
    yield IdleFloor(PACKAGE.id, "empty", 45_000_000, at(-60.0), 12)
    direct = ("gCO2e/kWh", "direct", "European Environment Agency", "2023", "annual-average", 1.1)
    yield Factor("grid", "DE", 329.0, *direct, "2023-01-01", "2023-12-31")
    made = ("gCO2e/h", "cradle-to-gate", "NVIDIA PCF HGX H100 / 8", "2025", "pcf", 1.5)
    yield Factor("embodied", H100.id, 164_000 / 35_040, *made, g95_high=3.5)
    yield Factor("embodied", "host", 2_500_000 / 43_800, "gCO2e/h", "manufacture", "BLOOM", "2022", "class", 3.0)
    yield Factor("water_offsite", "DE", 1.95, "L/kWh", "consumed by power stations", "WRI", "2025", "national", 1.5)


def _edge(second: float, edge: str) -> Boundary:
    return Boundary(1, at(second), "enter" if edge == "enter" else "leave", TRAIN, TRAIN)


def _registers(second: float, h100_uj: int, core_uj: int, *, at_uj: int) -> Iterator[Sample]:
    yield EnergyCounter(H100, at(second), h100_uj, None)
    yield EnergyCounter(PACKAGE, at(second), at_uj, RANGE_UJ)
    if core_uj:
        yield EnergyCounter(CORE, at(second), core_uj, RANGE_UJ)


def _tick(second: int, *, h100: int, old: int, package: int, used: tuple[int, int, int], failed: bool = False) -> Batch:
    """A full batch; ``h100`` joules so far, ``old`` watts now, ``used`` CPU milliseconds of train, serve and nobody."""
    now = at(second)
    samples: list[Sample] = [
        *_registers(second, h100 * 1_000_000 + second, (second + 1) * 60_000_000, at_uj=package),
        PowerGauge(OLD_GPU, now, old * 1_000_000),
        PowerGauge(MEMORY, now, 145_408_000, estimated=True),
        *(Activity("cpu", who, now, ms * 1_000_000, "cpu_ns") for who, ms in zip(("pid:100", "pid:200"), used, strict=False)),
        Activity("cpu", "(idle)", now, used[2] * 1_000_000, "idle_ns"),
        Activity("dram", "pid:100", now, second * 7, "byte_ns"),
        Activity("dram", "pid:200", now, second * 3, "byte_ns"),
        Activity(H100.id, "pid:100", now, second * 1_000, "sm_ns"),
        Activity(OLD_GPU.id, "pid:200", now, second * 1_000, "sm_ns"),
    ]
    if failed:
        samples.append(Fault("nvml", OLD_GPU.id, now, "not enough memory", False))
    return Batch(now, True, tuple(samples))


def _work() -> Work:
    return Work(TRAIN, at(2.25), prompt_tokens=812, generated_tokens=64, requests=1, span=1)


def snapshot() -> Snapshot:
    """The totals at the end of the stored capture, with the health that a session would have added."""
    pipeline = replay_all(CAPTURE).pipeline
    return pipeline.totals.snapshot(State(pipeline.factors["grid"], HEALTH))


def renderings() -> dict[str, bytes]:
    """File name to contents: everything that is rendered from the capture, whatever this version is called."""
    found, prometheus = snapshot(), Prometheus()
    footprints = [footprint_lines(footprint) for footprint in replay_all(CAPTURE).footprints]
    rendered = {
        "two_jobs.prom": prometheus.render(found),
        "two_jobs.openmetrics": prometheus.render(found, OPENMETRICS),
        "two_jobs.jsonl": Jsonl().render(found),
        "two_jobs.console.txt": ConsoleTables(width=120).render(found),
        "two_jobs.replay.txt": "".join(f"{line}\n" for lines in footprints for line in lines).encode(),
    }
    return {name: contents.replace(f'"{__version__}"'.encode(), b'"VERSION"') for name, contents in rendered.items()}


def write() -> None:
    """Make every golden file anew."""
    recorder = Recorder(CAPTURE)
    recorder.begin(HEADER)
    recorder.add(batches())
    recorder.close()
    for name, contents in renderings().items():
        (HERE / name).write_bytes(contents)


if __name__ == "__main__":
    write()
