"""One measured command: a session whose tree is a child process, one span around it, one footprint."""

import os
from collections.abc import Mapping
from typing import Any

from wattledger.core.accounts import SpanAccount
from wattledger.core.footprint import Footprint, Identity, assemble, terms_of
from wattledger.core.model import Batch, Boundary, Instant, Workload
from wattledger.core.pipeline import Pipeline, Step
from wattledger.runtime import clock
from wattledger.runtime.books.opening import OUTER, Books
from wattledger.runtime.books.runs import run_fact
from wattledger.runtime.build import Plan, Session, attend, open_session
from wattledger.runtime.capture import Recorder
from wattledger.runtime.child import Child
from wattledger.runtime.config import Config
from wattledger.runtime.exporters import push_at_exit
from wattledger.runtime.identity import job_run_id
from wattledger.runtime.opening import Scope
from wattledger.runtime.prices import gain_of, mismatch_g95
from wattledger.runtime.remote.claimed import Claimed, claimed
from wattledger.runtime.warn import warn_once

SPAN = 1


class Wrapped:
    """Sensors are opened before the command starts, so that its first millisecond is measured too.

    State: the session, the span's account once it is settled, and the recorder while it can be written to.
    """

    def __init__(self, config: Config, environ: Mapping[str, str], who: Identity, recorder: Recorder | None) -> None:
        self._recorder = recorder
        self._account: SpanAccount | None = None
        self._claim: Claimed | None = None
        labels = tuple(sorted(who.labels.items()))
        self._workload = Workload(who.job, who.model, labels)
        books = Books("run", job_run_id(environ) or who.run_id, own=self._workload if who.scope == "host" else None)
        scope = Scope(self._workload, (), agent_pid=os.getpid(), whole_machine=who.scope == "host")
        plan = Plan(scope, on_batches=self._record, on_step=self._keep, books=books)
        self._session: Session = open_session(config, environ, plan)
        self._who = who._replace(host=self._session.host)
        if recorder is not None:
            notes = {"sensor_notes": list(self._session.all_notes()), "notes": list(self._session.prices.notes)}
            recorder.begin({"identity": self._who._asdict(), **notes})
        self._session.sampler.enter(self._edge("enter"))

    def handed_down(self) -> dict[str, str]:
        """What the command finds in its environment: whose run it is, and who keeps the books of it."""
        keeper = self._session.keeper
        return {"WATTLEDGER_RUN_ID": self._who.run_id, **({OUTER: keeper.meter.id} if keeper is not None else {})}

    def until(self, child: Child) -> tuple[Footprint, int]:
        """Meter until the child has ended; returns its footprint and exit status."""
        session = self._session
        attend(session, (child.pid,))
        self._claim = claimed(str(session.config["agent.socket"]), self._workload, self._who.run_id, child.pid)
        session.sampler.tick()
        status = child.wait(done=self._finish)
        session.sampler.stop()
        account = self._account
        assert account is not None
        session.close_books([run_fact(self._who, account, session.keeper.meter)] if session.keeper is not None else [])
        notes = (*session.all_notes(), *session.prices.notes)
        footprint = footprint_of(self._who, account, session.pipeline, notes)
        self._close_record()
        # At the very end, when the footprint has been printed: a dead collector must not keep it from whoever waits for it.
        push_at_exit(session, job=self._who.job, started=account.entered)
        return footprint, status

    def abandon(self) -> None:
        """The command could not be started: leave nothing behind."""
        self._session.stop()
        if self._recorder is not None:
            self._recorder.discard()

    def _finish(self) -> None:
        """The command has ended, but is not reaped: its CPU time can still be read, by the agent too."""
        self._session.sampler.leave(self._edge("leave"))
        if self._claim is not None:
            self._claim.close()
        self._session.materials.close()  # passports that are still being read: the footprint is by them
        self._session.sampler.tick()

    def _edge(self, edge: Any) -> Any:
        def make(at: Instant) -> Boundary:
            return Boundary(SPAN, at, edge, self._workload, self._session.tree)

        return make

    def _keep(self, step: Step) -> None:
        for account in step.settled:
            if account.span == SPAN:
                self._account = account

    def _record(self, batches: list[Batch]) -> None:
        if self._recorder is None:
            return
        try:
            self._recorder.add(batches)
        except OSError as failure:
            self._give_up(failure)

    def _close_record(self) -> None:
        if self._recorder is None:
            return
        try:
            self._recorder.close()
        except OSError as failure:
            self._give_up(failure)

    def _give_up(self, failure: OSError) -> None:
        """A capture that cannot be written is dropped whole; the command and its footprint go on."""
        assert self._recorder is not None
        warn_once("record", f"the capture was dropped: {failure.strerror or failure}")
        self._recorder.discard()
        self._recorder = None


def footprint_of(who: Identity, account: SpanAccount, pipeline: Pipeline, notes: tuple[str, ...]) -> Footprint:
    """The footprint of a settled span, at the prices the pipeline was given; ``run`` and ``replay`` share it."""
    end = account.left or clock.now()
    return assemble(
        who,
        account,
        pipeline.totals.devices,
        end=end,
        terms=terms_of(account, pipeline.terms),
        gain_of=gain_of,
        mismatch_g95=mismatch_g95((end.mono_ns - account.entered.mono_ns) / 1e9),
        notes=notes,
        rates=pipeline.rates,
    )
