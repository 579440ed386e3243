"""RAPL: each register once, named by what it measures; a failed read is a fault and never a number."""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from tests.sources.rapl_tree import AMD, INTEL, LIMITS, RANGE_UJ, host_with, now, zone

from wattledger.core.model import EnergyCounter, Fault, Instant, Sample
from wattledger.core.ports import Source, SourceFailed
from wattledger.sources import rapl


def by_id(samples: Iterable[Sample]) -> dict[str | None, EnergyCounter | Fault]:
    read = [s for s in samples if isinstance(s, EnergyCounter | Fault)]
    return {s.device_id if isinstance(s, Fault) else s.device.id: s for s in read}


@pytest.fixture
def opened() -> Iterator[list[Source]]:
    sources: list[Source] = []
    yield sources
    for source in sources:
        source.close()


def test_a_host_total_counts_package_and_dram_once_each(tmp_path: Path, opened: list[Source]) -> None:
    host = host_with(
        tmp_path,
        {
            "intel-rapl:0": zone("package-0", 100, **LIMITS),
            "intel-rapl:0:0": zone("core", 60),
            "intel-rapl:0:1": zone("uncore", 5),
            "intel-rapl:0:2": zone("dram", 30),
            "intel-rapl:1": zone("psys", 500),
            "intel-rapl-mmio:0": zone("package-0", 99),
            "intel-rapl:2": zone("package-1", 200, **LIMITS),
            "intel-rapl:2:0": zone("dram", 40),
        },
    )
    source = rapl.open(host)
    opened.append(source)
    inside = {d.id: (d.kind, d.inside) for d in source.devices()}
    assert inside == {
        "rapl:package-0": ("cpu", None),
        "rapl:package-0/core": ("cpu", "rapl:package-0"),
        "rapl:package-0/uncore": ("cpu", "rapl:package-0"),
        "rapl:dram-0": ("dram", None),
        "rapl:psys": ("rest", "(parts)"),
        "rapl:package-1": ("cpu", None),
        "rapl:dram-1": ("dram", None),
    }
    counted = [s for s in source.read(now, False) if isinstance(s, EnergyCounter) and s.device.inside is None]
    assert sum(s.count_uj for s in counted) == 100 + 30 + 200 + 40
    assert {d.model for d in source.devices()} == {"Intel(R) Xeon(R) Platinum 8480+"}
    assert {d.refresh_ns for d in source.devices()} == {1_000_000}


def test_sockets_are_told_by_name_not_by_folder(tmp_path: Path, opened: list[Source]) -> None:
    host = host_with(tmp_path, {"intel-rapl:0": zone("package-1", 11), "intel-rapl:a": zone("package-0", 22)})
    opened.append(rapl.open(host))
    read = by_id(opened[0].read(now, True))
    assert {k: s.count_uj for k, s in read.items() if isinstance(s, EnergyCounter)} == {
        "rapl:package-0": 22,
        "rapl:package-1": 11,
    }


def test_mmio_stands_in_where_msr_cannot_be_read(tmp_path: Path, opened: list[Source]) -> None:
    host = host_with(tmp_path, {"intel-rapl:0": zone("package-0", 1), "intel-rapl-mmio:0": zone("package-0", 77)})
    (tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj").unlink()
    opened.append(rapl.open(host))
    (sample,) = opened[0].read(now, False)
    assert isinstance(sample, EnergyCounter)
    assert (sample.device.id, sample.count_uj) == ("rapl:package-0", 77)


@pytest.mark.parametrize(
    ("cpuinfo", "counts"),
    [(AMD, (123_456_789, 123_470_000)), (AMD, (0, 0)), (INTEL, (5_000_000, 5_000_000))],
)
def test_mirrored_dies_are_one_meter(
    tmp_path: Path, opened: list[Source], cpuinfo: str, counts: tuple[int, int]
) -> None:
    zones = {f"intel-rapl:{die}": zone(f"package-0-die-{die}", count) for die, count in enumerate(counts)}
    opened.append(rapl.open(host_with(tmp_path, zones, cpuinfo)))
    assert {d.id: d.inside for d in opened[0].devices()} == {
        "rapl:package-0-die-0": None,
        "rapl:package-0-die-1": "rapl:package-0-die-0",
    }


@pytest.mark.parametrize(
    ("cpuinfo", "counts"),
    [
        (AMD, (100_000_000, 200_000_000)),
        (AMD, (40_000, 60_000)),
        (INTEL, (5_000_000, 5_000_001)),
        (INTEL, (0, 0)),
    ],
)
def test_dies_that_differ_are_both_counted(
    tmp_path: Path, opened: list[Source], cpuinfo: str, counts: tuple[int, int]
) -> None:
    zones = {f"intel-rapl:{die}": zone(f"package-0-die-{die}", count) for die, count in enumerate(counts)}
    opened.append(rapl.open(host_with(tmp_path, zones, cpuinfo)))
    assert [d.inside for d in opened[0].devices()] == [None, None]


def test_dies_of_two_sockets_are_never_one(tmp_path: Path, opened: list[Source]) -> None:
    zones = {f"intel-rapl:{s}": zone(f"package-{s}-die-0", 123_456_789) for s in range(2)}
    opened.append(rapl.open(host_with(tmp_path, zones, AMD)))
    assert [d.inside for d in opened[0].devices()] == [None, None]


@pytest.mark.parametrize(
    ("quirk", "cap_uw"),
    [
        ({}, 420_000_000),
        ({"constraint_1_power_limit_uw": "4090000000"}, 1_050_000_000),
        ({"constraint_1_power_limit_uw": "0"}, 1_050_000_000),
        ({"constraint_1_name": "peak_power"}, 1_050_000_000),
        ({"enabled": "0"}, 1_050_000_000),
        ({"constraint_1_power_limit_uw": "0", "constraint_0_max_power_uw": ""}, None),
    ],
)
def test_cap_is_pl2_where_one_holds_else_three_tdp(
    tmp_path: Path, opened: list[Source], quirk: dict[str, str], cap_uw: int | None
) -> None:
    package = zone("package-0", 1, **LIMITS | quirk)
    host = host_with(tmp_path, {"intel-rapl:0": package, "intel-rapl:0:0": zone("core", 1)})
    opened.append(rapl.open(host))
    assert [d.cap_uw for d in opened[0].devices()] == [cap_uw, cap_uw]


def test_no_more_than_a_third_of_the_range_passes_between_reads(tmp_path: Path, opened: list[Source]) -> None:
    host = host_with(
        tmp_path,
        {
            "intel-rapl:0": zone("package-0", 1, **LIMITS),
            "intel-rapl:0:0": zone("dram", 1, max_energy_range_uj="65712999613", constraint_0_max_power_uw="41250000"),
        },
    )
    opened.append(rapl.open(host))
    period_ns = opened[0].period_ns
    assert period_ns is not None
    for device, range_uj in zip(opened[0].devices(), (RANGE_UJ, 65_712_999_613), strict=True):
        assert device.cap_uw is not None
        assert device.cap_uw * period_ns // 1_000_000_000 <= range_uj // 3


@pytest.mark.parametrize("range_uj", ["", "0", "nonsense", "99"])
def test_an_unusable_range_is_unknown_and_said(tmp_path: Path, opened: list[Source], range_uj: str) -> None:
    host = host_with(tmp_path, {"intel-rapl:0": zone("package-0", 100, max_energy_range_uj=range_uj)})
    opened.append(rapl.open(host))
    (sample,) = opened[0].read(now, False)
    assert isinstance(sample, EnergyCounter)
    assert sample.range_uj is None
    assert opened[0].period_ns is None
    assert any("max_energy_range_uj" in f.why for f in rapl.examine(host))


def test_a_count_equal_to_the_range_is_legal(tmp_path: Path, opened: list[Source]) -> None:
    opened.append(rapl.open(host_with(tmp_path, {"intel-rapl:0": zone("package-0", RANGE_UJ)})))
    (sample,) = opened[0].read(now, False)
    assert sample == EnergyCounter(opened[0].devices()[0], now(), RANGE_UJ, RANGE_UJ)


def test_each_reading_is_stamped_by_its_own_call(tmp_path: Path, opened: list[Source]) -> None:
    host = host_with(tmp_path, {f"intel-rapl:{s}": zone(f"package-{s}", s) for s in range(3)})
    opened.append(rapl.open(host))
    clock = iter(range(100, 200))
    samples = by_id(opened[0].read(lambda: Instant(next(clock), 0), False))
    assert [s.at.mono_ns for s in samples.values()] == [100, 101, 102]


def test_a_failed_read_is_a_fault_and_no_number(tmp_path: Path, opened: list[Source]) -> None:
    host = host_with(tmp_path, {"intel-rapl:0": zone("package-0", 1), "intel-rapl:1": zone("package-1", 2)})
    opened.append(rapl.open(host))
    energy = tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj"
    energy.write_text("")
    read = by_id(opened[0].read(now, True))
    fault, other = read["rapl:package-0"], read["rapl:package-1"]
    assert isinstance(fault, Fault)
    assert (fault.gone, fault.source) == (False, "rapl")
    assert "energy_uj" in fault.what
    assert isinstance(other, EnergyCounter)
    energy.write_text("5\n")
    recovered = by_id(opened[0].read(now, True))["rapl:package-0"]
    assert isinstance(recovered, EnergyCounter)
    assert recovered.count_uj == 5


def fd_of(path: Path) -> int:
    for link in Path("/proc/self/fd").iterdir():
        if os.path.exists(link) and os.path.realpath(link) == os.path.realpath(path):
            return int(link.name)
    raise AssertionError(f"{path} is not open")


def test_a_vanished_zone_is_dropped_and_comes_back_with_its_driver(tmp_path: Path, opened: list[Source]) -> None:
    host = host_with(tmp_path, {"intel-rapl:0": zone("package-0", 1), "intel-rapl:1": zone("package-1", 2)})
    opened.append(rapl.open(host))
    os.close(fd_of(tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj"))
    fault = by_id(opened[0].read(now, False))["rapl:package-0"]
    assert isinstance(fault, Fault)
    assert fault.gone
    assert set(by_id(opened[0].read(now, False))) == {"rapl:package-1"}
    assert set(by_id(opened[0].read(now, True))) == {"rapl:package-0", "rapl:package-1"}


def test_another_register_under_the_old_name_is_not_the_lost_one(tmp_path: Path, opened: list[Source]) -> None:
    host = host_with(tmp_path, {"intel-rapl:0": zone("package-0", 1), "intel-rapl:1": zone("package-1", 2)})
    opened.append(rapl.open(host))
    os.close(fd_of(tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj"))
    list(opened[0].read(now, False))
    (tmp_path / "sys/class/powercap/intel-rapl:0/name").write_text("package-1\n")
    assert set(by_id(opened[0].read(now, True))) == {"rapl:package-1"}


def test_with_every_zone_lost_the_source_fails_and_does_not_fall_silent(tmp_path: Path, opened: list[Source]) -> None:
    opened.append(rapl.open(host_with(tmp_path, {"intel-rapl:0": zone("package-0", 1)})))
    energy = tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj"
    os.close(fd_of(energy))
    list(opened[0].read(now, False))
    shutil.rmtree(tmp_path / "sys")
    with pytest.raises(SourceFailed, match="energy_uj"):
        list(opened[0].read(now, True))
