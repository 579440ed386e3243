"""A report answers from what was known then: what is learnt later changes no earlier answer."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accounting.made_reports import DAY_S, KWH, H, add, asked, books, grams, said, used, written
from tests.ledger.made import NOON_S, gap, work

from wattledger.accounting.report_ask import Ask
from wattledger.core.facts import Correction, EnergyFact, Fact
from wattledger.ledger.compact import Plan, compact
from wattledger.ledger.segments import seal

JOB = Ask("job")


def as_of(at_s: int) -> Ask:
    return JOB._replace(as_of_s=at_s)


def test_a_revised_hour_moves_grams_and_no_joule(tmp_path: Path) -> None:
    place = books(tmp_path, [used(2), said(0, 300)], NOON_S + 2 * H)
    add(place, [said(0, 250)], NOON_S + 50 * H)
    before, after = asked(place, as_of(NOON_S + 49 * H)), asked(place, as_of(NOON_S + 50 * H))
    assert (grams(before), grams(after)) == (600, 500)
    assert before["total"]["energy_j"] == after["total"]["energy_j"]
    assert before["total"]["emissions_g"]["location_based_inventory"] == after["total"]["emissions_g"]["location_based_inventory"]
    assert grams(asked(place, JOB)) == 500
    assert before["as_of"] == "2026-09-23T13:00:00Z"


def test_a_correction_takes_the_facts_place_from_when_it_was_learnt(tmp_path: Path) -> None:
    place = tmp_path / "books"
    energy_id, price_id = add(place, [used(2), said(0, 300)], NOON_S + H)
    add(place, [Correction(price_id, "unit", said(0, 30))], NOON_S + 2 * H)
    add(place, [Correction(energy_id, "typo", used(3))], NOON_S + 3 * H)
    found = [asked(place, as_of(NOON_S + hour * H)) for hour in (1, 2, 3)]
    assert [grams(each) for each in found] == [600, 60, 90]
    assert [each["total"]["energy_uj"] for each in found] == [2 * KWH, 2 * KWH, 3 * KWH]


def test_a_withdrawn_fact_is_gone_from_then_on(tmp_path: Path) -> None:
    place = tmp_path / "books"
    energy_id, price_id, _ = add(place, [used(2), said(0, 300), used(1, job="other")], NOON_S + H)
    add(place, [Correction(price_id, "never said")], NOON_S + 2 * H)
    add(place, [Correction(energy_id, "another's")], NOON_S + 3 * H)
    first, second, third = (asked(place, as_of(NOON_S + hour * H)) for hour in (1, 2, 3))
    assert (grams(first), grams(second)) == (900, 3 * 329)  # the hour's price is gone: the year's average stands in
    assert second["total"]["stands_on"]["location_based"]["quality"] == {"zone-annual": 1.0}
    assert [row["job"] for row in third["rows"]] == ["other"]


def test_before_anything_was_known_there_is_nothing(tmp_path: Path) -> None:
    place = books(tmp_path, [used(2), said(0, 300)], NOON_S + H)
    assert asked(place, as_of(NOON_S))["rows"] == []


FACTS = st.sampled_from(["energy", "price", "work", "gap", "correct", "withdraw"])


@settings(max_examples=10, deadline=None)
@given(kinds=st.lists(FACTS, min_size=2, max_size=12), then=st.integers(0, 11), sealed=st.booleans())
def test_nothing_that_is_learnt_later_changes_an_earlier_answer(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str], then: int, sealed: bool
) -> None:
    place = tmp_path_factory.mktemp("as-of") / "books"
    ids: list[str] = []
    answers: dict[int, str] = {}
    for n, kind in enumerate(["energy", *kinds]):
        at_s = NOON_S + n * 7 * H
        made: dict[str, Fact | Correction] = {
            "energy": used(n + 1, hour=n % 3, job=f"job-{n % 2}"), "price": said(n % 3, 100 + n), "work": work(), "gap": gap(),
            "correct": Correction(ids[-1] if ids else "", "c", used(n)), "withdraw": Correction(ids[0] if ids else "", "w"),
        }  # fmt: skip
        ids += add(place, [made[kind]], at_s)
        answers[at_s] = written(place, as_of(at_s))
    if sealed:
        seal(place, NOON_S + 100 * DAY_S)
    asked_s = list(answers)[then % len(answers)]
    assert written(place, as_of(asked_s)) == answers[asked_s]


def test_as_of_within_a_rolled_up_hour_says_that_its_sums_are_left_out(tmp_path: Path) -> None:
    place = tmp_path / "books"
    for minute in range(4):
        at_s = NOON_S + 60 * minute
        add(place, [EnergyFact(used(1).key, at_s, 60, 60_000, KWH)], at_s + 60)
    seal(place, NOON_S + 100 * DAY_S)
    assert asked(place, as_of(NOON_S + 125))["total"]["energy_uj"] == 2 * KWH
    compact(place, "2026-09-21", Plan("slots"), now_s=NOON_S + 100 * DAY_S)
    found = asked(place, as_of(NOON_S + 125))
    assert any("left out by --as-of" in note for note in found["notes"])
    assert asked(place, as_of(NOON_S + H))["total"]["energy_uj"] == 4 * KWH
