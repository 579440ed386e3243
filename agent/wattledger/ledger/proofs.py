"""Proofs from the books: that a fact stands in them, and that they extend what they once were.  ``verdicts.check`` judges them.

A proof is plain JSON, schema ``wattledger.proof/1``: hashes on the way from a body to a tree head, and nothing else of the books.
Its length grows with the logarithm of what they hold.  No proof leaves here that would not pass.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from wattledger.ledger import heads, merkle
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.heads import BadProof, TreeHead
from wattledger.ledger.log import Log, look
from wattledger.ledger.manifest import Segment
from wattledger.ledger.verdicts import SCHEMA, Verdict, check, head_words

__all__ = ["Unproven", "Verdict", "check", "prove_consistency", "prove_extension", "prove_fact"]


class Unproven(LedgerError):
    """The books are not what would have to be proven; the message is one line."""


class Found(NamedTuple):
    """A fact in its day: the leaf hashes of the day, the body at ``place``, and the place and body of its key."""

    leaves: list[bytes]
    place: int
    body: str
    key: tuple[int, str] | None


def prove_fact(folder: Path, fact_id: str, *, now_s: int, under: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """That this fact stands in the books, under the head of ``now_s`` or (``under``) an older one, as JSON.

    Raises Unproven where it does not, LedgerError where the books cannot be read.
    """
    log = look(folder)
    head = log.head(now_s) if under is None else _head(under)
    writer, _, number = fact_id.rpartition(":")
    if not (number.isascii() and number.isdecimal() and writer):
        raise LedgerError(f"{fact_id!r} is not a fact's id: those are WRITER:NUMBER, as `wattledger ledger export` shows them")
    at = next((i for i, day in enumerate(log.days) if day.first_seq <= int(number) <= day.last_seq), None)
    if writer != log.writer or at is None:
        raise Unproven(f"{folder}: there is no fact {fact_id} in these books (they are of {log.writer})")
    day = log.days[at]
    size = day.count if at < head.segments else head.size if at == head.segments else 0
    if head.writer != writer or int(number) - day.first_seq >= size:
        raise Unproven(f"fact {fact_id} does not stand under the head {head_words(head)}: it is newer, or of other books")
    found = _find(log, day, int(number) - day.first_seq, size)
    proof: dict[str, Any] = {"schema": SCHEMA, "proves": "fact", "id": fact_id, "fact": _proven(found, found.place, found.body)}
    if found.key is not None:
        proof["key"] = _proven(found, *found.key)
    if at < head.segments:
        proof["segment"] = _segment(log, at, head.segments)
    elif at:
        proof["before"] = _segment(log, at - 1, head.segments)
    return _passed(proof | {"head": heads.to_dict(head)})


def prove_consistency(folder: Path, old_head: Mapping[str, Any], *, now_s: int) -> dict[str, Any]:
    """That all that stood under an older head still stands, in its place, as JSON.

    Raises Unproven where it does not: rewritten, cut short, or other books.  LedgerError where the books cannot be read.
    """
    return prove_extension(look(folder), old_head, now_s=now_s)


def prove_extension(log: Log, old_head: Mapping[str, Any], *, now_s: int) -> dict[str, Any]:
    """``prove_consistency`` of books that were looked at already."""
    old, new = _head(old_head), log.head(now_s)
    if old.writer != new.writer:
        raise Unproven(f"{log.folder}: these are the books of {new.writer}, and the older head is of {old.writer}")
    was = log.days[old.segments] if old.segments < len(log.days) else None
    if (was is None and old.segments + old.size) or (was is not None and was.count < old.size):
        raise Unproven(f"{log.folder}: facts that stood under the head {head_words(old)} are gone: the books were cut short")
    proof: dict[str, Any] = {"schema": SCHEMA, "proves": "extension", "old": dict(old_head), "new": heads.to_dict(new)}
    proof["segments"] = _hexes(merkle.consistency(old.segments, log.leaves(new.segments)))
    if was is not None and old.size:
        leaves = [] if was.count == old.size else _leaves(log, was)
        proof["open"] = _hexes(merkle.consistency(old.size, leaves)) if leaves else []
        if old.segments < new.segments:
            proof["segment"] = _segment(log, old.segments, new.segments)
    return _passed(proof)


def _find(log: Log, day: Segment, index: int, size: int) -> Found:
    """One pass over the day: hashes of all, bodies of two."""
    keys: dict[str, tuple[int, str]] = {}
    leaves: list[bytes] = []
    body = ""
    for i, data in enumerate(log.bodies(day)):
        if i < size:
            leaves.append(merkle.leaf_hash(data))
        if i == index:
            body = data.decode("utf-8", "replace")  # what is no UTF-8 does not pass
        elif i < index and b'"fact":"key"' in data:
            text = data.decode("utf-8", "replace")
            keys[str(_parsed(text).get("number"))] = (i, text)
    return Found(leaves, index, body, keys.get(str(_parsed(body).get("key", ""))))


def _leaves(log: Log, day: Segment) -> list[bytes]:
    return [merkle.leaf_hash(data) for data in log.bodies(day)]


def _parsed(body: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _proven(found: Found, index: int, body: str) -> dict[str, Any]:
    return {"body": body, "index": index, "path": _hexes(merkle.inclusion(index, found.leaves))}


def _segment(log: Log, index: int, size: int) -> dict[str, Any]:
    """A segment's leaf and its path in the log of ``size`` segments."""
    path = _hexes(merkle.inclusion(index, log.leaves(size)))
    return {"leaf": log.days[index].leaf().decode(), "index": index, "path": path}


def _hexes(path: list[bytes]) -> list[str]:
    return [part.hex() for part in path]


def _head(given: Mapping[str, Any]) -> TreeHead:
    try:
        return heads.from_dict(given)
    except BadProof as wrong:
        raise LedgerError(str(wrong)) from None


def _passed(proof: dict[str, Any]) -> dict[str, Any]:
    """The proof, if it proves what it says."""
    verdict = check(proof, head=proof.get("old") or proof["head"])
    if not verdict.proven:
        raise Unproven(verdict.words[0])
    return proof
