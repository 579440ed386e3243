"""`wattledger ledger verify`: 0 all is right, 1 something is not, 2 there is nothing to check."""

import json
from pathlib import Path

import pytest
from tests.cli.front import Front, is_one_line, own_place
from tests.cli.ledger_place import some_books
from tests.ledger.keys import KNOWN_PUBLIC, key_file

from wattledger.ledger.manifest import manifests


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    some_books(tmp_path / "books")
    return Front(capsys)


def test_right_books_are_one_line_and_status_0(front: Front) -> None:
    said = front("ledger", "verify", "--ledger", "books")
    assert said == (0, "books: right: 6 facts hold, 2 sealed days, 0 facts open\n", "")


def test_wrong_books_are_status_1_and_say_what_is_good(front: Front) -> None:
    manifest = manifests(Path("books"))[0]
    manifest.path.unlink()
    said = front("ledger", "verify", "--ledger", "books")
    assert said.status == 1
    assert said.out.splitlines()[0].startswith(f"{manifest.path}: fact 1: the file is gone: facts 1 to 3 of ")
    assert said.out.splitlines()[1] == "books: NOT RIGHT: 3 facts hold, 1 sealed day, 0 facts open"
    said = front("ledger", "verify", "--ledger", "books", "--json")
    assert said.status == 1
    [report] = json.loads(said.out)
    assert (report["clean"], report["facts"], report["problems"][0]["seq"]) == (False, 3, 1)


def test_several_books_are_checked_together(front: Front) -> None:
    some_books(Path("more"), sealed=False)
    reports = json.loads(front("ledger", "verify", "--ledger", "books", "--ledger", "more", "--json").out)
    assert [(one["folder"], one["clean"], one["open_facts"]) for one in reports] == [("books", True, 0), ("more", True, 6)]


def test_a_key_that_did_not_sign_is_a_note_and_a_wrong_one_a_fault(front: Front, tmp_path: Path) -> None:
    said = front("ledger", "verify", "--ledger", "books", "--key", KNOWN_PUBLIC)
    assert said.status == 0
    assert "note: 2 of 2 segments are not signed" in said.out
    some_books(tmp_path / "own", sealed=False)
    Path("wattledger.toml").write_text(f'[ledger]\nsign_key_file = "{key_file(tmp_path)}"\n')
    assert front("ledger", "seal", "--ledger", "own", "--config", "wattledger.toml").status == 0
    said = front("ledger", "verify", "--ledger", "own", "--config", "wattledger.toml")
    assert (said.status, f"2 signed by {KNOWN_PUBLIC[:16]}…" in said.out) == (0, True)
    said = front("ledger", "verify", "--ledger", "own", "--key", "11" * 32)
    assert (said.status, "is signed by another key" in said.out) == (1, True)


@pytest.mark.parametrize("words", [("--ledger", "nowhere"), ("--ledger", "s3://bucket/lake"), ("--ledger", "books", "--key", "x")])
def test_nothing_to_check_is_status_2_and_one_line(front: Front, words: tuple[str, ...]) -> None:
    said = front("ledger", "verify", *words)
    assert (said.status, said.out) == (2, "")
    assert is_one_line(said.err)
