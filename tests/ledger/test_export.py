"""Export: the same facts, sealed or not, give the same bytes; a file is whole or not there."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from tests.ledger.histories import facts_of, writer_of
from tests.ledger.made import DAY_S, NOON_S, intensity, store_of

from wattledger.ledger.body import day_of, decode, decode_key
from wattledger.ledger.columns import COLUMNS
from wattledger.ledger.compact import Plan, compact
from wattledger.ledger.contents import contents, find
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.export import FORMS, export
from wattledger.ledger.manifest import manifests
from wattledger.ledger.parquet import Where, write_rows
from wattledger.ledger.segments import seal

LATER_S = NOON_S + 900 * DAY_S


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """Three days of 12 facts, and an intensity, none sealed."""
    store = store_of(tmp_path / "books", days=3)
    store.append([intensity()], NOON_S + 2 * DAY_S + 600)
    store.close()
    return tmp_path / "books"


def exported(folder: Path, form: str, where: Where = Where()) -> bytes:  # noqa: B008  (it is immutable)
    to = folder.parent / f"out.{form}"
    export([folder], to, where, form)
    return to.read_bytes()


@pytest.mark.parametrize("form", FORMS)
def test_the_same_facts_give_the_same_bytes_sealed_or_not(books: Path, form: str) -> None:
    before = exported(books, form)
    assert exported(books, form) == before
    for now_s in (NOON_S + DAY_S, LATER_S):
        seal(books, now_s)
        assert exported(books, form) == before
    assert sorted(path.name for path in books.parent.iterdir()) == ["books", f"out.{form}"]


def test_csv_has_a_column_for_everything_and_a_row_for_each_fact(books: Path) -> None:
    exported(books, "csv")
    with open(books.parent / "out.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS)
    assert [f"{row['writer']}:{row['seq']}" for row in rows] == facts_of(books)
    assert rows[0]["energy_uj"] == "1000000"
    assert rows[-1]["fact"] == "intensity"
    assert rows[-1]["energy_uj"] == ""


def test_json_lines_are_bodies_that_can_be_decoded(books: Path) -> None:
    for where in (Where(), Where(("energy",)), Where((), NOON_S + DAY_S + 60, NOON_S + DAY_S + 120)):
        keys, count = {}, 0
        for line in exported(books, "jsonl", where).decode().splitlines():
            found = json.loads(line)
            if found["body"]["fact"] == "key":
                said = decode_key(found["body"])
                keys[said.number] = said.key
            else:
                known = decode(found["body"], found["id"], keys)
                assert known is not None
                count += 1
        assert count == {(): 37, ("energy",): 30}[where.kinds] if where.from_s is None else count == 6


def test_parquet_can_be_exported_again(books: Path, tmp_path: Path) -> None:
    exported(books, "parquet")
    assert write_rows([tmp_path / "out.parquet"], Where(), tmp_path / "again.csv", "csv") == 37
    assert (tmp_path / "again.csv").read_bytes() == exported(books, "csv")


def test_kinds_and_times_choose(books: Path, tmp_path: Path) -> None:
    def count(where: Where) -> int:
        return export([books], tmp_path / "out.csv", where, "csv").rows

    assert count(Where(("work",))) == 6
    assert count(Where(("key",))) == 18
    assert count(Where((), None, NOON_S + DAY_S)) == 13  # the intensity was learnt late
    assert count(Where(("energy", "intensity"), NOON_S + 2 * DAY_S)) == 10
    assert count(Where((), NOON_S, NOON_S)) == 0


def test_a_file_is_whole_or_not_at_all(books: Path, tmp_path: Path) -> None:
    to = tmp_path / "out.csv"
    to.write_text("what was there")
    seal(books, LATER_S)
    path = manifests(books)[0].path
    path.write_bytes(path.read_bytes()[:100])
    for form in FORMS:
        with pytest.raises(LedgerError, match=path.name):
            export([books], to, Where(), form)
    assert to.read_text() == "what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["books", "out.csv"]
    with pytest.raises(LedgerError, match="cannot be written: No such file or directory"):
        export([books], tmp_path / "not there" / "out.csv", Where(), "csv")


def test_rolled_up_days_are_named(books: Path, tmp_path: Path) -> None:
    seal(books, LATER_S)
    compact(books, day_of(NOON_S), Plan("slots", drop=True), now_s=LATER_S)
    assert export([books], tmp_path / "out.csv", Where(), "csv") == (25, (day_of(NOON_S),))


def test_a_store_and_its_copy_are_exported_once(books: Path, tmp_path: Path) -> None:
    seal(books, NOON_S + 2 * DAY_S)
    shutil.copytree(books / "segments", tmp_path / "lake")
    assert export([books, tmp_path / "lake"], tmp_path / "out.csv", Where(), "csv").rows == 37


def test_contents_count_each_fact_once_wherever_it_is(books: Path) -> None:
    before = contents(books)
    assert before.kinds == {"energy": 30, "intensity": 1, "key": 18, "work": 6}
    assert (before.open_facts, before.sealed_facts, before.open_days, before.bytes_per_fact) == (55, 0, 3, None)
    seal(books, NOON_S + 2 * DAY_S)
    after = contents(books)
    for name in ("kinds", "writers", "first_s", "last_s"):
        assert getattr(after, name) == getattr(before, name)
    assert (after.open_facts, after.sealed_facts, after.open_days, after.sealed_days) == (19, 36, 1, 2)


def test_a_fact_is_found_sealed_or_not(books: Path) -> None:
    writer = writer_of(books)
    before = [find(books, f"{writer}:{seq}") for seq in range(1, 56)]
    assert None not in before
    seal(books, NOON_S + 2 * DAY_S)
    assert [find(books, f"{writer}:{seq}") for seq in range(1, 56)] == before
    assert find(books, f"{writer}:56") is None
    assert find(books, "0123456789abcdef:1") is None


@pytest.mark.parametrize("fact_id", ["", "7", ":7", "x:", "x:-1", "x:²", "x:" + "9" * 30])
def test_what_is_no_id_is_told(books: Path, fact_id: str) -> None:
    with pytest.raises(LedgerError, match="is no fact's id"):
        find(books, fact_id)
