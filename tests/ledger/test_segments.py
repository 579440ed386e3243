"""Sealing: closed days only, whole, once, whatever stops it and whoever writes meanwhile."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tracemalloc
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.histories import facts_of, writer_of
from tests.ledger.keys import KNOWN_PUBLIC, key_file
from tests.ledger.made import DAY_S, NOON_S, began, energy, gap, intensity, key, minute, store_of
from tests.ledger.sealing import LATER_S, bodies_of
from tests.ledger.test_store import ENV, ROOT

from wattledger.core.facts import ContractFact, Correction, EnergyFact
from wattledger.ledger import heads, merkle, signing
from wattledger.ledger.body import day_of
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.log import look
from wattledger.ledger.manifest import manifests
from wattledger.ledger.proofs import check, prove_consistency, prove_fact
from wattledger.ledger.segments import cut, seal
from wattledger.ledger.store import Store
from wattledger.ledger.verify import verify

MIDNIGHT_S = NOON_S // DAY_S * DAY_S


def program(word: str, folder: Path) -> list[str]:
    return [sys.executable, "-m", "tests.ledger.sealing", word, str(folder)]


def started(word: str, folder: Path) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(program(word, folder), cwd=ROOT, env=ENV, stdin=pipe, stdout=pipe, text=True)


def refusal(folder: Path) -> str:
    """What a seal was refused with, or nothing."""
    try:
        seal(folder, LATER_S)
    except LedgerError as wrong:
        return str(wrong)
    return ""


def files(folder: Path) -> dict[str, bytes]:
    """All files of the segments."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted((folder / "segments").rglob("*")) if path.is_file()}


def test_only_days_that_have_ended_are_sealed(tmp_path: Path) -> None:
    store_of(tmp_path, days=3).close()
    assert seal(tmp_path, NOON_S) == []
    assert seal(tmp_path, MIDNIGHT_S + DAY_S - 1) == []
    assert [m.segment.day for m in seal(tmp_path, MIDNIGHT_S + DAY_S)] == [day_of(NOON_S)]
    assert [m.segment.day for m in seal(tmp_path, NOON_S + 2 * DAY_S)] == [day_of(NOON_S + DAY_S)]
    store = Store.open(tmp_path)
    assert store.start().seq == manifests(tmp_path)[-1].segment.last_seq
    assert {day_of(known.recorded_s) for known in store.known()} == {day_of(NOON_S + 2 * DAY_S)}
    store.close()


def test_a_sealed_day_says_what_the_open_part_said(tmp_path: Path) -> None:
    store = store_of(tmp_path, days=2)
    ids = store.append([gap(), intensity(), began(labels=(("a\tb", 'c"\n\\x41'), ("ü", "\u2028"))), energy(3)], NOON_S + 2 * DAY_S)
    store.append([Correction(ids[-1], "was wrong", energy(3, uj=7)), Correction(ids[0], "never was")], NOON_S + 2 * DAY_S)
    store.append([ContractFact("c", "ppa", ("DE", "FR"), NOON_S, NOON_S + 60, None, 0, serials='1,2\t"3"')], NOON_S + 2 * DAY_S)
    opened, before = [segment for segment, _ in cut(store)], bodies_of(tmp_path)
    store.close()
    sealed = seal(tmp_path, LATER_S)
    assert [m.segment for m in sealed] == opened
    assert bodies_of(tmp_path) == before
    assert verify(tmp_path).problems == ()
    for manifest in sealed:
        segment = manifest.segment
        leaves = [merkle.leaf_hash(body.encode()) for body in before[segment.first_seq - 1 : segment.last_seq]]
        assert merkle.root(leaves).hex() == segment.root
        assert sha256(manifest.path.read_bytes()).hexdigest() == manifest.sha256
    assert sum(m.segment.energy_uj for m in sealed) == sum(
        json.loads(body)["energy_uj"] for body in before if '"fact":"energy"' in body
    )


def test_sealing_again_does_nothing(tmp_path: Path) -> None:
    store_of(tmp_path, days=3).close()
    seal(tmp_path, LATER_S)
    before = files(tmp_path)
    assert len(before) == 6
    assert seal(tmp_path, LATER_S) == []
    assert files(tmp_path) == before


def test_the_same_facts_make_the_same_files(tmp_path: Path) -> None:
    store_of(tmp_path / "a", days=2).close()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    seal(tmp_path / "a", LATER_S)
    seal(tmp_path / "b", NOON_S + DAY_S)  # one day now, one later
    seal(tmp_path / "b", LATER_S)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_nothing_is_recorded_on_a_sealed_day_any_more(tmp_path: Path) -> None:
    store_of(tmp_path, days=2).close()
    seal(tmp_path, LATER_S)
    store = Store.open(tmp_path)
    [late] = store.append([energy(start_s=NOON_S)], NOON_S)
    assert [day_of(known.recorded_s) for known in store.known()] == [day_of(NOON_S + 2 * DAY_S)]
    store.close()
    assert late in facts_of(tmp_path)
    assert verify(tmp_path).problems == ()


@pytest.mark.slow
@pytest.mark.parametrize("word", ["kill", "full"])
def test_stopped_anywhere_a_seal_loses_nothing_doubles_nothing_and_is_ended_by_the_next(tmp_path: Path, word: str) -> None:
    ended = subprocess.run(program(word, tmp_path), cwd=ROOT, env=ENV, capture_output=True, text=True, timeout=300)
    assert (ended.returncode, ended.stderr) == (0, "")
    counts = json.loads(ended.stdout)
    assert counts["kills"] > 15 if word == "kill" else counts["refused"] > 2


@pytest.mark.parametrize("call", ["fsync", "replace", "mkdir", "open"])
def test_each_call_of_the_kernel_may_fail_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    store_of(tmp_path / "made", days=2).close()
    before, real, refused, at = bodies_of(tmp_path / "made"), getattr(os, call), 0, 0
    while at == refused:
        folder = tmp_path / str(at)
        folder.mkdir()
        (folder / "open.db").write_bytes((tmp_path / "made" / "open.db").read_bytes())
        count = 0

        def failing(*given: Any, at: int = at, **more: Any) -> Any:
            nonlocal count
            count += 1
            if count == at + 1:
                raise OSError(28, "No space left on device")
            return real(*given, **more)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, failing)
            said = refusal(folder)
        if said:
            assert said == f"{folder}: not sealed: No space left on device; the facts are where they were"
            refused += 1
        assert bodies_of(folder) == before
        seal(folder, LATER_S)
        assert verify(folder)[1:4] == (len(before), 0, 2)
        at += 1
    assert refused > 1


def test_a_process_may_write_meanwhile(tmp_path: Path) -> None:
    store_of(tmp_path, days=6).close()
    before = bodies_of(tmp_path)
    with started("append", tmp_path) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        sealed = [m.segment.day for m in seal(tmp_path, LATER_S)]
        said = json.loads(writer.communicate("", timeout=60)[0])
    assert len(sealed) == 6
    assert said["ids"]
    assert set(said["ids"]) <= set(facts_of(tmp_path))
    assert bodies_of(tmp_path)[: len(before)] == before
    seal(tmp_path, LATER_S + DAY_S)
    assert verify(tmp_path).problems == ()
    assert set(said["ids"]) <= set(facts_of(tmp_path))


def test_two_seals_at_once_seal_each_day_once(tmp_path: Path) -> None:
    store_of(tmp_path, days=5).close()
    before = bodies_of(tmp_path)
    running = [started("seal", tmp_path) for _ in range(2)]
    days = [day for one in running for day in json.loads(one.communicate(timeout=60)[0])["days"]]
    assert sorted(days) == [day_of(NOON_S + day * DAY_S) for day in range(5)]
    assert bodies_of(tmp_path) == before
    assert verify(tmp_path)[1:4] == (len(before), 0, 5)


def test_a_key_signs_the_leaf(tmp_path: Path) -> None:
    store_of(tmp_path / "books").close()
    [manifest] = seal(tmp_path / "books", LATER_S, sign_key_file=str(key_file(tmp_path)))
    assert manifest.key == KNOWN_PUBLIC
    assert signing.verify(KNOWN_PUBLIC, manifest.segment.leaf(), manifest.signature)
    assert verify(tmp_path / "books", key=KNOWN_PUBLIC).signed_by == {KNOWN_PUBLIC: 1}


def test_a_key_that_cannot_be_read_seals_nothing(tmp_path: Path) -> None:
    store_of(tmp_path).close()
    with pytest.raises(LedgerError, match=r"nothing\.pem"):
        seal(tmp_path, LATER_S, sign_key_file=str(tmp_path / "nothing.pem"))
    assert manifests(tmp_path) == []
    assert len(seal(tmp_path, LATER_S)) == 1


def test_a_damaged_day_is_not_sealed(tmp_path: Path) -> None:
    store_of(tmp_path, days=2).close()
    db = sqlite3.connect(tmp_path / "open.db")
    with db:
        db.execute("UPDATE fact SET body = replace(body, '1000001', '1000002') WHERE seq = 4")
    db.close()
    assert f"fact {writer_of(tmp_path)}:4: the chain is broken here; run `wattledger ledger verify`" in refusal(tmp_path)
    assert manifests(tmp_path) == []


def test_a_folder_without_books_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no books are kept here"):
        seal(tmp_path, LATER_S)
    assert list(tmp_path.iterdir()) == []


def test_sealed_days_whose_manifests_are_gone_are_not_sealed_over(tmp_path: Path) -> None:
    store_of(tmp_path, days=2).close()
    seal(tmp_path, NOON_S + DAY_S)
    manifests(tmp_path)[0].written.unlink()
    with pytest.raises(LedgerError, match="their manifest is not here: bring it back from the lake"):
        seal(tmp_path, LATER_S)


def test_a_hosts_name_may_hold_anything(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    of = key(host="../a b/ü%", labels=(("x", "'; DROP TABLE fact; --"),))
    store.append([energy(of=of)], NOON_S)
    store.close()
    [manifest] = seal(tmp_path, LATER_S)
    assert manifest.segment.host == "../a b/ü%"
    assert manifest.folder.parent.parent == tmp_path / "segments"
    assert verify(tmp_path).problems == ()


def test_a_seal_between_breaks_no_proof_and_no_anchor(tmp_path: Path) -> None:
    store = store_of(tmp_path, days=3)
    old, ids = look(tmp_path).head(LATER_S), facts_of(tmp_path)
    proofs = [prove_fact(tmp_path, fact_id, now_s=LATER_S) for fact_id in (ids[0], ids[-1])]
    assert len(seal(tmp_path, LATER_S)) == 3
    store.append([energy()], LATER_S)
    store.close()
    assert check(prove_consistency(tmp_path, heads.to_dict(old), now_s=LATER_S)).proven
    assert all(check(proof).proven for proof in proofs)
    again = [prove_fact(tmp_path, fact_id, now_s=LATER_S) for fact_id in (ids[0], ids[-1])]
    assert all(check(proof).proven for proof in again)
    assert [check(proof).fact for proof in again] == [check(proof).fact for proof in proofs]


@pytest.mark.slow
def test_memory_does_not_grow_with_a_day(tmp_path: Path) -> None:
    peaks = []
    for count in (30_000, 90_000):
        store = Store.open(tmp_path / str(count))
        facts: list[EnergyFact] = minute(100)
        for at in range(0, count, 3_000):
            store.append(facts * 30, NOON_S + at)
        store.close()
        tracemalloc.start()
        seal(tmp_path / str(count), LATER_S)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_a_fact_is_small_once_sealed(tmp_path: Path) -> None:
    from tests.bench.seal import day

    store, count = Store.open(tmp_path), 0
    for now_s, facts in day(20, 8, 30):
        count += len(store.append(facts, now_s))
    store.close()
    [manifest] = seal(tmp_path, now_s + DAY_S)
    assert manifest.bytes / count <= 120
