"""Files that were written before allocations were kept: read, verified, exported, compacted and explained like any."""

import json
from pathlib import Path

import pytest
from tests.ledger.forged import rewrite
from tests.ledger.made import DAY_S, NOON_S, asked, divided, energy, store_of, work

from wattledger.core.facts import WorkFact
from wattledger.ledger import compact
from wattledger.ledger.books import Books
from wattledger.ledger.columns import COLUMNS, FIRST_COLUMNS
from wattledger.ledger.compact import Plan
from wattledger.ledger.contents import find
from wattledger.ledger.engine import connect
from wattledger.ledger.export import export
from wattledger.ledger.forms import later, rows_sql
from wattledger.ledger.held import find as held
from wattledger.ledger.manifest import Manifest, manifests
from wattledger.ledger.parquet import Where
from wattledger.ledger.query_tokens import open_tables
from wattledger.ledger.segments import seal
from wattledger.ledger.store import Store
from wattledger.ledger.verify import verify


def as_before(manifest: Manifest) -> None:
    """The same facts in a file as it was written when there were only these columns."""
    rewrite(manifest, ", ".join(FIRST_COLUMNS))


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """A day in the old form, a day in the new one with allocations, and an open day; on each a minute of energy and work."""
    folder = tmp_path / "books"
    store_of(folder, days=1, minutes=1).close()
    seal(folder, NOON_S + DAY_S)
    as_before(manifests(folder)[0])
    store = Store.open(folder)
    for day in (1, 2):
        at_s = NOON_S + day * DAY_S
        store.append([energy(uj=9, start_s=at_s), work(start_s=at_s)._replace(steps=3)], at_s + 60)
        store.append([divided(4, 5, start_s=at_s), asked("r", 1)], at_s + 60)
    store.close()
    seal(folder, NOON_S + 2 * DAY_S)
    return folder


def test_both_forms_are_verified(books: Path) -> None:
    report = verify(books)
    assert (report.problems, report.segments, report.notes) == ((), 2, ())


@pytest.mark.parametrize("columns", [list(FIRST_COLUMNS)[:-1], [*FIRST_COLUMNS, "tenant"], [*FIRST_COLUMNS, "1 AS x"]])
def test_a_file_in_no_form_of_ours_is_no_segment(books: Path, columns: list[str]) -> None:
    rewrite(manifests(books)[1], ", ".join(columns))
    [problem] = verify(books).problems
    assert "not the columns of a segment" in problem.what


def test_an_old_form_cannot_hide_an_allocation(books: Path) -> None:
    """Whoever takes the columns out of a file that has allocations is seen: its bodies have them still."""
    as_before(manifests(books)[1])
    [problem] = verify(books).problems
    assert "is not what its body says" in problem.what


def test_a_file_says_by_its_end_which_form_it_has(books: Path) -> None:
    files = [str(manifest.path) for manifest in manifests(books)]
    engine = connect()
    assert later(engine, files) == {files[1]}
    assert later(engine, []) == set()
    rows = engine.execute(f"SELECT * FROM ({rows_sql(engine, files, COLUMNS)}) ORDER BY seq").fetchall()
    engine.close()
    found = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    assert [row["steps"] for row in found if row["fact"] == "work"] == [0, 3]
    assert [row["prompt_uj"] for row in found if row["fact"] == "allocation"] == [4, 1]
    assert {row["prompt_uj"] for row in found if row["fact"] != "allocation"} == {None}


def test_books_of_both_forms_are_one(books: Path) -> None:
    with Books([books]) as opened:
        sums = opened.connection.execute("SELECT SUM(energy_uj) FROM energy").fetchall()
        assert sums == [(5_000_010 + 9 + 9,)]
        assert open_tables(opened)
        assert opened.connection.execute("SELECT SUM(steps), SUM(generated_tokens) FROM served").fetchall() == [(6, 3 * 64)]
        assert opened.connection.execute("SELECT SUM(prompt_uj), COUNT(*) FROM allocation").fetchall() == [(2 * (4 + 1), 4)]


def test_books_of_the_old_form_alone_have_no_allocations(tmp_path: Path) -> None:
    store_of(tmp_path).close()
    seal(tmp_path, NOON_S + DAY_S)
    as_before(manifests(tmp_path)[0])
    with Books([tmp_path]) as opened:
        assert not open_tables(opened)


def test_facts_of_both_forms_are_found_by_their_ids(books: Path) -> None:
    [first, second] = manifests(books)
    for manifest, steps in ((first, 0), (second, 3)):
        segment = manifest.segment
        ids = [f"{segment.writer}:{seq}" for seq in range(segment.first_seq, segment.last_seq + 1)]
        [row] = [row for one in ids if (row := find(books, one)) is not None and row["fact"] == "work"]
        assert row["steps"] == steps
        known = held([books], f"{segment.writer}:{row['seq']}")
        assert known is not None
        assert isinstance(known.known.fact, WorkFact)
        assert known.known.fact.steps == steps


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_both_forms_are_exported_as_one(books: Path, tmp_path: Path, form: str) -> None:
    done = export([books], tmp_path / f"out.{form}", Where(("work", "allocation")), form)
    if form == "jsonl":
        bodies = [json.loads(line)["body"] for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        assert [body["fact"] for body in bodies if body["fact"] != "key"] == ["work", *["work", "allocation", "allocation"] * 2]
    else:
        assert done.rows == 3 + 4


@pytest.mark.parametrize("level", ["minutes", "slots"])
def test_both_forms_are_compacted(books: Path, level: str) -> None:
    for manifest in manifests(books):
        made = compact.compact(books, manifest.segment.day, Plan(level, drop=True), now_s=NOON_S + 99 * DAY_S)  # type: ignore[arg-type]
        assert made is not None
        assert made.energy_uj == manifest.segment.energy_uj
    assert verify(books).problems == ()
    with Books([books]) as opened:
        assert open_tables(opened)
        assert opened.connection.execute("SELECT SUM(prompt_uj) FROM allocation").fetchall() == [(2 * (4 + 1),)]
        assert opened.connection.execute("SELECT SUM(steps) FROM served").fetchall() == [(6,)]


def test_a_day_compacted_before_there_were_allocations_is_read_with_those_of_now(books: Path) -> None:
    """In the form that a compacted file had: as a segment's, with two columns more."""
    day = manifests(books)[0].segment.day
    made = compact.compact(books, day, Plan("slots", drop=True), now_s=NOON_S + 99 * DAY_S)
    assert made is not None
    path = books / "segments" / made.file
    engine = connect()
    columns = ", ".join([*FIRST_COLUMNS, "priced", "priced_by"])
    engine.execute(f"COPY (SELECT {columns} FROM read_parquet('{path}')) TO '{path}.old' (FORMAT parquet)")
    engine.close()
    Path(f"{path}.old").replace(path)
    with Books([books]) as opened:
        assert opened.connection.execute("SELECT SUM(energy_uj) FROM energy").fetchall() == [(5_000_010 + 9 + 9,)]
        assert open_tables(opened)
        assert opened.connection.execute("SELECT SUM(steps), COUNT(*) FROM served").fetchall() == [(6, 3)]
        [(text,)] = opened.connection.execute(f"SELECT body FROM {opened.whole()} WHERE fact = 'allocation' LIMIT 1").fetchall()
    assert json.loads(text)["fact"] == "allocation"
