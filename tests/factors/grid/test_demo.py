"""The made-up grid: the same for everybody, plausible, and never anybody's real books'."""

import pytest

from wattledger.core.ports import GridPlace, no_fetch
from wattledger.factors.grid import demo
from wattledger.runtime.config import DEMO_ORIGIN, Config, Value, load
from wattledger.runtime.grid.providers import DEMO, open_providers

PLACE = GridPlace({}, no_fetch, lambda _: None)
NOON_S = 1_767_225_600 + 12 * 3_600
DAY_S = 86_400


@pytest.mark.parametrize("provider", [demo.open(PLACE), demo.open_marginal(PLACE)], ids=lambda p: p.name)
def test_a_slot_is_told_once_it_has_begun_and_says_that_it_is_made_up(provider: demo.Demo) -> None:
    found = provider.read("DE", NOON_S - DAY_S, NOON_S + DAY_S, NOON_S + 59)
    assert [fact.start_s for fact in found] == list(range(NOON_S - DAY_S, NOON_S, demo.STEP_S))
    assert provider.read("DE", NOON_S, NOON_S + 900, NOON_S + 60)[0].start_s == NOON_S
    assert {(fact.zone, fact.provider, fact.version, fact.signal) for fact in found} == {
        ("DE", provider.name, "made up", provider.signal)
    }
    assert all(100_000_000 <= fact.ug_per_kwh <= 850_000_000 for fact in found)
    assert len({fact.ug_per_kwh for fact in found}) > 90
    assert provider.covers("DE")


def test_the_same_time_has_the_same_figure_whoever_asks() -> None:
    one, other = demo.open(PLACE), demo.open(PLACE)
    assert one.read("DE", NOON_S, NOON_S + DAY_S, NOON_S + DAY_S) == other.read("DE", NOON_S, NOON_S + DAY_S, NOON_S + 2 * DAY_S)


def test_the_sun_lowers_noon_and_the_evening_is_dirtier() -> None:
    for day in range(14):
        noon, evening = (demo.average(NOON_S + day * DAY_S + hours * 3_600) for hours in (0, 7))
        assert noon + 80 < evening


def test_a_forecast_is_of_whole_slots_to_come() -> None:
    found = demo.open(PLACE).forecast("DE", NOON_S + 100)
    assert found[0].start_s == NOON_S + 900
    assert found[-1].start_s + found[-1].length_s == NOON_S + 900 + demo.AHEAD_S
    assert all(fact.forecast for fact in found)


def test_only_the_demo_itself_can_name_it() -> None:
    user = open_providers(load({"WATTLEDGER_GRID_PROVIDER": "demo,demo-marginal"}, here=False), {})
    assert user.providers == ()
    assert set(user.absent) == set(DEMO)
    ours = open_providers(Config({"grid.provider": Value(",".join(DEMO), DEMO_ORIGIN)}), {})
    assert [(p.name, p.signal) for p in ours.providers] == [("demo", "average"), ("demo-marginal", "marginal")]
