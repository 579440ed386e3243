"""Disks and network cards that are parts of this machine: no loop devices, no volumes of others, no partitions of a card."""

import re
from pathlib import Path
from typing import Literal, NamedTuple

from wattledger.runtime.assets.words import hashed, known, listed, read, read_bytes, whole

SECTOR_BYTES = 512  # what the kernel counts sizes in, whatever the disk's own sectors are (Documentation/ABI/stable/sysfs-block)
GB = 10**9
# Devices that are none: made by software, or media that are put in and taken out.
NO_DISK = re.compile(r"(loop|ram|zram|dm-|md|nbd|sr|fd|zd|drbd|bcache|mtdblock|rbd|pmem|ubiblock)")
# What a hypervisor or a cloud offers as a disk, by name of device, vendor or model.
SERVED = re.compile(
    r"QEMU|VBOX|VMware|Virtual (disk|HD)|Msft|Xen|PersistentDisk|nvme_card-pd|Amazon Elastic Block Store|Alibaba Cloud|BlockVolume",
    re.IGNORECASE,
)
# A volume of a RAID controller: how many disks lie behind it, the kernel does not know.
ARRAY = re.compile(r"PERC|LOGICAL VOLUME|Logical Drive|\bMR\d|ServeRAID|RAID|Virtual Drive|BOSS-?(S|N)?\d?|MegaRAID", re.IGNORECASE)
ETHERNET, INFINIBAND = "1", "32"  # ARPHRD_ETHER and ARPHRD_INFINIBAND, linux/if_arp.h

How = Literal["part", "served", "array"]


class Disk(NamedTuple):
    """A disk.  ``how``: a part of this machine, ``served`` by a hypervisor or a network, or the volume of an ``array``."""

    name: str
    kind: Literal["ssd", "hdd"]
    gb: float
    vendor: str
    model: str
    serial_hash: str
    how: How


class Nic(NamedTuple):
    """A network card with all its ports; ``mbps``: of the fastest port that is up, ``None``: none is, or it does not say."""

    place: str
    ports: tuple[str, ...]
    driver: str
    mbps: int | None


def disks(sysfs: Path) -> tuple[Disk, ...]:
    """All disks with something in them."""
    return tuple(disk for folder in listed(sysfs / "block") if (disk := _disk(folder)) is not None)


def nics(sysfs: Path) -> tuple[Nic, ...]:
    """Cards by their place on the bus: ports are functions of one device, and virtual functions are parts of ports."""
    found: dict[str, Nic] = {}
    for folder in listed(sysfs / "class/net"):
        device = folder / "device"
        if not _there(device) or _there(device / "physfn") or read(folder / "type") not in (ETHERNET, INFINIBAND):
            continue
        driver = _target(device / "driver")
        if driver.startswith(("virtio", "vmxnet", "hv_", "xen", "ena", "gve")):
            continue  # a hypervisor's: no card of this machine
        place = re.sub(r"\.\d+$", "", _target(device)) or folder.name
        before = found.get(place, Nic(place, (), driver, None))
        mbps = max((speed for speed in (before.mbps, whole(read(folder / "speed"))) if speed), default=None)
        found[place] = before._replace(ports=(*before.ports, folder.name), mbps=mbps)
    return tuple(found.values())


def _disk(folder: Path) -> Disk | None:
    name, device = folder.name, folder / "device"
    sectors = whole(read(folder / "size"))
    if NO_DISK.match(name) or not sectors or not _there(device):
        return None
    if read(folder / "removable") == "1" or read(folder / "hidden") == "1":
        return None
    model, vendor = known(read(device / "model")), known(read(device / "vendor"))
    kind: Literal["ssd", "hdd"] = "hdd" if read(folder / "queue/rotational") == "1" else "ssd"
    # SCSI's "ATA" is no vendor, and a PCI number is none that people know.
    maker = "" if vendor == "ATA" or vendor.startswith("0x") else vendor
    return Disk(name, kind, sectors * SECTOR_BYTES / GB, maker, model, _serial(folder), _how(folder, f"{maker} {model}"))


def _serial(folder: Path) -> str:
    for place in (folder / "device/serial", folder / "serial"):
        if said := read(place):
            return hashed(said)
    # Unit serial number page (SPC-4 7.8.15): four bytes of header, then the serial.
    page = read_bytes(folder / "device/vpd_pg80")
    return hashed(page[4:].decode("ascii", "replace")) if len(page) > 4 else ""


def _how(folder: Path, words: str) -> How:
    if folder.name.startswith(("vd", "xvd")) or SERVED.search(words):
        return "served"
    path = _real(folder)
    # iSCSI and Fibre Channel say so in the device's path, NVMe over fabrics in its transport.
    if re.search(r"/(session\d+|rport-)", path) or read(folder / "device/transport") in ("tcp", "rdma", "fc"):
        return "served"
    return "array" if ARRAY.search(words) else "part"


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _real(path: Path) -> str:
    try:
        return str(path.resolve())
    except (OSError, RuntimeError):
        return str(path)


def _target(link: Path) -> str:
    """The last word of where a link leads; of a plain folder, empty (a fixture, no sysfs)."""
    try:
        return link.readlink().name
    except OSError:
        return ""
