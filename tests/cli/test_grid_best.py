"""``grid best``: from a forecast, else from history; which, how sure, what is saved."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.front import Front, is_one_line, own_place
from tests.cli.grid_place import HOUR, books, configure_file, iso, said, this_hour_s

WORK = ("--hours", "1", "--within", "12")


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


def best(front: Front, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(front("grid", "best", *words, "--json").out)
    return found


def test_by_forecast(front: Front) -> None:
    hour_s = this_hour_s()
    configure_file([(hour_s + i * HOUR, 100 if i in (5, 6) else 400) for i in range(14)])
    found = best(front, "DE", *WORK)
    assert (found["from"], found["signal"], found["g_per_kwh"]["value"]) == ("forecast", "average", 100.0)
    assert found["start"] in (iso(hour_s + 5 * HOUR), iso(hour_s + 6 * HOUR))
    assert found["saved_fraction"] == pytest.approx(0.75)
    assert found["g_per_kwh"]["low"] < 100 < found["g_per_kwh"]["high"]
    text = front("grid", "best", "DE", *WORK).out
    assert "and save 75%" in text
    assert "the provider's forecast" in text


def test_by_the_history_of_the_books_where_there_is_no_forecast(front: Front) -> None:
    hour_s = this_hour_s()
    clean = (hour_s + 5 * HOUR) % (24 * HOUR)
    books([said(at_s, 100 if at_s % (24 * HOUR) == clean else 400) for at_s in range(hour_s - 96 * HOUR, hour_s, HOUR)])
    found = best(front, "DE", *WORK)
    assert (found["from"], found["g_per_kwh"]["value"], found["days"]) == ("history", 100.0, found["days_better"])
    assert found["days"] >= 3
    assert "history: the same hours of" in front("grid", "best", "DE", *WORK).out


def test_now_is_an_answer(front: Front) -> None:
    configure_file([(this_hour_s() + i * HOUR, 100) for i in range(14)])
    assert "start now" in front("grid", "best", *WORK).out


def test_marginal_figures_are_used_only_when_asked_for_and_labelled(front: Front) -> None:
    hour_s = this_hour_s()
    configure_file([])
    rows = [f"DE,{iso(hour_s + i * HOUR)},{iso(hour_s + (i + 1) * HOUR)},{500 - 20 * i},direct,marginal\n" for i in range(14)]
    Path("grid.csv").write_text("zone,start,end,g_per_kwh,boundary,signal\n" + "".join(rows))
    refused = front("grid", "best", *WORK)
    assert (refused.status, refused.out) == (1, "")
    assert best(front, "--marginal", *WORK)["signal"] == "marginal"
    assert "marginal: what a shift changes; not for an inventory" in front("grid", "best", "--marginal", *WORK).out


def test_without_forecast_and_history_it_is_one_line(front: Front) -> None:
    found = front("grid", "best", "DE", *WORK)
    assert (found.status, found.out) == (1, "")
    assert is_one_line(found.err)
    assert "neither a forecast nor two days of average history of DE" in found.err
