"""Jetson rails from fixture trees, laid out as the kernel's ina3221 driver lays them out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from wattledger.core.model import Activity, Device, Fault, Finding, Holding, Instant, PowerGauge, Sample
from wattledger.core.ports import Host, Source, SourceGone
from wattledger.sources import jetson

Channels = dict[str, tuple[int, int]]

ORIN_NX = {"1-0040": {"VDD_IN": (5000, 1800), "VDD_CPU_GPU_CV": (5000, 700), "VDD_SOC": (5000, 400)}}
AGX_ORIN = {
    "1-0040": {"VDD_GPU_SOC": (19_000, 300), "VDD_CPU_CV": (19_000, 100), "VIN_SYS_5V0": (5000, 800)},
    "1-0041": {"NC": (1, 1), "VDDQ_VDD2_1V8AO": (5000, 200)},
}


def board(home: Path, chips: dict[str, Channels], *, roots: tuple[int, ...] = (7,)) -> Host:
    """The tree: millivolts and milliamperes by label."""
    for index, (chip, channels) in enumerate(chips.items()):
        hwmon = home / "sys/bus/i2c/drivers/ina3221" / chip / "hwmon" / f"hwmon{index}"
        hwmon.mkdir(parents=True)
        for n, (label, (millivolts, milliamperes)) in enumerate(channels.items(), start=1):
            (hwmon / f"in{n}_label").write_text(f"{label}\n")
            (hwmon / f"in{n}_enable").write_text("1\n")
            (hwmon / f"in{n}_input").write_text(f"{millivolts}\n")
            (hwmon / f"curr{n}_input").write_text(f"{milliamperes}\n")
        (hwmon / "in7_label").write_text("sum of shunt voltages\n")
        (hwmon / "in7_input").write_text("5\n")
    (home / "proc/device-tree").mkdir(parents=True)
    (home / "proc/device-tree/model").write_text("NVIDIA Jetson Orin\0")
    return Host(str(home / "sys"), str(home / "proc"), {}, roots, True, {})


def clock() -> Iterator[Instant]:
    at_ns = 0
    while True:
        at_ns += 10**9
        yield Instant(at_ns, at_ns)


def read(source: Source, full: bool = True) -> list[Sample]:
    ticks = clock()
    return list(source.read(lambda: next(ticks), full))


def watts(told: list[Sample]) -> dict[str, float]:
    return {s.device.id: s.power_uw / 1e6 for s in told if isinstance(s, PowerGauge)}


def rails(source: Source) -> dict[str, Device]:
    return {device.id.rpartition("/")[2]: device for device in source.devices()}


def test_a_board_with_a_total_counts_nothing_beside_it(tmp_path: Path) -> None:
    source = jetson.open(board(tmp_path, ORIN_NX))
    by_label = rails(source)
    assert {label: device.inside for label, device in by_label.items()} == {
        "VDD_IN": None,
        "VDD_CPU_GPU_CV": "jetson:1-0040/VDD_IN",
        "VDD_SOC": "jetson:1-0040/VDD_IN",
    }
    assert by_label["VDD_IN"].model == "NVIDIA Jetson Orin VDD_IN"
    assert watts(read(source)) == {
        "jetson:1-0040/VDD_IN": 9.0,
        "jetson:1-0040/VDD_CPU_GPU_CV": 3.5,
        "jetson:1-0040/VDD_SOC": 2.0,
    }
    assert watts(read(source, full=False)) == {"jetson:1-0040/VDD_IN": 9.0}
    source.close()


def test_a_board_without_a_total_is_the_sum_of_its_inputs(tmp_path: Path) -> None:
    source = jetson.open(board(tmp_path, AGX_ORIN))
    by_label = rails(source)
    assert {label: device.kind for label, device in by_label.items()} == {
        "VDD_GPU_SOC": "gpu",
        "VDD_CPU_CV": "cpu",
        "VIN_SYS_5V0": "accelerator",
        "VDDQ_VDD2_1V8AO": "dram",
    }
    assert by_label["VDDQ_VDD2_1V8AO"].inside == "jetson:1-0040/VIN_SYS_5V0"
    assert sum(watts(read(source, full=False)).values()) == pytest.approx(5.7 + 1.9 + 4.0)
    source.close()


def test_a_driver_that_tells_power_itself_is_taken_at_its_word(tmp_path: Path) -> None:
    host = board(tmp_path, {"1-0040": {"VDD_IN": (5000, 1800)}})
    (hwmon,) = tmp_path.glob("sys/bus/i2c/drivers/ina3221/*/hwmon/hwmon0")
    (hwmon / "power1_input").write_text("8765432\n")
    source = jetson.open(host)
    assert watts(read(source)) == {"jetson:1-0040/VDD_IN": 8.765432}
    source.close()


def test_a_channel_that_is_switched_off_is_absent(tmp_path: Path) -> None:
    host = board(tmp_path, ORIN_NX)
    (hwmon,) = tmp_path.glob("sys/bus/i2c/drivers/ina3221/*/hwmon/hwmon0")
    (hwmon / "in3_enable").write_text("0\n")
    source = jetson.open(host)
    assert set(rails(source)) == {"VDD_IN", "VDD_CPU_GPU_CV"}
    source.close()


def test_a_reading_that_fails_is_a_fault_and_the_others_go_on(tmp_path: Path) -> None:
    source = jetson.open(board(tmp_path, AGX_ORIN))
    (broken,) = tmp_path.glob("sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon0/curr1_input")
    broken.write_text("")
    told = read(source, full=False)
    assert [(s.device_id, s.gone) for s in told if isinstance(s, Fault)] == [("jetson:1-0040/VDD_GPU_SOC", False)]
    assert len(watts(told)) == 2
    source.close()


def test_a_small_negative_current_is_no_power(tmp_path: Path) -> None:
    source = jetson.open(board(tmp_path, {"1-0040": {"VDD_IN": (5000, -3)}}))
    assert watts(read(source)) == {"jetson:1-0040/VDD_IN": 0.0}
    source.close()


def test_the_run_uses_and_holds_all_but_the_cpu(tmp_path: Path) -> None:
    source = jetson.open(board(tmp_path, AGX_ORIN))
    first, second = read(source), read(source)
    theirs = {"jetson:1-0040/VDD_GPU_SOC", "jetson:1-0040/VIN_SYS_5V0"}
    assert {(s.device_id, s.who, s.part) for s in first if isinstance(s, Holding)} == {(d, "pid:7", 1.0) for d in theirs}
    assert not [s for s in second if isinstance(s, Holding)]
    assert {s.device_id for s in second if isinstance(s, Activity)} == theirs
    source.close()


def test_an_agent_without_a_run_names_nobody(tmp_path: Path) -> None:
    source = jetson.open(board(tmp_path, AGX_ORIN, roots=()))
    assert not [s for s in read(source) if isinstance(s, Holding | Activity)]
    source.close()


def test_other_boards_are_no_jetson(tmp_path: Path) -> None:
    host = board(tmp_path, {"1-0040": {"PL_VCCINT": (850, 12_000)}})
    with pytest.raises(SourceGone, match="not a Jetson"):
        jetson.open(host)
    assert [f.state for f in jetson.examine(host)] == ["absent"]


def test_the_doctor_names_each_rail(tmp_path: Path) -> None:
    findings: list[Finding] = list(jetson.examine(board(tmp_path, ORIN_NX)))
    assert [(f.sensor, f.state) for f in findings] == [
        ("jetson:1-0040/VDD_IN", "usable"),
        ("jetson:1-0040/VDD_CPU_GPU_CV", "usable"),
        ("jetson:1-0040/VDD_SOC", "usable"),
    ]
    assert "inside jetson:1-0040/VDD_IN" in findings[1].why
