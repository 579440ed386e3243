"""Today: counted once, from midnight (UTC) or from the agent's start, and the page says which."""

import pytest
from tests.page.boards import NOON_S, S, at, board, snapshot, workload

from wattledger.core.model import Instant
from wattledger.runtime.page.board import Board, Latest
from wattledger.runtime.page.earlier import Earlier
from wattledger.runtime.page.figures import Read
from wattledger.runtime.page.live import tiles
from wattledger.runtime.page.today import Today, less, sums_of

A = workload(1)
J = 1_000_000
HALF_DAY_S = 43_200


def latest(of: Board) -> Latest:
    assert of.latest is not None
    return of.latest


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


def test_after_a_wrong_clock_was_put_right_the_day_is_the_right_one() -> None:
    """It began a year ahead; waiting for that day would count a year as today."""
    today = Today(at(365 * 2 * HALF_DAY_S))
    today.look(at(3600), snapshot({(A, 0): 5 * J}))
    sums, since_s = today.so_far(snapshot({(A, 0): 7 * J}))
    assert (sums.energy_uj["GPU-0", "counter"], since_s) == (2 * J, NOON_S + 3600)


def test_of_a_clock_that_was_set_the_page_does_not_say_that_the_agent_began_then() -> None:
    of = board((0, snapshot({(A, 0): J})), (3 * HALF_DAY_S + 60, snapshot({(A, 0): 5 * J})))
    note = next(said.note for said in tiles(of, latest(of), None) if said.name == "Energy today")
    assert note == "since 00:01:00 UTC (when the clock was set, or the machine woke)"


def test_what_was_metered_yesterday_by_an_agent_before_is_not_in_today() -> None:
    """The books are asked each five minutes: at midnight, what they said is yesterday's."""
    before = Earlier((Read("gpu", "NVIDIA H100", "counter", 3_600 * J),), NOON_S - 3600, 1.0)
    of = board((0, snapshot({(A, 0): J})), (HALF_DAY_S - 1, snapshot({(A, 0): 400 * J})))

    def energy(given: Earlier | None) -> tuple[str, str]:
        return next((said.value, said.note) for said in tiles(of, latest(of), given) if said.name == "Energy today")

    assert energy(before) == ("6 kJ", "since 11:00:00 UTC: the books up to this agent's start, then live")
    for seconds, joules in ((HALF_DAY_S, 500), (HALF_DAY_S + 2, 600)):
        seen = snapshot({(A, 0): joules * J})
        of.post(seen, seen, at(seconds))
        of.look()
    assert energy(before) == energy(None) == ("100 J", "since 00:00 UTC")


def test_what_nobody_knows_is_not_zero() -> None:
    sums = sums_of(snapshot({(A, 0): J}, grid=None))
    assert (sums.location_g, sums.embodied_g, sums.water_l, sums.cost) == (None, None, {}, {})
    assert less(sums, sums).location_g is None
    assert Instant(0, NOON_S * S) < at(0)
