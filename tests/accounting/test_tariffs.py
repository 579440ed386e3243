"""Tariffs: flat, by the hour of a local day (which may have 23 or 25), by rows; and that what is not known is absent."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.accounting.made_prices import KWH, T0, H, at

from wattledger.accounting.price import Rate
from wattledger.accounting.tariffs import Cost, Tariff, cost, rates, tariff

NIGHT_AND_DAY = "22-6:0.21,6-22:0.34"


def made(per_kwh: float | str = 0, hours: str = "", timezone: str = "Europe/Berlin", rows: str = "") -> Tariff:
    found = tariff(per_kwh, hours, timezone=timezone, rows=rows)
    assert found is not None
    return found


def test_a_flat_price_is_one_rate() -> None:
    assert rates(made("0.315"), T0, T0 + 9 * H) == [Rate(T0, 9 * H, 315_000, "EUR")]


def test_no_price_is_no_tariff() -> None:
    assert tariff(0.0) is None
    assert tariff("0", "", rows="") is None


def test_hours_are_of_the_places_own_clock() -> None:
    start_s = at("2026-01-10T00:00+01:00")
    found = rates(made(0, NIGHT_AND_DAY), start_s, start_s + 24 * H)
    assert [(rate.start_s - start_s, rate.length_s, rate.micro_per_kwh) for rate in found] == [
        (0, 6 * H, 210_000), (6 * H, 16 * H, 340_000), (22 * H, 2 * H, 210_000)
    ]  # fmt: skip


@pytest.mark.parametrize(("day", "night_h"), [("2026-03-29", 5), ("2026-10-25", 7), ("2026-07-01", 6)])
def test_a_night_is_as_long_as_it_is_when_the_clock_jumps(day: str, night_h: int) -> None:
    zone = ZoneInfo("Europe/Berlin")
    start_s = int(datetime.fromisoformat(day).replace(tzinfo=zone).timestamp())
    first = rates(made(0, NIGHT_AND_DAY), start_s, start_s + 12 * H)[0]
    assert (first.micro_per_kwh, first.length_s) == (210_000, night_h * H)


def test_an_edge_in_the_hour_that_is_skipped_or_twice() -> None:
    zoned = made("0.10", "2:30-4:0.30")
    skipped = at("2026-03-29T00:00+01:00")
    assert [rate.length_s / H for rate in rates(zoned, skipped, skipped + 5 * H) if rate.micro_per_kwh == 300_000] == [1]
    twice = at("2026-10-25T00:00+02:00")
    # 2:30 to 3:00 comes twice; between them the clock says 2:00 to 2:30 again.
    dear = [rate for rate in rates(zoned, twice, twice + 6 * H) if rate.micro_per_kwh == 300_000]
    assert [(rate.start_s - twice, rate.length_s) for rate in dear] == [(9000, 1800), (12600, 5400)]


def test_hours_that_no_band_names_cost_the_flat_price_or_nothing_known() -> None:
    start_s = at("2026-01-10T00:00+01:00")
    found = rates(made("0.4", "6-22:0.34"), start_s, start_s + 24 * H)
    assert [rate.micro_per_kwh for rate in found] == [400_000, 340_000, 400_000]
    assert [rate.length_s for rate in rates(made(0, "6-22:0.34"), start_s, start_s + 24 * H)] == [16 * H]


def test_rows_go_before_hours_and_may_be_negative() -> None:
    rows = (
        "start,end,price_per_kwh\n"
        "2026-03-01T02:00+00:00,2026-03-01T03:00Z,-0.015\n"
        "\n"
        "2026-03-01T01:00+00:00,2026-03-01T02:00Z,0.1234567\n"
    )
    found = rates(made("0.3", rows=rows), T0, T0 + 4 * H)
    assert [(rate.start_s - T0, rate.micro_per_kwh) for rate in found] == [
        (0, 300_000), (H, 123_457), (2 * H, -15_000), (3 * H, 300_000)
    ]  # fmt: skip
    assert [rate.start_s for rate in rates(made(0, rows=rows), T0, T0 + 4 * H)] == [T0 + H, T0 + 2 * H]


def test_equal_neighbours_are_one_rate() -> None:
    rows = "start,end,price_per_kwh\n2026-03-01T01:00Z,2026-03-01T02:00Z,0.3\n"
    assert rates(made("0.3", "0-24:0.3", rows=rows), T0, T0 + 48 * H) == [Rate(T0, 48 * H, 300_000, "EUR")]
    apart = rows + "2026-03-01T03:00Z,2026-03-01T04:00Z,0.3\n"
    assert [rate.length_s for rate in rates(made(0, rows=apart), T0, T0 + 48 * H)] == [H, H]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"per_kwh": "cheap"}, "tariff.per_kwh: 'cheap' is not a price"),
        ({"per_kwh": "nan"}, "tariff.per_kwh: 'nan' is no price of a kWh"),
        ({"per_kwh": "1e9"}, "tariff.per_kwh: '1e9' is no price of a kWh"),
        ({"currency": "euro"}, "tariff.currency: 'euro' is not an ISO 4217 code"),
        ({"timezone": "Mars/Olympus"}, "tariff.timezone: 'Mars/Olympus' is not a time zone"),
        ({"timezone": "../../etc/passwd"}, "tariff.timezone: '../../etc/passwd' is not a time zone"),
        ({"hours": "22-6"}, "tariff.hours: '22-6' is not FROM-TO:PRICE"),
        ({"hours": "22-6:1.2.3"}, "tariff.hours: 22-6:1.2.3: '1.2.3' is not a price"),
        ({"hours": "22-25:0.2"}, "tariff.hours: '22-25:0.2': there is no such time of day"),
        ({"hours": "22:75-23:0.2"}, "there is no such time of day"),
        ({"hours": "6-6:0.2"}, "tariff.hours: '6-6:0.2' begins where it ends"),
        ({"hours": "22-6:0.2,5-7:0.3"}, "tariff.hours: '5-7:0.3' overlaps '22-6:0.2'"),
        ({"rows": "a,b,c\n"}, "tariff.file: line 1: the first line must be start,end,price_per_kwh"),
        ({"rows": "start,end,price_per_kwh\nx,y,1"}, "tariff.file: line 2: 'x' is not an ISO time"),
        ({"rows": "start,end,price_per_kwh\n2026-01-01T00:00,2026-01-02T00:00Z,1"}, "line 2: '2026-01-01T00:00' has no zone"),
        ({"rows": "start,end,price_per_kwh\n2026-01-01T00:00:00.5Z,2026-01-02T00:00Z,1"}, "is not a whole second"),
        ({"rows": "start,end,price_per_kwh\n2026-01-02T00:00Z,2026-01-01T00:00Z,1"}, "line 2: it ends before it begins"),
        ({"rows": "start,end,price_per_kwh\n2026-01-02T00:00Z,1"}, "line 2: 2 fields where 3 belong"),
        (
            {
                "rows": "start,end,price_per_kwh\n2026-01-01T02:00Z,2026-01-01T04:00Z,1\n2026-01-01T01:00Z,2026-01-01T03:00Z,1"
            },
            "tariff.file: lines 3 and 2 overlap",
        ),
    ],
)  # fmt: skip
def test_a_wrong_word_is_one_line_that_says_where(settings: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=r"tariff\.") as caught:
        tariff(**{"per_kwh": "0", **settings})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cost_is_exact_and_says_what_it_covers() -> None:
    known = rates(made("0.30"), T0, T0 + H)
    assert cost(known, T0, H, KWH) == Cost(300_000, KWH)
    assert cost(known, T0, 2 * H, KWH) == Cost(150_000, KWH // 2)
    assert cost(known, T0, 0, KWH) == Cost(300_000, KWH)
    assert cost([], T0, H, KWH) == Cost(0, 0)


@given(
    start_s=st.integers(at("2025-01-01"), at("2027-01-01")),
    length_s=st.integers(1, 4 * 24 * H),
    timezone=st.sampled_from(("Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu", "UTC")),
    probes=st.lists(st.floats(0, 1, exclude_max=True), max_size=20),
)
def test_at_every_instant_the_rate_is_that_of_the_wall_clock(
    start_s: int, length_s: int, timezone: str, probes: list[float]
) -> None:
    found = rates(made(0, "22:15-6:0.21,6-13:0.34,13-22:15:0.5", timezone), start_s, start_s + length_s)
    assert sum(rate.length_s for rate in found) == length_s
    for probe in probes:
        at_s = start_s + int(probe * length_s)
        clock = datetime.fromtimestamp(at_s, ZoneInfo(timezone))
        minute = clock.hour * 60 + clock.minute
        expected = 340_000 if 360 <= minute < 780 else 500_000 if 780 <= minute < 1335 else 210_000
        assert [rate.micro_per_kwh for rate in found if rate.start_s <= at_s < rate.start_s + rate.length_s] == [expected]
