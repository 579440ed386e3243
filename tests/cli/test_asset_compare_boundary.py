"""``wattledger asset compare``: which boundary the grid's grams have, and what the other one would answer."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.front import Front, is_one_line, own_place

SWEDEN = ("old", "--joules-per-unit", "0.4", "--work-per-day", "6e7", "--zone", "SE")  # direct 8 g, life-cycle 36 g per kWh
TURNS = ("--replace", "kg=164,years=4,efficiency=3")


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


def compared(front: Front, *words: str) -> Any:
    got = front("asset", "compare", *words, "--json")
    assert (got.status, got.err) == (0, "")
    return json.loads(got.out)


def test_the_grid_is_counted_from_the_cradle_as_machines_are(front: Front) -> None:
    found = compared(front, *SWEDEN, *TURNS)
    [grid] = [one for one in found["assumptions"] if one["name"] == "grid intensity"]
    assert found["grid_boundary"] == "lifecycle"
    assert grid["value"] == pytest.approx(35.89)
    assert "life-cycle" in grid["source"]
    direct = compared(front, *SWEDEN, *TURNS, "--boundary", "direct")
    assert (direct["grid_boundary"], direct["versus"][0]["other_boundary"]["boundary"]) == ("direct", "lifecycle")


def test_where_the_other_boundary_turns_the_answer_the_verdict_is_not_sure(front: Front) -> None:
    found = compared(front, *SWEDEN, *TURNS)
    other = found["versus"][0]["other_boundary"]
    direct = compared(front, *SWEDEN, *TURNS, "--boundary", "direct")["versus"][0]
    assert other["turns"]
    assert other["difference_kg"] == pytest.approx(direct["difference_kg"]["value"])
    assert found["versus"][0]["difference_kg"]["value"] < 0 < other["difference_kg"]
    for words in (found["verdict"][0], direct["option"]):
        assert "certainly" not in words
    assert found["verdict"][0].endswith("by the direct one keep does: the boundary decides")
    out = front("asset", "compare", *SWEDEN, *TURNS).out
    assert "boundary     by the zone's direct factor, 8 gCO2e/kWh: " in out
    assert "it turns the answer" in out
    exact = ("--replace", "kg=164..164.1..164.2,years=4,efficiency=2.9..3..3.1")
    assert "does not turn it; the grid factor's boundary does" in front("asset", "compare", *SWEDEN, *exact).out


def test_a_zone_with_one_factor_says_which_stands_in_and_a_number_has_no_boundary(front: Front) -> None:
    words = ("old", "--joules-per-unit", "0.4", "--work-per-day", "6e7", "--zone", "US-CAMX", *TURNS)
    found = compared(front, *words)
    assert found["grid_boundary"] == "direct"
    assert any("no life-cycle factor at hand; the direct one stands in" in note for note in found["notes"])
    assert "other_boundary" not in found["versus"][0]
    assert "grid_boundary" not in compared(front, *words, "--intensity", "50")
    got = front("asset", "compare", *words, "--intensity", "50", "--boundary", "direct")
    assert (got.status, is_one_line(got.err)) == (2, True)
    assert "not both" in got.err
