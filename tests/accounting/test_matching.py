"""Hourly matching: the worked figure, and that matching by the hour never covers more than matching by the year."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.accounting.made_prices import KWH, LB_PER_MWH, MWH, MWH_WH, T0, H, contract, flat, known

from wattledger.accounting.matching import Hourly, Load, Supply, hourly, match
from wattledger.accounting.scope2 import Consumption, market_based
from wattledger.core.facts import ContractFact

RESIDUAL = {"DE": flat("DE", 434.22 * LB_PER_MWH, boundary="residual")}
AVERAGE = {"FR": flat("FR", 50)}


def solar(hour: int, mwh: float, zones: tuple[str, ...] = ("DE",)) -> ContractFact:
    start_s = T0 + hour * H
    return contract(f"solar {hour}", round(mwh * MWH_WH))._replace(start_s=start_s, end_s=start_s + H, zones=zones)


def matched(load: Sequence[Load], contracts: Sequence[ContractFact]) -> Hourly:
    facts = [known(one, seq) for seq, one in enumerate(contracts, 1)]
    return hourly(load, facts, residuals=RESIDUAL, averages=AVERAGE)


def even(hours: int, zone: str = "DE") -> list[Load]:
    return [(zone, T0 + hour * H, H, MWH) for hour in range(hours)]


def test_vector_30_solar_covers_the_year_but_not_the_night() -> None:
    """carbon.md vector 30: load 1,1,1,1 MWh, solar certificates 0,2,2,0."""
    contracts = [solar(1, 2), solar(2, 2)]
    found = matched(even(4), contracts)
    assert (found.claimed_uj, found.annual_claimed_uj, found.cfe_score) == (2 * MWH, 4 * MWH, 0.5)
    assert [hour.claimed_uj for hour in found.hours] == [0, MWH, MWH, 0]
    assert found.emitted_ug is not None
    assert found.emitted_ug / 1e9 == pytest.approx(393.92, abs=0.005)
    rows = [Consumption(*load, 1000) for load in even(4)]
    facts = [known(one, seq) for seq, one in enumerate(contracts, 1)]
    assert market_based(rows, facts, residuals=RESIDUAL, averages={}).emitted_ug == 0


def test_what_was_posted_at_an_instant_is_load_too() -> None:
    assert matched([("DE", T0 + H, 0, MWH)], [solar(1, 2)]).claimed_uj == MWH


def test_a_certificate_of_another_hour_or_zone_covers_nothing() -> None:
    assert matched(even(1), [solar(1, 2)]).claimed_uj == 0
    assert matched(even(1), [solar(0, 2, ("FR",))]).claimed_uj == 0


def test_minutes_are_gathered_into_hours_and_days_spread_over_them() -> None:
    minutes = [("DE", T0 + n * 60, 60, MWH // 60) for n in range(120)]
    assert matched(minutes, [solar(0, 1), solar(1, 1)]).claimed_uj == 120 * (MWH // 60)
    day = matched([("DE", T0 + 1800, 2 * H, 4 * MWH)], [solar(0, 9), solar(1, 1.5)])
    assert [(hour.load_uj / MWH, hour.claimed_uj / MWH) for hour in day.hours] == [(1, 1), (2, 1.5), (1, 0)]
    assert day.notes == ("4000 kWh came in windows longer than an hour and were spread evenly over them",)


def test_what_bears_no_hour_or_fails_a_criterion_covers_nothing_and_is_said() -> None:
    yearly, failed = contract("year", 9 * MWH_WH), contract("f", MWH_WH, failed="sole_claim")
    found = matched(even(1), [yearly, failed._replace(start_s=T0, end_s=T0 + H)])
    assert (found.claimed_uj, found.annual_claimed_uj) == (0, 0)
    assert found.notes == (
        "1 contracts bear no hour and cover nothing hour by hour",
        "1 contracts fail a quality criterion and cover nothing here",
    )


def test_load_that_nothing_prices_leaves_the_emissions_unknown_not_zero() -> None:
    assert matched(even(1, "NL"), []).emitted_ug is None
    assert matched(even(1, "NL"), [solar(0, 1, ("NL",))]).emitted_ug == 0
    assert matched(even(1, "FR"), []).emitted_ug == 50 * 10**9
    empty = matched([], [])
    assert (empty.cfe_score, empty.emitted_ug, empty.hours) == (None, 0, ())


def test_an_hour_that_is_half_covered_emits_half() -> None:
    assert matched(even(1, "FR"), [solar(0, 0.5, ("FR",))]).emitted_ug == 25 * 10**9


def test_a_certificates_own_rate_counts() -> None:
    biomass = solar(0, 1)._replace(ug_per_kwh=20_000_000, volume_wh=None)
    assert matched(even(1), [biomass]).emitted_ug == 20 * 10**9


def test_as_much_load_is_covered_as_can_be() -> None:
    # First come, first served would give the first supply to A, and leave the second, which can go nowhere else, unused.
    supplies = [Supply(("A", "B"), 5), Supply(("A",), 5), Supply(("B", "C"), 5)]
    flows = match(supplies, {"A": 5, "B": 5, "C": 5})
    assert sum(sum(flow.values()) for flow in flows) == 15


ZONES = ("A", "B", "C", "D")
SUPPLIES = st.lists(
    st.builds(Supply, st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True).map(tuple), st.integers(0, 20)),
    max_size=6,
)
LOADS = st.dictionaries(st.sampled_from(ZONES), st.integers(0, 20))


@given(SUPPLIES, LOADS)
def test_a_matching_is_the_most_there_can_be(supplies: list[Supply], loads: dict[str, int]) -> None:
    flows = match(supplies, loads)
    assert all(uj >= 0 for flow in flows for uj in flow.values())
    assert all(sum(flow.values()) <= supply.energy_uj for flow, supply in zip(flows, supplies, strict=True))
    for zone in ZONES:
        assert sum(flow.get(zone, 0) for flow in flows) <= loads.get(zone, 0)
    # The smallest cut: some zones are filled, and what cannot reach any other zone is used up.
    cuts = [{zone for n, zone in enumerate(ZONES) if bits >> n & 1} for bits in range(2 ** len(ZONES))]
    filled = [sum(uj for zone, uj in loads.items() if zone in cut) for cut in cuts]
    spent = [sum(supply.energy_uj for supply in supplies if set(supply.zones) - cut) for cut in cuts]
    assert sum(sum(flow.values()) for flow in flows) == min(map(sum, zip(filled, spent, strict=True)))


@given(
    loads=st.lists(
        st.tuples(st.sampled_from("AB"), st.integers(0, 5), st.integers(1, 3 * H), st.integers(0, 50 * KWH)), max_size=8
    ),
    certificates=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 60_000), st.sampled_from((("A",), ("B",), ("A", "B"), ("B", "C")))),
        max_size=8,
    ),
)
def test_hours_never_cover_more_than_the_year(
    loads: list[tuple[str, int, int, int]], certificates: list[tuple[int, int, tuple[str, ...]]]
) -> None:
    rows = [(zone, T0 + hour * H, length_s, uj) for zone, hour, length_s, uj in loads]
    named = [solar(hour, wh / MWH_WH, zones)._replace(contract=str(n)) for n, (hour, wh, zones) in enumerate(certificates)]
    found = matched(rows, named)
    assert found.load_uj == sum(uj for _, _, _, uj in rows)
    assert found.claimed_uj <= found.annual_claimed_uj <= found.load_uj
    assert found.cfe_score is None or 0 <= found.cfe_score <= 1
