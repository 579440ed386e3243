"""``wattledger report``: a table for people, JSON and CSV for programs, one line for what is wrong; and each joule once."""

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.accounting.made_reports import KWH, H, add, books, said, used
from tests.cli.front import Front, Said, is_one_line, own_place
from tests.ledger.made import NOON_S, work
from tests.runtime.programs import command, rigged, run, wattledger

PY = sys.executable


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two jobs in two hours, of which one has a price."""
    facts = [used(2), used(1, hour=1), used(0.5, job="other-job", method="estimated"), said(0, 100), work()]
    return books(tmp_path, facts)


def report(front: Front, place: Path, *words: str) -> Any:
    got = front("report", *words, "--ledger", str(place), "--json")
    assert (got.status, got.err) == (0, "")
    return json.loads(got.out)


def test_the_table_is_narrow_and_says_what_its_columns_are(front: Front, tmp_path: Path) -> None:
    long = "pretrain-a-very-large-model-on-many-nodes-00"
    names = [f"{long}17", f"{long}18", "日本語のジョブ", "x"]
    got = front("report", "job", "--ledger", str(books(tmp_path, [used(n + 1, job=name) for n, name in enumerate(names)])))
    head, *rows = got.out.splitlines()[:6]
    assert head.split() == ["job", "energy", "95", "%", "sensed", "location", "95", "%", "inventory", "embodied"]
    assert max(len(line) for line in (head, *rows)) <= 104
    short = "pretrain-a-ver...many-nodes-00"
    assert [row.split()[0] for row in rows] == ["x", names[2], f"{short}18", f"{short}17", "all"]
    for word in ("95 %:", "sensed:", "location at the price of the hour", "inventory at the year's", "?: not known"):
        assert word in got.out
    assert "market-based: not known: no contracts" in got.out


def test_a_name_commands_no_terminal(front: Front, tmp_path: Path) -> None:
    place = books(tmp_path, [used(1, job="\x1b[2Jgone\n\x07")])
    for words in (("job",), ("job", "\x1b[2Jgone\n\x07")):
        out = front("report", *words, "--ledger", str(place)).out
        assert all(sign.isprintable() or sign == "\n" for sign in out)


def test_one_job_is_told_in_full(front: Front, place: Path) -> None:
    got = front("report", "job", "job-0", "--by", "hour", "--ledger", str(place))
    assert got.out.splitlines()[0] == "job job-0"
    for words in (
        "3 kWh",
        "100% by sensors",
        "at the price of the hour",
        "inventory",
        "settled",
        "64 generated tokens",
        "1 host, 1 run",
    ):
        assert words in got.out
    assert [line.split()[0] for line in got.out.splitlines() if "Z  " in line] == ["2026-09-21T12:00:00Z", "2026-09-21T13:00:00Z"]


def test_json_says_its_schema_and_what_is_not_known(front: Front, place: Path) -> None:
    found = report(front, place, "job")
    assert (found["schema"], found["kind"]) == ("wattledger.report/1", "job")
    assert [row["job"] for row in found["rows"]] == ["job-0", "other-job"]
    assert found["not_known"].keys() == {"market_based", "upstream", "water_onsite"}
    assert found["total"]["energy_uj"] == round(3.5 * KWH)


@pytest.mark.parametrize("by", [(), ("--by", "hour")])
def test_csv_has_the_units_in_its_names_and_adds_up(front: Front, place: Path, by: tuple[str, ...]) -> None:
    got = front("report", "job", "--csv", *by, "--ledger", str(place))
    rows = list(csv.DictReader(io.StringIO(got.out)))
    assert sum(float(row["energy_j"]) for row in rows) == pytest.approx(3.5 * 3.6e6)
    assert {row["market_based_g"] for row in rows} == {""}
    assert len(rows) == (3 if by else 2)
    assert ("start" in rows[0]) == bool(by)


def test_the_span_the_zone_and_the_instant_are_words(front: Front, tmp_path: Path) -> None:
    place = books(tmp_path, [used(2, zone=""), used(1, hour=24, zone="")], NOON_S + 30 * H)
    found = report(front, place, "job", "--from", "2026-09-22", "--to", "2026-09-23T00:00:00+00:00", "--zone", "FR")
    assert (found["from"], found["to"], found["total"]["energy_uj"]) == ("2026-09-22T00:00:00Z", "2026-09-23T00:00:00Z", KWH)
    assert found["total"]["emissions_g"]["location_based"]["value"] == 50.0
    assert report(front, place, "job", "--as-of", "2026-09-22")["rows"] == []
    assert report(front, place, "day", "2026-09-22")["rows"][0]["energy_uj"] == KWH


def test_the_settings_price_too(front: Front, tmp_path: Path) -> None:
    place = books(tmp_path, [used(2), said(0, 100, provider="neso"), said(0, 700)])
    grid = '[grid]\nzone = "DK-DK1"\nprovider = "neso"\n'
    (tmp_path / "w.toml").write_text(f'{grid}[tariff]\nhours = "0-24:0.25"\ntimezone = "UTC"\n')
    found = report(front, place, "job", "--config", str(tmp_path / "w.toml"))
    assert found["total"]["emissions_g"]["location_based"]["value"] == 200
    assert found["total"]["cost"] == {"value": 0.5, "currency": "EUR"}
    assert "EUR" in front("report", "job", "--ledger", str(place), "--config", str(tmp_path / "w.toml")).out.splitlines()[0]


def test_marginal_has_a_column_and_is_labelled(front: Front, tmp_path: Path) -> None:
    place = books(tmp_path, [used(1), said(0, 100), said(0, 700, signal="marginal")])
    out = front("report", "job", "--marginal", "--ledger", str(place)).out
    assert "marginal" in out.splitlines()[0]
    assert "not for inventories" in out
    assert "not for inventories" in front("report", "job", "job-0", "--marginal", "--ledger", str(place)).out
    assert "marginal" not in front("report", "job", "--ledger", str(place)).out


def test_the_same_question_gives_the_same_bytes(front: Front, place: Path) -> None:
    for words in (["--json"], ["--csv"], []):
        assert len({front("report", "job", *words, "--ledger", str(place)).out for _ in range(3)}) == 1


def test_books_are_found_where_they_are_kept_and_more_may_be_named(front: Front, tmp_path: Path) -> None:
    add(tmp_path / ".local/state/wattledger/ledger", [used(1)], NOON_S + H)
    other = books(tmp_path, [used(2, host="b")])
    assert json.loads(front("report", "job", "--json").out)["total"]["energy_uj"] == KWH
    both = front("report", "job", "--json", "--ledger", ".local/state/wattledger/ledger", "--ledger", str(other))
    assert json.loads(both.out)["rows"][0]["hosts"] == 2


def test_empty_books_are_one_clear_line(front: Front, tmp_path: Path) -> None:
    add(tmp_path / "empty", [], NOON_S)
    got = front("report", "job", "--ledger", "empty")
    assert (got.status, got.out.splitlines()[0]) == (0, "nothing is booked for any job")


WRONG = {
    ("job", "job-9"): "no job 'job-9' in the books; did you mean 'job-0'?",
    ("jobs",): "nothing is reported by 'jobs'",
    ("day", "monday"): "expected a UTC date",
    ("job", "--from", "yesterday"): "--from 'yesterday': expected a date",
    ("job", "--from", "2026-09-22", "--to", "2026-09-21"): "--from must be before --to",
    ("job", "--zone", "XX-NOWHERE"): "--zone",
    ("job", "--json", "--csv"): "not both",
    ("job", "--ledger", "nowhere"): "nowhere: there are no books",
    ("job", "--ledger", "nope://lake"): "nope",
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_words_are_one_line(front: Front, place: Path, words: tuple[str, ...]) -> None:
    got: Said = front("report", *words, *([] if "--ledger" in words else ["--ledger", str(place)]))
    assert (got.status, got.out) == (2, "")
    assert is_one_line(got.err)
    assert WRONG[words] in got.err


def test_no_books_at_all_are_one_line(front: Front) -> None:
    got = front("report", "job")
    assert got.status == 2
    assert is_one_line(got.err)
    assert "no books are kept here yet" in got.err


def test_without_duckdb_it_is_one_line_that_says_what_to_install(tmp_path: Path, place: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "duckdb.py").write_text("raise ImportError('no duckdb here')")
    env = rigged(tmp_path)
    got = wattledger({**env, "PYTHONPATH": f"{tmp_path / 'site'}:{env['PYTHONPATH']}"}, "report", "job", "--ledger", str(place))
    assert (got.status, got.out) == (2, "")
    assert is_one_line(got.err)
    assert "pip install 'wattledger[books]'" in got.err


# --- for real: programs that meter themselves, metered from outside ------------------------------------------------------------

TRACKED = """
import sys, time
from wattledger import track
with track(job=sys.argv[1]):
    b = time.process_time()
    while time.process_time() - b < 0.3: pass
time.sleep(0.2)
"""
INNER = [PY, "-c", TRACKED, "inner"]


def joules(found: Any) -> float:
    return float(found["energy_j"]["value"])


def reported(env: dict[str, str], tmp_path: Path) -> Any:
    return wattledger(env, "report", "job", "--json", "--ledger", str(tmp_path / "XDG_STATE_HOME/wattledger/ledger")).value


@pytest.mark.parametrize("inner", [INNER, command("run", "--job", "between", "--", *INNER)])
def test_a_program_that_meters_itself_inside_a_metered_one_counts_once(tmp_path: Path, inner: list[str]) -> None:
    env = rigged(tmp_path)
    footprint = wattledger(env, "run", "--json", "--job", "outer", "--", *inner).value
    found = reported(env, tmp_path)
    assert joules(found["total"]) == pytest.approx(joules(footprint), rel=1e-6)
    assert [row["job"] for row in found["rows"]] == ["outer"]
    assert any("that one's word is counted" in note for note in found["notes"])


def test_two_programs_side_by_side_that_meter_themselves_both_count(tmp_path: Path) -> None:
    env = rigged(tmp_path)
    run(["sh", "-c", f'{PY} -c "$0" a & {PY} -c "$0" b; wait', TRACKED], env)
    found = reported(env, tmp_path)
    assert [row["job"] for row in found["rows"]] == ["a", "b"]
    assert all(joules(row) > 0 for row in found["rows"])
    assert found["total"]["energy_uj"] == sum(row["energy_uj"] for row in found["rows"])
