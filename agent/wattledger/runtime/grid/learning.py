"""What has been learnt of a zone's grid, and what is still to be asked for.  Pure: no clock, no network."""

from collections.abc import Iterable, Iterator, Sequence

from wattledger.core.facts import IntensityFact
from wattledger.runtime.grid.standing import HOUR_S, end_s

NEWEST_S = 3 * HOUR_S  # what each question asks for; the rest of what is not settled is asked for again once an hour
Slot = tuple[str, str, str, int, int]


class Learnt:
    """The newest word on each slot.  State: those facts, by provider, signal, boundary and time."""

    def __init__(self, zone: str, known: Iterable[IntensityFact] = ()) -> None:
        self._zone = zone
        self._facts: dict[Slot, IntensityFact] = {}
        self.add(known)

    def __iter__(self) -> Iterator[IntensityFact]:
        return iter(list(self._facts.values()))

    def add(self, facts: Iterable[IntensityFact]) -> list[IntensityFact]:
        """Take them in; those that are new or say something else than before are handed back, in order of time.

        What is only expected never takes the place of what was said of a slot that had begun.
        """
        changed: dict[Slot, IntensityFact] = {}
        for fact in facts:
            slot = (fact.provider, fact.signal, fact.boundary, fact.start_s, fact.length_s)
            before = self._facts.get(slot)
            if fact.zone != self._zone or (before is not None and (_says(before) == _says(fact) or _less(fact, before))):
                continue
            self._facts[slot] = changed[slot] = fact
        return sorted(changed.values(), key=lambda fact: (fact.start_s, fact.provider, fact.signal))

    def forget(self, before_s: int) -> None:
        """Let go of what ended before: it is settled, and stands in the books."""
        self._facts = {slot: fact for slot, fact in self._facts.items() if end_s(fact) > before_s}

    def of(self, provider: str) -> Sequence[IntensityFact]:
        """What one provider said, in no order."""
        return [fact for fact in self._facts.values() if fact.provider == provider]

    def known_until_s(self, provider: str) -> int:
        """The end of the last slot of which a provider said how it was; 0 where it never did."""
        return max((end_s(fact) for fact in self.of(provider) if not fact.forecast), default=0)


def span(now_s: int, *, step_s: int, settle_s: int, until_s: int, whole: bool) -> tuple[int, int]:
    """What to ask for, in whole slots: all that is not settled (``whole``), else from the first hole, at least the newest hours."""
    oldest_s = now_s - settle_s
    newest_s = now_s - max(NEWEST_S, 2 * step_s)
    start_s = oldest_s if whole else max(oldest_s, min(until_s, newest_s))
    return start_s // step_s * step_s, -(-(now_s + 1) // step_s) * step_s


def _says(fact: IntensityFact) -> tuple[int, bool, bool]:
    """A new version that says the same is no news."""
    return fact.ug_per_kwh, fact.estimated, fact.forecast


def _less(fact: IntensityFact, before: IntensityFact) -> bool:
    return fact.forecast and not before.forecast
