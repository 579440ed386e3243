"""What an evidence pack says of machines and water: it balances, names every figure, and says what is left out."""

from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import pytest
from tests.accounting.made_evidence import known, number, packed
from tests.accounting.made_explained import KG, machine, ran
from tests.accounting.made_reports import DAY_S, KWH, books, used
from tests.ledger.made import NOON_S

from wattledger.accounting.assets.words import fact
from wattledger.accounting.report_ask import Ask, Rules
from wattledger.factors.grid import annual


def test_the_machines_balance_and_what_jobs_were_charged_is_beside_it(tmp_path: Path) -> None:
    place = books(tmp_path, [*machine(), ran("a"), ran("(idle)"), ran("a", hour=2)])
    found = packed(place, Ask("job", "a"))["trial_balance"]["embodied"]
    passports, charged = found["passports"], found["charged"]
    assert passports["residual_ug"] == 0
    booked = sum(passports[name] for name in ("jobs_ug", "idle_ug", "unattributed_ug", "unmetered_ug", "true_up_ug"))
    assert (charged["passports_ug"], charged["estimates_ug"], charged["sum_ug"]) == (booked, 0, booked)
    assert passports["jobs_ug"] > 0 < passports["unmetered_ug"]
    assert found["method"] == "reserved"


def test_a_passport_in_the_register_has_its_source_interval_and_facts(tmp_path: Path) -> None:
    place = books(tmp_path, [*machine(low_g=110 * KG, high_g=575 * KG), ran("a")])
    ids = [one.id for one in known(place)]
    lines = {line["asset"]: line for line in packed(place, Ask("job", "a"))["factors"] if line["kind"] == "embodied"}
    gpu = lines["g1"]
    assert (gpu["value"], gpu["source"], gpu["method"], gpu["facts"]) == (164 * KG, "PCF", "pcf", [ids[1], ids[2]])
    assert gpu["interval_95"] == {"down": pytest.approx(164 / 110), "up": pytest.approx(575 / 164)}
    assert lines["s1"]["booked_ug"] > gpu["booked_ug"] > 0


def test_an_estimate_in_the_register_has_its_source_and_the_tables_are_hashed(tmp_path: Path) -> None:
    found = packed(books(tmp_path, [used(1)]))
    [gpu] = [line for line in found["factors"] if line["kind"] == "embodied" or line.get("stands_on") == "estimate"]
    assert gpu["stands_on"] == "estimate"
    assert {"kg", "low_kg", "high_kg", "source", "boundary", "life_h"} <= gpu.keys()
    folder = Path(annual.TABLE).parent
    assert found["methods"]["tables"] == {
        f"factors/data/{path.name}": sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.csv")
    }  # fmt: skip
    assert "factors/data/grid_annual.csv" in found["methods"]["tables"]


def test_what_machines_booked_for_nobody_and_what_is_not_known_of_them_is_said(tmp_path: Path) -> None:
    dark = [fact("fan", "make", at_s=NOON_S - DAY_S, kind="other"), fact("g1", "install", at_s=NOON_S - DAY_S, inside="nowhere")]
    place = books(tmp_path, [*machine(), *dark, ran("a"), ran("a", hour=2)])
    found = {line["what"]: line for line in packed(place, Ask("job"))["exclusions"]}
    assert found["embodied carbon of times without a meter"]["size"]["booked_ug"] > 0
    assert found["the making of 1 assets"]["assets"] == ["fan"]
    assert any("breaks a rule" in line["why"] for line in found.values())


def test_embodied_carbon_that_is_not_asked_for_is_an_exclusion(tmp_path: Path) -> None:
    found = packed(books(tmp_path, [*machine(), ran("a")]), Ask("job", "a"), Rules(embodied=False))
    assert "embodied" not in found["trial_balance"]
    assert [line for line in found["factors"] if line["kind"] == "embodied"] == []
    assert "embodied carbon of the hardware" in {line["what"] for line in found["exclusions"]}
    assert found["question"]["environment"]["WATTLEDGER_EMBODIED_ENABLED"] == "false"


def test_litres_can_be_multiplied_again_and_come_to_the_answer(tmp_path: Path) -> None:
    place = books(tmp_path, [*machine(), ran("a", pue_milli=1200), ran("a", hour=1, zone="SE")])
    found = packed(place, Ask("job", "a"), Rules(wue=1.8))
    for where in ("onsite", "offsite"):
        lines = [line for line in found["factors"] if line.get("basis") == f"water_{where}"]
        water_ul = Fraction(0)
        for line in lines:
            again = number(line["energy_uj"]) * line["value"] * Fraction(str(line.get("pue", 1))) / KWH
            assert again == number(line["water_ul"])
            water_ul += again
        assert float(water_ul / 1_000_000) == found["answer"]["total"]["water_l"][where]["value"]
        assert all(line["origin"] for line in lines)
    assert "water that the site evaporates" not in {line["what"] for line in found["exclusions"]}


def test_a_site_whose_wue_nobody_said_is_an_exclusion_with_a_range(tmp_path: Path) -> None:
    found = {line["what"]: line for line in packed(books(tmp_path, [*machine(), ran("a")]), Ask("job", "a"))["exclusions"]}
    size = found["water that the site evaporates"]["size"]
    assert size["water_l"] == {"low": pytest.approx(0.01), "high": pytest.approx(2.75)}
