"""Verification: the first bad row is named, with what is still good, and what is merely unfinished is no fault."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from tests.ledger.keys import KNOWN_PUBLIC, key_file
from tests.ledger.made import DAY_S, NOON_S, energy, store_of

from wattledger.ledger.chain import genesis, link
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.lake import share
from wattledger.ledger.manifest import manifests
from wattledger.ledger.segments import seal
from wattledger.ledger.store import Store
from wattledger.ledger.verify import Problem, Report, verify


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """Three days sealed, one open: 58 facts in all."""
    folder = tmp_path / "books"
    store_of(folder, days=4).close()
    seal(folder, NOON_S + 3 * DAY_S)
    return folder


def changed(folder: Path, sql: str, *given: object) -> None:
    db = sqlite3.connect(folder / "open.db", isolation_level=None)
    db.execute(sql, given)
    db.close()


def only(report: Report) -> Problem:
    [problem] = report.problems
    return problem


def test_whole_books_are_clean_sealed_and_open(books: Path) -> None:
    report = verify(books)
    assert (report.clean, report.notes, report.segments) == (True, (), 3)
    assert report.facts == sum(m.segment.count for m in manifests(books)) + report.open_facts
    store = Store.open(books, readonly=True)
    head = store.head()
    store.close()
    assert report.heads == {store.writer: (head.seq, head.hash.hex())}
    assert head.seq == report.facts
    assert json.loads(json.dumps(report.to_dict()))["clean"] is True


def test_empty_books_are_clean_and_no_books_are_an_error(tmp_path: Path) -> None:
    Store.open(tmp_path / "new").close()
    assert verify(tmp_path / "new").clean
    with pytest.raises(LedgerError, match="no books are kept here"):
        verify(tmp_path / "nothing")


@pytest.mark.slow
def test_two_processes_find_what_one_finds(books: Path) -> None:
    assert verify(books, processes=2) == verify(books)
    changed(books, "UPDATE fact SET body = body || ' ' WHERE seq = 45")
    assert verify(books, processes=2) == verify(books)


def test_a_changed_row_is_named_and_those_before_it_are_still_good(books: Path) -> None:
    start = manifests(books)[-1].segment.last_seq
    changed(books, "UPDATE fact SET body = replace(body, '60000', '60001') WHERE seq = ?", start + 4)
    problem = only(verify(books))
    assert (problem.where, problem.seq) == (str(books / "open.db"), start + 4)
    assert problem.good == f"facts {start + 1} to {start + 3} here hold"
    assert verify(books).facts == start + 3


def test_a_row_that_is_gone_is_missed(books: Path) -> None:
    start = manifests(books)[-1].segment.last_seq
    changed(books, "DELETE FROM fact WHERE seq = ?", start + 4)
    problem = only(verify(books))
    assert (problem.seq, problem.what) == (start + 4, "1 facts are missing here")


def test_a_row_that_is_chained_and_yet_no_fact_is_found(tmp_path: Path) -> None:
    said = '"fact":"energy","key":%d,"length_s":60,"recorded_s":%d,"seen_ms":60000,"start_s":0}'
    wrong = {
        "{}": "its body is no fact",
        '{"fact":"energy","recorded_s":1}': "its body is no fact",
        f'{{"fact":"nothing","recorded_s":{NOON_S + 999}}}': "no fact is called 'nothing'",
        '{"energy_uj":1,' + said % (99, NOON_S + 999): "key 99 was not explained before on that day",
        '{"energy_uj":1,' + said % (1, NOON_S + DAY_S): "key 1 was not explained before on that day",
        '{"energy_uj":1,' + said % (1, NOON_S): "it was recorded before the one before it",
    }
    for number, (body, words) in enumerate(wrong.items()):
        folder = tmp_path / str(number)
        store = store_of(folder)
        head = store.head()
        store.close()
        changed(folder, "INSERT INTO fact (seq, body, hash) VALUES (?, ?, ?)", head.seq + 1, body, link(head.hash, body))
        problem = only(verify(folder))
        assert problem.seq == head.seq + 1
        assert words in problem.what


def test_a_start_that_is_not_the_writers_is_found(tmp_path: Path) -> None:
    store_of(tmp_path).close()
    changed(tmp_path, "UPDATE meta SET writer = '0123456789abcdef'")
    assert "does not begin as this writer's does" in verify(tmp_path).problems[0].what


def test_a_changed_schema_is_found(tmp_path: Path) -> None:
    store_of(tmp_path).close()
    changed(tmp_path, "DROP INDEX fact_key")
    assert only(verify(tmp_path)).what == "the database's schema was changed"


def test_a_file_that_is_gone_is_missed_and_the_others_hold(books: Path) -> None:
    first = manifests(books)[0]
    first.path.unlink()
    report = verify(books)
    problem = only(report)
    assert (problem.where, problem.seq) == (str(first.path), 1)
    assert "the file is gone" in problem.what
    assert (report.segments, report.rolled_up) == (2, 0)


@pytest.mark.parametrize(
    ("index", "words"), [(0, "from fact 1, is missing"), (1, "segment 1 of the log"), (2, "begins behind fact")]
)
def test_a_day_that_is_gone_with_its_manifest_is_missed(books: Path, index: int, words: str) -> None:
    shutil.rmtree(manifests(books)[index].folder)
    problem = only(verify(books))
    assert words in problem.what


def test_a_day_put_under_another_day_is_found(books: Path) -> None:
    first = manifests(books)[0]
    moved = first.folder.parent.with_name("day=2001-01-01") / first.folder.name
    moved.parent.mkdir()
    first.folder.rename(moved)
    assert "lies where another segment belongs" in only(verify(books)).what


def test_days_of_two_stores_do_not_join(books: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    store_of(other, days=4).close()
    seal(other, NOON_S + 3 * DAY_S)
    shutil.rmtree(books / "segments")
    shutil.copytree(other / "segments", books / "segments")
    whats = [problem.what for problem in verify(books).problems]
    assert any("the segments are of another writer" in what for what in whats)
    assert any("begins behind fact" in what for what in whats)


def test_a_day_forged_whole_does_not_join_its_neighbours(books: Path) -> None:
    """Other facts, root, chain, digests: all consistent in itself, and yet not the day that the next one follows."""
    second = manifests(books)[1]
    segment = second.segment._replace(head="ab" * 32)
    second.written.write_text(second._replace(segment=segment).text())
    whats = " ".join(problem.what for problem in verify(books).problems)
    assert "do not lead from the chain before it to the chain behind it" in whats
    assert "does not follow from the segment before it (chain)" in whats


def test_a_file_without_a_manifest_is_found(books: Path) -> None:
    first = manifests(books)[0]
    shutil.copy(first.path, first.folder / "0123456789abcdef.parquet")
    assert "a file without a manifest" in only(verify(books)).what


def test_a_seal_that_was_stopped_is_noted_and_is_no_fault(tmp_path: Path) -> None:
    before = tmp_path / "before"
    store_of(before, days=2).close()
    shutil.copytree(before, tmp_path / "after")
    [first, _] = seal(tmp_path / "after", NOON_S + 9 * DAY_S)
    place = before / first.folder.relative_to(tmp_path / "after")
    place.mkdir(parents=True)
    facts = verify(before).facts
    shutil.copy(first.path, place)  # killed before the manifest
    report = verify(before)
    assert (report.clean, report.facts, len(report.notes)) == (True, facts, 1)
    assert "a seal was stopped here" in report.notes[0]
    shutil.copy(first.written, place)  # killed before the rows were let go
    report = verify(before)
    assert (report.clean, report.facts, len(report.notes)) == (True, facts, 1)
    assert "is sealed and still in the open part" in report.notes[0]
    seal(before, NOON_S + 9 * DAY_S)
    assert verify(before)[1:4] == (facts, 0, 2)


def test_a_lake_is_verified_like_a_store(books: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    share(books, lake, lambda _: None)
    report = verify(lake)
    assert (report.clean, report.segments, report.open_facts) == (True, 3, 0)
    shutil.rmtree(manifests(lake)[1].folder)
    assert "segment 1 of the log" in only(verify(lake)).what


class TestSignatures:
    @pytest.fixture
    def signed(self, tmp_path: Path) -> Path:
        folder = tmp_path / "signed"
        store_of(folder, days=2).close()
        seal(folder, NOON_S + DAY_S)
        seal(folder, NOON_S + 9 * DAY_S, sign_key_file=str(key_file(tmp_path)))
        return folder

    def test_signatures_that_hold_are_counted_by_their_key(self, signed: Path) -> None:
        assert verify(signed).signed_by == {KNOWN_PUBLIC: 1}
        report = verify(signed, key=KNOWN_PUBLIC)
        assert (report.clean, report.notes) == (True, ("1 of 2 segments are not signed",))

    @pytest.mark.parametrize(
        ("forge", "words"),
        [
            (lambda m: m._replace(signature="00" * 64), "its signature does not hold"),
            (lambda m: m._replace(key="00" * 32), "its signature does not hold"),
            (lambda m: m._replace(signature="no hex"), "its signature does not hold"),
        ],
    )
    def test_a_signature_that_does_not_hold_is_found(self, signed: Path, forge: Callable[..., object], words: str) -> None:
        last = manifests(signed)[-1]
        made = forge(last)
        assert isinstance(made, type(last))
        last.written.write_text(made.text())
        assert only(verify(signed)).what == words

    def test_another_key_than_the_one_expected_is_found(self, signed: Path) -> None:
        assert "is signed by another key" in only(verify(signed, key="ab" * 32)).what


def test_what_is_written_meanwhile_is_verified_or_not_yet_seen(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    for minute in range(20):
        store.append([energy(minute)], NOON_S + 600 + minute)
        report = verify(tmp_path)
        assert (report.clean, report.open_facts) == (True, store.head().seq)
    store.close()


def test_the_chain_is_what_it_is_said_to_be(tmp_path: Path) -> None:
    """Recomputed with nothing but SHA-256, as an auditor would."""
    store = store_of(tmp_path)
    digest = sha256(b"wattledger.chain/1 " + store.writer.encode()).digest()
    assert digest == genesis(store.writer)
    for row in store.rows():
        digest = sha256(digest + row.body.encode()).digest()
    assert verify(tmp_path).heads == {store.writer: (store.head().seq, digest.hex())}
    store.close()
