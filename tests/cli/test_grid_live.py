"""``grid now`` and ``grid history`` with a provider, with books, with neither."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.front import Front, is_one_line, own_place
from tests.cli.grid_place import HOUR, books, configure, configure_file, iso, said, this_hour_s
from tests.runtime.answers import answering, serving, told


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


def grid_of(front: Front, *words: str) -> dict[str, Any]:
    found = json.loads(front("grid", "now", *words, "--json").out)
    (grid,) = (factor for factor in found["factors"] if factor["kind"] == "grid")
    return {**grid, "notes": found["notes"]}


def test_now_is_live_where_a_provider_speaks_of_this_hour(front: Front) -> None:
    configure_file([(this_hour_s(), 123.5), (this_hour_s() + HOUR, 123.5)])
    grid = grid_of(front)
    assert (grid["value"], grid["quality"], grid["origin"], grid["zone"]) == (123.5, "live", "file", "DE")
    assert grid["low"] < 123.5 < grid["high"]
    assert grid["age_s"] == 0
    text = front("grid", "now").out
    assert text.startswith("DE  (from wattledger.toml)\n")
    assert "123.5 gCO2e/kWh, 95 % between" in text
    assert "UTC, the user's own" in text
    assert "annual average may be wrong" not in text


def test_now_says_how_old_the_last_known_value_is(front: Front) -> None:
    configure_file([(this_hour_s() - 3 * HOUR, 99)])
    grid = grid_of(front)
    assert (grid["value"], grid["quality"]) == (99.0, "last-known")
    assert 2 * HOUR <= grid["age_s"] < 3 * HOUR + 60
    assert any("nothing newer is known" in note for note in grid["notes"])
    assert "which ended 1" in front("grid", "now").out


def test_now_falls_back_on_the_annual_average_where_the_server_is_down_and_says_why(front: Front) -> None:
    with serving(answering(told(b"no", status="500 Internal Server Error"))) as server:
        configure(f'[grid]\nzone = "GB"\nprovider = "neso"\n[grid.neso]\nurl = "{server.url("")}"\n')
        grid = grid_of(front)
    assert grid["quality"] == "country-annual"
    assert any("HTTP 500" in note for note in grid["notes"])


def test_now_names_the_variable_of_a_key_that_is_not_there(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EIA_API_KEY", raising=False)
    configure('[grid]\nzone = "US-CAMX"\nprovider = "eia"\n')
    said_now = front("grid", "now")
    assert said_now.status == 0
    assert "EIA_API_KEY" in said_now.out


def test_now_asks_nobody_where_the_books_hold_this_hour(front: Front) -> None:
    with serving(answering(told(b"no", status="500 Internal Server Error"))) as server:
        configure(f'[grid]\nzone = "GB"\nprovider = "neso"\n[grid.neso]\nurl = "{server.url("")}"\n')
        books([said(this_hour_s(), 50, zone="GB"), said(this_hour_s() + HOUR, 50, zone="GB")])
        grid = grid_of(front)
        assert server.requests == []
    assert (grid["value"], grid["quality"], grid["origin"]) == (50.0, "live", "neso")


def test_a_zone_that_only_a_provider_knows_stands_on_its_country_behind_it(front: Front) -> None:
    configure_file([(this_hour_s(), 70), (this_hour_s() + HOUR, 70)], zone="DK-DK1")
    assert (grid_of(front)["zone"], grid_of(front)["value"]) == ("DK-DK1", 70.0)
    configure('[grid]\nzone = "DK-DK1"\n')
    configure_file([(this_hour_s() - 50 * HOUR, 70)], zone="DK-DK1")
    assert (grid_of(front)["zone"], grid_of(front)["quality"]) == ("DK", "country-annual")


def test_history_is_what_the_books_hold_the_newest_version_of_each_hour(front: Front) -> None:
    hour_s = this_hour_s()
    books([said(hour_s - 2 * HOUR, 100, estimated=True), said(hour_s - HOUR, 200)], hour_s - HOUR)
    books([said(hour_s - 2 * HOUR, 110)], hour_s)
    found = json.loads(front("grid", "history", "DE", "--json").out)
    assert [(row["start"], row["g_per_kwh"], row["how"]) for row in found["values"]] == [
        (iso(hour_s - 2 * HOUR), 110.0, "measured"), (iso(hour_s - HOUR), 200.0, "measured"),
    ]  # fmt: skip
    assert found["values"][0]["learnt"] == iso(hour_s)
    assert all(len(row["facts"]) == 1 for row in found["values"])
    text = front("grid", "history", "DE").out.splitlines()
    assert len(text) == 3
    assert "110  direct    average  neso              measured, learnt" in text[1]


def test_history_is_asked_of_the_provider_where_the_books_hold_nothing(front: Front) -> None:
    hour_s = this_hour_s()
    configure_file([(hour_s - i * HOUR, 100 + i) for i in range(30)])
    found = json.loads(front("grid", "history", "--json").out)
    assert [row["g_per_kwh"] for row in found["values"]] == [124.0 - i for i in range(25)]
    assert "learnt" not in found["values"][0]
    some = json.loads(front("grid", "history", "--from", iso(hour_s - 3 * HOUR), "--to", iso(hour_s - HOUR), "--json").out)
    assert [row["g_per_kwh"] for row in some["values"]] == [103.0, 102.0]


def test_history_of_which_nothing_is_known_is_one_line(front: Front) -> None:
    nothing = front("grid", "history", "DE")
    assert (nothing.status, nothing.out) == (1, "")
    assert is_one_line(nothing.err)
    assert "[grid] provider" in nothing.err


@pytest.mark.parametrize(
    "words",
    [
        ("history",),
        ("history", ""),
        ("history", "DE", "--from", "yesterday"),
        ("history", "DE", "--from", "2026-11-22", "--to", "2026-11-21"),
        ("best", "--hours", "1", "--within", "2"),
        ("best", "DE", "--hours", "3", "--within", "2"),
        ("best", "DE", "--hours", "0", "--within", "2"),
        ("best", "DE", "--hours", "nan", "--within", "2"),
        ("best", "DE", "--within", "2"),
    ],
)
def test_a_wrong_word_is_one_line_and_exit_status_2(front: Front, words: tuple[str, ...]) -> None:
    found = front("grid", *words)
    assert (found.status, found.out) == (2, "")
    assert is_one_line(found.err)
