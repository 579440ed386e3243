"""Faults of the disk and of other programs: one clear line, nothing half written, and on it goes when the fault is over."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.ledger.made import DAY_S, NOON_S, energy, intensity, store_of, verified
from tests.ledger.test_store import ENV, ROOT

from wattledger.ledger.engine import LedgerError
from wattledger.ledger.store import Store
from wattledger.ledger.store_schema import FIRST, connect, prepare, told


def a_disk_of_ones_own() -> list[str]:
    """The command that gives a program its own mounts, or nothing."""
    for words in (["unshare", "-m"], ["unshare", "-rm"]):
        command = [*words, "mount", "-t", "tmpfs", "none", "/mnt"]
        if shutil.which(words[0]) and subprocess.run(command, capture_output=True).returncode == 0:
            return words
    return []


def test_a_full_disk_and_a_read_only_one_refuse_in_one_line_and_lose_nothing(tmp_path: Path) -> None:
    alone = a_disk_of_ones_own()
    if not alone:
        pytest.skip("this user may not mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    path = os.environ.get("PATH", "")
    command = [*alone, sys.executable, "-m", "tests.ledger.full_disk", str(disk)]
    ended = subprocess.run(command, cwd=ROOT, env={**ENV, "PATH": path}, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    said = json.loads(ended.stdout)
    for what in ("full", "journal", "new"):
        assert said[what].endswith("the disk is full, nothing was written: free some room"), said
    assert said["acknowledged"] > 0
    assert [said[what] for what in ("whole", "later", "read")] == [True, True, True]
    assert said["read_only"].startswith(f"{disk / 'ledger' / 'open.db'}: cannot be")


def test_a_lock_that_is_held_too_long_is_told(tmp_path: Path) -> None:
    store = store_of(tmp_path / "ledger")
    path = tmp_path / "ledger" / "open.db"
    one, two = (sqlite3.connect(path, isolation_level=None, timeout=0) for _ in range(2))
    one.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError) as caught:
        two.execute("BEGIN IMMEDIATE")
    assert str(told(path, caught.value)) == (
        f"{path}: locked by another program for more than 10 s, nothing was written: look who holds it"
    )
    for db in (one, two):
        db.close()
    store.append([energy()], NOON_S + 600)
    store.close()


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "open.db").write_text("dear diary, " * 500)
    for readonly in (False, True):
        with pytest.raises(LedgerError, match="this is not a ledger: move the file away"):
            Store.open(tmp_path, readonly=readonly)
    assert (tmp_path / "open.db").read_text() == "dear diary, " * 500


def test_another_programs_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "open.db")
    db.execute("CREATE TABLE bookmark (url TEXT)")
    db.commit()
    db.close()
    before = (tmp_path / "open.db").read_bytes()
    with pytest.raises(LedgerError, match="another program's database"):
        Store.open(tmp_path)
    assert (tmp_path / "open.db").read_bytes() == before


def test_a_newer_schema_is_refused_in_one_line(tmp_path: Path) -> None:
    store_of(tmp_path).close()
    db = sqlite3.connect(tmp_path / "open.db")
    db.execute("PRAGMA user_version = 7")
    db.close()
    for readonly in (False, True):
        with pytest.raises(LedgerError, match=r"kept by a newer wattledger \(schema 7, here 1\): upgrade wattledger"):
            Store.open(tmp_path, readonly=readonly)


def test_an_older_schema_is_brought_up_to_date_and_keeps_its_facts(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    head = store.head()
    store.close()
    path = tmp_path / "open.db"
    db = connect(path)
    prepare(db, path, steps=(FIRST, "ALTER TABLE meta ADD COLUMN colour TEXT;\nUPDATE meta SET colour = 'blue'"))
    assert db.execute("SELECT colour, seq FROM meta").fetchall() == [("blue", 0)]
    assert db.execute("PRAGMA user_version").fetchone() == (2,)
    assert db.execute("SELECT max(seq) FROM fact").fetchone() == (head.seq,)
    db.close()


def test_a_step_that_fails_leaves_the_older_schema(tmp_path: Path) -> None:
    store_of(tmp_path).close()
    path = tmp_path / "open.db"
    db = connect(path)
    with pytest.raises(LedgerError, match="no such table"):
        prepare(db, path, steps=(FIRST, "ALTER TABLE meta ADD COLUMN colour TEXT;\nUPDATE absent SET a = 1"))
    again = Store.open(tmp_path)
    assert verified(again) == again.head().seq > 0
    again.close()


def test_no_books_to_read_is_one_clear_line_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no books are kept here"):
        Store.open(tmp_path / "ledger", readonly=True)
    assert not (tmp_path / "ledger").exists()
    (tmp_path / "open.db").touch()  # as a process leaves it that died at once
    with pytest.raises(LedgerError, match="no books are kept here"):
        Store.open(tmp_path, readonly=True)
    store_of(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match=r"ledger: Not a directory: make the folder, or name another"):
        Store.open(tmp_path / "file" / "ledger")


def test_what_is_opened_for_reading_is_not_written(tmp_path: Path) -> None:
    store_of(tmp_path).close()
    reader = Store.open(tmp_path, readonly=True)
    for write in (reader.append, reader.journal):
        with pytest.raises(LedgerError, match="cannot be written"):
            write([energy()], NOON_S)
    with pytest.raises(LedgerError, match="cannot be written"):
        reader.forget(1)
    reader.close()


def flipped(path: Path, before: bytes, after: bytes) -> None:
    """As a failing disk would: the same length, and in one place."""
    data = path.read_bytes()
    assert (data.count(before), len(before)) == (1, len(after))
    path.write_bytes(data.replace(before, after))


def test_a_damaged_row_is_handed_out_as_it_is_and_no_fact(tmp_path: Path) -> None:
    store = store_of(tmp_path, minutes=1)
    rows = list(store.rows())
    store.close()
    flipped(tmp_path / "open.db", b'"energy_uj":1000003', b'"energy_uj":10000\xb3\xff')
    store = Store.open(tmp_path)
    changed = [(old, new) for old, new in zip(rows, store.rows(), strict=True) if old != new]
    assert [new.body.encode("utf-8", "surrogateescape") for _, new in changed] == [
        old.body.encode().replace(b"1000003", b"10000\xb3\xff") for old, _ in changed
    ]
    assert len(changed) == 1
    with pytest.raises(LedgerError, match=f"row {changed[0][0].seq} is damaged"):
        list(store.known())
    store.close()


def test_a_damaged_key_is_not_built_upon(tmp_path: Path) -> None:
    store_of(tmp_path, per_day=1, minutes=1).close()
    flipped(tmp_path / "open.db", b'"GPU-00000000"', b'"GPU-000000"00')
    store = Store.open(tmp_path)
    with pytest.raises(LedgerError, match="damaged: `wattledger ledger verify` says what is still good"):
        store.append([energy()], NOON_S + 999)
    assert sum(1 for _ in store.rows()) == 4
    store.close()


def test_a_key_that_lost_its_number_is_not_built_upon(tmp_path: Path) -> None:
    store_of(tmp_path, per_day=1, minutes=1).close()
    flipped(tmp_path / "open.db", b'"number":1', b'"lumber":1')
    store = Store.open(tmp_path)
    with pytest.raises(LedgerError, match="damaged: `wattledger ledger verify` says what is still good"):
        store.append([energy()], NOON_S + 999)
    store.close()


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    store_of(tmp_path).close()
    damaged = bytearray((tmp_path / "open.db").read_bytes())
    for page in range(1, len(damaged) // 4096):
        damaged[page * 4096 : page * 4096 + 8] = b"\xff" * 8
    (tmp_path / "open.db").write_bytes(damaged)
    with pytest.raises(LedgerError, match="damaged: `wattledger ledger verify` says what is still good"):
        Store.open(tmp_path)


def test_a_damaged_last_row_takes_no_row_after_it(tmp_path: Path) -> None:
    store = store_of(tmp_path, minutes=1)
    last = store.head().seq
    store.close()
    flipped(tmp_path / "open.db", b'{"fact":"work","generated_tokens":64', b'["fact":"work","generated_tokens":64')
    store = Store.open(tmp_path)
    with pytest.raises(LedgerError, match=f"row {last} of the books is damaged"):
        store.append([energy()], NOON_S + 999)
    assert sum(1 for _ in store.rows()) == last
    store.close()


FORKS = """
import os, sys
from pathlib import Path
from tests.ledger.made import NOON_S, energy, verified
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.store import Store
store = Store.open(Path(sys.argv[1]))
store.append([energy()], NOON_S)
if os.fork() == 0:
    try:
        store.append([energy()], NOON_S)
    except LedgerError as wrong:
        store.close()
        os._exit(7 if "before a fork" in str(wrong) else 8)
    os._exit(9)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
store.append([energy()], NOON_S)
assert verified(store) == 3
"""


def test_a_store_is_not_used_across_a_fork(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FORKS, str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, env=ENV, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_write_that_fails_midway_leaves_no_trace(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    head = store.head()
    with pytest.raises(ValueError, match="not JSON compliant"):
        store.append([energy(77), energy(78), intensity(ug_per_kwh=float("nan"))], NOON_S + 600)
    assert store.head() == head
    store.append([energy(78)], NOON_S + 600)  # its key was not explained after all, and is now
    assert verified(store) == head.seq + 2
    store.close()


def test_forgetting_keeps_the_chain_and_the_count(tmp_path: Path) -> None:
    store = store_of(tmp_path, days=2)
    head = store.head()
    [*_, sealed] = store.rows(0, head.seq // 2)  # the two days are alike
    store.forget(sealed.seq)
    assert store.start() == (sealed.seq, sealed.hash, NOON_S + 120)
    assert store.head() == head
    assert next(store.rows()).seq == sealed.seq + 1
    assert verified(store) == head.seq - sealed.seq
    store.forget(sealed.seq)  # again, as after a crash
    store.forget(0)
    assert verified(store) == head.seq - sealed.seq
    store.close()


def test_a_day_that_went_on_while_it_was_sealed_is_not_forgotten(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    with pytest.raises(LedgerError, match="rows were added to a day behind row 3: seal that day again"):
        store.forget(3)
    with pytest.raises(LedgerError, match="row 999 is not there"):
        store.forget(999)
    assert verified(store) == store.head().seq
    store.close()


def test_a_sealed_day_gets_no_more_facts(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    head = store.head()
    store.forget(head.seq)
    assert store.head() == store.start() == head
    store.append([energy()], NOON_S + 300)  # by a clock that was read before midnight
    [known] = store.known()
    assert known.recorded_s == NOON_S + DAY_S // 2
    assert known.id == f"{store.writer}:{head.seq + 2}"
    store.close()
