"""``wattledger report sci``: scores for people and programs, and one line for what is refused."""

import csv
import io
import json
from pathlib import Path

import pytest
from tests.accounting.made_reports import books, said, used
from tests.cli.front import Front, is_one_line, own_place
from tests.ledger.made import NOON_S, key

from wattledger.core.facts import WorkFact

OPERATIONAL = ("--per", "token", "--no-embodied")


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A job that generated 200 tokens of 1,000 with 2 kWh at PUE 1.2, and one without tokens."""
    worked = key(device="", component="", device_model="", method="", use="")
    done = WorkFact(worked, NOON_S, 60, 800, 900, 200, 3)
    return books(tmp_path, [used(2, pue_milli=1200), used(1, job="other"), done, said(0, 100)])


def test_people_read_the_formula_input_by_input(front: Front, place: Path) -> None:
    got = front("report", "sci", "job", "job-0", *OPERATIONAL, "--ledger", str(place))
    assert (got.status, got.err) == (0, "")
    head, score, energy, grid, product, made, units, *notes = got.out.splitlines()
    assert head == "SCI of job job-0, per token (consumer)"
    assert score.split()[:3] == ["score", "240", "mg"]
    assert energy.split()[:4] == ["E", "energy", "2.4", "kWh"]
    assert energy.endswith("2 kWh of IT energy, PUE 1.2")
    assert grid.split()[:3] == ["I", "grid", "100"]
    assert "location-based average" in grid
    assert product.split()[:5] == ["E", "x", "I", "240", "g"]
    assert "left out, as asked" in made
    assert units.split()[:4] == ["R", "tokens", "1000,", "gross"]
    assert any("not an SCI score" in note for note in notes)


def test_json_says_its_schema_and_every_input(front: Front, place: Path) -> None:
    found = json.loads(front("report", "sci", *OPERATIONAL, "--ledger", str(place), "--json").out)
    assert (found["schema"], found["formula"], found["boundary"]) == ("wattledger.sci/1", "SCI = ((E x I) + M) per R", "consumer")
    first, second = found["rows"]
    assert first["sci_g"]["value"] == pytest.approx(0.24)
    assert first["inputs"].keys() == {
        "energy_kwh", "it_energy_kwh", "pue", "intensity_g_per_kwh", "operational_g", "embodied_left_out", "functional_unit",
    }  # fmt: skip
    assert "sci_g" not in second
    assert "there were no tokens" in second["why"]


def test_csv_has_units_in_its_names_and_is_empty_where_nothing_is_known(front: Front, place: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(front("report", "sci", *OPERATIONAL, "--ledger", str(place), "--csv").out)))
    assert float(rows[0]["sci_g"]) == pytest.approx(0.24)
    assert float(rows[0]["sci_low_g"]) < 0.24 < float(rows[0]["sci_high_g"])
    assert (rows[0]["energy_kwh"][:3], rows[0]["embodied_g"], rows[0]["counted"]) == ("2.4", "", "gross")
    assert (rows[1]["job"], rows[1]["sci_g"]) == ("other", "")
    assert "no tokens" in rows[1]["why"]


def test_a_models_score_per_request(front: Front, place: Path) -> None:
    found = json.loads(
        front("report", "sci", "model", "m", "--per", "request", "--no-embodied", "--ledger", str(place), "--json").out
    )
    assert found["rows"][0]["inputs"]["functional_unit"]["count"] == 3


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--per", "tokn"), "did you mean 'token'"),
        (("--per", "1000-tokn"), "did you mean 'token'"),
        (("jb", "--per", "token"), "did you mean 'job'"),
        (("--per", "token", "--intensity", "market"), "ISO/IEC 21031"),
        (("--per", "token", "--intensity", "market-based"), "excluded"),
        (("--per", "token", "--intensity", "residual"), "average or marginal"),
        (("--per", "epoch"), "--count N"),
        (("--per", "flop", "--count", "1e15", "--no-embodied"), "name it"),
        (("--per", "token", "--effective"), "gross"),
        (("--per", "token", "--json", "--csv"), "not both"),
        (("job", "jb-0", "--per", "token", "--no-embodied"), "did you mean 'job-0'"),
        ((), "--per"),
    ],
)
def test_what_is_refused_is_one_line_and_exit_status_2(front: Front, place: Path, words: tuple[str, ...], why: str) -> None:
    got = front("report", "sci", *words, "--ledger", str(place))
    assert (got.status, got.out) == (2, "")
    assert is_one_line(got.err)
    assert why in got.err


def test_a_name_commands_no_terminal(front: Front, tmp_path: Path) -> None:
    out = front("report", "sci", *OPERATIONAL, "--ledger", str(books(tmp_path, [used(1, job="\x1b[2Jgone\n\x07")]))).out
    assert all(sign.isprintable() or sign == "\n" for sign in out)


def test_the_report_command_names_the_scores_and_their_help_has_an_example(front: Front) -> None:
    assert "report sci --help" in " ".join(front("report", "--help").out.split())
    assert "wattledger report sci model" in " ".join(front("report", "sci", "--help").out.split())
    assert "did you mean 'sci'" in front("report", "scii").err
