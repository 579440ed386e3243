"""An asset's life, step by step: every gram of it is accounted for, and every fact says what it did."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accounting.made_reports import DAY_S, H, add, books
from tests.ledger.made import NOON_S

from wattledger.accounting.assets.words import fact
from wattledger.accounting.explain_asset import AssetStory, Effect, asset, effect, rate_g_per_h
from wattledger.accounting.explain_asset_rows import asset_dict, effect_dict
from wattledger.accounting.reports import UnknownName
from wattledger.core.facts import Correction
from wattledger.ledger.books import Books
from wattledger.ledger.store import Store

KG, UG = 1000, 1_000_000
HAPPENS = (
    "commission", "move", "install", "remove", "repair", "degrade", "scrap", "transfer", "second-life", "estimate", "refurbish",
)  # fmt: skip
END_S = NOON_S + 730 * DAY_S


def told(place: Path, name: str, to_s: int | None = END_S) -> AssetStory:
    with Books([place]) as opened:
        return asset(opened, name, to_s=to_s)


def moved(place: Path, fact_id: str, to_s: int | None = END_S) -> Effect:
    with Books([place]) as opened:
        return effect(opened, fact_id, to_s=to_s)


def server() -> list[Any]:
    """A server with a GPU that moves to another, is repaired, and ends; four years of life each."""
    life = {"el_h": 35_040}
    return [
        fact("s1", "make", at_s=NOON_S, emitted_g=1000 * KG, kind="server", host="h1", **life),
        fact("s2", "make", at_s=NOON_S, emitted_g=2000 * KG, kind="server", host="h2", **life),
        fact("g", "make", at_s=NOON_S, emitted_g=164 * KG, kind="gpu", inside="s1", device="GPU-1", source="PCF", method="pcf",
             low_g=110 * KG, high_g=575 * KG, **life),
        fact("s1", "commission", at_s=NOON_S + DAY_S, emitted_g=10 * KG, host="h1"),
        fact("s2", "commission", at_s=NOON_S + DAY_S, host="h2"),
        fact("g", "remove", at_s=NOON_S + 100 * DAY_S),
        fact("g", "install", at_s=NOON_S + 100 * DAY_S, emitted_g=1 * KG, inside="s2"),
        fact("g", "repair", at_s=NOON_S + 200 * DAY_S, emitted_g=5 * KG),
        fact("s2", "scrap", at_s=NOON_S + 300 * DAY_S, emitted_g=3 * KG, route="recycle"),
    ]  # fmt: skip


def ids_of(place: Path) -> list[str]:
    store = Store.open(place, readonly=True)
    try:
        return [one.id for one in store.known()]
    finally:
        store.close()


def test_what_came_in_is_what_was_booked_carried_and_lost(tmp_path: Path) -> None:
    place = books(tmp_path, server())
    for name, made_g, added_g in (("s1", 1000 * KG, 10 * KG), ("s2", 2000 * KG, 3 * KG), ("g", 164 * KG, 6 * KG)):
        found = told(place, name)
        assert found.is_equal
        assert (found.balance.made_ug, found.balance.added_ug) == (made_g * UG, added_g * UG)
        assert found.balance.residual_ug == 0
    assert told(place, "g").balance.written_off_ug > 100 * KG * UG
    assert told(place, "s1").balance.written_off_ug == 0


def test_each_event_has_its_fact_its_kilograms_and_what_is_carried_after_it(tmp_path: Path) -> None:
    place = books(tmp_path, server())
    ids, found = ids_of(place), told(place, "g")
    assert [step.fact.event for step in found.steps] == ["make", "commission", "remove", "install", "repair", "scrap"]
    # The container's commissioning and its end are events of the part's life too, and name their own facts.
    assert [step.known.id for step in found.steps] == [ids[n] for n in (2, 3, 5, 6, 7, 8)]
    assert [sum(each.ug for each in step.moved) for step in found.steps[:5]] == [164 * KG * UG, 0, 0, 1 * KG * UG, 5 * KG * UG]
    assert [step.place.host for step in found.steps] == ["", "h1", "h2", "h2", "h2", ""]
    assert found.steps[1].carried_ug == 164 * KG * UG
    # 99 days of four years on h1, then a kilogram of transport.
    booked_ug = 164 * KG * UG * 99 * DAY_S // (35_040 * H)
    assert [step.carried_ug for step in found.steps[2:4]] == [164 * KG * UG - booked_ug, 165 * KG * UG - booked_ug]
    assert found.steps[-1].carried_ug == 0


def test_the_pace_of_each_period_is_carried_over_life_left(tmp_path: Path) -> None:
    found = told(books(tmp_path, server()), "g")
    assert rate_g_per_h(found.life.periods[0]) == pytest.approx(164_000 / 35_040)
    said = asset_dict(found)
    assert [period["place"].get("host") for period in said["periods"]] == ["h1", "h2", "h2"]
    assert sum(period["booked_ug"] for period in said["periods"]) == said["balance"]["booked_ug"]
    for period, later in zip(said["periods"], said["events"][3:], strict=False):
        came = sum(each["ug"] for each in later["moved"] if each["cause"] == "added")
        assert later["event"] == "scrap" or period["carried_ug"] - period["booked_ug"] + came == later["carried_ug"]


def test_the_figure_of_its_making_has_its_source_and_interval(tmp_path: Path) -> None:
    said = asset_dict(told(books(tmp_path, server()), "g"))
    assert (said["passport"]["made_g"], said["passport"]["low_g"], said["passport"]["high_g"]) == (164_000, 110_000, 575_000)
    assert (said["passport"]["source"], said["passport"]["method"], said["passport"]["device"]) == ("PCF", "pcf", "GPU-1")
    assert "licence" not in said["passport"]
    assert (said["equal"], said["life_is_stated"]) == (True, True)


def test_an_asset_in_stock_books_nothing(tmp_path: Path) -> None:
    place = books(tmp_path, [fact("spare", "make", at_s=NOON_S, emitted_g=7 * KG, kind="ssd")])
    found = told(place, "spare")
    assert (found.life.status, found.life.periods, found.balance.carried_ug) == ("stock", (), 7 * KG * UG)
    assert found.is_equal


def test_a_fact_says_what_it_moves_and_on_which_host(tmp_path: Path) -> None:
    place = books(tmp_path, server())
    install = ids_of(place)[6]
    found = moved(place, install)
    assert [step.asset for step in found.steps] == ["g"]
    # Without it the part would have stayed in stock.
    [change] = found.changes
    assert (change.asset, change.host, change.without_ug) == ("g", "h2", 0)
    assert change.with_ug > 0
    [said] = effect_dict(found)["moves_reports"]
    assert (said["from"], said["difference_ug"]) == ("2026-12-30T12:00:00Z", change.with_ug)


def test_what_could_not_have_happened_without_a_fact_is_said(tmp_path: Path) -> None:
    place = books(tmp_path, server())
    found = moved(place, ids_of(place)[2])
    assert any("g" in line for line in found.breaks)
    assert all("\n" not in line for line in found.breaks)
    assert {each.asset for each in found.changes} == {"g"}
    assert all(each.without_ug == 0 for each in found.changes)


def test_a_correction_takes_the_place_of_what_it_corrects(tmp_path: Path) -> None:
    place = books(tmp_path, server())
    old = ids_of(place)[7]
    [new] = add(place, [Correction(old, "the invoice said 50", fact("g", "repair", at_s=NOON_S + 200 * DAY_S, emitted_g=50 * KG))],
                NOON_S + 40 * DAY_S)  # fmt: skip
    found = told(place, "g")
    [repair] = [step for step in found.steps if step.fact.event == "repair"]
    assert (repair.known.id, repair.known.corrects, repair.moved[0].ug) == (new, old, 50 * KG * UG)
    assert found.is_equal
    assert moved(place, old).why_none.startswith("it was corrected since")
    [change] = moved(place, new).changes
    # Without the correction the old word would hold.
    assert 0 < change.without_ug < change.with_ug


def test_a_fact_that_breaks_a_rule_is_said_to_be_left_out(tmp_path: Path) -> None:
    bad = fact("g", "install", at_s=NOON_S + 50 * DAY_S, inside="nowhere")
    place = books(tmp_path, [*server(), bad])
    assert moved(place, ids_of(place)[-1]).why_none.startswith("it was left out, because it breaks a rule")
    [line] = told(place, "g").refused
    assert ids_of(place)[-1] in line


def test_a_fact_of_the_future_moves_nothing_yet(tmp_path: Path) -> None:
    place = books(tmp_path, server())
    assert moved(place, ids_of(place)[7], to_s=NOON_S + 150 * DAY_S).why_none == "it happens after that time"


def test_an_unknown_asset_names_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UnknownName) as wrong:
        told(books(tmp_path, server()), "s3")
    assert wrong.value.names == ["g", "s1", "s2"]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_whatever_happens_to_machines_both_accounts_agree(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    random = Random(seed)
    names = ["r", "s1", "s2", "g1", "g2"]
    kinds = ("rack", "server", "server", "gpu", "gpu")
    made = zip(names, kinds, strict=True)
    facts = [fact(name, "make", at_s=NOON_S, emitted_g=random.randrange(10**6), kind=kind) for name, kind in made]
    for _ in range(random.randrange(25)):
        what: Any = random.choice(HAPPENS)
        words: dict[str, Any] = {"emitted_g": random.choice((None, random.randrange(10**5)))}
        if what in ("commission", "move", "second-life"):
            words |= random.choice(({"host": random.choice(("h1", "h2"))}, {"site": "x"}))
        if what == "install":
            words["inside"] = random.choice(names)
        if what in ("estimate", "second-life"):
            words["el_h"] = random.randrange(1, 60_000)
        if what == "degrade":
            words["capacity"] = 0.5
        facts.append(fact(random.choice(names), what, at_s=NOON_S + random.randrange(0, 400, 20) * DAY_S, **words))
    place = books(tmp_path_factory.mktemp("books"), facts)
    with Books([place]) as opened:
        stories = [asset(opened, name, to_s=NOON_S + random.randrange(500) * DAY_S) for name in names]
    assert all(found.is_equal for found in stories), seed
    for found in stories:
        assert {each.fact for each in found.life.movements} <= {step.known.id for step in found.steps}
