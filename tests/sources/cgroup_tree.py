"""Control groups and a ``/proc`` of our making, a meter that adds up what a source says of them, and real groups where they can be
made."""

import os
import shutil
from collections import defaultdict
from pathlib import Path

import pytest

from wattledger.core.model import Activity, Claim, Holding, Instant, Member, Sample
from wattledger.core.ports import Host
from wattledger.sources import cgroup

S = 1_000_000_000
MS = 1_000_000
TICK = S // os.sysconf("SC_CLK_TCK")
HEX_A, HEX_B = "a1" * 32, "b2" * 32
POD = "2fc932ce-fdcc-454b-97bd-aadfdeb4c340"

V2 = "30 1 0:1 {root} /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
V1 = "".join(
    f"3{i} 1 0:{i} {{root}} /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{name}\n"
    for i, name in enumerate(("cpuacct", "memory", "cpuset", "cpu"))
)


class Groups:
    """``version``: v1, v2, or hybrid (v1 counts, v2 is there for systemd)."""

    def __init__(self, base: Path, version: str = "v2", cpus: int = 4) -> None:
        self.proc, self.sys, self.version, self.cpus = base / "proc", base / "sys", version, cpus
        self.cgroup = self.sys / "fs" / "cgroup"
        self.clock_ns = 1_000 * S
        self.busy_ticks = self.idle_ticks = 0
        self.used_ns: dict[str, int] = {"": 0}
        self.members: dict[int, str] = {}
        (self.proc / "self").mkdir(parents=True)
        v2 = V2 if version == "v2" else V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
        self.mount({"v2": v2, "v1": V1, "hybrid": V1 + v2}[version])
        self.top = self.cgroup if version == "v2" else self.cgroup / "cpuacct"
        for place in self.places(""):
            place.mkdir(parents=True, exist_ok=True)
            (place / "cgroup.procs").touch()
        (self.cgroup / "cgroup.controllers").write_text("cpuset cpu io memory pids\n") if version == "v2" else None
        if version == "hybrid":
            (self.cgroup / "unified").mkdir()
            (self.cgroup / "unified" / "cgroup.controllers").write_text("\n")
            (self.cgroup / "unified" / "cgroup.procs").touch()
        self.memory(1_000_000, 600_000)
        self.machine()

    def mount(self, text: str, root: str = "/") -> None:
        (self.proc / "self" / "mountinfo").write_text(text.format(root=root))

    def places(self, path: str) -> list[Path]:
        names = [""] if self.version == "v2" else ["cpuacct", "memory", "cpuset", "cpu"]
        return [self.cgroup / name / path.lstrip("/") for name in names]

    def group(self, path: str, **files: str) -> str:
        """A group and those above it.  ``files``: names with ``__`` for a dot."""
        above = ""
        for name in path.strip("/").split("/"):
            above = f"{above}/{name}"
            if above not in self.used_ns:
                self.used_ns[above] = 0
                for place in self.places(above):
                    place.mkdir()
                    (place / "cgroup.procs").touch()
                self._write(above)
        for name, text in files.items():
            for place in self.places(path):
                (place / name.replace("__", ".")).write_text(text)
        return path

    def _write(self, path: str) -> None:
        if self.version == "v2":
            text = f"usage_usec {self.used_ns[path] // 1000}\nuser_usec 1\nsystem_usec 2\n"
            (self.top / path.lstrip("/") / "cpu.stat").write_text(text)
        else:
            (self.top / path.lstrip("/") / "cpuacct.usage").write_text(f"{self.used_ns[path]}\n")

    def use(self, path: str, used_ns: int, *, on_machine: bool = True) -> None:
        """CPU time in a group, and so in all above it; ``path`` empty: in the root group."""
        at = path
        while at:
            self.used_ns[at] += used_ns
            self._write(at)
            at = at.rpartition("/")[0]
        if on_machine:
            self.busy_ticks += used_ns // TICK
            self.machine()

    def remove(self, path: str) -> None:
        for known in [p for p in self.used_ns if p == path or p.startswith(f"{path}/")]:
            del self.used_ns[known]
        for place in self.places(path):
            for file in place.rglob("*"):
                if file.is_file():
                    file.write_text("")  # what a held descriptor of a removed group cannot read any more
            shutil.rmtree(place)

    def rename(self, path: str, name: str) -> None:
        new = f"{path.rpartition('/')[0]}/{name}"
        for place in self.places(path):
            place.rename(place.parent / name)
        self.used_ns = {new + p[len(path) :] if (p + "/").startswith(f"{path}/") else p: ns for p, ns in self.used_ns.items()}

    def process(
        self, pid: int, ticks: int = 0, *, group: str = "", ppid: int = 1, start: int | None = None, name: str = "python"
    ) -> None:
        """Alive, with this much time of its own; ``start`` in ticks since boot, else now."""
        folder = self.proc / str(pid)
        new = not folder.exists()
        folder.mkdir(exist_ok=True)
        if new:
            (folder / "start").write_text(str(self.clock_ns // TICK + 1 if start is None else start))
            (folder / "statm").write_text("0 0 0 1 0 1 0\n")
            (folder / "status").write_text("Name:\tx\nUid:\t1000\t1000\t1000\t1000\n")
            (folder / "environ").write_text("")
        began = (folder / "start").read_text()
        (folder / "stat").write_text(f"{pid} ({name}) S {ppid} {'0 ' * 9}{ticks} 0 0 0 20 0 1 0 {began} 0 0\n")
        self.members[pid] = group
        self._memberships(pid)

    def environ(self, pid: int, **variables: str) -> None:
        (self.proc / str(pid) / "environ").write_text("".join(f"{k}={v}\0" for k, v in variables.items()))

    def _memberships(self, pid: int) -> None:
        path = self.members[pid] or "/"
        lines = {"v2": f"0::{path}\n", "v1": f"4:memory:{path}\n3:cpuset:{path}\n2:cpu:{path}\n1:cpuacct:{path}\n"}
        (self.proc / str(pid) / "cgroup").write_text(lines.get(self.version) or f"{lines['v1']}0::{path}\n")
        for known in self.used_ns:
            inside = [str(p) for p, at in self.members.items() if at == known]
            for place in self.places(known):
                (place / "cgroup.procs").write_text("\n".join([*inside, ""]))

    def end(self, pid: int) -> None:
        folder = self.proc / str(pid)
        for file in folder.iterdir():
            file.write_text("")
        shutil.rmtree(folder)
        group = self.members.pop(pid)
        for place in self.places(group) if group in self.used_ns else ():
            (place / "cgroup.procs").write_text("".join(f"{p}\n" for p, at in self.members.items() if at == group))

    def machine(self) -> None:
        whole = f"cpu  {self.busy_ticks} 0 0 {self.idle_ticks} 0 0 0 0 0 0\n"
        (self.proc / "stat").write_text(whole + "".join(f"cpu{n} 0 0 0 0 0 0 0 0 0 0\n" for n in range(self.cpus)))

    def memory(self, total_kb: int, available_kb: int) -> None:
        (self.proc / "meminfo").write_text(
            f"MemTotal: {total_kb} kB\nMemFree: 1 kB\nMemAvailable: {available_kb} kB\nBuffers: 0 kB\n"
        )

    def host(self, **options: object) -> Host:
        return Host(str(self.sys), str(self.proc), {}, (), True, options)

    def now(self) -> Instant:
        return Instant(self.clock_ns, 0)

    def meter(self, **options: object) -> "Meter":
        return Meter(self, cgroup.open(self.host(**options)))


class Meter:
    """Adds up what a source says, as the core does: a first look is a baseline, and who has ended begins anew."""

    def __init__(self, groups: Groups, source: cgroup.Cgroup) -> None:
        self.groups, self.source = groups, source
        self.grown: dict[tuple[str, str], int] = defaultdict(int)
        self._last: dict[tuple[str, str], tuple[int, int]] = {}
        self.samples: list[Sample] = []

    def read(self, after_s: float = 1) -> list[Sample]:
        """Growth of this read is in ``last``."""
        self.groups.clock_ns += int(after_s * S)
        self.last: dict[tuple[str, str], int] = defaultdict(int)
        self.samples = list(self.source.read(self.groups.now, full=True))
        for sample in self.samples:
            match sample:
                case Activity(device_id, who, at, used, _):
                    key = device_id, who
                    if key in self._last:
                        assert at.mono_ns > self._last[key][0]
                        assert used >= self._last[key][1]
                        self.grown[key] += used - self._last[key][1]
                        self.last[key] += used - self._last[key][1]
                    self._last[key] = at.mono_ns, used
                case Member(who, _, None):
                    self._last.pop(("cpu", who), None)
                    self._last.pop(("dram", who), None)
        return self.samples

    def cpu(self) -> dict[str, int]:
        """What each used in the last read."""
        return {who: used for (device, who), used in self.last.items() if device == "cpu" and used and who != "(idle)"}

    def dram(self) -> dict[str, int]:
        return {who: used for (device, who), used in self.last.items() if device == "dram" and used}

    def total_cpu(self) -> int:
        return sum(used for (device, who), used in self.grown.items() if device == "cpu" and who != "(idle)")

    def claims(self) -> dict[tuple[str, str], Claim]:
        return {(s.who, s.rank): s for s in self.samples if isinstance(s, Claim)}

    def members(self) -> dict[str, str | None]:
        return {s.who: s.of for s in self.samples if isinstance(s, Member)}

    def holdings(self) -> dict[str, float]:
        return {s.who: s.part for s in self.samples if isinstance(s, Holding) and s.by == "reservation"}


def real_groups(mount: str, name: str) -> Path:
    """A folder for groups of a test's own in a real hierarchy, or a skip that says why."""
    folder = Path(mount) / f"wattledger-test-{os.getpid()}-{name}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made under {mount}: {error.strerror}")
    return folder
