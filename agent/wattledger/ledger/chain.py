"""The chain: each row's hash covers the hash of the row before it, so nothing can be changed, cut out or put in unseen."""

from hashlib import sha256

PREFIX = b"wattledger.chain/1 "


def genesis(writer: str) -> bytes:
    """The hash before the first row of a writer's chain."""
    return sha256(PREFIX + writer.encode()).digest()


def link(before: bytes, body: str) -> bytes:
    """The hash of a row: of the hash before it, then its body as UTF-8.

    Bytes of a damaged body that are no UTF-8 (read as lone surrogates) are hashed as they are.
    """
    return sha256(before + body.encode("utf-8", "surrogateescape")).digest()
