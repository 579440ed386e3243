"""The evidence pack: it adds up, names every factor and fact, and is the same bytes for the same facts."""

import json
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.accounting.made_changes import rewrite
from tests.accounting.made_evidence import JOB, known, number, packed
from tests.accounting.made_prices import contract
from tests.accounting.made_reports import DAY_S, KWH, LEARNT_S, H, add, books, said, used
from tests.ledger.made import NOON_S, gap

from wattledger.accounting.evidence import pack
from wattledger.accounting.report_ask import KINDS, Ask
from wattledger.core.facts import Correction, Fact, GapFact, RunFact
from wattledger.factors.grid import annual
from wattledger.ledger.books import Books
from wattledger.ledger.chain import link
from wattledger.ledger.compact import Plan, compact
from wattledger.ledger.segments import seal
from wattledger.ledger.store import Store
from wattledger.ledger.verify import verify


def some(place: Path) -> Path:
    """Two jobs, idle and unattributed energy on two devices; one hour has a price of its own; a gap, a correction."""
    facts: list[Fact | Correction] = [
        used(2), used(1, hour=1), used(0.5, job="other"), used(0.25, job="(idle)", device="GPU-1"),
        used(0.125, job="(unattributed)"),
        said(0, 100), gap(NOON_S),
    ]  # fmt: skip
    made = books(place, facts)
    [first] = [one.id for one in known(made) if one.fact == said(0, 100)]
    add(made, [Correction(first, "the provider mended it", said(0, 120))], LEARNT_S + 60)
    return made


def test_the_trial_balance_closes_on_the_devices(tmp_path: Path) -> None:
    found = packed(some(tmp_path))["trial_balance"]
    energy = found["energy_uj"]
    assert energy["accounts"] == {"(idle)": KWH // 4, "(unattributed)": KWH // 8, "jobs": 7 * KWH // 2}
    assert (energy["jobs_named"], energy["difference"]) == (2, 0)
    assert energy["sum"] == energy["devices"] == sum(device["energy_uj"] for device in found["devices"])
    assert {name: line["difference"] for name, line in found["emitted_ug"].items()} == {
        "location_based": 0, "location_based_inventory": 0,
    }  # fmt: skip
    assert found["emitted_ug"]["location_based_inventory"]["ghg"] == "scope 2, location-based"


def test_every_factor_can_be_multiplied_again_and_comes_to_the_answer(tmp_path: Path) -> None:
    found = packed(some(tmp_path))
    for basis in ("location_based", "location_based_inventory"):
        lines = [line for line in found["factors"] if line.get("basis") == basis]
        emitted_ug = Fraction(0)
        for value in (value for line in lines for value in line["values"]):
            again = number(value["energy_uj"]) * value["value"] * Fraction(str(value["pue"])) / KWH
            assert again == number(value["emitted_ug"])
            emitted_ug += again
        assert float(emitted_ug / 1_000_000) == found["answer"]["total"]["emissions_g"][basis]["value"]
        assert sum(number(line["energy_uj"]) for line in lines) == found["answer"]["total"]["energy_uj"]


def test_a_factor_of_a_provider_names_its_facts_and_one_of_the_table_its_row_and_hash(tmp_path: Path) -> None:
    place = some(tmp_path)
    found = packed(place)
    [correction] = found["methods"]["corrections"]
    lines = [line for line in found["factors"] if line.get("basis") == "location_based"]
    assert [line["quality"] for line in lines] == ["last-known", "live"]
    assert {tuple(value["facts"]) for line in lines for value in line["values"]} == {(correction["id"],)}
    assert correction["because"] == "the provider mended it"
    [table] = [line for line in found["factors"] if line.get("basis") == "location_based_inventory"]
    assert table["table_sha256"] == sha256(Path(annual.TABLE).read_bytes()).hexdigest()
    assert {"origin", "version", "boundary", "interval_95", "year", "licence"} <= table.keys()
    assert table["row"] == "DE"


def test_sensors_and_pues_are_factors_too(tmp_path: Path) -> None:
    found = packed(some(tmp_path))["factors"]
    [sensor] = [line for line in found if line["kind"] == "sensor"]
    assert (sensor["device_model"], sensor["interval_95"]["up"]) == ("NVIDIA H100 80GB HBM3", 1.1)
    [pue] = [line for line in found if line["kind"] == "pue"]
    assert (pue["value"], pue["energy_uj"]) == (1.0, 3 * KWH)


def test_equal_facts_give_equal_bytes_and_later_facts_change_none(tmp_path: Path) -> None:
    place = some(tmp_path)
    first = packed(place)
    assert json.dumps(packed(place)) == json.dumps(first)
    add(place, [used(9), said(1, 700)], LEARNT_S + DAY_S)
    then = packed(place, JOB._replace(as_of_s=LEARNT_S + 60))
    assert json.dumps(then) == json.dumps(first)


@pytest.mark.parametrize("sealed", [False, True])
def test_the_heads_are_those_that_verification_finds(tmp_path: Path, sealed: bool) -> None:
    place = some(tmp_path)
    if sealed:
        seal(place, LEARNT_S + 3 * DAY_S)
    found = packed(place)["books"]
    heads = verify(place).heads
    assert {head["writer"]: (head["seq"], head["hash"]) for head in found} == heads


def test_the_head_of_a_time_within_a_sealed_day_is_the_chains_then(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1)])
    add(place, [used(2, hour=1), used(3, hour=2)], LEARNT_S + 60)
    rows = {row.seq: row for row in _rows(place)}
    seal(place, LEARNT_S + 3 * DAY_S)
    [head] = packed(place, JOB._replace(as_of_s=LEARNT_S + 59))["books"]
    assert (head["seq"], head["hash"]) == (2, rows[2].hash.hex())
    assert link(rows[1].hash, rows[2].body) == rows[2].hash


def _rows(place: Path) -> Any:
    store = Store.open(place, readonly=True)
    try:
        return list(store.rows())
    finally:
        store.close()


def test_a_rolled_up_days_pack_still_closes_and_names_its_head(tmp_path: Path) -> None:
    place = some(tmp_path)
    seal(place, LEARNT_S + 3 * DAY_S)
    heads = verify(place).heads
    compact(place, _day(LEARNT_S), Plan("slots", drop=True), now_s=LEARNT_S + 40 * DAY_S)
    found = packed(place)
    assert found["trial_balance"]["energy_uj"]["difference"] == 0
    assert {head["writer"]: (head["seq"], head["hash"]) for head in found["books"]} == heads


def _day(time_s: int) -> str:
    from wattledger.ledger.body import day_of

    return day_of(time_s)


def test_what_is_left_out_has_a_size(tmp_path: Path) -> None:
    facts = [used(1, pue_milli=0), used(1, hour=1, pue_milli=0)._replace(seen_ms=30_000)]
    found = {line["what"]: line for line in packed(books(tmp_path, facts))["exclusions"]}
    building = found["cooling and losses of the building"]
    assert building["size"]["it_energy_uj"] == 2 * KWH
    assert building["size"]["energy_j"] == {"low": pytest.approx(0.07 * 7.2e6), "high": pytest.approx(0.56 * 7.2e6)}
    unseen = found["energy of times in which devices were not seen"]["size"]
    # From noon to 13:01 it was to be seen, and it was for 90 s in which it drew 2 kWh.
    assert unseen["device_seconds"] == 3660 - 90
    assert unseen["energy_j"] == pytest.approx(7.2e6 * (3660 - 90) / 90)
    assert found["market_based of energy without a price"]["size"]["of_the_energy"] == 1.0
    assert "size_not_known" in found["water that it took to make the hardware"]


def test_gaps_are_listed_with_their_facts_and_those_of_other_times_are_not(tmp_path: Path) -> None:
    place = some(tmp_path)
    [hole] = packed(place)["gaps"]["facts"]
    assert (hole["length_ms"], hole["reason"], hole["device"]) == (500, "reset", "GPU-0")
    [fact] = [one for one in known(place) if isinstance(one.fact, GapFact)]
    assert hole["fact"] == fact.id
    assert packed(place, JOB._replace(from_s=NOON_S + H))["gaps"]["facts"] == []


def test_instruments_have_their_serials_and_a_verdict_on_every_criterion(tmp_path: Path) -> None:
    wind = contract("wind", 4000)._replace(registry="AIB", serials="GO-1-GO-4")
    bad = contract("washed", None, failed="tracked_and_retired")
    found = {line["contract"]: line for line in packed(books(tmp_path, [used(1), wind, bad]))["instruments"]}
    assert (found["wind"]["serials"], found["wind"]["may_lower"]) == ("GO-1-GO-4", True)
    assert len(found["wind"]["criteria"]) == 8
    assert found["washed"]["criteria"]["tracked_and_retired"]["verdict"] == "fail"
    assert not found["washed"]["may_lower"]
    assert found["washed"]["disclosed"]


def test_the_versions_that_metered_are_named(tmp_path: Path) -> None:
    began = [RunFact("began", f"agent:{n}", f"h{n}", NOON_S * 1000, version="0.0.9") for n in range(2)]
    found = packed(books(tmp_path, [used(1), *began]))["methods"]
    assert found["metered_by"] == [{"version": "0.0.9", "hosts": 2, "from": "2026-09-21T12:00:00Z", "to": "2026-09-21T12:00:00Z"}]


def test_a_question_that_was_not_pinned_is_refused(tmp_path: Path) -> None:
    with Books([some(tmp_path)]) as opened, pytest.raises(ValueError, match="pin the question"):
        pack(opened, JOB, None, {})


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_whatever_is_asked_it_balances_exactly(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    random = Random(seed)
    jobs = ("a", "b", "", "(idle)", "(unattributed)", "(agent)")
    facts: list[Any] = []
    for _ in range(random.randint(1, 20)):
        more = {"job": random.choice(jobs), "device": f"GPU-{random.randrange(2)}", "zone": random.choice(("DE", "FR", ""))}
        facts.append(used(random.random(), hour=random.randrange(30), length_s=random.choice((60, 5400)), **more))
    facts += [said(random.randrange(30), random.randint(1, 900)) for _ in range(random.randint(0, 6))]
    place = books(tmp_path_factory.mktemp("books"), facts)
    from_s = NOON_S + random.randrange(0, DAY_S, 7)
    for from_s_, to_s in ((None, None), (from_s, from_s + random.randint(1, DAY_S))):
        found = packed(place, Ask(random.choice(KINDS), None, from_s_, to_s, marginal=True))
        assert found["trial_balance"]["energy_uj"]["difference"] == 0
        assert [line["difference"] for line in found["trial_balance"].get("emitted_ug", {}).values()].count(0) == len(
            found["trial_balance"].get("emitted_ug", {})
        )
        [_, checked] = [line for line in found["reconciliation"] if "no others" not in line["what"]][-2:][::-1]
        assert checked["difference_uj"] == 0


def test_a_head_over_rows_that_were_changed_is_not_the_chains(tmp_path: Path) -> None:
    place = books(tmp_path, [used(1)])
    add(place, [used(2, hour=1)], LEARNT_S + 60)
    whole = {row.seq: row for row in _rows(place)}
    [manifest] = seal(place, LEARNT_S + 3 * DAY_S)
    rewrite(manifest.path, "REPLACE(REPLACE(body, '3600000000000', '3600000000009') AS body)")
    [head] = packed(place, JOB._replace(as_of_s=LEARNT_S + 59))["books"]
    assert head["hash"] != whole[2].hash.hex()
