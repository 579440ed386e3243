"""What is in force: live, last known, annual; each step wider than the one before."""

from datetime import date

import pytest
from tests.runtime.grid.said import HOUR, T0, hour

from wattledger.core.facts import IntensityFact
from wattledger.runtime.grid.standing import LAST_KNOWN_S, Rules, in_force, table_of

DAY = date(2026, 11, 22)
RULES = Rules("DE", ("first", "second"), table_of("DE", DAY), grace_s=600, licences={"first": "CC BY 4.0"})


def step(*known: IntensityFact, at_s: int = T0, rules: Rules = RULES) -> tuple[str, float]:
    found = in_force(known, at_s, rules)
    return found.step, found.factors[0].value


def test_the_value_of_this_hour_is_live_and_says_where_it_is_from() -> None:
    (grid,) = in_force([hour(T0, 321.5, version="v7")], T0 + 60, RULES).factors
    assert (grid.kind, grid.zone, grid.value, grid.unit, grid.boundary) == ("grid", "DE", 321.5, "gCO2e/kWh", "direct")
    assert (grid.origin, grid.version, grid.quality, grid.licence) == ("first", "v7", "live", "CC BY 4.0")
    assert (grid.valid_from, grid.valid_to) == ("2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z")
    assert grid.g95 == pytest.approx(1.10)


def test_the_upstream_part_stays_the_tables_own() -> None:
    """Of a zone whose source gives the pair."""
    rules = RULES._replace(zone="AU-NSW", table=table_of("AU-NSW", DAY))
    found = in_force([hour(T0, 600, zone="AU-NSW")], T0, rules)
    assert [(factor.kind, factor.boundary) for factor in found.factors] == [("grid", "direct"), ("upstream", "upstream")]


@pytest.mark.parametrize(("fact", "g95"), [(hour(T0, 300, estimated=True), 1.25), (hour(T0, 300, forecast=True), 1.30)])
def test_what_is_not_measured_is_live_but_wider(fact: IntensityFact, g95: float) -> None:
    found = in_force([fact], T0, RULES)
    assert found.step == "live-estimated"
    assert found.factors[0].g95 == pytest.approx(g95)


def test_each_step_is_wider_than_the_one_before() -> None:
    fact = hour(T0, 300)
    ages_s = [0, HOUR + 700, 3 * HOUR, HOUR + LAST_KNOWN_S, HOUR + LAST_KNOWN_S + 1]
    found = [in_force([fact], T0 + age_s, RULES) for age_s in ages_s]
    assert [one.step for one in found] == ["live", *["last-known"] * 3, "country-annual"]
    widths = [one.factors[0].g95 for one in found[:-1]]
    assert widths == sorted(set(widths))
    # An annual average for an hour carries its time mismatch beside its own interval (carbon.md 8.4).
    assert widths[-1] < found[-1].factors[0].g95 * 2.0


def test_a_slot_that_ended_a_moment_ago_is_still_live_until_the_next_one_can_be_here() -> None:
    assert step(hour(T0, 300), at_s=T0 + HOUR + 599) == ("live", 300.0)
    assert step(hour(T0, 300), at_s=T0 + HOUR + 600) == ("last-known", 300.0)
    assert step(hour(T0, 300, forecast=True), at_s=T0 + HOUR)[0] == "country-annual"


def test_the_order_of_providers_decides_between_live_ones_and_the_newest_between_old_ones() -> None:
    first, second = hour(T0, 100), hour(T0, 200, "second")
    assert step(second, first) == ("live", 100.0)
    assert step(hour(T0 - 2 * HOUR, 100), second) == ("live", 200.0)
    assert step(hour(T0 - 3 * HOUR, 100), hour(T0 - 2 * HOUR, 200, "second")) == ("last-known", 200.0)


@pytest.mark.parametrize(
    "fact",
    [
        hour(T0, 1, signal="marginal"),
        hour(T0, 1, zone="FR"),
        hour(T0, 1, provider="nobody we asked"),
        hour(T0, 1, boundary="residual"),
        hour(T0 + HOUR, 1),
    ],
)
def test_what_is_not_of_this_zones_average_now_never_stands_for_it(fact: IntensityFact) -> None:
    assert step(fact)[0] == "country-annual"


def test_a_life_cycle_figure_holds_the_upstream_part_already() -> None:
    found = in_force([hour(T0, 300, boundary="lifecycle")], T0, RULES)
    assert [factor.kind for factor in found.factors] == ["grid"]
    assert "upstream part too" in found.notes[0]


def test_zero_grams_are_a_value() -> None:
    assert step(hour(T0, 0)) == ("live", 0.0)


@pytest.mark.parametrize(
    ("zone", "expected", "stands_on"),
    [("US-CAMX", "zone-annual", "US-CAMX"), ("DE", "country-annual", "DE"), ("DK-DK1", "country-annual", "DK"),
     ("XX-Y", "world", "WORLD"), (None, "world", "WORLD")],
)  # fmt: skip
def test_the_table_always_has_something_and_says_how_far_off_it_is(zone: str | None, expected: str, stands_on: str) -> None:
    table = table_of(zone, DAY)
    assert (table.step, table.grid.quality, table.grid.zone, table.grid.kind) == (expected, expected, stands_on, "grid")
    if zone == "DK-DK1":
        assert table.grid.g95 > table_of("DK", DAY).grid.g95
        assert table.notes[0].startswith("grid DK-DK1: no annual figure of its own")
