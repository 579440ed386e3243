"""A day by contract: what a report says of the same books, to the gram, or nothing at all."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
from tests.accounting.made_prices import contract
from tests.accounting.made_reports import asked
from tests.runtime.books.settling import DAY, DAY_S, HOUR, KWH_UJ, NAME, NOON, SETTLE_S, Rig, energy, hour

from wattledger.accounting.prices import year_of
from wattledger.accounting.report_ask import Ask, Rules
from wattledger.core.facts import ContractFact, Correction, EnergyFact, Fact, IntensityFact
from wattledger.runtime.books.settled import AGAIN_S
from wattledger.runtime.books.settled_kept import NAME as KEPT

YEAR_S, NEXT_S = year_of(NOON)
DE_G = 329.0  # the annual table's direct average of DE
TOMORROW = "2026-09-05"


def residual(g_per_kwh: float, zone: str = "DE") -> IntensityFact:
    """The residual mix of the year."""
    return IntensityFact(zone, YEAR_S, NEXT_S - YEAR_S, round(g_per_kwh * 1e6), "written", boundary="residual")


def supplier(g_per_kwh: float, start_s: int = YEAR_S, end_s: int = NEXT_S) -> ContractFact:
    made = contract("supplier", None)._replace(instrument="supplier", ug_per_kwh=round(g_per_kwh * 1e6))
    return made._replace(start_s=start_s, end_s=end_s)


def wind(kwh: float, name: str = "wind") -> ContractFact:
    return contract(name, round(kwh * 1000))


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Rig]:
    with Rig(tmp_path) as made:
        yield made


def agree(books: Rig, days: Sequence[str] = (NAME,)) -> None:
    """The gauge and the report say the same of these days, which have figures by both bases."""
    rules = Rules("", ("first",), SETTLE_S)
    whole = {row["day"]: row for row in asked(books.folder, Ask("day"), rules)["rows"]}
    for day in days:
        for row in (whole[day], asked(books.folder, Ask("day", day), rules)["total"]):
            said = row["emissions_g"]
            assert books.day(day)["market"] == pytest.approx(said["market_based"]["value"], rel=1e-8, abs=1e-6)
            assert books.day(day)["location"] == pytest.approx(said["location_based"]["value"], rel=1e-8)


def test_without_contracts_and_residual_mix_it_is_absent(books: Rig) -> None:
    books.took([hour(NOON, 100), energy(NOON)], NOON + 60)
    assert books.day() == {"location": pytest.approx(100)}


def test_what_no_contract_covers_stands_on_the_residual_mix_and_settles_by_itself(books: Rig) -> None:
    books.took([hour(NOON, 100), residual(700), energy(NOON, 2 * KWH_UJ)], NOON + 60)
    assert books.shown == {
        (NAME, "location", "provisional"): pytest.approx(200), (NAME, "market", "provisional"): pytest.approx(1400),
    }  # fmt: skip
    agree(books)
    books.took([], NOON + HOUR + SETTLE_S)
    assert books.shown.keys() == {(NAME, "location", "settled"), (NAME, "market", "settled")}


def test_a_contract_that_is_added_while_the_agent_runs_counts_from_the_next_minute(books: Rig) -> None:
    books.took([hour(NOON, 100), residual(700), energy(NOON, 10 * KWH_UJ)], NOON + 60)
    [id_] = books.add([wind(4)], NOON + 90)
    books.took([], NOON + 120)
    assert books.day() == {"location": pytest.approx(1000), "market": pytest.approx(6 * 700)}
    agree(books)
    books.add([Correction(id_, "it was 8 kWh", wind(8))], NOON + 150)
    books.took([], NOON + 180)
    assert books.day()["market"] == pytest.approx(2 * 700)
    agree(books)
    books.add([Correction(id_, "never bought")], NOON + 210)
    books.took([], NOON + 240)
    assert books.day()["market"] == pytest.approx(10 * 700)


def test_a_volume_is_shared_with_the_whole_time_of_its_contract(books: Rig) -> None:
    """Half a year before, 30 kWh were used too: today's ten get a quarter of the certificate."""
    early = energy(NOON - 180 * DAY_S, 30 * KWH_UJ, pue_milli=1200)
    books.took([residual(1000), wind(24), early, energy(NOON, 10 * KWH_UJ, pue_milli=1200)], NOON + 60)
    assert books.day()["market"] == pytest.approx((12 - 24 / 4) * 1000)
    agree(books)


def test_a_volume_is_open_until_its_year_is_over(books: Rig) -> None:
    books.took([hour(NOON, 100), residual(700), wind(4), energy(NOON, 10 * KWH_UJ)], NOON + 60)
    books.took([], NOON + SETTLE_S + HOUR)
    assert books.shown.keys() == {(NAME, "location", "settled"), (NAME, "market", "provisional")}
    last = NEXT_S - DAY_S
    books.took([energy(last, 10 * KWH_UJ)], NEXT_S + SETTLE_S - 60)
    assert ("2026-12-31", "market", "provisional") in books.shown
    books.took([], NEXT_S + SETTLE_S)
    assert books.shown["2026-12-31", "market", "settled"] == pytest.approx((10 - 4 / 2) * 700)


def test_what_is_covered_whole_emits_nothing_and_says_so(books: Rig) -> None:
    books.took([hour(NOON, 100), residual(700), wind(4), energy(NOON)], NOON + 60)
    assert books.day() == {"location": pytest.approx(100), "market": 0.0}
    agree(books)


def test_where_the_grid_average_stands_in_for_a_part_it_never_settles(books: Rig) -> None:
    books.took([wind(4), energy(NOON, 10 * KWH_UJ)], NOON + 60)
    assert books.day()["market"] == pytest.approx(6 * DE_G)
    agree(books)
    books.took([], NOON + SETTLE_S + HOUR)
    assert (NAME, "market", "provisional") in books.shown


def test_location_never_stands_in_for_it(books: Rig) -> None:
    """A contract of another day, of another zone, and one that fails: the report says the grid average, and discloses that."""
    elsewhere = wind(4, "elsewhere")._replace(zones=("FR",))
    books.took([supplier(50, DAY - DAY_S, DAY), elsewhere, contract("bad", 9000, failed="sole_claim"), energy(NOON)], NOON + 60)
    assert books.day().keys() == {"location"}


def test_contracts_of_all_kinds_zones_and_times_are_as_in_the_report(books: Rig) -> None:
    """Narrow and wide, by the hour and by the year, one before the other, with and without a PUE."""
    both = contract("both", 9_000)._replace(zones=("DE", "FR"))
    stamped = wind(3, "stamped")._replace(start_s=NOON - HOUR, end_s=NOON, ug_per_kwh=round(12e6))
    ppa = wind(2, "ppa")._replace(instrument="ppa", start_s=NOON - 5 * DAY_S - 1800, end_s=NOON + 90, ug_per_kwh=round(7e6))
    parts = [supplier(260, DAY + DAY_S, DAY + 2 * DAY_S), both, stamped, ppa]
    used: list[EnergyFact] = []
    for n in range(24):
        zone, at_s = ("DE", "FR", "PL")[n % 3], NOON + (n - 12) * 10 * HOUR
        used.append(energy(at_s, KWH_UJ * (n + 1) // 7, zone=zone, pue_milli=(0, 1300)[n % 2]))
    books.took([hour(NOON, 100), residual(719), residual(40, "FR"), *parts, *used], NOON + 6 * DAY_S)
    agree(books, ["2026-09-05", "2026-09-06", "2026-09-07", "2026-09-08"])
    assert "market" not in books.day("2026-09-09")  # Poland alone
    assert len({round(books.day(day)["market"]) for day in ("2026-09-06", "2026-09-07", "2026-09-08")}) == 3


@pytest.mark.parametrize("seed", range(4))
def test_whatever_was_bought_and_used_the_report_says_the_same(books: Rig, seed: int) -> None:
    lot = Random(seed)
    facts: list[Fact] = [residual(lot.randint(100, 900), zone) for zone in ("DE", "FR", "PL") if lot.random() < 0.5]
    for n in range(5):
        made = contract(f"c{n}", lot.choice([None, lot.randint(1, 60) * 1000]))
        made = made._replace(instrument=lot.choice(["eac", "ppa", "supplier"]), ug_per_kwh=lot.choice([0, 6 * 10**8]))
        start_s = YEAR_S + lot.choice([0, 100 * DAY_S, NOON - YEAR_S - 3 * DAY_S, NOON - YEAR_S])
        zones = tuple(lot.sample(["DE", "FR", "PL"], lot.randint(1, 3)))
        facts.append(made._replace(zones=zones, start_s=start_s, end_s=lot.choice([NEXT_S, start_s + 30 * DAY_S, start_s + HOUR])))
    for hours in (*range(-60, 12, 2), *range(-5000, -120, 200)):
        at_s = NOON + hours * HOUR + lot.randint(0, 59) * 60
        facts.append(energy(at_s, lot.randint(1, 3 * KWH_UJ), zone=lot.choice(["DE", "FR", "PL"]), pue_milli=lot.choice([0, 1110])))
    books.took(lot.sample(facts, len(facts)), NOON + DAY_S)
    days = [day for day, basis, _ in books.shown if basis == "market"]
    assert NAME in days
    for day in days:
        said = asked(books.folder, Ask("day", day), Rules("", ("first",), SETTLE_S))["total"]["emissions_g"]
        assert books.day(day)["market"] == pytest.approx(said["market_based"]["value"], rel=1e-8)


# --- sealed days ----------------------------------------------------------------------------------------------------------


def yesterday(books: Rig) -> None:
    """Thirty kWh yesterday, with a certificate of 24; all of that sealed away, and ten kWh today."""
    books.took([residual(1000), wind(24), energy(NOON - DAY_S, 30 * KWH_UJ)], NOON - DAY_S + 60)
    books.took([], NOON - HOUR)  # the last look before the seal: what is kept is of this hour
    books.sealed()
    books.add([energy(NOON, 10 * KWH_UJ)], NOON + 60)


def test_a_contract_and_energy_that_were_sealed_are_kept_in_mind(books: Rig) -> None:
    yesterday(books)
    books.took([], NOON + 90)
    assert books.day()["market"] == pytest.approx((10 - 24 / 4) * 1000)


def test_and_by_the_next_agent_too(books: Rig) -> None:
    yesterday(books)
    for _ in range(2):
        books.restart()
        books.took([], NOON + 90)
        assert books.day()["market"] == pytest.approx((10 - 24 / 4) * 1000)


def test_what_was_kept_counts_once_where_its_rows_are_open_still(books: Rig) -> None:
    books.took([residual(1000), wind(24), energy(NOON - DAY_S, 20 * KWH_UJ)], NOON - DAY_S + 60)
    books.sealed()
    books.took([energy(NOON - HOUR, 10 * KWH_UJ)], NOON - HOUR + 60)
    books.add([energy(NOON, 10 * KWH_UJ)], NOON + 60)
    for most_facts in (1000, 0):
        books.restart(most_facts=most_facts)
        books.took([], NOON + 90)
        found = books.settled._contracts
        assert (found.whole, sum(found.hours.values())) == (True, 40 * KWH_UJ)


def test_books_too_long_to_read_go_on_from_what_is_kept(books: Rig) -> None:
    books.took([residual(1000), wind(24), *(energy(NOON + n * 60, 2 * KWH_UJ) for n in range(15))], NOON + HOUR)
    books.restart(most_facts=10)
    books.took([], NOON + HOUR + 60)
    books.took([energy(NOON + DAY_S, 10 * KWH_UJ)], NOON + DAY_S + 60)
    assert books.day(TOMORROW)["market"] == pytest.approx((10 - 24 / 4) * 1000)
    agree(books, [TOMORROW])


@pytest.mark.parametrize("harm", ["gone", "cut", "of other books", "behind", "no object"])
def test_where_what_was_kept_is_not_of_these_books_nothing_is_said(books: Rig, harm: str) -> None:
    yesterday(books)
    place = books.folder / KEPT
    said = json.loads(place.read_text())
    harmed = {
        "gone": None, "cut": place.read_text()[:-9], "of other books": json.dumps(said | {"writer": "0" * 16}),
        "behind": json.dumps(said | {"seq": said["seq"] - 1}), "no object": "[]",
    }[harm]  # fmt: skip
    place.unlink() if harmed is None else place.write_text(harmed)
    books.restart()
    books.took([], NOON + 90)
    assert books.day().keys() == {"location"}


def test_where_sealed_energy_is_taken_back_nothing_is_said_of_contracts_any_more(books: Rig) -> None:
    *_, early = books.took([residual(1000), wind(24), energy(NOON - DAY_S, 30 * KWH_UJ)], NOON - DAY_S + 60)
    books.sealed()
    books.took([energy(NOON, 10 * KWH_UJ)], NOON + 60)
    assert "market" in books.day()
    books.took([Correction(early, "a slip", energy(NOON - DAY_S))], NOON + 60 + AGAIN_S)
    assert books.day().keys() == {"location"}
    books.restart()
    books.took([], NOON + 60 + 2 * AGAIN_S)
    assert books.day().keys() == {"location"}


def test_a_sealed_contract_may_be_withdrawn(books: Rig) -> None:
    _, bought, _ = books.took([residual(1000), wind(24), energy(NOON - DAY_S, 30 * KWH_UJ)], NOON - DAY_S + 60)
    books.sealed()
    books.took([energy(NOON, 10 * KWH_UJ), Correction(bought, "never bought")], NOON + 60)
    assert books.day()["market"] == pytest.approx(10 * 1000)
    books.restart()
    books.took([], NOON + 60 + AGAIN_S)
    assert books.day()["market"] == pytest.approx(10 * 1000)
