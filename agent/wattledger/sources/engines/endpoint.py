"""The thread of one engine: it asks when it is told to, and keeps what came until that is collected.

A hanging engine hangs its own thread only, and never has two requests in flight.
"""

import threading
from collections import deque

from wattledger.core.model import Sample
from wattledger.core.ports import Now
from wattledger.sources.engines.places import NAME
from wattledger.sources.engines.scrape import Scrape

KEPT = 1_000  # samples that nobody collected
WAIT_S = 0.15  # so long a read waits for answers: a tick waits 250 ms at most for the whole source


class Endpoint:
    """The thread of a place.  State: whether it was asked, and what came; both sides touch them under one condition.

    ``arrived``: told of each answer.  ``quick``: whether the last one came in the time in which anybody waits for it.
    """

    def __init__(self, scrape: Scrape, arrived: threading.Condition) -> None:
        self.scrape = scrape
        self.place = scrape.place
        self.quick = True
        self.bug: BaseException | None = None
        self._arrived = arrived
        self._wanted = threading.Event()
        self._now: Now | None = None
        self._asked_ns = 0
        self.busy = False
        self._closed = False
        self._came: deque[Sample] = deque(maxlen=KEPT)
        self._thread: threading.Thread | None = None

    def ask(self, now: Now) -> bool:
        """Ask for an answer, unless one is still awaited; whether it is worth waiting for."""
        with self._arrived:
            if self.busy or self._closed:
                return False
            self._now, self._asked_ns, self.busy = now, now().mono_ns, True
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=f"wattledger-{NAME}-{self.place.address}", daemon=True)
            self._thread.start()
        self._wanted.set()
        return self.quick

    def collect(self) -> list[Sample]:
        """What has come since the last time."""
        with self._arrived:
            samples = list(self._came)
            self._came.clear()
        return samples

    def close(self) -> None:
        """The thread ends, at once or when the fetch under way has; nobody waits for it."""
        self._closed = True
        self._wanted.set()

    @property
    def alive(self) -> bool:
        """Whether its thread still runs."""
        return self._thread is not None and self._thread.is_alive()

    def _work(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            now = self._now
            if self._closed or now is None:
                return
            samples: list[Sample] = []
            try:
                samples = self.scrape.look(now)
            except Exception as bug:  # not the engine's failure but ours: whoever reads the source is told
                self.bug = bug
            took_ns = now().mono_ns - self._asked_ns
            with self._arrived:
                self._came.extend(samples)
                self.busy, self.quick = False, took_ns < WAIT_S * 1e9
                self._arrived.notify_all()
