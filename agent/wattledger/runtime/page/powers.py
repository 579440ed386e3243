"""Who draws how much: each device's power, divided as its energy was since a mark.

Devices are read at different times (a BMC each ten seconds, a register each second), so what a workload got since a mark comes in
lumps; its part of what a device gave does not.  Summed over workloads it is the devices' power.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from wattledger.core.model import Instant, Workload
from wattledger.core.totals import EnergyKey, Snapshot
from wattledger.core.units import NS_PER_S, UJ_PER_J

LUMPY = "rest"  # what a BMC says, less the parts: it comes by the ten seconds


class Mark(NamedTuple):
    """A tick: what everybody had got until then, and what each device drew."""

    at: Instant
    snapshot: Snapshot

    @property
    def lumpy(self) -> frozenset[str]:
        """Devices whose energy comes late and at once."""
        return frozenset(device.id for device in self.snapshot.devices.values() if device.kind == LUMPY)


def mean_w(marks: Iterable[Mark], now: Mark) -> dict[Workload, float]:
    """Mean power of each workload since the newest of ``marks`` (oldest first): its energy by the time, and of what comes in lumps
    its part, as far back as the oldest, of the power of now."""
    return _watts([*marks], now, live=False)


def now_w(marks: Iterable[Mark], now: Mark) -> dict[Workload, float]:
    """Power of each workload: of every device's power of now the part that it had of its energy since the newest mark."""
    return _watts([*marks], now, live=True)


def _watts(marks: list[Mark], now: Mark, *, live: bool) -> dict[Workload, float]:
    if not marks:
        return {}
    lumpy, length_s = now.lumpy, (now.at.mono_ns - marks[-1].at.mono_ns) / NS_PER_S
    got = {device: of for device, of in gained(marks[-1], now).items() if device not in lumpy}
    if lumpy:
        got |= {device: of for device, of in gained(marks[0], now).items() if device in lumpy}
    found: dict[Workload, float] = {}
    for device, of in got.items():
        whole_uj = sum(of.values())
        if not whole_uj:
            continue
        drawn_uw = now.snapshot.power_uw.get(device, 0) if live or device in lumpy else whole_uj / length_s
        for workload, uj in of.items():
            found[workload] = found.get(workload, 0.0) + drawn_uw * uj / whole_uj / UJ_PER_J
    return found


def gained(before: Mark, now: Mark) -> dict[str, dict[Workload, int]]:
    """By device, what each workload got in between.  Whose series has gone meanwhile has nothing, rather than less than nothing."""
    known: Mapping[EnergyKey, int] = before.snapshot.energy_uj
    found: dict[str, dict[Workload, int]] = {}
    for key, uj in now.snapshot.energy_uj.items():
        more_uj = uj - known.get(key, 0)
        if more_uj > 0:
            workload, device, _, _ = key
            of = found.setdefault(device, {})
            of[workload] = of.get(workload, 0) + more_uj
    return found
