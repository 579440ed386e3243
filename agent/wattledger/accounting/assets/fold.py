"""The state of machines as a fold over the events of their lives (reference carbon.md 3.5): who carries, books and loses how much.

No clock and no files: the same events give the same fleet, in whatever order they are given.
"""

import gc
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter

from wattledger.accounting.assets.fold_events import happen
from wattledger.accounting.assets.fold_judge import Breach, World, judged
from wattledger.accounting.assets.life import Balance, Life, Period
from wattledger.accounting.assets.words import Event

# So many events are a fleet's: nobody's program waits beside them.
MANY = 10_000


@dataclass(frozen=True)
class Fleet:
    """All assets and what became of them till ``until_s``.  ``refused``: events that broke a rule, and were left out.

    In every asset and in all of them together, at any time, what came in == booked + carried + what left (``Balance.residual_ug``).
    """

    lives: Mapping[str, Life]
    until_s: int
    refused: tuple[Breach, ...] = ()

    def periods(self, from_s: int, to_s: int, *, host: str | None = None) -> tuple[Period, ...]:
        """Those that have a part in ``[from_s, to_s)``, whole, by start and asset; ``host``: those on it alone (empty: on none)."""
        found = self._sorted if host is None else self._by_host.get(host, ())
        begun = found[: bisect_left(found, to_s, key=lambda period: period.start_s)]
        return tuple(period for period in begun if period.end_s is None or period.end_s > from_s)

    def balance(self, at_s: int) -> Balance:
        """Of all assets together."""
        sums = zip(*(life.balance(at_s) for life in self.lives.values()), strict=True)
        return Balance(*map(sum, sums)) if self.lives else Balance()

    def booked_ug(self, from_s: int, to_s: int) -> int:
        """What all assets book in ``[from_s, to_s)``."""
        return sum(period.booked_ug(from_s, to_s) for period in self.periods(from_s, to_s))

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts on which anything ever was in service, by name."""
        return tuple(sorted(filter(None, self._by_host)))

    @cached_property
    def _sorted(self) -> tuple[Period, ...]:
        found = [period for life in self.lives.values() for period in life.periods]
        return tuple(sorted(found, key=lambda period: (period.start_s, period.asset)))

    @cached_property
    def _by_host(self) -> Mapping[str, tuple[Period, ...]]:
        found: dict[str, list[Period]] = {}
        for period in self._sorted:
            found.setdefault(period.place.host, []).append(period)
        return {host: tuple(periods) for host, periods in found.items()}


def fold(events: Sequence[Event], until_s: int) -> Fleet:
    """What the events up to and with ``until_s`` come to.  Those that break a rule are left out, and said in ``Fleet.refused``.

    O(n log n), and a machine that moves costs as much as it has parts.
    """
    past = [event for event in events if event.at_s <= until_s]
    # By the second; within it what is made comes first, then what was learnt first.  Three sorts are quicker than one by tuples.
    past.sort(key=attrgetter("id"))
    past.sort(key=attrgetter("learnt"))
    past.sort(key=lambda event: 2 * event.at_s + (event.what != "make"))
    with _undisturbed() if len(past) > MANY else nullcontext():
        return _folded(past, until_s)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Without the garbage collector: while a fleet is folded it would look through all its facts again and again, and find nothing,
    for half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            # All that was made meanwhile is young, and the first collection would look through it: it is declared old instead.
            gc.freeze()
            gc.unfreeze()
            gc.enable()


def _folded(past: Sequence[Event], until_s: int) -> Fleet:
    made_s: dict[str, int] = {}
    for event in past:
        if event.what == "make":
            made_s.setdefault(event.asset, event.at_s)
    world = World({}, made_s, {})
    refused = []
    for event in past:
        wrong = judged(world, event)
        if wrong is None:
            happen(world, event)
        else:
            refused.append(Breach(wrong.rule, event.asset, event.at_s, wrong.text, event.id))
    lives = {name: asset.life(until_s) for name, asset in world.assets.items()}
    for asset in world.assets.values():
        asset.inside = None  # no rings are left behind
    return Fleet(lives, until_s, tuple(refused))
