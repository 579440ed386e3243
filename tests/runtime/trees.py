"""Machines as sysfs and procfs show them, written file by file: a GPU server, a laptop, a virtual machine, a container."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from wattledger.runtime.config import Config, load

GIB_KIB = 1 << 20


class Tree(NamedTuple):
    """A machine's two trees."""

    sysfs: Path
    procfs: Path

    def config(self, **more: object) -> Config:
        """The settings that lead into them."""
        return load({}, flags={"paths.sysfs": str(self.sysfs), "paths.procfs": str(self.procfs), **more}, here=False)

    def write(self, files: Mapping[str, str | bytes]) -> "Tree":
        """Files of sysfs, by their path in it."""
        for name, text in files.items():
            put(self.sysfs / name, text)
        return self


def put(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else f"{text}\n".encode())


def link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def tree(folder: Path, *, cpuinfo: str, memory_gib: float, present: str) -> Tree:
    made = Tree(folder / "sys", folder / "proc")
    put(made.procfs / "cpuinfo", cpuinfo)
    put(made.procfs / "meminfo", f"MemTotal:       {round(memory_gib * GIB_KIB)} kB\nMemFree:        1 kB")
    return made.write({"devices/system/cpu/present": present})


def x86(model: str, sockets: int, cores: int, *, threads: int = 2, flags: str = "fpu vme de") -> str:
    """cpuinfo of ``cores`` cores a socket: first all first threads, then all second ones, as Linux numbers them."""
    blocks = []
    for number in range(sockets * cores * threads):
        socket, core = number // cores % sockets, number % cores
        place = f"physical id\t: {socket}\ncore id\t\t: {core}"
        blocks.append(f"processor\t: {number}\nmodel name\t: {model}\n{place}\nflags\t\t: {flags}\n")
    return "\n".join(blocks)


def dgx(folder: Path) -> Tree:
    """A server as large as a DGX H100, its table readable: two CPUs, 32 modules of 64 GiB, ten disks, six supplies, a dual NIC."""
    modules = [module(65_536, "DDR5", vendor="Samsung", part="M321R8GA0BB0-CQKZJ", serial=f"S{n:07}") for n in range(32)]
    supplies = [supply("PSU3300", watts=3300, serial=f"P{n}") for n in range(6)]
    made = tree(folder, cpuinfo=x86("Intel(R) Xeon(R) Platinum 8480C", 2, 56), memory_gib=2015.4, present="0-223")
    made.write({
        "class/dmi/id/sys_vendor": "NVIDIA", "class/dmi/id/product_name": "DGXH100", "class/dmi/id/chassis_type": "23",
        "class/dmi/id/board_vendor": "NVIDIA", "class/dmi/id/board_name": "DGXH100", "class/dmi/id/product_serial": "1660224000123",
        "class/dmi/id/board_serial": "To be filled by O.E.M.",
        "firmware/dmi/tables/DMI": b"".join([*modules, structure(17, b"\x00" * 24), *supplies, structure(127, b"")]),
        "block/loop0/size": "100", "block/ram0/size": "8192",
        "block/dm-0/size": "3750000000", "block/sr0/size": "2097151", "block/sr0/device/model": "Virtual CDROM0",
        "bus/pci/devices/0000:1b:00.0/vendor": "0x10de", "bus/pci/devices/0000:1b:00.0/class": "0x030200",
        "class/hwmon/hwmon0/name": "coretemp",
    })  # fmt: skip
    for n in range(8):
        nvme(made, f"nvme{n + 2}", "SAMSUNG MZQL23T8HCLS-00A07", 7_501_476_528, f"S64HNE0T{n}")
    for n in range(2):
        nvme(made, f"nvme{n}", "SAMSUNG MZ1L21T9HCLS-00A07", 3_750_748_848, f"S666NE0R{n}")
    for port, place in (("ens1f0np0", "0000:18:00.0"), ("ens1f1np1", "0000:18:00.1")):
        card(made, port, place, "mlx5_core", speed="400000" if port.endswith("0") else "-1")
    card(made, "ens1f0v0", "0000:18:00.2", "mlx5_core", virtual=True)
    made.write({"class/net/lo/type": "772", "class/net/bond0/type": "1"})
    return made


def laptop(folder: Path) -> Tree:
    """A laptop whose tables only root may read: here they are not there at all."""
    made = tree(folder, cpuinfo=x86("AMD Ryzen 7 PRO 6850U with Radeon Graphics", 1, 8), memory_gib=30.6, present="0-15")
    nvme(made, "nvme0", "SAMSUNG MZVL21T0HCLR-00BL7", 2_000_409_264, "S64LNF0T")
    return made.write({
        "class/dmi/id/sys_vendor": "LENOVO", "class/dmi/id/product_name": "21CGCTO1WW", "class/dmi/id/chassis_type": "10",
        "class/dmi/id/board_vendor": "LENOVO", "class/dmi/id/board_name": "21CGCTO1WW",
        "class/power_supply/BAT0/type": "Battery", "class/power_supply/hidpp_battery_0/type": "Battery",
        "class/power_supply/hidpp_battery_0/scope": "Device", "class/power_supply/AC/type": "Mains",
    })  # fmt: skip


def virtual(folder: Path) -> Tree:
    """A cloud's virtual machine: a flag of the CPU says so, disks and NICs are its host's."""
    cpuinfo = x86("Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz", 1, 4, flags="fpu vme hypervisor lahf_lm")
    made = tree(folder, cpuinfo=cpuinfo, memory_gib=30.9, present="0-7")
    made.write({
        "class/dmi/id/sys_vendor": "Amazon EC2", "class/dmi/id/product_name": "m6i.2xlarge", "class/dmi/id/chassis_type": "1",
        "block/vda/size": "41943040", "block/vda/device/vendor": "0x1af4", "block/vda/queue/rotational": "1",
    })  # fmt: skip
    nvme(made, "nvme0", "Amazon Elastic Block Store", 16_777_216, "vol0123456789abcdef0")
    card(made, "ens5", "0000:00:05.0", "ena", speed="-1")
    return made


def container(folder: Path) -> Tree:
    """A container on whole hardware that hides the firmware's words and all devices."""
    return tree(folder, cpuinfo=x86("AMD EPYC 9654 96-Core Processor", 2, 96), memory_gib=1511.0, present="0-383")


def arm(folder: Path) -> Tree:
    """An ARM server: cpuinfo says no sockets and no name, the topology in sysfs does."""
    block = "processor\t: {}\nBogoMIPS\t: 50.00\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n"
    made = tree(folder, cpuinfo="\n".join(block.format(n) for n in range(8)), memory_gib=62.5, present="0-7")
    topology = {f"devices/system/cpu/cpu{n}/topology/physical_package_id": str(n // 4) for n in range(8)}
    return made.write({**topology, **{f"devices/system/cpu/cpu{n}/topology/core_id": str(n) for n in range(8)}})


def nvme(made: Tree, name: str, model: str, sectors: int, serial: str) -> None:
    """A drive as Linux shows it where it keeps several ways to one (native multipath): below a virtual device."""
    real = made.sysfs / f"devices/virtual/nvme-subsystem/nvme-subsys-{name}/{name}n1"
    put(real / "size", str(sectors))
    put(real / "queue/rotational", "0")
    for word, text in (("model", f"{model:<40}"), ("serial", serial), ("transport", "pcie")):
        put(real.parent / word, text)
    link(real / "device", "..")
    link(made.sysfs / "block" / f"{name}n1", f"../devices/virtual/nvme-subsystem/nvme-subsys-{name}/{name}n1")


def card(made: Tree, port: str, place: str, driver: str, *, speed: str = "", virtual: bool = False) -> None:
    """A port of a network card."""
    device = made.sysfs / "devices/pci0000:00" / place
    put(device / "vendor", "0x15b3")
    if not (device / "driver").is_symlink():
        link(device / "driver", f"../../../bus/pci/drivers/{driver}")
    if virtual:
        put(device / "physfn/vendor", "0x15b3")
    put(made.sysfs / f"class/net/{port}/type", "1")
    if speed:
        put(made.sysfs / f"class/net/{port}/speed", speed)
    link(made.sysfs / f"class/net/{port}/device", f"../../../devices/pci0000:00/{place}")


# --- SMBIOS (DMTF DSP0134) --------------------------------------------------------------------------------------------------


def structure(kind: int, data: bytes, strings: Iterable[str] = ()) -> bytes:
    """A structure as it stands in the table: type, length, handle, the data, the strings."""
    said = b"".join(text.encode() + b"\x00" for text in strings)
    return bytes((kind, len(data) + 4, 0x34, 0x12)) + data + (said or b"\x00") + b"\x00"


def module(mib: int, kind: str, *, vendor: str = "", part: str = "", serial: str = "", extended: bool = False) -> bytes:
    """A memory device (type 17) of SMBIOS 3.3, 92 bytes."""
    data = bytearray(88)
    size = 0x7FFF if extended or mib >= 0x7FFF else mib
    data[0x0C - 4 : 0x0E - 4] = size.to_bytes(2, "little")
    data[0x10 - 4] = 1
    data[0x12 - 4] = {"DDR4": 0x1A, "DDR5": 0x22}[kind]
    data[0x15 - 4 : 0x17 - 4] = (4800).to_bytes(2, "little")
    data[0x17 - 4], data[0x18 - 4], data[0x1A - 4] = 2, 3, 4
    data[0x1C - 4 : 0x20 - 4] = mib.to_bytes(4, "little")
    return structure(17, bytes(data), ("DIMM_A1", vendor or "Unknown", serial or "NO DIMM", part or "NO DIMM"))


def supply(name: str, *, watts: int, serial: str, present: bool = True) -> bytes:
    """A system power supply (type 39)."""
    data = bytearray(18)
    data[0x06 - 4], data[0x07 - 4], data[0x08 - 4], data[0x0A - 4] = 1, 2, 3, 4
    data[0x0C - 4 : 0x0E - 4] = watts.to_bytes(2, "little")
    data[0x0E - 4 : 0x10 - 4] = (0x02 if present else 0x00).to_bytes(2, "little")
    return structure(39, bytes(data), (name, "DELTA", serial, "DPS-3300"))
