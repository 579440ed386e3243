"""What the pages are made of: the latest snapshot, the last hour, and today.  The agent posts; requests read."""

import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple

from wattledger.core.model import Instant, Workload
from wattledger.core.totals import Snapshot
from wattledger.core.units import NS_PER_S
from wattledger.runtime.page.history import History
from wattledger.runtime.page.powers import Mark, now_w
from wattledger.runtime.page.today import Today

LEAST_NS = 2 * NS_PER_S  # devices are divided by the shares of that long at least


class Latest(NamedTuple):
    """One tick's snapshot, as it is shown (new series are led in by a zero) and as it is, and when it was made."""

    shown: Snapshot
    final: Snapshot
    at: Instant


class About(NamedTuple):
    """Who shows the page: host, since when, whether it is made up, what is to be said of sensors and prices, and whether figures of
    then are too old to be of now (both asked each time)."""

    host: str
    started: Instant
    demo: bool
    notes: Callable[[], tuple[str, ...]] = tuple
    overdue: Callable[[Instant], bool] = lambda at: False


class Board:
    """State: the latest snapshot (a reference that is replaced), and what is reckoned from several: the last hour, and today."""

    def __init__(self, about: About, history: History | None = None) -> None:
        self.about = about
        self.latest: Latest | None = None
        self.history = history or History()
        self.today = Today(about.started)
        self._looking = threading.Lock()

    def post(self, shown: Snapshot, final: Snapshot, at: Instant) -> None:
        """The newest; under the sampler's lock, so nothing is worked out here."""
        self.latest = Latest(shown, final, at)

    def look(self) -> None:
        """About once a second, on a thread that may take its time: a step of the last hour, and midnight."""
        latest = self.latest
        if latest is None or not self._looking.acquire(blocking=False):
            return
        try:
            self.today.look(latest.at, latest.final)
            if self.history.due(latest.at):
                grid = latest.final.grid
                self.history.add(Mark(latest.at, latest.final), None if grid is None else grid.value)
        finally:
            self._looking.release()


    def powers(self, latest: Latest) -> tuple[Mapping[Workload, float], float | None]:
        """What each workload draws, and by the shares of how many seconds; ``None`` while there was only one look."""
        marks = self.history.marks(latest.at, LEAST_NS)
        if not marks:
            return {}, None
        return now_w(marks, Mark(latest.at, latest.final)), (latest.at.mono_ns - marks[-1].at.mono_ns) / NS_PER_S
