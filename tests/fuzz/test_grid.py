"""Who tells what a grid emits: any reply is facts of the zone and time that were asked for, within what a grid can emit, or it is
refused."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from tests.factors.grid.providers import CASES, Case, day, fr_row
from tests.factors.grid.served import DAY, HOUR, at
from tests.fuzz.kit import as_json, bent, bent_bytes, fuzzed, is_label, json_bytes, raw, taken

from wattledger.core.facts import IntensityFact
from wattledger.core.ports import GridPlace, GridProvider, Request, SourceFailed, SourceGone
from wattledger.factors.grid import eia, entsoe, file, promquery

START = at("2026-03-01T00:00")
MOST_UG = 5_000 * 10**6
SECRET = "k3y-that-nobody-may-see"
DE = "10Y1001A1001A83F"

Reply = Callable[[Request], bytes]


def place(fetch: Reply, **options: object) -> GridPlace:
    return GridPlace({"url": "https://grid.test", **options}, fetch, lambda _: SECRET)


def sane(facts: Sequence[IntensityFact], provider: GridProvider, zone: str, start_s: int, end_s: int) -> None:
    assert list(facts) == sorted(facts, key=lambda fact: fact.start_s)
    assert len({fact.start_s for fact in facts}) == len(facts)
    for fact in facts:
        assert (fact.zone, fact.provider, fact.length_s) == (zone, provider.name, provider.step_s)
        assert type(fact.ug_per_kwh) is int
        assert 0 <= fact.ug_per_kwh <= MOST_UG
        assert fact.start_s % provider.step_s == 0
        assert fact.start_s < end_s
        assert fact.start_s + fact.length_s > start_s
        assert is_label(fact.version, 200)
        assert type(fact.estimated) is bool


def asked(provider: GridProvider, zone: str, length_s: int = DAY) -> Sequence[IntensityFact]:
    """The past and what is to come, both sane, or refused without the key."""
    refusals = (SourceFailed, SourceGone)
    found = taken(lambda: provider.read(zone, START, START + length_s, START + length_s), *refusals, never=SECRET)
    if found is not None:
        sane(found, provider, zone, START, START + length_s)
    coming = taken(lambda: provider.forecast(zone, START + length_s), *refusals, never=SECRET) or ()
    sane(coming, provider, zone, START + length_s, START + length_s + 20 * DAY)
    assert all(fact.forecast for fact in coming)
    return found or ()


def open_case(case: Case, reply: Reply) -> GridProvider:
    provider: GridProvider = case.module.open(place(reply, **case.options))
    return provider


def replies_of(case: Case, values: Sequence[tuple[int, object]]) -> dict[str, Any]:
    """By path; a reply that is a function of the request is what it says to the first of them."""
    found = case.replies(values)
    return {path: reply for path, reply in found.items() if not callable(reply)} or {
        case.path: {"total_count": len(values), "results": [fr_row(*value) for value in values]}
    }


def saying(replies: Mapping[str, Any]) -> Reply:
    """A service with these replies by path; of another it knows nothing."""

    def fetch(request: Request) -> bytes:
        path = next((path for path in sorted(replies, key=len, reverse=True) if path in request.url), None)
        return as_json(replies[path]) if path is not None else b"{}"

    return fetch


GOOD = {case.name: replies_of(case, day(case, START, 2 * HOUR)) for case in CASES}
cases = st.sampled_from(CASES)


@fuzzed(3)
@given(cases, json_bytes)
def test_a_provider_that_says_anything_is_refused_or_has_nothing(case: Case, body: bytes) -> None:
    asked(open_case(case, lambda _: body), case.zone, 2 * HOUR)


@fuzzed(5)
@given(cases, st.data())
def test_a_provider_whose_reply_is_bent_tells_what_a_grid_can_emit(case: Case, data: st.DataObject) -> None:
    replies = {path: data.draw(bent(reply) | st.just(reply)) for path, reply in GOOD[case.name].items()}
    asked(open_case(case, saying(replies)), case.zone, 2 * HOUR)


@fuzzed(0.5)
@given(
    cases,
    st.sampled_from(
        [1e300, -1, float("nan"), 10**400, "1e999", True, "", "11100", 11_100.5, "²", "٣", "0x10", "1_0", [], {}, "-0", "1e-99"]
    ),
)
def test_a_value_that_no_grid_has_is_in_no_fact(case: Case, value: object) -> None:
    values = [(START + n * case.step_s, 100) for n in range(1, 2 * HOUR // case.step_s)]
    replies = replies_of(case, [(START, value), *values])
    found = asked(open_case(case, saying(replies)), case.zone, 2 * HOUR)
    first = [fact.ug_per_kwh for fact in found if fact.start_s == START]
    assert first in ([], [0], [1], [2]) or str(value) in ("-0", "1e-99", "1_0")
    assert len(found) in (0, len(values), len(values) + 1)


# --- those that make an intensity of plants, and a Prometheus ---------------------------------------------------------------

EIA_REPLY = {"response": {"total": "4", "data": [
    {"period": f"2026-03-01T{hour:02}", "respondent": "US48", "fueltype": fuel, "value": value, "value-units": "megawatthours"}
    for hour in (1, 2) for fuel, value in (("COL", "100"), ("WND", "300"))
]}}  # fmt: skip


@fuzzed(3)
@given(json_bytes | bent(EIA_REPLY).map(as_json))
@example(as_json(EIA_REPLY).replace(b'"100"', b'"' + b"9" * 30 + b'e99"'))
@example(as_json(EIA_REPLY).replace(b'"4"', b'"1e99"'))
def test_any_reply_of_the_eia_is_an_intensity_or_a_refusal(body: bytes) -> None:
    asked(eia.open(place(lambda _: body)), "US", 2 * HOUR)


def document(
    points: str, *, period: str = "2026-03-01T00:00Z", end: str = "2026-03-01T02:00Z", resolution: str = "PT60M", more: str = ""
) -> bytes:
    interval = f"<timeInterval><start>{period}</start><end>{end}</end></timeInterval>"
    series = (
        f"<TimeSeries><inBiddingZone_Domain.mRID>{DE}</inBiddingZone_Domain.mRID><curveType>A03</curveType><MktPSRType><psrType>B04</psrType></MktPSRType>"
        f"<Period>{interval}{more}<resolution>{resolution}</resolution>{points}</Period></TimeSeries>"
    )
    return f'<?xml version="1.0"?><GL_MarketDocument xmlns="urn:x">{series}</GL_MarketDocument>'.encode()


POINTS = "<Point><position>1</position><quantity>100</quantity></Point>"
XML = document(POINTS)
YEARS = document(POINTS, end="2027-03-01T00:00Z", resolution="PT15M")
PERIOD = YEARS[YEARS.index(b"<Period>") : YEARS.index(b"</TimeSeries>")]


@fuzzed(3)
@given(raw | bent_bytes(XML))
@example(document(POINTS, more="<timeInterval/>"))
@example(document("<Point><position>1</position><position>2</position></Point>"))
@example(document(POINTS, resolution="PT15M", end="9999-12-31T23:59Z"))
@example(document(POINTS, period="0001-01-01T00:00+23:59"))
@example(b"<a>" * 50_000)
@example(b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>")
@example(YEARS.replace(PERIOD, PERIOD * 300))
def test_any_document_of_entsoe_is_an_intensity_or_a_refusal(body: bytes) -> None:
    asked(entsoe.open(place(lambda _: body)), "DE", 2 * HOUR)


MATRIX = {
    "status": "success",
    "data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[START + n * 300, "321.5"] for n in range(8)]}]},
}


@fuzzed(3)
@given(json_bytes | bent(MATRIX).map(as_json))
@example(as_json(MATRIX).replace(str(START).encode(), b"1e99"))
@example(as_json(MATRIX).replace(str(START).encode(), b"-1"))
def test_any_answer_of_a_prometheus_is_an_intensity_or_a_refusal(body: bytes) -> None:
    asked(promquery.open(place(lambda _: body, query="x", zone="DE")), "DE", 2 * HOUR)


# --- a file of one's own ----------------------------------------------------------------------------------------------------

CSV = (
    b"zone,start,end,g_per_kwh,boundary,signal,version,estimated\n"
    b"DE,2026-03-01T00:00:00Z,2026-03-01T01:00:00Z,329,direct,average,1,false\n"
)


@fuzzed(5)
@given(raw | bent_bytes(CSV))
@example(CSV.replace(b"DE,", b'"' + b"x" * 200_000 + b'",'))
@example(CSV.replace(b"329", b"1e999"))
@example(CSV.replace(b"329", b"329,,,,,,"))
@example(CSV.replace(b"2026-03-01T00:00:00Z", b"0001-01-01T00:00:00+23:59"))
@example(CSV.replace(b",direct", b',"di\nrect"'))
@example(CSV.replace(b",1,", b',"1\n2",'))
def test_any_file_is_intensities_or_a_refusal(body: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "g.csv"
        path.write_bytes(body)
        provider = file.open(GridPlace({"path": str(path)}, lambda _: b"", lambda _: None))
        found = taken(lambda: provider.read("DE", START - DAY, START + DAY, START), SourceFailed, SourceGone) or ()
        for fact in found:
            assert 0 <= fact.ug_per_kwh <= MOST_UG
            assert fact.length_s > 0
            assert is_label(fact.zone, 100)
            assert is_label(fact.version, 200)
        taken(lambda: provider.forecast("DE", START), SourceFailed)
        assert isinstance(provider.covers("DE"), bool)


def test_the_good_replies_are_good() -> None:
    for case in CASES:
        found = asked(open_case(case, saying(GOOD[case.name])), case.zone, 2 * HOUR)
        assert len(found) == 2 * HOUR // case.step_s
    assert [f.ug_per_kwh for f in asked(entsoe.open(place(lambda _: XML)), "DE", 2 * HOUR)] == [370_000_000] * 2
    assert len(asked(eia.open(place(lambda _: as_json(EIA_REPLY))), "US", 2 * HOUR)) == 2
    assert len(asked(promquery.open(place(lambda _: as_json(MATRIX), query="x", zone="DE")), "DE", 2 * HOUR)) == 8
