"""Cumulative totals → Snapshot.  Totals only grow; reading a snapshot changes nothing."""

from collections.abc import Mapping
from typing import NamedTuple

from wattledger.core.model import Device, Factor, Method, Use, Work, Workload

EnergyKey = tuple[Workload, str, Method, Use]
DeviceKey = tuple[str, Method]


class Health(NamedTuple):
    """How one source fares: ``up``, seconds of its last read, reads that failed, and a line about the last failure."""

    up: bool
    read_s: float
    errors: int
    last_error: str = ""


class Snapshot(NamedTuple):
    """Everything an exporter may say, frozen: microjoules by (workload, device, method, use) and by device, work, grams, health.

    ``residual_uj`` compares two accumulators that never meet: what the meter measured and what attribution handed out.  It must
    read zero for every device.
    """

    devices: Mapping[str, Device]
    energy_uj: Mapping[EnergyKey, int]
    device_energy_uj: Mapping[DeviceKey, int]
    subdevice_energy_uj: Mapping[DeviceKey, int]
    power_uw: Mapping[str, int]
    residual_uj: Mapping[str, int]
    emissions_g: Mapping[Workload, float]
    work: Mapping[Workload, Work]
    grid: Factor | None
    health: Mapping[str, Health]


class Totals:
    """The sums since the pipeline began.  State: ints that only grow."""

    def __init__(self) -> None:
        self.devices: dict[str, Device] = {}
        self.energy_uj: dict[EnergyKey, int] = {}
        self.device_energy_uj: dict[DeviceKey, int] = {}
        self.subdevice_energy_uj: dict[DeviceKey, int] = {}
        self.power_uw: dict[str, int] = {}
        self.emissions_g: dict[Workload, float] = {}
        self.work: dict[Workload, Work] = {}

    def add(self, key: EnergyKey, energy_uj: int) -> None:
        """A share is handed out."""
        if energy_uj:
            self.energy_uj[key] = self.energy_uj.get(key, 0) + energy_uj

    def add_work(self, work: Work) -> None:
        """Tokens and requests, by workload."""
        old = self.work.get(work.workload)
        if old is not None:
            sums = [a + b for a, b in zip(old[2:6], work[2:6], strict=True)]
            work = Work(work.workload, work.at, *sums)
        self.work[work.workload] = work

    def residual_uj(self) -> dict[str, int]:
        """Per device: measured minus handed out."""
        rest: dict[str, int] = {}
        for (device, _), uj in self.device_energy_uj.items():
            rest[device] = rest.get(device, 0) + uj
        for (_, device, _, _), uj in self.energy_uj.items():
            rest[device] = rest.get(device, 0) - uj
        return rest

    def snapshot(self, grid: Factor | None, health: Mapping[str, Health]) -> Snapshot:
        """A frozen copy."""
        return Snapshot(
            dict(self.devices),
            dict(self.energy_uj),
            dict(self.device_energy_uj),
            dict(self.subdevice_energy_uj),
            dict(self.power_uw),
            self.residual_uj(),
            dict(self.emissions_g),
            dict(self.work),
            grid,
            dict(health),
        )
