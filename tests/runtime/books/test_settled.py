"""What a day emitted: provisional until it settles, at the grid's newest figures, and never a part of a day."""

import pytest

from wattledger.core.facts import EnergyFact, IntensityFact, Key, Known
from wattledger.runtime.books.settled import DAY_S, Settled

DAY = 20_700 * DAY_S  # 2026-09-04
NOON = DAY + DAY_S // 2
HOUR = 3_600
SETTLE_S = 72 * HOUR
KWH_UJ = 3_600_000_000_000
NAME = "2026-09-04"


def energy(start_s: int, uj: int = KWH_UJ, *, zone: str = "DE", pue_milli: int = 0, length_s: int = 60) -> EnergyFact:
    return EnergyFact(Key("agent:1", "node-1", zone, pue_milli), start_s, length_s, length_s * 1000, uj)


def hour(start_s: int, grams: float, **more: object) -> IntensityFact:
    return IntensityFact("DE", start_s, HOUR, round(grams * 1e6), "first")._replace(**more)  # type: ignore[arg-type]


def settled() -> Settled:
    found = Settled(SETTLE_S, ["first"])
    found.began([], NOON - HOUR)
    return found


def test_a_day_is_provisional_and_then_settled_by_the_clock_that_is_handed_in() -> None:
    books = settled()
    books.took([hour(NOON, 100), energy(NOON)], NOON + 60)
    assert books.shown == {(NAME, "location", "provisional"): pytest.approx(100)}
    books.took([], NOON + HOUR + SETTLE_S - 1)
    assert books.shown.keys() == {(NAME, "location", "provisional")}
    books.took([], NOON + HOUR + SETTLE_S + 60)
    assert books.shown == {(NAME, "location", "settled"): pytest.approx(100)}


def test_hours_settle_one_by_one() -> None:
    books = settled()
    books.took([hour(NOON, 100), hour(NOON + HOUR, 300), energy(NOON), energy(NOON + HOUR)], NOON + SETTLE_S + HOUR)
    assert books.shown == {
        (NAME, "location", "settled"): pytest.approx(100), (NAME, "location", "provisional"): pytest.approx(300),
    }  # fmt: skip


def test_a_revised_hour_changes_the_grams_and_no_joule() -> None:
    books = settled()
    books.took([hour(NOON, 100, estimated=True), energy(NOON)], NOON + 60)
    for n, grams in enumerate((107, 93, 100, 250)):
        books.took([hour(NOON, grams)], NOON + HOUR * (n + 1))
        assert books.shown == {(NAME, "location", "provisional"): pytest.approx(grams)}


def test_a_revision_counts_even_when_older_figures_were_forgotten_between() -> None:
    """The last word holds, however few figures of how many are still kept."""
    books = settled()
    books.took([hour(NOON - (6 * 24 + n) * HOUR, 50) for n in range(200)], NOON - HOUR)
    books.took([hour(NOON, 100), energy(NOON)], NOON + 60)
    books.took([], NOON + DAY_S)
    for grams in (200, 300, 400):
        books.took([hour(NOON, grams)], NOON + DAY_S + grams * 60)
        assert books.shown[NAME, "location", "provisional"] == pytest.approx(grams)


def test_energy_that_crosses_an_hour_is_priced_in_each() -> None:
    books = settled()
    prices = [hour(NOON, 100), hour(NOON + HOUR, 300)]
    books.took([*prices, *(energy(NOON + HOUR - 600 + 60 * n, KWH_UJ // 20) for n in range(20))], NOON + 2 * HOUR)
    assert sum(books.shown.values()) == pytest.approx(200)


def test_a_window_of_a_quarter_of_an_hour_counts_where_it_was() -> None:
    """What a disk that failed for long has left: energy is even over its window, which may cross an hour."""
    books = settled()
    books.took([hour(NOON, 100), hour(NOON + HOUR, 400), energy(NOON + HOUR - 300, length_s=900)], NOON + 2 * HOUR)
    assert sum(books.shown.values()) == pytest.approx(300)


def test_the_buildings_part_counts_where_it_is_known() -> None:
    books = settled()
    books.took([hour(NOON, 100), energy(NOON, pue_milli=1500)], NOON + 60)
    assert books.shown == {(NAME, "location", "provisional"): pytest.approx(150)}


def test_without_a_live_figure_the_annual_average_stands_in() -> None:
    books = settled()
    books.took([energy(NOON, zone="FR")], NOON + 60)
    [(_, grams)] = books.shown.items()
    assert 10 < grams < 100


def test_a_marginal_figure_prices_nothing() -> None:
    books = settled()
    books.took([hour(NOON, 100), hour(NOON, 900, signal="marginal"), energy(NOON)], NOON + 60)
    assert sum(books.shown.values()) == pytest.approx(100)


def test_a_day_of_which_the_open_books_hold_a_part_is_not_shown() -> None:
    books = Settled(SETTLE_S, ["first"])
    # The first row that was not sealed away is of the day after; what comes late to the day before is no day.
    late = Known("w:900", DAY + DAY_S + 10, energy(DAY + DAY_S - 60))
    books.began([late, Known("w:901", NOON + DAY_S, energy(NOON + DAY_S))], NOON + DAY_S)
    books.took([], NOON + DAY_S + 60)
    assert {day for day, *_ in books.shown} == {"2026-09-05"}


def test_books_too_long_to_read_are_shown_from_tomorrow_on() -> None:
    books = Settled(SETTLE_S, ["first"])
    books.began(None, NOON)
    books.took([energy(NOON)], NOON + 60)
    assert books.shown == {}
    books.took([energy(NOON + DAY_S)], NOON + DAY_S)
    assert {day for day, *_ in books.shown} == {"2026-09-05"}


def test_what_the_books_held_at_the_start_is_shown() -> None:
    books = Settled(SETTLE_S, ["first"])
    books.began([Known("w:1", NOON, hour(NOON, 100)), Known("w:3", NOON + 60, energy(NOON))], NOON + 90)
    books.took([], NOON + 120)
    assert books.shown == {(NAME, "location", "provisional"): pytest.approx(100)}


def test_days_that_have_settled_long_ago_are_shown_no_more() -> None:
    books = settled()
    books.took([energy(NOON)], NOON + 60)
    books.took([energy(NOON + 6 * DAY_S)], NOON + 6 * DAY_S + 60)
    assert {day for day, *_ in books.shown} == {"2026-09-10"}


def test_a_clock_that_was_set_back_stops_nothing() -> None:
    books = settled()
    books.took([energy(NOON)], NOON + 40 * HOUR)
    before = dict(books.shown)
    books.took([energy(NOON + HOUR)], NOON + 2 * HOUR)
    assert sum(books.shown.values()) == pytest.approx(2 * sum(before.values()))


def test_figures_are_made_once_a_minute() -> None:
    books = settled()
    books.took([energy(NOON)], NOON + 60)
    before = books.shown
    books.took([energy(NOON)], NOON + 90)
    assert books.shown is before
    books.took([], NOON + 120)
    assert sum(books.shown.values()) == pytest.approx(2 * sum(before.values()))
