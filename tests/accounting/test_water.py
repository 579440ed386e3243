"""Water in reports: W = E_IT x (WUE + PUE x EWIF), on-site and off-site apart, exact, and absent where it is not known."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from tests.accounting.made_reports import H, asked, books, said, used, written

from wattledger.accounting.report_ask import KINDS, Ask, Rules
from wattledger.accounting.reports import report
from wattledger.accounting.water import litres, water_l, water_of
from wattledger.core.uncertainty import Quantity
from wattledger.factors.grid.cloud import configured_pue
from wattledger.factors.water import ewif, site
from wattledger.ledger.books import Books, Span

MODES: tuple[ewif.Hydro, ...] = ("allocate", "exclude")
DE, SE, WORLD = 1.947, 6.0315, 3.908
RULES = Rules(wue=0.3, embodied=False)
NO_WUE = Rules(embodied=False)


def water(found: dict[str, Any], where: str = "offsite", row: int | None = None) -> float:
    line = found["total"] if row is None else found["rows"][row]
    return float(line["water_l"][where]["value"])


# --- the formula ------------------------------------------------------------------------------------------------------------


def test_training_gpt_3_took_5_4_million_litres() -> None:
    """carbon.md 9, example 22: 1,287 MWh, PUE 1.17, WUE 0.55, EWIF 3.142; one request of 0.004 kWh takes 16.905 mL."""
    on_site, off_site = water_l(1_287_000, 0.55, 1.17, 3.142)
    assert on_site == pytest.approx(0.708e6, rel=5e-4)
    assert off_site == pytest.approx(4.731e6, rel=5e-4)
    assert on_site + off_site == pytest.approx(5.439e6, rel=5e-4)
    assert sum(water_l(0.004, 0.55, 1.17, 3.142)) == pytest.approx(16.905e-3, rel=1e-4)


def test_sweden_is_clean_and_wet_germany_the_other_way_round() -> None:
    """carbon.md 7: a kWh of IT energy at PUE 1.1 and WUE 0.02 takes 6.65 L in Sweden and 2.16 L in Germany."""
    assert sum(water_l(1, 0.02, 1.1, ewif.offsite("SE").value)) == pytest.approx(6.65, abs=0.005)
    assert sum(water_l(1, 0.02, 1.1, ewif.offsite("DE").value)) == pytest.approx(2.16, abs=0.005)


def test_the_intervals_of_independent_factors_multiply() -> None:
    kwh = Quantity(10, 10 / 1.1, 11)
    found = litres(kwh, [ewif.offsite("DE"), configured_pue(1.2)])
    assert found.value == pytest.approx(10 * DE * 1.2)
    assert found.high / found.value == pytest.approx(found.value / found.low)
    assert found.high / found.value == pytest.approx(1.5205, rel=1e-3)  # exp(sqrt(ln^2 1.1 + ln^2 1.5 + ln^2 1.05))
    assert litres(kwh, [site.onsite(0.3)]).value == pytest.approx(3)


# --- in reports -------------------------------------------------------------------------------------------------------------


def test_off_site_is_by_the_buildings_energy_and_on_site_by_the_machines(tmp_path: Path) -> None:
    found = asked(books(tmp_path, [used(2, pue_milli=1500), used(1, hour=1, pue_milli=1100)]), Ask("job"), RULES)
    assert water(found) == pytest.approx((2 * 1.5 + 1 * 1.1) * DE, rel=1e-9)
    assert water(found, "onsite") == pytest.approx(3 * 0.3, rel=1e-9)


def test_each_zone_has_its_own_water_whatever_the_hour(tmp_path: Path) -> None:
    facts = [used(1, zone="SE", hour=h / 2, length_s=H) for h in range(4)] + [used(2)]
    found = asked(books(tmp_path, [*facts, said(0, 100), said(1, 900)]), Ask("day"), RULES)
    assert water(found) == pytest.approx(4 * SE + 2 * DE, rel=1e-9)


def test_every_kind_of_report_has_the_same_litres(tmp_path: Path) -> None:
    zones, jobs = ("SE", "DE", "US-CAMX", ""), ("a", "b", "(idle)")
    facts = [used(n + m + 0.1, zone=z, job=j, hour=n, pue_milli=1100 + m) for n, z in enumerate(zones) for m, j in enumerate(jobs)]
    place = books(tmp_path, facts)
    whole = {kind: asked(place, Ask(kind), RULES) for kind in KINDS}
    for where in ("onsite", "offsite"):
        assert len({water(found, where) for found in whole.values()}) == 1
        for found in whole.values():
            rows = [water(found, where, n) for n in range(len(found["rows"]))]
            assert sum(rows) == pytest.approx(water(found, where), rel=1e-12)


def test_the_sums_are_exact_microlitres_however_windows_are_cut(tmp_path: Path) -> None:
    facts = [used(0.1, hour=h / 7, length_s=977, pue_milli=1173, job=f"job-{h % 3}") for h in range(20)]
    place = books(tmp_path, [*facts, *(said(h, 100 + h) for h in range(4))])
    with Books([place], Span()) as opened:
        whole, rows = Fraction(0), report(opened, Ask("job", by="hour"), RULES)
        for line in rows.lines:
            assert sum(piece.sums.water_ul("offsite") for piece in line.pieces) == line.sums.water_ul("offsite")
            whole += line.sums.water_ul("offsite")
        total = rows.total.sums
        assert total.water_ul("offsite") == whole == total.energy_uj() * 1_947_000 * 1173 / 3_600_000_000_000_000


def test_a_thousand_windows_of_one_zone_are_no_surer_than_one(tmp_path: Path) -> None:
    """carbon.md 8.1: what stands on one factor shares its error."""
    one, many = (asked(books(tmp_path, [used(1, hour=h) for h in range(n)]), Ask("host"), NO_WUE) for n in (1, 200))
    for found in (one, many):
        span = found["total"]["water_l"]["offsite"]
        assert span["high"] / span["value"] == pytest.approx(span["value"] / span["low"], rel=1e-6)
        assert span["high"] / span["value"] > 1.5
    two = asked(books(tmp_path, [used(1), used(1, zone="FR")]), Ask("host"), NO_WUE)["total"]["water_l"]["offsite"]
    assert two["high"] / two["value"] < 1.5  # two nations' figures are off independently


def test_where_pue_is_not_known_it_is_not_applied(tmp_path: Path) -> None:
    assert water(asked(books(tmp_path, [used(1, pue_milli=0)]), Ask("job"), NO_WUE)) == pytest.approx(DE, rel=1e-9)


def test_on_site_is_absent_where_nobody_said_it_and_never_zero(tmp_path: Path) -> None:
    found = asked(books(tmp_path, [used(1)]), Ask("job"), NO_WUE)
    assert list(found["total"]["water_l"]) == ["offsite"]
    assert "[facility] wue" in found["not_known"]["water_onsite"]
    assert any("on-site not known" in note for note in found["notes"])


def test_hydro_can_be_left_out_and_the_answer_says_which_it_is(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1, zone="SE")])
    with_it, without = (asked(place, Ask("job"), Rules(embodied=False, hydro=hydro)) for hydro in MODES)
    assert water(with_it) == pytest.approx(SE, rel=1e-9)
    assert water(without) == pytest.approx(ewif.offsite("SE", "exclude").value, rel=1e-6)
    assert with_it["rows"][0]["water_stands_on"]["offsite"]["quality"] == {"national": 1.0}
    assert without["rows"][0]["water_stands_on"]["offsite"]["quality"] == {"by-mix": 1.0}
    assert any("hydro = allocate" in note for note in with_it["notes"])
    assert any("hydro = exclude" in note for note in without["notes"])


def test_hydro_that_cannot_be_left_out_of_a_part_says_of_which_part(tmp_path: Path) -> None:
    place, rules = books(tmp_path, [used(1, zone="XK"), used(3)]), Rules(embodied=False, hydro="exclude")
    found = asked(place, Ask("job"), rules)
    assert found["total"]["water_cover"] == {"offsite": 0.75}
    assert any("not known of XK" in note for note in found["notes"])
    alone = asked(books(tmp_path, [used(1, zone="XK")]), Ask("job"), rules)
    assert "water_l" not in alone["total"]
    assert "water_offsite" in alone["not_known"]


def test_whose_average_stands_in_is_said(tmp_path: Path) -> None:
    facts = [used(1, zone="US-CAMX"), used(1, zone="BD"), used(1, zone="")]
    notes = "\n".join(asked(books(tmp_path, facts), Ask("job"), NO_WUE)["notes"])
    assert "the world's average stands in for BD, energy of no known zone" in notes
    assert "the country's average stands in for US-CAMX" in notes
    assert water(asked(books(tmp_path, [used(1, zone="")]), Ask("job"), NO_WUE)) == pytest.approx(WORLD, rel=1e-9)
    assert water(asked(books(tmp_path, [used(1, zone="")]), Ask("job"), NO_WUE._replace(zone="SE"))) == pytest.approx(SE, rel=1e-9)


def test_rules_that_cannot_be_are_refused(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1)])
    with pytest.raises(ValueError, match="litres per kWh"):
        asked(place, Ask("job"), Rules(wue=300))
    with pytest.raises(ValueError, match="allocate or exclude"):
        asked(place, Ask("job"), Rules(hydro="sometimes"))  # type: ignore[arg-type]


def test_nothing_is_consumed_by_nothing() -> None:
    assert water_of("DE", NO_WUE).onsite is None
    both = water_of("DE", RULES)
    assert both.onsite is not None
    assert both.offsite is not None
    assert (both.onsite.ul_per_kwh, both.offsite.ul_per_kwh) == (300_000, 1_947_000)


# --- as it is written ------------------------------------------------------------------------------------------------------


def test_tables_csv_and_one_line_say_the_litres(tmp_path: Path) -> None:
    place = books(tmp_path, [used(2, job="a"), used(1, job="b")])
    text = written(place, Ask("job"), RULES)
    head = next(line for line in text.splitlines() if line.startswith("job,energy_j"))
    assert "water_onsite_l,water_onsite_low_l,water_onsite_high_l,water_offsite_l" in head
    table = text.splitlines()[-20:]
    assert any(line.split()[-2:] == ["4.49", "L"] and line.startswith("a ") for line in table)
    one = written(place, Ask("job", "a"), RULES)
    assert "water on-site   600 mL (" in one
    assert "off-site      3.89 L (" in one
    half = written(place, Ask("job"), NO_WUE).splitlines()
    assert any(line.startswith("water: off-site 5.84 L (") for line in half)
    assert not any(line.startswith("job ") and line.endswith("water") for line in half)
    alone = written(place, Ask("job", "a"), NO_WUE)
    assert "water off-site  3.89 L (" in alone
