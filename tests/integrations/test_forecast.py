"""The forecast of a whole run from its first epochs."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger.integrations._forecast import Expected, expected, t_975, whole

energies = st.lists(st.floats(1.0, 1e9), min_size=1, max_size=40)
# Student's t at 97.5 %, from the tables of any textbook.
TABLE = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 8: 2.306, 10: 2.228, 20: 2.086, 30: 2.042, 120: 1.980}


@pytest.mark.parametrize(("df", "t"), TABLE.items())
def test_students_t_is_the_tables(df: int, t: float) -> None:
    assert t_975(df) == pytest.approx(t, abs=0.002)


@given(energies, st.floats(0.01, 1000))
def test_the_value_lies_in_its_interval_and_between_the_dearest_and_the_cheapest_epoch(pieces: list[float], left: float) -> None:
    found = expected(pieces, left)
    assert found is not None
    assert 0 <= found.low_j <= found.value_j <= found.high_j
    assert min(pieces) * left * (1 - 1e-9) <= found.value_j <= max(pieces) * left * (1 + 1e-9)


def test_nothing_seen_is_nothing_said_and_nothing_left_is_nothing() -> None:
    assert expected([], 3) is None
    assert expected([], 0) == expected([5.0], 0) == Expected(0.0, 0.0, 0.0)


def test_one_epoch_says_43_percent() -> None:
    found = expected([100.0], 1e6)
    assert found is not None
    assert (found.high_j - found.value_j) / found.value_j == pytest.approx(0.430, abs=0.001)


def test_the_warm_up_is_left_out_once_there_is_another_epoch() -> None:
    alone, both = expected([150.0], 10), expected([150.0, 100.0], 10)
    assert alone is not None
    assert both is not None
    assert (alone.value_j, both.value_j) == (1500.0, 1000.0)


def test_like_epochs_narrow_the_interval() -> None:
    widths = []
    for n in range(2, 12):
        found = expected([130.0, *[100.0, 101.0] * n][:n], 20)
        assert found is not None
        widths.append(found.high_j - found.low_j)
    assert widths[0] > 5 * widths[-1]


def test_an_epoch_that_stalled_does_not_move_the_forecast() -> None:
    found = expected([100.0] * 9 + [1000.0], 10)
    assert found is not None
    assert found.value_j == pytest.approx(1000.0)


@pytest.mark.parametrize("scatter", [0.01, 0.05, 0.10])
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 12])
def test_the_interval_holds_the_truth_19_times_in_20(n: int, scatter: float) -> None:
    chance = random.Random(1000 * n + round(100 * scatter))
    held, tries, left = 0, 1000, 20
    for _ in range(tries):
        epochs = [100 * chance.gauss(1.0, scatter) for _ in range(n + left)]
        epochs[0] *= 1.15
        found = expected(epochs[:n], left)
        assert found is not None
        held += found.low_j <= sum(epochs[n:]) <= found.high_j
    assert held / tries >= 0.93


@given(st.floats(1, 1e6), st.floats(1, 3), energies, st.floats(0, 100))
def test_the_whole_is_never_less_than_what_is_certainly_spent(spent_j: float, g95: float, pieces: list[float], left: float) -> None:
    part = expected(pieces, left)
    assert part is not None
    spent = spent_j, spent_j / g95, spent_j * g95
    value_j, low_j, high_j = whole(spent, part)
    assert spent[1] <= low_j <= value_j <= high_j
    assert value_j == pytest.approx(spent_j + part.value_j)


def test_the_sensors_error_goes_on_for_the_rest_of_the_run() -> None:
    nothing_unknown = Expected(900.0, 900.0, 900.0)
    assert whole((100.0, 90.0, 120.0), nothing_unknown) == pytest.approx((1000.0, 900.0, 1200.0))
