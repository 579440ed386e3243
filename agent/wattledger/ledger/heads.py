"""Tree heads: a store's whole history in one line, which is anchored outside the host.

The LOG of a writer is the RFC 6962 tree over its segments, one a recorded day, in order.  The newest recorded day still grows and
has a tree of its own.  Both are determined by the facts, sealed or not, so sealing changes no head.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from wattledger.ledger import merkle, signing
from wattledger.ledger.body import canonical

SCHEMA = "wattledger.tree-head/1"
T = TypeVar("T")


class BadProof(ValueError):
    """This is no head or proof, or not a good one.  The message is one line: what is wrong."""


class TreeHead(NamedTuple):
    """``segments`` closed days under ``root``, and ``size`` facts of the open ``day`` under ``open_root``; hashes in hex.

    ``key`` is the public key of who signed, empty where nobody did.
    """

    writer: str
    segments: int
    root: str
    day: str
    size: int
    open_root: str
    at_s: int
    key: str = ""
    signature: str = ""

    def says_the_same_as(self, other: "TreeHead") -> bool:
        """Whether both stand for the same books, whenever and by whomever they were said."""
        return self[:6] == other[:6]


def to_dict(head: TreeHead) -> dict[str, Any]:
    """JSON, schema ``wattledger.tree-head/1``."""
    found: dict[str, Any] = {"schema": SCHEMA, "writer": head.writer, "segments": head.segments, "root": head.root}
    found |= {"open": {"day": head.day, "size": head.size, "root": head.open_root}, "at_s": head.at_s}
    return found | {name: value for name, value in (("key", head.key), ("signature", head.signature)) if value}


def from_dict(found: object) -> TreeHead:
    """A head out of anybody's JSON.  Raises BadProof."""
    if not isinstance(found, Mapping) or found.get("schema") != SCHEMA:
        raise BadProof(f"not a tree head ({SCHEMA})")
    grown = field(found, "open", dict)
    head = TreeHead(
        writer=field(found, "writer", str),
        segments=field(found, "segments", int),
        root=digest(found, "root"),
        day=day(grown),
        size=field(grown, "size", int),
        open_root=digest(grown, "root"),
        at_s=field(found, "at_s", int),
        key=digest(found, "key") if "key" in found else "",
        signature=field(found, "signature", str) if "signature" in found else "",
    )
    if not re.fullmatch("[0-9a-f]{16}", head.writer):
        raise BadProof("the tree head's writer is not 16 hex digits")
    if to_dict(head) != found:
        raise BadProof("the tree head says more than a head may, or leaves a signature empty")
    if head.size == 0 and (head.segments or head.open_root != merkle.EMPTY_ROOT.hex()):
        raise BadProof("the tree head has closed days and no open one")
    if head.segments == 0 and head.root != merkle.EMPTY_ROOT.hex():
        raise BadProof("the tree head has no closed day and yet a root over them")
    return head


def said(head: TreeHead) -> bytes:
    """What is signed: the head in canonical JSON, its signer's key included."""
    return canonical(to_dict(head._replace(signature=""))).encode()


def signed(head: TreeHead, key_file: Path | str) -> TreeHead:
    """The head with its signature.  Raises LedgerError."""
    head = head._replace(key=signing.public_key(key_file), signature="")
    return head._replace(signature=signing.sign(key_file, said(head)))


def signature_holds(head: TreeHead, public_key: str | None = None) -> bool:
    """Whether the head is signed by that key (else: by the key that it names)."""
    if not head.signature or (public_key is not None and head.key != public_key):
        return False
    return signing.verify(head.key, said(head), head.signature)


def field(found: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """A field of exactly this kind; a number is none below zero.  Raises BadProof."""
    value = found.get(name)
    if type(value) is not kind:
        raise BadProof(f"{name} is missing, or not what it should be")
    if isinstance(value, int) and not 0 <= value < 1 << 63:
        raise BadProof(f"{name} is out of range")
    return value


def day(found: Mapping[str, Any]) -> str:
    """The field ``day``: YYYY-MM-DD, or empty where there is none yet.  Raises BadProof."""
    text = field(found, "day", str)
    if not re.fullmatch(r"([0-9]{4}-[0-9]{2}-[0-9]{2})?", text):
        raise BadProof("day is not a day")
    return text


def digest(found: Mapping[str, Any], name: str) -> str:
    """A field of 64 lower-case hex digits.  Raises BadProof."""
    return _hex(field(found, name, str), name)


def path(found: Mapping[str, Any], name: str = "path") -> list[bytes]:
    """A field with a list of digests.  Raises BadProof."""
    given: list[Any] = field(found, name, list)
    return [bytes.fromhex(_hex(text, name)) for text in given]


def _hex(text: object, name: str) -> str:
    if not isinstance(text, str) or not re.fullmatch("[0-9a-f]{64}", text):
        raise BadProof(f"{name} is not 64 hex digits")
    return text
