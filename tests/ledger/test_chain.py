"""The chain: fixed by its definition, and broken by any change."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from wattledger.ledger.chain import genesis, link


def test_a_chain_is_what_its_definition_says() -> None:
    first = sha256(b"wattledger.chain/1 0123456789abcdef").digest()
    assert genesis("0123456789abcdef") == first
    assert link(first, '{"job":"é"}') == sha256(first + '{"job":"é"}'.encode()).digest()


def test_writers_begin_apart() -> None:
    assert genesis("0" * 16) != genesis("1" * 16)


@given(st.binary(min_size=1, max_size=60), st.integers(min_value=0))
def test_any_flipped_bit_of_a_body_breaks_the_chain(body: bytes, at: int) -> None:
    flipped = bytearray(body)
    flipped[at // 8 % len(body)] ^= 1 << at % 8
    before = genesis("w")
    links = [link(before, text.decode("utf-8", "surrogateescape")) for text in (body, bytes(flipped))]
    assert links[0] == sha256(before + body).digest() != links[1]
