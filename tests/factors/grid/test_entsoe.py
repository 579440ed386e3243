"""ENTSO-E's generation by type: what its documents come to; the server here speaks the documented form."""

from collections.abc import Sequence

import pytest
from tests.factors.grid.served import DAY, HOUR, KEY, at, failed, refusal, said, standing
from tests.runtime.answers import told

from wattledger.core.facts import IntensityFact
from wattledger.core.ports import BadStatus, GridPlace, SourceGone
from wattledger.factors.grid import entsoe

START = at("2026-03-01T00:00")
FORM = "%Y-%m-%dT%H:%MZ"
DE = entsoe.DOMAINS["DE"]
Points = Sequence[tuple[int, object]]


def series(kind: str, points: Points, *, hours: int = 24, resolution: str = "PT60M", curve: str = "A01", area: str = DE,
           direction: str = "in") -> str:  # fmt: skip
    told_points = "".join(f"<Point><position>{at}</position><quantity>{mw}</quantity></Point>" for at, mw in points)
    interval = f"<timeInterval><start>{said(START, FORM)}</start><end>{said(START + hours * HOUR, FORM)}</end></timeInterval>"
    return (
        f"<TimeSeries><mRID>1</mRID><businessType>A01</businessType><{direction}BiddingZone_Domain.mRID codingScheme='A01'>{area}"
        f"</{direction}BiddingZone_Domain.mRID><quantity_Measure_Unit.name>MAW</quantity_Measure_Unit.name><curveType>{curve}</curveType>"
        f"<MktPSRType><psrType>{kind}</psrType></MktPSRType><Period>{interval}<resolution>{resolution}</resolution>{told_points}"
        "</Period></TimeSeries>"
    )


def document(*parts: str, name: str = "GL_MarketDocument") -> bytes:
    space = "urn:iec62325.351:tc57wg16:451-6:generationloaddocument:3:0"
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{space}"><mRID>x</mRID>{"".join(parts)}</{name}>'
    return told(text.encode())


def steady(mw: float, hours: int = 24) -> Points:
    return [(i + 1, mw) for i in range(hours)]


def read(reply: object, hours: int = 24, zone: str = "DE", **options: object) -> list[IntensityFact]:
    with standing({"": reply, "/api": reply}) as service:
        provider = entsoe.open(service.place(**options))  # type: ignore[arg-type]
        return list(provider.read(zone, START, START + hours * HOUR, START + DAY))


def test_an_hour_is_its_types_weighed() -> None:
    """Coal 760, wind 0; water pumped up is use, and what comes down again is storage: neither is generation."""
    found = read(
        document(
            series("B05", steady(100)),
            series("B18", steady(100)),
            series("B19", steady(200)),
            series("B10", steady(70), direction="out"),
            series("B10", steady(50)),
        )
    )
    assert [fact.start_s for fact in found] == [START + i * HOUR for i in range(24)]
    assert {fact.ug_per_kwh for fact in found} == {190_000_000}
    assert (found[0].zone, found[0].provider, found[0].boundary, found[0].version) == (
        "DE", "entsoe", "direct", "generation mix of 10Y1001A1001A83F",
    )  # fmt: skip


def test_the_question_is_as_documented() -> None:
    with standing({"/api": document(series("B04", steady(1)))}) as service:
        entsoe.open(service.place()).read("DE", START, START + DAY, START + DAY)
    (asked,) = service.asked
    assert asked.words == {
        "securityToken": KEY, "documentType": "A75", "processType": "A16", "in_Domain": DE, "periodStart": "202603010000",
        "periodEnd": "202603020000",
    }  # fmt: skip


def test_a_point_that_a_curve_leaves_out_because_it_repeats_is_filled_in() -> None:
    """A03, to the end of the period; in a curve of type A01 it is missing."""
    gas = series("B04", [(1, 100), (5, 300)], curve="A03", hours=6)
    wind = series("B19", steady(100, 6), hours=6)
    assert [fact.ug_per_kwh for fact in read(document(gas, wind))] == [185_000_000] * 4 + [277_500_000] * 2
    fixed = series("B04", [(1, 100), (5, 300)], hours=6)
    assert [fact.start_s for fact in read(document(fixed, wind))] == [START, START + 4 * HOUR]


def test_quarters_and_hours_go_together_and_an_hour_that_is_not_told_in_full_is_absent() -> None:
    quarters = [(i + 1, 100 + 100 * (i % 4)) for i in range(4 * 3 - 1)]
    found = read(document(series("B04", quarters, resolution="PT15M", hours=3), series("B19", steady(250, 3), hours=3)))
    assert [(fact.start_s, fact.ug_per_kwh) for fact in found] == [(START, 185_000_000), (START + HOUR, 185_000_000)]


def test_an_hour_told_twice_is_the_later_one() -> None:
    """Two series of a type are parts of one day, not two plants."""
    twice = document(series("B04", steady(100)), series("B04", steady(300)), series("B19", steady(300)))
    assert {fact.ug_per_kwh for fact in read(twice)} == {185_000_000}


def test_an_acknowledgement_says_that_there_is_nothing() -> None:
    reason = "<Reason><code>999</code><text>No matching data found</text></Reason>"
    assert read(document(reason, name="Acknowledgement_MarketDocument")) == []


def test_a_document_without_series_says_nothing() -> None:
    assert read(document()) == []


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (told(b"<html><body>Please log in</body>"), "not XML"),
        (told(b"<html></html>"), "no generation document"),
        (told(b"{}"), "not XML"),
        (told(b"\xff\xfe<\x00"), "not text"),
        (told(b'<!DOCTYPE a [<!ENTITY b "bbbb">]><a>&b;</a>'), "document type"),
        (told(b'<?xml version="1.0"?><!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>'), "document type"),
        (document(series("B04", steady(1), area="10YFR-RTE------C")), "asked for area '10Y1001A1001A83F'"),
        (document(series("B04", steady(1), direction="elsewhere")), "asked for area"),
        (document(series("B04", [(1, "NaN")])), "none of the 1 series"),
        (document(series("B04", [("first", 1)])), "none of the 1 series"),  # type: ignore[list-item]
        (document(series("B04", steady(1), resolution="P1D")), "none of the 1 series"),
        (document(series("", steady(1))), "none of the 1 series"),
    ],
)
def test_what_is_not_as_documented_is_a_failure_in_one_line(reply: bytes, why: str) -> None:
    assert why in failed(lambda: read(reply))


def test_a_broken_series_takes_its_hours_with_it_not_the_others() -> None:
    """Where it is too small to matter; an hour that lacks its coal is absent."""
    broken = series("B06", [(1, "NaN")])
    assert len(read(document(broken, series("B19", steady(1))))) == 24
    half = series("B05", [(i + 1, 100 if i < 12 else "x") for i in range(24)])
    assert len(read(document(half, series("B19", steady(100))))) == 24


@pytest.mark.parametrize("status", ["429 Too Many Requests", "500 Internal Server Error"])
def test_a_server_that_cannot_now_is_asked_later(status: str) -> None:
    with standing({"/api": refusal(status, "Retry-After: 600")}) as service, pytest.raises(BadStatus) as refused:
        entsoe.open(service.place()).read("DE", START, START + DAY, START + DAY)
    assert (refused.value.status, refused.value.retry_after_s) == (int(status[:3]), 600.0)
    assert KEY not in str(refused.value)


def test_a_refused_token_is_named_by_its_variable() -> None:
    assert "ENTSOE_API_KEY" in failed(lambda: read(refusal("401 Unauthorized")), SourceGone)


def test_without_a_token_there_is_no_provider() -> None:
    with pytest.raises(SourceGone, match="ENTSOE_API_KEY"):
        entsoe.open(GridPlace({}, lambda request: b"", lambda name: None))


@pytest.mark.parametrize("zone", entsoe.DOMAINS)
def test_every_area_of_the_table_has_the_check_character_of_an_eic_code(zone: str) -> None:
    assert entsoe.is_eic(entsoe.DOMAINS[zone])


@pytest.mark.parametrize("code", ["10Y1001A1001A83G", "10Y1001A1001A38F", "DE", "", "10y1001a1001a83f"])
def test_a_mistyped_code_is_refused_before_anybody_is_asked(code: str) -> None:
    assert not entsoe.is_eic(code)
    if code:
        with pytest.raises(SourceGone, match="no EIC code"):
            entsoe.open(GridPlace({"domain": code}, lambda request: b"", lambda name: KEY))


def test_a_domain_of_ones_own_covers_any_zone() -> None:
    place = GridPlace({"domain": "10YFR-RTE------C"}, lambda request: b"", lambda name: KEY)
    assert entsoe.open(place).covers("FR-CORSE")
    assert not entsoe.open(place._replace(options={})).covers("FR-CORSE")
    assert entsoe.open(place).forecast("FR", START) == []
