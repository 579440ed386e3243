"""Today: counted once, from midnight (UTC) or from the agent's start, and the page says which."""

import pytest
from tests.page.boards import NOON_S, S, at, snapshot, workload

from wattledger.core.model import Instant
from wattledger.runtime.page.today import Today, less, sums_of

A = workload(1)
J = 1_000_000
HALF_DAY_S = 43_200


def test_it_counts_from_the_agents_start() -> None:
    today = Today(at(0))
    today.look(at(60), snapshot({(A, 0): 5 * J}))
    sums, since_s = today.so_far(snapshot({(A, 0): 9 * J}))
    assert (sums.energy_uj["GPU-0", "counter"], since_s) == (1009 * J, NOON_S)


def test_at_midnight_it_begins_anew() -> None:
    today = Today(at(0))
    before, after = snapshot({(A, 0): 5 * J}), snapshot({(A, 0): 11 * J})
    today.look(at(HALF_DAY_S - 1), snapshot({(A, 0): 4 * J}))
    today.look(at(HALF_DAY_S), before)
    today.look(at(HALF_DAY_S + 1), after)  # a later look changes nothing
    sums, since_s = today.so_far(after)
    assert (sums.energy_uj["GPU-0", "counter"], since_s) == (6 * J, NOON_S + HALF_DAY_S)
    assert sums.location_g == pytest.approx(6 / 3.6e6 * 300)


def test_a_clock_that_is_set_back_does_not_begin_a_day() -> None:
    today = Today(at(HALF_DAY_S + 5))
    today.look(at(HALF_DAY_S - 5), snapshot({(A, 0): 5 * J}))
    assert today.so_far(snapshot({(A, 0): 7 * J}))[0].energy_uj["GPU-0", "counter"] == 1007 * J


def test_what_nobody_knows_is_not_zero() -> None:
    sums = sums_of(snapshot({(A, 0): J}, grid=None))
    assert (sums.location_g, sums.embodied_g, sums.water_l, sums.cost) == (None, None, {}, {})
    assert less(sums, sums).location_g is None
    assert Instant(0, NOON_S * S) < at(0)
