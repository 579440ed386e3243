"""The EIA's hourly generation by fuel: what its rows come to; the server here speaks the documented form."""

import socket
from datetime import UTC, datetime

import pytest
from tests.factors.grid.served import DAY, HOUR, KEY, Asked, at, failed, refusal, said, standing
from tests.runtime.answers import serving, told

from wattledger.core.facts import IntensityFact
from wattledger.core.ports import BadStatus, GridPlace, SourceFailed, SourceGone
from wattledger.factors.grid import eia
from wattledger.runtime.fetch import make_fetch

START = at("2026-03-01T00:00")
MIX = {"COL": "100", "NG": "300", "NUC": "200", "SUN": "-4", "WND": "400", "BAT": "-50"}
GRAMS = (100 * 760 + 300 * 370) / 1000
Row = dict[str, object]


def rows(hours: int = 24, start_s: int = START, amounts: dict[str, str] = MIX, **more: object) -> list[Row]:
    found = []
    for i in range(hours):
        period = said(start_s + (i + 1) * HOUR, "%Y-%m-%dT%H")
        one = {"period": period, "respondent": "CISO", "respondent-name": "California", "value-units": "megawatthours"}
        found += [{**one, "fueltype": fuel, "type-name": fuel, "value": amount, **more} for fuel, amount in amounts.items()]
    return found


def paged(found: list[Row], most: int = 5_000) -> object:
    """Answers as the service does: no more than 5,000 rows from the offset, the total as a string."""

    def page(asked: Asked) -> object:
        start, end = asked.words["start"], asked.words["end"]
        within = [row for row in found if start <= str(row["period"]) <= end]
        offset, length = int(asked.words["offset"]), min(int(asked.words["length"]), most)
        return {"response": {"total": str(len(within)), "dateFormat": "YYYY-MM-DD", "data": within[offset : offset + length]}}

    return page


def read(found: object, zone: str = "US-CAMX", hours: int = 24, **options: object) -> list[IntensityFact]:
    with standing({eia.PATH: found}) as service:
        provider = eia.open(service.place(**options))  # type: ignore[arg-type]
        return list(provider.read(zone, START, START + hours * HOUR, START + DAY))


def test_an_hour_is_its_fuels_weighed_and_begins_an_hour_before_its_period() -> None:
    """``period`` is the hour's end; values are strings; a battery that charges and a dark solar park generate nothing."""
    found = read(paged(rows()))
    assert [fact.start_s for fact in found] == [START + i * HOUR for i in range(24)]
    assert {fact.ug_per_kwh for fact in found} == {round(GRAMS * 1e6)}
    fact = found[0]
    assert (fact.zone, fact.length_s, fact.provider, fact.signal, fact.boundary) == ("US-CAMX", HOUR, "eia", "average", "direct")
    assert (fact.version, fact.estimated, fact.forecast) == ("generation mix of CISO", False, False)


def test_the_question_is_as_documented_and_a_day_is_asked_for_at_least() -> None:
    with standing({eia.PATH: paged(rows())}) as service:
        eia.open(service.place()).read("US-CAMX", START + 20 * HOUR, START + 24 * HOUR, START + DAY)
    (asked,) = service.asked
    assert asked.words == {
        "api_key": KEY, "frequency": "hourly", "data[0]": "value", "facets[respondent][]": "CISO", "start": "2026-03-01T01",
        "end": "2026-03-02T00", "sort[0][column]": "period", "sort[0][direction]": "asc", "offset": "0", "length": "5000",
    }  # fmt: skip


def test_pages_are_put_together() -> None:
    with standing({eia.PATH: paged(rows(), most=50)}) as service:
        found = eia.open(service.place()).read("US-CAMX", START, START + DAY, START + DAY)
    assert len(found) == 24
    assert [asked.words["offset"] for asked in service.asked] == ["0", "50", "100"]


def test_a_server_whose_pages_do_not_end_is_left_in_time() -> None:
    with standing({eia.PATH: lambda asked: {"response": {"total": "1000000", "data": rows(1)}}}) as service:
        eia.open(service.place()).read("US-CAMX", START, START + DAY, START + DAY)
    assert len(service.asked) == eia.PAGES


def test_an_hour_missing_stays_missing_and_an_hour_twice_counts_once() -> None:
    found = rows(5)
    del found[6:12]
    found += [{**row, "value": str(2 * int(str(row["value"])))} for row in found[:6]]
    facts = read(paged(found))
    assert [fact.start_s for fact in facts] == [START, *(START + i * HOUR for i in (2, 3, 4))]
    assert {fact.ug_per_kwh for fact in facts} == {round(GRAMS * 1e6)}


def test_an_hour_whose_coal_is_not_known_yet_is_absent() -> None:
    found = [row for row in rows(24) if (row["period"], row["fueltype"]) != ("2026-03-02T00", "COL")]
    assert len(read(paged(found))) == 23


def test_a_revised_hour_is_another_value() -> None:
    before, after = rows(24), rows(24)
    after[1]["value"] = "400"
    assert read(paged(before))[0].ug_per_kwh < read(paged(after))[0].ug_per_kwh


@pytest.mark.parametrize("value", [None, "NaN", "Infinity", "", "many", True, [], "1e400"])
def test_a_value_that_is_no_number_takes_its_hour_with_it_and_no_other(value: object) -> None:
    found = rows(24)
    found[1]["value"] = value
    assert [fact.start_s for fact in read(paged(found))] == [START + i * HOUR for i in range(1, 24)]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (told(b"<html>Please log in</html>"), "a web page"),
        (told(b"{"), "not JSON"),
        ({"error": "no"}, "no response.data"),
        ({"response": {"data": 7, "total": "1"}}, "no list"),
        ({"response": {"data": [], "total": "some"}}, "no number"),
        ({"response": {"data": rows(1, respondent="PJM"), "total": "6"}}, "none of the 6 rows of CISO"),
        ({"response": {"data": rows(1, period="yesterday"), "total": "6"}}, "none of the 6 rows of CISO"),
        ({"response": {"data": [{**row, "value-units": "GWh"} for row in rows(1)], "total": "6"}}, "none of the 6 rows of CISO"),
        ({"response": {"data": [{"a": 1}], "total": "1"}}, "none of the 1 rows of CISO"),
    ],
)
def test_what_is_not_as_documented_is_a_failure_in_one_line(reply: object, why: str) -> None:
    line = failed(lambda: read(reply))
    assert why in line
    assert KEY not in line


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 Internal Server Error"])
def test_a_server_that_cannot_now_is_asked_later(status: str) -> None:
    with standing({eia.PATH: refusal(status, "Retry-After: 60")}) as service, pytest.raises(BadStatus) as refused:
        eia.open(service.place()).read("US-CAMX", START, START + DAY, START + DAY)
    assert (refused.value.status, refused.value.retry_after_s) == (int(status[:3]), 60.0)
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_a_refused_key_is_named_by_its_variable(status: str) -> None:
    line = failed(lambda: read(refusal(status)), SourceGone)
    assert "EIA_API_KEY" in line


def test_without_a_key_there_is_no_provider() -> None:
    with pytest.raises(SourceGone, match=r"set EIA_API_KEY, or \[grid.eia\] key_file"):
        eia.open(GridPlace({}, lambda request: b"", lambda name: None))


def silent(peer: socket.socket, _: bytes) -> None:
    """Until the client has had enough."""
    peer.settimeout(20.0)
    peer.recv(1)


def test_a_server_that_says_nothing_is_a_failure() -> None:
    fetch = make_fetch()
    with serving(silent) as server:
        place = GridPlace({"url": server.url("")}, lambda request: fetch(request._replace(timeout_s=0.2)), lambda name: KEY)
        line = failed(lambda: eia.open(place).read("US-CAMX", START, START + DAY, START + DAY), SourceFailed)
    assert "no answer within" in line


@pytest.mark.parametrize(
    ("zone", "respondent", "covered"),
    [("US-CAMX", "", True), ("US", "", True), ("US-NOWHERE", "", False), ("US-NOWHERE", "bpat", True), ("DE", "", False),
     ("DE", "PJM", False)],
)  # fmt: skip
def test_which_zones_it_knows(zone: str, respondent: str, covered: bool) -> None:
    options = {"respondent": respondent} if respondent else {}
    assert eia.open(GridPlace(options, lambda request: b"", lambda name: KEY)).covers(zone) is covered


def test_a_respondent_of_ones_own_is_asked_for() -> None:
    found = rows(24, respondent="BPAT")
    (fact, *_) = read(paged(found), respondent="bpat")
    assert fact.version == "generation mix of BPAT"


def test_it_forecasts_nothing() -> None:
    place = GridPlace({}, lambda request: b"", lambda name: KEY)
    assert eia.open(place).forecast("US-CAMX", int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())) == []
