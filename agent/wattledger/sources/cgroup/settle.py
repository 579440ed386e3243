"""Who grew by how much in one read, so that the parts of every group, and of the machine, sum to what it counted.  Pure.

A group's counter has all beneath it.  What is left of its growth when those beneath are told is the unseen tail of those that
vanished in this read, else its own.  The kernel counts parents a moment after their children and samples the machine's time while
it measures the groups', so the rest may fall short for a moment: that is kept as a debt and paid by the next rest, and nothing
ever dips.
"""

from collections.abc import Iterable, Sequence

from wattledger.core.attribution import split
from wattledger.sources.cgroup.groups import Group


def settle(groups: Iterable[Group], elapsed_ns: int, before_ns: int) -> None:
    """Set ``own_ns`` of each group: what its unit (the root's: ``(other)``) used in this read.

    ``groups``: each after its parent, the root first; ``grown_ns`` and ``taken_ns`` (told of processes in it) are given, and
    ``below_ns`` and ``own_ns`` are 0.  The root's ``grown_ns`` is the machine's.  ``elapsed_ns``: since the last read, which was
    ``before_ns`` after the one before it.
    """
    for group in reversed(list(groups)):
        _settle_one(group, elapsed_ns, before_ns)
        if group.parent is not None:
            group.parent.below_ns += group.below_ns + group.taken_ns + group.own_ns


def _settle_one(group: Group, elapsed_ns: int, before_ns: int) -> None:
    if group.gone:
        # Its counter went with it; the parent knows what it had, and those beneath it went with it too.
        if group.parent is not None:
            group.parent.dying += [*group.dying, *([group] if group.named and not group.moved else [])]
        if group.named:  # unless it went after it had been read
            group.own_ns = max(0, group.grown_ns - group.below_ns - group.taken_ns + group.debt_ns)
        return
    left_ns = group.grown_ns - group.below_ns - group.taken_ns + group.debt_ns
    group.debt_ns, left_ns = min(0, left_ns), max(0, left_ns)
    if group.dying:
        usual_ns = group.usual_ns * elapsed_ns // before_ns if before_ns else 0
        tail_ns = max(0, left_ns - usual_ns)
        group.below_ns += tail_ns
        left_ns -= tail_ns
        _bequeath(group.dying, tail_ns)
    else:
        group.usual_ns = left_ns
    if group.named or group.parent is None:
        group.own_ns = left_ns
        group.last_ns = left_ns


def _bequeath(dying: Sequence[Group], tail_ns: int) -> None:
    """By what each used in its last read; equally where none used anything."""
    weights = [group.last_ns for group in dying]
    if not any(weights):
        weights = [1] * len(dying)
    for group, part_ns in zip(dying, split(tail_ns, weights), strict=True):
        group.own_ns += part_ns
