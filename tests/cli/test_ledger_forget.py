"""`wattledger ledger forget`: the name goes, the facts stay."""

from pathlib import Path

import pytest
from tests.cli.front import Front, is_one_line, own_place
from tests.cli.ledger_place import some_books

from wattledger.ledger.store import Store


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    some_books(tmp_path / "books", sealed=False)
    return Front(capsys)


def state() -> tuple[list[str], list[str]]:
    """The names, and the bodies."""
    store = Store.open(Path("books"), readonly=True)
    found = list(store.names().values()), [row.body for row in store.rows()]
    store.close()
    return found


def test_the_name_goes_and_every_fact_stays(front: Front) -> None:
    names, bodies = state()
    assert names == ["ada"]
    assert not any("ada" in body for body in bodies)
    assert front("ledger", "forget", "ada", "--ledger", "books").status == 0
    assert state() == ([], bodies)


@pytest.mark.parametrize(("name", "folder", "why"), [("adda", "books", "did you mean 'ada'?"), ("ada", "no", "no books")])
def test_an_unknown_name_is_one_line(front: Front, name: str, folder: str, why: str) -> None:
    said = front("ledger", "forget", name, "--ledger", folder)
    assert (said.status, said.out) == (2, "")
    assert is_one_line(said.err)
    assert why in said.err
    assert state()[0] == ["ada"]
