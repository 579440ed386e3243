"""Slurm's lists of hosts: ``gpu[01-04,7],login``, in as many dimensions as it writes (``rack[0-1]n[1-2]``)."""

import re
from collections.abc import Iterator

MOST = 65_536  # nodes; more than any machine has, and a list of a few bytes can name a thousand million
MOST_DIMENSIONS = 8  # of one name; Slurm itself knows five
NOBODY = frozenset({"", "none assigned", "(null)", "n/a", "unknown"})
_RANGE = re.compile(r"([0-9]{1,12})(?:-([0-9]{1,12}))?")


class BadList(ValueError):
    """No list of hosts; one line."""


def expanded(text: str) -> tuple[str, ...]:
    """The hosts by name, in the list's order; none where nobody was assigned.  Raises BadList."""
    if text.strip().lower() in NOBODY:
        return ()
    found: list[str] = []
    for part in _parts(text.strip()):
        if part.count("[") > MOST_DIMENSIONS:
            raise BadList(f"{part[:40]!r} has more than {MOST_DIMENSIONS} ranges in one name")
        for name in _names(part):
            found.append(name)
            if len(found) > MOST:
                raise BadList(f"{text[:40]!r} names more than {MOST} hosts")
    return tuple(dict.fromkeys(found))


def _parts(text: str) -> Iterator[str]:
    """Cut at the commas outside of brackets."""
    depth = start = 0
    for at, sign in enumerate(text):
        depth += (sign == "[") - (sign == "]")
        if depth not in (0, 1):
            raise BadList(f"{text[:40]!r}: its brackets do not match")
        if sign == "," and not depth:
            yield text[start:at]
            start = at + 1
    if depth:
        raise BadList(f"{text[:40]!r}: its brackets do not match")
    yield text[start:]


def _names(part: str) -> Iterator[str]:
    before, bracket, rest = part.partition("[")
    if not bracket:
        if not part or any(sign.isspace() or sign == "]" for sign in part):
            raise BadList(f"{part[:40]!r} is no host's name")
        yield part
        return
    inside, _, after = rest.partition("]")
    for number in _numbers(inside):
        for tail in _names(after) if after else ("",):
            yield f"{before}{number}{tail}"


def _numbers(text: str) -> Iterator[str]:
    """``01-03,7`` → 01, 02, 03, 7: as wide as the first of a range is written."""
    for word in text.split(","):
        match = _RANGE.fullmatch(word)
        if match is None:
            raise BadList(f"{text[:40]!r}: expected numbers and ranges of them")
        first, last = match[1], match[2] or match[1]
        if int(last) - int(first) >= MOST:
            raise BadList(f"{text[:40]!r} names more than {MOST} hosts")
        yield from (f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1))
