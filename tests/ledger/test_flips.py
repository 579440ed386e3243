"""A flipped bit anywhere: in a row, in the database's file, in a segment, in a manifest.  Verification finds every one."""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.made import DAY_S, NOON_S, began, energy, gap, intensity, store_of

from wattledger.ledger.manifest import BadManifest, Manifest, manifests, read
from wattledger.ledger.segment_check import first_problem
from wattledger.ledger.segments import seal
from wattledger.ledger.store import Store
from wattledger.ledger.store_check import check
from wattledger.ledger.verify import verify


def made(folder: Path) -> Path:
    """Three days of facts of several kinds, and an open minute."""
    store = store_of(folder, days=3, per_day=8)
    store.append([gap(), intensity(), began()], NOON_S + 2 * DAY_S + 300)
    store.journal([energy(1, start_s=NOON_S + 2 * DAY_S)], NOON_S + 2 * DAY_S + 310)
    store.close()
    return folder


@pytest.fixture
def opened(tmp_path: Path) -> Path:
    return made(tmp_path / "open")


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    folder = made(tmp_path / "sealed")
    seal(folder, NOON_S + 2 * DAY_S)
    return folder


def flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def places(size: int, count: int, seed: int) -> Iterator[tuple[int, int]]:
    """(byte, bit): both ends, and so many others spread over the whole."""
    chance = random.Random(seed)
    yield from ((at, chance.randrange(8)) for at in (0, 3, size - 1))
    for i in range(count):
        yield chance.randrange(size * i // count, max(size * (i + 1) // count, size * i // count + 1)), chance.randrange(8)


def facts(folder: Path) -> tuple[Any, ...]:
    """All that is read from an open part."""
    store = Store.open(folder, readonly=True)
    try:
        return store.writer, store.start(), store.head(), list(store.rows()), list(store.known())
    finally:
        store.close()


@pytest.mark.parametrize("column", ["body", "hash"])
def test_a_bit_flipped_in_a_row_is_found_at_that_row(opened: Path, column: str) -> None:
    file, chance = opened / "open.db", random.Random(column)
    with closing(sqlite3.connect(file)) as db:
        rows = db.execute(f"SELECT seq, CAST({column} AS BLOB) FROM fact").fetchall()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = file.read_bytes()
    assert len(rows) > 50
    for seq, value in rows:
        # In the file, past SQLite, which would look after its indexes.
        at = data.find(value)
        assert at > 0
        for _ in range(4):
            file.write_bytes(flipped(data, at + chance.randrange(len(value)), chance.randrange(8)))
            found = check(opened)
            assert (found.seq, found.head.seq) == (seq, seq - 1)
            assert "chain is broken here" in found.wrong
    file.write_bytes(data)
    assert verify(opened).clean


def test_a_bit_flipped_in_the_database_is_found_or_touches_no_fact(opened: Path, tmp_path: Path) -> None:
    before, data, now = facts(opened), (opened / "open.db").read_bytes(), tmp_path / "now"
    now.mkdir()
    found = 0
    for at, bit in [*places(len(data), 250, 1), *places(4096, 150, 2)]:
        for path in now.iterdir():
            path.unlink()
        (now / "open.db").write_bytes(flipped(data, at, bit))
        if verify(now).clean:
            assert facts(now) == before, (at, bit)
        else:
            found += 1
    assert found > 100


def test_a_bit_flipped_in_a_segment_is_found(sealed: Path) -> None:
    for manifest in manifests(sealed):
        data = manifest.path.read_bytes()
        for at, bit in places(len(data), 400, 3):
            manifest.path.write_bytes(flipped(data, at, bit))
            assert first_problem(manifest) == (None, "the file changed since it was sealed (SHA-256)")
        manifest.path.write_bytes(data)
    assert verify(sealed).clean


def test_a_bit_flipped_in_a_manifest_is_found_wherever_it_is(sealed: Path) -> None:
    manifest = manifests(sealed)[0]
    data = manifest.written.read_bytes()
    chance = random.Random(4)
    for at in range(len(data)):
        manifest.written.write_bytes(flipped(data, at, chance.randrange(8)))
        with pytest.raises(BadManifest):
            read(manifest.written)
    manifest.written.write_bytes(data)
    assert read(manifest.written) == manifest


@pytest.mark.slow
@pytest.mark.parametrize("part", ["parquet", "json"])
def test_what_is_still_good_is_said_with_every_flip(sealed: Path, part: str) -> None:
    first, second = manifests(sealed)
    path = first.path if part == "parquet" else first.written
    data = path.read_bytes()
    for at in (5, len(data) // 3, len(data) - 6):
        path.write_bytes(flipped(data, at, 1))
        report = verify(sealed)
        assert {problem.where for problem in report.problems} >= {str(path)}
        assert report.segments == 1
        assert report.facts == second.segment.count + report.open_facts
    path.write_bytes(data)
    assert verify(sealed).clean


def test_a_file_that_fits_a_forged_manifest_is_still_not_what_was_sealed(sealed: Path, tmp_path: Path) -> None:
    """Whoever mends the file's digest, too, is left with the Merkle root, the chain and the columns."""
    first = manifests(sealed)[0]
    for wrong, words, first_seq in FORGED:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        shutil.copytree(first.folder, folder)
        seq, what = first_problem(forged(first._replace(folder=folder), wrong)) or (None, "")
        assert words in what, wrong
        assert first_seq is None or seq == first_seq


FORGED = [
    ("SELECT * REPLACE (CASE WHEN seq = 4 THEN replace(body, '000', '001') ELSE body END AS body)", "Merkle root", None),
    ("SELECT * REPLACE (CASE WHEN seq = 4 THEN 'job-9' ELSE job END AS job)", "its column job is not what its body says", 4),
    ("SELECT * REPLACE (CASE WHEN seq = 4 THEN seen_ms + 1 ELSE seen_ms END AS seen_ms)", "its column seen_ms is not", 4),
    ("SELECT * REPLACE (CASE WHEN seq = 4 THEN 'no one' ELSE corrects END AS corrects)", "its column corrects is not", 4),
    ("SELECT * REPLACE (CASE WHEN seq = 4 THEN requests ELSE coalesce(requests, 0) END AS requests)", "its column requests is", 1),
    ("SELECT * REPLACE ('0123456789abcdef' AS writer)", "its column writer is not", None),
    ("SELECT * REPLACE (energy_uj * 2 AS energy_uj)", "its energy or times are", None),
    ("SELECT * REPLACE (CASE WHEN seq = 4 THEN 0 ELSE seq END AS seq)", "a fact is missing here", None),
    ("SELECT * EXCLUDE (labels)", "not the columns of a segment", None),
]


def forged(manifest: Manifest, sql: str) -> Manifest:
    """The segment as this SQL makes it, under a manifest whose digest of the file is right."""
    import duckdb

    from wattledger.ledger.segments import digest_of

    made = manifest.path.with_suffix(".forged")
    duckdb.sql(f"COPY ({sql} FROM read_parquet('{manifest.path}', hive_partitioning = false)) TO '{made}' (FORMAT parquet)")
    made.replace(manifest.path)
    return manifest._replace(sha256=digest_of(manifest.path), bytes=manifest.path.stat().st_size)
