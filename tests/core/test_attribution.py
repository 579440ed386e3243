"""One policy, by hand: activity pays the dynamic part, holders pay the idle."""

import pytest
from tests.core.made import S

from wattledger.core.attribution import PPM, Cell, Split, share_out, split
from wattledger.core.model import AGENT, IDLE, UNATTRIBUTED, Workload

A, B = Workload("a"), Workload("b")
J = 1_000_000


def cell(
    energy_j: float,
    weights: dict[Workload, int] | None = None,
    parts: dict[Workload, float] | None = None,
    floor_w: float | None = None,
) -> Cell:
    """One second of a device."""
    ppm = {w: round(part * PPM) for w, part in (parts or {}).items()}
    return Cell(round(energy_j * J), S, weights or {}, ppm, None if floor_w is None else round(floor_w * J))


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (10, [1, 1], [5, 5]),
        (10, [1, 1, 1], [4, 3, 3]),  # the remainder goes to the first of equals
        (11, [1, 1, 1], [4, 4, 3]),
        (10, [6, 3], [7, 3]),  # 6.67 and 3.33: the largest remainder
        (1, [1, 2, 1], [0, 1, 0]),
        (7, [0, 5, 0], [0, 7, 0]),
        (7, [0, 0], [7, 0]),  # nobody to tell apart: undivided
        (0, [3, 4], [0, 0]),
        (7, [], []),
        (10**30, [1, 3], [25 * 10**28, 75 * 10**28]),  # int64 would overflow, a float would round
    ],
)
def test_an_int_is_split_by_largest_remainder(total: int, weights: list[int], parts: list[int]) -> None:
    assert split(total, weights) == parts


def test_activity_pays_the_dynamic_part() -> None:
    found = share_out(cell(100, {A: 3, B: 1}, floor_w=20))
    assert found == Split({A: 60 * J, B: 20 * J}, {IDLE: 20 * J}, 20 * J)


def test_a_holder_pays_the_idle_it_holds_and_nobody_the_rest() -> None:
    found = share_out(cell(100, {A: 1}, {A: 0.25}, floor_w=40))
    assert found == Split({A: 60 * J}, {A: 10 * J, IDLE: 30 * J}, 40 * J)


def test_who_does_nothing_still_pays_for_what_it_holds() -> None:
    found = share_out(cell(40, {}, {B: 1.0}, floor_w=40))
    assert found == Split({}, {B: 40 * J}, 40 * J)


def test_a_device_that_was_seen_to_rest_is_all_idle_whatever_its_floor() -> None:
    assert share_out(cell(42, {IDLE: 1}, {B: 0.5}, floor_w=40)) == Split({}, {B: 21 * J, IDLE: 21 * J}, 42 * J)
    assert share_out(cell(42, {IDLE: 1}, {B: 1.0})) == Split({}, {B: 42 * J}, 42 * J)
    assert share_out(cell(42, {IDLE: 1, A: 1}, {B: 1.0}, floor_w=40)).active == {IDLE: J, A: J}


def test_holders_of_more_than_all_share_it() -> None:
    assert share_out(cell(40, {}, {A: 1.0, B: 1.0}, floor_w=40)).held == {A: 20 * J, B: 20 * J}
    assert share_out(cell(40, {}, {A: 3.0, B: 1.0}, floor_w=40)).held == {A: 30 * J, B: 10 * J}


def test_energy_with_no_work_to_show_for_it_is_unattributed() -> None:
    assert share_out(cell(100, floor_w=30)) == Split({UNATTRIBUTED: 70 * J}, {IDLE: 30 * J}, 30 * J)
    assert share_out(cell(100, {A: 0}, {A: 0})) == Split({UNATTRIBUTED: 100 * J}, {}, 0)


def test_where_the_floor_is_not_known_everything_is_dynamic() -> None:
    assert share_out(cell(100, {A: 1}, {B: 1.0})) == Split({A: 100 * J}, {}, 0)


def test_a_device_below_its_floor_is_all_idle() -> None:
    assert share_out(cell(15, {A: 1}, floor_w=20)) == Split({A: 0}, {IDLE: 15 * J}, 15 * J)


def test_the_agent_pays_like_anybody() -> None:
    assert share_out(cell(100, {A: 99, AGENT: 1})).active == {A: 99 * J, AGENT: J}


def test_a_device_that_drew_nothing_gives_nothing() -> None:
    assert share_out(cell(0, floor_w=20)) == Split({}, {}, 0)


def test_an_idle_that_is_said_gets_what_nobody_holds_besides() -> None:
    assert share_out(cell(40, {}, {IDLE: 0.5, A: 0.25}, floor_w=40)).held == {IDLE: 30 * J, A: 10 * J}


def test_who_gets_nothing_of_the_idle_is_not_named() -> None:
    assert share_out(Cell(1, S, {}, {A: 1, B: PPM - 1}, 10**6)).held == {B: 1}
