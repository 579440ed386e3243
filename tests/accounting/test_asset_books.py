"""The fleet as the books have it."""

from wattledger.accounting.assets.books import events_of, fleet_of
from wattledger.accounting.assets.words import fact
from wattledger.core.facts import IntensityFact, Known

MADE = Known("w:1", 100, fact("g", "make", at_s=0, emitted_g=1000, kind="gpu", el_h=10))
SERVED = Known("w:2", 100, fact("g", "commission", at_s=0, host="h1"))


def test_a_correction_takes_the_place_of_what_it_corrects() -> None:
    mended = Known("w:9", 500, fact("g", "make", at_s=0, emitted_g=2000, kind="gpu", el_h=10), "w:1", "typed wrong")
    fleet = fleet_of([MADE, SERVED, mended])
    assert fleet.refused == ()
    assert fleet.lives["g"].passport.made_g == 2000
    assert fleet.lives["g"].events == ("w:9", "w:2")
    assert fleet_of([MADE, SERVED, mended], as_of_s=499).lives["g"].passport.made_g == 1000


def test_events_of_one_second_happen_in_the_order_they_were_learnt() -> None:
    # By number, not by text: the tenth fact of a writer comes after its second.
    out = Known("w:10", 100, fact("g", "remove", at_s=0))
    assert fleet_of([out, SERVED, MADE]).lives["g"].status == "stock"
    assert [event.id for event in events_of([out, SERVED, MADE])] == ["w:1", "w:2", "w:10"]


def test_facts_of_other_sorts_are_none_of_an_assets_life() -> None:
    other = Known("w:3", 100, IntensityFact("DE", 0, 3600, 300_000_000, "me"))
    withdrawn = Known("w:4", 200, IntensityFact("DE", 0, 3600, 300_000_000, "me"), "w:2", "no asset at all")
    assert fleet_of([MADE, SERVED, other]).lives["g"].status == "service"
    assert fleet_of([MADE, SERVED, withdrawn]).lives["g"].status == "stock"


def test_a_fleet_is_folded_to_its_last_event_or_as_asked() -> None:
    scrapped = Known("w:3", 100, fact("g", "scrap", at_s=7200))
    assert fleet_of([MADE, SERVED, scrapped]).until_s == 7200
    assert fleet_of([MADE, SERVED, scrapped], until_s=3600).lives["g"].age_s == 3600
    assert fleet_of([]).balance(0).residual_ug == 0


def test_what_was_written_down_twice_is_made_once_and_said() -> None:
    twice = Known("x:1", 300, MADE.fact)
    fleet = fleet_of([MADE, SERVED, twice])
    assert fleet.balance(0).made_ug == 1_000_000_000
    assert [breach.rule for breach in fleet.refused] == ["made twice"]
