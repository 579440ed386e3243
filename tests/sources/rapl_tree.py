"""Powercap and perf trees as the kernel lays them out, for the tests of the source rapl."""

import os
from collections.abc import Mapping
from pathlib import Path

from wattledger.core.model import Instant
from wattledger.core.ports import Host

RANGE_UJ = 262_143_328_850
INTEL = "vendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Platinum 8480+\nflags\t\t: fpu sse\n"
AMD = "vendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 7551\nflags\t\t: fpu sse\n"
VIRTUAL = "vendor_id\t: GenuineIntel\nmodel name\t: Intel Xeon Processor\nflags\t\t: fpu hypervisor\n"
LIMITS = {
    "constraint_0_name": "long_term",
    "constraint_0_power_limit_uw": "350000000",
    "constraint_0_max_power_uw": "350000000",
    "constraint_1_name": "short_term",
    "constraint_1_power_limit_uw": "420000000",
    "enabled": "1",
}


def host_with(root: Path, zones: Mapping[str, Mapping[str, str]], cpuinfo: str = INTEL) -> Host:
    """A tree as the kernel lays it out: zones nested under devices, and linked to, flat, under class."""
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/cpuinfo").write_text(cpuinfo)
    flat = root / "sys/class/powercap"
    flat.mkdir(parents=True, exist_ok=True)
    for key, files in zones.items():
        kind, _, numbers = key.partition(":")
        parts = [f"{kind}:{':'.join(numbers.split(':')[: i + 1])}" for i in range(numbers.count(":") + 1)]
        folder = root / "sys/devices/virtual/powercap" / Path(kind, *parts)
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in {"max_energy_range_uj": str(RANGE_UJ), **files}.items():
            (folder / name).write_text(f"{value}\n")
        (flat / key).symlink_to(os.path.relpath(folder, flat))
    return Host(str(root / "sys"), str(root / "proc"), {}, (), True, {})


def zone(name: str, energy_uj: int, **files: str) -> dict[str, str]:
    return {"name": name, "energy_uj": str(energy_uj), **files}


def now() -> Instant:
    return Instant(7, 9)


def pmu(root: Path, cpuinfo: str, *, cpus: Mapping[int, tuple[int, int]], pmu_type: int, scale: str) -> Host:
    """A power PMU without powercap; ``cpus`` of its mask give socket and die."""
    host = host_with(root, {}, cpuinfo)
    power = root / "sys/bus/event_source/devices/power"
    (power / "events").mkdir(parents=True)
    (power / "type").write_text(f"{pmu_type}\n")
    (power / "cpumask").write_text(",".join(map(str, cpus)) + "\n")
    (power / "events/energy-pkg").write_text("event=0x00\n")
    (power / "events/energy-pkg.scale").write_text(f"{scale}\n")
    for cpu, (socket, die) in cpus.items():
        topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text(f"{socket}\n")
        (topology / "die_id").write_text(f"{die}\n")
    return host
