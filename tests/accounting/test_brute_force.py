"""Integration over prices equals a sum second by second, to 1e-9: over gaps, late revisions and days of 23 and 25 hours."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accounting.made_prices import KWH, H, intensity, known

from wattledger.accounting import prices
from wattledger.accounting.price import Price
from wattledger.accounting.sums import UJ_PER_KWH, by_boundary
from wattledger.accounting.tariffs import cost, rates, tariff

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = [("2026-03-29", 23), ("2026-10-25", 25), ("2026-07-01", 24), ("2025-12-31", 24)]


def local_day(day: str) -> tuple[int, int]:
    """A local day's start and end."""
    year, month, number = (int(part) for part in day.split("-"))
    start = datetime(year, month, number, tzinfo=BERLIN)
    after = datetime.fromordinal(start.toordinal() + 1).replace(tzinfo=BERLIN)
    return int(start.timestamp()), int(after.timestamp())


def by_second(found: list[Price], windows: list[tuple[int, int, int]]) -> float:
    """Micrograms, one second after the other, by looking each second up."""
    price_at = {second: p.ug_per_kwh for p in found for second in range(p.start_s, p.start_s + p.length_s)}
    seconds = ((second, uj / length_s) for start_s, length_s, uj in windows for second in range(start_s, start_s + length_s))
    return sum(price_at[second] * part_uj for second, part_uj in seconds) / UJ_PER_KWH


def integrated(found: list[Price], windows: list[tuple[int, int, int]]) -> float:
    return float(sum(part.emitted_ug for part in by_boundary(found, windows).values()))


@pytest.mark.parametrize(("day", "length_h"), DAYS)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_a_local_day_is_priced_as_its_seconds_are(day: str, length_h: int, data: st.DataObject) -> None:
    start_s, end_s = local_day(day)
    assert end_s - start_s == length_h * H
    said = data.draw(
        st.lists(st.tuples(st.integers(-7, 26), st.sampled_from((300, 1800, H, 2 * H)), st.integers(1, 1200)), max_size=14)
    )
    facts = [known(intensity(start_s + n * H, value, length_s), seq, seq) for seq, (n, length_s, value) in enumerate(said, 1)]
    found = prices.operational("DE", start_s, end_s, facts, as_of_s=None, settle_s=0)
    begin_s = data.draw(st.integers(start_s, end_s - 2))
    length_s = data.draw(st.integers(1, end_s - begin_s))
    windows = [(begin_s, length_s, data.draw(st.integers(1, 10 * KWH))), (start_s, end_s - start_s, 7 * KWH)]
    assert integrated(found, windows) == pytest.approx(by_second(found, windows), rel=1e-9)
    assert sum(part.energy_uj for part in by_boundary(found, windows).values()) == sum(uj for _, _, uj in windows)


def test_a_revision_and_a_missing_hour_are_priced_as_their_seconds_are() -> None:
    start_s, end_s = local_day("2026-10-25")
    facts = [known(intensity(start_s + n * H, 250 + 13 * n % 200), n + 1, recorded_s=end_s) for n in range(25) if n not in (3, 11)]
    revised = known(intensity(start_s + 5 * H, 777), 99, recorded_s=end_s + 80 * H)
    windows = [(start_s + n * 60, 60, 10**9 + n) for n in range(25 * 60)]
    first = prices.operational("DE", start_s, end_s, [*facts, revised], as_of_s=end_s, settle_s=0)
    then = prices.operational("DE", start_s, end_s, [*facts, revised], as_of_s=end_s + 80 * H, settle_s=0)
    for found in (first, then):
        assert integrated(found, windows) == pytest.approx(by_second(found, windows), rel=1e-9)
    hour_uj = sum(uj for at, _, uj in windows if start_s + 5 * H <= at < start_s + 6 * H)
    moved_ug = (777_000_000 - facts[4].fact.ug_per_kwh) * hour_uj / UJ_PER_KWH  # type: ignore[union-attr]
    assert integrated(then, windows) - integrated(first, windows) == pytest.approx(moved_ug, rel=1e-9)


def test_cutting_the_windows_anywhere_changes_nothing() -> None:
    start_s, end_s = local_day("2026-03-29")
    facts = [known(intensity(start_s + n * H, 100 + 31 * n), n + 1) for n in range(23)]
    found = prices.operational("DE", start_s, end_s, facts, as_of_s=None, settle_s=0)
    whole = by_boundary(found, [(start_s, end_s - start_s, 23 * 3600 * 10**6)])
    seconds = by_boundary(found, [(second, 1, 10**6) for second in range(start_s, end_s)])
    assert whole == seconds


@pytest.mark.parametrize(("day", "length_h"), DAYS)
def test_a_days_cost_is_that_of_its_seconds(day: str, length_h: int) -> None:
    start_s, end_s = local_day(day)
    spoken = tariff("0.4", "22-2:30:0.21,6-22:0.34", timezone="Europe/Berlin")
    assert spoken is not None
    known_rates = rates(spoken, start_s, end_s)
    assert sum(rate.length_s for rate in known_rates) == length_h * H
    micro_at = {s: rate.micro_per_kwh for rate in known_rates for s in range(rate.start_s, rate.start_s + rate.length_s)}
    energy_uj = length_h * 1000 * KWH
    expected = sum(micro_at[second] for second in range(start_s, end_s)) * energy_uj / (end_s - start_s) / UJ_PER_KWH
    assert cost(known_rates, start_s, end_s - start_s, energy_uj).cost_micro == pytest.approx(expected, rel=1e-9)
