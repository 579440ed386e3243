"""Each request once: a client's span, those of the libraries around it and the engine's own span tell of the same tokens.

Two spans tell of one request when one is around the other (a span around several requests tells of all of them), or when they
name the same response.  Of those in one delivery the engine's own is taken, else the innermost, and what it does not say (the
model's name, the address, the tenant) is taken from the others.  Between deliveries the first is taken: it has been handed on,
and what was counted is never taken back; the counts are the same.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wattledger.runtime.otlp.received import AHEAD_NS, OLDEST_NS, Heard
from wattledger.runtime.otlp.span import Span

KEEP_NS = OLDEST_NS + AHEAD_NS  # what is sent again later is too old to be taken
MOST = 100_000  # names remembered, of each kind; in a flood the oldest are forgotten sooner
DEEPEST = 16  # spans within each other, from the outermost library to the engine
MOST_INNER = 64  # requests within one span that it may complete; more are only known to be within it
BEFORE = -1  # the place of a request in a delivery that is not this one


class Sifted(NamedTuple):
    """``new``: requests that nobody has told of, in the order in which they were sent; ``again``: the same told once more."""

    new: tuple[Heard, ...]
    again: tuple[Heard, ...]


class Once:
    """State: names of requests that were taken, names of what is around those, and which span is within which, with when each was
    learnt.  One thread at a time."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._taken: dict[bytes, int] = {}
        self._around: dict[bytes, int] = {}
        self._parents: dict[bytes, bytes] = {}
        self._learnt: dict[bytes, int] = {}

    def learn(self, spans: Iterable[Span], at_ns: int) -> None:
        """Which span is within which: also spans that tell of no request are between client and engine."""
        for span in spans:
            if span.id and span.parent and span.trace:
                child = span.trace + span.id
                self._parents[child] = span.trace + span.parent
                self._learnt[child] = at_ns
                if child in self._around:
                    self._around.update(dict.fromkeys(self._above(child), at_ns))
        for name in _old(self._learnt, at_ns, self._most):
            del self._learnt[name], self._parents[name]
        self._forget(at_ns)

    def sift(self, told: Sequence[Heard]) -> Sifted:
        """Which of a delivery's requests are new.  Changes nothing."""
        above = [self._all_above(heard) for heard in told]
        best = sorted(range(len(told)), key=lambda i: (not told[i].engine, -len(above[i]), not told[i].server, i))
        new: dict[int, Heard] = {}
        again: list[Heard] = []
        by_name: dict[bytes, int] = {}
        by_inner: dict[bytes, list[int]] = {}
        for i in best:
            one = told[i]._replace(within=above[i])
            same = next(([by_name[name]] for name in (*one.names, *one.within) if name in by_name), [])
            same = same or next((by_inner[name] for name in one.names if name in by_inner), [])
            same = same or ([BEFORE] if self._knows(one) else [])
            if same:
                again.append(one)
                new.update((j, _filled(new[j], one)) for j in same if j != BEFORE)
            else:
                same = [i]
                new[i] = one
                by_name.update(dict.fromkeys(one.names, i))
            for name in one.within:
                inner = by_inner.setdefault(name, [])
                inner += same[: MOST_INNER - len(inner)]
        return Sifted(tuple(new[i] for i in sorted(new)), tuple(again))

    def remember(self, sifted: Sifted, at_ns: int) -> None:
        """These have been handed on; what was told again is around them: so is what is around that."""
        for one in sifted.new:
            self._taken.update(dict.fromkeys(one.names, at_ns))
            self._around.update(dict.fromkeys(one.within, at_ns))
        for one in sifted.again:
            self._around.update(dict.fromkeys((*one.names, *one.within), at_ns))
        self._forget(at_ns)

    def _forget(self, at_ns: int) -> None:
        for names in (self._taken, self._around):
            for name in _old(names, at_ns, self._most):
                del names[name]

    def _knows(self, heard: Heard) -> bool:
        taken, around = self._taken, self._around
        return any(n in taken or n in around for n in heard.names) or any(n in taken for n in heard.within)

    def _all_above(self, heard: Heard) -> tuple[bytes, ...]:
        found = list(heard.within)
        for name in heard.within:
            found += self._above(name)
        return tuple(dict.fromkeys(found))

    def _above(self, name: bytes) -> list[bytes]:
        found: list[bytes] = []
        at = self._parents.get(name)
        while at is not None and len(found) < DEEPEST and at not in found:
            found.append(at)
            at = self._parents.get(at)
        return found


def _old(names: dict[bytes, int], at_ns: int, most: int) -> list[bytes]:
    """What is older than is kept, or is too much: dicts keep the order in which names came."""
    excess = len(names) - most
    found: list[bytes] = []
    for name, learnt_ns in names.items():
        if len(found) >= excess and at_ns - learnt_ns <= KEEP_NS:
            break
        found.append(name)
    return found


def _filled(kept: Heard, other: Heard) -> Heard:
    """What the span that is kept does not say, from another one of the same request."""
    mine, theirs = kept.request, other.request
    if not mine.cached and theirs.cached and mine.computed == theirs.computed + theirs.cached:
        mine = mine._replace(computed=theirs.computed, cached=theirs.cached)
    filled = {name: getattr(theirs, name) for name in ("model", "address", "tenant") if not getattr(mine, name)}
    return kept._replace(request=mine._replace(**filled))
