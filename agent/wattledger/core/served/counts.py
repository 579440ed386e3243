"""A serving engine's cumulative counts → what it did between two readings: restarts, glitches and first readings told apart."""

from typing import NamedTuple

from wattledger.core.model import Served
from wattledger.core.units import NS_PER_S

MOST_PER_S = 50_000_000  # tokens; a thousand times what a rack does: more is no count of tokens
BACK_LOOKS = 3  # a count that stays below where it was for so many readings was set back for good
COUNTS = ("prompt_tokens", "cached_tokens", "generated_tokens", "requests", "steps")


class Growth(NamedTuple):
    """What one model in one replica did since the reading before.

    ``steps``: ``None`` where the engine does not tell.  ``fresh``: the engine has begun anew, and what was learnt of it may be of
    another one.  ``wrong``: one line on counts that were not believed.
    """

    prompt: int
    cached: int
    generated: int
    requests: int
    steps: int | None
    fresh: bool = False
    wrong: str = ""


class Counts:
    """State: the last believed counts of one model in one replica, and for how many readings each has been below them."""

    def __init__(self, first: Served) -> None:
        self.last = first
        self._below = dict.fromkeys(COUNTS, 0)

    def take(self, now: Served) -> Growth | None:
        """The growth since the last reading; ``None`` for a reading that is not newer."""
        last = self.last
        if now.at.mono_ns <= last.at.mono_ns:
            return None
        before = {name: getattr(last, name) or 0 for name in COUNTS}
        after = {name: before[name] if getattr(now, name) is None else getattr(now, name) for name in COUNTS}
        fell = [name for name in COUNTS if after[name] < before[name]]
        # All that had counted anything fell, or the engine itself says that it is another: it counts from zero.
        if now.setup != last.setup or (fell and all(after[name] < before[name] for name in COUNTS if before[name])):
            self.last, self._below = now, dict.fromkeys(COUNTS, 0)
            return self._told(now, after, last, fresh=True)
        grown = {name: max(0, after[name] - before[name]) for name in COUNTS}
        believed = {name: self._held(name, before[name], after[name]) if name in fell else after[name] for name in COUNTS}
        held = [None if name == "steps" and now.steps is None else believed[name] for name in COUNTS]
        self.last = Served._make((*now[:5], *held, *now[10:]))
        for name in set(COUNTS) - set(fell):
            self._below[name] = 0
        growth = self._told(now, grown, last, fresh=False)
        if fell and not growth.wrong:
            name = fell[0]
            wrong = f"{name} went back from {before[name]} to {after[name]} while others did not: not counted"
            growth = growth._replace(wrong=wrong)
        return growth

    def _held(self, name: str, before: int, after: int) -> int:
        """A count that fell is held where it was, so that nothing counts twice if it comes back; if it stays, it has been set
        back."""
        self._below[name] += 1
        if self._below[name] < BACK_LOOKS:
            return before
        self._below[name] = 0
        return after

    @staticmethod
    def _told(now: Served, grown: dict[str, int], last: Served, *, fresh: bool) -> Growth:
        most = MOST_PER_S * (now.at.mono_ns - last.at.mono_ns) // NS_PER_S
        mad = next((name for name in COUNTS if grown[name] > most), None)
        if mad is not None:
            steps = None if now.steps is None else 0
            return Growth(0, 0, 0, 0, steps, fresh, f"{mad} grew by {grown[mad]} in one reading, which no engine does: not counted")
        steps = None if now.steps is None or (last.steps is None and not fresh) else grown["steps"]
        prompt, cached, generated, requests = (grown[name] for name in COUNTS[:4])
        return Growth(prompt, cached, generated, requests, steps, fresh)
