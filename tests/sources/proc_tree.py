"""A ``/proc`` and ``/sys`` of our making, and how to ask a source about them."""

import os
from pathlib import Path

from wattledger.core.model import Activity, Holding, Instant, Sample
from wattledger.core.ports import Host
from wattledger.sources import procfs

S = 1_000_000_000
TICK = S // os.sysconf("SC_CLK_TCK")
ROOT = 100


class Tree:
    """A ``/proc`` and ``/sys`` of our making."""

    def __init__(self, base: Path, cpus: int = 4) -> None:
        self.proc, self.sys = base / "proc", base / "sys"
        self.proc.mkdir(parents=True)
        self.clock_ns = 0
        self.cpus = cpus
        self.machine(user=0, idle=0)
        self.memory(total_kb=1_000_000, available_kb=600_000)

    def process(self, pid: int, ppid: int, *times: int, start: int = 1, name: str = "python", state: str = "S") -> None:
        """``times``: utime, stime, cutime, cstime in ticks."""
        utime, stime, cutime, cstime = (*times, 0, 0, 0, 0)[:4]
        folder = self.proc / str(pid)
        folder.mkdir(exist_ok=True)
        zeros = "0 " * 9
        (folder / "stat").write_text(
            f"{pid} ({name}) {state} {ppid} {zeros}{utime} {stime} {cutime} {cstime} 20 0 1 0 {start} 0 0\n"
        )
        if not (folder / "statm").exists():
            self.resident(pid, pages=0, shared=0)

    def resident(self, pid: int, pages: int, shared: int) -> None:
        (self.proc / str(pid) / "statm").write_text(f"{pages * 2} {pages} {shared} 1 0 1 0\n")

    def end(self, pid: int) -> None:
        for file in (self.proc / str(pid)).iterdir():
            file.write_text("")  # what a held descriptor of an ended process cannot read any more
            file.unlink()
        (self.proc / str(pid)).rmdir()

    def machine(self, user: int, idle: int, iowait: int = 0, steal: int = 0) -> None:
        whole = f"cpu  {user} 0 0 {idle} {iowait} 0 0 {steal} 0 0\n"
        each = "".join(f"cpu{n} {user // self.cpus} 0 0 {idle // self.cpus} 0 0 0 0 0 0\n" for n in range(self.cpus))
        (self.proc / "stat").write_text(whole + each + "intr 1 2 3\n")

    def memory(self, total_kb: int, available_kb: int) -> None:
        (self.proc / "meminfo").write_text(
            f"MemTotal: {total_kb} kB\nMemFree: 1 kB\nMemAvailable: {available_kb} kB\nBuffers: 0 kB\n"
        )

    def cgroups(self, membership: str, mounts: dict[str, str], files: dict[str, str]) -> None:
        """``mounts``: mount point under /sys/fs/cgroup to "fstype options root"; ``files``: their contents."""
        (self.proc / str(ROOT) / "cgroup").write_text(membership)
        (self.proc / "self").mkdir(exist_ok=True)
        lines = []
        for point, what in mounts.items():
            kind, options, root = what.split()
            lines.append(f"30 1 0:1 {root} /sys/fs/cgroup{point} rw - {kind} {kind} {options}\n")
        (self.proc / "self" / "mountinfo").write_text("".join(lines))
        for name, content in files.items():
            path = self.sys / "fs" / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
            (path.parent / "cgroup.procs").touch()

    def host(self, roots: tuple[int, ...] = (ROOT,), **options: object) -> Host:
        return Host(str(self.sys), str(self.proc), {}, roots, True, options)

    def now(self) -> Instant:
        return Instant(self.clock_ns, 0)

    def read(self, source: procfs.Procfs, after_s: float = 1) -> list[Sample]:
        self.clock_ns += int(after_s * S)
        return list(source.read(self.now, full=True))


def small_machine(base: Path) -> Tree:
    made = Tree(base)
    made.process(1, 0)
    made.process(ROOT, 1, 10, 0)
    return made


def used(samples: list[Sample], who: str, device: str = "cpu") -> int:
    found = [s.used for s in samples if isinstance(s, Activity) and (s.device_id, s.who) == (device, who)]
    assert len(found) == 1
    return found[0]


def ticks(samples: list[Sample]) -> int:
    return used(samples, f"pid:{ROOT}") // TICK


def holdings(samples: list[Sample]) -> list[tuple[str, float]]:
    return [(s.who, s.part) for s in samples if isinstance(s, Holding)]
