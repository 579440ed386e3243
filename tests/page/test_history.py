"""The last hour: bounded, nothing is invented for who was not there, and power that adds up to the devices'."""

import pytest
from tests.page.boards import at, board, gpu, snapshot, workload

from wattledger.core.model import IDLE, Device
from wattledger.core.totals import Snapshot
from wattledger.runtime.page.history import POINTS, History
from wattledger.runtime.page.powers import Mark, now_w

A, B = workload(1), workload(2)
J = 1_000_000


def marks(*looks: tuple[float, Snapshot]) -> list[Mark]:
    return [Mark(at(seconds), each) for seconds, each in looks]


def test_a_step_is_the_mean_power_over_it() -> None:
    history = History()
    for mark in marks((0, snapshot({(A, 0): 0})), (10, snapshot({(A, 0): 500 * J})), (20, snapshot({(A, 0): 2500 * J}))):
        history.add(mark, 300.0)
    assert [(r.power_w, r.g_per_kwh) for r in history.curve([A])] == [(50.0, 300.0), (200.0, 300.0)]
    assert [r.end_s - r.start_s for r in history.curve([A])] == [10.0, 10.0]


def test_who_draws_nothing_has_a_hole_and_not_a_zero() -> None:
    history = History()
    looks = [(0, 0, 0), (10, 100, 0), (20, 100, 50), (30, 300, 90)]
    for seconds, a, b in looks:
        history.add(Mark(at(seconds), snapshot({(A, 0): a * J, (B, 1): b * J})), None)
    assert [r.power_w for r in history.curve([A])] == [10.0, None, 20.0]
    assert [r.power_w for r in history.curve([B])] == [5.0, 4.0]
    assert [r.power_w for r in history.curve([A, B])] == [10.0, 5.0, 24.0]
    assert history.curve([workload(9)]) == []


def test_memory_is_bounded_in_workloads_and_in_steps() -> None:
    history = History(rows=3, points=5)
    for n in range(40):
        grown = {(workload(k), 0): (n + 1) * (k + 1) * J for k in range(8)}
        history.add(Mark(at(10 * n), snapshot(grown)), None)
    assert len(history.names()) == 3
    assert {len(history.curve([name])) for name in history.names()} == {5}
    assert POINTS * 10 == 3600


def test_a_silent_one_makes_room_for_a_new_one_and_one_that_draws_does_not() -> None:
    history = History(rows=1, points=5)
    for seconds, a, b in [(0, 0, 0), (10, 10, 0), (20, 20, 5), (30, 20, 10), (40, 20, 15)]:
        history.add(Mark(at(seconds), snapshot({(A, 0): a * J, (B, 0): b * J, (IDLE, 0): 0})), None)
        if seconds == 20:
            assert history.names() == [A]
    assert history.names() == [B]


def test_a_series_that_went_takes_nothing_away() -> None:
    before, now = marks((0, snapshot({(A, 0): 900 * J, (B, 0): 0})), (10, snapshot({(B, 0): 100 * J})))
    history = History()
    history.add(before, None)
    history.add(now, None)
    assert [r.power_w for r in history.curve([B])] == [10.0]
    assert history.curve([A]) == []


def test_power_of_now_adds_up_to_the_devices() -> None:
    before = snapshot({(A, 0): 0, (B, 0): 0, (A, 1): 0})
    after = snapshot({(A, 0): 30 * J, (B, 0): 10 * J, (A, 1): 7 * J}, power_w=(400.0, 90.0))
    watts = now_w([Mark(at(0), before)], Mark(at(3), after))
    assert watts == pytest.approx({A: 300.0 + 90.0, B: 100.0})
    assert sum(watts.values()) == pytest.approx(sum(after.power_uw.values()) / 1e6)


def test_what_comes_in_lumps_is_divided_as_it_was_when_it_came() -> None:
    rest = Device("GPU-1", "rest", "fans")

    def look(a: int, lump: int) -> Snapshot:
        found = snapshot({(A, 0): a * J, (A, 1): lump * J}, power_w=(100.0, 50.0))
        return found._replace(devices={gpu(0).id: gpu(0), rest.id: rest})

    first, second = marks((0, look(0, 0)), (10, look(100, 500)))
    # Nothing of the lump since the newest mark: it is divided as the last one was, at the power of now.
    assert now_w([first, second], Mark(at(14), look(140, 500))) == pytest.approx({A: 150.0})


def test_a_look_within_a_step_adds_none() -> None:
    found = board(*((seconds, snapshot({(A, 0): int(seconds * J)})) for seconds in (0, 1, 2, 9.9, 10, 11, 20)))
    assert [r.power_w for r in found.history.curve([A])] == pytest.approx([1.0, 1.0])
