"""The books against whoever can write into their files: a changed byte is found, whatever it is changed to, and whatever stands in
a row, a manifest or a proof is taken as it was meant or refused as what it is."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tests.fuzz.kit import as_json, bent, bent_bytes, bent_text, fuzzed, json_bytes, junk, raw, taken, texts
from tests.ledger.histories import facts_of
from tests.ledger.made import DAY_S, NOON_S, divided, energy, key, store_of, work

from wattledger.core.facts import (
    AllocationFact,
    Correction,
    EnergyFact,
    GapFact,
    IntensityFact,
    Key,
    Known,
    RunFact,
    WorkFact,
)
from wattledger.ledger import compaction, heads, store_journal, verdicts
from wattledger.ledger.body import BadBody, canonical, day_of, decode, decode_key, encode, encode_key
from wattledger.ledger.chain import link
from wattledger.ledger.compact import Plan, compact
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.heads import BadProof
from wattledger.ledger.manifest import BadManifest, Manifest, manifests, read
from wattledger.ledger.proofs import prove_consistency, prove_fact
from wattledger.ledger.segment_check import first_problem
from wattledger.ledger.segments import seal
from wattledger.ledger.store import Store
from wattledger.ledger.store_check import check

LATER_S = NOON_S + 30 * DAY_S

# --- bodies -----------------------------------------------------------------------------------------------------------------

words = texts.map(lambda text: text[:200].encode("utf-8", "replace").decode())
counts = st.integers(0, 2**63 - 1)
times = st.integers(0, 2**40)
keys = st.builds(Key, words, words, words, st.integers(0, 9_999), words, words, words, words, words, words, words, words,
                 st.dictionaries(words, words, max_size=2).map(lambda found: tuple(sorted(found.items()))))  # fmt: skip
facts = st.one_of(
    st.builds(EnergyFact, keys, times, times, times, counts, counts),
    st.builds(WorkFact, keys, times, times, counts, counts, counts, counts, counts),
    st.builds(AllocationFact, keys, times, times, counts, counts, request=words, tenant=words, weak=st.booleans()),
    st.builds(GapFact, words, words, words, times, times, words),
    st.builds(
        IntensityFact,
        words,
        times,
        times,
        counts,
        words,
        st.sampled_from(["average", "marginal"]),
        words,
        words,
        st.booleans(),
        st.booleans(),
    ),
    st.builds(RunFact, words, words, words, times),
)


@fuzzed(5)
@given(facts, times, st.booleans(), words)
def test_what_is_written_down_is_read_back(fact: Any, recorded_s: int, corrects: bool, why: str) -> None:
    said = Correction("a:1", why, fact) if corrects else fact
    text = encode(said, recorded_s, 1)
    found = json.loads(text)
    assert canonical(found) == text  # one form, and that is the one that is hashed
    known: dict[int, Key] = {}
    if isinstance(fact, EnergyFact | WorkFact | AllocationFact):
        explained = decode_key(json.loads(encode_key(1, fact.key, recorded_s)))
        assert explained.key == fact.key
        known = {1: explained.key}
    again = decode(found, "a:2", known)
    assert again == Known("a:2", recorded_s, fact, "a:1" if corrects else "", why if corrects else "")


BODIES = [json.loads(encode(energy(), NOON_S, 1)), json.loads(encode(work(), NOON_S, 1)), json.loads(encode(divided(5, 6), NOON_S,
1)),
          json.loads(encode_key(1, key(), NOON_S)), {"fact": "withdrawal", "recorded_s": 5, "corrects": "a:1",
          "because": "x"}]  # fmt: skip


@fuzzed(5)
@given(st.sampled_from(BODIES).flatmap(bent) | junk)
@example({**BODIES[0], "recorded_s": float("inf")})
@example({**BODIES[0], "key": float("nan")})
@example({**BODIES[0], "key": 10**400})
@example({**BODIES[0], "fact": ["energy"]})
@example({**BODIES[3], "number": float("inf")})
@example({**BODIES[3], "labels": [[["a", 1]]]})
def test_any_body_is_a_fact_or_none(found: Any) -> None:
    if isinstance(found, dict):
        taken(lambda: decode(found, "a:1", {1: key()}), BadBody, own=True)
        taken(lambda: decode_key(found), BadBody, own=True)


JOURNAL = store_journal.written([energy(), work(), divided(5, 6)], [1, 2, 3], NOON_S // DAY_S)
NUMBERS = {n: key(n) for n in (1, 2, 3)}


@fuzzed(5)
@given(bent_text(JOURNAL) | texts)
def test_a_changed_journal_is_none(body: str) -> None:
    found = taken(lambda: store_journal.read(body, NUMBERS), BadBody, own=True)
    assert found is None or (body == JOURNAL and len(found) == 3)


# --- the store and its segments ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three days, the first one sealed."""
    folder = tmp_path_factory.mktemp("books") / "made"
    store_of(folder, days=3, per_day=3).close()
    seal(folder, NOON_S + DAY_S)
    return folder


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory, books: Path) -> Callable[[], Path]:
    """A copy of the books, in place of the one before."""
    place = tmp_path_factory.mktemp("copies") / "now"

    def copy() -> Path:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(books, place)
        return place

    return copy


def forge(folder: Path, at: int, change: Callable[[str], str | bytes], *, knowing: bool) -> bool:
    """Change a row's body; ``knowing``: and all hashes from there on, as one would who knows how the books are kept."""
    with closing(sqlite3.connect(folder / "open.db")) as db:
        rows = db.execute("SELECT seq, body, hash FROM fact ORDER BY seq").fetchall()
        at %= len(rows)
        before = db.execute("SELECT hash FROM meta").fetchone()[0] if at == 0 else rows[at - 1][2]
        new = change(rows[at][1])
        if new == rows[at][1]:
            return False
        try:
            with db:
                for n, (seq, body, digest) in enumerate(rows[at:]):
                    body = new if n == 0 else body
                    digest = before = link(before, body) if knowing and isinstance(body, str) else digest
                    db.execute("UPDATE fact SET body = ?, hash = ? WHERE seq = ?", (body, digest, seq))
        except (sqlite3.Error, UnicodeEncodeError):
            return False  # SQLite itself does not take it
    return True


@fuzzed(1)
@given(st.integers(0, 40), st.data())
def test_no_row_can_be_changed_unseen(copies: Callable[[], Path], at: int, data: st.DataObject) -> None:
    folder = copies()
    assume(forge(folder, at, lambda body: data.draw(bent_text(body) | texts | raw), knowing=False))
    checked = taken(lambda: check(folder), LedgerError)
    assert checked is None or checked.seq is not None or checked.wrong or checked.no_fact


def everything(folder: Path) -> None:
    """All that reads the open part, up to sealing it."""
    store = Store.open(folder, readonly=True)
    try:
        list(store.known())
        list(store.withdrawals())
        store.head()
    finally:
        store.close()
    seal(folder, LATER_S)


@fuzzed(1)
@given(st.integers(0, 40), st.data())
@example(0, "[" * 20_000)
@example(0, '{"fact":"energy","recorded_s":1e999}')
@example(3, '{"fact":"energy","key":1,"recorded_s":' + str(NOON_S + DAY_S) + ',"start_s":' + "9" * 5_000 + "}")
@example(3, '{"fact":["energy"],"recorded_s":' + str(NOON_S + DAY_S) + "}")
@example(3, '{"fact":"energy","key":{},"recorded_s":' + str(NOON_S + DAY_S) + ',"energy_uj":NaN}')
@example(3, "null")
@example(0, encode_key(1, key(pue_milli="\r"), NOON_S))
def test_a_row_that_is_no_fact_is_refused_by_who_reads_it(copies: Callable[[], Path], at: int, data: st.DataObject | str) -> None:
    folder = copies()

    def change(body: str) -> str:
        if isinstance(data, str):
            return data
        try:
            tree = json.loads(body)
        except ValueError:
            return "{}"
        return data.draw(bent(tree).map(lambda found: as_json(found).decode()) | bent_text(body) | texts)

    assume(forge(folder, at, change, knowing=True))
    taken(lambda: check(folder), LedgerError, own=True)
    taken(lambda: everything(folder), LedgerError)


@pytest.fixture(scope="module")
def sealed(books: Path) -> Manifest:
    return manifests(books)[0]


@fuzzed(5)
@given(st.data())
def test_a_changed_manifest_is_none(
    books: Path, tmp_path_factory: pytest.TempPathFactory, sealed: Manifest, data: st.DataObject
) -> None:
    text = sealed.text()
    said = data.draw(bent_text(text) | bent(json.loads(text)).map(lambda tree: as_json(tree).decode() + "\n") | texts)
    path = tmp_path_factory.getbasetemp() / "manifest.json"
    path.write_bytes(said.encode("utf-8", "surrogatepass"))
    found = taken(lambda: read(path), BadManifest)
    assert found is None or (said == text and found.segment == sealed.segment)


@fuzzed(0.5)
@given(st.data())
def test_a_changed_segment_is_seen(tmp_path_factory: pytest.TempPathFactory, sealed: Manifest, data: st.DataObject) -> None:
    folder = tmp_path_factory.getbasetemp() / "segment"
    folder.mkdir(exist_ok=True)
    good = sealed.path.read_bytes()
    said = data.draw(bent_bytes(good) | raw)
    (folder / sealed.file).write_bytes(said)
    wrong = first_problem(sealed._replace(folder=folder))
    assert (wrong is None) == (said == good)


@pytest.fixture(scope="module")
def rolled(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The manifest of a compacted day."""
    folder = tmp_path_factory.mktemp("rolled") / "made"
    store_of(folder, days=2).close()
    seal(folder, NOON_S + DAY_S)
    assert compact(folder, day_of(NOON_S), Plan("minutes", (), False), now_s=LATER_S) is not None
    return next((folder / "segments" / "compact").glob("*/*.json")).read_bytes()


@fuzzed(5)
@given(st.data())
def test_a_changed_manifest_of_a_compacted_day_is_none(rolled: bytes, data: st.DataObject) -> None:
    good = compaction.parse(rolled, "here")
    said = data.draw(bent_bytes(rolled) | bent(json.loads(rolled)).map(as_json) | json_bytes)
    found = taken(lambda: compaction.parse(said, "here"), LedgerError)
    assert found is None or (said == rolled and found == good)


# --- heads and proofs: anybody's JSON ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def proofs(books: Path) -> list[dict[str, Any]]:
    """Of a sealed fact, of an open one, and that the books grew."""
    first, *_, last = facts_of(books)
    old = prove_fact(books, first, now_s=NOON_S + 3 * DAY_S)
    return [old, prove_fact(books, last, now_s=LATER_S), prove_consistency(books, old["head"], now_s=LATER_S)]


@fuzzed(5)
@given(st.data())
def test_a_changed_proof_proves_nothing_else(proofs: list[dict[str, Any]], data: st.DataObject) -> None:
    good = data.draw(st.sampled_from(proofs))
    said = json.loads(as_json(data.draw(bent(good) | junk)))
    trusted = good.get("new") or good["head"]
    verdict = verdicts.check(said, head=trusted)
    assert all(word.isprintable() and len(word) < 4_000 for word in verdict.words)
    verdicts.check(said)
    if verdict.proven:
        honest = verdicts.check(good, head=trusted)
        assert (verdict.fact, verdict.words[0]) == (honest.fact, honest.words[0])


@fuzzed(5)
@given(st.data())
def test_any_head_is_one_in_its_one_form_or_none(proofs: list[dict[str, Any]], data: st.DataObject) -> None:
    said = json.loads(as_json(data.draw(bent(proofs[0]["head"]) | junk)))
    found = taken(lambda: heads.from_dict(said), BadProof)
    assert found is None or heads.to_dict(found) == said
