"""Inside a cell: how a tree's part follows its slices, what the rest of the host draws, and how much to doubt a share."""

from collections.abc import Iterable, Mapping, Sequence
from math import log
from typing import NamedTuple

from wattledger.core.attribution import Cell, Split, split
from wattledger.core.lanes import EnergyCurve
from wattledger.core.model import Device, Factor, Instant, Interval, Workload
from wattledger.core.reserved import HOST, Service, paying
from wattledger.core.spans import LanePart, Slice
from wattledger.core.units import energy_uj

REST = Device("rest", "rest", "fans, board and conversion losses")

# How far a share may be off when others use the device too, g95 (carbon.md 8.4; memory: METRION's DRAM error of 16 %, science.md
# 3.2, as one sigma).  Cycles are half as far from the work done as CPU time is: total variation 0.05 against 0.10 on Kepler's
# recording (science.md 3.2).  ``context_ns`` counts contexts, not work: an equal split.
SHARE_G95 = {"cpu_ns": 1.25, "cycles": 1.12, "byte_ns": 1.37, "sm_ns": 1.7, "context_ns": 3.0}

# A floor from a table may be off by half: idle draws of one CPU model differ by that much between boards [O].
TABLE_FLOOR_DOUBT = 0.5


NO_RATES: Mapping[str, Factor] = {}


class LaneShares:
    """What a cell's devices came to: by workload, and by slice of each tree; and whom their time was for (``service``).  State of
    one close, thrown away after it."""

    def __init__(self, rates: Mapping[str, Factor] = NO_RATES, trees: Iterable[Workload] = ()) -> None:
        self._service = Service(rates, trees)
        self.energy_uj = 0
        self.active_uj: dict[Workload, int] = {}
        self.by_slice: dict[Workload, list[int]] = {}
        self.left_uj: dict[Workload, list[int]] = {}
        self.everyone_uj: dict[Workload, int] = {}
        self.held_uj: dict[Workload, int] = {}
        self.paid: set[str] = set()

    def add(self, divided: Split, curve: EnergyCurve) -> None:
        """One device's split, before anything is taken out of it; the rest of the host follows the others, so it comes last."""
        self.energy_uj += curve.energy_uj
        self.paid |= {curve.device.id, curve.device.kind}
        sums = [self.everyone_uj] if curve.device is REST else [self.active_uj, self.everyone_uj]
        for part in (divided.active, divided.held):
            for workload, uj in part.items():
                for found in sums:
                    found[workload] = found.get(workload, 0) + uj
        for workload, uj in divided.held.items():
            self.held_uj[workload] = self.held_uj.get(workload, 0) + uj
        self._service.device(curve, divided.active, divided.held)

    def serve(self, length_ns: int) -> Service:
        """All devices are in: the host's own time follows them together."""
        used_uj = {workload: uj - self.held_uj.get(workload, 0) for workload, uj in self.everyone_uj.items()}
        self._service.hand_out(HOST, length_ns, paying(used_uj, self.held_uj))
        return self._service

    def slices(self, tree: Workload, part: LanePart) -> None:
        """A tree's energy by slice, so that the rest of the host can follow it."""
        uj = split(part.active_uj + part.held_uj, part.weights)
        before = self.by_slice.get(tree)
        self.by_slice[tree] = uj if before is None else [a + b for a, b in zip(before, uj, strict=True)]


class Slicing(NamedTuple):
    """A device's energy by slice: all of it, the idle part, and the weights by which a tree's active part is divided."""

    energies_uj: list[int]
    idles_uj: list[int]
    weights: list[int]


def slicing(curve: EnergyCurve, cell: Cell, tree: Workload, slices: Sequence[Slice]) -> Slicing:
    """By what a tree's part of a device is divided between its slices: by energy above idle, and on a CPU by whose work it was.

    On a CPU that others use too, a slice's energy is partly theirs: the tree's part of it is dynamic x own / (own + others), with
    others taken as even over the cell (they are seen once a second, boundaries a thousand times).  A model's energy follows what
    ran.
    """
    energies = curve.cut([s.end_ns for s in slices])
    if len(slices) == 1:
        return Slicing(energies, energies, [1])
    lengths = [s.end_ns - s.start_ns for s in slices]
    clocked = curve.device.kind == "cpu" and all(s.cpu_ns is not None for s in slices)
    used, busy = _busy(cell, tree, slices, lengths) if clocked else (None, None)
    if busy is not None and curve.method == "estimated":
        idle_uj = min(curve.energy_uj, energy_uj(cell.floor_uw or 0, cell.duration_ns))
        idles = split(idle_uj, lengths)
        energies = [i + d for i, d in zip(idles, split(curve.energy_uj - idle_uj, busy), strict=True)]
    else:
        idles = [min(e, energy_uj(cell.floor_uw or 0, n)) for e, n in zip(energies, lengths, strict=True)]
    weights = [e - i for e, i in zip(energies, idles, strict=True)]
    if used is not None and busy is not None:
        weights = [w * u // b if b else 0 for w, u, b in zip(weights, used, busy, strict=True)]
    return Slicing(energies, idles, weights if any(weights) else energies if any(energies) else lengths)


def _busy(cell: Cell, tree: Workload, slices: Sequence[Slice], lengths: Sequence[int]) -> tuple[list[int], list[int]]:
    """CPU time by slice: the tree's (its own clock, and its children's spread evenly), and everybody's."""
    span_ns = max(1, sum(lengths))
    own_ns = [s.cpu_ns or 0 for s in slices]
    children_ns = max(0, cell.weights.get(tree, 0) - sum(own_ns))
    others_ns = sum(used for who, used in cell.weights.items() if who != tree)
    used = [own + children_ns * n // span_ns for own, n in zip(own_ns, lengths, strict=True)]
    return used, [u + others_ns * n // span_ns for u, n in zip(used, lengths, strict=True)]


def rest_interval(
    factors: Mapping[str, Factor], shares: LaneShares, start_ns: int, at: Instant
) -> tuple[EnergyCurve, int] | None:
    """What no sensor covers, as a curve of its own and its constant part: share x measured parts + offset x time.

    Source of the form: wall = 1.20 x software + 17..45 W left 0.7 to 3.9 % on 318 runs (science.md 4.5).
    """
    share, offset = factors.get("rest_share"), factors.get("rest_offset")
    length_ns = at.mono_ns - start_ns
    if share is None or length_ns <= 0 or not shares.energy_uj:
        return None
    idle_uj = energy_uj(int(offset.value * 1_000_000), length_ns) if offset is not None else 0
    start = Instant(start_ns, at.wall_ns - length_ns)
    interval = Interval(REST, start, at, int(shares.energy_uj * share.value) + idle_uj, "estimated")
    curve = EnergyCurve(interval)
    curve.add(interval)
    return curve, idle_uj


def spread_of(cell: Cell, tree: Workload, unit: str) -> float:
    """Of each active microjoule of a tree, how much may be another's: ln g95 of the way it was shared, times what others used of
    the device; nothing where there is nobody to share with."""
    everyone = sum(cell.weights.values())
    mine = cell.weights.get(tree, 0) / everyone if everyone else 0.0
    return (1.0 - mine) * log(SHARE_G95.get(unit, 1.0))


def table_doubt_uj(cell: Cell, tree: Workload, idle_uj: int) -> float:
    """Energy that a table's floor may have put on the wrong side of idle and active, as far as this tree is concerned."""
    everyone = sum(cell.weights.values())
    return idle_uj * TABLE_FLOOR_DOUBT * cell.weights.get(tree, 0) / everyone if everyone else 0.0
