"""What the fuzz tests have in common: how many examples, bytes, texts and JSON that hurt, good replies bent a little, and what a
refusal looks like."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

T = TypeVar("T")
INT64 = 1 << 63
LONGEST_LINE = 4_000  # of a refusal: people read it
MOST_UW = 10**13  # ten megawatts: no machine draws more

# Numbers, texts and bytes that parsers have fallen over elsewhere.
NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2**31, 2**53, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400, 0.0, -0.0, 1e-320, 1e-30, 1e15, 1e300, 1.7e308,
    float("nan"), float("inf"), float("-inf"), True, False, None,
)  # fmt: skip
TEXTS = (
    "", " ", "\0", "\n", "a\nb", "\r", "\x1b[31m", "\x7f", "\x85", "\u2028", "\ufeff", "\u202etxt", "\ud800", "é", "²", "٣", "½",
    "\U0001f600",
    "NaN", "Infinity", "-inf", "1e999", "-1e999", "1e-999", "1_000", "0x10", "+5", "-0", " 7 ", "007", "9" * 20, "9" * 5_000,
    "1." + "1" * 400,
    "(", "(idle)", "()", "\"", "\\", "\\x2f", "{", "}", "<", "%s", "%00", "../..", "/", "a" * 300, "x" * 20_000, "2026-02-30",
    "0001-01-01",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00Z", "null", "true",
)  # fmt: skip
RAW = (
    b"", b"\0", b"\n", b"\n\n\n", b"\xff", b"\xff\xfe{\0}\0", b"\xef\xbb\xbf{}", b"\xed\xa0\x80", b"\xc0\x80", b"{", b"[]", b"{}",
    b"null", b'""',
    b"0", b"-", b"1e999", b"NaN", b"[NaN]", b"9" * 5_000, b"[" + b"9" * 5_000 + b"]", b"[" * 20_000, b'{"a":' * 20_000,
    b"[1" + b"0" * 400 + b"]",
    b"x" * 1_000_000, b"a b " * 50_000, b"\r\n", b"<html>", b"<?xml version='1.0'?><a/>", b"\x1f\x8b",
    b"\x1f\x8b\x08\0" + b"\0" * 6, b"PAR1",
    b'{"a":"\\ud800"}', b"\x00" * 1_000,
)  # fmt: skip

numbers = st.sampled_from(NUMBERS) | st.integers() | st.floats()
texts = st.sampled_from(TEXTS) | st.text(max_size=20) | st.text("0123456789-+.eE,:;/ \n\t\"'()[]{}=_", max_size=24)
raw = st.sampled_from(RAW) | st.binary(max_size=200)
scalars = numbers | texts
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4), max_leaves=8
)


def fuzzed(part: float = 1.0) -> settings:
    """So many examples; ``part`` of them where each costs more."""
    usual = settings.get_profile("fuzz")
    return settings(usual, max_examples=max(5, round(usual.max_examples * part)))


def as_json(value: object) -> bytes:
    """What a server would send of it; NaN, Infinity and lone surrogates stay what they are."""
    return json.dumps(value, default=str).encode()


json_bytes = raw | junk.map(as_json)


# --- good replies, bent ---------------------------------------------------------------------------------------------------


def places(tree: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in a document, the whole first."""
    yield where
    if isinstance(tree, dict | list):
        for name in tree if isinstance(tree, dict) else range(len(tree)):
            yield from places(tree[name], (*where, name))


@st.composite
def bent(draw: st.DrawFn, tree: Any, most: int = 3) -> Any:
    """The document with a few of its parts changed, gone, doubled, renamed or wrapped."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, most))):
        where = draw(st.sampled_from(list(places(tree))))
        if not where:
            tree = draw(st.just([tree]) | st.just({"data": tree}) | junk) if draw(st.integers(0, 9)) == 0 else tree
            continue
        parent = tree
        for name in where[:-1]:
            parent = parent[name]
        _bend(draw, parent, where[-1])
    return tree


def _bend(draw: st.DrawFn, parent: Any, name: Any) -> None:
    value = parent[name]
    match draw(st.integers(0, 5)):
        case 0:
            del parent[name]
        case 1 if isinstance(parent, list):
            parent.insert(name, copy.deepcopy(value))
        case 1:
            parent[draw(st.text(max_size=5))] = parent.pop(name)
        case 2:
            parent[name] = draw(st.sampled_from([[value], {"x": value}, [], {}, str(value), None]))
        case _:
            parent[name] = draw(scalars | junk)


@st.composite
def bent_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with a few of them changed, cut, doubled, or others put between."""
    found = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(found) - 1)))
        length = draw(st.integers(0, min(40, len(found) - at)))
        match draw(st.integers(0, 4)):
            case 0 if found:
                found[at] ^= 1 << draw(st.integers(0, 7))
            case 1:
                del found[at : at + length]
            case 2:
                found[at:at] = found[at : at + length]
            case 3:
                found[at : at + length] = draw(st.binary(max_size=8) | texts.map(lambda t: t.encode("utf-8", "replace")))
            case _:
                del found[at:]
    return bytes(found)


def bent_text(text: str) -> st.SearchStrategy[str]:
    """The same of a text; what is no UTF-8 any more is replaced."""
    return bent_bytes(text.encode()).map(lambda data: data.decode("utf-8", "replace"))


# --- what may come out ----------------------------------------------------------------------------------------------------


def taken(read: Callable[[], T], *refusals: type[Exception], lines: int = 1, own: bool = False, never: str = "") -> T | None:
    """What was read, or ``None`` where it was refused: by one of these errors, with at most so many readable lines.

    ``own``: who wrote it is who reads the refusal, which may repeat his words.  ``never``: what no refusal may hold.
    """
    try:
        return read()
    except refusals as refusal:
        said = str(refusal)
        assert said.strip(), "a refusal must say something"
        assert said.count("\n") < lines, said
        assert not never or never not in said
        if own:
            return None
        assert all(len(line) <= LONGEST_LINE for line in said.split("\n")), f"{len(said)} characters: {said[:200]}"
        # Control characters in a message are a way into somebody's terminal.
        odd = {sign for sign in said if not sign.isprintable()} - {"\n"}
        assert not odd, f"{odd!r} in {said[:300]!r}"
        return None


def is_label(text: str, longest: int) -> bool:
    """Whether this may stand as a name: one printable line, of UTF-8, not endless."""
    return text.isprintable() and len(text) <= longest and text.encode() is not None


def is_count(number: object, below: int = INT64) -> bool:
    """A whole number of 0 or more, and no bool."""
    return type(number) is int and 0 <= number < below
