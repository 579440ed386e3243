"""Reading strictly: times with their offset, numbers that can be, slots once."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.factors.grid.served import at

from wattledger.factors.grid._reading import Series, Slot, Unreadable, epoch_s, facts, iso, number, pieces, ug_per_kwh, whole

SERIES = Series("x", "DE", 900)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
slots = st.builds(
    Slot,
    st.integers(0, 20).map(lambda n: n * 900),
    st.integers(0, 5),
    estimated=st.booleans(),
    forecast=st.booleans(),
    updated_s=st.integers(0, 3),
)


@pytest.mark.parametrize(
    ("said", "utc"),
    [
        ("2018-01-20T12:00Z", "2018-01-20T12:00"),
        ("2024-03-06T18:48:27.926Z", "2024-03-06T18:48:27"),
        ("2026-10-25T02:00:00+02:00", "2026-10-25T00:00"),
        ("2026-10-25T02:00:00+01:00", "2026-10-25T01:00"),
        ("2026-10-25T02:00:00+0100", "2026-10-25T01:00"),
        ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59"),
    ],
)
def test_a_time_is_whole_seconds_of_utc(said: str, utc: str) -> None:
    assert epoch_s(said) == at(utc)


WRONG = ["", "2026-03-01", "2026-13-01T00:00Z", "2026-03-01 00:00Z", "20260301T000000Z", "2026-W09-7T00:00Z", "٢٠٢٦-03-01T00:00Z"]
WRONG += ["2026-03-01T00:00+25:00", "2026-03-01T00:00Z\n", "now", "2026-02-30T00:00Z", "0000-01-01T00:00Z", "2026-03-01T00:00CET"]


@pytest.mark.parametrize("said", [None, 1_772_323_200, True, [], *WRONG])
def test_what_is_no_time_is_unreadable(said: object) -> None:
    with pytest.raises(Unreadable):
        epoch_s(said, naive_is_utc=True)


def test_a_time_without_offset_is_utc_only_where_that_is_documented() -> None:
    assert epoch_s("2026-01-01T00", naive_is_utc=True) == epoch_s("2026-01-01T00:00", naive_is_utc=True) == at("2026-01-01T00:00")
    with pytest.raises(Unreadable, match="without offset"):
        epoch_s("2026-01-01T00:00")


@given(st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1), timezones=OFFSETS))
def test_a_time_says_the_same_whatever_its_offset(when: datetime) -> None:
    assert epoch_s(when.isoformat()) == epoch_s(iso(epoch_s(when.isoformat()))) == int(when.timestamp() // 1)


@pytest.mark.parametrize(
    "said", [None, True, "", "1,5", "0x10", "1_0", "٣", "nan", "inf", float("nan"), float("-inf"), "1e400", [1]]
)
def test_what_is_no_number_is_unreadable(said: object) -> None:
    with pytest.raises(Unreadable):
        number(said)


@pytest.mark.parametrize(
    ("said", "ug"),
    [(0, 0), (-0.0, 0), (5_000, 5_000_000_000), ("43.5", 43_500_000), (" 7 ", 7_000_000), (1e-9, 0), ("1e2", 100_000_000)],
)
def test_grams_become_whole_micrograms(said: object, ug: int) -> None:
    assert ug_per_kwh(said) == ug


@pytest.mark.parametrize("said", [-1, -1e-9, 5_000.001, 10**30, "1e50"])
def test_what_no_grid_gives_is_unreadable(said: object) -> None:
    with pytest.raises(Unreadable):
        ug_per_kwh(said)


def test_pounds_become_grams() -> None:
    assert ug_per_kwh(870.0, Decimal("0.45359237")) == 394_625_362


@given(st.lists(slots), st.integers(0, 20_000), st.integers(0, 20_000))
def test_each_slot_once_sorted_and_within_the_range(said: list[Slot], start_s: int, end_s: int) -> None:
    found = facts(SERIES, said, start_s, end_s)
    wanted = sorted({slot.start_s for slot in said if slot.start_s < end_s and slot.start_s + 900 > start_s})
    assert [fact.start_s for fact in found] == wanted
    for fact in found:
        rivals = [slot for slot in said if slot.start_s == fact.start_s]
        newest = max(slot.updated_s for slot in rivals)
        assert fact.ug_per_kwh in {slot.ug_per_kwh for slot in rivals if slot.updated_s == newest}
        assert fact.forecast == all(slot.forecast for slot in rivals if slot.updated_s == newest)


def test_of_two_of_the_same_age_the_later_in_the_answer_holds() -> None:
    assert [fact.ug_per_kwh for fact in facts(SERIES, [Slot(0, 1), Slot(0, 2)], 0, 900)] == [2]


@given(st.integers(0, 10**10), st.integers(0, 10**7), st.sampled_from([300, 900, 1_800, 3_600]), st.integers(1, 50))
def test_pieces_are_the_range_without_gap_or_overlap(start_s: int, length_s: int, step_s: int, steps: int) -> None:
    first_s, last_s = whole(start_s, start_s + length_s, step_s)
    assert first_s <= start_s < first_s + step_s
    assert last_s - step_s < start_s + length_s <= last_s
    found = list(pieces(first_s, last_s, steps * step_s))[:1_000]
    assert [start for start, _ in found[1:]] == [end for _, end in found[:-1]]
    assert all(0 < end - start <= steps * step_s for start, end in found)
    assert not found or found[0][0] == first_s
