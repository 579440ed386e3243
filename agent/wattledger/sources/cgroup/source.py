"""One full read: groups, clients, processes, the machine; then everybody's growth, memory, reservations, and who has ended."""

from collections.abc import Iterable, Iterator
from typing import Literal

from wattledger.core.model import Activity, Device, Holding, Instant, Sample
from wattledger.core.ports import Host, Now, SourceFailed
from wattledger.sources._linux.machine import TICK_NS, Machine
from wattledger.sources.cgroup.clients import Clients, Own, Part
from wattledger.sources.cgroup.cycles import Cycles
from wattledger.sources.cgroup.environ import NOTHING, Denied, said_by
from wattledger.sources.cgroup.groups import Budget, Group, Tree
from wattledger.sources.cgroup.hierarchy import group_of, look
from wattledger.sources.cgroup.holdings import Reservations
from wattledger.sources.cgroup.looks import Looks
from wattledger.sources.cgroup.memory import Charged, fit
from wattledger.sources.cgroup.names import Names
from wattledger.sources.cgroup.processes import SHARED, Processes, see
from wattledger.sources.cgroup.settle import settle

SPOKEN_FOR = ("container", "slurm", "service")  # units whose processes all work for one
MOST_HELD = 16_384
Unit = Literal["cpu_ns", "cycles", "idle_ns"]

# /proc/PID/environ is its owner's alone (0400) and asks ptrace besides, so one capability without the other opens none.
DENIED = (
    "environments of other users' processes may not be read (it takes CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, both),"
    " so their WATTLEDGER_* and SLURM_* are not known"
)


class Cgroup:
    """State: the held tree, processes, clients, everybody's cumulative sums, and what was announced and not yet ended.

    Samples that a failed read had ready are handed over by the next one.
    """

    name = "cgroup"
    edge = False
    period_ns: int | None = None

    def __init__(self, host: Host) -> None:
        self._host = host
        options = host.options
        self._agent = Own(host.procfs, options.get("agent_pid"))
        listed = options.get("listed_pid")
        self.view = look(host, own_pid=listed if isinstance(listed, int) else self._agent.pid)
        self._machine = Machine(host.procfs, "cgroup")
        limit = _descriptors()
        self._cpu_ids = self._machine.cpu_ids()
        wanted = options.get("cycles", "auto") != "off"
        self._cycles = Cycles(self.view.perf, self._cpu_ids, limit // 2) if wanted else None
        budget = Budget(limit if self._cycles is None or self._cycles.refused else limit // 2)
        self._environ = bool(options.get("environ", True))
        self._tree = Tree(self.view.cpu, budget)
        self._processes = Processes(host.procfs, budget, environ=self._environ)
        self._clients = Clients(host.procfs, options.get("clients"))
        self._charged = Charged(self.view.cpu, self.view.memory, budget)
        self._reservations = Reservations(self.view, self._cpu_ids)
        self._looks, self._names = Looks(host.procfs), Names(host.procfs)
        self._totals: dict[tuple[str, str], int] = {("cpu", "(other)"): 0, ("cpu", "(idle)"): 0}
        self._owners: dict[str, Group] = {}
        self._held: dict[str, float] = {}
        self._at: Instant | None = None
        self._elapsed_ns = self._busy_ns = self._idle_ns = 0
        self._filled_ns: int | None = None
        self._out: list[Sample] = []

    def devices(self) -> tuple[Device, ...]:
        return ()

    @property
    def notes(self) -> tuple[str, ...]:
        found = []
        if self._processes.denied or self._looks.denied:
            found.append(f"cgroup: {DENIED}")
        if self._cycles is not None and self._cycles.refused:
            found.append(f"cgroup: the CPU is shared by CPU time, not by cycles: {self._cycles.refused}")
        if self._tree.unreadable:
            found.append(f"cgroup: {self._tree.unreadable} control groups may not be read, so their use is (other)")
        return tuple(found)

    def close(self) -> None:
        for part in (self._tree, self._processes, self._clients, self._machine, self._cycles):
            if part is not None:
                part.close()

    def unit_of(self, pid: int) -> str | None:
        """As of the last read: ``pid:N`` where a process is a unit of its own, else its group's name; ``None``: no such process."""
        if pid in self._processes.units or ("cpu", f"pid:{pid}") in self._totals:
            return f"pid:{pid}"
        path = group_of(self._host.procfs, pid, self.view.cpu)
        if path is None:
            return None
        group = self._tree.group_at(path)
        return group.who if group.named else f"pid:{pid}"

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        if not full:
            return ()
        try:
            self._read(now)
        except (OSError, ValueError, LookupError) as error:
            raise SourceFailed(f"cgroup: reading {self.view.cpu.top} failed: {repr(error)[:200]}") from error
        out, self._out = self._out, []
        return out

    def _read(self, now: Now) -> None:
        since, at = self._at, now()
        self._tree.read(at.mono_ns)
        parts = self._clients.refresh(since, self._group_of)
        agent = self._agent.pid
        others = {*self._clients.members, agent} if agent is not None else self._clients.members
        self._processes.refresh(self._tree.groups.values(), since, group_of=self._group_of, others=others)
        machine_at = now()
        busy = self._machine.busy()
        before_ns, self._elapsed_ns = self._elapsed_ns, at.mono_ns - since.mono_ns if since else 0
        self._at = at
        self._tree.root.grown_ns = max(0, busy.busy_ns - self._busy_ns) if since else 0
        idle_ns = max(0, busy.idle_ns - self._idle_ns) if since else 0
        self._busy_ns, self._idle_ns = max(busy.busy_ns, self._busy_ns), max(busy.idle_ns, self._idle_ns)
        self._out += self._introduce(since, at)
        self._out += self._grow(parts, at, before_ns, machine_at)
        self._out.append(self._grown("(idle)", machine_at, idle_ns, "idle_ns"))
        self._out += self._fill(since, now)
        self._out += self._reserve(now())
        self._out += self._part_with(at)
        self._tree.sweep()

    def _group_of(self, pid: int) -> Group:
        return self._tree.group_at(group_of(self._host.procfs, pid, self.view.cpu))

    def _introduce(self, since: Instant | None, at: Instant) -> Iterator[Sample]:
        """Processes that have ended (another may have the number), and those who are new, each with the sum that its growth
        counts from: 0 if it was born since the last read.
        """
        for pid in self._clients.ended:
            yield from self._end(f"pid:{pid}", at)
        for process in self._processes.ended:
            if process.pid not in self._clients.roots and process.pid not in self._clients.inside:
                yield from self._end(process.who, at)
        for group in self._tree.fresh:
            if group.named:
                yield from self._names.unit(group, at)
                self._owners[group.who] = group
                yield from self._begin(group.who, since if group.born else None, at, max(0, group.count_ns - group.grown_ns))
                if self._environ and group.identity.kind in SPOKEN_FOR:
                    self._looks.expect(group, at.mono_ns)
        for group in self._processes.crowded if self._environ else ():
            self._looks.expect(group, at.mono_ns)
        for answer in self._looks.ask(at.mono_ns):
            if answer.group.identity.kind == "slurm" and answer.uid:
                yield from self._names.unit(answer.group, at, answer.uid)
            yield from self._names.spoken(answer.group.who, at, answer.said, answer.group.identity.slurm)
        for process in (*self._processes.born, *self._processes.changed):
            yield from self._names.process(process.pid, at, process.group, process.said, process.name)
        for process in self._processes.born:
            yield from self._begin(process.who, since if process.born else None, at, process.own * TICK_NS)
        yield from self._welcome(since, at)

    def _welcome(self, since: Instant | None, at: Instant) -> Iterator[Sample]:
        for pid, born in self._clients.born.items():
            group = self._clients.group(pid, self._group_of)
            seen = see(self._host.procfs, pid)
            said = NOTHING
            if self._environ and group.identity.kind in SHARED:
                try:
                    said = said_by(self._host.procfs, pid)
                except Denied:
                    self._processes.denied = True
            yield from self._names.process(pid, at, group, said, seen.name if seen else f"pid {pid}")
            yield from self._begin(f"pid:{pid}", since if born else None, at, 0)
        for pid, outer in self._clients.inside.items():
            yield from self._names.inside(pid, at, outer)

    def _begin(self, who: str, since: Instant | None, at: Instant, used_ns: int) -> Iterator[Sample]:
        if ("cpu", who) in self._totals:
            return  # gone and back under its name between two reads, or told otherwise until now: the sum goes on
        self._totals["cpu", who] = used_ns = 0 if since else used_ns
        yield Activity("cpu", who, since or at, used_ns, "cpu_ns")

    def _grow(self, parts: list[Part], at: Instant, before_ns: int, machine_at: Instant) -> Iterator[Sample]:
        groups = self._tree.groups.values()
        busy_ns = self._tree.root.grown_ns
        by_cycles = self._cycles is not None and self._cycles.weigh(groups, busy_ns, self.view.cpu.top)
        if self._agent.pid is not None:
            parts.append(Part("(agent)", self._clients.group(self._agent.pid, self._group_of), self._agent.grown_ns()))
        parts += [Part(process.who, process.group, process.grown_ns) for process in self._processes.units.values()]
        grown: dict[str, int] = {"(other)": 0}
        for who, group, used_ns in parts:
            if group.parent is not None and group.time_ns:
                used_ns = used_ns * group.grown_ns // group.time_ns  # in the same coin as its group
            group.taken_ns += used_ns
            grown[who] = grown.get(who, 0) + used_ns
        settle(groups, self._elapsed_ns, before_ns)
        for group in groups:
            who = group.who if group.parent is not None else "(other)"
            grown[who] = grown.get(who, 0) + group.own_ns
        for who, used_ns in grown.items():
            if used_ns or who.startswith("("):
                when = machine_at if who == "(other)" else at
                yield self._grown(who, when, used_ns, "cycles" if by_cycles else "cpu_ns")

    def _grown(self, who: str, at: Instant, used_ns: int, unit: Unit) -> Activity:
        total = self._totals["cpu", who] = self._totals.get(("cpu", who), 0) + used_ns
        return Activity("cpu", who, at, total, unit)

    def _fill(self, since: Instant | None, now: Now) -> Iterator[Sample]:
        """Bytes in use times the time since the last look; what no unit has is ``(other)``'s."""
        inside: dict[int, int] = {}
        own: dict[str, int] = {}
        for process in self._processes.units.values():
            own[process.who] = process.bytes
            inside[id(process.group)] = inside.get(id(process.group), 0) + process.bytes
        for pid in self._clients.roots:
            group = self._clients.group(pid, self._group_of)
            own[f"pid:{pid}"] = held = self._clients.memory(pid)
            inside[id(group)] = inside.get(id(group), 0) + held
        for group, held in self._charged.read(self._tree.groups.values(), inside).items():
            own[group.who] = own.get(group.who, 0) + held
        at = now()
        memory = self._machine.memory()
        used = max(0, memory.total_bytes - memory.available_bytes)
        told = fit(own, used)
        told |= {"(other)": used - sum(told.values()), "(idle)": memory.available_bytes}
        elapsed_ns = at.mono_ns - self._filled_ns if self._filled_ns is not None else 0
        self._filled_ns = at.mono_ns
        for who, held in told.items():
            if ("dram", who) not in self._totals:
                self._totals["dram", who] = 0
                yield Activity("dram", who, since or at, 0, "byte_ns")
            if held and elapsed_ns:
                total = self._totals["dram", who] = self._totals["dram", who] + held * elapsed_ns
                yield Activity("dram", who, at, total, "byte_ns")

    def _reserve(self, at: Instant) -> Iterator[Sample]:
        held = self._reservations.refresh(self._tree.groups)
        if held is None:
            return
        for who in self._held.keys() - held.keys():
            yield Holding("cpu", who, at, 0.0, "reservation")
        for who, part in held.items():
            if self._held.get(who) != part:
                yield Holding("cpu", who, at, part, "reservation")
        self._held = held

    def _part_with(self, at: Instant) -> Iterator[Sample]:
        """Units that have ended, after the last that they used."""
        for group in self._tree.groups.values():
            if group.gone:
                self._looks.forget(group)
                if self._owners.get(group.who) is group:
                    del self._owners[group.who]
                    yield from self._end(group.who, at)

    def _end(self, who: str, at: Instant) -> Iterator[Sample]:
        for device_id in ("cpu", "dram"):
            self._totals.pop((device_id, who), None)
        yield from self._names.ended(who, at)


def _descriptors() -> int:
    """Half of what this process may hold."""
    import resource

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MOST_HELD if soft == resource.RLIM_INFINITY else min(MOST_HELD, soft // 2)
