"""A serving engine's counts between two readings."""

import pytest
from tests.core.made import at

from wattledger.core.model import Served
from wattledger.core.served.counts import BACK_LOOKS, Counts, Growth


def read(time_s: float, prompt: int, generated: int, *, steps: int | None = None, setup: str = "", cached: int = 0) -> Served:
    counts = prompt, cached, generated, prompt // 100, steps
    return Served("vllm :8000", "m", "127.0.0.1:8000", "pid:7", at(time_s), *counts, None, setup)


def test_growth_is_the_difference_and_the_first_reading_is_only_a_baseline() -> None:
    counts = Counts(read(0, 1000, 500, steps=70, cached=10))
    assert counts.take(read(1, 1800, 650, steps=90, cached=30)) == Growth(800, 20, 150, 8, 20)
    assert counts.take(read(2, 1800, 650, steps=90, cached=30)) == Growth(0, 0, 0, 0, 0)


def test_a_reading_that_is_not_newer_tells_nothing() -> None:
    counts = Counts(read(1, 1000, 500))
    assert counts.take(read(1, 2000, 600)) is None
    assert counts.take(read(2, 1001, 501)) == Growth(1, 0, 1, 0, None)


def test_an_engine_that_began_anew_counts_from_zero() -> None:
    counts = Counts(read(0, 1000, 500, steps=70))
    growth = counts.take(read(1, 40, 10, steps=3))
    assert growth == Growth(40, 0, 10, 0, 3, fresh=True)
    assert counts.take(read(2, 50, 20, steps=5)) == Growth(10, 0, 10, 0, 2)


def test_another_setup_is_another_engine_even_where_its_counts_are_higher() -> None:
    counts = Counts(read(0, 100, 50, setup="0.33 started 1"))
    assert counts.take(read(1, 200, 60, setup="0.33 started 2")) == Growth(200, 0, 60, 2, None, fresh=True)


def test_one_count_that_goes_back_and_returns_is_not_counted_twice() -> None:
    counts = Counts(read(0, 1000, 500))
    growth = counts.take(read(1, 990, 510))
    assert growth is not None
    assert growth[:3] == (0, 0, 10)
    assert growth.wrong == "prompt_tokens went back from 1000 to 990 while others did not: not counted"
    assert counts.take(read(2, 1010, 520)) == Growth(10, 0, 10, 0, None)


def test_one_count_that_stays_back_was_set_back_for_good() -> None:
    counts = Counts(read(0, 1000, 500))
    for i in range(BACK_LOOKS):
        growth = counts.take(read(1 + i, 100 + i, 510 + i))
        assert growth is not None
        assert growth.prompt == 0
    growth = counts.take(read(9, 150, 520))
    assert growth is not None
    assert growth.prompt == 150 - (100 + BACK_LOOKS - 1)


@pytest.mark.parametrize("steps", [None, 80])
def test_a_count_that_no_engine_can_reach_is_refused(steps: int | None) -> None:
    counts = Counts(read(0, 1000, 500, steps=70))
    growth = counts.take(read(1, 10**12, 510, steps=steps))
    assert growth is not None
    assert growth[:4] == (0, 0, 0, 0)
    assert growth.steps == (None if steps is None else 0)
    assert "prompt_tokens grew by 999999999000 in one reading" in growth.wrong
    assert counts.take(read(2, 10**12 + 5, 511, steps=steps)) == Growth(5, 0, 1, 0, growth.steps)


def test_steps_that_begin_to_be_told_grow_from_the_next_reading_on() -> None:
    counts = Counts(read(0, 0, 0))
    first, second = counts.take(read(1, 0, 5, steps=1000)), counts.take(read(2, 0, 10, steps=1005))
    assert first is not None
    assert second is not None
    assert (first.steps, second.steps) == (None, 5)
