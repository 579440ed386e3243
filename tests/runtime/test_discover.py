"""What a machine is, read from trees of a server, a laptop, a virtual machine and a container, and from this one."""

import os
from pathlib import Path

import pytest
from tests.rig.rig import Gpu, Rig, load_constant
from tests.runtime import trees
from tests.runtime.programs import compiler, environ, python

from wattledger.runtime.assets import memory
from wattledger.runtime.assets.discover import discover, machine_class
from wattledger.runtime.assets.host import HostFacts, host_facts
from wattledger.runtime.assets.processors import Processors, count
from wattledger.runtime.assets.words import hashed
from wattledger.runtime.config import load

CARDS = """
from wattledger.runtime.assets.discover import discover
from wattledger.runtime.config import load
out([card._asdict() for card in discover(load(os.environ), os.environ).cards])
"""


def test_a_server_is_taken_apart(tmp_path: Path) -> None:
    found = discover(trees.dgx(tmp_path).config(), {"NODE_NAME": "gpu-7"})
    assert (found.host, found.board.vendor, found.board.product) == ("gpu-7", "NVIDIA", "DGXH100")
    assert found.board.serial_hash == hashed("1660224000123")
    assert found.board.board_serial_hash == ""
    assert found.processors == Processors("Intel(R) Xeon(R) Platinum 8480C", 2, 112, 224)
    assert (len(found.sticks), found.memory_gib) == (32, 2048.0)
    assert [supply.watts for supply in found.supplies] == [3300] * 6
    assert machine_class(found) == "server"


def test_disks_are_those_with_something_in_them_that_are_no_software(tmp_path: Path) -> None:
    found = discover(trees.dgx(tmp_path).config(), {}).disks
    assert sorted(disk.name for disk in found) == [f"nvme{n}n1" for n in range(10)]
    data = next(disk for disk in found if disk.name == "nvme5n1")
    assert (data.kind, round(data.gb), data.model, data.how) == ("ssd", 3841, "SAMSUNG MZQL23T8HCLS-00A07", "part")
    assert data.serial_hash == hashed("S64HNE0T3")


def test_a_disk_behind_a_controller_or_a_network_is_no_part(tmp_path: Path) -> None:
    tree = trees.laptop(tmp_path).write({
        "block/sda/size": "2000", "block/sda/device/vendor": "DELL    ", "block/sda/device/model": "PERC H755 Front ",
        "block/sdb/size": "2000", "block/sdb/device/vendor": "ATA", "block/sdb/device/model": "ST16000NM001G-2K",
        "block/sdb/queue/rotational": "1", "block/sdb/device/vpd_pg80": b"\x00\x80\x00\x08    ZL2A",
        "block/sdc/size": "2000", "block/sdc/device/model": "Ultra USB 3.0", "block/sdc/removable": "1",
        "block/nvme7n1/size": "2000", "block/nvme7n1/device/transport": "tcp", "block/nvme7n1/device/model": "Linux",
    })  # fmt: skip
    found = {disk.name: disk for disk in discover(tree.config(), {}).disks}
    assert {name: disk.how for name, disk in found.items()} == {
        "nvme0n1": "part", "nvme7n1": "served", "sda": "array", "sdb": "part",
    }  # fmt: skip
    assert (found["sdb"].kind, found["sdb"].vendor, found["sdb"].serial_hash) == ("hdd", "", hashed("ZL2A"))
    assert any("sda" in note for note in discover(tree.config(), {}).notes)


def test_ports_of_one_card_are_one_card_and_virtual_functions_none(tmp_path: Path) -> None:
    [nic] = discover(trees.dgx(tmp_path).config(), {}).nics
    assert (nic.place, nic.ports, nic.driver, nic.mbps) == ("0000:18:00", ("ens1f0np0", "ens1f1np1"), "mlx5_core", 400_000)


def test_a_gpu_that_no_driver_answers_for_is_said(tmp_path: Path) -> None:
    found = discover(trees.dgx(tmp_path).config(), {})
    assert found.cards == ()
    assert any(note.startswith("NVIDIA: 1 on the PCI bus (0000:1b:00.0), 0 known to a driver") for note in found.notes)


def test_a_laptop_is_one_and_its_memory_what_was_sold(tmp_path: Path) -> None:
    found = discover(trees.laptop(tmp_path).config(), {})
    assert machine_class(found) == "laptop"
    assert (found.battery, found.sticks, found.memory_gib) == (True, (), 32.0)
    assert found.processors.cores == 8
    assert any("root" in note for note in found.notes)


def test_a_virtual_machine_has_no_parts_of_its_own(tmp_path: Path) -> None:
    found = discover(trees.virtual(tmp_path).config(), {})
    assert machine_class(found) == "vm"
    assert [disk.how for disk in found.disks] == ["served", "served"]
    assert found.nics == ()


def test_whole_hardware_of_a_cloud_is_no_virtual_machine(tmp_path: Path) -> None:
    tree = trees.dgx(tmp_path).write({"class/dmi/id/sys_vendor": "Amazon EC2", "class/dmi/id/product_name": "p5.metal-48xl"})
    assert machine_class(discover(tree.config(), {})) == "server"


def test_an_arm_guest_is_known_by_its_firmware(tmp_path: Path) -> None:
    tree = trees.arm(tmp_path).write({"class/dmi/id/sys_vendor": "QEMU", "class/dmi/id/product_name": "KVM Virtual Machine"})
    assert machine_class(discover(tree.config(), {})) == "vm"


def test_a_container_without_firmware_is_told_apart_from_a_virtual_machine(tmp_path: Path) -> None:
    found = discover(trees.container(tmp_path).config(), {})
    assert machine_class(found) == "server"
    assert (found.processors.sockets, found.memory_gib) == (2, 1536.0)
    assert any("no class/dmi/id" in note for note in found.notes)


def test_sockets_of_an_arm_server_come_from_the_topology(tmp_path: Path) -> None:
    assert discover(trees.arm(tmp_path).config(), {}).processors == Processors("Arm Neoverse N1", 2, 8, 8)


def test_what_the_operator_says_goes_first(tmp_path: Path) -> None:
    config = trees.laptop(tmp_path).config(**{"embodied.host": "workstation"})
    assert machine_class(discover(config, {})) == "workstation"
    assert host_facts(config).machine_class == "workstation"


def test_trees_that_are_not_there_are_nothing_known(tmp_path: Path) -> None:
    config = load({}, flags={"paths.sysfs": str(tmp_path / "no"), "paths.procfs": str(tmp_path / "none")}, here=False)
    found = discover(config, {})
    assert (found.disks, found.nics, found.sticks, found.memory_gib, found.processors) == ((), (), (), None, Processors())
    assert host_facts(config).memory_gb is None


def test_the_light_look_says_the_same(tmp_path: Path) -> None:
    for name, make in (("dgx", trees.dgx), ("laptop", trees.laptop), ("virtual", trees.virtual), ("arm", trees.arm)):
        config = make(tmp_path / name).config()
        found, light = discover(config, {}), host_facts(config)
        assert light.machine_class == machine_class(found)
        assert light.cpus == found.processors.threads
    assert host_facts(trees.dgx(tmp_path / "again").config()).memory_gb == pytest.approx(2015.4, rel=1e-6)


def test_gpus_come_with_the_ids_that_meters_give_them(tmp_path: Path) -> None:
    """In a process of its own: a driver's library, once loaded, stays."""
    rig = Rig(gpus=(Gpu(load_constant(100), part="699-2G520-0200-000", serial="1652823054321"), Gpu(load_constant(100))))
    tree = trees.laptop(tmp_path)
    paths = {"WATTLEDGER_PATHS_SYSFS": str(tree.sysfs), "WATTLEDGER_PATHS_PROCFS": str(tree.procfs), "CUDA_VISIBLE_DEVICES": "0"}
    compiler()
    first, second = python(CARDS, environ(tmp_path, **{**rig.write(tmp_path / "rig").env(), **paths})).value
    assert (first["device"], first["model"]) == (rig.gpus[0].uuid, "NVIDIA H100 80GB HBM3")
    assert (first["part"], first["serial_hash"]) == ("699-2G520-0200-000", hashed("1652823054321"))
    assert (second["device"], second["part"], second["serial_hash"]) == (rig.gpus[1].uuid, "", "")


def test_an_amd_gpu_without_rocm_is_listed_without_an_id(tmp_path: Path) -> None:
    card, graphics = "bus/pci/devices/0000:c1:00.0", "bus/pci/devices/0000:04:00.0"
    tree = trees.laptop(tmp_path).write({
        f"{card}/vendor": "0x1002", f"{card}/class": "0x120000", f"{card}/mem_info_vram_total": str(192 << 30),
        f"{card}/product_name": "AMD Instinct MI300X OAM", f"{card}/product_number": "102-G30211-0C",
        f"{card}/serial_number": "6924",
        f"{graphics}/vendor": "0x1002", f"{graphics}/class": "0x030000", f"{graphics}/mem_info_vram_total": str(512 << 20),
    })  # fmt: skip
    found = discover(tree.config(), {})
    [gpu] = found.cards
    assert (gpu.model, gpu.part, gpu.serial_hash) == ("AMD Instinct MI300X OAM", "102-G30211-0C", hashed("6924"))
    if not gpu.device:
        assert any("without the id" in note for note in found.notes)


def test_this_machine_is_discovered() -> None:
    found = discover(load(os.environ), os.environ)
    assert found.host
    assert machine_class(found) in ("server", "workstation", "desktop", "laptop", "vm")
    assert isinstance(host_facts(load(os.environ)), HostFacts)


def test_sizes_of_memory_are_those_that_are_sold() -> None:
    assert [memory.plugged_gib((), managed) for managed in (15.4, 251.5, 7.6, 1.9, 503.2, None)] == [16, 256, 8, 2, 512, None]


def test_lists_of_cpus() -> None:
    assert (count("0-3,8"), count("0"), count(""), count("x"), count("5-3")) == (5, 1, None, None, None)
