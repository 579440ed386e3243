"""`wattledger grid`: the zones, one of them, and the factor in force."""

import json
from pathlib import Path

import pytest
from tests.cli.front import Front, is_one_line, own_place


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


def test_zones_lists_every_zone_once(front: Front) -> None:
    zones = json.loads(front("grid", "zones", "--json").out)
    codes = [zone["zone"] for zone in zones]
    assert codes == sorted(set(codes))
    assert {"DE", "FR", "US-CAMX", "WORLD"} <= set(codes)
    assert all(zone["factors"] for zone in zones)
    lines = front("grid", "zones").out.splitlines()
    assert len(lines) == len(codes) + 2
    assert max(len(line) for line in lines) <= 80


@pytest.mark.parametrize(("text", "code"), [("calif", "US-CAMX"), ("german", "DE"), ("us-ca", "US-CAMX"), ("deu", "DE")])
def test_zones_can_be_searched_by_part_of_a_name_or_by_another_code(front: Front, text: str, code: str) -> None:
    found = json.loads(front("grid", "zones", text, "--json").out)
    assert code in [zone["zone"] for zone in found]
    assert len(found) < 10


WRONG = [("zones", "zzzzzz"), ("show", "Germny"), ("now", "--zone", "Germny"), ("show", ""), ("shw", "DE")]


@pytest.mark.parametrize("words", WRONG)
def test_a_wrong_word_is_one_line_and_exit_status_2(front: Front, words: tuple[str, ...]) -> None:
    said = front("grid", *words)
    assert (said.status, said.out) == (2, "")
    assert is_one_line(said.err)
    if "Germny" in words:
        assert "DE (Germany)" in said.err


@pytest.mark.parametrize("name", ["DE", "de", "deu", "Germany"])
def test_show_says_each_factor_with_its_source_age_and_interval(front: Front, name: str) -> None:
    zone = json.loads(front("grid", "show", name, "--json").out)
    assert zone["zone"] == "DE"
    assert {factor["boundary"] for factor in zone["factors"]} >= {"direct", "lifecycle"}
    for factor in zone["factors"]:
        assert factor["low"] < factor["value"] < factor["high"]
        assert factor["origin"]
        assert factor["age_days"] >= 0
    text = front("grid", "show", name).out
    assert all(f"{factor['value']:g} gCO2e/kWh" in text and factor["origin"] in text for factor in zone["factors"])


def test_now_names_the_zone_in_force_and_where_it_came_from(
    front: Front, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "wattledger.toml").write_text('[grid]\nzone = "FR"\n[facility]\npue = 1.2\n')
    assert front("grid", "now").out.splitlines()[0] == "FR  (from wattledger.toml)"
    monkeypatch.setenv("WATTLEDGER_GRID_ZONE", "SE")
    assert front("grid", "now").out.splitlines()[0] == "SE  (from WATTLEDGER_GRID_ZONE)"
    assert front("grid", "now", "--zone", "DE").out.splitlines()[0] == "DE"
    factors = json.loads(front("grid", "now", "--json").out)["factors"]
    assert [(f["kind"], f["value"]) for f in factors if f["kind"] == "pue"] == [("pue", 1.2)]


def test_a_pue_is_never_below_1_not_even_at_its_lower_end(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    found = json.loads(front("grid", "now", "--json").out)
    [pue] = [f for f in found["factors"] if f["kind"] == "pue"]
    assert 1.0 <= pue["low"] < pue["value"] < pue["high"]
    assert "AWS_REGION" in found["notes"][0]


def test_now_without_a_zone_says_loudly_that_the_world_stands_in(front: Front) -> None:
    text = front("grid", "now").out
    assert text.startswith("WORLD")
    assert "NO GRID ZONE IS KNOWN" in text


def test_a_group_without_a_word_shows_its_help(front: Front) -> None:
    said = front("grid")
    assert said.status == 2
    assert said.out.startswith("Usage: wattledger grid")
