"""What is known beside what is in force: the margin of now, and what is expected."""

from tests.runtime.grid.said import HOUR, PERIOD, T0, Rig, Scripted, hour

from wattledger.core.ports import SourceFailed


def test_what_is_expected_is_asked_once_an_hour_and_told_by_full_hours_ahead() -> None:
    provider = Scripted()
    provider.facts = [hour(T0, 200)]
    provider.coming = [hour(T0 + i * HOUR, 100 + i, forecast=True) for i in range(30)]
    rig = Rig(provider).after(60)
    ahead = rig.feed.outlook().ahead
    assert {hours: factor.value for hours, factor in ahead.items()} == {i: 100.0 + i for i in range(1, 25)}
    assert {factor.quality for factor in ahead.values()} == {"forecast"}
    for _ in range(50):
        rig.after(60)
    assert provider.expected == 1
    rig.after(HOUR)
    assert provider.expected == 2
    assert rig.feed.outlook().ahead[1].value == 102.0


def test_a_forecast_that_fails_costs_nothing_but_itself() -> None:
    provider = Scripted()
    provider.facts = [hour(T0, 200)]
    provider.coming = SourceFailed("no answer")
    rig = Rig(provider).after(60)
    assert rig.feed.outlook() == (None, {})
    assert rig.step == "live"
    assert rig.ears.lines == []


def test_a_forecast_that_failed_is_asked_for_again_soon_and_the_old_one_stays() -> None:
    provider = Scripted()
    provider.facts = [hour(T0, 200)]
    provider.coming = SourceFailed("the network is not up yet")
    rig = Rig(provider).after(60)
    provider.coming = [hour(T0 + i * HOUR, 100 + i, forecast=True) for i in range(30)]
    rig.after(PERIOD)
    assert rig.feed.outlook().ahead[1].value == 101.0
    provider.coming = SourceFailed("no answer")
    rig.after(HOUR)
    assert rig.feed.outlook().ahead[1].value == 102.0


def test_a_wall_clock_that_is_set_back_does_not_end_the_forecasts() -> None:
    provider = Scripted()
    provider.facts = [hour(T0, 200)]
    provider.coming = [hour(T0 + i * HOUR, 100 + i, forecast=True) for i in range(30)]
    rig = Rig(provider)
    rig.clock.wall_s += 365 * 24 * HOUR  # a machine without a battery
    rig.after(60)
    rig.clock.wall_s -= 365 * 24 * HOUR
    rig.after(HOUR)
    assert rig.feed.outlook().ahead[1].value == 102.0


def test_the_margin_is_told_while_it_is_of_now_and_is_never_in_force() -> None:
    average, marginal = Scripted(), Scripted(name="watttime", signal="marginal")
    average.facts = [hour(T0, 200)]
    marginal.facts = [hour(T0, 650)._replace(provider="watttime", signal="marginal")]
    rig = Rig(average, marginal).after(60)
    found = rig.feed.outlook().marginal
    assert found is not None
    assert (found.value, found.origin, found.quality) == (650.0, "watttime", "live")
    assert rig.feed.current().factors[0].value == 200.0
    rig.after(3 * HOUR)
    assert rig.feed.outlook().marginal is None
