"""Energi Data Service: two areas, UTC that does not say so, a range that is asked for with a margin."""

import json

from tests.factors.grid.providers import dk_row
from tests.factors.grid.served import DAY, HOUR, Asked, Reply, at, failed, standing

from wattledger.core.ports import SourceGone
from wattledger.factors.grid import energidataservice

NOW = at("2026-03-02T00:00")
SLOT = 300
EMITTED, EXPECTED = "/dataset/CO2Emis", "/dataset/CO2EmisProg"


def records(*rows: dict[str, object]) -> dict[str, object]:
    return {"total": len(rows), "sort": "Minutes5UTC ASC", "records": list(rows)}


def test_the_question_names_area_range_and_timezone() -> None:
    with standing({EMITTED: records(dk_row(NOW - SLOT, 117.5, "DK2"))}) as service:
        (fact,) = energidataservice.open(service.place(area="DK2")).read("DK", NOW - DAY, NOW, NOW)
    assert (fact.zone, fact.ug_per_kwh) == ("DK", 117_500_000)
    words = dict(service.asked[0].words)
    assert json.loads(words.pop("filter")) == {"PriceArea": ["DK2"]}
    wanted = {"start": "2026-03-01T00:00", "end": "2026-03-02T02:00", "timezone": "UTC", "sort": "Minutes5UTC ASC", "limit": "0"}
    assert words == wanted


def danish(asked: Asked) -> Reply:
    """A service that takes the bounds for Danish time (UTC+1 in March), whatever is said of the time zone."""
    start_s, end_s = (at(asked.words[name]) - HOUR for name in ("start", "end"))
    return records(*(dk_row(at_s, 100) for at_s in range(start_s, end_s, SLOT)))


def test_bounds_taken_for_danish_time_lose_nothing_and_double_nothing() -> None:
    with standing({EMITTED: danish}) as service:
        facts = energidataservice.open(service.place()).read("DK-DK1", NOW - 40 * DAY, NOW, NOW)
    assert [fact.start_s for fact in facts] == list(range(NOW - 40 * DAY, NOW, SLOT))
    assert len(service.asked) == 2


def test_a_revised_value_is_what_is_read_next() -> None:
    with standing({EMITTED: records(dk_row(NOW - SLOT, 100))}) as service:
        provider = energidataservice.open(service.place())
        (first,) = provider.read("DK-DK1", NOW - SLOT, NOW, NOW)
        service.replies[EMITTED] = records(dk_row(NOW - SLOT, 90))
        (later,) = provider.read("DK-DK1", NOW - SLOT, NOW, NOW)
    assert (first.ug_per_kwh, later.ug_per_kwh) == (100_000_000, 90_000_000)


def test_a_row_of_the_other_area_spoils_the_answer() -> None:
    with standing({EMITTED: records(dk_row(NOW - SLOT, 100), dk_row(NOW - SLOT, 300, "DK2"))}) as service:
        provider = energidataservice.open(service.place())
        line = failed(lambda: provider.read("DK-DK1", NOW - SLOT, NOW, NOW))
    assert line == "energidataservice: asked for area 'DK1' and got 'DK2': not used"


def test_a_row_that_names_no_area_is_dropped() -> None:
    nameless = dk_row(NOW - SLOT, 300)
    del nameless["PriceArea"]
    with standing({EMITTED: records(dk_row(NOW - 2 * SLOT, 100), nameless)}) as service:
        (fact,) = energidataservice.open(service.place()).read("DK-DK1", NOW - DAY, NOW, NOW)
    assert fact.start_s == NOW - 2 * SLOT


def test_a_forecast_is_a_dataset_of_its_own() -> None:
    with standing({EXPECTED: records(*(dk_row(NOW + i * SLOT, 80) for i in range(-1, 12)))}) as service:
        facts = energidataservice.open(service.place()).forecast("DK-DK1", NOW + 1)
    assert service.paths() == [EXPECTED]
    assert [fact.start_s for fact in facts] == [NOW + i * SLOT for i in range(12)]
    assert all(fact.forecast and fact.estimated for fact in facts)


def test_denmark_as_a_whole_needs_an_area() -> None:
    with standing({}) as service:
        plain = energidataservice.open(service.place())
        assert [zone for zone in ("DK", "DK-DK1", "DK-DK2", "DK-BHM", "DE") if plain.covers(zone)] == ["DK-DK1", "DK-DK2"]
        line = failed(lambda: plain.read("DK", NOW - DAY, NOW, NOW), SourceGone)
        assert "[grid.energidataservice] area" in line
        assert energidataservice.open(service.place(area="DK1")).covers("DK")
        assert "DK3" in failed(lambda: energidataservice.open(service.place(area="DK3")), SourceGone)
