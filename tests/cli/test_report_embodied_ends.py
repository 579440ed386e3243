"""Where ``report embodied`` begins and ends unless it is told, how it weighs, and what it says of estimates beside passports."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.accounting.made_machines import GPU, HOST, at, card, event, ran, server
from tests.accounting.made_reports import books
from tests.cli.front import Front, own_place

from wattledger.core.facts import Correction
from wattledger.ledger.store import Store


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


def said(front: Front, *words: str) -> Any:
    got = front(*words, "--json")
    assert got.status == 0, got.err
    return json.loads(got.out)


def grams_of(found: Any) -> dict[str, float]:
    """By job, as the report of jobs says it."""
    return {row["job"]: row["emissions_g"]["embodied"]["value"] for row in found["rows"] if "embodied" in row["emissions_g"]}


RUNS = {
    "two seconds before the last fact": [*server(), *card(), *ran(5, minutes=[0], seen_ms=2000)],
    "before the passport": [*server(hours=2), *card(hours=2), *ran(5, minutes=range(90), device="GPU-9")],
    "a card moved in between": [*server(), *server("two", host="b-1"), *card(), event("card", "move", 0.4, 7, inside="two"),
                                *ran(5), *ran(2, job="b", use="held"), *ran(4, minutes=range(30, 70), host="b-1", job="b")],
}  # fmt: skip


@pytest.mark.parametrize("case", RUNS)
def test_the_report_of_jobs_and_the_trial_balance_agree_to_the_microgram(front: Front, tmp_path: Path, case: str) -> None:
    # Written down two seconds after noon: the window that holds the run ends later.
    place = str(books(tmp_path, RUNS[case], at(0) + 2))
    jobs, balance = said(front, "report", "job", "--ledger", place), said(front, "report", "embodied", "--ledger", place)
    charged = {row["job"]: row["embodied_ug"] / 1e6 for row in balance["jobs"] if row["job"] != "(unmetered)"}
    assert grams_of(jobs) == charged
    assert jobs["total"]["emissions_g"]["embodied"]["value"] == pytest.approx(sum(charged.values()), abs=1e-9)
    total = balance["total"]
    passports = sum(total[f"{name}_ug"] for name in ("jobs", "idle", "unattributed"))
    estimates = sum(row["estimate_ug"] for row in balance["jobs"])
    assert passports + estimates == round(sum(charged.values()) * 1e6)


def test_machines_are_weighed_in_kilograms_and_tonnes(front: Front, tmp_path: Path) -> None:
    place = books(tmp_path, [*server(g=400_000_000_000), *ran(9)])
    text = front("report", "embodied", "--ledger", str(place)).out
    assert "Mg" not in text
    assert " t " in text
    assert "400,000,000.000" in text
    assert " Mg" not in front("report", "embodied", "--view", "inventory", "--ledger", str(place)).out


BESIDE = "stand beside the passport of srv"


def test_a_card_that_its_machines_footprint_includes_is_not_estimated_as_well(front: Front, tmp_path: Path) -> None:
    alone = said(front, "report", "embodied", "--ledger", str(books(tmp_path, [*server(), *ran(9)])))
    assert [one["for"] for one in alone["estimates"]] == [GPU]
    assert any(BESIDE in note for note in alone["notes"])
    whole = said(front, "report", "embodied", "--ledger", str(books(tmp_path, [*server(includes="accelerators"), *ran(9)])))
    assert (whole["estimates"], [note for note in whole["notes"] if BESIDE in note]) == ([], [])


def test_a_card_that_is_metered_where_no_passport_has_it_is_named(front: Front, tmp_path: Path) -> None:
    place = books(tmp_path, [*server(host="gpu-7.example"), *card(), *ran(9)])
    found = said(front, "report", "embodied", "--ledger", str(place))
    wanted = f"embodied: an accelerator was metered on {HOST}, where no passport has it in service: nobody is charged"
    assert any(note.startswith(wanted) for note in found["notes"])


def test_a_corrected_footprint_prices_the_past_anew_and_not_what_was_said_of_it_then(front: Front, tmp_path: Path) -> None:
    place = books(tmp_path, [*server(), *card(), *ran(9)], at(2))
    then = ("--as-of", "2026-09-21T15:00:00Z", "--ledger", str(place))
    before = said(front, "report", "embodied", *then)
    store = Store.open(place)
    [made] = [one.id for one in store.known({"asset"}) if one.fact == card()[0]]
    store.append([Correction(made, "the vendor's new figure", card(g=328_000)[0])], at(20))
    store.close()
    assert said(front, "report", "embodied", *then) == before
    after = {row["asset"]: row for row in said(front, "report", "embodied", "--ledger", str(place))["assets"]}
    was = {row["asset"]: row for row in before["assets"]}
    assert after["card"]["jobs_ug"] == pytest.approx(2 * was["card"]["jobs_ug"], abs=2)
    assert after["srv"]["jobs_ug"] == was["srv"]["jobs_ug"]
    told = front("explain", "asset:card", *then)
    assert "164 kg CO2e" in told.out, told.err
