"""nvidia-smi logs beside an external meter on the same cards: what our meter makes of the log, against the meter.

Recordings of the SC24 "part-time power measurements" study.  Facts of its format: 18 bytes a sample, a 16-bit clock of 2933.5
ticks a millisecond, then four pairs of voltage (0.007568 V) and current (0.0488 A) as 12 bits above 4; the meter's first sample
lies 50 ms before its start file; nvidia-smi wrote local time, one hour ahead of it.
"""

import csv
import json
import os
import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from wattledger.core.model import Batch, Device, Instant, PowerGauge
from wattledger.core.pipeline import Pipeline
from wattledger.factors.gains import gain
from wattledger.sources.nvml import gpu
from wattledger.sources.nvml.driver import VOLTA

RECORDINGS = os.environ.get("WATTLEDGER_RECORDINGS")
pytestmark = pytest.mark.skipif(not RECORDINGS, reason="WATTLEDGER_RECORDINGS names no folder of recordings")

TICKS_PER_S = 2_933_500
HOUR_NS = 3_600_000_000_000
# Folder, model, and what its sensor was doing: the A100's looks at 25 of every 100 ms, the K40m's rises over about a second.
PAIRS = [
    ("5050_3090", "NVIDIA GeForce RTX 3090"),
    ("Transient_Response_3090_TR", "NVIDIA GeForce RTX 3090"),
    ("Transient_Response_A100_TR", "NVIDIA A100-PCIE-40GB"),
    ("Transient_Response_K40m_TR", "Tesla K40m"),
]


def place(*parts: str) -> Path:
    assert RECORDINGS
    return Path(RECORDINGS, *parts)


def metered_w(folder: Path) -> Iterator[tuple[int, float]]:
    """(ns since the epoch, watts) of the external meter."""
    at_ns = (int((folder / "PMD_start_ts.txt").read_text()) - 50_000) * 1000
    data = (folder / "PMD_data.bin").read_bytes()
    ticks, before = 0, None
    for clock, *words in struct.iter_unpack("<H8h", data[: len(data) // 18 * 18]):
        ticks += 0 if before is None else (clock - before) % 65536
        before = clock
        values = [word >> 4 for word in words]  # a negative one is noise around zero, and stays
        watts = sum(values[i] * 0.007568 * values[i + 1] * 0.0488 for i in range(0, 8, 2))
        yield at_ns + ticks * 1_000_000_000 // TICKS_PER_S, watts


def logged_w(log: Path) -> list[tuple[int, float]]:
    """(ns since the epoch, watts) of the nvidia-smi log."""
    with log.open(newline="") as lines:
        rows = list(csv.DictReader(lines, skipinitialspace=True))
    times = (datetime.strptime(row["timestamp"], "%Y/%m/%d %H:%M:%S.%f").replace(tzinfo=UTC) for row in rows)
    times_ns = (round(t.timestamp() * 1000) * 1_000_000 - HOUR_NS for t in times)
    return [(at_ns, float(row["power.draw [W]"])) for at_ns, row in zip(times_ns, rows, strict=True)]


def trapezoid_j(points: list[tuple[int, float]]) -> float:
    return sum((a[1] + b[1]) / 2 * (b[0] - a[0]) for a, b in pairwise(points)) / 1e9


def our_joules(device: Device, points: list[tuple[int, float]]) -> float:
    """The log as readings of a power sensor, through the pipeline."""
    pipeline = Pipeline()
    for at_ns, watts in points:
        at = Instant(at_ns, at_ns)
        pipeline.step(Batch(at, False, (PowerGauge(device, at, round(watts * 1e6)),)))
    pipeline.step(Batch(at, True, ()))
    assert list(pipeline.totals.device_energy_uj) == [(device.id, "integrated")]
    return pipeline.totals.device_energy_uj[device.id, "integrated"] / 1e6


@pytest.mark.parametrize(("folder", "model"), PAIRS)
def test_integrated_power_is_within_seven_per_cent_of_the_meter(folder: str, model: str) -> None:
    meter, log = list(metered_w(place("gpu_meter_pairs", folder))), logged_w(place("gpu_meter_pairs", folder, "gpudata.csv"))
    start_ns, end_ns = max(meter[0][0], log[0][0]), min(meter[-1][0], log[-1][0])
    truth_j = trapezoid_j([p for p in meter if start_ns <= p[0] <= end_ns])
    device = Device(f"GPU-{folder}", "gpu", model, None, 100_000_000, 500_000_000)
    energy_j = our_joules(device, [p for p in log if start_ns <= p[0] <= end_ns])
    length_s = (end_ns - start_ns) / 1e9
    print(f"{folder}: {energy_j:.1f} J of {truth_j:.1f} J, {100 * (energy_j / truth_j - 1):+.2f} % over {length_s:.2f} s")
    assert energy_j == pytest.approx(truth_j, rel=0.07)
    # The interval that we state for such a card holds it.
    g95 = gain("gpu", model, "integrated", length_s).g95
    assert energy_j / g95 <= truth_j <= energy_j * g95


@pytest.mark.parametrize("folder", [folder for folder, _ in PAIRS])
def test_the_external_meter_is_read_as_the_study_read_it(folder: str) -> None:
    expected = json.loads(place("EXPECTED.json").read_text())[f"gpu_meter_pairs/{folder}"]
    meter = list(metered_w(place("gpu_meter_pairs", folder)))
    assert trapezoid_j(meter) == pytest.approx(expected["meter_J"], rel=0.005)


@pytest.mark.parametrize(
    ("log", "refresh_ns"),
    [("V100_gpudata.csv", gpu.REFRESH_NS[VOLTA]), ("A100_gpudata.csv", gpu.USUAL_REFRESH_NS)],
    ids=["V100", "A100"],
)
def test_a_logged_sensor_refreshes_as_often_as_we_say(log: str, refresh_ns: int) -> None:
    points = logged_w(place("gpu_update_period", log))
    moved_ns = [b[0] for a, b in pairwise(points) if b[1] != a[1]]
    assert median(b - a for a, b in pairwise(moved_ns)) == pytest.approx(refresh_ns, rel=0.15)
