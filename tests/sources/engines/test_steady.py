"""Counts of several replicas as one that falls only with the engine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger.sources.engines.reading import Counts
from wattledger.sources.engines.steady import Steady, Total


def did(n: int, *, cached: int = 0, running: int | None = None) -> Counts:
    """Ten prompt tokens for each one generated."""
    return Counts(10 * n + cached, 10 * n, cached, n, n, n, running)


def total(n: int, running: int | None = None) -> Total:
    return Total(10 * n, 0, n, n, n, running)


def test_replicas_are_summed() -> None:
    assert Steady().take("m", {"0": did(3, running=1), "1": did(4, running=2)}) == (total(7, 3), False)


def test_a_replica_that_is_gone_keeps_what_it_had_done() -> None:
    steady = Steady()
    steady.take("m", {"0": did(3), "1": did(4)})
    assert steady.take("m", {"0": did(5)}) == (total(9), False)
    assert steady.take("m", {"0": did(5), "1": did(6)}) == (total(11), False)


def test_a_replica_that_restarts_beside_others_goes_on_from_there() -> None:
    steady = Steady()
    steady.take("m", {"0": did(100), "1": did(50)})
    assert steady.take("m", {"0": did(2), "1": did(51)}) == (total(153), False)
    assert steady.take("m", {"0": did(1), "1": did(52)}) == (total(155), False)


@pytest.mark.parametrize("again", [{"0": did(2), "1": did(1)}, {"0": did(2)}])
def test_when_all_have_fallen_the_engine_restarted(again: dict[str, Counts]) -> None:
    """The new counts are handed on as they are."""
    steady = Steady()
    steady.take("m", {"0": did(100), "1": did(50)})
    assert steady.take("m", again) == (total(sum(c.generated or 0 for c in again.values())), True)


def test_a_replica_that_never_did_anything_does_not_hide_a_restart() -> None:
    steady = Steady()
    steady.take("m", {"0": did(100), "1": did(0)})
    assert steady.take("m", {"0": did(2), "1": did(0)}) == (total(2), True)


def test_hits_that_run_ahead_of_their_prompts_take_nothing_back() -> None:
    steady = Steady()
    steady.take("m", {"": Counts(100, 80, 20, 5, 1, 1, None)})
    ahead, restarted = steady.take("m", {"": Counts(100, 50, 50, 6, 1, 2, None)})
    assert (ahead.computed, ahead.cached, restarted) == (80, 50, False)
    caught_up, _ = steady.take("m", {"": Counts(190, 140, 50, 7, 1, 3, None)})
    assert caught_up.computed == 140


def test_half_a_text_takes_nothing_back() -> None:
    steady = Steady()
    steady.take("m", {"0": did(7)})
    assert steady.take("m", {"0": Counts(None, None, None, None, None, None, None)}) == (total(7), False)
    assert steady.take("m", {"0": did(8)}) == (total(8), False)


def test_steps_that_nobody_tells_stay_unknown() -> None:
    found, _ = Steady().take("m", {"": Counts(10, 10, None, 1, None, None, None)})
    assert (found.steps, found.running, found.cached, found.requests) == (None, None, 0, 0)


def test_replicas_that_get_names_are_not_added_to_what_had_none() -> None:
    steady = Steady()
    steady.take("m", {"": did(10)})
    assert steady.take("m", {"0": did(6), "1": did(5)}) == (total(11), False)
    assert steady.take("m", {"": did(12)}) == (total(12), False)


def test_models_are_followed_apart_until_all_is_forgotten() -> None:
    steady = Steady()
    steady.take("a", {"": did(10)})
    assert steady.take("b", {"": did(1)}) == (total(1), False)
    steady.forget()
    assert steady.take("a", {"": did(1)}) == (total(1), False)


LOOKS = st.lists(st.dictionaries(st.sampled_from("012"), st.integers(0, 50), min_size=1), min_size=1, max_size=12)


@given(LOOKS)
def test_a_sum_falls_only_when_the_engine_restarted(looks: list[dict[str, int]]) -> None:
    steady = Steady()
    last = 0
    for look in looks:
        found, restarted = steady.take("m", {name: did(n) for name, n in look.items()})
        assert found.generated >= (0 if restarted else last)
        assert found.computed == 10 * found.generated
        last = found.generated
