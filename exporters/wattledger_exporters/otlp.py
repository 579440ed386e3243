"""Sends snapshots by OTLP, over gRPC or HTTP, where the standard ``OTEL_*`` variables say.

A dead or slow receiver costs the meter nothing: ``push`` swaps a reference, a thread of its own sends what is newest.
"""

import logging
import os
import threading
from collections.abc import Mapping
from typing import NamedTuple

from wattledger.core.model import Instant
from wattledger.core.ports import Now, Sent
from wattledger.core.totals import Snapshot
from wattledger_exporters.otlp_points import Cumulative, Delta, parts, readings

log = logging.getLogger("wattledger.exporters.otlp")
POINTS = 3000  # in one request: 2 MB with long names, and a gRPC receiver takes 4 MB


class Pushed(NamedTuple):
    """A snapshot and when it was handed over."""

    snapshot: Snapshot
    at_ns: int


class Otlp:
    """A ``Pusher``.

    ``options``: ``host``, the node's name; ``at_exit_s``, for a program that pushes at its end, when no thread can be started any
    more: nothing is connected before ``close``, which sends by itself for about so long.  ``started``: when the totals began.

    Raises ValueError or ImportError with one line where the environment asks for what there is not.

    State: the newest snapshot (replaced by ``push``), the last one that arrived, the counts (replaced by who sends), and what a
    receiver of deltas knows.  None of it is a forked child's: the thread stays with the parent, and so does every total.
    """

    name = "otlp"

    def __init__(self, options: Mapping[str, object], *, now: Now, started: Instant) -> None:
        from wattledger_exporters.otlp_sdk import Wire, setting

        at_exit_s = options.get("at_exit_s")
        asked = setting()
        most_s = float(at_exit_s) if isinstance(at_exit_s, (int, float)) else None
        self._wire = Wire(asked, str(options.get("host", "")), most_s)
        self._temporality = Delta(started.wall_ns) if asked.delta else Cumulative(started.wall_ns)
        self._now, self._interval_s, self._pid = now, asked.interval_s, os.getpid()
        self._newest: Pushed | None = None
        self._arrived: Pushed | None = None
        self._sent = Sent(0, 0)
        self._failing = self._given_up = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        if most_s is None:
            self._thread = threading.Thread(target=self._loop, name="wattledger-otlp", daemon=True)
            self._thread.start()

    def push(self, snapshot: Snapshot) -> None:
        """Hand over the newest snapshot; it goes out at the next ``OTEL_METRIC_EXPORT_INTERVAL``."""
        self._newest = Pushed(snapshot, self._now().wall_ns)

    def sent(self) -> Sent:
        """Snapshots that arrived whole, and those that did not."""
        return self._sent

    def close(self, timeout_s: float) -> None:
        """Send what has not arrived yet, once, within ``timeout_s``."""
        if os.getpid() != self._pid or self._stop.is_set():
            return
        self._stop.set()
        if self._thread is None:
            self._deliver()
        else:
            self._thread.join(timeout_s)
        if self._thread is not None and self._thread.is_alive():
            self._given_up = True
            self._count(f"not taken within the {timeout_s:g} s there were at the end")
        self._wire.shutdown()

    def _loop(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._deliver()
        self._deliver()

    def _deliver(self) -> None:
        """The newest snapshot, unless it has arrived already: what arrives twice is counted twice by a simple receiver."""
        newest = self._newest
        if newest is None or newest is self._arrived or self._given_up:
            return
        try:
            why = self._send(newest)
        except Exception as bug:  # ours: the thread lives on, and the count says so
            why = repr(bug)
        if self._given_up:
            return
        if not why:
            self._arrived = newest
        self._count(why)

    def _send(self, pushed: Pushed) -> str:
        """Why it did not arrive, or nothing.  After a part that did not, the others wait for the next time too."""
        found = list(readings(pushed.snapshot, self._wire.host_id))
        for part in parts(found, POINTS):
            why = self._wire.send([(reading, self._temporality.points(reading)) for reading in part], pushed.at_ns)
            if why:
                return why
            self._temporality.arrived(part, pushed.at_ns)
        self._temporality.forget_all_but(found)
        return ""

    def _count(self, why: str) -> None:
        """One line for each change between delivering and failing, none for each failure."""
        delivered, failed, last_error = self._sent
        if why:
            self._sent = Sent(delivered, failed + 1, why)
            if not self._failing:
                log.warning("wattledger: otlp: %s", why)
        else:
            self._sent = Sent(delivered + 1, failed, last_error)
            if self._failing:
                log.warning("wattledger: otlp: delivering again, after %d failures so far", failed)
        self._failing = bool(why)
