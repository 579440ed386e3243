"""When to start: by forecast, by history, and never by half of either."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runtime.grid.said import HOUR, T0, hour

from wattledger.core.facts import IntensityFact
from wattledger.runtime.grid.best import by_hour, from_forecast, from_history

DAY = 24 * HOUR


def coming(*grams: float) -> list[IntensityFact]:
    return [hour(T0 + i * HOUR, value, forecast=True) for i, value in enumerate(grams)]


def days(n: int, dip_h: int = 13) -> list[IntensityFact]:
    """Days of 300 g, with one clean hour each; T0 is at 10:00."""
    midnight = T0 - 10 * HOUR
    starts = range(midnight - n * DAY, T0, HOUR)
    return [hour(at_s, 100 if at_s % DAY // HOUR == dip_h else 300) for at_s in starts]


def test_the_cleanest_start_of_a_forecast_and_what_it_saves() -> None:
    best = from_forecast(coming(300, 200, 100, 100, 400), T0, 2, 5)
    assert best is not None
    assert (best.source, best.start_s, best.g_per_kwh, best.now_g_per_kwh) == ("forecast", T0 + 2 * HOUR, 100.0, 250.0)
    assert best.saved == pytest.approx(0.6)


def test_the_work_must_have_ended_in_time() -> None:
    best = from_forecast(coming(300, 200, 100, 100, 50), T0, 2, 3)
    assert best is not None
    assert best.start_s == T0 + HOUR


def test_a_start_in_the_middle_of_an_hour_takes_part_of_it() -> None:
    best = from_forecast(coming(300, 100, 100), T0 + HOUR // 2, 1, 2.5)
    assert best is not None
    assert (best.now_g_per_kwh, best.start_s) == (200.0, T0 + HOUR)


def test_nothing_is_gained_by_waiting_for_the_same() -> None:
    best = from_forecast(coming(*[100] * 6), T0, 1, 6)
    assert best is not None
    assert (best.start_s, best.saved) == (T0, 0.0)


@pytest.mark.parametrize("facts", [[], coming(300), coming(300)[:1] + coming(1, 1, 1, 1)[2:]])
def test_a_forecast_that_does_not_reach_is_none(facts: list[IntensityFact]) -> None:
    assert from_forecast(facts, T0, 2, 4) is None


def test_a_forecast_that_begins_with_the_next_full_hour_will_do() -> None:
    best = from_forecast(coming(300, 300, 100)[1:], T0 + 60, 1, 3)
    assert best is not None
    assert best.start_s == T0 + 2 * HOUR


def test_history_is_the_same_hours_of_the_days_before_and_says_how_often_it_was_so() -> None:
    best = from_history(days(5), T0, 1, 12)
    assert best is not None
    assert (best.source, best.start_s, best.g_per_kwh, best.now_g_per_kwh) == ("history", T0 + 3 * HOUR, 100.0, 300.0)
    assert (best.days, best.days_better) == (5, 5)


def test_a_day_that_lacks_an_hour_is_left_out_and_one_day_is_no_habit() -> None:
    facts = days(3)
    lacking = [fact for fact in facts if fact.start_s != T0 + 3 * HOUR - DAY]
    best = from_history(lacking, T0, 1, 12)
    assert best is not None
    assert best.days == 2
    assert from_history(days(1), T0, 1, 12) is None
    assert from_history([], T0, 1, 12) is None


def test_after_a_day_the_same_hours_come_again() -> None:
    """So that a week's room needs no more history than a day's."""
    best = from_history(days(4), T0, 4, 168)
    assert best is not None
    assert T0 <= best.start_s < T0 + DAY


def test_the_interval_holds_the_days_that_were_seen() -> None:
    facts = days(4)
    facts[13] = facts[13]._replace(ug_per_kwh=250_000_000)
    best = from_history(facts, T0, 1, 12)
    assert best is not None
    assert best.g_per_kwh * best.g95 >= 250.0
    assert best.g_per_kwh / best.g95 <= 100.0


def test_shorter_slots_are_put_together_and_half_an_hour_at_least_must_be_known() -> None:
    quarters = [hour(T0 + i * 900, value)._replace(length_s=900) for i, value in enumerate((100, 200, 300, 400, 500))]
    assert by_hour(quarters) == {T0: 250e6}
    assert by_hour([hour(T0, 7)._replace(length_s=2 * HOUR)]) == {T0: 7e6, T0 + HOUR: 7e6}


@given(st.lists(st.integers(0, 1_000), min_size=8, max_size=48), st.integers(1, 4), st.integers(0, 3_599))
def test_no_start_in_time_is_better_than_the_best(grams: list[int], hours: int, late_s: int) -> None:
    best = from_forecast(coming(*grams), T0 + late_s, hours, len(grams) - 2)
    assert best is not None
    assert best.g_per_kwh <= best.now_g_per_kwh
    for i in range(1, len(grams) - 2 - hours):
        assert best.g_per_kwh <= sum(grams[i : i + hours]) / hours * 1.001 + 1e-9
