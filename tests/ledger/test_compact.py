"""Compaction: one file for a day, the same joules, and nothing lost whatever happens."""

import json
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.ledger import fleet
from tests.ledger.fleet import LATER_S, failing, host, joules, memory, shared, until_it_works
from tests.ledger.made import DAY_S, NOON_S

from wattledger.core.facts import Correction, EnergyFact
from wattledger.ledger import lake
from wattledger.ledger.body import day_of
from wattledger.ledger.compact import Plan, compact, days, undo
from wattledger.ledger.compaction import Compaction, compactions, rolled_up, standing, verify_compacted
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.held import find
from wattledger.ledger.manifest import manifests
from wattledger.ledger.rollup import Keep, Level
from wattledger.ledger.segments import seal
from wattledger.ledger.store import Store

DAY = day_of(NOON_S)


class Price(NamedTuple):
    zone: str
    start_s: int
    length_s: int
    ug_per_kwh: int
    cause: str = "live"
    settled: bool = True


PRICES = (Price("DE", NOON_S - 86400, 3 * 86400, 329_000_000),)


def made(place: str | Path, level: Level = "slots", *, drop: bool = False, day: str = DAY) -> Compaction:
    done = compact(place, day, Plan(level, PRICES, drop), now_s=LATER_S)
    assert done is not None
    return done


@pytest.mark.parametrize("level", ["minutes", "slots", "days"])
@pytest.mark.parametrize("where", ["folder", "memory"])
def test_a_compacted_day_of_many_hosts_is_one_file_with_the_same_joules(tmp_path: Path, level: Level, where: str) -> None:
    url = shared(tmp_path, tmp_path / "lake" if where == "folder" else memory(), hosts=3)
    before = joules(url)
    done = made(url, level, drop=True)
    assert joules(url) == before
    assert done.energy_uj == sum(uj for name, uj in before.items() if name != "work")
    segments = [one.segment for one in lake.fetch_manifests(url)]
    assert {one.digest() for one in segments} == set(done.sources) == rolled_up(url)
    assert {digest: source.energy_uj for digest, source in done.sources.items()} == {o.digest(): o.energy_uj for o in segments}
    assert [name for name in lake.names(url) if name.endswith(".parquet")] == [f"compact/day={DAY}/{level}.parquet"]
    assert verify_compacted(url) == []


def test_rows_are_sorted_by_job_so_that_a_report_of_one_reads_little(tmp_path: Path) -> None:
    books = host(tmp_path, "gpu-0")
    done = made(books, "minutes")
    from wattledger.ledger.engine import connect

    engine = connect(memory_mb=100)
    path = tmp_path / "gpu-0" / "segments" / done.file
    rows = engine.execute(f"SELECT job, start_s FROM read_parquet('{path}') WHERE fact = 'energy'").fetchall()
    engine.close()
    assert len(rows) == 140
    assert rows == sorted(rows)


def test_the_same_facts_give_the_same_bytes(tmp_path: Path) -> None:
    books = host(tmp_path, "gpu-0")
    first = made(books)
    assert undo(books, DAY)
    assert made(books) == first


def test_compacting_again_writes_nothing(tmp_path: Path) -> None:
    books = host(tmp_path, "gpu-0")
    made(books, drop=True)
    files = written(books)
    made(books, drop=True)
    made(books, "minutes")
    assert written(books) == files


def written(books: Path) -> dict[str, int]:
    return {name: (books / "segments" / name).stat().st_mtime_ns for name in lake.names(books / "segments")}


def test_a_day_is_rolled_up_from_what_was_rolled_up_before(tmp_path: Path) -> None:
    books = host(tmp_path, "gpu-0")
    before = joules(books)
    for level in ("minutes", "slots", "days"):
        done = made(books, level, drop=True)
        assert joules(books) == before
        assert [one.level for one in compactions(books)] == [level]
        assert len(done.sources) == 1
    assert verify_compacted(books) == []


def test_a_day_row_carries_what_its_hours_were_priced_at(tmp_path: Path) -> None:
    books = host(tmp_path, "gpu-0")
    done = made(books, "days", drop=True)
    from wattledger.ledger.engine import connect

    engine = connect(memory_mb=100)
    path = tmp_path / "gpu-0" / "segments" / done.file
    sql = f"SELECT CAST(SUM(priced) AS VARCHAR), MIN(priced_by), MIN(length_s) FROM '{path}' WHERE fact = 'energy'"
    [(priced, cause, length_s)] = engine.execute(sql).fetchall()
    engine.close()
    assert (int(priced), cause, length_s) == (done.energy_uj * 329_000_000, "live", DAY_S)


def test_too_early_is_one_line_that_says_from_when(tmp_path: Path) -> None:
    books = host(tmp_path, "gpu-0")
    when = r"too early to compact to slots: from 2026-\d\d-\d\dT00:00Z on \(\[ledger\] keep_minutes"
    with pytest.raises(LedgerError, match=when):
        compact(books, DAY, Plan("slots"), now_s=NOON_S + 5 * DAY_S)
    with pytest.raises(LedgerError, match="for ever"):
        compact(books, DAY, Plan("days"), now_s=LATER_S, keep=Keep(slots_days=0))
    assert compactions(books) == []


def test_a_segment_that_comes_late_is_added_to_what_was_dropped(tmp_path: Path) -> None:
    url = shared(tmp_path, tmp_path / "lake")
    made(url, drop=True)
    late = host(tmp_path, "gpu-late")
    lake.share(late, url, fleet.silent)
    before = joules(url)
    assert ("gpu-late", "job-0") in before  # a reader needs no compaction to see it
    done = made(url, drop=True)
    assert len(done.sources) == 3
    assert joules(url) == before
    assert verify_compacted(url) == []


def test_a_correction_that_comes_after_the_roll_up_holds(tmp_path: Path) -> None:
    books = host(tmp_path, "gpu-0")
    writer = manifests(books)[0].segment.writer
    before = joules(books)
    fact_id = f"{writer}:4"
    found = find([books], fact_id)
    assert found is not None
    fact = found.known.fact
    assert isinstance(fact, EnergyFact)
    made(books)
    assert find([books], fact_id) is None  # it is in a sum now
    correct(books, Correction(fact_id, "typo", fact._replace(energy_uj=fact.energy_uj + 5)))
    done = made(books, drop=True)
    assert done.corrected == (fact_id,)
    after = joules(books)
    assert after.pop(("gpu-0", fact.key.job)) == before.pop(("gpu-0", fact.key.job)) + 5
    assert after == before
    again = find([books], fact_id)
    assert again is not None
    assert again.known.fact == fact
    assert verify_compacted(books) == []


def correct(books: Path, correction: Correction) -> None:
    store = Store.open(books)
    store.append([correction], LATER_S)
    store.close()
    seal(books, LATER_S)


def test_a_correction_that_comes_after_the_drop_is_said(tmp_path: Path) -> None:
    books = host(tmp_path, "gpu-0")
    writer = manifests(books)[0].segment.writer
    made(books, drop=True)
    correct(books, Correction(f"{writer}:4", "too late"))
    said: list[str] = []
    compact(books, DAY, Plan("slots"), now_s=LATER_S, say=said.append)
    assert len(said) == 1
    assert "cannot be applied" in said[0]
    with pytest.raises(LedgerError, match="can be corrected no more"):
        undo(books, DAY)


# --- damage -----------------------------------------------------------------------------------------------------------------


def test_a_damaged_source_is_never_compacted(tmp_path: Path) -> None:
    books = host(tmp_path, "gpu-0")
    flip(manifests(books)[0].path, 300)
    with pytest.raises(LedgerError, match="changed since it was written"):
        made(books, drop=True)
    assert manifests(books)[0].path.exists()
    assert compactions(books) == []


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= 4
    path.write_bytes(data)


def test_every_flipped_bit_of_a_compacted_file_or_its_manifest_is_found(tmp_path: Path) -> None:
    books = host(tmp_path, "gpu-0", minutes=2)
    done = made(books, drop=True)
    for name in (done.file, done.written):
        path = books / "segments" / name
        whole = path.read_bytes()
        for at in range(0, len(whole), max(1, len(whole) // 40)):
            flip(path, at)
            assert len(verify_compacted(books)) == 1
            path.write_bytes(whole)
    assert verify_compacted(books) == []


def test_a_file_that_is_gone_or_has_no_manifest_is_found(tmp_path: Path) -> None:
    books = host(tmp_path, "gpu-0", minutes=2)
    done = made(books)
    data, text = books / "segments" / done.file, books / "segments" / done.written
    kept = data.read_bytes()
    data.unlink()
    assert "is gone" in verify_compacted(books)[0]
    data.write_bytes(kept)
    text.unlink()
    assert "without its manifest" in verify_compacted(books)[0]


def test_energy_that_was_slipped_in_with_a_new_digest_is_found(tmp_path: Path) -> None:
    books = host(tmp_path, "gpu-0", minutes=2)
    done = made(books)
    path = books / "segments" / done.written
    forged = done._replace(energy_uj=done.energy_uj + 1)
    path.write_text(forged.text())
    assert json.loads(path.read_text())["digest"] != sha256(b"").hexdigest()
    problems = verify_compacted(books)
    assert any("not the sum of its sources" in problem for problem in problems)


def test_a_segment_that_is_gone_and_in_no_compacted_file_is_one_line(tmp_path: Path) -> None:
    books = host(tmp_path, "gpu-0", minutes=2)
    manifests(books)[0].path.unlink()
    with pytest.raises(LedgerError, match="gone, and not compacted"):
        made(books)


# --- stopped on the way -----------------------------------------------------------------------------------------------------


def test_stopped_at_any_write_no_joule_is_lost_or_doubled_and_it_goes_on(tmp_path: Path) -> None:
    url = str(shared(tmp_path, failing()))
    before = joules(url)
    stops = 0
    for _ in until_it_works(lambda: made(url, "minutes", drop=True)):
        assert joules(url) == before
        stops += 1
    for _ in until_it_works(lambda: made(url, "slots", drop=True)):
        assert joules(url) == before
        stops += 1
    assert joules(url) == before
    assert verify_compacted(url) == []
    assert stops >= 6


def test_stopped_while_a_late_segment_is_added_it_counts_once(tmp_path: Path) -> None:
    url = str(shared(tmp_path, failing(), hosts=1))
    made(url, drop=True)
    lake.share(host(tmp_path, "gpu-late"), url, fleet.silent)
    before = joules(url)
    stops = 0
    for _ in until_it_works(lambda: made(url, drop=True)):
        assert joules(url) == before
        stops += 1
    assert (joules(url), stops >= 4) == (before, True)
    assert [len(one.sources) for one in standing(url)] == [2]


def test_only_one_compacts_a_folder_at_a_time(tmp_path: Path) -> None:
    import fcntl

    books = host(tmp_path, "gpu-0", minutes=2)
    made(books)
    with open(books / "segments" / "compact" / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(LedgerError, match="another process"):
            made(books, "days")


def test_what_a_killed_compaction_left_lying_is_no_file_of_the_books(tmp_path: Path) -> None:
    books = host(tmp_path, "gpu-0", minutes=2)
    work = books / "segments" / "compact" / ".work"
    work.mkdir(parents=True)
    (work / "slots.parquet").write_bytes(b"half")
    assert verify_compacted(books) == []
    assert days(books) == [DAY]
    made(books)
    assert not work.exists()
