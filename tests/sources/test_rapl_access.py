"""What the source rapl may use, what it says where it may not, and perf as the second way in."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sources.rapl_tree import AMD, INTEL, VIRTUAL, host_with, now, pmu, zone

from wattledger.core.model import EnergyCounter, Finding
from wattledger.core.ports import Host, SourceGone
from wattledger.sources import rapl
from wattledger.sources.rapl.perf import events


def finding(host: Host, sensor: str) -> Finding:
    return next(f for f in rapl.examine(host) if f.sensor == sensor)


def test_a_virtual_machine_is_told_that_nothing_can_be_done(tmp_path: Path) -> None:
    host = host_with(tmp_path, {}, VIRTUAL)
    with pytest.raises(SourceGone, match="hypervisor does not pass RAPL through"):
        rapl.open(host)
    assert finding(host, "powercap").state == "absent"
    assert finding(host, "powercap").remedy == ""


def test_a_bare_machine_without_the_driver_is_told_to_load_it(tmp_path: Path) -> None:
    with pytest.raises(SourceGone, match="try: sudo modprobe intel_rapl_msr"):
        rapl.open(host_with(tmp_path, {}))


def test_a_container_with_masked_folders_is_told_the_mount(tmp_path: Path) -> None:
    host = host_with(tmp_path, {"intel-rapl:0": zone("package-0", 1)}, VIRTUAL)
    shutil.rmtree(tmp_path / "sys/devices/virtual/powercap")
    with pytest.raises(SourceGone, match="WATTLEDGER_PATHS_SYSFS=/host/sys"):
        rapl.open(host)


def test_a_processor_without_rapl_is_not_told_to_load_a_driver(tmp_path: Path) -> None:
    with pytest.raises(SourceGone, match="no RAPL"):
        rapl.open(host_with(tmp_path, {}, "processor\t: 0\nCPU implementer\t: 0x41\n"))


@pytest.fixture
def unprivileged(tmp_path: Path) -> Iterator[Path]:
    """A folder of our own, as somebody whom file modes bind (root reads everything)."""
    if os.geteuid():
        yield tmp_path
        return
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o005 != 0o005:
            folder.chmod(folder.stat().st_mode | 0o011)
    os.chown(tmp_path, 65534, 65534)
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield tmp_path
    finally:
        os.seteuid(0)
        os.setegid(0)


def test_a_denied_zone_names_the_command_and_the_command_works(unprivileged: Path) -> None:
    host = host_with(unprivileged, {"intel-rapl:0": zone("package-0", 42), "intel-rapl:0:0": zone("core", 1)})
    for path in (unprivileged / "sys/class/powercap").glob("*/energy_uj"):
        path.chmod(0)
    denied = finding(host, "rapl:package-0")
    assert denied.state == "denied"
    with pytest.raises(SourceGone, match="read by root only") as gone:
        rapl.open(host)
    assert denied.remedy in str(gone.value)
    subprocess.run(["sh", "-c", f'sudo() {{ "$@"; }}; {denied.remedy}'], check=True, timeout=30)
    assert {f.state for f in rapl.examine(host) if f.sensor.startswith("rapl:")} == {"usable"}
    assert {p.stat().st_mode & 0o777 for p in (unprivileged / "sys/class/powercap").glob("*/energy_uj")} == {0o440}


def test_the_kernel_takes_the_event_and_counts_from_its_opening(tmp_path: Path) -> None:
    # The software PMU's cpu-clock (type 1, event 0) stands in for the power PMU: nanoseconds, here worth 1 uJ each.
    host = pmu(tmp_path, INTEL, cpus={0: (0, 0)}, pmu_type=1, scale="1e-6")
    try:
        source = rapl.open(host)
    except SourceGone as gone:
        pytest.skip(f"this kernel lets nobody count here: {gone}")
    first, last = (next(iter(source.read(now, True))) for _ in range(2))
    source.close()
    assert isinstance(first, EnergyCounter)
    assert isinstance(last, EnergyCounter)
    assert (first.device.id, first.range_uj, source.period_ns) == ("rapl:package-0", None, None)
    assert 0 < first.count_uj < last.count_uj


@pytest.mark.parametrize(
    ("cpuinfo", "devices"),
    [
        (AMD, ["rapl:package-0", "rapl:package-1"]),
        (INTEL, ["rapl:package-0-die-0", "rapl:package-0-die-1", "rapl:package-1"]),
    ],
)
def test_perf_counts_a_socket_once_whatever_dies_are_listed(tmp_path: Path, cpuinfo: str, devices: list[str]) -> None:
    mask = {0: (0, 0), 8: (0, 1), 16: (1, 0)}
    host = pmu(tmp_path, cpuinfo, cpus=mask, pmu_type=26, scale="2.3283064365386962890625e-10")
    found = list(events(host))
    assert [event.device.id for event in found] == devices
    assert {event.uj * 2**32 for event in found} == {1_000_000}
