"""A proof that was changed anywhere proves nothing, and no JSON is too odd to be judged."""

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.histories import facts_of, lived
from tests.ledger.keys import KNOWN_PUBLIC, key_file
from tests.ledger.made import DAY_S, NOON_S, energy, store_of

from wattledger.ledger import heads, merkle, segments
from wattledger.ledger.log import look
from wattledger.ledger.proofs import check, prove_consistency, prove_fact
from wattledger.ledger.store import Store

LATER_S = NOON_S + 30 * DAY_S


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """Three days, the first one sealed."""
    store_of(tmp_path / "books", days=3).close()
    segments.seal(tmp_path / "books", NOON_S + DAY_S)
    return tmp_path / "books"


def leaves(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in a JSON document that is no container."""
    if isinstance(value, dict | list):
        for name in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[name], (*where, name))
    else:
        yield where


def put(proof: dict[str, Any], where: tuple[Any, ...], value: Any) -> dict[str, Any]:
    bent = copy.deepcopy(proof)
    at: Any = bent
    for name in where[:-1]:
        at = at[name]
    at[where[-1]] = value
    return bent


def other(value: Any) -> Iterator[Any]:
    """Values that are near this one."""
    if isinstance(value, int):
        yield from (value + 1, value - 1, -value - 1, float(value), str(value), True, 1 << 80)
        return
    yield from ("", value[:-1], value + "0", ("1" if value[:1] == "0" else "0") + value[1:], value.upper() + " ", None, 7, [value])
    if '"energy_uj":' in value:
        yield value.replace('"energy_uj":1', '"energy_uj":2')
        yield value.replace('":', '": ', 1)
    if '"job":' in value:
        yield value.replace("job-0", "job-9")


@pytest.mark.parametrize("number", [0, 13, 26])  # of the sealed, the closed and the open day
def test_nothing_in_a_facts_proof_can_be_changed(books: Path, number: int) -> None:
    proof = prove_fact(books, facts_of(books)[number], now_s=LATER_S)
    head = proof["head"]
    for where in leaves(proof):
        if where == ("head", "at_s"):  # when a head was said is not what it says
            continue
        at: Any = proof
        for name in where:
            at = at[name]
        for value in other(at):
            assert not check(put(proof, where, value), head=head).proven, (where, value)
    for name in proof:
        assert not check({k: v for k, v in proof.items() if k != name}, head=head).proven, name


def test_nothing_in_a_proof_of_extension_can_be_changed(books: Path) -> None:
    old = heads.to_dict(look(books).head(LATER_S))
    store = Store.open(books)
    store.append([energy(3)], NOON_S + 2 * DAY_S + 300)
    store.append([energy(4)], NOON_S + 3 * DAY_S)
    store.append([energy(5)], NOON_S + 5 * DAY_S)
    store.close()
    proof = prove_consistency(books, old, now_s=LATER_S)
    assert {"segments", "open", "segment"} <= set(proof)
    assert check(proof, head=old).proven
    assert check(proof, head=proof["new"]).proven
    for where in leaves(proof):
        if where[-1] == "at_s" or where == ("new", "open", "day") or where[:2] == ("new", "open"):
            continue  # the head of today is the prover's word; the older one is what is held against it
        at: Any = proof
        for name in where:
            at = at[name]
        for value in other(at):
            assert not check(put(proof, where, value), head=old).proven, (where, value)


def test_another_fact_under_the_same_path_is_not_proven(books: Path) -> None:
    facts = facts_of(books)
    proof, stranger = (prove_fact(books, facts[number], now_s=LATER_S) for number in (0, 14))
    for name in ("fact", "key", "segment"):
        assert not check(proof | {name: stranger[name]}, head=proof["head"]).proven
    assert not check(proof | {"key": proof["fact"]}, head=proof["head"]).proven


def test_a_key_said_after_the_fact_explains_nothing(tmp_path: Path) -> None:
    lived(tmp_path / "books", [("facts", 1), ("facts", 2)])
    log = look(tmp_path / "books")
    bodies = list(log.bodies(log.days[0]))
    hashes = [merkle.leaf_hash(body) for body in bodies]
    proof = prove_fact(tmp_path / "books", facts_of(tmp_path / "books")[0], now_s=LATER_S)
    at = max(i for i, body in enumerate(bodies) if b'"fact":"key"' in body)
    assert at > proof["fact"]["index"]
    late = {"body": bodies[at].decode(), "index": at, "path": [part.hex() for part in merkle.inclusion(at, hashes)]}
    verdict = check(proof | {"key": late})
    assert (verdict.proven, verdict.words) == (False, ("what should explain the fact's key does not",))


def test_a_signature_vouches_for_a_head_and_a_false_one_damns_it(books: Path, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    proof = prove_fact(books, facts_of(books)[0], now_s=LATER_S)
    assert not check(proof, public_key=KNOWN_PUBLIC).proven
    signed = heads.to_dict(heads.signed(heads.from_dict(proof["head"]), key_file(tmp_path)))
    assert check(proof | {"head": signed}, public_key=KNOWN_PUBLIC).proven
    assert f"signed by {KNOWN_PUBLIC}" in check(proof | {"head": signed}).words[3]
    stranger = key_file(tmp_path, "11" * 32)
    forged = heads.to_dict(heads.signed(heads.from_dict(proof["head"]), stranger))
    assert not check(proof | {"head": forged}, public_key=KNOWN_PUBLIC).proven
    for bent in ({"at_s": 5}, {"signature": forged["signature"]}, {"key": forged["key"]}, {"signature": ""}):
        assert not check(proof | {"head": signed | bent}).proven, bent


WORDS = ["schema", "proves", "head", "fact", "key", "old", "new", "segment", "segments", "open", "body", "index", "path"]
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


@settings(max_examples=60)
@given(junk=st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(WORDS), inner)))
def test_any_json_is_judged_and_none_is_an_error(junk: Any) -> None:
    for proof in (junk, {"schema": "wattledger.proof/1", "proves": "fact", "head": junk, "fact": junk},
                  {"schema": "wattledger.proof/1", "proves": "extension", "old": junk, "new": junk}):  # fmt: skip
        verdict = check(proof)
        assert not verdict.proven
        assert len(verdict.words) == 1


@pytest.mark.parametrize("recorded_s", [NOON_S, -1, 10**17, "x", None, [1]])
@pytest.mark.parametrize("energy_uj", [1, "x", None, {"a": 1}, "\x1b[2J"])
def test_whatever_a_prover_made_up_is_judged(recorded_s: Any, energy_uj: Any) -> None:
    key = {"fact": "key", "number": 1, "meter": "m", "host": "\x1b[2J", "recorded_s": NOON_S}
    fact = {"fact": "energy", "key": 1, "start_s": 0, "length_s": 60, "seen_ms": 1}
    fact |= {"energy_uj": energy_uj, "recorded_s": recorded_s}
    bodies = [json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False) for body in (key, fact)]
    hashes = [merkle.leaf_hash(body.encode()) for body in bodies]
    head = heads.TreeHead("a" * 16, 0, merkle.EMPTY_ROOT.hex(), "2026-09-21", 2, merkle.root(hashes).hex(), 0)
    said, explained = (
        {"body": bodies[i], "index": i, "path": [p.hex() for p in merkle.inclusion(i, hashes)]} for i in (1, 0)
    )
    proof = {"schema": "wattledger.proof/1", "proves": "fact", "id": "a" * 16 + ":2", "fact": said, "key": explained}
    verdict = check(proof | {"head": heads.to_dict(head)})
    assert verdict.proven == (recorded_s == NOON_S)
    assert all(line.isprintable() for line in verdict.words)


def test_an_auditor_needs_no_database_to_check(tmp_path: Path) -> None:
    code = "import sys, wattledger.ledger.verdicts; print({'sqlite3', 'duckdb', 'fsspec', 'cryptography'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_when_a_head_was_said_is_the_given_heads_word(books: Path) -> None:
    proof = prove_fact(books, facts_of(books)[0], now_s=LATER_S)
    backdated = proof | {"head": proof["head"] | {"at_s": 0}}
    assert "1970" in check(backdated).words[2]
    assert "1970" not in check(backdated, head=proof["head"]).words[2]
