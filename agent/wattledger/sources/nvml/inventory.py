"""Which GPUs there are, and when to look for ones that came, or came back."""

import os
from collections.abc import Container, Sequence
from typing import Any, NamedTuple

from wattledger.core.ports import Host
from wattledger.sources.nvml.driver import Driver, NvmlError
from wattledger.sources.nvml.gpu import Gpu
from wattledger.sources.nvml.visible import Card, choose

# A GPU that was plugged in, reset or cut into slices is found within this time.
SURVEY_NS = 30 * 10**9


class Found(NamedTuple):
    """The GPUs that are ours, a line for each that did not answer, and what had to be assumed."""

    gpus: list[Gpu]
    dead: list[str]
    notes: tuple[str, ...]


def find(driver: Driver, host: Host, known: Container[str] = ()) -> Found:
    """The GPUs that are ours, without those known already (by UUID); NvmlError where the driver is away."""
    handles, dead = _listed(driver)
    chosen, notes = choose(list(handles), host.environ, driver.parent_of)
    gpus = []
    for card in chosen:
        if card.uuid in known:
            continue
        try:
            gpu = Gpu(driver, handles[card], card.uuid, card.name)
            if gpu.register is None and not gpu.powered:
                raise NvmlError("unsupported", "neither an energy register nor a power sensor")
            gpus.append(gpu)
        except NvmlError as error:
            if error.trouble == "reload":
                raise
            dead.append(f"{card.name} {card.uuid} cannot be read: {error}")
    return Found(gpus, dead, notes)


def find_again(driver: Driver, known: Sequence[Gpu]) -> dict[str, str]:
    """Give the GPUs that are known their new handles; by UUID, why those do not answer that do not.  NvmlError where the driver is
    away."""
    refused = {}
    for gpu in known:
        try:
            gpu.attach(driver, driver.call("nvmlDeviceGetHandleByUUID", gpu.uuid))
        except NvmlError as error:
            if error.trouble == "reload":
                raise
            refused[gpu.uuid] = str(error)
    return refused


def _listed(driver: Driver) -> tuple[dict[Card, Any], list[str]]:
    handles, dead = {}, []
    for index in range(int(driver.call("nvmlDeviceGetCount"))):
        try:
            handle = driver.call("nvmlDeviceGetHandleByIndex", index)
            handles[Card(driver.call("nvmlDeviceGetUUID", handle), driver.call("nvmlDeviceGetName", handle))] = handle
        except NvmlError as error:
            if error.trouble == "reload":
                raise
            dead.append(f"GPU {index} cannot be read: {error}")
    return handles, dead


class Watch:
    """When to look again, and whether there is anything new.  State: the next time, and what was there at the last."""

    def __init__(self, driver: Driver, host: Host) -> None:
        self._driver = driver
        self._listing = f"{host.procfs}/driver/nvidia/gpus"
        self._next_ns: int | None = None
        self._seen = self._there()

    def due(self, at_ns: int) -> bool:
        """Whether it is time; then not again for half a minute, unless there is haste.  The first asking only begins."""
        if self._next_ns is None:
            self._next_ns = at_ns + SURVEY_NS
            return False
        if at_ns < self._next_ns:
            return False
        self._next_ns = at_ns + SURVEY_NS
        return True

    def hasten(self) -> None:
        """Something went wrong: look at the next occasion."""
        self._next_ns = 0

    def moved(self) -> bool:
        """Whether GPUs came or went since this was asked last, by NVML's count and the kernel module's own list: a running NVML
        need not notice what was plugged in after it."""
        before, self._seen = self._seen, self._there()
        return before != self._seen

    def _there(self) -> tuple[int, tuple[str, ...]]:
        try:
            listed = tuple(sorted(os.listdir(self._listing)))
        except OSError:
            listed = ()
        try:
            return int(self._driver.call("nvmlDeviceGetCount")), listed
        except NvmlError:
            return -1, listed
