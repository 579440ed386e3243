"""Scope 2 both ways: the worked figures, the hierarchy, and that no contract covers what it may not."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.accounting.made_prices import KWH, LB_PER_MWH, MWH, MWH_WH, H, at, contract, flat, intensity, known

from wattledger.accounting import prices
from wattledger.accounting.price import Price
from wattledger.accounting.scope2 import Consumption, Market, location_based, market_based
from wattledger.accounting.sums import by_boundary
from wattledger.core.facts import ContractFact, Known

JAN, JUL, END = at("2026-01-01"), at("2026-07-01"), at("2027-01-01")
YEAR_S = END - JAN
GRID = {"DE": flat("DE", 329), "FR": flat("FR", 50), "US-CAMX": flat("US-CAMX", 195), "NL": flat("NL", 263), "AT": flat("AT", 85)}
RESIDUAL = {"DE": flat("DE", 700, boundary="residual"), "US-CAMX": flat("US-CAMX", 434.22 * LB_PER_MWH, boundary="residual")}


def year(zone: str = "DE", mwh: int = 10, pue_milli: int = 1000) -> Consumption:
    return Consumption(zone, JAN, YEAR_S, mwh * MWH, pue_milli)


def market(
    rows: Sequence[Consumption],
    contracts: Sequence[ContractFact | Known],
    residuals: Mapping[str, Sequence[Price]] = RESIDUAL,
    *,
    as_of_s: int | None = None,
) -> Market:
    facts = [one if isinstance(one, Known) else known(one, seq, recorded_s=seq) for seq, one in enumerate(contracts, 1)]
    return market_based(rows, facts, residuals=residuals, averages=GRID, as_of_s=as_of_s)


def mwh(found: Market) -> dict[str, float]:
    return {category: energy_uj / MWH for category, energy_uj in found.energy_uj.items()}


def codes(found: Market) -> list[str]:
    return [each.code for each in found.disclosures]


def test_vector_11_a_mixed_year_in_california() -> None:
    """carbon.md vector 11 and 1.2: 10 MWh with 4 MWh wind certificates; the location-based figure knows nothing of them."""
    wind = contract("wind", 4 * MWH_WH)._replace(zones=("US-CAMX",))
    found = market([year("US-CAMX")], [wind])
    assert found.emitted_ug / 1e9 == pytest.approx(6 * 434.22 * LB_PER_MWH, rel=1e-9)
    assert found.emitted_ug / 1e9 == pytest.approx(1181.75, abs=0.005)
    assert mwh(found) == {"eac": 4, "residual": 6}
    assert market([year("US-CAMX")], []).emitted_ug / 1e9 == pytest.approx(1969.59, abs=0.005)
    camx = {"US-CAMX": flat("US-CAMX", (428.464 + 28 * 0.025 + 265 * 0.003) * LB_PER_MWH)}
    by_place = location_based([year("US-CAMX")], camx)
    assert by_place.emitted_ug["direct"] / 1e9 == pytest.approx(1950.2612, rel=1e-6)
    assert pytest.approx(434.22, abs=0.005) == 429.983 * 220_986_983 / (220_986_983 - 2_155_596)


def test_a_year_that_is_covered_whole_is_zero_and_its_place_unchanged() -> None:
    found = market([year()], [contract("wind", 10 * MWH_WH)])
    assert (found.emitted_ug, mwh(found), codes(found)) == (0, {"eac": 10}, [])
    assert found.prices("DE")[0].ug_per_kwh == 0
    assert location_based([year()], GRID).emitted_ug == {"direct": 3290 * 10**9}


def test_certificates_above_consumption_are_clipped_and_said() -> None:
    found = market([year()], [contract("wind", 15 * MWH_WH)])
    assert (found.emitted_ug, mwh(found), codes(found)) == (0, {"eac": 10}, ["clipped"])
    assert found.disclosures[0].energy_uj == 5 * MWH
    assert found.disclosures[0].text == "contract wind: 5 MWh of 15 MWh are above what was left to cover"


@pytest.mark.parametrize("zone", ["NL", "AT"])
def test_vector_32_without_a_residual_mix_it_is_said_and_never_zero(zone: str) -> None:
    found = market([year(zone)], [])
    average = GRID[zone][0].ug_per_kwh
    assert found.emitted_ug == average * 10_000
    assert mwh(found) == {"grid-average": 10}
    assert codes(found) == ["no-residual-mix"]
    assert f"no residual mix is known for {zone}" in found.disclosures[0].text
    with pytest.raises(ValueError, match="no grid average for NO: 10 MWh would count as zero"):
        market([year("NO")], [])


def test_an_average_that_stands_in_for_the_residual_mix_says_its_boundary() -> None:
    whole = {"NL": flat("NL", 252.7, boundary="lifecycle")}
    found = market_based([year("NL")], [], residuals={}, averages=whole)
    assert codes(found) == ["no-residual-mix", "boundary-lifecycle"]
    assert [each.code for each in location_based([year("NL")], whole).disclosures] == ["boundary-lifecycle"]
    assert [each.code for each in location_based([year("NL")], {}).disclosures] == ["unpriced"]


def test_the_hierarchy_is_certificates_then_contracts_then_supplier_then_residual() -> None:
    ppa = contract("ppa", 3 * MWH_WH)._replace(instrument="ppa", ug_per_kwh=10_000_000)
    supplier = contract("supplier", 2 * MWH_WH)._replace(instrument="supplier", ug_per_kwh=400_000_000)
    found = market([year()], [supplier, ppa, contract("wind", 4 * MWH_WH)])
    assert mwh(found) == {"eac": 4, "ppa": 3, "supplier": 2, "residual": 1}
    assert [piece.contract for piece in found.blends[0].pieces] == ["wind", "ppa", "supplier", ""]
    assert found.emitted_ug == (3 * 10 + 2 * 400 + 1 * 700) * 10**9
    assert found.prices("DE")[0].ug_per_kwh == 153_000_000
    assert (found.prices("DE")[0].quality, found.prices("DE")[0].boundary) == ("blend", "market")


def test_a_suppliers_rate_without_a_volume_covers_all_that_is_left() -> None:
    supplier = contract("supplier", None)._replace(instrument="supplier", ug_per_kwh=400_000_000)
    assert mwh(market([year()], [supplier, contract("wind", 4 * MWH_WH)])) == {"eac": 4, "supplier": 6}


def test_periods_and_zones_must_match() -> None:
    half = [Consumption("DE", JAN, JUL - JAN, 5 * MWH, 1000), Consumption("DE", JUL, END - JUL, 5 * MWH, 1000)]
    first = contract("first half", 10 * MWH_WH)._replace(end_s=JUL)
    found = market(half, [first])
    assert [blend.price.ug_per_kwh for blend in found.blends] == [0, 700_000_000]
    assert codes(found) == ["clipped"]
    elsewhere = market([year()], [contract("wind", MWH_WH)._replace(zones=("FR",))])
    assert (mwh(elsewhere), codes(elsewhere)) == ({"residual": 10}, ["clipped"])
    last_year = contract("old", MWH_WH)._replace(start_s=at("2025-01-01"), end_s=JAN)
    assert (mwh(market([year()], [last_year])), codes(market([year()], [last_year]))) == ({"residual": 10}, [])


def test_a_row_over_the_edge_of_a_contract_is_cut_by_time() -> None:
    first = contract("first half", None)._replace(end_s=JAN + YEAR_S // 4)
    found = market([year()], [first])
    assert [blend.energy_uj for blend in found.blends] == [10 * MWH // 4, 10 * MWH - 10 * MWH // 4]


def test_a_narrow_contract_goes_before_a_wide_one_of_its_kind() -> None:
    wide = contract("all over", 10 * MWH_WH)._replace(zones=("DE", "US-CAMX"))
    found = market([year(), year("US-CAMX")], [wide, contract("home", 10 * MWH_WH)])
    assert (mwh(found), codes(found)) == ({"eac": 20}, [])


def test_a_contract_is_shared_evenly_over_all_it_covers() -> None:
    found = market([year(mwh=6), year("US-CAMX", 2)], [contract("wind", 4 * MWH_WH)._replace(zones=("DE", "US-CAMX"))])
    assert [blend.pieces[0].energy_uj for blend in found.blends] == [3 * MWH, MWH]


def test_a_contract_that_fails_a_criterion_may_raise_the_figure_and_never_lower_it() -> None:
    green = contract("green", 4 * MWH_WH, failed="sole_claim")
    found = market([year()], [green])
    assert (mwh(found), codes(found)) == ({"residual": 10}, ["criterion-failed"])
    assert "green: fails sole_claim" in found.disclosures[0].text
    dirty = market([year()], [green._replace(ug_per_kwh=900_000_000)])
    assert (mwh(dirty), dirty.emitted_ug) == ({"eac": 4, "residual": 6}, (4 * 900 + 6 * 700) * 10**9)
    behind = contract("supplier", None)._replace(instrument="supplier", ug_per_kwh=950_000_000)
    assert mwh(market([year()], [green._replace(ug_per_kwh=900_000_000), behind])) == {"supplier": 10}


def test_what_nobody_checked_is_a_warning() -> None:
    found = market([year()], [contract("wind", 4 * MWH_WH, checked="unknown"), contract("more", MWH_WH)._replace(criteria=())])
    assert (mwh(found), codes(found)) == ({"eac": 5, "residual": 5}, ["criterion-unknown", "criterion-unknown"])


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (contract("odd", MWH_WH)._replace(ug_per_kwh=-1), "negative rate"),
        (contract("odd", -1), "negative volume"),
        (contract("odd", MWH_WH)._replace(end_s=JAN - 1), "ends before it begins"),
    ],
)
def test_there_are_no_negative_terms(wrong: ContractFact, why: str) -> None:
    found = market([year()], [wrong])
    assert (mwh(found), codes(found)) == ({"residual": 10}, ["refused"])
    assert why in found.disclosures[0].text


@pytest.mark.parametrize(
    ("first", "second", "doubled"),
    [
        ("GO-0001-GO-0100", "GO-0100-GO-0200", True),
        ("GO-0001-GO-0100", "GO-0101-GO-0200", False),
        ("GO-0001..GO-0100; X9", "Y1, X9", True),
        ("760000000000001-760000000000999", "760000000000500", True),
        ("batch A", "batch A", True),
        ("GO-7, GO-7", "GO-8", False),
        ("GO-0001-GO-0100", "RE-0001-RE-0100", False),
        ("", "", False),
    ],
)
def test_the_same_serials_are_never_used_twice(first: str, second: str, doubled: bool) -> None:
    one = contract("one", 3 * MWH_WH)._replace(serials=first, registry="HKNR")
    other = contract("other", 3 * MWH_WH)._replace(serials=second, registry="hknr")
    found = market([year()], [one, other])
    assert mwh(found)["eac"] == (3 if doubled else 6)
    assert codes(found) == (["serials-twice"] if doubled else [])
    assert mwh(market([year()], [one, other._replace(registry="other")]))["eac"] == 6


def test_a_contract_said_twice_counts_once_and_one_corrected_as_corrected() -> None:
    wind = contract("wind", 4 * MWH_WH)
    assert codes(market([year()], [wind, wind])) == ["said-anew"]
    assert mwh(market([year()], [wind, wind])) == {"eac": 4, "residual": 6}
    mended = known(wind._replace(volume_wh=3 * MWH_WH), 2, recorded_s=50, corrects="00000000000000aa:1")
    books = [known(wind, 1, recorded_s=10), mended]
    assert mwh(market([year()], books, as_of_s=49))["eac"] == 4
    assert mwh(market([year()], books))["eac"] == 3


def test_an_hourly_certificate_covers_its_year_by_the_guidance_of_2015() -> None:
    solar = contract("solar", 2 * MWH_WH)._replace(start_s=JUL, end_s=JUL + H)
    assert mwh(market([year()], [solar])) == {"eac": 2, "residual": 8}
    delivered = solar._replace(instrument="ppa")
    assert mwh(market([year()], [delivered]))["residual"] > 9.9


def test_the_building_is_part_of_the_consumption_where_its_pue_is_known() -> None:
    found = market([year(pue_milli=1200)], [])
    assert (mwh(found), codes(found)) == ({"residual": 12}, [])
    bare = market([year(pue_milli=0)], [])
    assert (mwh(bare), codes(bare)) == ({"residual": 10}, ["pue-unknown"])
    assert location_based([year(pue_milli=1200)], GRID).emitted_ug == {"direct": 12 * 329 * 10**9}


def test_a_residual_mix_of_half_the_year_leaves_the_other_half_to_the_average() -> None:
    half = {"DE": flat("DE", 700, boundary="residual", start_s=JAN, end_s=JAN + YEAR_S // 2)}
    found = market([year()], [], half)
    assert mwh(found) == {"residual": 5, "grid-average": 5}
    assert [blend.price.quality for blend in found.blends] == ["residual", "grid-average"]


def test_what_was_posted_at_an_instant_is_consumption_too() -> None:
    assert mwh(market([year()._replace(length_s=0)], [contract("wind", 4 * MWH_WH)])) == {"eac": 4, "residual": 6}


def test_negative_consumption_is_refused() -> None:
    with pytest.raises(ValueError, match="may be negative"):
        market([year(mwh=-1)], [])


def test_the_residual_mix_comes_from_the_books() -> None:
    facts = [known(intensity(JAN, 701.47, YEAR_S, boundary="residual"))]
    mix = {"DE": prices.residual("DE", JAN, END, facts, as_of_s=None, settle_s=0)}
    found = market([year()], [], mix)
    assert found.emitted_ug == 7_014_700 * 10**6
    assert found.prices("DE")[0].facts == ("00000000000000aa:1",)


CONTRACTS = st.builds(
    lambda kind, zones, span, volume, rate, failed: contract("c", volume, failed="sole_claim" if failed else "")._replace(
        instrument=kind, zones=zones, start_s=JAN + min(span) * H, end_s=JAN + max(span) * H + 1, ug_per_kwh=rate
    ),
    st.sampled_from(("eac", "ppa", "supplier")),
    st.sampled_from((("DE",), ("FR",), ("DE", "FR"), ("NL",))),
    st.tuples(st.integers(0, 99), st.integers(0, 99)),
    st.none() | st.integers(0, 10_000_000),
    st.integers(0, 900_000_000),
    st.booleans(),
)
ROWS = st.builds(
    lambda zone, hour, length, uj: Consumption(zone, JAN + hour * H, length, uj, 1000),
    st.sampled_from(("DE", "FR")),
    st.integers(0, 99),
    st.integers(1, 5 * H),
    st.integers(0, 10 * MWH),
)


@given(rows=st.lists(ROWS, min_size=1, max_size=8), contracts=st.lists(CONTRACTS, max_size=6), data=st.data())
def test_energy_is_conserved_no_volume_exceeded_and_order_is_nothing(
    rows: list[Consumption], contracts: list[ContractFact], data: st.DataObject
) -> None:
    named = [known(one._replace(contract=f"c{n}"), n + 1, recorded_s=n) for n, one in enumerate(contracts)]
    found = market(rows, named)
    assert sum(found.energy_uj.values()) == sum(row.energy_uj for row in rows)
    for blend in found.blends:
        assert sum(piece.energy_uj for piece in blend.pieces) == blend.energy_uj
        assert all(piece.energy_uj > 0 and piece.emitted_ug >= 0 for piece in blend.pieces)
    for n, one in enumerate(contracts):
        used_uj = sum(p.energy_uj for blend in found.blends for p in blend.pieces if p.contract == f"c{n}")
        assert one.volume_wh is None or used_uj <= one.volume_wh * KWH // 1000
    assert market(data.draw(st.permutations(rows)), data.draw(st.permutations(named))) == found
    worse = [one._replace(fact=one.fact._replace(criteria=(("sole_claim", "fail", ""),))) for one in named]  # type: ignore[call-arg]
    assert market(rows, worse).emitted_ug >= market(rows, []).emitted_ug


@given(rows=st.lists(ROWS, min_size=1, max_size=8), contracts=st.lists(CONTRACTS, max_size=4))
def test_the_blended_prices_give_the_total_again(rows: list[Consumption], contracts: list[ContractFact]) -> None:
    found = market(rows, [one._replace(contract=f"c{n}") for n, one in enumerate(contracts)])
    again = Fraction(0)
    for zone in ("DE", "FR"):
        windows = [(row.start_s, row.length_s, row.energy_uj) for row in rows if row.zone == zone]
        again += sum((part.emitted_ug for part in by_boundary(found.prices(zone), windows).values()), Fraction(0))
    # A blended price is a whole microgram per kWh, and a window's energy is cut at a cell's edge to whole microjoules.
    assert float(again) == pytest.approx(found.emitted_ug, rel=1e-6, abs=2 + sum(row.energy_uj for row in rows) / KWH)
