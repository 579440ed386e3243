"""`wattledger ledger add`: facts of one's own, all or none, each once."""

import json
from pathlib import Path

import pytest
from tests.cli.front import Front, is_one_line, own_place

from wattledger.core.facts import Fact
from wattledger.ledger.store import Store

MIX = "zone,year,g_per_kwh,source\nDE,2025,701.47,own\nFR,2025,17.11,own\n"


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    (tmp_path / "mix.csv").write_text(MIX)
    return Front(capsys)


def facts(folder: str) -> list[tuple[str, Fact]]:
    store = Store.open(Path(folder), readonly=True)
    found = [(known.id, known.fact) for known in store.known()]
    store.close()
    return found


def test_facts_are_written_once(front: Front) -> None:
    first = front("ledger", "add", "mix.csv", "--ledger", "books")
    assert (first.status, first.err) == (0, "")
    ids = [line.split()[0] for line in first.out.splitlines()]
    assert [fact_id for fact_id, _ in facts("books")] == ids
    assert len(ids) == 2
    again = front("ledger", "add", "mix.csv", "--ledger", "books")
    assert again.out == "2 of 2 facts were in the books already: not written again\n"
    Path("mix.csv").write_text(MIX + "NL,2024,300,own\n")
    more = json.loads(front("ledger", "add", "mix.csv", "--ledger", "books", "--json").out)
    assert (len(more["added"]), more["there_already"]) == (1, 2)
    assert len(facts("books")) == 3


def test_a_dry_run_writes_nothing_and_makes_no_books(front: Front) -> None:
    said = front("ledger", "add", "mix.csv", "--ledger", "books", "--dry-run")
    assert said.out.count("would be added") == 2
    assert '"ug_per_kwh": 701470000' in said.out
    assert not Path("books").exists()


def test_one_mistake_and_nothing_is_written(front: Front) -> None:
    Path("mix.csv").write_text(MIX + "Germny,2025,3,own\nDE,2025,x,own\n")
    said = front("ledger", "add", "mix.csv", "--ledger", "books")
    assert (said.status, said.out) == (2, "")
    first, second = said.err.splitlines()
    assert first.startswith("wattledger: ledger add: mix.csv:4: no zone 'Germny'")
    assert second == "wattledger: ledger add: mix.csv:5: g_per_kwh = x: expected a number of 0 or more"
    assert not Path("books").exists()


def test_what_was_withdrawn_can_be_added_again(front: Front) -> None:
    [first, _] = json.loads(front("ledger", "add", "mix.csv", "--ledger", "books", "--json").out)["added"]
    assert front("ledger", "restate", first, "--withdraw", "--reason", "wrong file", "--ledger", "books").status == 0
    again = json.loads(front("ledger", "add", "mix.csv", "--ledger", "books", "--json").out)
    assert (len(again["added"]), again["there_already"]) == (1, 1)


def test_a_file_that_is_not_there_is_one_line(front: Front) -> None:
    said = front("ledger", "add", "nothing.toml", "--ledger", "books")
    assert said.status == 2
    assert is_one_line(said.err)
