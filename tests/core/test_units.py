"""Conversions: exact where they can be, and rounding that favours nobody."""

from hypothesis import given
from hypothesis import strategies as st

from wattledger.core.units import J_PER_KWH, NS_PER_S, energy_uj, joules, kwh, seconds


def test_a_kilowatt_hour_is_3_6_megajoules() -> None:
    assert kwh(3_600_000) == 1.0
    assert J_PER_KWH == 1_000 * 3_600


def test_microjoules_and_nanoseconds_leave_as_joules_and_seconds() -> None:
    assert joules(1_250_000) == 1.25
    assert seconds(12_500_000_000) == 12.5


def test_power_times_time_is_energy() -> None:
    assert energy_uj(300_000_000, NS_PER_S) == 300_000_000
    assert energy_uj(300_000_000, NS_PER_S // 10) == 30_000_000
    assert energy_uj(0, NS_PER_S) == energy_uj(1, 0) == 0


def test_half_a_microjoule_counts_as_one() -> None:
    assert energy_uj(1, NS_PER_S // 2) == 1
    assert energy_uj(1, NS_PER_S // 2 - 1) == 0


@given(st.integers(0, 10**9), st.integers(0, 10**13))
def test_rounding_is_never_off_by_more_than_half_a_microjoule(power_uw: int, duration_ns: int) -> None:
    assert abs(energy_uj(power_uw, duration_ns) * NS_PER_S - power_uw * duration_ns) <= NS_PER_S // 2
