"""``wattledger ledger anchor``: a head outside, once; and whoever rewrites the books is found."""

import json
import os
from pathlib import Path

import pytest
from tests.cli.front import Front, is_one_line, own_place
from tests.ledger.histories import lived, writer_of
from tests.ledger.keys import KNOWN_PUBLIC, key_file
from tests.ledger.made import DAY_S, NOON_S, energy

from wattledger.ledger import segments
from wattledger.ledger.store import Store

HISTORY = [("facts", 3), ("days", 1), ("facts", 2)]


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    monkeypatch.setenv("WATTLEDGER_LEDGER_PATH", str(tmp_path / "books"))
    monkeypatch.delenv("WATTLEDGER_LEDGER_SIGN_KEY_FILE", raising=False)
    lived(tmp_path / "books", HISTORY)
    return Front(capsys)


def test_a_head_is_anchored_once_and_the_grown_books_extend_it(front: Front, tmp_path: Path) -> None:
    said = front("ledger", "anchor", "--to", "place")
    assert (said.status, said.err) == (0, "")
    [name] = os.listdir("place")
    assert said.out.startswith(f"anchored {name}: of {writer_of(tmp_path / 'books')} at 20")
    assert "unsigned" in said.out
    assert front("ledger", "anchor", "--to", "place") == (0, f"nothing new since {name}\n", "")
    store = Store.open(tmp_path / "books")
    store.append([energy(2)], NOON_S + 3 * DAY_S)
    store.close()
    segments.seal(tmp_path / "books", NOON_S + 3 * DAY_S)
    said = front("ledger", "anchor", "--to", "place", "--check")
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith(f"the books extend {name}")
    assert front("ledger", "anchor", "--to", "place").out.startswith("anchored")
    assert len(os.listdir("place")) == 2
    assert front("ledger", "anchor", "--to", "place", "--check", "--all").out.count("the books extend") == 2


def test_rewritten_books_are_one_line_and_status_1(front: Front, tmp_path: Path) -> None:
    assert front("ledger", "anchor", "--to", "place").status == 0
    forged = str(tmp_path / "forged")
    lived(Path(forged), HISTORY, writer=writer_of(tmp_path / "books"), change=lambda n, uj: uj * (2 if n == 0 else 1))
    for words in (("--check",), ("--check", "--all"), ()):
        said = front("ledger", "anchor", "--to", "place", "--ledger", forged, *words)
        assert (said.status, said.out) == (1, "")
        assert is_one_line(said.err)
        assert "changed or are gone" in said.err
    assert len(os.listdir("place")) == 1
    said = front("ledger", "anchor", "--to", "elsewhere", "--check")
    assert said.status == 1
    assert is_one_line(said.err)


def test_a_configured_key_signs_and_another_does_not_pass(front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cryptography")
    monkeypatch.setenv("WATTLEDGER_LEDGER_SIGN_KEY_FILE", str(key_file(tmp_path)))
    assert f"signed by {KNOWN_PUBLIC}" in front("ledger", "anchor", "--to", "place").out
    [file] = Path("place").iterdir()
    assert json.loads(file.read_text())["key"] == KNOWN_PUBLIC
    assert front("ledger", "anchor", "--to", "place", "--check", "--key", KNOWN_PUBLIC).status == 0
    assert front("ledger", "anchor", "--to", "place", "--check", "--key", "00" * 32).status == 1
    monkeypatch.setenv("WATTLEDGER_LEDGER_SIGN_KEY_FILE", str(tmp_path / "gone.pem"))
    said = front("ledger", "anchor", "--to", "place")
    assert said.status == 2
    assert is_one_line(said.err)


def test_a_day_that_was_deleted_is_one_line_and_status_1(front: Front, tmp_path: Path) -> None:
    assert front("ledger", "anchor", "--to", "place").status == 0
    segments.seal(tmp_path / "books", NOON_S + 3 * DAY_S)
    for file in (tmp_path / "books").glob("segments/day=2026-09-21/host=*/*"):
        file.unlink()
    said = front("ledger", "anchor", "--to", "place", "--check")
    assert said.status == 1
    assert is_one_line(said.err)
    assert "missing" in said.err


@pytest.mark.parametrize(
    "words", ["", "--to git:nowhere", "--to place --ledger nowhere", "--to place --check --key x"]
)  # fmt: skip
def test_wrong_words_are_one_line_and_status_2(front: Front, words: str) -> None:
    said = front("ledger", "anchor", *words.split())
    assert (said.status, said.out) == (2, "")
    assert is_one_line(said.err)
