"""A cluster that Kepler recorded: shares by cycles follow the cycles, and sum to what the platform's own sensor says.

The recording's own parts (package idle and dynamic, DRAM) come to 63 % more than its platform sensor (science.md section 2.6).
"""

import json
import os
from pathlib import Path
from typing import Any, Literal

import pytest

from wattledger.core.model import Activity, Batch, Claim, Device, EnergyCounter, Instant, Workload
from wattledger.core.pipeline import Pipeline

RECORDINGS = os.environ.get("WATTLEDGER_RECORDINGS")
pytestmark = pytest.mark.skipif(not RECORDINGS, reason="WATTLEDGER_RECORDINGS names no folder of recordings")

PLATFORM = Device("platform", "cpu", "the platform's own sensor", None, 0, 10_000_000_000)
Series = list[tuple[int, float]]


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    return dict(json.loads((Path(RECORDINGS or "") / "kepler" / "idle.json").read_text()))


def series(recorded: dict[str, Any], name: str) -> dict[str, Series]:
    """Container (or mode) to its samples."""
    found: dict[str, Series] = {}
    for row in recorded[name]:
        labels = row["metric"]
        key = labels.get("container_id") or f"{labels.get('mode', '')}{labels.get('package', '')}{labels.get('source', '')}"
        found[key] = [(int(at), float(value)) for at, value in row["values"]]
    return found


def platform_uj(recorded: dict[str, Any]) -> list[tuple[int, int]]:
    """The platform sensor's counter: its modes are parts of one reading."""
    modes = list(series(recorded, "kepler_node_platform_joules_total").values())
    return [(at, round(1e6 * sum(mode[i][1] for mode in modes))) for i, (at, _) in enumerate(modes[0])]


def shares(recorded: dict[str, Any], name: str, unit: Literal["cycles", "cpu_ns"]) -> tuple[dict[str, int], Pipeline]:
    """Put the recording through the pipeline: each container's energy in microjoules."""
    pipeline = Pipeline()
    use = {container: dict(values) for container, values in series(recorded, name).items()}
    for second, energy_uj in platform_uj(recorded):
        at = Instant(second * 10**9, second * 10**9)
        here = [container for container, values in use.items() if second in values]  # some were born meanwhile
        claims = [Claim(f"cgroup:/{c}", at, Workload(c), "cgroup") for c in here]
        used = [Activity("cpu", f"cgroup:/{c}", at, int(use[c][second]), unit) for c in here]
        pipeline.step(Batch(at, True, (EnergyCounter(PLATFORM, at, energy_uj, None), *claims, *used)))
    by_container: dict[str, int] = {}
    for (workload, *_), uj in pipeline.totals.energy_uj.items():
        by_container[workload.job] = by_container.get(workload.job, 0) + uj
    return by_container, pipeline


def growth(recorded: dict[str, Any], name: str) -> dict[str, float]:
    return {c: values[-1][1] - values[0][1] for c, values in series(recorded, name).items()}


def total_variation(one: dict[str, float], other: dict[str, float]) -> float:
    whole, rest = sum(one.values()), sum(other.values())
    return sum(abs(one.get(k, 0) / whole - other.get(k, 0) / rest) for k in {*one, *other}) / 2


def test_shares_by_cycles_are_within_five_per_cent_of_the_cycles(recorded: dict[str, Any]) -> None:
    by_container, _ = shares(recorded, "kepler_container_cpu_cycles_total", "cycles")
    cycles = growth(recorded, "kepler_container_cpu_cycles_total")
    by_cycles = total_variation({k: float(v) for k, v in by_container.items()}, cycles)
    by_time, _ = shares(recorded, "kepler_container_bpf_cpu_time_ms_total", "cpu_ns")
    assert by_cycles <= 0.05
    assert by_cycles < total_variation({k: float(v) for k, v in by_time.items()}, cycles)


@pytest.mark.parametrize(
    ("name", "unit"), [("kepler_container_cpu_cycles_total", "cycles"), ("kepler_container_bpf_cpu_time_ms_total", "cpu_ns")]
)
def test_not_a_microjoule_is_lost_or_made(recorded: dict[str, Any], name: str, unit: Literal["cycles", "cpu_ns"]) -> None:
    by_container, pipeline = shares(recorded, name, unit)
    counted = platform_uj(recorded)
    assert sum(by_container.values()) == counted[-1][1] - counted[0][1]
    assert set(pipeline.totals.residual_uj().values()) == {0}


def test_the_recordings_own_parts_do_not_add_up(recorded: dict[str, Any]) -> None:
    parts_j = sum(
        values[-1][1] - values[0][1]
        for name in ("kepler_node_package_joules_total", "kepler_node_dram_joules_total")
        for values in series(recorded, name).values()
    )
    counted = platform_uj(recorded)
    assert parts_j / ((counted[-1][1] - counted[0][1]) / 1e6) == pytest.approx(1.63, abs=0.02)
