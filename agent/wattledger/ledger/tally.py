"""What bodies in order come to: the chain's head and the Merkle root, in one pass and in memory that does not grow with a day."""

from collections.abc import Sequence
from hashlib import sha256

from wattledger.ledger import merkle

CHUNK = 1 << 14  # leaves; a power of two, so that the roots of full chunks are themselves nodes of the whole tree


class Tally:
    """State: the chain's ``head``, how many bodies (``count``), the roots of full chunks, and the leaves of the last one."""

    def __init__(self, before: bytes) -> None:
        """``before``: the chain's head before the first body."""
        self.head, self.count = before, 0
        self._roots: list[bytes] = []
        self._leaves: list[bytes] = []

    def add(self, bodies: Sequence[bytes]) -> list[bytes]:
        """Take bodies (UTF-8), and give the chain's hash at each."""
        sha, head, leaves = sha256, self.head, self._leaves
        links = [head := sha(head + body).digest() for body in bodies]
        leaves += [sha(b"\x00" + body).digest() for body in bodies]
        self.head, self.count = head, self.count + len(links)
        if len(leaves) >= CHUNK:
            full = len(leaves) // CHUNK * CHUNK
            self._roots += [merkle.root(leaves[i : i + CHUNK]) for i in range(0, full, CHUNK)]
            self._leaves = leaves[full:]
        return links

    def root(self) -> bytes:
        """The Merkle root over all bodies so far."""
        return merkle.root([*self._roots, merkle.root(self._leaves)] if self._leaves else self._roots)
