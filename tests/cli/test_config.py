"""`wattledger config`: what is in force and from where, whether it is right, and a file to start from."""

import json
import tomllib
from pathlib import Path

import pytest
from tests.cli.front import Front, is_one_line, own_place

from wattledger.runtime.config import all_keys


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


def test_the_default_file_is_accepted_and_changes_nothing(front: Front, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(front("config", "default").out)
    said = front("config", "check", "--config", "mine.toml")
    assert (said.status, said.out, said.err) == (0, "right: all defaults\n", "")


def test_every_line_of_the_default_file_can_be_put_into_force(front: Front, tmp_path: Path) -> None:
    lines = front("config", "default").out.splitlines()
    live = [line.removeprefix("# ") if " = " in line else line for line in lines]
    (tmp_path / "mine.toml").write_text("\n".join(live))
    assert front("config", "check", "--config", "mine.toml").status == 0
    rows = json.loads(front("config", "show", "--json", "--config", "mine.toml").out)
    assert {name: row["value"] for name, row in rows.items()} == {name: key.default for name, key in all_keys()}
    assert {row["origin"] for row in rows.values()} == {"mine.toml"}


def test_the_default_file_explains_every_setting(front: Front) -> None:
    text = front("config", "default").out
    assert all(f"## {key.help}" in text for _, key in all_keys())
    assert tomllib.loads(text).keys() == {name.split(".")[0] for name, _ in all_keys()}


def test_show_says_where_each_value_came_from(front: Front, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "wattledger.toml").write_text('[grid]\nzone = "FR"\n[facility]\npue = 1.2\n')
    monkeypatch.setenv("WATTLEDGER_GRID_ZONE", "SE")
    rows = json.loads(front("config", "show", "--json").out)
    assert rows["grid.zone"] == {"value": "SE", "origin": "WATTLEDGER_GRID_ZONE"}
    assert rows["facility.pue"] == {"value": 1.2, "origin": "wattledger.toml"}
    assert rows["paths.sysfs"] == {"value": "/sys", "origin": "default"}
    text = {line.split()[0]: line.split()[1:] for line in front("config", "show").out.splitlines()}
    assert text["grid.zone"] == ['"SE"', "WATTLEDGER_GRID_ZONE"]
    assert text.keys() == rows.keys()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ('[grid]\nzon = "DE"', "grid.zone"),
        ('[grid]\nzone = "Germny"', "DE (Germany)"),
        ("[facility]\npue = 0.5", "pue"),
        ('[facility]\npue = "high"', "facility.pue"),
        ("[agent]\ninterval_s = -1", "agent.interval_s"),
        ("[grid", "TOML"),
    ],
)
def test_a_wrong_file_is_one_line_with_the_right_name_and_exit_status_2(
    front: Front, tmp_path: Path, content: str, named: str
) -> None:
    (tmp_path / "wattledger.toml").write_text(content)
    said = front("config", "check")
    assert (said.status, said.out) == (2, "")
    assert is_one_line(said.err)
    assert named in said.err
    said = front("config", "check", "--json")
    answer = json.loads(said.out)
    assert (said.status, answer["ok"], said.err) == (2, False, "")
    assert named in answer["error"]


def test_a_file_that_is_not_there_is_one_line(front: Front) -> None:
    for word in ("show", "check"):
        said = front("config", word, "--config", "nowhere.toml")
        assert (said.status, said.out) == (2, "")
        assert is_one_line(said.err)


def test_a_stray_variable_is_a_warning_and_not_an_error(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTLEDGER_GRID_ZONEE", "x")
    said = front("config", "check")
    assert said.status == 0
    assert is_one_line(said.err)
    assert "WATTLEDGER_GRID_ZONE" in said.err
    assert json.loads(front("config", "check", "--json").out)["warnings"]


def test_an_unknown_word_names_the_nearest(front: Front) -> None:
    said = front("config", "shw")
    assert (said.status, said.out) == (2, "")
    assert "'show'" in said.err
