"""macOS, Windows, wherever there is no ``/proc``: who used CPU and memory, by psutil, which is imported here alone."""

from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

from wattledger.core.model import Activity, Claim, Device, Finding, Instant, Sample, Workload
from wattledger.core.ports import Host, Now, SourceFailed, SourceGone

NS = 1_000_000_000


class Load(NamedTuple):
    """What a power model needs to know: work done so far by all CPUs, and the memory."""

    busy_ns: int
    cpus: float
    all_cpus: int
    memory_bytes: int


def open(host: Host) -> "Portable":
    """Options: ``workload``, whom the trees work for; ``agent_pid``, a meter in its own process."""
    return Portable(host, _psutil())


def load(host: Host) -> Callable[[], Load]:
    """For a power model, of the whole machine: these systems have no control groups."""
    psutil = _psutil()
    cpus = psutil.cpu_count() or 1

    def read() -> Load:
        busy_ns, _ = _machine_ns(psutil)
        return Load(busy_ns, cpus, cpus, psutil.virtual_memory().total)

    return read


def examine(host: Host) -> Iterable[Finding]:
    try:
        psutil = _psutil()
    except SourceGone as gone:
        yield Finding("portable", "cpu and memory use", "absent", str(gone), "pip install psutil")
        return
    why = f"psutil {psutil.__version__}: a child that begins and ends between two reads is not seen"
    yield Finding("portable", "cpu and memory use", "usable", why)


def _psutil() -> ModuleType:
    try:
        import psutil  # 44 ms: only when it is needed
    except ImportError:
        raise SourceGone("portable: psutil is not installed here; install it to see who uses the CPU") from None
    return psutil


def _machine_ns(psutil: ModuleType) -> tuple[int, int]:
    """(busy, idle).  Interrupt time is inside ``system`` on Windows, so only these three are summed."""
    times = psutil.cpu_times()
    busy = times.user + times.system + getattr(times, "nice", 0.0)
    return round(busy * NS), round(times.idle * NS)


class Tree:
    """A root and its descendants.

    These systems do not tell the time of children already reaped (zero on macOS and Windows), so each process's last
    seen own time is kept when it goes.  State: living members, and the time of those gone.
    """

    def __init__(self, psutil: ModuleType, root: Any) -> None:
        self._psutil = psutil
        self._root = root
        self._living: dict[tuple[int, float], int] = {}
        self._gone_ns = 0
        self.rss_bytes = 0

    @property
    def used_ns(self) -> int:
        return self._gone_ns + sum(self._living.values())

    def refresh(self) -> tuple[list[int], list[int]]:
        """Read every member; hand back who is new and who is gone.  A process is number and birth: numbers return."""
        living: dict[tuple[int, float], int] = {}
        self.rss_bytes = 0
        for process in self._members():
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    self.rss_bytes += process.memory_info().rss
                key = (process.pid, process.create_time())
            except self._psutil.Error:  # ended between the listing and the look, or not ours to see
                continue
            living[key] = max(round((times.user + times.system) * NS), self._living.get(key, 0))
        born = [key[0] for key in living if key not in self._living]
        gone = [key for key in self._living if key not in living]
        self._gone_ns += sum(self._living[key] for key in gone)
        self._living = living
        return born, [key[0] for key in gone]

    def _members(self) -> list[Any]:
        known = []
        for pid, birth in self._living:  # one whose parent has ended is no longer among the children, but still ours
            try:
                process = self._psutil.Process(pid)
                if process.create_time() == birth:
                    known.append(process)
            except self._psutil.Error:
                continue
        try:
            listed = [self._root, *self._root.children(recursive=True)] if self._root.is_running() else []
        except self._psutil.Error:
            listed = []
        return list({process.pid: process for process in [*listed, *known]}.values())


class Portable:
    """State: the trees, and the cumulative sums of what is counted by difference or by time."""

    name = "portable"
    edge = False
    period_ns: int | None = None

    def __init__(self, host: Host, psutil: ModuleType) -> None:
        self._psutil = psutil
        self._trees: dict[int, Tree] = {}
        for pid in host.roots:
            try:
                self._trees[pid] = Tree(psutil, psutil.Process(pid))
            except psutil.Error:
                continue  # gone before the first look: it has nothing to show
        workload = host.options.get("workload")
        self._workload = workload if isinstance(workload, Workload) else None
        agent = host.options.get("agent_pid")
        self._agent = psutil.Process(agent) if isinstance(agent, int) and psutil.pid_exists(agent) else None
        self._agent_ns = 0
        self._others_before_ns: int | None = None
        self._sums: dict[tuple[str, str], int] = {}
        self._memory_at: Instant | None = None

    def devices(self) -> tuple[Device, ...]:
        return ()

    def close(self) -> None:
        self._trees.clear()

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        if not full:
            return ()
        try:
            return list(self._read(now))
        except (OSError, self._psutil.Error) as error:
            raise SourceFailed(f"portable: psutil cannot read this machine: {error!r}") from error

    def _read(self, now: Now) -> Iterator[Sample]:
        at = now()
        for pid, tree in self._trees.items():
            born, gone = tree.refresh()
            if self._workload is not None:
                yield from (Claim(f"pid:{one}", at, self._workload) for one in born)
                yield from (Claim(f"pid:{one}", at, None) for one in gone)
            yield Activity("cpu", f"pid:{pid}", at, tree.used_ns, "cpu_ns")
        if self._agent is not None:
            yield Activity("cpu", "(agent)", at, self._read_agent(), "cpu_ns")
        yield from self._read_machine(now)
        yield from self._read_dram(now)

    def _read_agent(self) -> int:
        if self._agent is not None and self._agent.is_running():
            times = self._agent.cpu_times()
            self._agent_ns = max(self._agent_ns, round((times.user + times.system) * NS))
        return self._agent_ns

    def _read_machine(self, now: Now) -> Iterator[Sample]:
        at = now()
        busy_ns, idle_ns = _machine_ns(self._psutil)
        others_ns = busy_ns - sum(tree.used_ns for tree in self._trees.values()) - self._agent_ns
        if self._others_before_ns is None:
            self._others_before_ns = others_ns
        # Machine and processes are counted by different clocks, so the rest may dip; it waits, and never counts twice.
        yield Activity("cpu", "(other)", at, self._highest("(other)", others_ns - self._others_before_ns), "cpu_ns")
        yield Activity("cpu", "(idle)", at, self._highest("(idle)", idle_ns), "idle_ns")

    def _highest(self, who: str, used: int) -> int:
        self._sums["cpu", who] = used = max(used, self._sums.get(("cpu", who), used))
        return used

    def _read_dram(self, now: Now) -> Iterator[Sample]:
        at = now()
        memory = self._psutil.virtual_memory()
        elapsed_ns = at.mono_ns - self._memory_at.mono_ns if self._memory_at else 0
        self._memory_at = at
        left = memory.total - memory.available
        uses = {}
        for pid, tree in self._trees.items():
            # Pages shared between members count for each of them, so no tree can have more than is in use.
            uses[f"pid:{pid}"] = min(left, tree.rss_bytes)
            left -= uses[f"pid:{pid}"]
        for who, used in (uses | {"(other)": left, "(idle)": memory.available}).items():
            self._sums["dram", who] = self._sums.get(("dram", who), 0) + max(0, used * elapsed_ns)
            yield Activity("dram", who, at, self._sums["dram", who], "byte_ns")
