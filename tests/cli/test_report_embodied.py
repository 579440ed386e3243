"""``wattledger report embodied``: a trial balance that adds up to the microgram, four methods side by side, an inventory apart."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from tests.accounting.made_machines import HOST, UG, card, event, ran, server
from tests.accounting.made_reports import books
from tests.cli.front import Front, is_one_line, own_place

NOON, LATER = "2026-09-21T12:00:00Z", "2026-09-22T12:00:00Z"


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A server with a GPU, and two jobs; the GPU moves to a second server and is repaired, the first server is retired."""
    life = [
        event("srv", "acquire", -110, 900, owner="us"), event("card", "move", 2, 50, inside="two", mode="road"),
        event("card", "repair", 5, 700), event("srv", "scrap", 20, 3_000, route="recycle"), *server("spare")[:1],
    ]  # fmt: skip
    jobs = [*ran(6), *ran(3, use="held"), *ran(3, job="b"), *ran(1, job="(idle)", use="held")]
    later = ran(9, minutes=range(150, 200), job="b", host="b-1")
    return books(tmp_path, [*server(), *server("two", host="b-1", g=2_000_001), *card(), *life, *jobs, *later])


def report(front: Front, place: Path, *words: str) -> Any:
    got = front("report", "embodied", *words, "--ledger", str(place), "--json")
    assert (got.status, got.err) == (0, "")
    return json.loads(got.out)


MOVED = "2026-09-21T14:00:00Z"  # in the very second that the GPU moved
SPANS = [(), ("--from", NOON, "--to", LATER), ("--from", MOVED), ("--to", MOVED), ("--from", "2026-09-21T13:20:00Z")]


@pytest.mark.parametrize("span", SPANS)
def test_every_kilogram_that_came_in_was_charged_left_or_is_carried(front: Front, place: Path, span: tuple[str, ...]) -> None:
    found = report(front, place, *span)
    assert {row["asset"] for row in found["assets"]} == {"srv", "two", "card", "spare"}
    assert all(row["residual_ug"] == 0 for row in (*found["assets"], found["total"]))
    charged = ("jobs_ug", "idle_ug", "unattributed_ug", "unmetered_ug", "true_up_ug")
    assert sum(found["total"][name] for name in charged) == found["charged_ug"]["reserved"] - sum(
        row["estimate_ug"] for row in found["jobs"]
    )
    assert sum(row["embodied_ug"] for row in found["jobs"]) == found["charged_ug"]["reserved"]


def test_the_whole_story_has_the_passports_kilograms(front: Front, place: Path) -> None:
    total = report(front, place)["total"]
    assert total["opening_ug"] == 0
    assert total["made_ug"] == (1_000_000 + 2_000_001 + 164_000 + 1_000_000) * UG
    assert total["added_ug"] == (900 + 50 + 700 + 3_000) * UG
    assert total["written_off_ug"] > 900_000 * UG  # the first server went early


def test_one_time_follows_the_other(front: Front, place: Path) -> None:
    before, after = (report(front, place, *span)["total"] for span in (("--to", NOON), ("--from", NOON)))
    assert before["closing_ug"] == after["opening_ug"]
    whole = report(front, place)["total"]
    for name in ("jobs_ug", "unmetered_ug", "written_off_ug", "made_ug", "added_ug"):
        assert before[name] + after[name] == whole[name]


def test_in_stock_nothing_is_charged(front: Front, place: Path) -> None:
    found = report(front, place)
    [spare] = [row for row in found["assets"] if row["asset"] == "spare"]
    assert spare["status"] == "stock"
    assert spare["closing_ug"] == spare["made_ug"] == found["in_stock_ug"] == 1_000_000 * UG


def test_one_asset_alone(front: Front, place: Path) -> None:
    whole, alone = report(front, place), report(front, place, "card")
    assert alone["assets"] == [row for row in whole["assets"] if row["asset"] == "card"]
    assert sum(row["embodied_ug"] for row in alone["jobs"]) == alone["charged_ug"]["reserved"]
    assert alone["estimates"] == []


def test_the_methods_stand_side_by_side_and_sum_to_the_same(front: Front, place: Path, tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("job,price\njob-0,2.5\n*,1\n")
    found = report(front, place, "--method", "all", "--prices", str(tmp_path / "prices.csv"))
    methods = ["reserved", "time", "physical", "economic"]
    assert list(found["charged_ug"]) == methods == list(found["means"])
    sums = {method: sum(row["embodied_ug"][method] for row in found["jobs"]) for method in methods}
    assert sums == found["charged_ug"]
    assert len(set(sums.values())) == 1
    mine = {row["job"]: row["embodied_ug"] for row in found["jobs"]}
    assert mine["job-0"]["economic"] > mine["job-0"]["reserved"] > mine["job-0"]["physical"] > mine["job-0"]["time"]
    without = report(front, place, "--method", "all")
    assert list(without["charged_ug"]) == methods[:-1]
    assert any("--prices" in note for note in without["notes"])


def test_the_report_of_jobs_says_the_same_as_the_trial_balance(front: Front, place: Path) -> None:
    span = ("--from", NOON, "--to", LATER)
    charged = {row["job"]: row["embodied_ug"] for row in report(front, place, *span)["jobs"]}
    for method in ("reserved", "physical"):
        charged = {row["job"]: row["embodied_ug"] for row in report(front, place, *span, "--method", method)["jobs"]}
        got = front("report", "job", "--json", "--method", method, *span, "--ledger", str(place))
        found = json.loads(got.out)
        assert found["embodied"]["method"] == method
        for row in found["rows"]:
            assert row["emissions_g"]["embodied"]["value"] == charged[row["job"]] / UG
        assert found["embodied"]["unmetered_g"] == charged["(unmetered)"] / UG


def test_the_inventory_has_whole_kilograms_in_the_year_of_purchase_and_its_own_name(front: Front, place: Path) -> None:
    found = report(front, place, "--view", "inventory")
    assert (found["view"], "never to be added" in found["note"]) == ("inventory", True)
    [year] = found["years"]
    by = {each["scope3_category"]: each["emitted_ug"] for each in year["categories"]}
    assert by == {1: 700 * UG, 2: 4_164_001 * UG, 4: 950 * UG, 5: 3_000 * UG}
    assert {one["asset"]: one["by"] for one in year["assets"] if one["scope3_category"] == 2} == {
        "srv": "acquire", "two": "commission", "card": "make", "spare": "make",
    }  # fmt: skip
    assert "assets" not in found
    assert report(front, place, "--view", "inventory", "--to", "2026-09-01")["total_ug"] == 0


def test_a_machine_counts_in_the_year_it_was_bought_not_made(front: Front, tmp_path: Path) -> None:
    year_h = 365 * 24
    made = event("old", "make", -2 * year_h, 10, kind="server")
    facts = [made, event("old", "acquire", -year_h), event("old", "commission", 0, host=HOST)]
    found = report(front, books(tmp_path, facts), "--view", "inventory")
    assert [year["year"] for year in found["years"]] == ["2025"]


def test_people_read_a_table_that_explains_itself(front: Front, place: Path) -> None:
    out = front("report", "embodied", "--ledger", str(place)).out
    for words in ("residual", "written off", "in stock:", "by reserved time", "(unmetered)", "4,168.651"):
        assert words in out
    assert "true-up" not in out
    assert "capital goods" in front("report", "embodied", "--view", "inventory", "--ledger", str(place)).out
    assert "physical" in front("report", "embodied", "--method", "all", "--ledger", str(place)).out


def test_csv_adds_up(front: Front, place: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(front("report", "embodied", "--csv", "--ledger", str(place)).out)))
    assert sum(int(row["made_ug"]) for row in rows) == 4_164_001 * UG
    assert {row["residual_ug"] for row in rows} == {"0"}
    every = list(csv.DictReader(io.StringIO(front("report", "embodied", "--method", "all", "--csv", "--ledger", str(place)).out)))
    assert sum(int(row["reserved_ug"]) for row in every) == sum(int(row["time_ug"]) for row in every)
    bought = csv.DictReader(io.StringIO(front("report", "embodied", "--view", "inventory", "--csv", "--ledger", str(place)).out))
    assert sum(int(row["emitted_ug"]) for row in bought) == (4_164_001 + 4_650) * UG


def test_books_without_machines_say_so_and_estimate(front: Front, tmp_path: Path) -> None:
    place = books(tmp_path, ran(10))
    found = report(front, place)
    assert (found["assets"], found["total"]["residual_ug"]) == ([], 0)
    [guess] = found["estimates"]
    assert guess["low_kg"] <= guess["kg"] <= guess["high_kg"]
    assert "no passports" in front("report", "embodied", "--ledger", str(place)).out


def test_the_configuration_leaves_it_out_and_sets_lives(front: Front, tmp_path: Path) -> None:
    place = books(tmp_path, ran(10))
    (tmp_path / "w.toml").write_text("[embodied]\nenabled = false\n")
    words = ("--ledger", str(place), "--config", str(tmp_path / "w.toml"))
    assert "embodied" not in json.loads(front("report", "job", "--json", *words).out)["total"]["emissions_g"]
    (tmp_path / "w.toml").write_text("[embodied]\ngpu_life_y = 2\n")
    two = json.loads(front("report", "job", "--json", *words).out)["total"]["emissions_g"]["embodied"]["value"]
    four = json.loads(front("report", "job", "--json", *words[:2]).out)["total"]["emissions_g"]["embodied"]["value"]
    assert two == pytest.approx(2 * four)
    (tmp_path / "w.toml").write_text("[embodied]\nhost_life_y = 0\n")
    got = front("report", "job", *words)
    assert (got.status, is_one_line(got.err), "service life" in got.err) == (2, True, True)


def test_what_it_took_to_make_a_machine_that_nobody_knows_is_not_zero(front: Front, tmp_path: Path) -> None:
    place = books(tmp_path, [event("x", "make", -9, kind="server"), event("x", "commission", -8, host=HOST)])
    found = report(front, place)
    assert found["assets"][0]["made"] == "not known"
    assert any("not known what it took" in note for note in found["notes"])


WRONG = {
    ("crad",): "no asset 'crad' in the books; did you mean 'card'?",
    ("crad", "--view", "inventory"): "did you mean 'card'?",
    ("--method", "economic"): "needs prices",
    ("--prices", "nowhere.csv"): "--prices nowhere.csv",
    ("--method", "fair"): "'fair'",
    ("--view", "both"): "'both'",
    ("--json", "--csv"): "not both",
    ("--from", LATER, "--to", NOON): "--from must be before --to",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_words_are_one_line(front: Front, place: Path, words: tuple[str, ...]) -> None:
    got = front("report", "embodied", *words, "--ledger", str(place))
    assert (got.status, got.out) == (2, "")
    assert is_one_line(got.err)
    assert WRONG[words] in got.err


PRICES = {
    "job-0;3\n": "expected JOB,PRICE",
    "job-0,-1\n": "a price is a number from 0 on",
    "job-0,1\njob-0,2\n": "two prices",
    "b,1\n": "no price for job 'job-0'",
    "": "there is no price",
}


@pytest.mark.parametrize("text", PRICES)
def test_wrong_prices_are_one_line(front: Front, place: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    for words in (("embodied", "--method", "economic"), ("job", "--method", "economic")):
        got = front("report", *words, "--prices", str(tmp_path / "p.csv"), "--ledger", str(place))
        assert (got.status, got.out, is_one_line(got.err)) == (2, "", True)
        assert PRICES[text] in got.err


def test_equal_facts_give_equal_bytes(front: Front, place: Path) -> None:
    for words in (["--json"], ["--csv"], [], ["--view", "inventory", "--json"]):
        assert len({front("report", "embodied", *words, "--ledger", str(place)).out for _ in range(2)}) == 1
