"""An intensity in a Prometheus server: what its range queries come to; the server here speaks its HTTP API."""

import pytest
from tests.factors.grid.served import HOUR, Asked, Reply, at, failed, refusal, standing
from tests.runtime.answers import told

from wattledger.core.facts import IntensityFact
from wattledger.core.ports import BadStatus, GridPlace, SourceGone
from wattledger.factors.grid import promquery

START = at("2026-03-01T00:00")
OPTIONS = {"query": 'grid_intensity{zone="de"}', "zone": "DE"}
PATH = "/api/v1/query_range"


def matrix(*values: list[object]) -> dict[str, object]:
    result = [{"metric": {"i": str(i)}, "values": one} for i, one in enumerate(values)]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


def ranged(asked: Asked) -> object:
    start, end, step = (int(asked.words[word]) for word in ("start", "end", "step"))
    return matrix([[at_s, str(100 + at_s % 7)] for at_s in range(start, end + 1, step)])


def read(reply: Reply, hours: int = 1, now_s: int = START + 24 * HOUR, **options: object) -> list[IntensityFact]:
    with standing({PATH: reply}) as service:
        found = promquery.open(service.place(**{**OPTIONS, **options}))  # type: ignore[arg-type]
        return list(found.read("DE", START, START + hours * HOUR, now_s))


def test_each_value_holds_for_the_slot_that_begins_then() -> None:
    found = read(ranged)
    assert [fact.start_s for fact in found] == [START + i * 300 for i in range(12)]
    assert [fact.ug_per_kwh for fact in found] == [(100 + fact.start_s % 7) * 10**6 for fact in found]
    fact = found[0]
    assert (fact.zone, fact.length_s, fact.provider, fact.signal, fact.boundary) == ("DE", 300, "promquery", "average", "direct")


def test_step_and_boundary_are_as_configured_and_the_zone_in_capitals() -> None:
    (fact,) = read(ranged, step_s=3600.0, boundary="lifecycle", zone="de")
    assert (fact.length_s, fact.boundary) == (HOUR, "lifecycle")


def test_nothing_is_told_of_the_time_to_come() -> None:
    """A range query would repeat the last value."""
    assert [fact.start_s for fact in read(ranged, now_s=START + 400)] == [START, START + 300]


def test_a_long_range_is_asked_for_in_parts() -> None:
    with standing({PATH: ranged}) as service:
        found = promquery.open(service.place(**OPTIONS, step_s=1.0))  # type: ignore[arg-type]
        assert len(found.read("DE", START, START + 4 * HOUR, START + 24 * HOUR)) == 4 * HOUR
    assert len(service.asked) == 2


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-3", "320000", None, "much"])
def test_what_is_no_intensity_leaves_its_slot_out(value: object) -> None:
    assert [fact.start_s for fact in read(matrix([[START, value], [START + 300, "5"]]))] == [START + 300]


def test_an_hour_missing_stays_missing_and_one_told_twice_is_the_later() -> None:
    found = read(matrix([[START, "1"], [START + 1_500, "2"], [START, "3"]]))
    assert [(fact.start_s, fact.ug_per_kwh) for fact in found] == [(START, 3_000_000), (START + 1_500, 2_000_000)]


def test_no_series_is_no_value() -> None:
    assert read(matrix()) == []


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (told(b"<html>"), "a web page"),
        (told(b"[" * 100_000), "not JSON"),
        ({"status": "error"}, "no data.resultType"),
        ({"data": {"resultType": "vector", "result": []}}, "asked for result 'matrix'"),
        ({"data": {"resultType": "matrix", "result": 7}}, "no list"),
        ({"data": {"resultType": "matrix", "result": [{}]}}, "no values"),
        (matrix([[START, "NaN"]]), "none of the 1 values"),
        (matrix([[START + 1, "5"]]), "none of the 1 values"),
        (matrix([[START, "5"]], [[START, "6"]]), "2 series, not one"),
    ],
)
def test_what_is_not_as_documented_is_a_failure_in_one_line(reply: Reply, why: str) -> None:
    assert why in failed(lambda: read(reply))


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 Internal Server Error", "400 Bad Request"])
def test_a_servers_refusal_shows_no_query(status: str) -> None:
    with pytest.raises(BadStatus) as refused:
        read(refusal(status))
    assert "grid_intensity" not in str(refused.value)


def test_a_server_that_wants_a_login_is_not_asked_again() -> None:
    assert "login" in failed(lambda: read(refusal("401 Unauthorized")), SourceGone)


@pytest.mark.parametrize("missing", ["url", "query", "zone"])
def test_what_is_not_configured_is_named(missing: str) -> None:
    options = {"url": "http://127.0.0.1:9", **OPTIONS, missing: ""}
    with pytest.raises(SourceGone, match=f"no {missing} is configured"):
        promquery.open(GridPlace(options, lambda request: b"", lambda name: None))


def test_it_covers_its_zone_alone_and_forecasts_nothing() -> None:
    found = promquery.open(GridPlace({"url": "http://127.0.0.1:9", **OPTIONS}, lambda request: b"", lambda name: None))
    assert (found.covers("DE"), found.covers("FR"), list(found.forecast("DE", START))) == (True, False, [])
