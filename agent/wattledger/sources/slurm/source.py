"""The source: jobs looked for at each read, and what changed since."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from wattledger.core.model import Claim, Device, Holding, Instant, Sample, Workload
from wattledger.core.ports import Host, Now
from wattledger.sources.slurm.gpus import Given, Gpus, given_by_environ, given_by_folder, gpus_of
from wattledger.sources.slurm.jobs import LOOK_AGAIN_NS, Stepds, children_of, job_folders, steps_of, words_of, workload_of

NAME = "slurm"
DENIED = "may not be read"

Parts = dict[tuple[str, str], float]


class Known(NamedTuple):
    """What a job's processes said at ``at_ns``; not ``told``: nothing yet, or that may not be read (``denied``)."""

    at_ns: int
    workload: Workload
    gpus: tuple[str, ...] = ()
    told: bool = False
    denied: bool = False


class Slurm:
    """Read by one thread.  State: what is known of each job, what was said of it, and whether jobs can be seen here at all."""

    name = NAME
    edge = False
    period_ns: int | None = None

    def __init__(self, host: Host) -> None:
        self._host = host
        self._folder = str(host.options.get("gpu_jobs", ""))
        self._stepds = Stepds(host.procfs)
        self._gpus = Gpus(host.procfs)
        self._sees_jobs = False
        self.known: dict[str, Known] = {}
        self._claimed: dict[str, Workload] = {}
        self._held: Parts = {}
        self.notes: tuple[str, ...] = ()

    def devices(self) -> tuple[Device, ...]:
        return ()

    def close(self) -> None:
        """Nothing is held open between two reads."""

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        """What changed: jobs that began or told more, GPUs that were given or returned, jobs that ended."""
        return list(self._read(now())) if full else ()

    def _read(self, at: Instant) -> Iterator[Sample]:
        folders = job_folders(self._host)
        stepds = {} if folders else self._stepds.jobs(at)
        self.known = {job_id: self._look(job_id, folders.get(job_id) or stepds[job_id], at) for job_id in folders or stepds}
        self._sees_jobs = self._sees_jobs or bool(self.known)
        mapped = given_by_folder(self._folder, self._gpus) if self._folder else None
        said = given_by_environ((job_id, known.gpus) for job_id, known in self.known.items())
        held, unknown = self._parts(said if mapped is None else mapped)
        yield from self._changes(at, held)
        self.notes = tuple(self._words(unknown, no_folder=bool(self._folder) and mapped is None))

    def _look(self, job_id: str, place: str | tuple[int, ...], at: Instant) -> Known:
        """``place``: the job's control group, or its slurmstepds."""
        known = self.known.get(job_id)
        if known is not None and known.told and at.mono_ns - known.at_ns < LOOK_AGAIN_NS:
            return known
        procfs = self._host.procfs
        steps = steps_of(place) if isinstance(place, str) else tuple(children_of(procfs, stepd) for stepd in place)
        words = words_of(procfs, job_id, steps)
        told = [word for word in words if word.environ]
        gpus = gpus_of(word.environ for word in told)
        if known is not None and known.told:
            # The first word stands: what a program calls itself later renames no job.
            return known._replace(at_ns=at.mono_ns, gpus=gpus or known.gpus)
        first = next(iter(told or words), None)
        return Known(at.mono_ns, workload_of(job_id, first), gpus, bool(told), bool(words))

    def _parts(self, given: Iterable[Given]) -> tuple[Parts, list[str]]:
        """(device, job) to part, and the GPUs that cannot be told."""
        held: Parts = {}
        unknown: list[str] = []
        for word, size, named in given:
            # A file that no epilog removed may name a job that has ended.
            jobs = [job for job in named if job in self.known or not self._sees_jobs]
            uuid = self._gpus.by_minor(word) if jobs else None
            if jobs and uuid is None:
                unknown.append(word)
            for job in jobs if uuid else ():
                key = str(uuid), f"slurm:{job}"
                held[key] = held.get(key, 0.0) + size / len(jobs)
        return held, unknown

    def _changes(self, at: Instant, held: Parts) -> Iterator[Sample]:
        claims = {f"slurm:{job_id}": known.workload for job_id, known in self.known.items()}
        yield from (Holding(*key, at, 0.0, "allocation") for key in self._held if key not in held)
        yield from (Claim(who, at, None, "slurm") for who in self._claimed if who not in claims)
        yield from (Claim(who, at, workload, "slurm") for who, workload in claims.items() if self._claimed.get(who) != workload)
        yield from (Holding(*key, at, part, "allocation") for key, part in held.items() if self._held.get(key) != part)
        self._claimed, self._held = claims, held

    def _words(self, unknown: list[str], *, no_folder: bool) -> Iterator[str]:
        if unknown:
            yield f"slurm: GPU {unknown[0]} of a job is not in {self._gpus.folder}, so nobody holds it"
        if no_folder:
            yield f"slurm: {self._folder} (gpu_jobs) is not there, so GPUs are taken from the jobs' environment"
        if denied := [job_id for job_id, known in self.known.items() if known.denied and not known.told]:
            why = "it takes CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, both"
            yield f"slurm: the environment of job {denied[0]} {DENIED}, so its name is unknown; {why}"
