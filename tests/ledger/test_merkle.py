"""Merkle trees against Certificate Transparency's known answers, and the laws of RFC 6962 section 2.1."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger.ledger import merkle

# The eight leaves of Certificate Transparency's reference implementation, and its roots of the first n of them.
HEX = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
LEAVES = [bytes.fromhex(text) for text in HEX]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
KNOWN = [merkle.leaf_hash(leaf) for leaf in LEAVES]

sizes = st.integers(1, 200)


def tree(size: int) -> list[bytes]:
    """Leaves that are all different."""
    return [merkle.leaf_hash(b"%d" % i) for i in range(size)]


def by_the_rfc(leaves: list[bytes]) -> bytes:
    """MTH as section 2.1 defines it, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\x01" + by_the_rfc(leaves[:k]) + by_the_rfc(leaves[k:])).digest()


def flipped(data: bytes, bit: int) -> bytes:
    """The bytes with one bit turned over."""
    at = bit % (8 * len(data))
    return data[: at // 8] + bytes([data[at // 8] ^ (1 << at % 8)]) + data[at // 8 + 1 :]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_certificate_transparencys(size: int) -> None:
    assert merkle.root(KNOWN[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(
    ("index", "size", "path"),
    [
        (0, 1, []),
        (0, 8, ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"]),
        (5, 8, ["bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"]),
        (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    ],
)  # fmt: skip
def test_inclusion_paths_are_certificate_transparencys(index: int, size: int, path: list[str]) -> None:
    assert [part.hex() for part in merkle.inclusion(index, KNOWN[:size])] == path


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        (1, 1, []),
        (1, 8, ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"]),
        (6, 8, ["0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"]),
        (2, 5, ["5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"]),
    ],
)  # fmt: skip
def test_consistency_proofs_are_certificate_transparencys(old: int, new: int, path: list[str]) -> None:
    assert [part.hex() for part in merkle.consistency(old, KNOWN[:new])] == path


@given(sizes)
def test_a_root_is_the_rfcs_definition(size: int) -> None:
    assert merkle.root(tree(size)) == by_the_rfc(tree(size))


@given(sizes, st.data())
def test_every_inclusion_proof_verifies_and_no_other_place_does(size: int, data: st.DataObject) -> None:
    leaves = tree(size)
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(-2, size + 2))
    path, root = merkle.inclusion(index, leaves), merkle.root(leaves)
    assert merkle.verify_inclusion(leaves[index], index, size, path, root)
    assert len(path) <= (size - 1).bit_length()
    assert merkle.verify_inclusion(leaves[index], other, size, path, root) == (other == index)


@given(sizes, st.data(), st.integers(0, 1 << 20))
def test_an_inclusion_proof_with_a_flipped_bit_does_not_verify(size: int, data: st.DataObject, bit: int) -> None:
    leaves = tree(size)
    index = data.draw(st.integers(0, size - 1))
    path, root = merkle.inclusion(index, leaves), merkle.root(leaves)
    at = data.draw(st.integers(-2, len(path) - 1))
    leaf = flipped(leaves[index], bit) if at == -2 else leaves[index]
    claimed = flipped(root, bit) if at == -1 else root
    bent = [flipped(part, bit) if i == at else part for i, part in enumerate(path)]
    assert not merkle.verify_inclusion(leaf, index, size, bent, claimed)
    assert not merkle.verify_inclusion(leaves[index], index, size, [*path, leaves[0]], root)
    assert not path or not merkle.verify_inclusion(leaves[index], index, size, path[:-1], root)


@given(sizes, st.data())
def test_every_consistency_proof_verifies(size: int, data: st.DataObject) -> None:
    leaves = tree(size)
    old = data.draw(st.integers(0, size))
    path = merkle.consistency(old, leaves)
    assert merkle.verify_consistency(old, size, merkle.root(leaves[:old]), merkle.root(leaves), path)
    assert len(path) <= (size - 1).bit_length() + 1


@given(st.integers(2, 200), st.data(), st.integers(0, 1 << 20))
def test_a_consistency_proof_with_a_flipped_bit_or_another_size_does_not_verify(size: int, data: st.DataObject, bit: int) -> None:
    leaves = tree(size)
    old = data.draw(st.integers(1, size - 1))
    path, roots = merkle.consistency(old, leaves), (merkle.root(leaves[:old]), merkle.root(leaves))
    at = data.draw(st.integers(-2, len(path) - 1))
    bent = [flipped(part, bit) if i == at else part for i, part in enumerate(path)]
    claimed = [flipped(root, bit) if i - 2 == at else root for i, root in enumerate(roots)]
    assert not merkle.verify_consistency(old, size, claimed[0], claimed[1], bent)
    other = data.draw(st.integers(-1, size + 2).filter(lambda n: n != old))
    assert not merkle.verify_consistency(other, size, *roots, path)
    assert not merkle.verify_consistency(old, size, *roots, [*path, leaves[0]])
    assert not merkle.verify_consistency(old, size, *roots, path[:-1])


@given(st.integers(2, 100), st.data())
def test_a_changed_leaf_is_never_consistent_with_the_tree_that_had_it(size: int, data: st.DataObject) -> None:
    leaves = tree(size)
    old = data.draw(st.integers(1, size))
    at = data.draw(st.integers(0, old - 1))
    changed = [merkle.leaf_hash(b"forged") if i == at else leaf for i, leaf in enumerate(leaves)]
    path = merkle.consistency(old, changed)
    assert not merkle.verify_consistency(old, size, merkle.root(leaves[:old]), merkle.root(changed), path)


def test_a_tree_cannot_shrink_and_has_no_leaf_beyond_its_last() -> None:
    leaves, root = tree(5), merkle.root(tree(5))
    with pytest.raises(ValueError, match="extends none"):
        merkle.consistency(6, leaves)
    with pytest.raises(ValueError, match="no leaf 5"):
        merkle.inclusion(5, leaves)
    assert not merkle.verify_consistency(5, 4, root, merkle.root(leaves[:4]), [])
    assert not merkle.verify_consistency(5, 5, root, merkle.root(leaves[:4]), [])
    assert not merkle.verify_consistency(0, 5, root, root, [])


def test_a_node_cannot_pass_for_a_leaf() -> None:
    left, right = tree(2)
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)


def test_sizes_beyond_any_tree_are_judged_at_once() -> None:
    assert not merkle.verify_inclusion(b"\0" * 32, 7, 1 << 62, [b"\0" * 32] * 62, b"\0" * 32)
    assert not merkle.verify_consistency(3, 1 << 62, b"\0" * 32, b"\0" * 32, [b"\0" * 32] * 62)
