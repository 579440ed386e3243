"""Sensors' files in sysfs and firmware's tables, one of them broken: a reading is a whole number of 0 or more, or it is a fault."""

import os
import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from tests.fuzz.kit import bent_bytes, fuzzed, is_count, is_label, raw, taken, texts
from tests.sources.rapl_tree import INTEL, LIMITS, host_with, now, pmu, zone

from wattledger.core.model import Condition, EnergyCounter, Fault, PowerGauge, Sample
from wattledger.core.ports import Host, Source, SourceFailed, SourceGone
from wattledger.runtime.assets import disks, dmi, memory, processors
from wattledger.sources import hwmon, jetson, rapl
from wattledger.sources.rapl.zones import scan

MOST = 10**32  # a register is read in so many digits
SENSOR_WORDS = (
    b"-5\n",
    b"\n",
    b"",
    b"1e5\n",
    b"0x10\n",
    b"\xc2\xb2\n",
    b"9" * 40,
    b"5 6\n",
    b"nan\n",
    b"\0" * 8,
    b"4000000000\n",
    b"0\n",
)
register = st.sampled_from(SENSOR_WORDS) | raw | bent_bytes(b"123456789\n")
words = (
    raw
    | st.sampled_from([b"package-0\n", b"package-\xc2\xb2\n", b"psys-9999999999\n", b"core\n", b"package-0-die-0\n"])
    | texts.map(lambda t: t.encode("utf-8", "replace"))
)


def sane(samples: list[Sample]) -> None:
    for sample in samples:
        match sample:
            case EnergyCounter(device=device, count_uj=count, range_uj=range_uj):
                assert is_count(count, MOST)
                assert range_uj is None or range_uj > 0
                assert device.cap_uw is None or device.cap_uw > 0
            case PowerGauge(device=device, power_uw=power):
                assert is_count(power, MOST)
                assert device.refresh_ns >= 0
            case Condition(limit_uw=limit):
                assert limit is None or is_count(limit)
            case Fault(what=what):
                assert "\n" not in what


def read(source: Source, times: int = 2) -> None:
    try:
        for full in (True, False)[:times]:
            sane(list(taken(lambda: list(source.read(now, full)), SourceFailed, SourceGone) or []))  # noqa: B023 - called at once
    finally:
        source.close()


@fuzzed()
@given(st.sampled_from(["energy_uj", "name", "max_energy_range_uj", "enabled", *LIMITS]), register | words, st.booleans())
@example("energy_uj", b"-5\n", True)
@example("name", "package-²\n".encode(), False)
def test_a_register_counts_from_nought_or_is_a_fault(name: str, data: bytes, opened: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        host = host_with(base, {"intel-rapl:0": zone("package-0", 5, **LIMITS), "intel-rapl:0:0": zone("core", 3)})
        file = base / "sys/class/powercap/intel-rapl:0" / name
        source = rapl.open(host) if opened else None  # a kernel that changes its mind while we hold the file
        file.write_bytes(data)
        source = source or taken(lambda: rapl.open(host), SourceGone)
        for found in scan(host):
            assert is_label(found.device.id, 60)
        assert all("\n" not in finding.why for finding in rapl.examine(host))
        if source is not None:
            read(source)


@fuzzed()
@given(raw | bent_bytes(INTEL.encode()), register, register)
def test_perfs_words_are_understood_or_it_is_not_there(cpuinfo: bytes, mask: bytes, scale: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        host = pmu(Path(folder), INTEL, cpus={0: (0, 0)}, pmu_type=9_999, scale="2.3283064365386962890625e-10")
        Path(host.procfs, "cpuinfo").write_bytes(cpuinfo)
        power = Path(host.sysfs, "bus/event_source/devices/power")
        (power / "cpumask").write_bytes(mask)
        (power / "events/energy-pkg.scale").write_bytes(scale)
        source = taken(lambda: rapl.open(host), SourceGone)
        if source is not None:
            source.close()
        assert all(finding.state for finding in rapl.examine(host))


CHIP = {
    "name": "amd_energy",
    "energy1_input": "5000000",
    "energy1_label": "Esocket0",
    "energy2_input": "7",
    "energy2_label": "Ecore000",
}
METER = {
    "name": "power_meter",
    "power1_average": "350000000",
    "power1_label": "CPU Power Socket 0",
    "power1_average_interval": "1000",
}


@fuzzed()
@given(st.sampled_from([CHIP, METER]), st.data(), st.booleans())
def test_a_chips_channel_counts_from_nought_or_is_a_fault(chip: dict[str, str], data: st.DataObject, opened: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        place = base / "sys/class/hwmon/hwmon0"
        place.mkdir(parents=True)
        (base / "proc/self").mkdir(parents=True)
        (base / "proc/self/status").write_bytes(data.draw(raw | bent_bytes(b"CapEff:\t00000000a80425fb\n")))
        for name, value in chip.items():
            (place / name).write_text(f"{value}\n")
        host = Host(str(base / "sys"), str(base / "proc"), {}, (), True, {})
        source = hwmon.open(host) if opened else None
        (place / data.draw(st.sampled_from([*chip]))).write_bytes(data.draw(register | words))
        source = source or taken(lambda: hwmon.open(host), SourceGone)
        assert all("\n" not in finding.why for finding in hwmon.examine(host))
        if source is not None:
            read(source)


@fuzzed()
@given(st.sampled_from(["in1_label", "in1_input", "curr1_input", "in1_enable"]), register | words, st.booleans())
@example("curr1_input", b"-5\n", True)
def test_a_rails_power_is_nought_or_more_or_a_fault(name: str, data: bytes, opened: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        place = base / "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
        place.mkdir(parents=True)
        (base / "proc").mkdir()
        for file, value in {"in1_label": "VDD_IN", "in1_input": "19000", "curr1_input": "500"}.items():
            (place / file).write_text(f"{value}\n")
        host = Host(str(base / "sys"), str(base / "proc"), {}, (), True, {})
        source = jetson.open(host) if opened else None
        (place / name).write_bytes(data)
        source = source or taken(lambda: jetson.open(host), SourceGone)
        if source is not None:
            read(source)


# --- the machine itself -----------------------------------------------------------------------------------------------------

STICK = (
    bytes((17, 40))
    + b"\0\0"
    + bytes(8)
    + (16_384).to_bytes(2, "little")
    + bytes(4)
    + bytes((1, 0x22))
    + bytes(2)
    + (4_800).to_bytes(2, "little")
    + bytes(17)
    + b"DIMM0\0\0"
)
SUPPLY = bytes((39, 22)) + b"\1\0" + bytes(8) + (2_000).to_bytes(2, "little") + (2).to_bytes(2, "little") + bytes(6) + b"PSU0\0\0"
TABLE = STICK + SUPPLY + bytes((127, 4)) + bytes(4)


@fuzzed(3)
@given(raw | bent_bytes(TABLE))
def test_any_firmware_table_has_modules_and_supplies_or_none(table: bytes) -> None:
    for stick in dmi.sticks(table):
        assert stick.mib is None or 0 < stick.mib < 1 << 31
        assert all(is_label(word, 200) for word in (stick.kind, stick.vendor, stick.part, stick.slot))
    for supply in dmi.supplies(table):
        assert supply.watts is None or 0 < supply.watts < 1 << 16
        assert is_label(supply.name, 200)
    memory.plugged_gib(dmi.sticks(table), None)


@fuzzed()
@given(
    raw | bent_bytes(b"processor\t: 0\nphysical id\t: 0\ncore id\t: 0\nmodel name\t: x\n\n"),
    register | words | texts.map(lambda t: t.encode("utf-8", "replace")),
)
@example(b"", b"0-99999999999\n")
@example(b"processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: zz\n\n", b"0-\xc2\xb2\n")
def test_any_cpuinfo_is_a_machine_or_not_known(cpuinfo: bytes, word: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        for name in ("devices/system/cpu", "class/dmi/id", "block/sda/device", "class/net/eth0"):
            (base / name).mkdir(parents=True)
        os.symlink("../../../devices", base / "class/net/eth0/device")
        (base / "cpuinfo").write_bytes(cpuinfo)
        (base / "meminfo").write_bytes(b"MemTotal: " + word)
        for name in ("devices/system/cpu/present", "class/dmi/id/product_name", "class/dmi/id/chassis_type",
        "class/dmi/id/product_serial",
                     "block/sda/size", "block/sda/device/model", "class/net/eth0/type", "class/net/eth0/speed"):  # fmt: skip
            (base / name).write_bytes(word)
        found = processors.processors(base, base)
        assert is_label(found.model, 200)
        for number in (found.sockets, found.cores, found.threads):
            assert number is None or number > 0
        board = dmi.board(base)
        assert is_label(board.product, 200)
        assert all(disk.gb > 0 and is_label(disk.model, 200) for disk in disks.disks(base))
        assert all(nic.mbps is None or nic.mbps > 0 for nic in disks.nics(base))
        managed = memory.managed_gib(base)
        assert managed is None or managed > 0
