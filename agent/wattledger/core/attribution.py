"""Interval → shares that sum to it exactly.  One policy (design.md section 7): activity pays the dynamic part, holders pay the
idle."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from wattledger.core.model import IDLE, UNATTRIBUTED, Workload
from wattledger.core.units import energy_uj


def split(total: int, weights: Sequence[int]) -> list[int]:
    """Divide an int by weights so that the parts sum to it exactly (largest remainder, earlier wins a tie).

    Weights are not negative; when all are zero, or there are none, everything stays undivided: ``[]`` or zeros with the total on
    the first.
    """
    if not weights:
        return []
    whole = sum(weights)
    if whole <= 0:
        return [total] + [0] * (len(weights) - 1)
    parts = [total * w // whole for w in weights]
    rest = total - sum(parts)
    if rest:
        by_remainder = sorted(range(len(weights)), key=lambda i: -(total * weights[i] % whole))
        for i in by_remainder[:rest]:
            parts[i] += 1
    return parts


class Cell(NamedTuple):
    """One device's energy over one attribution period, with what was seen of its use.

    ``weights``: activity by workload in that period; ``parts``: what each workload holds of the device, in parts per million;
    ``floor_uw``: its idle draw, ``None`` when nobody knows it.
    """

    energy_uj: int
    duration_ns: int
    weights: Mapping[Workload, int]
    parts: Mapping[Workload, int]
    floor_uw: int | None


class Split(NamedTuple):
    """The two payments of each workload; ``active`` and ``held`` together sum to the cell's energy."""

    active: dict[Workload, int]
    held: dict[Workload, int]
    idle_uj: int


PPM = 1_000_000


def share_out(cell: Cell) -> Split:
    """Dynamic energy by activity, idle energy by holding; what no one held is ``(idle)``, what no one can be named for
    ``(unattributed)``.

    Where somebody looked and nobody worked, all of it is idle energy: a floor is a mean, and no cell draws exactly that.
    """
    weights = {w: used for w, used in cell.weights.items() if used > 0}
    rests = weights.keys() == {IDLE}
    floor_uj = 0 if cell.floor_uw is None else energy_uj(cell.floor_uw, cell.duration_ns)
    idle_uj = cell.energy_uj if rests else min(cell.energy_uj, floor_uj)
    dynamic_uj = cell.energy_uj - idle_uj
    active: dict[Workload, int] = {}
    if weights and not rests:
        active = dict(zip(weights, split(dynamic_uj, list(weights.values())), strict=True))
    elif dynamic_uj:
        active = {UNATTRIBUTED: dynamic_uj}
    return Split(active, _pay_idle(idle_uj, cell.parts), idle_uj)


def _pay_idle(idle_uj: int, parts: Mapping[Workload, int]) -> dict[Workload, int]:
    if not idle_uj:
        return {}
    holders = {w: part for w, part in parts.items() if part > 0}
    free = max(0, PPM - sum(holders.values()))
    holders[IDLE] = holders.get(IDLE, 0) + free
    return {w: uj for w, uj in zip(holders, split(idle_uj, list(holders.values())), strict=True) if uj}
