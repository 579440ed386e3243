"""hwmon: only what is documented, each part once, a channel that is off is absent, and 0 W is no reading."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from wattledger.core.model import EnergyCounter, Fault, Instant, PowerGauge
from wattledger.core.ports import Host, Source, SourceGone
from wattledger.sources import hwmon


def host_with(root: Path, *chips: Mapping[str, str], device: str = "") -> Host:
    """hwmon0, hwmon1, … each with its files; with ``device`` they hang on a bus device of that name."""
    (root / "proc/self").mkdir(parents=True, exist_ok=True)
    (root / "proc/self/status").write_text("CapEff:\t0000000000000000\n")
    for index, files in enumerate(chips):
        chip = root / f"sys/class/hwmon/hwmon{index}"
        chip.mkdir(parents=True)
        if device:
            bus = root / f"sys/devices/{device}{index}"
            bus.mkdir(parents=True)
            (chip / "device").symlink_to(bus)
        for name, value in files.items():
            (chip / name).write_text(f"{value}\n")
    return Host(str(root / "sys"), str(root / "proc"), {}, (), True, {})


def rapl_beside(root: Path, energy_uj: str = "5") -> None:
    zone = root / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    (zone / "energy_uj").write_text(f"{energy_uj}\n")


def now() -> Instant:
    return Instant(3, 4)


@pytest.fixture
def opened() -> Iterator[list[Source]]:
    sources: list[Source] = []
    yield sources
    for source in sources:
        source.close()


AMD_ENERGY = {
    "name": "amd_energy",
    "energy1_label": "Ecore000", "energy1_input": "10",
    "energy2_label": "Ecore001", "energy2_input": "20",
    "energy3_label": "Ecore002", "energy3_input": "30",
    "energy4_label": "Ecore003", "energy4_input": "40",
    "energy5_label": "Esocket0", "energy5_input": "1000",
    "energy6_label": "Esocket1", "energy6_input": "2000",
}  # fmt: skip


def test_amd_sockets_count_and_their_cores_are_inside(tmp_path: Path, opened: list[Source]) -> None:
    opened.append(hwmon.open(host_with(tmp_path, AMD_ENERGY, device="amd_energy.")))
    assert {d.id: d.inside for d in opened[0].devices()} == {
        "hwmon:core-000": "hwmon:socket-0",
        "hwmon:core-001": "hwmon:socket-0",
        "hwmon:core-002": "hwmon:socket-1",
        "hwmon:core-003": "hwmon:socket-1",
        "hwmon:socket-0": None,
        "hwmon:socket-1": None,
    }
    samples = list(opened[0].read(now, True))
    assert all(isinstance(s, EnergyCounter) and s.range_uj is None for s in samples)


def test_a_boundary_reads_sockets_and_no_cores(tmp_path: Path, opened: list[Source]) -> None:
    opened.append(hwmon.open(host_with(tmp_path, AMD_ENERGY)))
    assert opened[0].edge
    read = {s.device.id: s.count_uj for s in opened[0].read(now, False) if isinstance(s, EnergyCounter)}
    assert read == {"hwmon:socket-0": 1000, "hwmon:socket-1": 2000}


def test_what_rapl_counts_is_left_to_rapl(tmp_path: Path) -> None:
    host = host_with(tmp_path, AMD_ENERGY, {"name": "zenpower", "power1_label": "SVI2_P_Core", "power1_input": "9"})
    rapl_beside(tmp_path)
    with pytest.raises(SourceGone, match="RAPL does not count"):
        hwmon.open(host)
    assert {f.why for f in hwmon.examine(host)} == {"RAPL counts the same; it is read instead"}


@pytest.mark.parametrize(
    ("paranoid", "caps", "rapl"),
    [("2", "0000000000000000", False), ("0", "0000000000000000", True), ("2", "0000004000000000", True)],
)
def test_rapl_by_perf_counts_as_far_as_perf_is_allowed(
    tmp_path: Path, opened: list[Source], paranoid: str, caps: str, rapl: bool
) -> None:
    host = host_with(tmp_path, AMD_ENERGY)
    (tmp_path / "sys/bus/event_source/devices/power/events").mkdir(parents=True)
    (tmp_path / "sys/bus/event_source/devices/power/events/energy-pkg").write_text("event=0x02\n")
    (tmp_path / "proc/sys/kernel").mkdir(parents=True)
    (tmp_path / "proc/sys/kernel/perf_event_paranoid").write_text(f"{paranoid}\n")
    (tmp_path / "proc/self/status").write_text(f"Name:\tx\nCapEff:\t{caps}\n")
    if rapl:
        with pytest.raises(SourceGone):
            hwmon.open(host)
    else:
        opened.append(hwmon.open(host))
        assert len(opened[0].devices()) == 6


def grace(*labels: str) -> list[dict[str, str]]:
    chip = {"name": "power_meter", "power1_average": "150000000", "power1_average_interval": "50"}
    return [{**chip, "power1_oem_info": label} for label in labels]


def test_a_grace_module_is_apart_and_grace_holds_its_rails(tmp_path: Path, opened: list[Source]) -> None:
    rails = [f"{rail} Power Socket 0" for rail in ("Module", "Grace", "CPU", "SysIO")]
    opened.append(hwmon.open(host_with(tmp_path, *grace(*rails), device="ACPI000D:0")))
    assert {d.id: (d.kind, d.inside, d.refresh_ns) for d in opened[0].devices()} == {
        "hwmon:module-0": ("rest", "(parts)", 50_000_000),
        "hwmon:grace-0": ("cpu", None, 50_000_000),
        "hwmon:grace-0/cpu": ("cpu", "hwmon:grace-0", 50_000_000),
        "hwmon:grace-0/sysio": ("cpu", "hwmon:grace-0", 50_000_000),
    }
    assert not opened[0].edge
    assert list(opened[0].read(now, False)) == []
    assert {s.power_uw for s in opened[0].read(now, True) if isinstance(s, PowerGauge)} == {150_000_000}


def test_a_part_whose_whole_is_not_there_is_counted(tmp_path: Path, opened: list[Source]) -> None:
    opened.append(hwmon.open(host_with(tmp_path, *grace("CPU Power Socket 1"))))
    assert [(d.id, d.inside) for d in opened[0].devices()] == [("hwmon:grace-1/cpu", None)]


def test_an_acpi_meter_whose_files_are_on_its_device_is_the_machine_and_apart(
    tmp_path: Path, opened: list[Source]
) -> None:
    host = host_with(tmp_path, {}, device="ACPI000D:0")
    for name, value in {"name": "power_meter", "power1_average": "412000000"}.items():
        (tmp_path / "sys/class/hwmon/hwmon0/device" / name).write_text(f"{value}\n")
    rapl_beside(tmp_path)
    opened.append(hwmon.open(host))
    (device,) = opened[0].devices()
    assert (device.id, device.kind, device.inside) == ("hwmon:acpi/ACPI000D:00", "rest", "(parts)")


def test_an_average_is_preferred_to_an_instant_of_the_same_channel(tmp_path: Path, opened: list[Source]) -> None:
    chip = {"name": "fam15h_power", "power1_input": "60000000", "power1_average": "55000000"}
    opened.append(hwmon.open(host_with(tmp_path, chip)))
    assert [s.power_uw for s in opened[0].read(now, True) if isinstance(s, PowerGauge)] == [55_000_000]


@pytest.mark.parametrize("quirk", [{"power1_enable": "0"}, {"power1_average": ""}])
def test_a_disabled_channel_is_absent_and_not_zero(tmp_path: Path, quirk: dict[str, str]) -> None:
    host = host_with(tmp_path, {"name": "power_meter", "power1_average": "0"} | quirk)
    with pytest.raises(SourceGone):
        hwmon.open(host)
    assert [f.state for f in hwmon.examine(host)] == ["absent"]


def test_zero_watts_is_a_fault_and_no_reading(tmp_path: Path, opened: list[Source]) -> None:
    opened.append(hwmon.open(host_with(tmp_path, {"name": "power_meter", "power1_average": "0"})))
    (sample,) = opened[0].read(now, True)
    assert isinstance(sample, Fault)
    assert not sample.gone
    (tmp_path / "sys/class/hwmon/hwmon0/power1_average").write_text("300000000\n")
    (sample,) = opened[0].read(now, True)
    assert isinstance(sample, PowerGauge)
    assert sample.power_uw == 300_000_000


def test_a_chip_that_goes_is_dropped_with_one_fault(tmp_path: Path, opened: list[Source]) -> None:
    opened.append(hwmon.open(host_with(tmp_path, *grace("Grace Power Socket 0", "Grace Power Socket 1"))))
    gone = os.path.realpath(tmp_path / "sys/class/hwmon/hwmon0/power1_average")
    held = [int(link.name) for link in Path("/proc/self/fd").iterdir() if os.path.realpath(link) == gone]
    os.close(held[0])
    faults = [s for s in opened[0].read(now, True) if isinstance(s, Fault)]
    assert [(f.device_id, f.gone) for f in faults] == [("hwmon:grace-0", True)]
    (left,) = opened[0].read(now, True)
    assert isinstance(left, PowerGauge)
    assert left.device.id == "hwmon:grace-1"


@pytest.mark.parametrize("name", ["amdgpu", "nouveau", "i915", "xe"])
def test_gpus_are_left_to_their_own_sources(tmp_path: Path, name: str) -> None:
    host = host_with(tmp_path, {"name": name, "power1_average": "200000000", "energy1_input": "7"})
    assert list(hwmon.examine(host)) == []
    with pytest.raises(SourceGone, match="class/hwmon"):
        hwmon.open(host)


def test_a_board_rail_is_read_only_where_its_name_says_cpu(tmp_path: Path, opened: list[Source]) -> None:
    rail = {"name": "ina226", "power1_input": "12000000"}
    host = host_with(tmp_path, {**rail, "label": "VDD_12V"}, {**rail, "label": "VDD CPU"}, rail, device="1-004")
    opened.append(hwmon.open(host))
    assert [d.id for d in opened[0].devices()] == ["hwmon:1-0041/VDD-CPU"]
    assert sorted(f.state for f in hwmon.examine(host)) == ["absent", "absent", "usable"]


def test_an_unknown_chip_is_named_and_not_read(tmp_path: Path) -> None:
    host = host_with(tmp_path, {"name": "corsairpsu", "power1_input": "99000000", "power1_label": "power total"})
    (found,) = hwmon.examine(host)
    assert (found.state, "corsairpsu" in found.why) == ("absent", True)


def test_a_machine_without_hwmon_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceGone, match="nothing to do"):
        hwmon.open(host_with(tmp_path))
