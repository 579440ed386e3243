"""Who a run is, on paper: names, labels, parents, and the footprint of one that could not be measured."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from wattledger.core.accounts import WORK_KINDS
from wattledger.core.footprint import Footprint, Identity
from wattledger.core.model import RESERVED, Workload
from wattledger.runtime import clock, host
from wattledger.runtime.warn import warn_once

if TYPE_CHECKING:
    from wattledger.track import Run


def job_run_id(environ: Mapping[str, str]) -> str | None:
    """The name that all processes of a job share, on all its hosts: said to us, or Slurm's, or that of the Kubernetes Job."""
    said, slurm, uid = (environ.get(name) for name in ("WATTLEDGER_RUN_ID", "SLURM_JOB_ID", "WATTLEDGER_K8S_JOB_UID"))
    if said:
        return said
    if slurm:
        return f"slurm-{environ.get('SLURM_CLUSTER_NAME') or 'cluster'}-{slurm}"
    return f"k8s-{uid}" if uid else None


def identity(run: "Run", environ: Mapping[str, str], host_name: str) -> Identity:
    """Who a run is, on paper."""
    parent = run.parent.run_id if run.parent is not None else job_run_id(environ)
    return Identity(run.run_id, parent, job_name(run.job), run.model, run.labels, host_name, run._spec.scope)


def unmeasured(run: "Run", notes: list[str]) -> Footprint:
    at = clock.now()
    who = identity(run, os.environ, host.host_name(os.environ))
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
