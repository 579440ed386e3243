"""Which facts hold, when some were corrected or withdrawn by later ones.  Pure."""

from collections.abc import Iterable
from typing import NamedTuple


class Link(NamedTuple):
    """A fact that takes the place of ``corrects``; ``withdraws``: and puts nothing there."""

    id: str
    corrects: str
    recorded_s: int
    withdraws: bool


class Standing(NamedTuple):
    """``replaced``: ids of facts that hold no more.  ``gone``: those of them for which nothing stands, whatever was said before."""

    replaced: frozenset[str]
    gone: frozenset[str]


def standing(links: Iterable[Link]) -> Standing:
    """Of two corrections of one fact the later holds; a correction may itself be corrected.

    Withdrawing a correction takes the figure away: it does not bring back what the correction had replaced.
    """
    found = {link.id: link for link in links}
    by: dict[str, Link] = {}
    below: dict[str, list[str]] = {}
    for link in found.values():
        below.setdefault(link.corrects, []).append(link.id)
        if link.corrects not in by or _learnt(by[link.corrects]) < _learnt(link):
            by[link.corrects] = link
    replaced, gone = set(), set()
    for root in [target for target in below if target not in found]:
        holds = _end(root, by)
        tree = _tree(root, below)
        replaced |= tree - {holds}
        gone |= tree if holds in found and found[holds].withdraws else set()
    # Corrections in a ring, which nobody can have meant, hang below no root: none of them holds.
    ring = set(found) - replaced - {_end(root, by) for root in below if root not in found}
    return Standing(frozenset(replaced | ring), frozenset(gone | ring))


def _end(root: str, by: dict[str, Link]) -> str:
    at = root
    while at in by:
        at = by[at].id
    return at


def _tree(root: str, below: dict[str, list[str]]) -> set[str]:
    found, waiting = set(), [root]
    while waiting:
        at = waiting.pop()
        found.add(at)
        waiting += below.get(at, ())
    return found


def _learnt(link: Link) -> tuple[int, str, int]:
    writer, _, seq = link.id.rpartition(":")
    return link.recorded_s, writer, int(seq) if seq.isdecimal() else 0
