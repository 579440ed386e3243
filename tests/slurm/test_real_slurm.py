"""The sources against a real Slurm of one node (Debian's packages, munge included), once with control groups and once without.

Skipped, with the reason, where there is none; ``WATTLEDGER_TEST_SLURM=1`` makes that a failure.
"""

import os
import re
from collections.abc import Iterator

import pytest
from tests.slurm.cluster import Cluster, missing, running, wait_until

from wattledger.core.model import Activity, Claim, Device, Member, Sample, Workload
from wattledger.core.ports import Host, Source
from wattledger.core.usage import Usage
from wattledger.runtime import clock
from wattledger.sources import cgroup, slurm

WHY_NOT = missing()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.soak,
    pytest.mark.skipif(bool(WHY_NOT) and os.environ.get("WATTLEDGER_TEST_SLURM") != "1", reason=WHY_NOT or "none"),
]

BURN = "i=0; while [ $i -lt 4000000 ]; do i=$((i+1)); done"  # three seconds of a core, in no other process
HOST = Host("/sys", "/proc", {}, (), True, {})


@pytest.fixture(scope="module", params=["proctrack/cgroup", "proctrack/linuxproc"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with running(request.param, gpus=2) as up:
        yield up


class Watched:
    """A source read until something is true.  State: the last word on everybody."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.said: dict[str, Workload | None] = {}
        self.samples: list[Sample] = []

    def read(self) -> None:
        new = list(self.source.read(clock.now, True))
        self.samples += new
        self.said |= {sample.who: sample.workload for sample in new if isinstance(sample, Claim)}

    def has_named(self, job: int) -> bool:
        self.read()
        workload = self.said.get(f"slurm:{job}")
        return workload is not None and bool(workload.job)

    def has_ended(self, job: int) -> bool:
        self.read()
        return f"slurm:{job}" in self.said and self.said[f"slurm:{job}"] is None


def workload(name: str, job: int) -> Workload:
    labels = {
        "run_id": f"slurm-loop-{job}", "slurm_cluster": "loop", "slurm_job_id": str(job), "slurm_partition": "main", "user": "root",
    }  # fmt: skip
    return Workload(name, None, tuple(sorted(labels.items())))


def test_a_real_job_is_named_while_it_runs_and_withdrawn_when_it_ended(cluster: Cluster) -> None:
    watched = Watched(slurm.open(HOST))
    job = cluster.submit(BURN, "-J", "burn")
    wait_until(lambda: watched.has_named(job), f"job {job} was not named: {watched.said}")
    assert watched.said[f"slurm:{job}"] == workload("burn", job)
    wait_until(lambda: watched.has_ended(job), f"job {job} did not end: {cluster.state(job)}")


def test_a_real_jobs_cpu_time_goes_to_its_name(cluster: Cluster) -> None:
    """By the control groups' source and this one, in core's own books."""
    usage, sources = Usage(), (cgroup.open(HOST), slurm.open(HOST))

    def used_by(name: str) -> float:
        for sample in (sample for source in sources for sample in source.read(clock.now, True)):
            match sample:
                case Activity():
                    usage.use(sample)
                case Claim():
                    usage.claim(sample)
                case Member():
                    usage.join(sample)
        weights = usage.weights(Device("package-0", "cpu", "any"))
        return sum(used for who, used in weights.items() if who.job == name) / 1e9

    used_by("nobody")
    job = cluster.submit(BURN, "-J", f"burn-{cluster.node}")
    wait_until(lambda: used_by(f"burn-{cluster.node}") > 1.5, f"job {job} has no CPU time by its name")
    for source in sources:
        source.close()


def test_real_gpus_of_a_job_are_those_that_slurm_allocated(cluster: Cluster) -> None:
    """Their device files have no driver, so that the numbers are as far as it goes."""
    source = slurm.open(HOST)
    watched = Watched(source)
    first = cluster.submit("sleep 4", "-J", "first", "--gres=gpu:1")
    second = cluster.submit("srun sleep 4", "-J", "second", "--gres=gpu:1")
    wait_until(lambda: watched.has_named(first) and watched.has_named(second), f"not named: {watched.said}")
    assert sorted(source.known[str(first)].gpus + source.known[str(second)].gpus) == ["0", "1"]
    assert [note for note in source.notes if re.search("GPU [01] of a job is not in /proc/driver/nvidia/gpus", note)]


def test_tasks_of_a_real_array_are_jobs_of_their_own(cluster: Cluster) -> None:
    watched = Watched(slurm.open(HOST))
    cluster.submit("sleep 3", "-J", "sweep", "--array=1-2")

    def named() -> list[str]:
        watched.read()
        return [who for who, said in watched.said.items() if said is not None and said.job == "sweep"]

    wait_until(lambda: len(named()) == 2, f"not named: {watched.said}")
    for who in named():
        assert watched.said[who] == workload("sweep", int(who.removeprefix("slurm:")))
