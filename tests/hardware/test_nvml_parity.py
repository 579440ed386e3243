"""The nvml source against NVIDIA's own tool, and against Zeus where it is installed, on a real GPU.
 A-B-A: ours, the other, ours again, on the same idle or loaded card, so that a drift shows as a difference between
the two of ours and not as a disagreement.  Without an NVIDIA driver the whole file is skipped, with the reason.
"""

import importlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest

from wattledger.core.model import EnergyCounter, Instant
from wattledger.core.ports import Host, Source, SourceGone
from wattledger.sources import nvml

WINDOW_S = 5.0

# Board power "is accurate to within +/- 5 watts" (nvidia-smi --help-query-gpu), and the register and the one-second
# average are different filters over the same sensor (science.md section 1.1).
TOLERANCE_W = 10.0
TOLERANCE = 0.07


def now() -> Instant:
    return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.time_ns())


@pytest.fixture
def source() -> Iterator[Source]:
    host = Host("/sys", "/proc", {**os.environ}, (os.getpid(),), True, {})
    try:
        opened = nvml.open(host)
    except SourceGone as gone:
        pytest.skip(f"no NVIDIA GPU here: {gone}")
    yield opened
    opened.close()


def registers(source: Source) -> dict[str, EnergyCounter]:
    return {s.device.id: s for s in source.read(now, False) if isinstance(s, EnergyCounter)}


def mean_w(before: EnergyCounter, after: EnergyCounter) -> float:
    return (after.count_uj - before.count_uj) / 1e6 / ((after.at.mono_ns - before.at.mono_ns) / 1e9)


def ours_w(source: Source) -> dict[str, float]:
    before = registers(source)
    time.sleep(WINDOW_S)
    after = registers(source)
    return {device_id: mean_w(before[device_id], after[device_id]) for device_id in before.keys() & after.keys()}


def smi_w() -> dict[str, float]:
    """Mean of nvidia-smi's power.draw over the window, sampled as often as it can be started."""
    drawn: dict[str, list[float]] = {}
    until = time.monotonic() + WINDOW_S
    while time.monotonic() < until:
        argv = ["nvidia-smi", "--query-gpu=uuid,power.draw", "--format=csv,noheader,nounits"]
        for line in subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines():
            uuid, _, watts = line.partition(", ")
            if watts[:1].isdigit():
                drawn.setdefault(uuid, []).append(float(watts))
    return {uuid: sum(each) / len(each) for uuid, each in drawn.items()}


def agree(a1: dict[str, float], b: dict[str, float], a2: dict[str, float]) -> list[tuple[str, float, float, float]]:
    """What both told, after the check that it agrees within the tolerance, widened by what ours drifted meanwhile."""
    both = [(device_id, a1[device_id], b[device_id], a2[device_id]) for device_id in a1.keys() & b.keys() & a2.keys()]
    for device_id, first, other, second in both:
        mean = (first + second) / 2
        allowed = max(TOLERANCE_W, TOLERANCE * mean) + abs(first - second)
        assert abs(mean - other) <= allowed, f"{device_id}: ours {first:.1f} and {second:.1f} W, theirs {other:.1f} W"
    return both


def test_the_register_agrees_with_nvidia_smi(source: Source) -> None:
    if shutil.which("nvidia-smi") is None:
        pytest.skip("no nvidia-smi on the PATH")
    if not registers(source):
        pytest.skip("no GPU here has an energy register")
    assert agree(ours_w(source), smi_w(), ours_w(source))


def test_the_register_agrees_with_zeus(source: Source) -> None:
    try:
        monitor = importlib.import_module("zeus.monitor").ZeusMonitor
    except ImportError as missing:
        pytest.skip(f"Zeus is not installed: {missing}")
    if len(registers(source)) != 1:
        pytest.skip("Zeus numbers GPUs by itself: compared on hosts with one GPU only")

    def zeus_w() -> dict[str, float]:
        theirs = monitor(gpu_indices=[0])
        theirs.begin_window("parity")
        time.sleep(WINDOW_S)
        measured = theirs.end_window("parity")
        (device_id,) = registers(source)
        return {device_id: sum(measured.gpu_energy.values()) / measured.time}

    assert agree(ours_w(source), zeus_w(), ours_w(source))


def test_a_full_read_tells_power_and_nothing_impossible(source: Source) -> None:
    told = list(source.read(now, True))
    assert told
    for sample in told:
        if isinstance(sample, EnergyCounter):
            assert sample.count_uj > 0
            assert sample.device.cap_uw is None or sample.device.cap_uw > 0
