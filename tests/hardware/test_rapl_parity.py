"""The rapl source against the kernel's own file, and against ``perf stat``, on a real processor.

Without RAPL, or without leave to read it, the whole file is skipped with the reason.
"""

import csv
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wattledger.core.meter import Measured, Meter
from wattledger.core.model import EnergyCounter, Instant
from wattledger.core.ports import Host, Source, SourceGone
from wattledger.sources import rapl

POWERCAP = Path("/sys/class/powercap")
WINDOW_S = 5.0
# Two readings of one register are apart by what runs between them, and it moves once a millisecond.
TOLERANCE = 0.01


def now() -> Instant:
    return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.time_ns())


@pytest.fixture
def source() -> Iterator[Source]:
    try:
        opened = rapl.open(Host("/sys", "/proc", {**os.environ}, (os.getpid(),), True, {}))
    except SourceGone as gone:
        pytest.skip(f"no RAPL here: {gone}")
    yield opened
    opened.close()


def counters(source: Source) -> dict[str, EnergyCounter]:
    return {s.device.id: s for s in source.read(now, False) if isinstance(s, EnergyCounter)}


def packages() -> dict[str, Path]:
    """Our device's id and the kernel's file, of each package that may be read."""
    found = {}
    for zone in sorted(POWERCAP.glob("intel-rapl:*")):
        name = (zone / "name").read_text().strip()
        if name.startswith("package-") and os.access(zone / "energy_uj", os.R_OK):
            found[f"rapl:{name}"] = zone / "energy_uj"
    return found


def joules(before: EnergyCounter, after: EnergyCounter) -> float:
    """As the meter sees it, a wrap included."""
    meter = Meter()
    meter.take(before)
    outcome = meter.take(after)
    assert isinstance(outcome, Measured), outcome
    return outcome.interval.energy_uj / 1e6


def test_a_register_says_what_the_kernels_file_says(source: Source) -> None:
    files = packages()
    if not files:
        pytest.skip("no powercap file may be read here: the source is on perf")
    for device_id, file in files.items():
        before = int(file.read_text())
        told = counters(source).get(device_id)
        after = int(file.read_text())
        if told is None or told.range_uj is None:
            continue  # a mirror, or perf's own count from its opening
        assert before <= told.count_uj <= after or after < before, device_id


def test_packages_agree_with_perf_stat(source: Source) -> None:
    """A-B-A in one: both look at the same window, ours begun just before and ended just after."""
    if shutil.which("perf") is None:
        pytest.skip("no perf on the PATH")
    argv = ["perf", "stat", "-a", "-x,", "-e", "power/energy-pkg/", "--", "sleep", str(WINDOW_S)]
    before = counters(source)
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    after = counters(source)
    if done.returncode:
        pytest.skip(f"perf may not count energy here: {done.stderr.strip()}")
    theirs_j = next(float(row[0]) for row in csv.reader(done.stderr.splitlines()) if len(row) > 2 and "energy-pkg" in row[2])
    counted = [d for d, c in after.items() if c.device.kind == "cpu" and c.device.inside is None and d in before]
    ours_j = sum(joules(before[d], after[d]) for d in counted)
    elapsed_s = min((after[d].at.mono_ns - before[d].at.mono_ns) / 1e9 for d in counted)
    # Starting and ending perf lies in our window and not in its own.
    assert ours_j * WINDOW_S / elapsed_s == pytest.approx(theirs_j, rel=TOLERANCE + (elapsed_s / WINDOW_S - 1))


def test_no_package_stands_still_or_exceeds_its_cap(source: Source) -> None:
    before = counters(source)
    time.sleep(1)
    after = counters(source)
    assert before.keys() == after.keys()
    for device_id, told in after.items():
        if told.device.kind == "cpu" and told.device.inside is None:
            assert joules(before[device_id], told) > 0
