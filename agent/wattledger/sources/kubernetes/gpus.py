"""Which GPU a device id means: the words of NVIDIA's device plugins and drivers to the id that the driver gives the device.

Sources: NVIDIA k8s-device-plugin (``uuid``, ``index`` and ``::N`` for replicas), GKE's (``nvidia0``, ``nvidia0/vgpu1``),
NVIDIA k8s-dra-driver-gpu (``gpu-`` and the minor number).
"""

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from wattledger.sources._linux.files import is_number

RESOURCES = ("nvidia.com/", "gpu.nvidia.com")

_UUID = re.compile(r"(?:GPU|MIG)-[0-9A-Za-z/-]+")
_MINOR = re.compile(r"nvidia([0-9]{1,4})(?:/vgpu[0-9]+)?|gpu-([0-9]{1,4})")


class Gpu(NamedTuple):
    """As the driver's ``information`` file tells it: place on the bus, minor number (``/dev/nvidiaN``), UUID."""

    bus: str
    minor: int
    uuid: str


class Gpus:
    """State: the GPUs that the driver listed, listed again when one is asked for that was not there."""

    def __init__(self, procfs: str) -> None:
        self._folder = f"{procfs}/driver/nvidia/gpus"
        self._listed: list[Gpu] = []

    def id_of(self, resource: str, device_id: str) -> str | None:
        """The UUID of a GPU or of a MIG slice; ``None``: no NVIDIA GPU, or one that cannot be known by this word."""
        word = device_id.split("::")[0]
        if _UUID.fullmatch(word):
            return word
        if not resource.startswith(RESOURCES):
            return None
        return self._find(word) or (self._look() and self._find(word)) or None

    def _find(self, word: str) -> str | None:
        if word.isascii() and word.isdigit():
            # An index counts in the order of the bus, and differs from the minor number on big machines.
            return self._listed[int(word)].uuid if int(word) < len(self._listed) else None
        match = _MINOR.fullmatch(word)
        minor = int(match[1] or match[2]) if match else None
        return next((gpu.uuid for gpu in self._listed if gpu.minor == minor), None)

    def _look(self) -> bool:
        self._listed = sorted(_listed(self._folder))
        return bool(self._listed)


def is_gpu(resource: str, device_id: str) -> bool:
    """Whether this should be a GPU of NVIDIA's, so that not knowing which is worth a word."""
    return resource.startswith(RESOURCES) or bool(_UUID.fullmatch(device_id.split("::")[0]))


def _listed(folder: str) -> Iterator[Gpu]:
    for bus in os.listdir(folder) if os.path.isdir(folder) else ():
        try:
            with open(f"{folder}/{bus}/information", encoding="utf-8", errors="replace") as file:
                lines = (line.partition(":") for line in file)
                said = {key.strip(): value.strip() for key, _, value in lines}
        except OSError:
            continue
        minor, uuid = said.get("Device Minor", ""), said.get("GPU UUID", "")
        # An excluded GPU is not listed by NVML, and so has no index.
        if is_number(minor) and _UUID.fullmatch(uuid) and "Yes" not in (said.get("GPU Excluded"), said.get("Blacklisted")):
            yield Gpu(bus.rjust(16, "0"), int(minor), uuid)
