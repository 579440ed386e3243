"""The annual table: worked figures, boundaries that never mix, names people type, intervals that widen with age."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger.factors.grid import annual

TODAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("zone", "value", "origin", "version"),
    [
        ("DE", 329.0, "EEA", "2023"),
        ("SE", 8.0, "EEA", "2023"),
        ("US-CAMX", 195.026, "eGRID", "eGRID2023 rev2"),
        ("US", 349.686, "eGRID", "eGRID2023 rev2"),
        ("AU-NSW", 640.0, "Australian", "2025"),
        ("NZ", 78.7, "New Zealand", "2025"),
        ("CA-QC", 1.9, "ECCC", "2026"),
        ("CN-NORTH", 677.6, "MEE", "2022"),
        ("EU", 210.0, "EEA", "2023"),
    ],
)
def test_a_zone_with_an_official_table_is_priced_by_its_direct_factor(
    zone: str, value: float, origin: str, version: str
) -> None:
    factor = annual.lookup(zone, TODAY).location_based
    assert (factor.value, factor.boundary, factor.version) == (value, "direct", version)
    assert origin in factor.origin
    assert factor.zone == zone
    assert factor.kind == "grid"


def test_direct_and_life_cycle_stand_side_by_side_and_never_mix() -> None:
    sweden = annual.lookup("SE", TODAY)
    assert sweden.direct is not None
    assert sweden.lifecycle is not None
    assert (sweden.direct.value, sweden.lifecycle.value) == (8.0, 35.89)
    assert sweden.upstream is None  # 35.89 - 8 is a difference across sources, not an upstream


def test_a_life_cycle_factor_that_stands_in_says_so() -> None:
    japan = annual.lookup("JP", TODAY)
    assert japan.direct is None
    assert japan.location_based.value == 483.73
    assert (japan.location_based.quality, japan.location_based.boundary) == ("stand-in", "lifecycle")
    assert japan.lifecycle is not None
    assert japan.lifecycle.quality == "annual-average"
    assert any("no direct factor" in note for note in japan.notes)


def test_upstream_comes_from_the_same_source_as_direct() -> None:
    with_upstream = [prices for prices in annual.zones(TODAY) if prices.upstream]
    assert {prices.zone for prices in with_upstream} >= {"GB", "AU", "AU-NSW", "NZ"}
    for prices in with_upstream:
        assert prices.upstream is not None
        assert prices.direct is not None
        assert prices.upstream.origin == prices.direct.origin
        assert prices.upstream.kind == "grid_upstream"


def test_britain_adds_fuel_supply_and_losses_and_leaves_out_the_unverified_year() -> None:
    britain = annual.lookup("GB", TODAY)
    assert britain.direct is not None
    assert britain.upstream is not None
    assert (britain.direct.value, britain.direct.version) == (177.0, "2025")  # 130.96 of 2026 is still to be verified
    assert (britain.upstream.value, britain.upstream.version) == (64.2, "2024")
    assert any("edition of its own year" in note for note in britain.notes)


def test_co2_alone_is_said_in_unit_and_notes() -> None:
    china = annual.lookup("CN", TODAY)
    assert china.location_based.unit == "gCO2/kWh"
    assert any("CO2 only" in note for note in china.notes)


@pytest.mark.parametrize(
    ("typed", "zone"),
    [
        ("DEU", "DE"), ("germany", "DE"), (" de ", "DE"), ("us-camx", "US-CAMX"), ("camx", "US-CAMX"),
        ("WECC California", "US-CAMX"), ("UK", "GB"), ("Great Britain", "GB"), ("USA", "US"), ("Turkey", "TR"),
        ("Türkiye", "TR"), ("Côte d'Ivoire", "CI"), ("south korea", "KR"), ("Hong Kong (SAR of China)", "HK"),
        ("World", "WORLD"), ("EU27", "EU"), ("Quebec", "CA-QC"), ("Québec", "CA-QC"), ("au-act", "AU-NSW"),
        ("NA", "NA"),
    ],
)  # fmt: skip
def test_people_may_name_a_zone_as_they_do(typed: str, zone: str) -> None:
    assert annual.lookup(typed, TODAY).zone == zone


def test_every_zone_answers_to_its_own_name_and_code_alone() -> None:
    listed = annual.zones(TODAY)
    assert len(listed) > 250
    for prices in listed:
        assert annual.lookup(prices.zone, TODAY) == prices
        assert annual.lookup(prices.name, TODAY) == prices


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        ("Germny", "DE (Germany)"),
        ("us-cam", "US-CAMX (WECC California)"),
        ("DE-BW", "DE (Germany)"),
        ("US-CAL-CISO", "US ("),
    ],
)
def test_an_unknown_zone_names_the_nearest_right_one(typed: str, nearest: str) -> None:
    with pytest.raises(annual.UnknownZone) as caught:
        annual.lookup(typed, TODAY)
    message = str(caught.value)
    assert repr(typed) in message
    assert nearest in message
    assert "wattledger grid zones" in message
    assert "\n" not in message


@given(st.text(max_size=30))
def test_any_text_is_a_zone_or_one_clear_line(text: str) -> None:
    said = ""
    try:
        said = annual.lookup(text, TODAY).zone
    except annual.UnknownZone as error:
        said = str(error)
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("zone", [None, "", "  "])
def test_no_zone_is_the_world_said_loudly_and_wide(zone: str | None) -> None:
    world = annual.lookup(zone, TODAY)
    factor = world.location_based
    assert (world.zone, factor.value) == ("WORLD", 472.94)
    assert factor.g95 > 10
    assert world.notes[0].startswith("NO GRID ZONE IS KNOWN")
    assert "WATTLEDGER_GRID_ZONE" in world.notes[0]


def test_the_world_interval_holds_nearly_every_zone_there_is() -> None:
    world = annual.lookup(None, TODAY).location_based
    zones = [prices.location_based.value for prices in annual.zones(TODAY)]
    inside = [value for value in zones if world.value / world.g95 <= value <= world.value * world.g95]
    assert len(inside) >= 0.95 * len(zones)


def test_an_average_over_countries_is_wider_than_a_country() -> None:
    union = annual.lookup("EU", TODAY)
    assert union.location_based.g95 > 5
    assert union.location_based.quality == "regional-average"
    assert any("many countries" in note for note in union.notes)


@pytest.mark.parametrize(("year", "g95"), [(2022, 1.05), (2023, 1.05), (2024, 1.10), (2027, 1.30), (2040, 1.30)])
def test_an_official_factor_is_surer_the_nearer_its_year(year: int, g95: float) -> None:
    assert annual.lookup("DE", date(year, 6, 1)).location_based.g95 == pytest.approx(g95)


@given(st.sampled_from(annual.zones(TODAY)), st.integers(2020, 2035))
def test_a_factor_never_grows_surer_with_age(prices: annual.Prices, year: int) -> None:
    now = annual.lookup(prices.zone, date(year, 1, 1)).location_based.g95
    later = annual.lookup(prices.zone, date(year + 1, 1, 1)).location_based.g95
    assert 1.05 <= now <= later


def test_ember_is_as_sure_as_ember_is() -> None:
    assert annual.lookup("JP", TODAY).location_based.g95 == pytest.approx(1.10)


def test_a_row_to_be_verified_is_wider_and_says_so() -> None:
    quebec = annual.lookup("CA-QC", TODAY)
    assert quebec.location_based.g95 > 1.2  # 1.05 were it checked
    assert any("not yet checked" in note for note in quebec.notes)


def test_a_guessed_zone_widens_every_factor() -> None:
    sure, guessed = annual.lookup("GB", TODAY), annual.lookup("GB", TODAY, doubt_g95=1.4)
    for narrow, wide in zip(sure[2:5], guessed[2:5], strict=True):
        assert narrow is not None
        assert wide is not None
        assert wide.g95 > max(1.4, narrow.g95)
        assert wide.value == narrow.value


@pytest.mark.parametrize(
    ("duration_s", "g95"),
    [(0, 2.0), (60, 2.0), (3600, 2.0), (86_400, 1.8), (7 * 86_400, 1.4), (365 * 86_400, 1.0), (10**9, 1.0)],
)
def test_a_short_job_may_be_far_from_the_year(duration_s: float, g95: float) -> None:
    assert annual.time_mismatch_g95(duration_s) == pytest.approx(g95)


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_longer_time_is_never_further_from_the_year(one: float, other: float) -> None:
    short, long = sorted((one, other))
    assert 1.0 <= annual.time_mismatch_g95(long) <= annual.time_mismatch_g95(short) <= 2.0
