"""Sums with their intervals: joules by the gains of the sensors that read them, grams by the grid's factor beside."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from wattledger.core.model import Device, Factor
from wattledger.core.pricing import OF_THE_HOUR
from wattledger.core.totals import DeviceKey
from wattledger.core.uncertainty import Quantity, Term, scale, total
from wattledger.core.units import UJ_PER_J
from wattledger.factors import gains
from wattledger.runtime.prices import mismatch_g95


class Read(NamedTuple):
    """Microjoules of one kind and model of device by one method, of which ``spread_uj`` may be another workload's."""

    kind: str
    model: str
    method: str
    energy_uj: int
    spread_uj: int = 0


def reads(energy_uj: Mapping[DeviceKey, int], devices: Mapping[str, Device]) -> list[Read]:
    """Sums by device and method with what the devices are."""
    return [Read(devices[d].kind, devices[d].model, method, uj) for (d, method), uj in energy_uj.items() if d in devices]


def energy_j(parts: Iterable[Read], length_s: float) -> Quantity:
    """Joules.  Errors of one model of sensor add up, those of different ones in quadrature (carbon.md 8.1)."""
    parts = list(parts)
    terms = [
        Term(read.energy_uj / UJ_PER_J, f"{read.kind}:{read.model}:{read.method}", _g95(read, length_s)) for read in parts
    ]
    spread_j = sum(read.spread_uj for read in parts) / UJ_PER_J
    return total([*terms, Term(0.0, "", 1.0, edge=spread_j)] if spread_j else terms)


def _g95(read: Read, length_s: float) -> float:
    return gains.gain(read.kind, read.model, read.method, length_s).g95  # type: ignore[arg-type]


def emitted_g(grams: float, energy: Quantity, grid: Factor | None, length_s: float) -> Quantity:
    """Grams that are known already, as sure as the energy and the grid's factor of now are."""
    if grid is None or energy.value <= 0 or grams <= 0:
        return Quantity(grams, grams, grams)
    mismatch = 1.0 if grid.quality in OF_THE_HOUR else mismatch_g95(length_s)
    return scale(energy, grams / energy.value, [grid.g95, mismatch], [grid.g95_high or grid.g95, mismatch])


def measured(parts: Iterable[Read]) -> float | None:
    """What part of the energy a sensor measured; ``None`` where there is none."""
    parts = list(parts)
    whole = sum(read.energy_uj for read in parts)
    return sum(read.energy_uj for read in parts if read.method != "estimated") / whole if whole else None
