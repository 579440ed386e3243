"""From what processor this is and how busy it is to watts: the model, and nothing that it does not say of itself."""

import platform
import subprocess
import sys
from itertools import pairwise
from typing import NamedTuple

from wattledger.core.ports import Host
from wattledger.sources.estimate import table

# Power over TDP at a load, measured on processors (Teads; Boavizta's workload ratios).  A rating is a processor's, so
# its curve must be too: SPECpower's below is a whole server's at the wall, where fans, disks and memory flatten the
# idle end, and it is relative to a measured peak that nobody knows here.  Full load draws a little more than TDP.
TDP_CURVE = ((0.0, 0.12), (0.1, 0.32), (0.5, 0.75), (1.0, 1.02))
# Power over peak, medians of 147 SPECpower results of 2019 and later.  Coefficients per virtual CPU are themselves idle
# and peak of such results, so between the two it is this shape that applies.
SERVER_CURVE = ((0.0, 0.22), (0.1, 0.35), (0.2, 0.40), (0.3, 0.46), (0.5, 0.56), (0.7, 0.69), (0.9, 0.89), (1.0, 1.0))
# Boavizta's figure.  Green Algorithms says 0.3725 and CCF 0.392; large modules draw less per gigabyte than those that
# all three stand on, and what users find wrong with modelled memory is hundreds of watts too many: so the lowest.
DRAM_W_PER_GB = 0.284

Curve = tuple[tuple[float, float], ...]


class Processor(NamedTuple):
    """What ``cpuinfo`` tells: name, CPUID's numbers, sockets, cores in each, and whether a hypervisor is under us."""

    name: str
    vendor: str = ""
    family: int = 0
    model: int = 0
    stepping: int = 0
    sockets: int = 1
    cores: int = 1
    virtual: bool = False


class CpuModel(NamedTuple):
    """Watts of all CPUs at rest and at full load, the shape between, and where that comes from."""

    idle_w: float
    max_w: float
    curve: Curve
    origin: str

    def watts(self, load: float) -> float:
        low, high = self.curve[0][1], self.curve[-1][1]
        return self.idle_w + (self.max_w - self.idle_w) * (interpolate(self.curve, load) - low) / (high - low)


def interpolate(curve: Curve, load: float) -> float:
    load = min(max(load, 0.0), 1.0)
    for (x0, y0), (x1, y1) in pairwise(curve):
        if load <= x1:
            return y0 + (y1 - y0) * (load - x0) / (x1 - x0)
    return curve[-1][1]


def find_processor(host: Host, cpus: int) -> Processor:
    try:
        with open(f"{host.procfs}/cpuinfo", encoding="utf-8", errors="replace") as file:
            return parse_cpuinfo(file.read(), cpus)
    except OSError:
        return Processor(_name_without_procfs(), cores=cpus)


def parse_cpuinfo(text: str, cpus: int) -> Processor:
    """The first block says what it is; all blocks together how many sockets and cores there are.

    ARM gives an implementer and a part instead of a name, and no sockets: it counts as one.
    """
    first: dict[str, str] = {}
    sockets: set[str] = set()
    cores: set[tuple[str, str]] = set()
    socket = ""
    for line in text.splitlines():
        key, _, value = (word.strip() for word in line.partition(":"))
        first.setdefault(key, value)
        if key == "physical id":
            socket = value
            sockets.add(value)
        elif key == "core id":
            cores.add((socket, value))
    arm = "CPU implementer" in first
    return Processor(
        name=first.get("model name", first.get("Model", "")),
        vendor="ARM" if arm else first.get("vendor_id", ""),
        family=_number(first.get("cpu family", "")),
        model=_number(first.get("CPU part" if arm else "model", "")),
        stepping=_number(first.get("stepping", "")),
        sockets=max(1, len(sockets)),
        cores=max(1, len(cores) // max(1, len(sockets)) or cpus),
        virtual="hypervisor" in first.get("flags", "").split(),
    )


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        return 0


def _name_without_procfs() -> str:
    if sys.platform == "darwin":  # platform.processor() says "arm" or "i386" there
        try:
            ask = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(ask, capture_output=True, text=True, timeout=2, check=True).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return ""
    return platform.processor()


def cpu_model(processor: Processor, cpus: int) -> CpuModel:
    """For all ``cpus`` of the machine: by virtual CPU inside a guest or on a cloud's ARM, else by socket."""
    family = table.microarchitecture(processor.vendor, processor.family, processor.model, processor.stepping)
    if processor.virtual or (processor.vendor == "ARM" and family):
        # How many sockets the host has is not the guest's to see: only what one virtual CPU draws.
        one = table.virtual_cpu(family)
        idle_w = one.idle_w or 0.0
        watts = f"{idle_w:.2f}-{one.max_w:.2f} W each of a whole server at the wall"
        origin = f"{cpus} vCPUs, {one.how}, {watts}; {one.origin}, {one.licence}"
        return CpuModel(idle_w * cpus, one.max_w * cpus, SERVER_CURVE, origin)
    rating = table.processor(processor.name) or table.nameless(processor.cores)
    tdp_w = rating.max_w * processor.sockets
    origin = f"{processor.sockets} x {rating.max_w:g} W TDP, {rating.how}; {rating.origin}, {rating.licence}"
    return CpuModel(TDP_CURVE[0][1] * tdp_w, TDP_CURVE[-1][1] * tdp_w, TDP_CURVE, origin)
