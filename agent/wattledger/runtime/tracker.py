"""Behind ``track``: one meter, made at the first span, shared by all: the node's agent if its socket answers, else a session of
our own.

Everything that can fail is caught here: a run that cannot be measured is a run whose footprint says why.
"""

import atexit
import itertools
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from wattledger.core.accounts import WORK_KINDS, SpanAccount, merge
from wattledger.core.footprint import Footprint
from wattledger.core.model import Boundary, Instant, Work, Workload
from wattledger.core.pipeline import Step
from wattledger.runtime import clock, host, warn
from wattledger.runtime.assembly import footprint_of_run
from wattledger.runtime.books.opening import OUTER, Books
from wattledger.runtime.build import Plan, open_session
from wattledger.runtime.config import Config, ConfigError, load_or_default
from wattledger.runtime.gpu_sync import asynchronous, synchronise
from wattledger.runtime.identity import identity, job_run_id, unmeasured, workload_of
from wattledger.runtime.local import LocalMeter
from wattledger.runtime.opening import Scope
from wattledger.runtime.span_meter import SpanMeter
from wattledger.runtime.warn import warn_once

MOMENTS_S = tuple(0.001 * 2**i for i in range(10))  # what a tick may take between settling a span and telling of it

if TYPE_CHECKING:
    from wattledger.track import Run, Track


class Entered(NamedTuple):
    """A span that is open: its run, its thread's native id, and whether that is the main thread."""

    run: "weakref.ref[Run]"
    thread: int
    workload: Workload
    main: bool


class Tracker:
    """State: the meter (``None`` until the first span), why there is none, the runs that wait for their accounts, and a
    generation that a fork increases, so that a child never touches its parent's sensors."""

    def __init__(self) -> None:
        self.generation = 1
        self._begin_anew(None)

    def _begin_anew(self, unmeasured: str | None) -> None:
        self._meter: SpanMeter | None = None
        self._unmeasured = unmeasured
        self._making = threading.Lock()
        self._counting = threading.Lock()
        self._spans = itertools.count(1)
        self._runs: weakref.WeakValueDictionary[int, Run] = weakref.WeakValueDictionary()
        self._entered: dict[int, Entered] = {}

    # --- spans ----------------------------------------------------------------------------------------------------------

    def enter(self, run: "Run", whole: "Run | None" = None) -> None:
        """Begin the run's span (``whole``: it is another piece of that run); on any failure the run is unmeasured and says so."""
        spec = run._spec
        try:
            if self._meter is not None and not self._entered and self._meter.is_gone(clock.now()):
                self._let_go(self._meter)
            meter = self._meter or self._make(spec)
            if meter is None:
                run._notes.append(self._unmeasured or "not measured")
                return
            if run.parent is None and spec.sync == "auto":
                if asynchronous():
                    run._notes += synchronise().notes
            elif run.parent is None:
                run._notes.append("sync is off: GPU work still queued at a boundary is counted after it")
            self._enter(run, whole or run, meter)
        except Exception as bug:
            run._notes.append(f"not measured: {bug!r}")
            warn_once("enter", f"this run is not measured: {bug!r}")

    def _enter(self, run: "Run", whole: "Run", meter: SpanMeter) -> None:
        span = next(self._spans)
        workload = workload_of(run)
        parent = run.parent._span if run.parent is not None and run.parent._generation == self.generation else None
        thread = threading.get_native_id()

        def make(at: Instant) -> Boundary:
            clocks = clock.process_cpu_ns(), thread, clock.thread_cpu_ns()
            return Boundary(span, at, "enter", workload, meter.tree, parent, *clocks)

        run._span, run._generation = span, self.generation
        whole._spans.add(span)
        self._runs[span] = whole
        self._entered[span] = Entered(weakref.ref(run), thread, workload, threading.current_thread() is threading.main_thread())
        meter.enter(make)

    def leave(self, run: "Run") -> None:
        """End the run's span."""
        run._left = True
        if run._span is None or run._generation != self.generation or self._meter is None:
            return
        try:
            if run.parent is None and run._spec.sync == "auto" and asynchronous():
                # Not noted twice: what could not be waited for at the start was said there.
                run._synced = bool(synchronise().frameworks)
            self._leave(run, self._meter)
        except Exception as bug:
            run._notes.append(f"its end was not measured: {bug!r}")
            warn_once("leave", f"the end of a run was not measured: {bug!r}")

    def _leave(self, run: "Run", meter: SpanMeter) -> None:
        span, thread = run._span, threading.get_native_id()
        assert span is not None
        entered = self._entered.pop(span, None)
        workload = entered.workload if entered is not None else meter.tree

        def make(at: Instant) -> Boundary:
            return Boundary(
                span, at, "leave", workload, meter.tree, None, clock.process_cpu_ns(), thread, clock.thread_cpu_ns()
            )

        meter.leave(make)

    def around(self) -> "Run | None":
        """For a span in a thread that was started without a context: the outermost run open in the main thread, whose work it
        is."""
        if threading.current_thread() is not threading.main_thread():
            for entered in list(self._entered.values()):
                run = entered.run()
                if entered.main and run is not None and not run._left:
                    return run
        return None

    def _marks(self, at: Instant, tree: Workload, *, own_clock: bool) -> Iterator[Boundary]:
        """The CPU clocks at the edge of a cell: the process's, and each thread's where several spans are open."""
        if own_clock:
            yield Boundary(0, at, "mark", tree, tree, None, clock.process_cpu_ns())
        spans = list(self._entered.items())
        if len(spans) > 1 and self._meter is not None:
            procfs = str(self._meter.config["paths.procfs"])
            looked = {thread: host.thread_cpu_ns(procfs, thread) for thread in {entered.thread for _, entered in spans}}
            for span, entered in spans:
                yield Boundary(span, at, "mark", entered.workload, tree, None, None, entered.thread, looked[entered.thread])

    def add_work(self, run: "Run", counts: tuple[int, int, int, int]) -> None:
        """Record tokens; a negative or non-integer count is one warning, and not counted."""
        wrong = [f"{name}={n!r}" for name, n in zip(WORK_KINDS, counts, strict=True) if not isinstance(n, int) or n < 0]
        if wrong:
            warn_once("add_tokens", f"add_tokens({', '.join(wrong)}): expected whole numbers of 0 or more; not counted")
            return
        with self._counting:
            at: Run | None = run
            while at is not None:
                at._work = [a + b for a, b in zip(at._work, counts, strict=True)]
                at = at.parent
        if run._span is None or run._generation != self.generation or self._meter is None:
            return
        self._meter.put(Work(workload_of(run), clock.now(), *counts, span=run._span))

    # --- footprints -----------------------------------------------------------------------------------------------------

    def footprint(self, run: "Run") -> Footprint:
        """The run's footprint; what cannot be known is absent and said, and nothing is raised."""
        if run.final is not None:
            return run.final
        meter = self._meter
        if run._span is None or meter is None or run._generation != self.generation:
            return unmeasured(run, run._notes or [self._unmeasured or "this run was measured by the parent process"])
        try:
            return self._footprint(run, meter)
        except Exception as bug:
            warn_once("footprint", f"no footprint: {bug!r}")
            return unmeasured(run, [f"no footprint: {bug!r}"])

    def _footprint(self, run: "Run", meter: SpanMeter) -> Footprint:
        ended = run._left and not run._unfinished
        if run._spans:
            meter.settle(run._spans, ended=ended)
        settled, seen = run._settled, meter.look(run._spans) if run._spans else None
        for wait_s in MOMENTS_S:  # settled while we looked, or by a tick that has not told yet: nothing is missed or counted twice
            if run._settled is settled and (settled is not None or (seen is not None and seen.accounts)):
                break
            threading.Event().wait(wait_s)
            settled, seen = run._settled, meter.look(run._spans) if run._spans else None
        if seen is None or not seen.accounts:
            assert settled is not None
            found = footprint_of_run(run, meter, settled, end=settled.left or clock.now(), notes=[])
            run.final = None if run._unfinished else found
            return found
        account = merge([*([] if settled is None else [settled]), *seen.accounts])
        notes = [seen.note] if ended else []
        found = footprint_of_run(run, meter, account, end=account.left or seen.at, notes=notes)
        if ended and found.energy_j is None:
            return found._replace(notes=("too short for a reading yet: ask again in a moment", *found.notes[1:]))
        if ended and not meter.settles_late:
            # Provisional, but only once: what was read of a run that has ended does not change under its reader.
            run.final = found
        return found

    # --- the meter ------------------------------------------------------------------------------------------------------

    def _make(self, spec: "Track") -> SpanMeter | None:
        with self._making:
            if self._meter is not None or self._unmeasured is not None:
                return self._meter
            environ = dict(os.environ)
            config = load_or_default(environ, spec.config)
            said: list[str] = []
            self._meter = self._agent(config, environ, said) or self._own(config, environ, spec, said)
            if self._meter is not None:
                for warning in config.warnings:
                    warn_once(warning, warning)
                atexit.register(self._meter.stop)
            return self._meter

    def _let_go(self, gone: SpanMeter) -> None:
        with self._making:
            if self._meter is gone:
                atexit.unregister(gone.stop)
                gone.stop()
                self._meter = None

    def _agent(self, config: Config, environ: Mapping[str, str], said: list[str]) -> SpanMeter | None:
        """The node's agent, if there is one; one that does not answer is named in ``said``."""
        if not (path := str(config["agent.socket"])) or not os.path.exists(path):
            return None
        from wattledger.runtime.remote.meter import AgentMeter, Refused  # sockets are loaded only where there is one

        try:
            return AgentMeter(config, environ, settled=self._settle_one, wanted=self._runs.__contains__)
        except Refused as why:
            said.append(f"the agent at {path} does not measure this run ({why}), so the program measures itself")
            return None

    def _own(self, config: Config, environ: Mapping[str, str], spec: "Track", said: list[str]) -> SpanMeter | None:
        rank = host.rank_of(environ)
        if rank is not None and rank.local > 0:
            self._unmeasured = f"rank {rank.local} of {rank.size} on this node: local rank 0 measures for all of them"
            return None
        launcher = host.launcher_pid(environ)
        root = launcher if launcher is not None else os.getpid()
        tree = Workload(f"pid {root}")
        books = Books("track", job_run_id(environ) or "")
        plan = Plan(Scope(tree, (root,), whole_machine=spec.scope == "host"), on_step=self._settle, books=books)
        plan = plan._replace(marks=partial(self._marks, tree=tree, own_clock=launcher is None))
        try:
            session = open_session(config, environ, plan)
        except (ConfigError, KeyError) as wrong:
            warn_once("configuration", f"{wrong}; using the defaults")
            session = open_session(Config({}), environ, plan)
        if session.keeper is not None:
            os.environ[OUTER] = session.keeper.meter.id
        if session.config["exporters.otlp.enabled"] or session.config["exporters.pushgateway.url"]:
            from wattledger.runtime.exporters import push_at_exit

            push_at_exit(session, started=clock.now())  # before the sampler's own end is registered: what is first runs last
        return LocalMeter(session, said)

    def _settle(self, step: Step) -> None:
        for account in step.settled:
            self._settle_one(account)

    def _settle_one(self, account: SpanAccount) -> None:
        run = self._runs.pop(account.span, None)
        if run is not None:
            # Folded at once: a data loader may settle a million pieces.
            run._settled = account if run._settled is None else merge([run._settled, account])
            run._spans.discard(account.span)
            meter = self._meter
            if meter is not None and run.parent is None and run._left and not run._unfinished and not run._spans:
                meter.ended(identity(run, meter.environ, meter.host), run._settled)

    def before_fork(self) -> None:
        """Names are drawn when they are first asked for; an open run's must be the same in parent and child."""
        for entered in list(self._entered.values()):
            if (run := entered.run()) is not None:
                _ = run.run_id

    def forked(self) -> None:
        """In a forked child: the parent's sensors, thread and lock are not ours; into a span it has open goes our energy, too."""
        if self._meter is not None:
            # The handler came along with the fork; the sensors, threads and locks it would touch are the parent's.
            atexit.unregister(self._meter.stop)
            self._meter.forked()
        warn.forked()
        self.generation += 1
        measured = f"this process was forked inside a run of process {os.getppid()}, which measures it"
        self._begin_anew(measured if self._entered else None)


TRACKER = Tracker()
_register: Callable[..., None] | None = getattr(os, "register_at_fork", None)
if _register is not None and sys.platform != "win32":
    _register(before=TRACKER.before_fork, after_in_child=TRACKER.forked)
