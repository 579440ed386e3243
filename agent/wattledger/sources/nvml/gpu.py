"""One GPU as this source sees it, and how it is found out what it can tell."""

from collections.abc import Sequence
from typing import Any

from wattledger.core.model import Device
from wattledger.sources.nvml import driver as nvml
from wattledger.sources.nvml.contexts import Contexts
from wattledger.sources.nvml.driver import Driver, Register, Slice
from wattledger.sources.nvml.sanity import Gate

# How far the register may lag, by architecture (science.md section 1.1).
REFRESH_NS = {nvml.PASCAL: 20_000_000, nvml.VOLTA: 20_000_000}
USUAL_REFRESH_NS = 100_000_000


class Gpu:
    """State: the driver's handle (void after a reload), the gate over its power sensor, and the account of its
    processes.

    ``device`` is what the energy register counts and ``board`` what the power sensor sees.  They are one, but on a
    Grace Hopper: there the register is the whole module's (GPU, Grace, memory: Zeus#172), and the GPU, read by power,
    lies inside it.
    """

    def __init__(self, driver: Driver, handle: Any, uuid: str, name: str) -> None:
        self.uuid, self.name = uuid, name
        self.limit_uw = driver.limit_uw(handle)
        self.board = _board(uuid, name, int(driver.ask("nvmlDeviceGetArchitecture", handle) or 0), self.limit_uw)
        self.device = self.board
        self.attach(driver, handle)
        if self.register is not None and _is_grace_hopper(driver, handle):
            self.device = _module(driver, handle, self.board)
            self.board = self.board._replace(inside=self.device.id)
        self.contexts = Contexts(self.device.id)
        self.gate = Gate()
        self.doubted = False
        self.gone = False
        self.seen_us = 0

    def attach(self, driver: Driver, handle: Any) -> None:
        """Take a handle that is valid now, and ask what it can do."""
        self.handle = handle
        self.register: Register | None = driver.register(handle)
        self.instant = bool(driver.field(handle, nvml.POWER_INSTANT, nvml.GPU))
        self.powered = self.instant or driver.has_power(handle)
        self.slices: Sequence[Slice] | None = driver.slices(handle)

    @property
    def counted(self) -> bool:
        """Whether its energy comes from a register that is believed."""
        return self.register is not None and not (self.doubted and self.board is self.device)

    def devices(self) -> list[Device]:
        return [self.board] if self.board is self.device else [self.device, self.board]

    def relimit(self, limit_uw: int | None) -> None:
        """The operator has moved the power limit."""
        was = self.board
        self.limit_uw = limit_uw
        self.board = was._replace(cap_uw=cap_uw(limit_uw))
        self.device = self.board if self.device is was else self.device

    def __repr__(self) -> str:
        return f"<Gpu {self.uuid} {'gone' if self.gone else 'counter' if self.counted else 'power'}>"


def cap_uw(limit_uw: int | None) -> int | None:
    """The most that it can really draw (design.md section 4)."""
    return None if limit_uw is None else limit_uw * 13 // 10


def _board(uuid: str, name: str, arch: int, limit_uw: int | None) -> Device:
    return Device(uuid, "gpu", name, None, REFRESH_NS.get(arch, USUAL_REFRESH_NS), cap_uw(limit_uw))


def _module(driver: Driver, handle: Any, board: Device) -> Device:
    limit_mw = driver.field(handle, nvml.POWER_LIMIT, nvml.MODULE)
    limit_uw = limit_mw * 1000 if limit_mw else None
    model = f"{board.model} module"
    return Device(f"{board.id}/module", "accelerator", model, None, board.refresh_ns, cap_uw(limit_uw))


def _is_grace_hopper(driver: Driver, handle: Any) -> bool:
    """Only a superchip knows a module scope.  On Grace Blackwell two GPUs share one module, which neither of them can
    be said to be, and what their registers count is not documented: those stay plain GPUs."""
    hopper = driver.ask("nvmlDeviceGetArchitecture", handle) == nvml.HOPPER
    return hopper and bool(driver.field(handle, nvml.POWER_INSTANT, nvml.MODULE))
