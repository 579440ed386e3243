"""One source, kept from doing harm: its failures translated, its time watched, its hanging kept to itself.

The kernel's files are read inline (25 us), until one call takes over 20 ms.  A driver, whose calls may never come back, is read
on a thread of its own from the start: a boundary only asks it for a reading, which comes a moment later with its own stamp; a
full tick waits for it, 250 ms at most, and not again until it has answered.  Nothing is read more often than four times in
its refresh period: a register tells nothing new before that.
"""

import threading
import traceback
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from wattledger.core.model import Device, Fault, Instant, Sample
from wattledger.core.ports import Source, SourceFailed, SourceGone
from wattledger.core.totals import Health
from wattledger.runtime import clock
from wattledger.runtime.warn import warn_once

T = TypeVar("T")

SLOW_NS = 20_000_000
COLLECT_S = 0.25  # a full tick waits so long for a driver's fresh reading
HOLE_NS = 5_000_000_000  # a source not read for longer was not covering its devices meanwhile
HUNG_NS = 10_000_000_000  # a read that has not come back for longer hangs
HUNG = f"a read has not come back for {HUNG_NS / 1e9:g} s; the other sources go on without this one"


class Runner:
    """Mutable state: the last read's length, errors and coverage so far, and (once slow) the worker thread with what it has read.

    ``wait_s``: how long a full tick waits for a source that is read on a thread of its own; 0 for what asks a network.
    """

    def __init__(
        self,
        source: Source,
        now: Callable[[], Instant],
        *,
        can_hang: bool = False,
        threads: list[int] | None = None,
        wait_s: float = COLLECT_S,
    ) -> None:
        self.source = source
        self.wait_s = wait_s
        self.threads = [] if threads is None else threads  # of the meter itself, so that their CPU time is not the program's
        self.edge = source.edge
        self.errors = 0
        self.up = True
        self.failing = False  # whether the last read was not all that it should have been
        self._all_fails = False  # and whether that was the whole source's failure, not one device's
        self.closed = False
        self.read_at_ns = 0
        # A register shows energy up to one refresh period late: four looks in that time tell when it moved well enough.
        self.gap_ns = min((d.refresh_ns for d in source.devices() if d.inside is None), default=0) // 4
        self._now = now
        self._last_error = ""
        self.untold: deque[str] = deque(maxlen=32)  # failures, for whoever keeps a log
        self._read_ns = 0
        self._begun_ns: int | None = None  # of the read under way
        self._good_ns: int | None = None
        self._seen_ns = self._missed_ns = 0
        self._busy = threading.Lock()
        self._parting = threading.Lock()
        self._worker: Worker | None = Worker(self) if can_hang else None

    @property
    def devices(self) -> tuple[Device, ...]:
        """What the source meters."""
        return tuple(self.source.devices())

    @property
    def notes(self) -> tuple[str, ...]:
        """What the source wants said beside its figures."""
        return tuple(getattr(self.source, "notes", ()))

    @property
    def hangs(self) -> bool:
        """Whether its thread is in a read that does not come back."""
        begun_ns = self._begun_ns
        return self._worker is not None and begun_ns is not None and self._now().mono_ns - begun_ns > HUNG_NS

    def health(self) -> Health:
        """For the snapshot."""
        silent_ns = 0 if self._good_ns is None else self._now().mono_ns - self._good_ns
        missed_ns = self._missed_ns + (silent_ns if silent_ns > HOLE_NS else 0)
        whole_ns = self._seen_ns + missed_ns
        hangs = self.hangs
        last_error = HUNG if hangs else self._last_error
        coverage = self._seen_ns / whole_ns if whole_ns else None
        up = self.up and not hangs and not (self.failing and self._all_fails)
        return Health(up, self._read_ns / 1e9, self.errors, last_error, coverage)

    def read(self, full: bool) -> list[Sample]:
        """Samples read now, or by the worker since the last call.  Never raises, never waits long."""
        if not self.up or self.closed:
            return []
        if self._worker is not None:
            self.read_at_ns = self._now().mono_ns
            return self._worker.collect(full)
        # Someone else's call of this source is under way: if it is not back in time, it hangs, and we do not join it.
        if not self._busy.acquire(timeout=SLOW_NS / 1e9):
            self._part_with()
            return []
        try:
            return self._timed(full)
        finally:
            self._busy.release()

    def _part_with(self) -> None:
        """From now on it is read on a thread of its own: one, however many have waited for it in vain."""
        with self._parting:
            self._worker = self._worker or Worker(self)

    def _timed(self, full: bool) -> list[Sample]:
        self.read_at_ns = self._now().mono_ns
        samples = self.call(full)
        if self._read_ns > SLOW_NS:
            self._part_with()
        return samples

    def call(self, full: bool) -> list[Sample]:
        """The source's own read, with its failures as faults."""
        before, self._begun_ns = clock.elapsed_ns(), self._now().mono_ns
        try:
            samples = self._ask(full)
        finally:
            self._read_ns = clock.elapsed_ns() - before
            self._begun_ns = None
        return samples

    def _ask(self, full: bool) -> list[Sample]:
        try:
            samples = list(self.source.read(self._now, full))
        except SourceFailed as failure:
            return [self._fault(str(failure), gone=False)]
        except SourceGone as failure:
            self.up = False
            return [self._fault(str(failure), gone=True)]
        except Exception as bug:
            # Not a sensor's failure but ours: one traceback, then this source is stopped and the others go on.
            self.up = False
            warn_once(f"bug in source {self.source.name}", traceback.format_exc().rstrip())
            return [self._fault(f"stopped by a bug: {bug!r}", gone=True)]
        faults = [sample for sample in samples if isinstance(sample, Fault)]
        if faults:
            self._all_fails = any(fault.device_id is None for fault in faults)
        self.errors += len(faults)
        self.failing = self._fails_now(samples, bool(faults))
        for fault in faults:
            self._last_error = fault.what
            self.untold.append(fault.what)
        if full:
            self._cover(self._now().mono_ns)
        return samples

    def _fails_now(self, samples: list[Sample], faulty: bool) -> bool:
        """Whether it still fails: a source that asks seldom gives nothing in between, which is no sign of recovery.

        One that may have nothing to say when all is well tells by itself (``failing``).
        """
        told = getattr(self.source, "failing", None)
        if told is not None:
            return faulty or bool(told)
        return faulty if samples else self.failing

    def _cover(self, at_ns: int) -> None:
        """A good read covers the time since the one before it, unless that is too long ago."""
        if self._good_ns is not None and at_ns - self._good_ns > HOLE_NS:
            self._missed_ns += at_ns - self._good_ns
        elif self._good_ns is not None:
            self._seen_ns += at_ns - self._good_ns
        self._good_ns = at_ns

    def _fault(self, what: str, *, gone: bool) -> Fault:
        self.errors += 1
        self.failing = self._all_fails = True
        self._last_error = what
        self.untold.append(what)
        return Fault(self.source.name, None, self._now(), what, gone)

    def close(self) -> None:
        """Let the sensor go, and never read it again; a hung one is left behind (its thread is a daemon)."""
        self.closed = True
        if self._busy.acquire(timeout=SLOW_NS / 1e9):
            try:
                self.source.close()
            except (SourceFailed, SourceGone, OSError) as failure:
                self._last_error = str(failure)
            finally:
                self._busy.release()


class Worker:
    """The thread of a slow source.  State: the reads asked for (full or not) and the samples not collected yet, each in a deque,
    because both sides touch them without a lock."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._wanted = threading.Event()
        self._fresh = threading.Event()
        self._asked: deque[bool] = deque(maxlen=64)  # a source may hang for days
        self._samples: deque[Sample] = deque()
        self.answers = True
        threading.Thread(target=self._work, name=f"wattledger-{runner.source.name}", daemon=True).start()

    def collect(self, full: bool) -> list[Sample]:
        """Ask for a reading and take what is there.

        A boundary does not wait for it: it comes a moment later with its own stamp, and stretches are cut by time.  A full tick
        waits a little, but only while the source does answer.
        """
        self._fresh.clear()
        self._asked.append(full)
        self._wanted.set()
        if full and self.answers and self._runner.wait_s:
            self.answers = self._fresh.wait(self._runner.wait_s)
        return _drained(self._samples)

    def _work(self) -> None:
        self._runner.threads.append(threading.get_native_id())
        while self._runner.up and not self._runner.closed:
            self._wanted.wait()
            self._wanted.clear()
            asked = _drained(self._asked)
            full = any(asked)
            with self._runner._busy:
                self._samples.extend(self._runner.call(full))
            self.answers = True
            if full:  # a boundary's read, still under way when a full one is asked for, is not what that waits for
                self._fresh.set()


def _drained(queue: deque[T]) -> list[T]:
    """Everything in a queue that another thread may be filling."""
    return [queue.popleft() for _ in range(len(queue))]
