"""What a proof proves, judged from the proof alone: no books, no database, nothing but hashes.

A proof is anybody's JSON.  Whatever is wrong with it is a verdict and never an exception; what stands or falls with it is the tree
head, so the verdict also says whose word that is.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from wattledger.core.facts import EnergyFact, Key, Known
from wattledger.ledger import heads, merkle
from wattledger.ledger.body import BadBody, canonical, day_of, decode, decode_key
from wattledger.ledger.heads import BadProof, TreeHead, digest, field, path

SCHEMA = "wattledger.proof/1"


class Verdict(NamedTuple):
    """``words``: what is proven, or (one line) why nothing is.  ``fact``: the fact, of a fact's proof; a withdrawal has none."""

    proven: bool
    words: tuple[str, ...]
    fact: Known | None = None


class Leaf(NamedTuple):
    """What a proof needs of a segment: how many ``rows``, and its ``place`` in the log, from 0."""

    day: str
    first_seq: int
    rows: int
    root: bytes
    place: int


class Fact(NamedTuple):
    """A fact as a proof has it, and its ``place`` (from 0) among the ``rows`` of its day."""

    id: str
    known: Known | None
    body: str
    place: int
    rows: int
    day: str


def check(proof: object, *, head: Mapping[str, Any] | None = None, public_key: str | None = None) -> Verdict:
    """Whether the proof proves what it says.

    ``head``: a tree head that is trusted, as JSON; the proof must stand under it.  ``public_key``: whose signature (hex) every
    other head must have.  With neither, the head is the prover's own word, and ``words`` say so.  Raises LedgerError only where
    there is a signature and no package to check it.
    """
    try:
        trusted = None if head is None else heads.from_dict(head)
        if not isinstance(proof, Mapping) or proof.get("schema") != SCHEMA:
            raise BadProof(f"not a proof ({SCHEMA})")
        match proof.get("proves"):
            case "fact":
                return _check_fact(proof, trusted, public_key)
            case "extension":
                return _check_extension(proof, trusted, public_key)
        raise BadProof("the proof does not say what it proves: a fact or an extension")
    except (BadProof, BadBody) as wrong:
        return Verdict(False, (str(wrong),))


# --- a fact stands in the books -----------------------------------------------------------------------------------------


def _check_fact(proof: Mapping[str, Any], trusted: TreeHead | None, public_key: str | None) -> Verdict:
    head = heads.from_dict(proof.get("head"))
    if trusted is not None and not head.says_the_same_as(trusted):
        raise BadProof("the proof stands under another tree head than the one given")
    head = trusted or head  # when it was said is not among what must agree: the given one's word counts
    vouched = _vouched(head, trusted, public_key)
    fact = _fact_under(proof, head)
    return Verdict(
        True,
        (
            f"fact {fact.id} stands in the books: {_readable(fact)}",
            f"it is row {fact.place + 1:,} of {fact.rows:,} of {fact.day}",
            f"under the head {head_words(head)}",
            vouched,
            "whether a later fact corrects it, this proof does not say",
        ),
        fact.known,
    )


def _fact_under(proof: Mapping[str, Any], head: TreeHead) -> Fact:
    """The fact, if its hashes lead up to the head.  Raises BadProof."""
    if "segment" in proof:
        leaf = _leaf(proof["segment"], head)
        day, first_seq, size, root = leaf.day, leaf.first_seq, leaf.rows, leaf.root
    else:
        day, size, root = head.day, head.size, bytes.fromhex(head.open_root)
        first_seq = _first_open(proof, head)
    found, text, index = _body(proof.get("fact"), size, root)
    fact_id = f"{head.writer}:{first_seq + index}"
    if proof.get("id") != fact_id:
        raise BadProof(f"the proof is of fact {fact_id}, and says that it is of another")
    keys: dict[int, Key] = {}
    if "key" in proof:
        said, _, key_index = _body(proof["key"], size, root)
        if said.get("fact") != "key" or key_index >= index:
            raise BadProof("what should explain the fact's key does not")
        explained = decode_key(said)
        keys[explained.number] = explained.key
    if found.get("fact") == "key":
        raise BadProof("this row explains a key and is not a fact")
    recorded_s = field(found, "recorded_s", int)
    if recorded_s > 253_402_300_799 or day_of(recorded_s) != day:
        raise BadProof("the fact was not recorded on the day that it is in")
    if "key" in found and field(found, "key", int) not in keys:
        raise BadProof("the fact's key is not in the proof")
    return Fact(fact_id, decode(found, fact_id, keys), text, index, size, day)


def _first_open(proof: Mapping[str, Any], head: TreeHead) -> int:
    """The number of the open day's first row: the one after the last closed day's, which the proof brings along."""
    if head.segments == 0:
        return 1
    before = _leaf(proof.get("before"), head)
    if before.place != head.segments - 1:
        raise BadProof("the segment before the open day is not the last one")
    return before.first_seq + before.rows


def _leaf(given: object, head: TreeHead) -> Leaf:
    """A segment that stands in the head's log.  Raises BadProof."""
    if not isinstance(given, Mapping):
        raise BadProof("the segment is missing")
    text, index = field(given, "leaf", str), field(given, "index", int)
    if not merkle.verify_inclusion(_hash_of(text), index, head.segments, path(given), bytes.fromhex(head.root)):
        raise BadProof("the segment does not stand under the tree head")
    said = _parsed(text)
    if said.get("writer") != head.writer:
        raise BadProof("the segment is another writer's")
    numbers = field(said, "first_seq", int), field(said, "count", int)
    return Leaf(heads.day(said), *numbers, bytes.fromhex(digest(said, "root")), index)


def _body(given: object, size: int, root: bytes) -> tuple[Mapping[str, Any], str, int]:
    """A body that stands in the day's tree: parsed, its text, its place.  Raises BadProof."""
    if not isinstance(given, Mapping):
        raise BadProof("the fact's body is missing")
    text, index = field(given, "body", str), field(given, "index", int)
    if not merkle.verify_inclusion(_hash_of(text), index, size, path(given), root):
        raise BadProof("the fact does not stand in its day")
    return _parsed(text), text, index


def _hash_of(text: str) -> bytes:
    try:
        return merkle.leaf_hash(text.encode())
    except UnicodeEncodeError:
        raise BadProof("a body in the proof is not Unicode text") from None


def _parsed(text: str) -> Mapping[str, Any]:
    """Canonical JSON, and in no other form: one text must not be read in two ways.  Raises BadProof."""
    try:
        found = json.loads(text)
        if isinstance(found, dict) and canonical(found) == text:
            return found
    except (ValueError, RecursionError):
        pass
    raise BadProof("a body in the proof is not canonical JSON")


# --- the books extend an older head -------------------------------------------------------------------------------------


def _check_extension(proof: Mapping[str, Any], trusted: TreeHead | None, public_key: str | None) -> Verdict:
    old, new = heads.from_dict(proof.get("old")), heads.from_dict(proof.get("new"))
    if trusted is not None and not (old.says_the_same_as(trusted) or new.says_the_same_as(trusted)):
        raise BadProof("neither head of the proof is the one given")
    old, new = (trusted if trusted is not None and head.says_the_same_as(trusted) else head for head in (old, new))
    vouched = [_vouched(head, trusted, public_key) for head in (old, new)]
    _extends(proof, old, new)
    grown = "and nothing was added since" if new.says_the_same_as(old) else "and only grew since"
    words = (
        f"all that stood under the head {head_words(old)} still stands, unchanged, {grown}",
        f"under the head {head_words(new)}",
        f"the older head: {vouched[0]}",
        f"the newer head: {vouched[1]}",
    )
    return Verdict(True, words)


def _extends(proof: Mapping[str, Any], old: TreeHead, new: TreeHead) -> None:
    """Raises BadProof where the new head's books do not hold all of the old head's, in their places."""
    if old.writer != new.writer:
        raise BadProof(f"these are the books of {new.writer}, and the older head is of {old.writer}")
    roots = bytes.fromhex(old.root), bytes.fromhex(new.root)
    if not merkle.verify_consistency(old.segments, new.segments, *roots, path(proof, "segments")):
        raise BadProof(f"the days that were closed under the head {head_words(old)} have been changed or are gone")
    if old.size == 0:
        return
    day, size, root = new.day, new.size, bytes.fromhex(new.open_root)
    if new.segments > old.segments:  # the day that was open then has been closed
        leaf = _leaf(proof.get("segment"), new)
        if leaf.place != old.segments:
            raise BadProof("the proof shows another day than the one that was open")
        day, size, root = leaf.day, leaf.rows, leaf.root
    grown = day == old.day and merkle.verify_consistency(
        old.size, size, bytes.fromhex(old.open_root), root, path(proof, "open")
    )
    if not grown:
        raise BadProof(f"facts of {old.day} that stood under the head {head_words(old)} have been changed or are gone")


# --- words --------------------------------------------------------------------------------------------------------------


def _vouched(head: TreeHead, trusted: TreeHead | None, public_key: str | None) -> str:
    """Whose word the head is.  Raises BadProof where it is not the one asked for, or a signature is false."""
    if trusted is not None and head.says_the_same_as(trusted):
        return "it is the head that was given"
    if public_key is not None and not heads.signature_holds(head, public_key):
        raise BadProof(f"the head {head_words(head)} is not signed by the key {public_key}")
    if head.signature or head.key:
        if public_key is None and not heads.signature_holds(head):
            raise BadProof(f"the signature of the head {head_words(head)} is false")
        return f"it is signed by {head.key}" + ("" if public_key else "; whose key that is, the proof cannot say (--key)")
    return "nobody vouches for it: compare it with an anchored one (--head) or ask for a signed one (--key)"


def head_words(head: TreeHead) -> str:
    """A head in words."""
    days = f"{head.segments:,} closed {'day' if head.segments == 1 else 'days'}"
    grown = f" and {head.size:,} rows of {head.day}" if head.size else ""
    return f"of {head.writer} at {moment(head.at_s)} ({days}{grown})"


def moment(at_s: int) -> str:
    """A time in UTC, as people write it; as it is where no calendar has it."""
    try:
        return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{at_s} s"


def _readable(fact: Fact) -> str:
    """A fact in words; what cannot be said so is shown as it stands.  A stranger's text does not get to steer a terminal."""
    energy = fact.known.fact if fact.known is not None else None
    try:
        text = _energy_words(energy) if isinstance(energy, EnergyFact) else fact.body
    except (TypeError, ValueError):
        text = fact.body
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


def _energy_words(fact: EnergyFact) -> str:
    key = fact.key
    whose = [f"job {key.job}"] + ([f"model {key.model}"] if key.model else [])
    of = f"{key.device} ({', '.join(filter(None, (key.component, key.method, key.use)))}) on {key.host}"
    microjoules = f"{fact.energy_uj // 1_000_000:,}.{fact.energy_uj % 1_000_000:06d} J"
    when = f"from {moment(fact.start_s)} for {fact.length_s} s"
    return f"{microjoules} for {' and '.join(whose)}, {of}, {when}, metered by {key.meter}"
