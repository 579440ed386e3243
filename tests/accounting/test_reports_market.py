"""The market-based figure of a report: from contracts and the residual mix; where there are neither it is said, and is not zero."""

from pathlib import Path

import pytest
from tests.accounting.made_prices import contract
from tests.accounting.made_reports import H, add, asked, books, grams, said, used, written
from tests.ledger.made import NOON_S

from wattledger.accounting.report_ask import Ask
from wattledger.core.facts import Correction, IntensityFact

JOB = Ask("job")
DE_G = 329.0


def residual(g_per_kwh: float) -> IntensityFact:
    """The residual mix of DE in 2026."""
    return said(0, g_per_kwh)._replace(start_s=1_767_225_600, length_s=365 * 86_400, boundary="residual", provider="aib")


def test_without_contracts_and_residual_mix_it_is_absent_and_said(tmp_path: Path) -> None:
    found = asked(books(tmp_path, [used(1), said(0, 100)]), JOB)
    assert "market_based" not in found["total"]["emissions_g"]
    assert found["not_known"]["market_based"] == "no contracts, no residual mix"
    assert any(note.startswith("market-based: not known") for note in found["notes"])


def test_what_no_contract_covers_stands_on_the_residual_mix(tmp_path: Path) -> None:
    found = asked(books(tmp_path, [used(2), said(0, 100), residual(700)]), JOB)
    assert grams(found) == 200
    assert grams(found, "market_based") == pytest.approx(1400, rel=1e-9)
    assert "market_based" not in found["not_known"]


def test_a_certificate_is_shared_evenly_by_all_that_it_covers(tmp_path: Path) -> None:
    """4 of 10 kWh are wind: each job pays six tenths of the residual mix."""
    facts = [used(6, job="a"), used(4, job="b", hour=30), said(0, 100), residual(700), contract("wind", 4000)]
    place = books(tmp_path, facts)
    found = asked(place, JOB)
    assert [grams(found, "market_based", row) for row in (0, 1)] == [pytest.approx(e * 0.6 * 700, rel=1e-9) for e in (6, 4)]
    # A report of one job, or of a part of the time, gives it no more of the certificate than its share.
    for ask in (Ask("job", "a"), Ask("job", from_s=NOON_S, to_s=NOON_S + H)):
        assert grams(asked(place, ask), "market_based") == pytest.approx(6 * 0.6 * 700, rel=1e-9)
    assert grams(asked(place, JOB)) == pytest.approx(6 * 100 + 4 * DE_G, rel=1e-9)


def test_without_a_residual_mix_the_rest_is_the_grids_average_and_that_is_disclosed(tmp_path: Path) -> None:
    found = asked(books(tmp_path, [used(10), contract("wind", 4000)]), JOB)
    assert grams(found, "market_based") == pytest.approx(6 * DE_G, rel=1e-9)
    assert any(note.startswith("market-based:") and "residual" in note for note in found["notes"])


def test_a_contract_that_fails_a_criterion_covers_nothing_and_is_named(tmp_path: Path) -> None:
    bad = contract("coal-washed", None, failed="tracked_and_retired")
    found = asked(books(tmp_path, [used(1), residual(700), bad]), JOB)
    assert grams(found, "market_based") == pytest.approx(700, rel=1e-9)
    assert any("coal-washed" in note for note in found["notes"])


def test_a_contract_that_is_learnt_or_corrected_later_changes_no_earlier_answer(tmp_path: Path) -> None:
    place = books(tmp_path, [used(10), residual(700)], NOON_S + H)
    before = written(place, JOB._replace(as_of_s=NOON_S + H))
    [contract_id] = add(place, [contract("wind", 4000)], NOON_S + 2 * H)
    add(place, [Correction(contract_id, "it was 8 MWh", contract("wind", 8000))], NOON_S + 3 * H)
    assert written(place, JOB._replace(as_of_s=NOON_S + H)) == before
    found = [grams(asked(place, JOB._replace(as_of_s=NOON_S + n * H)), "market_based") for n in (1, 2, 3)]
    assert found == [pytest.approx(part * 7000, rel=1e-9) for part in (1, 0.6, 0.2)]


def test_pue_is_bought_too(tmp_path: Path) -> None:
    found = asked(books(tmp_path, [used(10, pue_milli=1200), residual(700), contract("wind", 6000)]), JOB)
    assert grams(found, "market_based") == pytest.approx((12 - 6) * 700, rel=1e-9)


def test_a_contract_of_two_years_is_shared_by_both_in_a_report_of_one(tmp_path: Path) -> None:
    long = contract("ppa", 4000)._replace(instrument="ppa", start_s=NOON_S - 365 * 86_400 - H, end_s=NOON_S + 2 * H)
    place = books(tmp_path, [used(6, hour=-365 * 24), used(4), residual(1000), long])
    last = asked(place, JOB._replace(from_s=NOON_S))
    assert last["total"]["energy_j"]["value"] == 4 * 3.6e6
    assert grams(last, "market_based") == pytest.approx(4 * 0.6 * 1000, rel=1e-9)
