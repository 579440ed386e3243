"""What events do to machines and parts: examples that can be worked out by hand."""

import pytest

from wattledger.accounting.assets.fold import Fleet, fold
from wattledger.accounting.assets.life import Life, Place
from wattledger.accounting.assets.words import event_of, fact
from wattledger.core.facts import AssetFact

H = 3600
KG = 1_000_000_000
LIFE_H = 35_040


def fleet(*facts: AssetFact, until_s: int = 10**9) -> Fleet:
    """The facts folded; none of them breaks a rule."""
    found = fold([event_of(one, f"w:{n}", (1, "w", n)) for n, one in enumerate(facts, 1)], until_s)
    assert found.refused == ()
    return found


def server(name: str = "s", host: str = "h1", kg: int = 1000) -> list[AssetFact]:
    return [
        fact(name, "make", at_s=0, emitted_g=kg * 1000, kind="server", el_h=1000),
        fact(name, "commission", at_s=0, host=host, site="A", owner="us"),
    ]


def card(name: str = "g", inside: str = "s", kg: int = 164) -> AssetFact:
    return fact(name, "make", at_s=0, emitted_g=kg * 1000, kind="gpu", el_h=LIFE_H, device=f"GPU-{name}", inside=inside)


def moved(life: Life) -> list[tuple[str, int]]:
    return [(one.cause, one.ug) for one in life.movements]


def test_an_hour_of_a_card_is_its_share_of_four_years() -> None:
    # Example 20 of the reference: 164 kg, four years of 8,760 hours.
    found = fleet(*server(), card()).lives["g"].booked_ug(0, H)
    assert found / 1e6 == pytest.approx(4.680, abs=0.001)


def test_an_hour_of_a_whole_machine_as_sci_has_it() -> None:
    made = fact("s", "make", at_s=0, emitted_g=1_000_000, kind="server", el_h=LIFE_H)
    # Example 2: 28.5388 g.
    assert fleet(made, fact("s", "commission", at_s=0)).lives["s"].booked_ug(0, H) / 1e6 == pytest.approx(28.5388, abs=1e-4)


def test_a_life_that_nobody_said_is_that_of_its_kind() -> None:
    found = fleet(fact("g", "make", at_s=0, kind="gpu"), fact("s", "make", at_s=0, kind="server", el_h=10)).lives
    assert (found["g"].el_s, found["g"].el_stated) == (LIFE_H * H, False)
    assert (found["s"].el_s, found["s"].el_stated) == (10 * H, True)
    assert not found["g"].passport.made_known


def test_what_is_in_stock_neither_ages_nor_books() -> None:
    found = fleet(*server(kg=1000), fact("s", "remove", at_s=100 * H), fact("s", "commission", at_s=300 * H, host="h1"))
    life = found.lives["s"]
    assert life.booked_ug(0, 100 * H) == 100 * KG
    assert life.booked_ug(100 * H, 300 * H) == 0
    assert life.booked_ug(300 * H, 400 * H) == 100 * KG
    assert [stay.status for stay in life.stays] == ["service", "stock", "service"]
    assert life.carried_ug(10**8) == 0


def test_a_part_moves_with_its_machine() -> None:
    found = fleet(*server(), card(), fact("s", "move", at_s=50 * H, host="h2", site="B"))
    here, there = found.lives["g"].periods
    assert here.place == Place("s", "s", "h1", "A", "us")
    assert there.place == Place("s", "s", "h2", "B", "us")
    assert (here.end_s, there.start_s, there.device) == (50 * H, 50 * H, "GPU-g")
    assert found.hosts == ("h1", "h2")
    assert [p.asset for p in found.periods(0, 10 * H, host="h1")] == ["g", "s"]
    assert found.periods(0, 10 * H, host="h2") == ()


def test_a_part_in_a_part_is_where_the_machine_is() -> None:
    board = fact("b", "make", at_s=0, emitted_g=1, kind="board", inside="s")
    place = fleet(*server(), board, card(inside="b")).lives["g"].place
    assert place == Place("b", "s", "h1", "A", "us")


def test_a_card_goes_to_another_host_with_what_it_carries() -> None:
    found = fleet(*server(), *server("t", "h2"), card(), fact("g", "move", at_s=10 * H, inside="t", emitted_g=3))
    life = found.lives["g"]
    assert life.place == Place("t", "t", "h2", "A", "us")
    assert (found.lives["s"].parts, found.lives["t"].parts) == ((), ("g",))
    assert life.periods[1].carried_ug == 164 * KG - life.booked_ug(0, 10 * H) + 3_000_000
    assert moved(life) == [("made", 164 * KG), ("added", 3_000_000)]


def test_a_card_may_move_to_a_host_that_has_no_passport() -> None:
    life = fleet(*server(), card(), fact("g", "move", at_s=10 * H, host="h9")).lives["g"]
    assert (life.status, life.place.inside, life.place.host) == ("service", "", "h9")


def test_a_part_that_is_sent_elsewhere_is_in_stock_there() -> None:
    life = fleet(*server(), card(), fact("g", "move", at_s=10 * H, site="workshop", mode="road", km=30)).lives["g"]
    assert (life.status, life.place) == ("stock", Place("", "", "", "workshop", "us"))


def test_a_server_in_a_rack_is_in_service_by_itself() -> None:
    rack = [fact("r", "make", at_s=0, emitted_g=0, kind="rack"), fact("r", "commission", at_s=0, site="A")]
    found = fleet(*rack, fact("s", "make", at_s=0, kind="server", inside="r"), card())
    assert (found.lives["s"].status, found.lives["g"].status) == ("stock", "stock")
    later = fleet(*rack, fact("s", "make", at_s=0, kind="server", inside="r"), card(), fact("s", "commission", at_s=5, host="h1"))
    assert later.lives["g"].place == Place("s", "r", "h1", "A", "")


def test_a_swap_leaves_the_old_part_in_stock_with_what_it_carries() -> None:
    spare = fact("new", "make", at_s=5, emitted_g=200_000, kind="gpu", el_h=LIFE_H)
    found = fleet(*server(), card(), spare, fact("s", "swap", at_s=H, out="g", in_="new"))
    old, new = found.lives["g"], found.lives["new"]
    assert (old.status, new.status) == ("stock", "service")
    assert old.carried_ug(10**9) == 164 * KG - old.booked_ug(0, H) > 0
    assert new.booked_ug(0, H) == 0
    assert new.periods[0].start_s == H
    assert old.events == ("w:3", "w:5")


def test_an_upgrade_may_make_the_machine_live_longer() -> None:
    ssd = fact("d", "make", at_s=5, emitted_g=20_000, kind="ssd")
    found = fleet(*server(), ssd, fact("s", "upgrade", at_s=500 * H, in_="d", el_h=1500)).lives
    assert found["s"].booked_ug(500 * H, 600 * H) == 50 * KG
    assert found["d"].place.host == "h1"


def test_a_new_estimate_changes_only_what_is_to_come() -> None:
    found = fleet(*server(), fact("s", "estimate", at_s=400 * H, el_h=1600)).lives["s"]
    assert found.booked_ug(0, 400 * H) == 400 * KG
    assert found.booked_ug(400 * H, 401 * H) == 600 * KG // 1200
    assert found.booked_ug(0, 1600 * H) == 1000 * KG


def test_a_repair_is_spread_over_the_life_that_is_left() -> None:
    found = fleet(*server(), fact("s", "repair", at_s=500 * H, emitted_g=50_000, part="psu")).lives["s"]
    assert found.booked_ug(500 * H, 600 * H) == 110 * KG
    assert found.booked_ug(0, 10**9) == 1050 * KG


def test_beyond_its_planned_life_only_repairs_count_and_the_owner_bears_them() -> None:
    life = fleet(*server(), fact("s", "repair", at_s=2000 * H, emitted_g=9_000)).lives["s"]
    assert life.booked_ug(1000 * H, 10**9) == 0
    assert moved(life)[1:] == [("added", 9 * KG), ("written-off", 9 * KG)]
    assert life.movements[-1].place.owner == "us"
    assert life.age_s == 10**9


def test_early_scrap_is_written_off_to_the_last_owner_with_its_treatment() -> None:
    ended = fact("s", "scrap", at_s=250 * H, emitted_g=7_000, route="recycle")
    found = fleet(*server(), card(), fact("s", "acquire", at_s=H, owner="them"), ended)
    life = found.lives["s"]
    assert moved(life)[1:] == [("added", 7 * KG), ("written-off", 757 * KG)]
    assert (life.status, life.movements[-1].place.owner) == ("scrapped", "them")
    assert life.booked_ug(250 * H, 10**9) == 0
    assert found.lives["g"].status == "scrapped"
    assert found.balance(10**9).carried_ug == 0


def test_an_end_that_nobody_weighed_is_what_the_passport_expects() -> None:
    made = fact("g", "make", at_s=0, emitted_g=1000, kind="gpu", eol_g=5)
    assert moved(fleet(made, fact("g", "scrap", at_s=9)).lives["g"])[1:] == [("added", 5_000_000), ("written-off", 1_005_000_000)]


def test_parts_that_are_harvested_outlive_their_machine() -> None:
    found = fleet(*server(), card(), fact("s", "scrap", at_s=10 * H, route="harvest")).lives
    assert (found["s"].status, found["g"].status) == ("scrapped", "stock")
    assert found["g"].carried_ug(10**9) > 0


def test_what_wore_off_leaves_less_to_share() -> None:
    found = fleet(*server(), card(), fact("g", "degrade", at_s=10 * H, capacity=0.857)).lives["g"]
    assert [period.capacity_ppm for period in found.periods] == [1_000_000, 857_000]
    assert found.booked_ug(0, LIFE_H * H) == 164 * KG


@pytest.mark.parametrize(
    ("method", "words", "out_kg"),
    [
        ("cut-off", {}, 0), ("50/50", {}, 500), ("time", {"years_1": 4, "years_2": 2}, 333.333333333),
        ("economic", {"price_ratio": 0.25}, 250), ("mass", {"mass_ratio": 0.9}, 800),
    ],
)  # fmt: skip
def test_a_transfer_takes_the_second_lifes_share_as_far_as_it_is_not_booked(
    method: str, words: dict[str, float], out_kg: float
) -> None:
    life = fleet(*server(), fact("s", "transfer", at_s=200 * H, emitted_g=None, to="them", method=method, **words)).lives["s"]
    out_ug = round(out_kg * KG)
    assert sum(one.ug for one in life.movements if one.cause == "transferred-out") == out_ug
    assert sum(one.ug for one in life.movements if one.cause == "written-off") == 800 * KG - out_ug
    assert (life.status, life.carried_ug(10**9)) == ("transferred", 0)


def test_a_second_life_takes_up_what_the_first_handed_over() -> None:
    gone = fact("s", "transfer", at_s=200 * H, method="50/50")
    back = fact("s", "second-life", at_s=300 * H, el_h=100, emitted_g=50_000, host="h3", owner="them")
    life = fleet(*server(), card(), gone, back).lives["s"]
    assert [cause for cause, _ in moved(life)] == ["made", "transferred-out", "written-off", "transferred-in", "added"]
    assert life.booked_ug(300 * H, 400 * H) == 550 * KG
    assert life.place == Place("", "", "h3", "A", "them")
    assert fleet(*server(), card(), gone, back).lives["g"].place.host == "h3"


def test_a_part_may_come_back_without_its_machine() -> None:
    gone, back = fact("s", "transfer", at_s=H), fact("g", "second-life", at_s=2 * H, el_h=100, host="h3")
    found = fleet(*server(), card(), gone, back).lives
    assert (found["s"].status, found["g"].status, found["g"].place.inside) == ("transferred", "service", "")


@pytest.mark.parametrize(("words", "ours_kg"), [({}, 0), ({"method": "50/50"}, 500), ({"method": "mass", "mass_ratio": 0.1}, 100)])
def test_what_came_to_us_used_carries_only_its_second_life(words: dict[str, str | float], ours_kg: int) -> None:
    made = fact("s", "make", at_s=0, emitted_g=1_000_000, kind="server")
    mended = fact("s", "refurbish", at_s=5, emitted_g=50_000, energy_kwh=12)
    life = fleet(made, mended, fact("s", "second-life", at_s=9, emitted_g=None, el_h=100, host="h", **words)).lives["s"]
    assert life.booked_ug(9, 9 + 100 * H) == (ours_kg + 50) * KG
    assert life.balance(10**9).transferred_out_ug == (1000 - ours_kg) * KG


def test_a_balance_that_is_off_would_show() -> None:
    life = fleet(*server()).lives["s"]
    short = life._replace(periods=(life.periods[0]._replace(life_left_s=999 * H),))
    assert life.balance(500 * H).residual_ug == 0
    assert short.balance(500 * H).residual_ug != 0


def test_what_happens_after_the_fold_has_not_happened() -> None:
    found = fleet(*server(), fact("s", "scrap", at_s=101), until_s=100).lives["s"]
    assert (found.status, found.age_s) == ("service", 100)


def test_a_fold_of_many_events_leaves_the_collector_as_it_was() -> None:
    import gc

    facts = [*server(), *(fact("s", "repair", at_s=n, emitted_g=1) for n in range(10_100))]
    assert gc.isenabled()
    assert fleet(*facts).balance(10**9).residual_ug == 0
    assert gc.isenabled()
