"""``wattledger ledger prove``: what it writes, and how it refuses."""

import json
from pathlib import Path

import pytest
from tests.cli.front import Front, is_one_line, own_place
from tests.ledger.histories import facts_of, lived, writer_of
from tests.ledger.keys import KNOWN_PUBLIC, key_file
from tests.ledger.made import DAY_S, NOON_S, energy

from wattledger.ledger import heads, segments
from wattledger.ledger.log import look
from wattledger.ledger.store import Store
from wattledger.ledger.verdicts import check


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    for name in ("WATTLEDGER_LEDGER_PATH", "WATTLEDGER_LEDGER_SIGN_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    return Front(capsys)


@pytest.fixture
def books(tmp_path: Path) -> Path:
    lived(tmp_path / "books", [("facts", 3), ("days", 1), ("facts", 2)])
    return tmp_path / "books"


def test_a_facts_proof_goes_to_standard_output_or_a_file(front: Front, books: Path, tmp_path: Path) -> None:
    fact = facts_of(books)[0]
    said = front("ledger", "prove", fact, "--ledger", str(books))
    assert (said.status, said.err) == (0, "")
    assert check(json.loads(said.out)).proven
    assert front("ledger", "prove", fact, "--ledger", str(books), "-o", "proof.json") == (0, "", "")
    assert check(json.loads((tmp_path / "proof.json").read_text())).proven
    assert sorted(path.name for path in tmp_path.iterdir()) == ["books", "proof.json"]


def test_the_books_are_found_by_the_facts_writer(
    front: Front, books: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(tmp_path / "others", [("facts", 1)])
    both = ["--ledger", str(tmp_path / "others"), "--ledger", str(books)]
    assert front("ledger", "prove", facts_of(books)[0], *both).status == 0
    monkeypatch.setenv("WATTLEDGER_LEDGER_PATH", str(books))
    assert front("ledger", "prove", facts_of(books)[0]).status == 0
    said = front("ledger", "prove", "f" * 16 + ":3")
    assert said.status == 2
    assert is_one_line(said.err)
    assert str(books) in said.err


def test_a_proof_is_signed_where_a_key_is_configured(
    front: Front, books: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cryptography")
    key = key_file(tmp_path)
    monkeypatch.setenv("WATTLEDGER_LEDGER_SIGN_KEY_FILE", str(key))
    head = heads.to_dict(look(books).head(NOON_S))
    (tmp_path / "head.json").write_text(json.dumps(head))
    said = front("ledger", "prove", facts_of(books)[0], "--ledger", str(books))
    assert check(json.loads(said.out), public_key=KNOWN_PUBLIC).proven
    said = front("ledger", "prove", "--consistency", "head.json", "--ledger", str(books))
    assert check(json.loads(said.out), head=head, public_key=KNOWN_PUBLIC).proven
    key.chmod(0o644)
    said = front("ledger", "prove", facts_of(books)[0], "--ledger", str(books))
    assert said.status == 0
    assert is_one_line(said.err)
    assert "chmod 600" in said.err


def test_books_that_grew_are_proven_to_and_a_place_will_do_for_a_head(front: Front, books: Path, tmp_path: Path) -> None:
    assert front("ledger", "anchor", "--to", "place", "--ledger", str(books)).status == 0
    store = Store.open(books)
    store.append([energy(2)], NOON_S + 5 * DAY_S)
    store.close()
    segments.seal(books, NOON_S + 5 * DAY_S)
    [file] = (tmp_path / "place").iterdir()
    head = json.loads(file.read_text())
    for where in ("place", str(file)):
        said = front("ledger", "prove", "--consistency", where, "--ledger", str(books))
        assert (said.status, said.err) == (0, "")
        assert check(json.loads(said.out), head=head).proven
        said = front("ledger", "prove", facts_of(books)[0], "--under", where, "--ledger", str(books))
        assert check(json.loads(said.out), head=head).proven


def test_what_cannot_be_proven_is_one_line_and_status_1(front: Front, books: Path, tmp_path: Path) -> None:
    (tmp_path / "head.json").write_text(json.dumps(heads.to_dict(look(books).head(NOON_S))))
    lived(tmp_path / "forged", [("facts", 3)], writer=writer_of(books))
    for words in (("--consistency", "head.json"), (f"{writer_of(books)}:999",)):
        said = front("ledger", "prove", *words, "--ledger", str(tmp_path / "forged"))
        assert (said.status, said.out) == (1, "")
        assert is_one_line(said.err)


@pytest.mark.parametrize(
    "words", ["", "a:1 --consistency h", "a:1", "--consistency nowhere", "nonsense", "--consistency books/open.db"]
)
def test_wrong_words_are_one_line_and_status_2(front: Front, books: Path, words: str) -> None:
    said = front("ledger", "prove", *words.split(), "--ledger", str(books))
    assert (said.status, said.out) == (2, "")
    assert is_one_line(said.err)


def test_without_books_there_is_one_line(front: Front) -> None:
    said = front("ledger", "prove", "a" * 16 + ":1", "--ledger", "nowhere")
    assert said.status == 2
    assert is_one_line(said.err)
