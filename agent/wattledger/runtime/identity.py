"""Who a run is, on paper: names, labels, parents, and the footprint of one that could not be measured."""

import os
from typing import TYPE_CHECKING

from wattledger.core.accounts import WORK_KINDS
from wattledger.core.footprint import Footprint, Identity
from wattledger.core.model import RESERVED, Workload
from wattledger.runtime import clock, host
from wattledger.runtime.build import Session
from wattledger.runtime.warn import warn_once

if TYPE_CHECKING:
    from wattledger.track import Run


def identity(run: "Run", session: Session) -> Identity:
    """Who a run is, on paper."""
    parent = run.parent.run_id if run.parent is not None else session.environ.get("WATTLEDGER_RUN_ID")
    return Identity(run.run_id, parent, job_name(run.job), run.model, run.labels, session.host, run._spec.scope)


def unmeasured(run: "Run", notes: list[str]) -> Footprint:
    parent = run.parent.run_id if run.parent is not None else os.environ.get("WATTLEDGER_RUN_ID")
    who = Identity(run.run_id, parent, job_name(run.job), run.model, run.labels, host.host_name(os.environ), run._spec.scope)
    at = clock.now()
    return Footprint(who, at, at, None, None, None, (), {}, work_of(run), {}, (), tuple(notes))


def work_of(run: "Run") -> dict[str, int]:
    return dict(zip(WORK_KINDS, run._work, strict=True)) if any(run._work) else {}


def workload_of(run: "Run") -> Workload:
    return Workload(job_name(run.job), run.model, tuple(sorted(run._spec.labels.items())) if run._spec.labels else ())


def job_name(name: str) -> str:
    """Names that begin with "(" are the meter's own."""
    if name.startswith("(") or name in RESERVED:
        warn_once("reserved name", f"job name {name!r}: names may not begin with '('; using {name.strip('()')!r}")
        return name.strip("()") or "job"
    return name
