"""`wattledger ledger seal`: closed days, said in a line each, signed and shared as the settings say."""

import json
from pathlib import Path

import pytest
from tests.cli.front import Front, is_one_line, own_place
from tests.cli.ledger_place import some_books
from tests.ledger.keys import KNOWN_PUBLIC, key_file

from wattledger.ledger import lake
from wattledger.ledger.manifest import manifests


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    some_books(tmp_path / "books", sealed=False)
    return Front(capsys)


def test_closed_days_are_sealed_and_said_once(front: Front) -> None:
    said = front("ledger", "seal", "--ledger", "books")
    assert (said.status, said.err) == (0, "")
    lines = said.out.splitlines()
    assert len(lines) == 2
    assert ": 3 facts, " in lines[0]
    assert front("ledger", "seal", "--ledger", "books").out.startswith("nothing to seal: a day is sealed when it is over")


def test_json_says_the_segments(front: Front) -> None:
    found = json.loads(front("ledger", "seal", "--ledger", "books", "--json").out)
    assert [row["root"] for row in found["sealed"]] == [m.segment.root for m in manifests(Path("books"))]
    assert found["shared"] is None


def test_what_is_sealed_is_shared_and_a_stopped_upload_is_ended(front: Front) -> None:
    Path("lake").write_text("in the way")
    said = front("ledger", "seal", "--ledger", "books", "--to", "lake")
    assert said.status == 2
    assert is_one_line(said.err)
    assert len(manifests(Path("books"))) == 2
    Path("lake").unlink()
    said = front("ledger", "seal", "--ledger", "books", "--to", "lake")
    assert said.out.endswith("2 segments shared with lake\n")
    assert len(lake.fetch_manifests("lake")) == 2
    assert json.loads(front("ledger", "seal", "--ledger", "books", "--to", "lake", "--json").out) == {"sealed": [], "shared": 0}


def test_the_settings_name_the_lake_and_the_key(front: Front, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WATTLEDGER_LEDGER_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("WATTLEDGER_LEDGER_SIGN_KEY_FILE", str(key_file(tmp_path)))
    said = front("ledger", "seal", "--ledger", "books")
    assert said.out.splitlines()[0].endswith("…, signed")
    assert {one.key for one in lake.fetch_manifests(tmp_path / "lake")} == {KNOWN_PUBLIC}


def test_a_folder_without_books_is_one_line(front: Front) -> None:
    said = front("ledger", "seal", "--ledger", "nowhere")
    assert said.status == 2
    assert is_one_line(said.err)
    assert "no books are kept here" in said.err
    assert not Path("nowhere").exists()
