"""Electricity Maps: what is asked and how, forecasts that stand among the past, revisions, plans without a past."""

from collections.abc import Callable

import pytest
from tests.factors.grid.providers import em_row
from tests.factors.grid.served import DAY, HOUR, KEY, Asked, Reply, Service, at, failed, refusal, said, standing

from wattledger.core.facts import IntensityFact
from wattledger.core.ports import GridProvider, SourceFailed, SourceGone
from wattledger.factors.grid import electricitymaps

NOW = at("2026-03-02T00:00")
START = NOW - DAY
HISTORY, LATEST, PAST, FORECAST = (f"/carbon-intensity/{what}" for what in ("history", "latest", "past-range", "forecast"))


def history(*rows: dict[str, object], zone: str = "DE", **more: object) -> dict[str, object]:
    return {"zone": zone, "history": list(rows), **more}


def hours(start_s: int, n: int, **more: object) -> list[dict[str, object]]:
    return [em_row(start_s + i * HOUR, 300 + i, **more) for i in range(n)]


def read(service: Service, start_s: int = START, end_s: int = NOW, **options: object) -> list[IntensityFact]:
    provider = electricitymaps.open(service.place(**options))  # type: ignore[arg-type]
    return list(provider.read("DE", start_s, end_s, NOW))


def one(*rows: dict[str, object]) -> list[IntensityFact]:
    """What is read of the last hour of that day."""
    with standing({HISTORY: history(*rows), LATEST: em_row(START, 1)}) as service:
        return read(service, NOW - HOUR)


def test_every_question_names_its_zone_and_never_looks_up_the_caller() -> None:
    with standing({HISTORY: history(*hours(START, 23)), LATEST: em_row(NOW - HOUR, 7)}) as service:
        facts = read(service)
        electricitymaps.open(service.place()).forecast("DE", NOW)
    assert len(facts) == 24
    assert service.paths() == [HISTORY, LATEST, FORECAST]
    for asked in service.asked:
        assert asked.headers["auth-token"] == KEY
        assert KEY not in str(asked.words)
        assert asked.words == {
            "zone": "DE",
            "emissionFactorType": "direct",
            "temporalGranularity": "hourly",
            "shouldUseFallbackCallerLookup": "false",
        }


def test_the_latest_is_asked_only_where_the_history_does_not_hold_it() -> None:
    with standing({HISTORY: history(*hours(START, 24))}) as service:
        assert len(read(service)) == 24
    assert service.paths() == [HISTORY]


def test_factors_are_those_configured_and_no_others_are_taken() -> None:
    rows = hours(START, 24, emissionFactorType="lifecycle")
    with standing({HISTORY: history(*rows)}) as service:
        assert {fact.boundary for fact in read(service, factors="lifecycle")} == {"lifecycle"}
        assert service.asked[0].words["emissionFactorType"] == "lifecycle"
        assert "not of direct factors" in failed(lambda: read(service))


def test_a_row_from_before_its_hours_end_is_a_forecast() -> None:
    before = em_row(NOW - HOUR, 216, updatedAt=said(NOW - HOUR - 600), createdAt=said(NOW - 72 * HOUR))
    during = em_row(NOW - HOUR, 216, updatedAt=said(NOW - 600))
    after = em_row(NOW - HOUR, 216, updatedAt=said(NOW))
    assert [(f.forecast, f.estimated) for row in (before, during, after) for f in one(row)] == [
        (True,) * 2,
        (True,) * 2,
        (False,) * 2,
    ]


def test_an_hour_that_has_not_ended_is_a_forecast_whatever_it_says() -> None:
    row = em_row(NOW - HOUR, 216)
    del row["updatedAt"]
    with standing({HISTORY: history(row)}) as service:
        provider = electricitymaps.open(service.place())
        (fact,) = provider.read("DE", NOW - HOUR, NOW, NOW - 60)
        assert fact.forecast
        (fact,) = provider.read("DE", NOW - HOUR, NOW, NOW)
        assert not fact.forecast
        service.replies[HISTORY] = history(em_row(NOW - HOUR, 216))  # by their clock updated an hour from now
        (fact,) = provider.read("DE", NOW - HOUR, NOW, NOW - 60)
        assert fact.forecast


def test_estimated_and_then_revised_is_two_versions_and_the_later_holds() -> None:
    first = em_row(NOW - HOUR, 216, isEstimated=True, estimationMethod="TIME_SLICER_AVERAGE", updatedAt=said(NOW + 60))
    later = em_row(NOW - HOUR, 240, updatedAt=said(NOW + 3 * HOUR))
    (estimated,), (measured,) = one(first), one(later)
    assert (estimated.ug_per_kwh, estimated.estimated, estimated.forecast) == (216_000_000, True, False)
    assert (measured.ug_per_kwh, measured.estimated) == (240_000_000, False)
    assert "TIME_SLICER_AVERAGE" in estimated.version
    assert said(NOW + 60) in estimated.version
    assert estimated.version != measured.version
    assert one(first, later) == one(later, first) == [measured]


def test_of_two_as_old_the_measured_one_holds() -> None:
    guess, measured = em_row(NOW - HOUR, 1, isEstimated=True), em_row(NOW - HOUR, 2)
    assert [fact.ug_per_kwh for fact in one(measured, guess)] == [2_000_000]


def test_estimations_are_not_taken_where_they_are_not_wanted() -> None:
    rows = [*hours(START, 23), em_row(NOW - HOUR, 9, isEstimated=True, estimationMethod="X")]
    with standing({HISTORY: history(*rows), LATEST: rows[-1]}) as service:
        assert [fact.start_s for fact in read(service, estimations=False)] == [START + i * HOUR for i in range(23)]
    assert {asked.words["disableEstimations"] for asked in service.asked} == {"true"}


def test_a_reply_of_another_zone_is_not_used() -> None:
    with standing({HISTORY: history(*hours(START, 24), zone="FR")}) as service:
        assert failed(lambda: read(service)) == "electricitymaps: asked for zone 'DE' and got 'FR': not used"
    with standing({HISTORY: history(*hours(START, 24, zone="FR"))}) as service:
        assert "of another zone" in failed(lambda: read(service))
    with standing({HISTORY: history(*hours(START, 23)), LATEST: em_row(NOW - HOUR, 7, zone="FR")}) as service:
        failed(lambda: read(service))


def test_a_reply_of_other_slots_is_not_used() -> None:
    with standing({HISTORY: history(*hours(START, 24), temporalGranularity="15_minutes")}) as service:
        assert failed(lambda: read(service)) == "electricitymaps: the answer is not by the hour: not used"


def past_range(asked: Asked) -> Reply:
    start_s, end_s = (at(asked.words[name].removesuffix("Z")) for name in ("start", "end"))
    assert 0 < end_s - start_s <= 10 * DAY
    return {"zone": "DE", "data": hours(start_s, (end_s - start_s) // HOUR)}


def test_a_long_past_is_asked_for_in_pieces() -> None:
    with standing({PAST: past_range}) as service:
        facts = read(service, NOW - 25 * DAY)
    assert [fact.start_s for fact in facts] == list(range(NOW - 25 * DAY, NOW, HOUR))
    assert service.paths() == [PAST] * 3
    assert service.asked[0].words["start"] == "2026-02-05T00:00:00Z"


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "404 Not Found", "400 Bad Request"])
def test_a_plan_without_past_gives_a_day_and_is_asked_again_tomorrow(status: str) -> None:
    with standing({PAST: refusal(status), HISTORY: history(*hours(START, 24))}) as service:
        provider = electricitymaps.open(service.place())
        for now_s in (NOW, NOW, NOW + DAY):
            assert len(provider.read("DE", NOW - 5 * DAY, NOW, now_s)) == 24
        assert list(provider.read("DE", NOW - 5 * DAY, NOW - 3 * DAY, NOW)) == []
    assert service.paths() == [PAST, HISTORY, HISTORY, PAST, HISTORY]


def test_a_wrong_key_says_nothing_of_the_plan() -> None:
    refused: dict[str, Reply] = {PAST: refusal("401 Unauthorized"), HISTORY: refusal("401 Unauthorized")}
    with standing(refused) as service:
        provider = electricitymaps.open(service.place())
        failed(lambda: provider.read("DE", NOW - 2 * DAY, NOW, NOW), SourceGone)
        service.replies[PAST] = past_range
        assert len(provider.read("DE", NOW - 2 * DAY, NOW, NOW)) == 48


def test_a_past_that_fails_is_not_a_plan_without_one() -> None:
    with standing({PAST: refusal("503 Service Unavailable"), HISTORY: history(*hours(START, 24))}) as service:
        failed(lambda: read(service, NOW - 5 * DAY))
    assert service.paths() == [PAST]


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_a_refusal_names_the_zone_and_the_plan(status: str) -> None:
    with standing({HISTORY: refusal(status)}) as service:
        line = failed(lambda: read(service), SourceGone)
    assert line == "electricitymaps: the key is refused for zone DE (history): it is wrong, or its plan does not have that"


def test_a_key_that_is_taken_away_is_said_at_the_next_question() -> None:
    with standing({}) as service:
        keys = [KEY]
        provider = electricitymaps.open(service.place()._replace(secret=lambda name: keys[0] if keys and name == "key" else None))
        keys.clear()
        assert "ELECTRICITYMAPS_API_KEY" in failed(lambda: provider.read("DE", START, NOW, NOW), SourceGone)


def test_a_forecast_starts_now_and_says_what_it_is() -> None:
    rows = [{"carbonIntensity": 300 + i, "datetime": said(NOW + i * HOUR)} for i in range(-2, 24)]
    with standing({FORECAST: {"zone": "DE", "forecast": rows, "updatedAt": said(NOW - 60)}}) as service:
        facts = electricitymaps.open(service.place()).forecast("DE", NOW + 60)
    assert [(fact.start_s, fact.ug_per_kwh) for fact in facts] == [(NOW + i * HOUR, (300 + i) * 1_000_000) for i in range(24)]
    assert all(fact.forecast and fact.estimated and said(NOW - 60) in fact.version for fact in facts)


def test_a_plan_without_forecast_gives_none_and_a_broken_server_is_said() -> None:
    for status in ("401 Unauthorized", "403 Forbidden", "404 Not Found"):
        with standing({FORECAST: refusal(status)}) as service:
            assert list(electricitymaps.open(service.place()).forecast("DE", NOW)) == []
    with standing({FORECAST: refusal("502 Bad Gateway")}) as service:
        provider = electricitymaps.open(service.place())
        assert isinstance(caught(lambda: provider.forecast("DE", NOW)), SourceFailed)


def caught(ask: Callable[[], object]) -> BaseException:
    with pytest.raises((SourceFailed, SourceGone)) as error:
        ask()
    return error.value


def covered(provider: GridProvider) -> list[str]:
    zones = ["DE", "GB", "AU-NSW", "CA-QC", "EU", "WORLD", "CN-NORTH", "US-CAMX", "SE", "SE-SE3", "de", ""]
    return [zone for zone in zones if provider.covers(zone)]


def test_countries_lead_to_it_and_subregions_by_configuration() -> None:
    with standing({}) as service:
        assert covered(electricitymaps.open(service.place())) == ["DE", "GB", "AU-NSW", "CA-QC", "SE"]
        california = electricitymaps.open(service.place(zone="US-CAL-CISO"))
        assert covered(california) == ["DE", "GB", "AU-NSW", "CA-QC", "US-CAMX", "SE"]


def test_a_fact_bears_our_zone_and_the_question_theirs() -> None:
    rows = hours(START, 24, zone="US-CAL-CISO")
    with standing({HISTORY: history(*rows, zone="US-CAL-CISO")}) as service:
        facts = electricitymaps.open(service.place(zone="US-CAL-CISO")).read("US-CAMX", START, NOW, NOW)
    assert {fact.zone for fact in facts} == {"US-CAMX"}
    assert service.asked[0].words["zone"] == "US-CAL-CISO"
