"""What a day emitted: provisional until it settles, at the grid's newest figures, and never a part of a day."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.core.made import GPU, at, counter, full
from tests.runtime.books.settling import DAY, DAY_S, HOUR, KWH_UJ, NAME, NOON, SETTLE_S, Rig, energy, hour

from wattledger.core.facts import Correction, IntensityFact
from wattledger.core.pipeline import Pipeline
from wattledger.runtime.books.keeper import Keeper, Plan
from wattledger.runtime.books.minutes import Meter
from wattledger.runtime.books.settled import Settled


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path) as made:
        yield made


def test_a_day_is_provisional_and_then_settled_by_the_clock_that_is_handed_in(books: Rig) -> None:
    books.took([hour(NOON, 100), energy(NOON)], NOON + 60)
    assert books.shown == {(NAME, "location", "provisional"): pytest.approx(100)}
    books.took([], NOON + HOUR + SETTLE_S - 1)
    assert books.shown.keys() == {(NAME, "location", "provisional")}
    books.took([], NOON + HOUR + SETTLE_S + 60)
    assert books.shown == {(NAME, "location", "settled"): pytest.approx(100)}


def test_hours_settle_one_by_one(books: Rig) -> None:
    books.took([hour(NOON, 100), hour(NOON + HOUR, 300), energy(NOON), energy(NOON + HOUR)], NOON + SETTLE_S + HOUR)
    assert books.shown == {
        (NAME, "location", "settled"): pytest.approx(100), (NAME, "location", "provisional"): pytest.approx(300),
    }  # fmt: skip


def test_a_revised_hour_changes_the_grams_and_no_joule(books: Rig) -> None:
    books.took([hour(NOON, 100, estimated=True), energy(NOON)], NOON + 60)
    for n, grams in enumerate((107, 93, 100, 250)):
        books.took([hour(NOON, grams)], NOON + HOUR * (n + 1))
        assert books.shown == {(NAME, "location", "provisional"): pytest.approx(grams)}


def test_a_revision_counts_even_when_older_figures_were_forgotten_between(books: Rig) -> None:
    """The last word holds, however few figures of how many are still kept."""
    books.took([hour(NOON - (6 * 24 + n) * HOUR, 50) for n in range(200)], NOON - HOUR)
    books.took([hour(NOON, 100), energy(NOON)], NOON + 60)
    books.took([], NOON + DAY_S)
    for grams in (200, 300, 400):
        books.took([hour(NOON, grams)], NOON + DAY_S + grams * 60)
        assert books.shown[NAME, "location", "provisional"] == pytest.approx(grams)


def test_energy_that_crosses_an_hour_is_priced_in_each(books: Rig) -> None:
    prices = [hour(NOON, 100), hour(NOON + HOUR, 300)]
    books.took([*prices, *(energy(NOON + HOUR - 600 + 60 * n, KWH_UJ // 20) for n in range(20))], NOON + 2 * HOUR)
    assert sum(books.shown.values()) == pytest.approx(200)


def test_a_window_of_a_quarter_of_an_hour_counts_where_it_was(books: Rig) -> None:
    """What a disk that failed for long has left: energy is even over its window, which may cross an hour."""
    books.took([hour(NOON, 100), hour(NOON + HOUR, 400), energy(NOON + HOUR - 300, length_s=900)], NOON + 2 * HOUR)
    assert sum(books.shown.values()) == pytest.approx(300)


def test_the_buildings_part_counts_where_it_is_known(books: Rig) -> None:
    books.took([hour(NOON, 100), energy(NOON, pue_milli=1500)], NOON + 60)
    assert books.shown == {(NAME, "location", "provisional"): pytest.approx(150)}


def test_without_a_live_figure_the_annual_average_stands_in(books: Rig) -> None:
    books.took([energy(NOON, zone="FR")], NOON + 60)
    [(_, grams)] = books.shown.items()
    assert 10 < grams < 100


def test_a_marginal_figure_prices_nothing(books: Rig) -> None:
    books.took([hour(NOON, 100), hour(NOON, 900, signal="marginal"), energy(NOON)], NOON + 60)
    assert sum(books.shown.values()) == pytest.approx(100)


def test_a_day_of_which_the_open_books_hold_a_part_is_not_shown(books: Rig) -> None:
    books.add([energy(NOON)], NOON + 60)
    books.sealed()
    # What comes late to the day before is no day.
    books.add([energy(DAY + DAY_S - 60), energy(NOON + DAY_S)], NOON + DAY_S)
    books.took([], NOON + DAY_S + 60)
    assert {day for day, *_ in books.shown} == {"2026-09-05"}


def test_a_day_that_is_sealed_while_it_is_followed_stays(books: Rig) -> None:
    books.took([hour(NOON, 100), energy(NOON)], NOON + 60)
    books.took([energy(NOON + DAY_S)], NOON + DAY_S)
    before = dict(books.shown)
    books.store.forget(books.store.head().seq - 2)  # the day before: the last two rows are a key and its energy
    books.took([energy(NOON + DAY_S)], NOON + DAY_S + 60)
    assert books.day() == {"location": pytest.approx(100)}
    assert books.day("2026-09-05")["location"] == pytest.approx(2 * before["2026-09-05", "location", "provisional"])


def test_books_too_long_to_read_are_shown_from_tomorrow_on(books: Rig) -> None:
    books.restart(most_facts=10)
    books.add([energy(NOON - DAY_S + n * 60, zone=f"X{n}") for n in range(20)], NOON - HOUR)
    books.took([energy(NOON, zone="X3")], NOON + 60)
    assert books.shown == {}
    books.took([energy(NOON + DAY_S, zone="X3")], NOON + DAY_S)
    assert {day for day, *_ in books.shown} == {"2026-09-05"}


def test_what_the_books_held_at_the_start_is_shown(books: Rig) -> None:
    books.add([hour(NOON, 100), energy(NOON)], NOON + 60)
    books.took([], NOON + 120)
    assert books.shown == {(NAME, "location", "provisional"): pytest.approx(100)}


def test_what_another_process_writes_counts(books: Rig) -> None:
    books.took([hour(NOON, 100), energy(NOON)], NOON + 60)
    books.add([energy(NOON + 60)], NOON + 90)
    books.took([], NOON + 120)
    assert books.day() == {"location": pytest.approx(200)}


def test_corrected_energy_counts_as_it_was_corrected(books: Rig) -> None:
    *_, second = books.took([hour(NOON, 100), energy(NOON), energy(NOON + 60)], NOON + 60)
    books.add([Correction(second, "a slip", energy(NOON + 60, 3 * KWH_UJ))], NOON + 90)
    for _ in range(2):
        books.took([], NOON + 180)
        assert books.day() == {"location": pytest.approx(400)}
        books.restart()
    books.add([Correction(second, "it was nothing")], NOON + 240)
    books.took([], NOON + 300)
    assert books.day() == {"location": pytest.approx(100)}


def test_a_price_that_was_withdrawn_prices_nothing(books: Rig) -> None:
    _, wrong, _ = books.took([hour(NOON, 100), hour(NOON, 900), energy(NOON)], NOON + 60)
    assert books.day() == {"location": pytest.approx(900)}
    books.took([Correction(wrong, "another zone's")], NOON + 120)
    assert books.day() == {"location": pytest.approx(100)}


def test_books_that_cannot_be_read_show_nothing(books: Rig) -> None:
    books.took([hour(NOON, 100), energy(NOON)], NOON + 60)
    books.add([energy(NOON + 60)], NOON + 90)
    with sqlite3.connect(books.folder / "open.db") as db:
        db.execute("UPDATE fact SET body = replace(body, 'energy', 'enemy') WHERE seq = (SELECT max(seq) FROM fact)")
    db.close()
    books.took([], NOON + 120)
    assert books.shown == {}


def test_days_that_have_settled_long_ago_are_shown_no_more(books: Rig) -> None:
    books.took([energy(NOON)], NOON + 60)
    books.took([energy(NOON + 6 * DAY_S)], NOON + 6 * DAY_S + 60)
    assert {day for day, *_ in books.shown} == {"2026-09-10"}


def test_a_clock_that_was_set_back_stops_nothing(books: Rig) -> None:
    books.took([energy(NOON)], NOON + 40 * HOUR)
    before = dict(books.shown)
    books.took([energy(NOON + HOUR)], NOON + 2 * HOUR)
    assert sum(books.shown.values()) == pytest.approx(2 * sum(before.values()))


def test_figures_are_made_once_a_minute(books: Rig) -> None:
    books.took([energy(NOON)], NOON + 60)
    before = books.shown
    books.took([energy(NOON)], NOON + 90)
    assert books.shown is before
    books.took([], NOON + 120)
    assert sum(books.shown.values()) == pytest.approx(2 * sum(before.values()))


def test_a_keeper_shows_it_the_books_after_each_commit(tmp_path: Path) -> None:
    """A page of one minute; the contract was there before."""
    figures, made = Settled(SETTLE_S, ["first"]), Pipeline()
    keeper = Keeper(Plan(tmp_path, Meter("agent:1", "node-1"), 5.0), settled=figures, now=lambda: at(70))
    live = IntensityFact("", 0, 10**10, 10**9, "first")
    keeper.note([live, live._replace(ug_per_kwh=7 * 10**8, boundary="residual")])
    for second, joules in ((0, 0), (30, 3600)):
        keeper.take(made.step(full(second, counter(GPU, second, joules))), made)
    keeper.commit(final=True)
    assert sum(figures.shown.values()) == pytest.approx(1.0 + 0.7)
    assert {basis for _, basis, _ in figures.shown} == {"location", "market"}
