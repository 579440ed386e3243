"""One GPU as this source sees it, and how it is found out what it can tell."""

from collections.abc import Sequence
from typing import Any

from wattledger.core.model import Device, Instant, Sample
from wattledger.sources.nvml import driver as nvml
from wattledger.sources.nvml.calls import Register
from wattledger.sources.nvml.contexts import Contexts
from wattledger.sources.nvml.driver import Driver, Slice
from wattledger.sources.nvml.gpm import Gpm, monitor
from wattledger.sources.nvml.mig import Seats, members, places
from wattledger.sources.nvml.sanity import Gate

# How far the register may lag, by architecture (science.md section 1.1).
REFRESH_NS = {nvml.PASCAL: 20_000_000, nvml.VOLTA: 20_000_000}
USUAL_REFRESH_NS = 100_000_000


class Gpu:
    """State: the driver's handle and what hangs on it (void after a reload), the gate over its power sensor, the account of its
    processes: who sat where at the last look (``seats``) and up to when their use was told (``seen_us``), what was said of its
    slices, and when its condition was told.

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
        self.told_at_ns = -(1 << 62)  # when its temperature and limit were said: never
        self.seats: Seats = {}
        self.seen_us: dict[str, int] = {}
        self._said: dict[str, str] = {}

    def attach(self, driver: Driver, handle: Any) -> None:
        """Take a handle that is valid now, and ask what it can do."""
        self.handle = handle
        self.register: Register | None = driver.register(handle)
        self.instant = bool(driver.field(handle, nvml.POWER_INSTANT, nvml.GPU))
        self.powered = self.instant or driver.has_power(handle)
        self.tells_use = True
        self.gpm: Gpm | None = None
        self.slices: Sequence[Slice] | None = None
        self.relist(driver)

    def relist(self, driver: Driver) -> None:
        """Look which MIG slices there are now: ``None`` when it is not cut, and its performance monitor where it is."""
        was_cut = self.slices is not None
        self.slices = driver.slices(self.handle)
        if self.slices is not None and not was_cut:
            self.gpm = monitor(driver, self.handle)
        elif self.slices is None:
            self.release()

    def release(self) -> None:
        """Let go of what hangs on the handle, before the driver is started anew."""
        if self.gpm is not None:
            self.gpm.release()
            self.gpm = None

    def told_slices(self, at: Instant) -> list[Sample]:
        """What has changed about where its slices lie, since this was asked last."""
        before, self._said = self._said, places(self.device.id, self.slices or ())
        return list(members(before, self._said, at))

    def end(self, at: Instant) -> list[Sample]:
        """It is gone: whoever was there is paid to the end and lets go, and its slices are of nothing."""
        self.gone = True
        self.slices = None
        self.release()
        return [*self.contexts.end(at), *self.told_slices(at)]

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
