"""RAPL on the rig: every energy_uj is computed at the moment it is read, so the truth is known to the microjoule."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.rig.rig import RANGE_UJ, Fault, NoCompiler, Rig, Zone, load_constant, load_square, sockets

INTEL = "vendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Platinum 9282\n"
AMD = "vendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 7551\n"

READER = """
import json, sys, time
from wattledger.core.model import EnergyCounter, Instant
from wattledger.core.ports import Host, SourceGone, SourceFailed
from wattledger.sources import rapl

def now():
    return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.time_ns())

host = Host(sys.argv[1], sys.argv[2], {}, (), True, {})
try:
    source = rapl.open(host)
except SourceGone as gone:
    print(json.dumps({"gone": str(gone)}))
    sys.exit()
ticks = []
for _ in range(int(sys.argv[3])):
    read = source.read(now, True)
    ticks.append([
        [s.device.id, s.at.mono_ns, now().mono_ns, s.count_uj] if isinstance(s, EnergyCounter)
        else [s.device_id, s.what, s.gone] for s in read
    ])
    time.sleep(0.01)
devices = {d.id: d.inside for d in source.devices()}
print(json.dumps({"type": type(source).__name__, "devices": devices, "ticks": ticks}))
"""


def on_rig(
    tmp_path: Path, zones: tuple[Zone, ...], cpuinfo: str = INTEL, ticks: int = 3
) -> tuple[Rig, dict[str, object]]:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(cpuinfo)
    try:
        rig = Rig(zones=zones).write(tmp_path / "rig")
        argv = [sys.executable, "-c", READER, str(rig.sysfs), str(tmp_path / "proc"), str(ticks)]
        path = os.pathsep.join(p for p in sys.path if p)
        return rig, json.loads(rig.run(argv, env={"PYTHONPATH": path}))
    except NoCompiler as reason:
        pytest.skip(str(reason))


def parted(ticks: object) -> Iterator[tuple[str, list[tuple[int, int, int]]]]:
    """Each device's readings as (just before, just after, count)."""
    assert isinstance(ticks, list)
    for device in {sample[0] for tick in ticks for sample in tick}:
        yield device, [tuple(s[1:]) for tick in ticks for s in tick if s[0] == device]


@pytest.mark.parametrize("start_uj", [0, RANGE_UJ - 1_000_000])
def test_powercap_says_what_was_truly_drawn(tmp_path: Path, start_uj: int) -> None:
    load = load_square(0.02, 40, 300)
    rig, got = on_rig(tmp_path, (Zone("intel-rapl:0", "package-0", load, start_uj=start_uj),))
    ((_, readings),) = parted(got["ticks"])
    for before_ns, after_ns, count_uj in readings:
        low, high = (start_uj + rig.truth_uj("intel-rapl:0", rig.epoch_ns, t) for t in (before_ns, after_ns))
        assert (count_uj - low) % RANGE_UJ <= high - low
    assert len(readings) == 3


def denied(zones: tuple[Zone, ...], *ways: str) -> tuple[Zone, ...]:
    return tuple(replace(z, faults=tuple(Fault(way) for way in ways)) for z in zones)


def test_perf_stands_in_for_powercap_with_the_same_devices_and_energy(tmp_path: Path) -> None:
    zones = sockets(2, package=load_constant(123.456789), dram=load_constant(9.5), core=load_constant(77))
    zones = denied(zones, "eacces")
    rig, got = on_rig(tmp_path, zones, ticks=5)
    assert got["type"] == "Perf"
    assert got["devices"] == {
        device: inside
        for s in range(2)
        for device, inside in {
            f"rapl:package-{s}": None,
            f"rapl:package-{s}/core": f"rapl:package-{s}",
            f"rapl:dram-{s}": None,
        }.items()
    }
    keys = {"package": "intel-rapl:0", "core": "intel-rapl:0:0", "dram": "intel-rapl:0:2"}
    for device, readings in parted(got["ticks"]):
        key = keys["core" if device.endswith("core") else device[5:].split("-")[0]]
        (first_before, first_after, first), (last_before, last_after, last) = readings[0], readings[-1]
        # Two roundings down, of the kernel's 2**-32 J and of ours.
        assert rig.truth_uj(key, first_after, last_before) - 2 <= last - first
        assert last - first <= rig.truth_uj(key, first_before, last_after) + 2


def test_with_powercap_and_perf_denied_the_way_out_is_told(tmp_path: Path) -> None:
    _, got = on_rig(tmp_path, denied(sockets(1, package=load_constant(50)), "eacces", "perf_eacces"))
    assert "read by root only" in str(got["gone"])
    assert "sudo" in str(got["gone"])


@pytest.mark.parametrize("cpuinfo", [AMD, INTEL])
def test_live_mirrored_dies_are_one_meter_and_distinct_ones_two(tmp_path: Path, cpuinfo: str) -> None:
    watts = load_constant(68)
    zones = (
        Zone("intel-rapl:0", "package-0-die-0", watts, start_uj=5_000_000_000),
        Zone("intel-rapl:1", "package-0-die-1", watts, mirror="intel-rapl:0"),
        Zone("intel-rapl:2", "package-1-die-0", watts, start_uj=7_000_000_000),
        Zone("intel-rapl:3", "package-1-die-1", watts, start_uj=9_000_000_000),
    )
    _, got = on_rig(tmp_path, zones, cpuinfo)
    assert got["devices"] == {
        "rapl:package-0-die-0": None,
        "rapl:package-0-die-1": "rapl:package-0-die-0",
        "rapl:package-1-die-0": None,
        "rapl:package-1-die-1": None,
    }


def test_a_failing_zone_recovers_and_a_reloaded_driver_comes_back(tmp_path: Path) -> None:
    zones = (
        Zone("intel-rapl:0", "package-0", load_constant(50), faults=(Fault("eio", at_s=2, for_s=0.2),)),
        Zone("intel-rapl:1", "package-1", load_constant(50), faults=(Fault("vanish", at_s=2, for_s=0.2),)),
        Zone("intel-rapl:2", "package-2", load_constant(50)),
    )
    _, got = on_rig(tmp_path, zones, ticks=250)
    ticks = got["ticks"]
    assert isinstance(ticks, list)
    assert {s[0] for s in ticks[0]} == {s[0] for s in ticks[-1]} == {f"rapl:package-{s}" for s in range(3)}
    assert all(len(s) == 4 for tick in (ticks[0], ticks[-1]) for s in tick)
    faults = [s for tick in ticks for s in tick if len(s) == 3]
    assert {s[0] for s in faults} == {"rapl:package-0", "rapl:package-1"}
    assert [s[2] for s in faults if s[0] == "rapl:package-1"] == [True]
    assert not any(s[2] for s in faults if s[0] == "rapl:package-0")
    # While one fails the others are read, and nothing ever reads 0.
    assert all(any(s[0] == "rapl:package-2" and len(s) == 4 for s in tick) for tick in ticks)
    assert all(s[3] > 0 for tick in ticks for s in tick if len(s) == 4)


def test_one_failed_read_at_the_start_does_not_cost_the_run(tmp_path: Path) -> None:
    package = Zone("intel-rapl:0", "package-0", load_constant(50), faults=(Fault("eio", n=1),))
    _, got = on_rig(tmp_path, (package,))
    assert got["devices"] == {"rapl:package-0": None}
