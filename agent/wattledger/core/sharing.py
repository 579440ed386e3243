"""Inside a cell: how a tree's part follows its slices, what the rest of the host draws, and how much to doubt a share."""

from collections.abc import Mapping, Sequence
from math import log
from typing import NamedTuple

from wattledger.core.attribution import Cell, Split, split
from wattledger.core.lanes import EnergyCurve
from wattledger.core.model import Device, Factor, Instant, Interval, Workload
from wattledger.core.spans import Lane, LanePart, Slice
from wattledger.core.units import NS_PER_S, energy_uj

REST = Device("rest", "rest", "fans, board and conversion losses")

# How far a share may be off when others use the device too, g95 (carbon.md 8.4; memory: METRION's DRAM error of 16 %, science.md
# 3.2, as one sigma).  ``context_ns`` counts contexts, not work: an equal split.
SHARE_G95 = {"cpu_ns": 1.25, "byte_ns": 1.37, "sm_ns": 1.7, "context_ns": 3.0}

# A floor from a table may be off by half: idle draws of one CPU model differ by that much between boards [O].
TABLE_FLOOR_DOUBT = 0.5


class LaneShares:
    """What a cell's devices came to: by workload, and by slice of each tree.  State of one close, thrown away after it."""

    def __init__(self) -> None:
        self.energy_uj = 0
        self.active_uj: dict[Workload, int] = {}
        self.by_slice: dict[Workload, list[int]] = {}

    def add(self, divided: Split, curve: EnergyCurve) -> None:
        """One device's split, before anything is taken out of it."""
        self.energy_uj += curve.energy_uj
        for part in (divided.active, divided.held):
            for workload, uj in part.items():
                self.active_uj[workload] = self.active_uj.get(workload, 0) + uj

    def slices(self, tree: Workload, part: LanePart) -> None:
        """A tree's energy by slice, so that the rest of the host can follow it."""
        uj = split(part.active_uj + part.held_uj, part.weights)
        before = self.by_slice.get(tree)
        self.by_slice[tree] = uj if before is None else [a + b for a, b in zip(before, uj, strict=True)]


def slice_weights(
    curve: EnergyCurve, cell: Cell, tree: Workload, slices: Sequence[Slice], energies_uj: Sequence[int]
) -> list[int]:
    """By what a tree's part of a device is divided between its slices: by energy, and on a CPU by whose work it was.

    On a CPU that others use too, a slice's energy is partly theirs: the tree's part of it is dynamic x own / (own + others), with
    others taken as even over the cell (they are seen once a second, boundaries a thousand times).
    """
    lengths = [s.end_ns - s.start_ns for s in slices]
    if curve.device.kind != "cpu" or any(s.cpu_ns is None for s in slices):
        return list(energies_uj) if any(energies_uj) else lengths
    span_ns = max(1, sum(lengths))
    own_ns = [s.cpu_ns or 0 for s in slices]
    children_ns = max(0, cell.weights.get(tree, 0) - sum(own_ns))
    others_ns = sum(used for who, used in cell.weights.items() if who != tree)
    weights = []
    for length, own, energy in zip(lengths, own_ns, energies_uj, strict=True):
        used = own + children_ns * length / span_ns
        busy = used + others_ns * length / span_ns
        if curve.method == "estimated":
            weights.append(int(used))
        else:
            dynamic = max(0, energy - energy_uj(cell.floor_uw or 0, length))
            weights.append(int(dynamic * used / busy) if busy else 0)
    return weights if any(weights) else lengths


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


class Doubt(NamedTuple):
    """What makes a device's share uncertain in this cell, beside its sensor."""

    unit: str
    table_floor: bool
    peak_uw: int

    def note(self, lane: Lane, part: LanePart, slices: Sequence[Slice], cell: Cell, divided: Split) -> None:
        """Add to every open span of the tree: the peak an endpoint may have missed, idle energy on a table floor, and the spread of
        the sharing, which vanishes where there is nobody to share with."""
        everyone = sum(cell.weights.values())
        mine = cell.weights.get(part.tree, 0) / everyone if everyone else 0.0
        spread_uj = part.active_uj * (1.0 - mine) * log(SHARE_G95.get(self.unit, 1.0))
        table_uj = divided.idle_uj * mine * TABLE_FLOOR_DOUBT if self.table_floor else 0.0
        for piece in slices:
            fraction = (piece.end_ns - piece.start_ns) * NS_PER_S // max(1, cell.duration_ns) / NS_PER_S
            for account in piece.open:
                sums = account.lane(lane)
                sums.peak_uw = max(sums.peak_uw, self.peak_uw)
                sums.spread_uj += spread_uj * fraction
                sums.doubt_uj += int(table_uj * fraction)
