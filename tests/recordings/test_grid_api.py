"""Electricity Maps' own replies, served from where they lie."""

import json
import os
from pathlib import Path

import pytest
from tests.factors.grid.served import HOUR, at, failed, standing
from tests.runtime.answers import told

from wattledger.core.ports import SourceGone
from wattledger.factors.grid import electricitymaps

RECORDINGS = os.environ.get("WATTLEDGER_RECORDINGS")
pytestmark = pytest.mark.skipif(not RECORDINGS, reason="WATTLEDGER_RECORDINGS names no folder of recordings")

HISTORY, LATEST = "/carbon-intensity/history", "/carbon-intensity/latest"
START, NOW = at("2024-03-05T20:00"), at("2024-03-06T19:10")  # of the recorded day


def recorded(name: str) -> bytes:
    assert RECORDINGS
    return Path(RECORDINGS, "grid_api", name).read_bytes()


def test_a_recorded_day_is_read_hour_by_hour() -> None:
    rows = json.loads(recorded("carbon_intensity_history.json"))["history"]
    with standing({HISTORY: told(recorded("carbon_intensity_history.json"))}) as service:
        provider = electricitymaps.open(service.place(factors="lifecycle"))
        facts = provider.read("DE", START, NOW, NOW)
    assert [fact.start_s for fact in facts] == list(range(START, NOW, HOUR))
    assert [fact.ug_per_kwh for fact in facts] == [row["carbonIntensity"] * 1_000_000 for row in rows]
    assert {(fact.zone, fact.length_s, fact.boundary, fact.signal) for fact in facts} == {("DE", HOUR, "lifecycle", "average")}
    assert [fact.estimated for fact in facts] == [row["isEstimated"] for row in rows]
    assert service.paths() == [HISTORY]
    # Both were updated at 18:48, before their hours had ended.
    assert [fact.start_s for fact in facts if fact.forecast] == [at("2024-03-06T18:00"), at("2024-03-06T19:00")]
    assert facts[-1].version == "2024-03-06T18:48:27.926Z TIME_SLICER_AVERAGE"


def test_a_recorded_latest_is_a_forecast_made_before_its_hour() -> None:
    empty = {"zone": "US-CAR-DUK", "history": []}
    with standing({HISTORY: empty, LATEST: told(recorded("latest_carbon_intensity.json"))}) as service:
        provider = electricitymaps.open(service.place(factors="lifecycle", zone="US-CAR-DUK"))
        (fact,) = provider.read("US-SRVC", NOW - 600, NOW, NOW)
    assert (fact.zone, fact.start_s, fact.ug_per_kwh) == ("US-SRVC", at("2024-03-06T19:00"), 216_000_000)
    assert fact.forecast
    assert fact.estimated


def test_recorded_factors_of_the_other_kind_are_not_taken() -> None:
    with standing({HISTORY: told(recorded("carbon_intensity_history.json"))}) as service:
        provider = electricitymaps.open(service.place(factors="direct"))
        assert "not of direct factors" in failed(lambda: provider.read("DE", START, NOW, NOW))


@pytest.mark.parametrize("name", ["response.json", "unknown-response.json", "zones.json", "latest_power_breakdown.json"])
def test_a_recorded_reply_to_another_question_is_one_line(name: str) -> None:
    with standing({HISTORY: told(recorded(name))}) as service:
        provider = electricitymaps.open(service.place())
        assert failed(lambda: provider.read("DE", START, NOW, NOW)).startswith("electricitymaps: the answer has no ")


def test_every_recorded_country_is_covered_by_its_own_name() -> None:
    zones = json.loads(recorded("zones.json"))
    with standing({}) as service:
        provider = electricitymaps.open(service.place())
        assert [zone for zone in zones if len(zone) == 2 and not provider.covers(zone)] == []
        assert {zone for zone in electricitymaps.STATES if zone not in zones} == set()
        assert failed(lambda: provider.read("US-CAMX", START, NOW, NOW), SourceGone).startswith(
            "electricitymaps: has no zone US-CAMX"
        )
