"""Keeps a meter's books: gathers what each step handed out, journals the open minutes, closes them into facts.

A thread of its own; the sampler only appends to a queue.  What the disk does not take stays in memory, is said once, and is written
when it can be: nothing is lost, and nothing is written twice.
"""

import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from wattledger.core.facts import AllocationFact, Fact, GapFact, fits
from wattledger.core.model import Device, Gap, Instant
from wattledger.core.pipeline import Pipeline, Step
from wattledger.core.posted import MINUTE_S, Minute
from wattledger.runtime import clock
from wattledger.runtime.books.disk import Disk
from wattledger.runtime.books.forks import committing, guard
from wattledger.runtime.books.minutes import Facts, Meter, Scribe, Taken, Window, together, window_of
from wattledger.runtime.books.place import local, mounts
from wattledger.runtime.books.settled import Settled
from wattledger.runtime.warn import warn_once

if TYPE_CHECKING:
    from wattledger.ledger.store import Store

FIRST_S = 1.0  # that a meter began is written soon, and what writing needs is loaded while the program works
GRACE_S = 10  # a source that answers late still finds its minute open
MOST_MINUTES = 180  # open ones, while the disk takes nothing; older ones are put together by the quarter of an hour
QUARTER_S = 900
STOP_S = 5.0  # what a program's end may wait for its books
MANY = 120  # steps that wait for a disk that hangs; more are put together
Kept = TypeVar("Kept", bound=Fact)


class Plan(NamedTuple):
    """How books are kept: where, by whom, how often, and whether the store stays open (an agent's does; a program may fork).

    ``mounts``: the file systems, by which it is seen whether the folder is this host's own.  ``requests``: whether each request's
    energy is kept.
    """

    folder: Path
    meter: Meter
    interval_s: float
    hold: bool = False
    mounts: Callable[[], str] = mounts
    requests: bool = True


class Keeper:
    """State: the queue of what was handed out, the open windows (with the requests that were settled in them), facts that wait for
    the disk, and how that fares.

    ``unsaid_ns``: how long devices were reserved for runs too short for facts of their own; the meter's end tells.
    ``say``: where a line about the disk goes.  ``settled``: shown the books after each commit.
    """

    def __init__(
        self,
        plan: Plan,
        say: Callable[[str], None] | None = None,
        settled: Settled | None = None,
        *,
        now: Callable[[], Instant] = clock.now,
    ) -> None:
        self.meter, self.settled = plan.meter, settled
        self._plan, self._say, self._now = plan, say or _warn, now
        self.disk = Disk(self._say, now, patient=plan.hold)
        self._scribe = Scribe(plan.meter)
        self._queue: deque[Taken] = deque()
        self._notes: deque[Fact | Callable[[], Fact]] = deque()
        self.unsaid_ns: dict[str, float] = {}
        self._devices: dict[str, Device] = {}
        self._open: dict[Window, Minute] = {}
        self._settled: dict[Window, list[AllocationFact]] = {}
        self._waiting: list[Fact] = []
        self._newest_s = 0
        self._store: Store | None = None
        self._folder: Path | None = None
        self._recovered = self._dirty = self._said_beyond = False
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    # --- anybody's thread -------------------------------------------------------------------------------------------------

    def take(self, step: Step, pipeline: Pipeline) -> None:
        """What a step handed out; returns at once."""
        minutes = [minutes for minutes in step.kept if minutes]
        requests = step.requests if self._plan.requests else ()
        if minutes or step.gaps or requests:
            if len(self._devices) != len(pipeline.totals.devices):
                self._devices = dict(pipeline.totals.devices)
            self._queue.append(Taken(minutes, pipeline.terms, step.gaps, requests))
            if len(self._queue) > MANY:
                self._shorten()

    def _shorten(self) -> None:
        """The disk does not come back from a commit: the two newest steps become one, so that memory grows by the minute only."""
        newest = self._queue.pop()
        try:
            before = self._queue.pop()
        except IndexError:  # it has come back
            self._queue.append(newest)
            return
        if before.terms is not newest.terms:
            self._queue += [before, newest]
            return
        self._queue.append(together(before, newest))

    def note(self, facts: Sequence[Fact | Callable[[], Fact]]) -> None:
        """Facts that come from elsewhere, or what makes them on the keeper's thread, for the next commit; returns at once."""
        self._notes.extend(facts)

    def start(self) -> None:
        """Begin to commit."""
        guard()
        self._thread = threading.Thread(target=self._run, name="wattledger-books", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = STOP_S) -> None:
        """The last commit: everything is closed; returns within ``timeout_s``, the disk willing or not."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    # --- the keeper's thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            wait_s = min(FIRST_S, self._plan.interval_s)
            while not self._ended.wait(wait_s):
                self.commit()
                wait_s = self._plan.interval_s
            self.commit(final=True)
        except Exception:  # our mistake, and the program's day goes on
            self.disk.give_up(traceback.format_exc().rstrip())
        if self._store is not None:
            self._store.close()

    def commit(self, *, final: bool = False) -> None:
        """Write what there is: closed minutes as facts, open ones as the journal."""
        self._gather()
        over, still_open = self._cut(final)
        if over or self._waiting or (still_open and self._dirty):
            with committing():
                failure = self._write(over, still_open)
            if failure:
                self._failed(failure, final)
                return
        self.disk.took()

    def _gather(self) -> None:
        while self._queue:
            self._dirty = True
            taken = self._queue.popleft()
            for minutes in taken.minutes:
                for start_s, minute in minutes.items():
                    window = window_of(start_s, taken.terms)
                    held = self._open.get(window)
                    if held is None:
                        self._open[window] = minute
                    else:
                        held.add(minute)
                self._newest_s = max(minutes, default=self._newest_s)
            self._waiting += [self._gap(gap) for gap in taken.gaps]
            if taken.requests:
                self._settle(taken)
        while self._notes:
            note = self._notes.popleft()
            self._waiting.append(note() if callable(note) else note)
        self._waiting = self._kept(self._waiting)
        if len(self._open) > MOST_MINUTES:
            self._fold()

    def _settle(self, taken: Taken) -> None:
        """A request is written with the newest minute: its energy is part of that one's and of earlier ones', never before them."""
        window = window_of(max((w.start_s for w in self._open), default=self._newest_s), taken.terms)
        self._open.setdefault(window, Minute())
        facts = [self._scribe.request(window, of) for of in taken.requests]
        self._settled.setdefault(window, []).extend(fact for fact in facts if fact is not None)

    def _gap(self, gap: Gap) -> GapFact:
        start_ms, end_ms = gap.start.wall_ns // 1_000_000, gap.end.wall_ns // 1_000_000
        return GapFact(self.meter.id, self.meter.host, gap.device.id, start_ms, max(start_ms, end_ms), gap.reason)

    def _fold(self) -> None:
        """The disk takes nothing: older minutes are kept by the quarter of an hour, which no grid's slot is shorter than by much,
        and which memory can hold for days."""
        before, self._open = self._open, {}
        settled, self._settled = self._settled, {}
        for of, minute in before.items():
            window = of
            if of.length_s == MINUTE_S and of.start_s < self._newest_s - QUARTER_S:
                window = of._replace(start_s=of.start_s // QUARTER_S * QUARTER_S, length_s=QUARTER_S)
            if of in settled:
                self._settled.setdefault(window, []).extend(settled[of])
            held = self._open.get(window)
            if held is None:
                self._open[window] = minute
            else:
                held.add(minute)

    def _cut(self, final: bool) -> tuple[list[Window], Facts]:
        now_s = self._now().wall_ns // 1_000_000_000
        # A clock that was stepped must not keep a minute open for an hour: what is far from the newest minute, before or after,
        # is over.
        at_s = self._newest_s
        over = [w for w in self._open if final or now_s >= w.start_s + w.length_s + GRACE_S or abs(w.start_s - at_s) > MINUTE_S]
        still = [fact for window in self._open.keys() - set(over) for fact in self._facts(window)]
        return sorted(over), still

    def _facts(self, window: Window) -> Facts:
        return self._kept([*self._scribe.facts(window, self._open[window], self._devices), *self._settled.get(window, ())])

    def _kept(self, facts: Sequence[Kept]) -> list[Kept]:
        """Without counts that nobody can have counted: one of them would keep its day from ever being sealed."""
        found = [fact for fact in facts if fits(fact)]
        if len(found) < len(facts) and not self._said_beyond:
            self._said_beyond = True  # once is enough
            self._say("books: a count of more than 64 bits was told and is left out; who told it made it up")
        return found

    def _write(self, over: Sequence[Window], still_open: Facts) -> str:
        """One commit; on failure (what is wrong is returned) everything stays as it was, for the next."""
        from wattledger.ledger.engine import LedgerError

        closed = [fact for window in over for fact in self._facts(window)]
        now_s = self._now().wall_ns // 1_000_000_000
        try:
            store = self._opened(now_s)
            try:
                if self._waiting:
                    store.append(self._waiting, now_s)
                    self._waiting = []
                if closed:
                    store.close_minutes(closed, still_open, now_s)
                elif still_open:
                    store.journal(still_open, now_s)
                if self.settled is not None:
                    self.settled.look(store, now_s)
            finally:
                if not self._plan.hold:
                    self._store = None
                    store.close()
        except LedgerError as failure:
            found = str(failure)
        else:
            found = ""
            self._dirty = False
            for window in over:
                del self._open[window]
                self._settled.pop(window, None)
        return found

    def _opened(self, now_s: int) -> "Store":
        if self._store is not None:
            return self._store
        books = store_class()  # sqlite3 is loaded here, off the program's path
        if self._folder is None:
            self._folder, line = local(self._plan.folder, self._plan.mounts)
            if line:
                self._say(line)
        store = books.open(self._folder, instance=self.meter.id)
        if not self._recovered:
            self._recovered = True
            recovered = store.recover(now_s)
            if recovered and self._plan.hold:
                self._say(f"books: {recovered} facts of a meter that was ended before its minute was over are in")
        if self._plan.hold:
            self._store = store
        return store

    def _failed(self, what: str, final: bool) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
        self.disk.refused(what, final=final)


def store_class() -> "type[Store]":
    """The store, where this Python has what it needs.  Raises LedgerError."""
    from wattledger.ledger.engine import LedgerError

    try:
        from wattledger.ledger.store import Store
    except ImportError:
        raise LedgerError("this Python has no SQLite, so no books are kept: install its sqlite3 module") from None
    return Store


def _warn(line: str) -> None:
    warn_once(f"books {line}", line)
