"""What serves many hosts (network, storage, a rack, a building): spread over them by a stated key, then by each host's time.

The passport says ``spread_over`` (hosts, apart by commas; ``*``: all that were metered) and ``spread_by``: ``energy`` (default) and
``hours`` as metered, or ``hosts`` (each the same, also in times when it was not metered).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from wattledger.accounting.assets.fold import Fleet
from wattledger.accounting.assets.life import Period
from wattledger.accounting.embodied.entries import UNMETERED, Booked
from wattledger.accounting.embodied.made import Figure
from wattledger.accounting.embodied.shares import Cuts, Piece, Shares
from wattledger.core.attribution import split
from wattledger.ledger.query_embodied import Binding, Metered, Taken

KINDS = ("network", "storage", "building", "rack")
KEYS = ("energy", "hosts", "hours")


class Spread(NamedTuple):
    """A period of an asset that serves these hosts."""

    period: Period
    hosts: tuple[str, ...]
    key: str


def is_spread(period: Period, words: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether an asset's carbon is spread over hosts."""
    return period.kind in KINDS and "spread_over" in words.get(period.asset, {})


def dues(fleet: Fleet, words: Mapping[str, Mapping[str, str]], devices: Sequence[Metered], cuts: Cuts) -> Iterator[Spread]:
    """The periods that are spread.  The key is worked out over all hosts, whatever the report is of."""
    everywhere = tuple(dict.fromkeys(device.host for device in devices))
    for period in fleet.periods(cuts.span.from_s, cuts.span.to_s):
        if not is_spread(period, words):
            continue
        said = words[period.asset]
        over = said["spread_over"].strip()
        hosts = everywhere if over == "*" else tuple(name for word in over.split(",") if (name := word.strip()))
        key = said.get("spread_by", KEYS[0])
        for host in hosts:
            cuts.want(Binding(host), period.start_s, period.end_s)
        yield Spread(period, hosts, key if key in KEYS else KEYS[0])


def book(spread: Iterable[Spread], shares: Shares, figures: Mapping[str, Figure]) -> Iterator[Booked]:
    """Host by host, exactly."""
    for one in spread:
        asset, figure = one.period.asset, figures[one.period.asset]
        for bare in shares.bare(one.period.start_s, one.period.end_s):
            ug = one.period.booked_ug(bare.from_s, bare.to_s)
            found = [list(shares.of(Binding(host), bare.from_s, bare.to_s)) for host in one.hosts]
            weights = [_weight(pieces, one.key) for pieces in found]
            if not sum(weights):
                yield Booked(asset, figure, UNMETERED, None, bare.bucket_s, ug)
                continue
            for pieces, part in zip(found, split(ug, weights), strict=True):
                rest_ns = sum(piece.unseen_ns for piece in pieces) if one.key == "hosts" else 0
                yield from _among((asset, figure), pieces, part, rest_ns)


def _weight(pieces: Sequence[Piece], key: str) -> int:
    if key == "hosts":
        return 1
    return sum(piece.seen_ns if key == "hours" else sum(each.energy_uj for each in piece.taken) for piece in pieces)


def _among(of: tuple[str, Figure], pieces: Sequence[Piece], ug: int, rest_ns: int) -> Iterator[Booked]:
    """A host's part, by its jobs' time in all of these pieces together."""
    sums: dict[tuple[str, tuple[str, ...], int | None], int] = {}
    taken: Iterator[Taken] = (each for piece in pieces for each in piece.taken)
    for each in taken:
        key = each.job, each.group, each.bucket_s
        sums[key] = sums.get(key, 0) + each.ns
    parts = split(ug, [*sums.values(), rest_ns])
    for (job, group, bucket_s), part in zip(sums, parts, strict=False):
        if part:
            yield Booked(*of, job, group, bucket_s, part)
    if parts[-1]:
        yield Booked(*of, UNMETERED, None, pieces[0].bucket_s if pieces else None, parts[-1])
