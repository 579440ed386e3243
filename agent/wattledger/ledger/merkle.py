"""Merkle trees exactly as RFC 6962 section 2.1 has them: roots, inclusion paths, consistency proofs.  Bytes in, bytes out.

A leaf is hashed with 0x00 before it and a node with 0x01, so that neither can be passed off as the other.  Everything takes *leaf
hashes*, in order.  Nothing recurses, and a path costs one pass over the leaves; checking one costs its length.
"""

from collections.abc import Iterator, Sequence
from hashlib import sha256

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two children."""
    return sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The tree's root: MTH(D[n]); of no leaves, the hash of nothing."""
    if not leaf_hashes:
        return EMPTY_ROOT
    # Pairing level by level, an odd last one going up as it is, gives the RFC's split at the largest power of two.
    row = leaf_hashes
    while len(row) > 1:
        above = [sha256(b"\x01" + left + right).digest() for left, right in zip(row[::2], row[1::2], strict=False)]
        if len(row) % 2:
            above.append(row[-1])
        row = above
    return row[0]


def inclusion(index: int, leaf_hashes: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n]), from the leaf up.  ValueError where there is no such leaf."""
    if not 0 <= index < len(leaf_hashes):
        raise ValueError(f"no leaf {index} in a tree of {len(leaf_hashes)}")
    path = []
    start, end = 0, len(leaf_hashes)
    while end - start > 1:
        middle = _split(start, end)
        if index < middle:
            path.append(root(leaf_hashes[middle:end]))
            end = middle
        else:
            path.append(root(leaf_hashes[start:middle]))
            start = middle
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root_hash: bytes) -> bool:
    """Whether the leaf (its hash) stands at ``index`` of the tree of ``size`` leaves that has this root."""
    if not 0 <= index < size or len(path) != sum(1 for _ in _sides(index, size)):
        return False
    found = leaf
    for on_the_right, sibling in zip(_sides(index, size), path, strict=True):
        found = node_hash(found, sibling) if on_the_right else node_hash(sibling, found)
    return found == root_hash


def consistency(old_size: int, leaf_hashes: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D[n]): that the tree of these leaves extends the tree of the first ``old_size``.  ValueError where it is larger.

    Any tree extends the empty one, and itself: nothing is needed to prove that.
    """
    start, end = 0, len(leaf_hashes)
    if not 0 <= old_size <= end:
        raise ValueError(f"a tree of {end} leaves extends none of {old_size}")
    if old_size in (0, end):
        return []
    path = []
    while end != old_size:
        middle = _split(start, end)
        if old_size <= middle:
            path.append(root(leaf_hashes[middle:end]))
            end = middle
        else:
            path.append(root(leaf_hashes[start:middle]))
            start = middle
    if start:  # else it is the old tree itself, whose root the verifier has
        path.append(root(leaf_hashes[start:end]))
    return path[::-1]


def verify_consistency(old_size: int, new_size: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the tree of ``new_size`` leaves and ``new_root`` extends that of ``old_size`` and ``old_root``."""
    if not 0 <= old_size <= new_size:
        return False
    if old_size == new_size:
        return not path and old_root == new_root and (old_size > 0 or old_root == EMPTY_ROOT)
    if old_size == 0:
        return not path and old_root == EMPTY_ROOT
    # The largest complete subtree that ends where the old tree ends: its height, and so its place among those of that height.
    height = (old_size & -old_size).bit_length() - 1
    given = [old_root, *path] if old_size == 1 << height else list(path)
    sides = list(_sides((old_size >> height) - 1, -(-new_size >> height)))
    if len(given) != 1 + len(sides):
        return False
    old = new = given[0]
    for on_the_right, sibling in zip(sides, given[1:], strict=True):
        if on_the_right:
            new = node_hash(new, sibling)  # grown since
        else:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
    return old == old_root and new == new_root


def _split(start: int, end: int) -> int:
    """Where the RFC parts ``[start, end)``: the left part is the largest power of two smaller than the whole."""
    return start + (1 << (end - start - 1).bit_length() - 1)


def _sides(index: int, size: int) -> Iterator[bool]:
    """For each sibling on the way from leaf ``index`` up to the root: whether it stands on the right."""
    last = size - 1
    while last:
        if index % 2:
            yield False
        elif index < last:
            yield True
        index, last = index // 2, last // 2
