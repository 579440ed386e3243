"""``wattledger ledger check``: proven in words, or not and why."""

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.cli.front import Front, is_one_line, own_place
from tests.ledger.histories import facts_of, lived
from tests.ledger.keys import KNOWN_PUBLIC, key_file
from tests.ledger.made import NOON_S

from wattledger.ledger import heads
from wattledger.ledger.log import look
from wattledger.ledger.proofs import prove_consistency, prove_fact


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


@pytest.fixture
def proof(tmp_path: Path) -> dict[str, Any]:
    """Of the second fact; beside it, in ``head.json``, the head it stands under, and in ``grown.json`` a proof of extension."""
    books = tmp_path / "books"
    lived(books, [("facts", 3), ("days", 1), ("facts", 2)])
    head = heads.to_dict(look(books).head(NOON_S))
    made = prove_fact(books, facts_of(books)[0], now_s=NOON_S)
    (tmp_path / "head.json").write_text(json.dumps(head))
    (tmp_path / "proof.json").write_text(json.dumps(made))
    (tmp_path / "grown.json").write_text(json.dumps(prove_consistency(books, head, now_s=NOON_S)))
    return made


def test_what_is_proven_is_said_in_words(front: Front, proof: dict[str, Any]) -> None:
    said = front("ledger", "check", "proof.json", "--head", "head.json")
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith(f"proven: fact {proof['id']} stands in the books: 1.000000 J for job job-0")
    assert "of 2026-09-21" in said.out
    assert "it is the head that was given" in said.out
    assert "nobody vouches" in front("ledger", "check", "proof.json").out
    said = front("ledger", "check", "grown.json", "--head", "head.json")
    assert said.status == 0
    assert "still stands, unchanged" in said.out


def test_json_says_the_same(front: Front, proof: dict[str, Any]) -> None:
    said = front("ledger", "check", "proof.json", "--json")
    assert said.status == 0
    found = json.loads(said.out)
    assert (found["proven"], found["fact"]) == (True, proof["id"])
    Path("proof.json").write_text(json.dumps(proof | {"id": "another"}))
    said = front("ledger", "check", "proof.json", "--json")
    assert said.status == 1
    assert json.loads(said.out)["proven"] is False


def test_a_changed_proof_or_head_is_one_line_and_status_1(front: Front, proof: dict[str, Any]) -> None:
    doubled = proof["fact"] | {"body": proof["fact"]["body"].replace("1000", "2000")}
    Path("bent.json").write_text(json.dumps(proof | {"fact": doubled}))
    Path("other.json").write_text(json.dumps(proof["head"] | {"segments": 7}))
    Path("list.json").write_text("[]")
    for words in (("bent.json",), ("proof.json", "--head", "other.json"), ("proof.json", "--key", "00" * 32), ("list.json",),
                  ("proof.json", "--head", "list.json"), ("head.json",)):  # fmt: skip
        said = front("ledger", "check", *words)
        assert (said.status, said.out) == (1, "")
        assert is_one_line(said.err)
        assert "not proven" in said.err


def test_a_signature_is_checked_against_the_key(front: Front, proof: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    signed = heads.to_dict(heads.signed(heads.from_dict(proof["head"]), key_file(tmp_path)))
    Path("proof.json").write_text(json.dumps(proof | {"head": signed}))
    Path("public.txt").write_text(KNOWN_PUBLIC + "\n")
    for key in (KNOWN_PUBLIC, KNOWN_PUBLIC.upper(), "public.txt"):
        assert front("ledger", "check", "proof.json", "--key", key).status == 0
    assert front("ledger", "check", "proof.json", "--key", "00" * 32).status == 1


def test_a_proof_may_come_by_standard_input(front: Front, proof: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(json.dumps(proof).encode())))
    assert front("ledger", "check", "-").status == 0


@pytest.mark.parametrize("words", ["nowhere.json", "books", "books/open.db", "proof.json --key short", "proof.json --head x"])
def test_wrong_words_are_one_line_and_status_2(front: Front, proof: dict[str, Any], words: str) -> None:
    assert proof
    said = front("ledger", "check", *words.split())
    assert (said.status, said.out) == (2, "")
    assert is_one_line(said.err)
