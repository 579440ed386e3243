"""MIG slices: who used how much of a GPU that is cut into parts, and which part of which GPU each slice is.

A slice used size x activity of the whole, so that the energy above idle is shared by s_i a_i / sum(s_j a_j) (science.md section
1.6); its processes share that by what the driver saw of them, else equally.  Pure.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from wattledger.core.model import Instant, Member
from wattledger.sources.nvml.driver import Slice

NO_INSTANCE = -1  # of a GPU that is not cut
NOBODY = "(unattributed)"  # a slice that worked, and nobody was seen in it


class Seat(NamedTuple):
    """A slice (or the whole GPU) and who computes in it: its part of the GPU, the GPU instance it lies in, process ids."""

    part: float
    gpu_instance: int
    pids: tuple[int, ...]


Seats = Mapping[str, Seat]  # by MIG UUID


def use_percent(
    before: Seats, now: Seats, activity: Mapping[int, float], sm_percent: Mapping[str, Mapping[str, float]]
) -> dict[str, float] | None:
    """Mean use of the whole GPU between two looks by each process; ``None`` where the activity of a slice that somebody was in is
    not known.

    ``activity`` is by GPU instance (0 to 1), ``sm_percent`` by slice and process, where the driver tells it.  Several compute
    instances may share a GPU instance: those that somebody was in share its activity by their sizes.
    """
    used: dict[str, float] = {}
    for instance, uuids in _by_instance({**before, **now}).items():
        taken = [uuid for uuid in uuids if any(uuid in seats and seats[uuid].pids for seats in (before, now))]
        if instance not in activity:
            if taken:
                return None
            continue
        for uuid in taken or uuids:
            ends = [seats[uuid].pids for seats in (before, now) if uuid in seats]
            percent = 100 * (now.get(uuid) or before[uuid]).part * activity[instance]
            for who, share in _shares(ends, sm_percent.get(uuid, {})).items():
                used[who] = used.get(who, 0.0) + percent * share
    return used


def _by_instance(seats: Seats) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for uuid, seat in seats.items():
        found.setdefault(seat.gpu_instance, []).append(uuid)
    return found


def _shares(ends: Iterable[tuple[int, ...]], sm_percent: Mapping[str, float]) -> dict[str, float]:
    """How the processes of one slice share its work; each end of the time stands for the half next to it."""
    whole = sum(sm_percent.values())
    if whole > 0:
        return {who: percent / whole for who, percent in sm_percent.items()}
    taken = [pids for pids in ends if pids]
    if not taken:
        return {NOBODY: 1.0}
    shares: dict[str, float] = {}
    for pids in taken:
        for pid in pids:
            shares[f"pid:{pid}"] = shares.get(f"pid:{pid}", 0.0) + 1.0 / len(pids) / len(taken)
    return shares


def places(device_id: str, slices: Iterable[Slice]) -> dict[str, str]:
    """Where each slice lies, as members of a device: ``device:MIG-…`` is of ``device:GPU-…@0.428571``, its part of that."""
    return {f"device:{one.uuid}": f"device:{device_id}@{one.part:.6f}" for one in slices}


def members(before: Mapping[str, str], now: Mapping[str, str], at: Instant) -> list[Member]:
    """What has changed about the places of slices; one that is no more is of nothing."""
    told = [Member(who, at, of) for who, of in now.items() if before.get(who) != of]
    return [*(Member(who, at, None) for who in before if who not in now), *told]
