"""One provider, asked with patience: how long to wait after an answer, a failure, or the server's own word."""

import traceback
from collections.abc import Callable, Sequence
from typing import NamedTuple

from wattledger.core.facts import IntensityFact
from wattledger.core.ports import BadStatus, GridProvider, SourceFailed, SourceGone
from wattledger.runtime.warn import warn_once

LONGEST_S = 3_600.0  # between two questions to a server that fails
RETRY_AFTER_S = 86_400.0  # what a server may ask us to wait
REFUSED = frozenset({401, 403})
JITTER = 0.1  # a fleet that was started at one moment spreads out

Say = Callable[[str], None]
Rand = Callable[[], float]
Question = Callable[[GridProvider], Sequence[IntensityFact]]


class Asked(NamedTuple):
    """How it went with one provider so far; ``why`` it is not up."""

    name: str
    up: bool
    questions: int
    failures: int
    why: str = ""


class Asking:
    """State: when it may be asked again, how often it failed in a row, and whether it is not asked any more.

    ``next_s`` and ``swept_s`` are by the monotonic clock: a clock that is set neither hastens nor stops it.
    """

    def __init__(self, provider: GridProvider, period_s: float, *, say: Say, rand: Rand) -> None:
        self.provider = provider
        self.next_s = 0.0
        self.swept_s: float | None = None
        self.stopped = False
        self._period_s, self._say, self._rand = period_s, say, rand
        self._in_a_row = self._questions = self._failures = 0
        self._why = ""

    def due(self, mono_s: float) -> bool:
        """Whether it may be asked now."""
        return not self.stopped and mono_s >= self.next_s

    def postpone(self, mono_s: float) -> None:
        """What is known will do for a period."""
        self.next_s = mono_s + self._period_s * (1.0 + JITTER * self._rand())

    def ask(self, question: Question, now: Callable[[], float]) -> list[IntensityFact] | None:
        """Its answer, or ``None``; never raises.  ``now``: the monotonic clock, read when the answer is there."""
        self._questions += 1
        try:
            facts = list(question(self.provider))
        except SourceGone as gone:
            self._stop(str(gone))
        except BadStatus as refused:
            if refused.status in REFUSED:
                self._stop(f"{refused}: is the key right, and does it cover this zone?")
            else:
                self._fail(str(refused), now(), refused.retry_after_s)
        except SourceFailed as failed:
            self._fail(str(failed), now(), None)
        except Exception:
            # Not the server's failure but ours: one traceback, then this provider is asked no more.
            warn_once(f"bug in grid provider {self.provider.name}", traceback.format_exc().rstrip())
            self._stop("a bug; see the traceback above")
        else:
            if self._in_a_row:
                self._say(f"grid {self.provider.name}: answers again")
            self._in_a_row, self._why = 0, ""
            self.postpone(now())
            return facts
        return None

    def state(self) -> Asked:
        """For the health page."""
        return Asked(self.provider.name, not self._why, self._questions, self._failures, self._why)

    def _stop(self, why: str) -> None:
        self.stopped, self._why = True, why
        self._failures += 1
        self._say(f"grid {self.provider.name}: {why}; it is not asked again until the next start")

    def _fail(self, why: str, mono_s: float, retry_after_s: float | None) -> None:
        self._in_a_row += 1
        self._failures += 1
        patience_s = min(LONGEST_S, self._period_s * 2.0 ** min(self._in_a_row, 16)) * (1.0 + 0.5 * self._rand())
        self.next_s = mono_s + max(self._period_s, patience_s, min(retry_after_s or 0.0, RETRY_AFTER_S))
        if not self._why:
            self._say(f"grid {self.provider.name}: {why}; it is asked again, ever more seldom")
        self._why = why
