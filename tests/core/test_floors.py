"""A floor is learnt from a measured, quiet second or more, and from nothing else."""

import pytest
from tests.core.made import CPU, DRAM, GPU, RIVAL, TREE, S, at

from wattledger.core.floors import MEMORY, floor_taught
from wattledger.core.lanes import EnergyCurve
from wattledger.core.model import IDLE, Device, IdleFloor, Interval, Method, Workload


def curve(power_w: float, length_s: float = 1, device: Device = CPU, method: Method = "counter") -> EnergyCurve:
    interval = Interval(device, at(0), at(length_s), round(power_w * length_s * 1e6), method)
    found = EnergyCurve(interval)
    found.add(interval)
    return found


def taught_w(found: IdleFloor | None) -> float | None:
    return None if found is None else found.power_uw / 1e6


QUIET: dict[Workload, int] = {IDLE: 980, TREE: 15, RIVAL: 5}


def test_a_quiet_second_teaches_the_floor() -> None:
    assert floor_taught(curve(20), QUIET, None, at(9)) == IdleFloor(CPU.id, "empty", 20_000_000, at(9), 1)


@pytest.mark.parametrize(
    "weights", [{}, {TREE: 1}, {IDLE: 979, TREE: 21}, {IDLE: 0}], ids=["unseen", "no idle said", "busy", "no idle"]
)
def test_without_idle_being_said_there_is_no_floor(weights: dict[Workload, int]) -> None:
    assert floor_taught(curve(20), weights, None, at(9)) is None


def test_less_than_a_second_teaches_nothing() -> None:
    assert floor_taught(curve(20, 0.99), QUIET, None, at(9)) is None


def test_a_model_teaches_nothing() -> None:
    assert floor_taught(curve(20, method="estimated"), QUIET, None, at(9)) is None
    assert taught_w(floor_taught(curve(20, device=GPU, method="integrated"), QUIET, None, at(9))) == 20


def test_memory_has_no_floor_of_its_own() -> None:
    assert floor_taught(curve(20, device=DRAM), QUIET, None, at(9)) is None


def test_a_table_counts_for_nothing_once_a_real_floor_is_seen() -> None:
    table = IdleFloor(CPU.id, "empty", 99_000_000, None, 0)
    assert floor_taught(curve(20), QUIET, table, at(9)) == IdleFloor(CPU.id, "empty", 20_000_000, at(9), 1)


def test_a_floor_is_the_mean_of_what_taught_it() -> None:
    floor = None
    for power_w in (10, 20, 60):
        floor = floor_taught(curve(power_w), QUIET, floor, at(9))
    assert (taught_w(floor), floor and floor.n) == (30, 3)


def test_a_floor_forgets_slowly() -> None:
    old = IdleFloor(CPU.id, "empty", 10_000_000, at(0), 10 * MEMORY)
    new = floor_taught(curve(75), QUIET, old, at(9))
    assert taught_w(new) == 11  # one of 65
    assert new is not None
    assert new.n == MEMORY + 1


def test_a_floor_is_dated() -> None:
    floor = floor_taught(curve(20), QUIET, None, at(S))
    assert floor is not None
    assert floor.learnt_at == at(S)
