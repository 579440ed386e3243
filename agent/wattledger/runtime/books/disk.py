"""How the disk fares that books are kept on: since when it has not taken everything, and why; said once for each cause."""

from collections.abc import Callable

from wattledger.core.model import Instant
from wattledger.core.units import NS_PER_S

HANGS_S = 120.0  # a commit takes milliseconds; one that is not over after two minutes is a disk that does not answer
WAITS = "what was measured is kept in memory and will be written"


class Disk:
    """State: when it last had everything, and what it refuses with ("" while it does not).

    ``say``: where a line goes.  ``patient``: whether the end is worth a line of its own (an agent's log says that it did not get
    better).  Written by the keeper's thread; read by any.
    """

    def __init__(self, say: Callable[[str], None], now: Callable[[], Instant], *, patient: bool) -> None:
        self._say, self._now, self._patient = say, now, patient
        self._whole_ns = now().mono_ns
        self._failing = self._given_up = ""

    def took(self) -> None:
        """It has everything."""
        self._whole_ns = self._now().mono_ns
        if self._failing:
            self._failing = ""
            self._say("the books are written again; nothing was lost")

    def refused(self, what: str, *, final: bool) -> None:
        """It took nothing, or not all; ``final``: nobody will try again."""
        if what != self._failing or (final and self._patient):
            self._failing = what
            self._say(f"books: {what}; {'what was not written yet is not in the books' if final else WAITS}")

    def give_up(self, why: str) -> None:
        """Nobody writes any more, and it is not the disk's fault; ``why`` may have many lines."""
        self._given_up = "the books are given up, by a bug of ours: what is measured from here on is in no book; the log says more"
        self._say(f"the books are given up, by a bug of ours:\n{why}")

    def lag_s(self) -> float:
        """How long it has not had everything: between two commits a few seconds."""
        return max(0.0, (self._now().mono_ns - self._whole_ns) / NS_PER_S)

    def trouble(self) -> str:
        """What is wrong with it, as a line; "" if nothing is."""
        if self._given_up:
            return self._given_up
        if self._failing:
            return f"books: {self._failing}; {WAITS}"
        lag_s = self.lag_s()
        return f"books: the disk has not answered for {lag_s:.0f} s; {WAITS}" if lag_s > HANGS_S else ""
