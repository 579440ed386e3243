"""What kind of machine this is, how many CPUs and how much memory it has: all that an estimate of its making needs.

Read at the start of every meter, so: four small reads, and nothing imported that a meter has not loaded already.
"""

import os
from typing import NamedTuple

from wattledger.runtime.config import Config

CPU0_BYTES = 4096  # the first CPU's flags; the kernel would describe a thousand CPUs, and interrupt each to ask its frequency
KIB_PER_GIB = 1 << 20
# sys_vendor or product_name of machines that are none: what hypervisors and clouds write there.
GUESTS = ("qemu", "kvm", "vmware", "virtualbox", "innotek", "xen", "bochs", "parallels", "bhyve", "openstack", "ovirt",
          "nutanix ahv", "google compute engine", "virtual machine", "apple virtualization", "droplet", "vserver", "firecracker",
          "cloud-hypervisor")  # fmt: skip
# Clouds that write their name on virtual machines and, with "metal" in the product's name, on whole ones.
CLOUDS = ("amazon ec2", "alibaba cloud", "tencent cloud", "huawei cloud", "oraclecloud")


class HostFacts(NamedTuple):
    """``machine_class``: server, workstation, desktop, laptop, vm, or ``none`` where [embodied] host says so: none is counted.

    ``cpus``: hardware threads; ``memory_gb``: what the kernel manages, in the GB of memory makers (2^30 bytes), by which the
    formulas of its making count.  ``None``: not known.
    """

    machine_class: str
    cpus: int | None
    memory_gb: float | None


# Of the node that ``agent --demo`` plays (sources/demo): two CPUs of 56 cores and 2 TB.
MADE_UP = HostFacts("server", 224, 2_048.0)


def host_facts(config: Config) -> HostFacts:
    """Of the machine whose sysfs and procfs the configuration names, or of the one that is made up; never raises."""
    sysfs, procfs = str(config["paths.sysfs"]), str(config["paths.procfs"])
    said = str(config["embodied.host"])
    if config.is_demo:
        return MADE_UP if said == "auto" else MADE_UP._replace(machine_class=said)
    return HostFacts(_class(sysfs, procfs) if said == "auto" else said, _cpus(sysfs), _memory_gb(procfs))


def is_guest(procfs: str, vendor: str, product: str) -> bool:
    """Whether a hypervisor runs this machine: by the CPU's flag, or by what the firmware calls itself (ARM has no flag)."""
    name = f"{vendor} {product}".casefold()
    if any(guest in name for guest in GUESTS) or (any(cloud in name for cloud in CLOUDS) and "metal" not in name):
        return True
    return " hypervisor" in _first(f"{procfs}/cpuinfo", CPU0_BYTES)


def _class(sysfs: str, procfs: str) -> str:
    vendor, product, chassis = (_first(f"{sysfs}/class/dmi/id/{name}") for name in ("sys_vendor", "product_name", "chassis_type"))
    if is_guest(procfs, vendor, product):
        return "vm"
    from wattledger.factors.hardware.chassis import chassis_class

    return chassis_class(int(chassis) if chassis.isdecimal() else None)


def _cpus(sysfs: str) -> int | None:
    """``0-7,16-23`` counted."""
    try:
        ranges = [part.partition("-") for part in _first(f"{sysfs}/devices/system/cpu/present").split(",")]
        return sum(int(last or first) - int(first) + 1 for first, _, last in ranges)
    except ValueError:
        return os.cpu_count()


def _memory_gb(procfs: str) -> float | None:
    words = _first(f"{procfs}/meminfo").split()
    return int(words[1]) / KIB_PER_GIB if len(words) > 1 and words[0] == "MemTotal:" and words[1].isdecimal() else None


def _first(path: str, most: int = 256) -> str:
    """The first bytes of a file as text; empty where it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return ""
    try:
        return os.read(fd, most).decode("utf-8", "replace").strip()
    except OSError:
        return ""
    finally:
        os.close(fd)
