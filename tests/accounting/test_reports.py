"""Reports: each number equals what a hand, or a sum over every second, gets; what is not known is absent; and it adds up."""

from pathlib import Path
from typing import Any

import pytest
from tests.accounting.made_reports import DAY_S, KWH, H, add, asked, books, grams, said, used
from tests.ledger.made import NOON_S, key, work

from wattledger.accounting.report_ask import KINDS, Ask, Rules
from wattledger.accounting.reports import UnknownName
from wattledger.accounting.tariffs import tariff
from wattledger.core.facts import EnergyFact, IntensityFact, WorkFact

DE_G = 329.0  # the annual table's direct average of DE


# --- by hand ----------------------------------------------------------------------------------------------------------------


def test_each_hour_is_multiplied_by_its_own_price_and_the_pue(tmp_path: Path) -> None:
    place = books(tmp_path, [used(2, pue_milli=1200), used(3, hour=1, pue_milli=1200), said(0, 100), said(1, 500)])
    found = asked(place, Ask("job", "job-0"))
    assert found["total"]["energy_j"]["value"] == 5 * 3.6e6
    assert grams(found) == pytest.approx(1.2 * (2 * 100 + 3 * 500), rel=1e-12)
    assert grams(found, "location_based_inventory") == pytest.approx(1.2 * 5 * DE_G, rel=1e-12)
    assert found["rows"][0]["emissions_g"] == found["total"]["emissions_g"]


def test_a_window_across_the_hour_is_split_by_time(tmp_path: Path) -> None:
    place = books(tmp_path, [used(6, hour=0.75, length_s=H // 2), said(0, 100), said(1, 400)])
    assert grams(asked(place, Ask("job"))) == pytest.approx(3 * 100 + 3 * 400, rel=1e-12)


def test_a_report_that_begins_within_a_window_has_its_part(tmp_path: Path) -> None:
    place = books(tmp_path, [used(6, length_s=H), said(0, 100)])
    found = asked(place, Ask("job", from_s=NOON_S + H // 4, to_s=NOON_S + H // 2))
    assert (found["total"]["energy_j"]["value"], grams(found)) == (1.5 * 3.6e6, 150)


def test_where_pue_is_not_known_it_is_not_applied_and_said(tmp_path: Path) -> None:
    found = asked(books(tmp_path, [used(1, pue_milli=0), said(0, 100)]), Ask("job"))
    assert grams(found) == 100
    assert any("PUE is not known" in note for note in found["notes"])
    assert not any("PUE" in note for note in asked(books(tmp_path, [used(1)]), Ask("job"))["notes"])


def test_reserved_workloads_are_rows_and_the_rows_are_the_devices(tmp_path: Path) -> None:
    jobs = ["train", "(idle)", "(unattributed)", "(agent)", ""]
    facts = [used(n + 1, hour=h, job=job, device=f"GPU-{n % 2}") for h in range(3) for n, job in enumerate(jobs)]
    place = books(tmp_path, [*facts, said(0, 100), said(1, 220)])
    whole = {kind: asked(place, Ask(kind)) for kind in KINDS}
    assert [row["job"] for row in whole["job"]["rows"]] == sorted(jobs)
    for found in whole.values():
        assert sum(row["energy_uj"] for row in found["rows"]) == found["total"]["energy_uj"] == 3 * 15 * KWH
        for basis in ("location_based", "location_based_inventory"):
            assert sum(row["emissions_g"][basis]["value"] for row in found["rows"]) == pytest.approx(grams(found, basis), rel=1e-12)
    assert len({grams(found) for found in whole.values()}) == 1


def test_a_job_on_many_hosts_is_one_row(tmp_path: Path) -> None:
    places = [books(tmp_path, [used(1, host=f"gpu-{n}", meter=f"agent:{n}", run="r")]) for n in range(3)]
    [row] = asked(places, Ask("job"))["rows"]
    assert (row["energy_uj"], row["hosts"], row["runs"]) == (3 * KWH, 3, 1)


def test_measured_held_and_what_it_stands_on_are_parts_of_the_energy(tmp_path: Path) -> None:
    facts = [used(3, use="held"), used(1, method="estimated", component="cpu", device="c"), used(4, hour=24), said(0, 100)]
    [row] = asked(books(tmp_path, facts), Ask("job"))["rows"]
    assert row["measured_fraction"] == 7 / 8
    assert row["held_j"] == 3 * 3.6e6
    on = row["stands_on"]["location_based"]
    assert on == {"quality": {"live": 0.5, "zone-annual": 0.5}, "boundary": {"direct": 1.0}}


def test_tokens_cost_joules_each(tmp_path: Path) -> None:
    of = key(device="", component="", device_model="", method="", use="")
    done = [WorkFact(of, NOON_S, 60, 800, 900, 200, 3), work(2)._replace(start_s=NOON_S)]
    found = asked(books(tmp_path, [used(1), *done]), Ask("job"))
    mine, other = found["rows"]
    assert mine["work"] == {"prompt_tokens": 800, "cached_tokens": 900, "generated_tokens": 200, "requests": 3}
    assert mine["energy_per_token_j"] == 3.6e6 / 1000
    assert "energy_j" not in other  # tokens without a joule: not zero, not known
    assert "energy_per_token_j" not in found["total"]
    assert "work" not in asked(books(tmp_path, [used(1)]), Ask("job"))["rows"][0]


def test_money_is_by_the_hour_of_the_place_and_absent_without_a_tariff(tmp_path: Path) -> None:
    # Noon UTC is 14:00 in Berlin: 14-15 at 0.50, then 0.20.
    place = books(tmp_path, [used(2, pue_milli=1500), used(1, hour=1, pue_milli=1500)])
    rules = Rules(tariff=tariff("0.2", "14-15:0.5", timezone="Europe/Berlin"))
    cost = asked(place, Ask("job"), rules)["total"]["cost"]
    assert cost == {"value": 1.8, "currency": "EUR"}
    assert "cost" not in asked(place, Ask("job"))["total"]


def test_upstream_is_a_line_of_its_own_where_one_source_has_both_and_absent_elsewhere(tmp_path: Path) -> None:
    found = asked(books(tmp_path, [used(1), said(0, 100), said(0, 130, boundary="lifecycle")]), Ask("job"))
    assert (grams(found), grams(found, "upstream")) == (100, 30)
    without = asked(books(tmp_path, [used(1), said(0, 100)]), Ask("job"))
    assert "upstream" not in without["total"]["emissions_g"]
    assert "upstream" in without["not_known"]


def test_marginal_is_there_only_when_asked_and_never_an_average(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1), said(0, 100), said(0, 700, signal="marginal")])
    assert "marginal" not in asked(place, Ask("job"))["total"]["emissions_g"]
    found = asked(place, Ask("job", marginal=True))
    assert (grams(found), grams(found, "marginal")) == (100, 700)
    without = asked(books(tmp_path, [used(1), said(0, 100)]), Ask("job", marginal=True))
    assert "marginal" not in without["total"]["emissions_g"]
    assert any(note.startswith("marginal: not known") for note in without["notes"])


def test_marginal_of_a_part_says_of_which_part(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1), used(3, hour=1), said(0, 700, signal="marginal")])
    total = asked(place, Ask("job", marginal=True))["total"]
    assert total["emissions_cover"] == {"marginal": 0.25}


def test_energy_of_no_zone_is_the_worlds_or_the_one_that_is_named(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1, zone="")])
    world, named = asked(place, Ask("job")), asked(place, Ask("job"), Rules("DE"))
    assert grams(named) == DE_G
    assert world["total"]["stands_on"]["location_based"]["quality"] == {"world": 1.0}
    assert any("--zone" in note for note in world["notes"])
    assert not any("--zone" in note for note in named["notes"])


def test_the_first_named_providers_word_goes_first(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1), said(0, 100), said(0, 200, provider="q")])
    assert [grams(asked(place, Ask("job"), Rules(providers=(name,)))) for name in ("p", "q")] == [100, 200]


# --- provisional, settled, true-up ------------------------------------------------------------------------------------------


def test_what_may_still_be_revised_is_provisional(tmp_path: Path) -> None:
    facts = [used(1), used(3, hour=24), said(0, 100), said(24, 100)]
    at_s = NOON_S + 72 * H + H  # the settling time of the first hour ends
    found = asked(books(tmp_path, facts, at_s), Ask("job"))
    assert (found["total"]["state"], found["total"]["provisional_fraction"]) == ("provisional", 0.75)
    assert asked(books(tmp_path, facts), Ask("job"))["total"]["state"] == "settled"


def test_what_stands_on_the_year_settles_hour_by_hour_too(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1), used(3, hour=48)], NOON_S + 90 * H)
    assert asked(place, Ask("job"))["total"]["provisional_fraction"] == 0.75
    only = asked(place, Ask("job", from_s=NOON_S, to_s=NOON_S + H))
    assert only["total"]["state"] == "settled"  # a day's state does not hang on what else is asked for


def year(tmp_path: Path, **more: Any) -> Path:
    start_s = 1_767_225_600  # 2026
    facts = [EnergyFact(key(pue_milli=1000), start_s + n * 100 * DAY_S, 60, 60_000, KWH) for n in range(3)]
    prices = [IntensityFact("DE", f.start_s // H * H, H, 300_000_000, "p")._replace(**more) for f in facts]
    return books(tmp_path, [*facts, *prices], start_s + 400 * DAY_S)


def test_a_whole_year_has_a_true_up(tmp_path: Path) -> None:
    begin_s, end_s = 1_767_225_600, 1_767_225_600 + 365 * DAY_S
    found = asked(year(tmp_path), Ask("day", from_s=begin_s, to_s=end_s))
    assert found["total"]["true_up_g"] == pytest.approx(3 * (DE_G - 300), rel=1e-12)
    for ask in (Ask("day", from_s=begin_s), Ask("day", from_s=begin_s, to_s=end_s - DAY_S), Ask("job", "job-0", begin_s, end_s)):
        assert "true_up_g" not in asked(year(tmp_path), ask)["total"]


def test_two_boundaries_have_no_true_up(tmp_path: Path) -> None:
    place = year(tmp_path, boundary="lifecycle")
    found = asked(place, Ask("day", from_s=1_767_225_600, to_s=1_767_225_600 + 365 * DAY_S))
    assert "true_up_g" not in found["total"]


# --- words ------------------------------------------------------------------------------------------------------------------


def test_an_unknown_name_says_which_there_are(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1)])
    with pytest.raises(UnknownName) as wrong:
        asked(place, Ask("job", "job-1"))
    assert wrong.value.names == ["job-0"]
    assert asked(place, Ask("job", "job-0", from_s=NOON_S - 9, to_s=NOON_S))["rows"] == []


def test_a_day_by_its_name_is_that_day(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1), used(2, hour=24), used(4, hour=48)])
    found = asked(place, Ask("day", "2026-09-22"))
    assert [(row["day"], row["energy_uj"]) for row in found["rows"]] == [("2026-09-22", 2 * KWH)]
    with pytest.raises(ValueError, match="is no day"):
        asked(place, Ask("day", "yesterday"))


def test_a_time_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="before it begins"):
        asked(books(tmp_path, []), Ask("job", from_s=2, to_s=1))


def test_empty_books_give_an_empty_report(tmp_path: Path) -> None:
    for kind in KINDS:
        found = asked(books(tmp_path, []), Ask(kind))
        assert (found["rows"], found["total"]) == ([], {})


def test_facts_of_others_change_no_row(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1), said(0, 100)])
    before = asked(place, Ask("job"))["rows"]
    add(place, [used(5, hour=2, job="else")], NOON_S + 30 * DAY_S)
    assert asked(place, Ask("job"))["rows"][1:] == before
