"""The only loop, the only lock.  Reads outside the lock, decides purely under it, acts after it.

A boundary of a span only records: it reads the energy registers, stamps itself and appends a batch; the pipeline steps later, off
the user's path.  A full tick reads everything and closes the cell.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from wattledger.core.model import Batch, Boundary, Device, Instant, Resume, Sample
from wattledger.core.pipeline import Pipeline, Step
from wattledger.runtime import clock
from wattledger.runtime.runner import Runner

MANY = 256  # batches recorded before the thread is asked to close the cell,
SOON_NS = 100_000_000  # but not sooner than this (use is counted in ticks of 10 ms);
TOO_MANY = 1024  # so many, and it is closed on the spot: memory stays bounded
SUSPEND_NS = 500_000_000  # less is the two clocks being read one after the other


class Hooks(NamedTuple):
    """What an agent does at every full tick.

    ``name``: samples that say who the processes are which sources have mentioned; outside the lock.  ``look``: the cell is
    closed, and under the lock the pipeline may be read, quickly.
    """

    name: Callable[[Sequence[Sample]], Iterable[Sample]]
    look: Callable[[Step, Pipeline], None]


class Sampler:
    """Drives sources into a pipeline.

    Mutable state: ``_pending`` (batches recorded, not stepped), ``_open`` (ids of open spans), the thread and whether it is
    parked or drowsy, when the last cell was closed and the next is due.  ``_pending`` and ``_open`` are touched without the lock:
    deque.append and set.add are atomic.  ``steady``: ticks go on for ever on a fixed grid, whether a span is open or not.
    """

    def __init__(
        self,
        runners: Sequence[Runner],
        pipeline: Pipeline,
        *,
        interval_ns: int,
        now: Callable[[], Instant] = clock.now,
        asleep_ns: Callable[[], int] = clock.asleep_ns,
        marks: Callable[[Instant], Iterable[Boundary]] | None = None,
        hooks: "Hooks | None" = None,
        steady: bool = False,
        on_batches: Callable[[list[Batch]], None] | None = None,
        on_step: Callable[[Step], None] | None = None,
    ) -> None:
        self.runners = list(runners)
        self.pipeline = pipeline
        self.agent_threads: list[int] = []
        self.late_ns = 0
        self._hooks, self._steady = hooks, steady
        self._due_ns = 0
        self._now, self._marks = now, marks
        self._asleep_ns, self._slept_ns = asleep_ns, asleep_ns()
        self._interval_ns = interval_ns
        self._on_batches, self._on_step = on_batches, on_step
        self._lock = threading.Lock()
        self._recording = threading.Lock()  # guards the order of a file, never a decision
        self._pending: deque[Batch] = deque()
        self._stepped: deque[Batch] = deque()
        self._open: set[int] = set()
        self._closed_ns = -interval_ns
        self._thread: threading.Thread | None = None
        self._parked = False
        self._drowsy = False  # nothing is open, so power-only cards are not polled
        self._stopped = False
        self._wake = threading.Event()

    # --- the user's path ------------------------------------------------------------------------------------------------

    def enter(self, make: Callable[[Instant], Boundary]) -> Instant:
        """Begin a span: read, then stamp, so that the span does not pay for the reading."""
        if not self._open and self._now().mono_ns - self._closed_ns > self._interval_ns:
            # The cell has run since the last span, maybe hours ago: what the machine did then is not this span's neighbour.
            self.tick()
        samples = self._edges()
        boundary = make(self._now())
        samples.append(boundary)
        self._open.add(boundary.span)
        self._pending.append(Batch(boundary.at, False, tuple(samples)))
        if self._parked or self._drowsy or self._thread is None:
            self._rouse()
        return boundary.at

    def leave(self, make: Callable[[Instant], Boundary]) -> Instant:
        """End a span: stamp, then read."""
        boundary = make(self._now())
        self._pending.append(Batch(boundary.at, False, (boundary, *self._edges())))
        self._open.discard(boundary.span)
        waiting = len(self._pending)
        if waiting >= TOO_MANY:
            self.tick()
        elif waiting >= MANY and boundary.at.mono_ns - self._closed_ns > SOON_NS and not self._wake.is_set():
            self._wake.set()
        return boundary.at

    def put(self, samples: Iterable[Sample]) -> None:
        """Record facts that come from elsewhere (tokens, factors, floors)."""
        self._pending.append(Batch(self._now(), False, tuple(samples)))

    def _edges(self) -> list[Sample]:
        """The energy registers, but none again before it can have moved (a quarter of its refresh period): between two readings
        that close a stretch is cut by time."""
        samples: list[Sample] = []
        at_ns = self._now().mono_ns
        for runner in self.runners:
            if runner.edge and at_ns - runner.read_at_ns >= runner.gap_ns:
                samples += runner.read(False)
        return samples

    # --- ticks ----------------------------------------------------------------------------------------------------------

    def tick(self) -> Step:
        """Read everything and close the cell."""
        samples: list[Sample] = [*self._woken()]
        for runner in list(self.runners):
            samples += runner.read(True)
        if self._hooks is not None:
            samples += self._hooks.name(samples)
        with self._lock:
            at = self._now()
            if self._marks is not None:
                samples += self._marks(at)
            batches = self._drain()
            batches.append(Batch(at, True, tuple(samples)))
            step = self._step(batches)
            self._closed_ns = at.mono_ns
            if self._hooks is not None:
                self._hooks.look(step, self.pipeline)
        self._record()
        if self._on_step is not None:
            self._on_step(step)
        return step

    def _record(self) -> None:
        """Hand over what was stepped, in the order it was stepped, whoever stepped it."""
        if self._on_batches is None:
            self._stepped.clear()
            return
        with self._recording:
            batches = []
            while self._stepped:
                batches.append(self._stepped.popleft())
            self._on_batches(batches)

    def _woken(self) -> Iterable[Sample]:
        """Whether the machine was suspended since the last tick."""
        slept_ns, self._slept_ns = self._slept_ns, self._asleep_ns()
        if self._slept_ns - slept_ns > SUSPEND_NS:
            yield Resume(self._now(), self._slept_ns - slept_ns)

    def _drain(self) -> list[Batch]:
        batches = []
        while self._pending:
            batches.append(self._pending.popleft())
        return batches

    def _step(self, batches: Iterable[Batch]) -> Step:
        """Under the lock: the pipeline is pure."""
        step = Step([], [], [])
        for batch in batches:
            self._stepped.append(batch)
            out = self.pipeline.step(batch)
            found = step.settled + out.settled, step.gaps + out.gaps, step.floors + out.floors, step.kept + out.kept
            step = Step(*found, step.requests + out.requests, step.doubts + out.doubts)
        return step

    def ripe(self) -> bool:
        """Whether the open cell is long enough for every register to have moved; closing earlier would share out nothing."""
        age_ns = self._now().mono_ns - self._closed_ns
        return all(age_ns > d.refresh_ns for d in self.devices() if d.inside is None)

    def view(self) -> tuple[Pipeline, Instant]:
        """The figures as they stand, provisional, without closing the cell."""
        with self._lock:
            batches = self._drain()
            step = self._step(batches)
            at = self._now()
            copy = self.pipeline.peek(at)
        self._record()
        assert not step.settled  # only a full batch settles
        return copy, at

    def devices(self) -> list[Device]:
        """Everything metered."""
        return [device for runner in self.runners for device in runner.devices]

    # --- the thread -----------------------------------------------------------------------------------------------------

    def _rouse(self) -> None:
        self._parked = self._drowsy = False
        with self._lock:
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._loop, name="wattledger-sampler", daemon=True)
                self._thread.start()
        self._wake.set()

    def start(self) -> None:
        """Begin to tick, for ever; the first tick is now."""
        self._due_ns = self._now().mono_ns
        self._rouse()

    def is_alive(self) -> bool:
        """Whether somebody ticks."""
        return self._thread is not None and self._thread.is_alive()

    def _loop_steadily(self) -> None:
        """Ticks on a grid of the interval: one that is late does not make the next one late."""
        while not self._stopped:
            self._wake.wait(max(0, min(self._due_ns - self._now().mono_ns, self._period_ns())) / 1e9)
            self._wake.clear()
            late_ns = self._now().mono_ns - self._due_ns
            if late_ns >= 0 and not self._stopped:
                self.late_ns = late_ns
                self._due_ns += (late_ns // self._interval_ns + 1) * self._interval_ns
                self.tick()
            elif not self._stopped:
                self._poll()

    def _loop(self) -> None:
        self.agent_threads.append(threading.get_native_id())
        if self._steady:
            self._loop_steadily()
            return
        while not self._stopped:
            period_ns = self._period_ns()
            self._drowsy = not self._open and period_ns < self._interval_ns
            if self._drowsy:
                period_ns = self._interval_ns
            self._wake.wait(None if self._parked else period_ns / 1e9)
            self._wake.clear()
            if self._stopped:
                return
            if not self._open and not self._pending:
                self._parked = True
                # A span that entered before it could see this flag is seen here: it added itself to _open first.
                if not self._open:
                    continue
            self._parked = False
            age_ns = self._now().mono_ns - self._closed_ns
            if age_ns >= self._interval_ns - period_ns // 2 or (len(self._pending) >= MANY and age_ns > SOON_NS):
                self.tick()
            else:
                self._poll()

    def _period_ns(self) -> int:
        """As often as the most demanding sensor must be read: power-only cards at their refresh period, while they are held."""
        periods = [r.source.period_ns for r in self.runners if r.up and r.source.period_ns is not None]
        return min([self._interval_ns, *periods])

    def _poll(self) -> None:
        samples: list[Sample] = []
        for runner in self.runners:
            if runner.source.period_ns is not None and runner.source.period_ns < self._interval_ns:
                samples += runner.read(False)
        if samples:
            self._pending.append(Batch(self._now(), False, tuple(samples)))

    def stop(self) -> None:
        """End the thread and let the sensors go."""
        self._stopped = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=1.0)
        # A look at a run that had ended has taken its boundary into the pipeline, whose cell is still to be closed.
        if self._open or self._pending or self._steady or self.pipeline.spans.open_accounts():
            self.tick()  # whoever asks after this still gets the last word of the sensors
        with self._lock:
            step = self.pipeline.end()
        if step.requests and self._on_step is not None:
            self._on_step(step)
        for runner in self.runners:
            runner.close()
