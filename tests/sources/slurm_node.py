"""A Slurm node of our making: ``/proc`` and the control groups of jobs, as Slurm 22.05 (v1) and 24.11 (v2) lay them out."""

from pathlib import Path

from wattledger.core.model import Claim, Holding, Instant, Sample, Workload
from wattledger.core.ports import Host, Source
from wattledger.sources import slurm

S = 1_000_000_000
ONE = "GPU-11111111-1111-1111-1111-111111111111"
TWO = "GPU-22222222-2222-2222-2222-222222222222"

V1 = "freezer/slurm_node1/uid_1000/job_{job}/step_{step}"
V2 = "system.slice/node1_slurmstepd.scope/job_{job}/step_{step}/user/task_0"


class Node:
    """State: the trees, the clock, and the next process id."""

    def __init__(self, base: Path, layout: str = V1) -> None:
        self.proc, self.sys, self.layout = base / "proc", base / "sys", layout
        self.proc.mkdir()
        (self.sys / "fs/cgroup").mkdir(parents=True)
        self.clock_s = 0.0
        self._pid = 100

    def process(self, comm: str, cmdline: str = "", environ: dict[str, str] | None = None, children: tuple[int, ...] = ()) -> int:
        self._pid += 1
        folder = self.proc / str(self._pid)
        (folder / "task" / str(self._pid)).mkdir(parents=True)
        (folder / "comm").write_text(f"{comm}\n")
        (folder / "cmdline").write_text(cmdline or comm)
        (folder / "status").write_text(f"Name:\t{comm}\nUid:\t" + "\t".join([str(folder.stat().st_uid)] * 4) + "\n")
        (folder / "environ").write_text("".join(f"{key}={value}\0" for key, value in (environ or {}).items()))
        (folder / "task" / str(self._pid) / "children").write_text(" ".join(map(str, children)))
        return self._pid

    def step(self, job: int, step: str = "batch", **environ: str) -> int:
        """A process in a step's control group."""
        folder = self.sys / "fs/cgroup" / self.layout.format(job=job, step=step)
        folder.mkdir(parents=True)
        pid = self.process("python", environ=said(job, **environ))
        (folder / "cgroup.procs").write_text(f"{pid}\n")
        return pid

    def end(self, job: int) -> None:
        for folder in sorted((self.sys / "fs/cgroup").glob(f"**/job_{job}")):
            folder.rename(self.sys / f"ended_{job}")

    def gpu(self, bus: str, minor: int, gpu: str) -> None:
        folder = self.proc / "driver/nvidia/gpus" / bus
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t\t NVIDIA H100\nGPU UUID: \t {gpu}\nDevice Minor: \t {minor}\n")

    def host(self, **options: object) -> Host:
        return Host(str(self.sys), str(self.proc), {}, (), True, options)

    def open(self, **options: object) -> Source:
        return slurm.open(self.host(**options))

    def read(self, source: Source, after_s: float = 1) -> list[Sample]:
        self.clock_s += after_s
        return list(source.read(lambda: Instant(int(self.clock_s * S), 0), True))


def said(job: int, **more: str) -> dict[str, str]:
    """What slurmstepd puts into a job's environment (22.05), and a secret that a user put there."""
    return {
        "PATH": "/usr/bin",
        "API_TOKEN": "s3cret",
        "SLURM_JOB_ID": str(job),
        "SLURM_JOBID": str(job),
        "SLURM_JOB_NAME": "finetune",
        "SLURM_JOB_PARTITION": "main",
        "SLURM_CLUSTER_NAME": "loop",
        "SLURM_NODEID": "0",
    } | more


def claims(samples: list[Sample]) -> dict[str, Workload | None]:
    return {s.who: s.workload for s in samples if isinstance(s, Claim)}


def holdings(samples: list[Sample]) -> dict[tuple[str, str], float]:
    return {(s.device_id, s.who): s.part for s in samples if isinstance(s, Holding)}
