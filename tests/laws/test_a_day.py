"""A day on a busy node, by a clock that is turned by hand: whatever comes and goes, nothing grows, and every sum closes."""

import gc
import random
import types
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest

from wattledger.core.model import (
    Activity,
    Boundary,
    Claim,
    Device,
    EnergyCounter,
    Factor,
    Holding,
    Instant,
    Member,
    Sample,
    Work,
    Workload,
)
from wattledger.core.pipeline import Pipeline
from wattledger.core.ports import Now
from wattledger.core.series import Series
from wattledger.core.totals import State
from wattledger.runtime.node.membership import Look, Membership
from wattledger.runtime.node.publish import Publisher
from wattledger.runtime.runner import Runner
from wattledger.runtime.sampler import Hooks, Sampler
from wattledger.testing import FakeClock

TICK_S, HOUR = 30, 120
BIRTHS_A_MINUTE = 20
SERIES, KEEP_S = 250, 900
CPU = Device("package-0", "cpu", "chip", None, 1_000_000, 400_000_000)
GPUS = tuple(Device(f"GPU-{n}", "gpu", "card", None, 100_000_000, 700_000_000) for n in range(2))
DEVICES = (CPU, *GPUS)
GRID = Factor("grid", "DE", 329.0, "gCO2e/kWh", "direct", "test", "1", "annual-average", 1.1)


class Guest(NamedTuple):
    """One workload on the node: a container in a pod, with one process, on one GPU, from tick to tick."""

    n: int
    pid: int
    start: int
    ends: int
    gpu: str

    @property
    def group(self) -> str:
        return f"cgroup:/kubepods/pod{self.n}/{self.n}"

    @property
    def who(self) -> str:
        return f"pid:{self.pid}"

    @property
    def tree(self) -> Workload:
        return Workload(self.who.replace(":", " "))


class Node:
    """A source that is the whole machine.  State: the guests who are there, registers and everybody's sums, the tick."""

    name, edge = "node", False
    period_ns: int | None = None

    def __init__(self) -> None:
        self._chance = random.Random(1)
        self.tick = self.born = self.spans = 0
        self.guests: dict[int, Guest] = {}
        self.uj = {device.id: 0 for device in DEVICES}
        self.begun_uj: dict[str, int] = {}
        self._used: dict[tuple[str, str], int] = {}

    def devices(self) -> Sequence[Device]:
        return DEVICES

    def close(self) -> None: ...

    def look(self) -> Look:
        """What the kernel would say of a process; of every tenth guest nothing, because it has ended before it was asked."""

        def guest(pid: int) -> Guest | None:
            found = self.guests.get(pid)
            return found if found is not None and found.n % 10 else None

        return Look(lambda pid: (1, g.start) if (g := guest(pid)) else None, lambda pid: g.group if (g := guest(pid)) else None)

    def read(self, now: Now, full: bool) -> list[Sample]:
        at = now()
        before = Instant(at.mono_ns - TICK_S * 10**9, at.wall_ns - TICK_S * 10**9)
        self.tick += 1
        found: list[Sample] = []
        for device in DEVICES:
            self.uj[device.id] += self._chance.randrange(20, 90) * TICK_S * 1_000_000
            found.append(EnergyCounter(device, at, self.uj[device.id], None))
        self.begun_uj = self.begun_uj or dict(self.uj)
        for guest in [guest for guest in self.guests.values() if guest.ends <= self.tick]:
            found += self._leave(guest, at)
        while self.born < self.tick * TICK_S * BIRTHS_A_MINUTE // 60:
            found += self._arrive(before, at)
        for guest in self.guests.values():
            found += self._work(guest, at)
        return [*found, self._grown("cpu", "(idle)", at, "idle_ns"), self._grown("cpu", "(agent)", at, "cpu_ns")]

    def _arrive(self, before: Instant, at: Instant) -> Iterator[Sample]:
        self.born += 1
        pid = 1000 + self.born % 19_997  # numbers come back as other people's
        while pid in self.guests:
            pid += 1
        guest = Guest(self.born, pid, self.tick, self.tick + self._chance.randrange(1, 6), self._chance.choice(GPUS).id)
        self.guests[pid] = guest
        container, pod = f"container:{guest.n:064}", f"pod:{guest.n}"
        labels = (("k8s_pod_name", f"pod-{guest.n}"), ("k8s_pod_uid", f"{guest.n}"))
        yield from (Member(guest.group, at, container), Member(container, at, pod))
        yield Claim(pod, at, Workload(f"job-{guest.n}", None, labels), "pod")
        yield Activity("cpu", guest.group, before, 0, "cpu_ns")
        yield Activity(guest.gpu, guest.who, before, 0, "sm_ns")
        yield Holding(guest.gpu, guest.who, at, 1.0)
        yield Holding("cpu", guest.group, at, 0.01, "reservation")
        if guest.n % 3 == 0:
            yield Member(guest.who, at, guest.group)
            yield Claim(guest.who, at, guest.tree)

    def _work(self, guest: Guest, at: Instant) -> Iterator[Sample]:
        yield self._grown("cpu", guest.group, at, "cpu_ns")
        yield self._grown("dram", guest.group, at, "byte_ns")  # which nobody meters here
        yield self._grown(guest.gpu, guest.who, at, "sm_ns")
        if guest.n % 3 == 0:
            self.spans += 1
            said = Workload(f"step-{guest.n}-{self.tick}", "m"), guest.tree
            clock_ns = self.tick * 10**9
            yield Boundary(self.spans, at._replace(mono_ns=at.mono_ns - 5 * 10**9), "enter", *said, None, clock_ns - 10**8, 1, 0)
            yield Work(said[0], at, 10, 5, 3, 1, self.spans)
            yield Boundary(self.spans, at._replace(mono_ns=at.mono_ns - 10**9), "leave", *said, None, clock_ns, 1, 10**8)

    def _leave(self, guest: Guest, at: Instant) -> Iterator[Sample]:
        del self.guests[guest.pid]
        yield Holding(guest.gpu, guest.who, at, 0.0)
        yield Holding("cpu", guest.group, at, 0.0, "reservation")
        if guest.n % 3 == 0:
            yield Claim(guest.who, at, None)
            yield Member(guest.who, at, None)
        yield from (Member(f"container:{guest.n:064}", at, None), Member(guest.group, at, None))
        yield Claim(f"pod:{guest.n}", at, None, "pod")
        for device, who in (("cpu", guest.group), ("dram", guest.group), (guest.gpu, guest.who)):
            self._used.pop((device, who), None)

    def _grown(self, device: str, who: str, at: Instant, unit: str) -> Activity:
        self._used[device, who] = used = self._used.get((device, who), 0) + self._chance.randrange(10**8, 10**9)
        return Activity(device, who, at, used, unit)  # type: ignore[arg-type]


def entries(*roots: object) -> int:
    """How many entries all dicts, lists, sets and queues hold that can be reached from here."""
    total, seen, waiting = 0, set[int](), list(roots)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type | types.ModuleType | types.FunctionType | types.BuiltinFunctionType):
            continue
        seen.add(id(thing))
        if isinstance(thing, dict | list | set | frozenset | deque):
            total += len(thing)
        waiting += gc.get_referents(thing)
    return total


@pytest.mark.slow
def test_a_day_of_comings_and_goings_leaves_nothing_behind() -> None:
    now, node = FakeClock(), Node()
    labels = ("k8s_pod_name",)
    publisher = Publisher(labels, dict)
    pipeline = Pipeline(Series(SERIES, KEEP_S * 10**9, labels))
    members = Membership(node.look(), tuple)
    runner = Runner(node, now)
    sampler = Sampler(
        [runner],
        pipeline,
        interval_ns=TICK_S * 10**9,
        now=now,
        asleep_ns=lambda: 0,
        hooks=Hooks(
            lambda samples: members.name(samples, now()),
            lambda _, pipeline: publisher.publish(pipeline, State(health={"node": runner.health()}, late_s=0.0), now()),
        ),
        steady=True,
    )
    sampler.put([GRID])
    sizes = []
    for tick in range(1, 24 * HOUR + 1):
        sampler.tick()
        now.advance_s(TICK_S)
        if tick % (HOUR // 2) == 0:
            sizes.append(entries(pipeline, publisher, members))
            assert set(pipeline.totals.residual_uj().values()) == {0}
    assert node.born >= 24 * 60 * BIRTHS_A_MINUTE
    assert len(node.guests) < 100
    # Caches fill up and are thrown away, so peaks of some hours are compared: a tenth more would be a leak.
    assert max(sizes[-8:]) < 1.1 * max(sizes[4:12]), sizes
    closes(publisher, node)


def closes(publisher: Publisher, node: Node) -> None:
    """What was handed out is what the registers have counted since the first look at them."""
    snapshot = publisher.final
    assert snapshot is not None
    for device in DEVICES:
        named = sum(uj for key, uj in snapshot.energy_uj.items() if key[1] == device.id)
        handed_out = named + snapshot.retired_uj.get(device.id, 0)
        assert handed_out == snapshot.device_energy_uj[device.id, "counter"] > 0
        assert handed_out == node.uj[device.id] - node.begun_uj[device.id]
        assert snapshot.retired_uj[device.id] > 0
