"""GPUs and other accelerators: from their drivers, and from the PCI bus those that no driver answers for.

All of the machine's, whatever ``CUDA_VISIBLE_DEVICES`` hides: what is plugged in was made, whoever may use it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from wattledger.core.ports import SourceGone
from wattledger.runtime.assets.words import hashed, known, listed, read

# PCI vendors that make accelerators, and the classes that those are of (pci.ids): display controllers, 3D controllers (data-centre
# GPUs have no display), processing accelerators.
VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x1da3": "Intel Habana", "0x8086": "Intel"}
CLASSES = ("0x0302", "0x1200")
DISPLAY = "0x0300"


class Card(NamedTuple):
    """One accelerator; ``kind`` is the asset's.  ``device``: its id as energy facts name it; empty: no source of ours meters it."""

    kind: str
    device: str
    model: str
    vendor: str
    part: str
    serial_hash: str


class Found(NamedTuple):
    """The cards, and a line for each that was seen and could not be asked."""

    cards: tuple[Card, ...]
    notes: tuple[str, ...]


def cards(sysfs: Path) -> Found:
    """What is there; a driver that is missing, hangs or fails is a note, never an error."""
    nvidia, notes = _nvidia()
    amd, more = _amd(sysfs)
    mute = list(_mute(sysfs, {"NVIDIA": len(nvidia), "AMD": len(amd)}))
    return Found((*nvidia, *amd), (*notes, *more, *mute))


def _nvidia() -> tuple[list[Card], list[str]]:
    try:
        from wattledger.sources.nvml.library import load

        load()
        from wattledger.sources.nvml.driver import Driver, NvmlError

        driver = Driver()
    except SourceGone as gone:
        # No library is no GPU, or one whose driver is missing: the bus tells.
        return [], [] if "no lib" in str(gone) else [str(gone)]
    found, notes = [], []
    try:
        for index in range(int(driver.call("nvmlDeviceGetCount"))):
            try:
                found.append(_nvidia_card(driver, driver.call("nvmlDeviceGetHandleByIndex", index)))
            except NvmlError as error:
                notes.append(f"GPU {index} does not answer ({error}): it is not in this list")
    except NvmlError as error:
        notes.append(f"nvml: the driver does not answer ({error})")
    finally:
        driver.close()
    return found, notes


def _nvidia_card(driver: Any, handle: Any) -> Card:
    uuid, name = (str(driver.call(function, handle)) for function in ("nvmlDeviceGetUUID", "nvmlDeviceGetName"))
    part = str(driver.ask("nvmlDeviceGetBoardPartNumber", handle) or "")
    serial = str(driver.ask("nvmlDeviceGetSerial", handle) or "")
    return Card("gpu", uuid, known(name), "NVIDIA", known(part), hashed(serial))


def _amd(sysfs: Path) -> tuple[list[Card], list[str]]:
    """By ROCm's library where it is, since that gives the id that energy facts have; else what the kernel's driver says."""
    from wattledger.sources.amdsmi import AmdError, Library

    folders = [folder for folder in _pci(sysfs) if read(folder / "vendor") == "0x1002" and read(folder / "mem_info_vram_total")]
    # Graphics in a CPU have half a gigabyte or so of memory carved out, and no part number of a board.
    boards = [folder for folder in folders if int(read(folder / "mem_info_vram_total") or 0) >= 4 << 30]
    if not boards:
        return [], []
    try:
        library = Library()
    except SourceGone as gone:
        return [_amd_card(folder, "") for folder in boards], [f"{gone}: AMD GPUs are listed without the id that meters give them"]
    try:
        handles = library.ask("amdsmi_get_processor_handles") or []
        return [_amd_known(library, handle, boards) for handle in handles], []
    except AmdError as error:
        return [_amd_card(folder, "") for folder in boards], [f"amdsmi: {error}"]
    finally:
        library.close()


def _amd_known(library: Any, handle: Any, boards: Sequence[Path]) -> Card:
    address = str(library.ask("amdsmi_get_gpu_device_bdf", handle) or "")
    folder = next((folder for folder in boards if folder.name == address), None)
    card = _amd_card(folder, "") if folder is not None else Card("gpu", "", "", "AMD", "", "")
    return card._replace(device=library.identity(handle), model=known(library.name(handle)))


def _amd_card(folder: Path, device: str) -> Card:
    """Files of the amdgpu driver: product_name, product_number, serial_number (Linux, gpu/amdgpu/driver-misc)."""
    name, part = known(read(folder / "product_name")), known(read(folder / "product_number"))
    return Card("gpu", device, name or "AMD GPU", "AMD", part, hashed(read(folder / "serial_number")))


def _pci(sysfs: Path) -> list[Path]:
    return listed(sysfs / "bus/pci/devices")


def _mute(sysfs: Path, answered: dict[str, int]) -> Iterator[str]:
    """A line for each maker of whom the bus has more accelerators than drivers told of."""
    seen: dict[str, list[str]] = {}
    for folder in _pci(sysfs):
        maker, kind = VENDORS.get(read(folder / "vendor"), ""), read(folder / "class")
        of_nvidia = maker == "NVIDIA" and kind.startswith(DISPLAY)  # a GeForce or RTX: no other display is an accelerator for sure
        if maker and (kind.startswith(CLASSES) or of_nvidia):
            seen.setdefault(maker, []).append(folder.name)
    for maker, places in sorted(seen.items()):
        if len(places) > answered.get(maker, 0):
            said = f"{len(places)} on the PCI bus ({', '.join(places[:8])}), {answered.get(maker, 0)} known to a driver"
            yield f"{maker}: {said}: add the others by hand"
