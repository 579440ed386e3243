"""Prices: contiguous, in falling steps that say their names, by version and as of a time, and never of two boundaries unsaid."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.accounting.made_prices import KWH, T0, H, at, flat, intensity, known

from wattledger.accounting import prices
from wattledger.accounting.price import Price
from wattledger.accounting.prices_live import IMPOSSIBLE_UG_PER_KWH
from wattledger.accounting.sums import by_boundary, one_boundary
from wattledger.core.facts import IntensityFact, Known
from wattledger.core.uncertainty import Term, total

SETTLE_S = 72 * H
LATE = 4_000_000_000


def operational(
    facts: list[Known], hours: int = 6, *, as_of_s: int | None = LATE, zone: str = "DE", providers: tuple[str, ...] = ()
) -> list[Price]:
    return prices.operational(zone, T0, T0 + hours * H, facts, as_of_s=as_of_s, settle_s=SETTLE_S, providers=providers)


def in_force(found: list[Price]) -> list[tuple[int, float, str]]:
    """(hour, g/kWh, quality)."""
    return [((price.start_s - T0) // H, price.ug_per_kwh / 1e6, price.quality) for price in found]


def hours(values: list[float]) -> list[Known]:
    return [known(intensity(T0 + number * H, value), number + 1) for number, value in enumerate(values)]


def test_each_hour_is_priced_by_what_was_said_of_it() -> None:
    assert in_force(operational(hours([300, 310, 320]), 3)) == [(0, 300, "live"), (1, 310, "live"), (2, 320, "live")]


def test_what_was_learnt_last_holds_and_earlier_answers_stay() -> None:
    first = known(intensity(T0, 300)._replace(forecast=True), 1, recorded_s=T0 - H)
    then = known(intensity(T0, 320)._replace(estimated=True), 2, recorded_s=T0 + 2 * H)
    last = known(intensity(T0, 310, H), 3, recorded_s=T0 + 20 * H)
    for as_of_s, value, quality, g95 in (
        (T0 - H, 300, "forecast", 1.30),
        (T0 + 2 * H, 320, "live-estimated", 1.25),
        (T0 + 20 * H, 310, "live", 1.10),
    ):
        found = operational([last, first, then], 1, as_of_s=as_of_s)
        assert in_force(found) == [(0, value, quality)]
        assert found[0].g95 == g95


def test_an_estimate_said_after_a_measurement_is_the_newer_version_but_a_forecast_never_is() -> None:
    measured = known(intensity(T0, 300), 1, recorded_s=100)
    estimate = known(intensity(T0, 320)._replace(estimated=True), 2, recorded_s=200)
    forecast = known(intensity(T0, 340)._replace(forecast=True), 3, recorded_s=300)
    assert in_force(operational([measured, estimate, forecast], 1)) == [(0, 320, "live-estimated")]
    together = [one._replace(recorded_s=100) for one in (measured, estimate, forecast)]
    assert in_force(operational(together, 1)) == [(0, 300, "live")]


def test_a_correction_stands_in_the_place_of_what_it_corrects() -> None:
    old = known(intensity(T0, 300), 1, recorded_s=100)
    newer = known(intensity(T0, 310), 2, recorded_s=200)
    mended_old = known(intensity(T0, 290), 3, recorded_s=300, corrects=old.id)
    mended_newer = known(intensity(T0, 330), 4, recorded_s=400, corrects=newer.id)
    again = known(intensity(T0, 335), 5, recorded_s=500, corrects=newer.id)
    facts = [again, mended_newer, mended_old, newer, old]
    assert [operational(facts, 1, as_of_s=s)[0].ug_per_kwh // 10**6 for s in (100, 200, 300, 400, 500)] == [300, 310, 310, 330, 335]


def test_corrections_in_a_ring_stop_nothing() -> None:
    one, other = known(intensity(T0, 300), 1), known(intensity(T0, 310), 2)
    ring = [one._replace(corrects=other.id), other._replace(corrects=one.id)]
    assert operational(ring, 1)[0].quality == "zone-annual"


def test_the_finer_window_wins() -> None:
    facts = [known(intensity(T0, 300, H), 2, recorded_s=9), known(intensity(T0 + 900, 200, 900), 1)]
    found = operational(facts, 1)
    assert [(price.start_s - T0, price.length_s, price.ug_per_kwh) for price in found] == [
        (0, 900, 300_000_000), (900, 900, 200_000_000), (1800, 1800, 300_000_000)
    ]  # fmt: skip


def test_providers_are_asked_in_the_order_given_and_a_forecast_only_where_nobody_observed() -> None:
    one = known(intensity(T0, 300, provider="a"), 1)
    two = known(intensity(T0, 310, provider="b"), 2)
    assert operational([one, two], 1, providers=("b", "a"))[0].origin == "b"
    assert operational([one, two], 1, providers=("a", "b"))[0].origin == "a"
    assert operational([one, two], 1, providers=("b",))[0].origin == "b"
    foreseen = known(intensity(T0, 310, provider="b")._replace(forecast=True), 2)
    assert operational([one, foreseen], 1, providers=("b", "a"))[0].origin == "a"


@pytest.mark.parametrize("value", [-1, IMPOSSIBLE_UG_PER_KWH + 1])
def test_an_impossible_value_was_never_said(value: int) -> None:
    facts = [known(intensity(T0, 1)._replace(ug_per_kwh=value))]
    assert operational(facts, 1)[0].quality == "zone-annual"


def test_an_hour_twice_is_one_hour() -> None:
    twice = [known(intensity(T0, 300), 1), known(intensity(T0, 300), 2), known(intensity(T0, 300), 2)]
    assert in_force(operational(twice, 1)) == [(0, 300, "live")]


def test_a_hole_is_filled_by_the_last_known_value_for_six_hours_and_then_by_the_year() -> None:
    found = operational(hours([300]), 9)
    assert in_force(found) == [(0, 300, "live"), *((n, 300, "last-known") for n in range(1, 7)), (7, 329, "zone-annual")]
    held = [price.g95 for price in found if price.quality == "last-known"]
    assert held == sorted(held)
    assert 1.25 < held[0] < held[-1] < found[-1].g95
    assert held[-1] == pytest.approx(1.395, abs=0.001)


def test_what_was_said_right_before_the_time_fills_its_beginning() -> None:
    facts = [known(intensity(T0 - 3 * H, 300))]
    assert in_force(operational(facts, 6)) == [*((n, 300, "last-known") for n in range(4)), (4, 329, "zone-annual")]


def test_a_forecast_is_not_held_on() -> None:
    facts = [*hours([300]), known(intensity(T0 + H, 400)._replace(forecast=True), 2)]
    assert in_force(operational(facts, 3)) == [(0, 300, "live"), (1, 400, "forecast"), (2, 300, "last-known")]


@pytest.mark.parametrize(
    ("zone", "quality", "g_per_kwh"),
    [("US-CAMX", "zone-annual", 195.026), ("DE-NOWHERE", "country-annual", 329), ("XX", "world", 472.94), ("", "world", 472.94)],
)
def test_steps_down_to_zone_country_and_world_say_their_names(zone: str, quality: str, g_per_kwh: float) -> None:
    (price,) = operational([], 6, zone=zone)
    assert (price.zone, price.quality, price.ug_per_kwh) == (zone, quality, round(g_per_kwh * 1e6))
    assert price.origin
    assert price.g95 > 1.9


def test_a_world_average_may_be_far_too_high_but_not_far_too_low() -> None:
    (price,) = operational([], 6, zone="")
    assert price.g95 > 15
    assert 2 < price.g95_high < 4


def test_an_annual_average_is_wider_for_a_short_use_than_for_a_long_one() -> None:
    (month,) = operational([], 24 * 30)
    (day,) = operational([], 24)
    assert month.g95 < day.g95
    assert prices.used_for(month, 24 * H).g95 == pytest.approx(day.g95)
    live = operational(hours([300]), 1)[0]
    assert prices.used_for(live, 60) == live


def test_settled_is_after_the_window_and_the_time_for_revisions() -> None:
    facts = hours([300, 310])
    end_s = T0 + H
    for as_of_s, states in ((end_s + SETTLE_S - 1, [False, False]), (end_s + SETTLE_S, [True, False]), (LATE, [True, True])):
        assert [price.settled for price in operational(facts, 2, as_of_s=as_of_s)] == states
    latest = [*facts, known(intensity(T0 - 90 * H, 1), 9, recorded_s=end_s + SETTLE_S)]
    assert [price.settled for price in operational(latest, 2, as_of_s=None)] == [True, False]


def test_a_list_stands_on_direct_values_where_anybody_said_them() -> None:
    direct = known(intensity(T0, 300), 1)
    whole = [known(intensity(T0 + n * H, 400, boundary="lifecycle"), n + 2) for n in range(9)]
    found = operational([direct, *whole], 9)
    assert {price.boundary for price in found} == {"direct"}
    just_before = known(intensity(T0 - H, 300), 1)
    assert {price.boundary for price in operational([just_before, *whole], 9)} == {"lifecycle"}
    only = operational(whole, 12)
    assert {price.boundary for price in only} == {"lifecycle"}
    assert only[0].ug_per_kwh == 400_000_000


def test_one_cause_is_one_error_whatever_the_number_of_hours() -> None:
    """carbon.md vector 27: 1,000 rows with one factor have its interval, not a thirtieth of it."""
    found = operational(hours([342] * 1000), 1000)
    assert len({price.cause for price in found}) == 1
    rows = total(Term(342.0, price.cause, price.g95) for price in found)
    assert rows.value == pytest.approx(342_000)
    assert rows.high == pytest.approx(342_000 * 1.10)


def test_marginal_never_falls_back_to_an_average() -> None:
    facts = [*hours([300, 300, 300]), known(intensity(T0 + H, 700)._replace(signal="marginal"), 9)]
    found = prices.marginal("DE", T0, T0 + 3 * H, facts, as_of_s=None, settle_s=SETTLE_S)
    assert [(price.start_s, price.ug_per_kwh, price.g95) for price in found] == [(T0 + H, 700_000_000, 1.30)]
    assert {price.ug_per_kwh for price in operational(facts, 3)} == {300_000_000}


def test_the_inventory_is_the_official_year_without_a_time_mismatch() -> None:
    start_s, end_s = at("2022-12-31T23:00"), at("2024-01-01T01:00")
    found = prices.inventory("DE", start_s, end_s)
    assert [(price.start_s, price.length_s) for price in found] == [
        (start_s, H), (at("2023-01-01"), 365 * 24 * H), (at("2024-01-01"), H)
    ]  # fmt: skip
    assert {(price.ug_per_kwh, price.boundary, price.version) for price in found} == {(329_000_000, "direct", "2023")}
    assert [price.settled for price in found] == [False, True, False]
    assert [price.g95 for price in found] == pytest.approx([1.05, 1.05, 1.10])
    assert {price.quality for price in prices.inventory("JP", start_s, end_s)} == {"stand-in"}


def upstream(facts: list[Known], zone: str = "DE", n: int = 3) -> list[Price]:
    return prices.upstream(zone, T0, T0 + n * H, facts, as_of_s=None, settle_s=SETTLE_S)


def test_upstream_is_one_providers_own_pair_of_the_same_hour_and_never_negative() -> None:
    facts = [
        *hours([300, 300, 300]),
        known(intensity(T0, 350, boundary="lifecycle"), 11),
        known(intensity(T0 + H, 250, boundary="lifecycle"), 12),
        known(intensity(T0 + 2 * H, 350, boundary="lifecycle", provider="other"), 13),
    ]
    found = upstream(facts)
    assert [(price.start_s, price.ug_per_kwh, price.boundary, price.facts) for price in found] == [
        (T0, 50_000_000, "upstream", ("00000000000000aa:11", "00000000000000aa:1"))
    ]
    assert found[0].g95 == 1.20


def test_upstream_of_the_table_fills_what_no_provider_says_and_is_absent_where_it_has_none() -> None:
    facts = [known(intensity(T0 + H, 40, zone="GB", boundary="upstream"))]
    found = upstream(facts, "GB")
    assert [(price.start_s - T0, price.length_s, price.quality) for price in found] == [
        (0, H, "zone-annual"), (H, H, "live"), (2 * H, H, "zone-annual")
    ]  # fmt: skip
    assert upstream([], "DE") == []


def test_a_life_cycle_price_holds_its_upstream_already() -> None:
    location = [*flat("GB", 177, end_s=T0 + H), *flat("GB", 216, boundary="lifecycle", start_s=T0 + H)]
    found = prices.beside_direct(upstream([], "GB"), location)
    assert [(price.start_s, price.length_s) for price in found] == [(T0, H)]


def test_vector_31_upstream_of_a_thousand_kwh_in_the_uk() -> None:
    """carbon.md vector 31: 0.0459 kg/kWh well-to-tank (DESNZ 2024)."""
    facts = [known(intensity(T0, 45.9, zone="GB", boundary="upstream"))]
    parts = by_boundary(upstream(facts, "GB", 1), [(T0, H, 1000 * KWH)])
    assert one_boundary(parts) == "upstream"
    assert parts["upstream"].emitted_ug == 45_900 * 10**6


def test_a_residual_mix_is_there_or_absent_never_zero() -> None:
    facts = [known(intensity(at("2026-01-01"), 701.47, 365 * 24 * H, boundary="residual"))]
    (price,) = prices.residual("DE", T0, T0 + H, facts, as_of_s=None, settle_s=SETTLE_S)
    assert (price.ug_per_kwh, price.quality, price.boundary, price.start_s) == (701_470_000, "residual", "residual", T0)
    assert prices.residual("NL", T0, T0 + H, facts, as_of_s=None, settle_s=SETTLE_S) == []
    assert operational(facts, 1)[0].quality == "zone-annual"  # what certificates leave over is no grid average


SPOKEN = st.builds(
    lambda start, length, value, more, seq: Known(
        f"00000000000000a{seq % 3}:{seq}",
        T0 + more[3] * H,
        IntensityFact(
            "DE", T0 + start * 900, length, value * 10**6, more[0], boundary=more[4], estimated=more[1], forecast=more[2]
        ),
        f"00000000000000a{(seq - 1) % 3}:{seq - 1}" if more[5] else "",
    ),
    st.integers(-40, 100),
    st.sampled_from((0, 300, 900, 1800, H)),
    st.integers(-2, 6000),
    st.tuples(
        st.sampled_from("pq"),
        st.booleans(),
        st.booleans(),
        st.integers(-9, 30),
        st.sampled_from(("direct", "lifecycle", "residual")),
        st.integers(0, 4).map(lambda n: n == 0),
    ),
    st.integers(1, 40),
)  # fmt: skip


@given(facts=st.lists(SPOKEN, max_size=30, unique_by=lambda one: one.id), data=st.data())
def test_prices_cover_the_time_exactly_whatever_was_said_in_whatever_order(facts: list[Known], data: st.DataObject) -> None:
    as_of_s = data.draw(st.none() | st.integers(-9, 30).map(lambda n: T0 + n * H))
    found = operational(facts, 24, as_of_s=as_of_s)
    assert found[0].start_s == T0
    assert found[-1].start_s + found[-1].length_s == T0 + 24 * H
    assert all(one.start_s + one.length_s == other.start_s for one, other in pairwise(found))
    assert all(price.length_s > 0 and price.ug_per_kwh >= 0 and price.g95 > 1 for price in found)
    assert operational(data.draw(st.permutations(facts)), 24, as_of_s=as_of_s) == found


@given(facts=st.lists(SPOKEN, max_size=30, unique_by=lambda one: one.id), as_of_h=st.integers(-9, 30))
def test_what_is_learnt_later_never_changes_an_earlier_answer(facts: list[Known], as_of_h: int) -> None:
    as_of_s = T0 + as_of_h * H
    by_then = [one for one in facts if one.recorded_s <= as_of_s]
    assert operational(facts, 24, as_of_s=as_of_s) == operational(by_then, 24, as_of_s=as_of_s)


@given(hour=st.integers(0, 23), value=st.integers(0, 900))
def test_a_revised_hour_changes_that_hour_alone(hour: int, value: int) -> None:
    facts = hours([300 + n for n in range(24)])
    before = operational(facts, 24)
    after = operational([*facts, known(intensity(T0 + hour * H, value), 99, recorded_s=9)], 24)
    assert [price for n, price in enumerate(after) if n != hour] == [price for n, price in enumerate(before) if n != hour]
    assert (after[hour].ug_per_kwh, after[hour].facts) == (value * 10**6, ("00000000000000aa:99",))
