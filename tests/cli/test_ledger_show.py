"""`wattledger ledger show`: what the books hold, and one fact of them."""

import json
from pathlib import Path

import pytest
from tests.cli.front import Front, is_one_line, own_place
from tests.cli.ledger_place import some_books, writer_of

from wattledger.ledger.segments import seal
from wattledger.runtime.clock import now


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    some_books(tmp_path / "books", sealed=False)
    return Front(capsys)


def test_the_books_are_shown_in_figures(front: Front) -> None:
    said = front("ledger", "show", "--ledger", "books")
    assert said.status == 0
    assert "  facts      4 energy, 2 key\n" in said.out
    assert "  open       6 facts of 2 days in " in said.out
    seal(Path("books"), now().wall_ns // 10**9)
    [found] = json.loads(front("ledger", "show", "--ledger", "books", "--json").out)
    assert (found["kinds"], found["sealed_facts"], found["open_facts"]) == ({"energy": 4, "key": 2}, 6, 0)
    assert "  sealed     6 facts of 2 days in " in front("ledger", "show", "--ledger", "books").out


def test_a_fact_is_shown_alike_sealed_or_not(front: Front) -> None:
    words = ("ledger", "show", f"{writer_of(Path('books'))}:2", "--ledger", "books")
    before = front(*words), front(*words, "--json")
    assert "  energy_uj      1000\n" in before[0].out
    assert "  job            job-0\n" in before[0].out
    found = json.loads(before[1].out)
    assert (found["id"], found["energy_uj"], found["body"]["fact"]) == (words[2], 1000, "energy")
    seal(Path("books"), now().wall_ns // 10**9)
    assert (front(*words), front(*words, "--json")) == before


@pytest.mark.parametrize("words", [("0123456789abcdef:1",), ("nonsense",), ("--ledger", "nowhere")])
def test_what_is_not_there_is_one_line(front: Front, words: tuple[str, ...]) -> None:
    said = front("ledger", "show", *words, *(() if "--ledger" in words else ("--ledger", "books")))
    assert (said.status, said.out) == (2, "")
    assert is_one_line(said.err)
