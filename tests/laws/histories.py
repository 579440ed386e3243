"""Random histories of a machine: what a session could have handed to the pipeline, batch by batch.

A history is a list of small events that a ``World`` plays: it keeps true registers, so that its readings wrap, reset, jump, go
missing and come late as real ones do.  Two process trees, nested and concurrent spans, five sensors, one inside another.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from hypothesis import strategies as st

from wattledger.core.accounts import SpanAccount
from wattledger.core.model import (
    AGENT,
    IDLE,
    Activity,
    Batch,
    Boundary,
    Claim,
    Device,
    EnergyCounter,
    Factor,
    Holding,
    IdleFloor,
    Instant,
    PowerGauge,
    Resume,
    Sample,
    Work,
    Workload,
)
from wattledger.core.pipeline import Pipeline

MS = 1_000_000
WALL_NS = 1_795_341_600_000_000_000
RANGE_UJ = 60_000_000  # small, so that wraps are common

GPU = Device("GPU-0", "gpu", "card", None, 100 * MS, 700_000_000)
CPU = Device("package-0", "cpu", "chip", None, MS, 20_000_000)
CORE = Device("core-0", "cpu", "chip", "package-0", MS, 20_000_000)
NPU = Device("npu-0", "accelerator", "power only", None, 20 * MS, 75_000_000)
DRAM = Device("dram-0", "dram", "memory", None, MS, 50_000_000)  # a model's answer
DEVICES = (GPU, CPU, CORE, NPU, DRAM)
COUNTED = (GPU, CPU, CORE)

TREES = (Workload("pid 1", None, (("user", "a"),)), Workload("pid 2"))
RIVAL = Workload("rival", "m")
WHO = ("pid:1", "pid:2", "pid:3", IDLE.job, AGENT.job, "pid:9")  # pid:9 nobody claims
UNITS = {"cpu": "cpu_ns", "GPU-0": "sm_ns", "dram-0": "byte_ns", "npu-0": "context_ns"}

Event = tuple[Any, ...]
Settled = dict[int, SpanAccount]


def span_workload(tree: int, span: int) -> Workload:
    """A few spans share a name, as calls of one function do; those of two trees never do."""
    return Workload(f"span {tree}.{span % 3}", "llm")


class World:
    """Plays events into batches.  State: the clock, true registers, open spans by tree, cumulative use."""

    def __init__(self, *, orphans: bool = False) -> None:
        self.orphans = orphans
        self.ns = 5_000 * MS
        self.uj = {d.id: 7_000_000 * i for i, d in enumerate(COUNTED)}
        self.power_uw = {d.id: 10_000_000 for d in DEVICES}
        self.used: dict[tuple[str, str], int] = {}
        self.cpu_ns = [0, 0]
        self.next_span = 1
        self.open: list[list[tuple[int, int]]] = [[], []]  # (span, thread) by tree, in order of entry
        self.parent: dict[int, int | None] = {}
        self.tree_of: dict[int, int] = {}
        self.samples: list[Sample] = []
        self.batches: list[Batch] = []

    def now(self) -> Instant:
        return Instant(self.ns, WALL_NS + self.ns)

    def play(self, events: Iterable[Event]) -> "World":
        claims = zip(WHO[:3], (*TREES, RIVAL), strict=True)
        self.samples += [Claim(who, self.now(), workload) for who, workload in claims]
        self._every_device()
        self._tick()
        for kind, *details in events:
            getattr(self, f"_{kind}")(*details)
        for tree in (0, 1):
            while self.open[tree]:
                self._leave(tree, len(self.open[tree]) - 1, True, 20)
        self._pass(50)
        self._every_device()
        self._tick()
        return self

    # --- events ---------------------------------------------------------------------------------------------------------

    def _pass(self, ms: int) -> None:
        self.ns += ms * MS
        for device in COUNTED:
            self.uj[device.id] += self.power_uw[device.id] * ms // 1000
        self.cpu_ns = [ns + ms * MS * (1 + i) // 3 for i, ns in enumerate(self.cpu_ns)]

    def _power(self, device: int, percent: int) -> None:
        cap_uw = DEVICES[device].cap_uw
        assert cap_uw is not None
        self.power_uw[DEVICES[device].id] = cap_uw * percent // 100

    def _read(self, device: int, fault: str) -> None:
        sensor, at = DEVICES[device], self.now()
        if fault == "reset" and sensor in COUNTED:
            self.uj[sensor.id] = 0
        if fault == "late":
            at = Instant(at.mono_ns - 700 * MS, at.wall_ns)
        wild = 10**15 + 25_000_000 if fault == "spike" else 0
        if sensor in COUNTED:
            range_uj = None if sensor is GPU else RANGE_UJ
            uj = self.uj[sensor.id] + wild
            self.samples.append(EnergyCounter(sensor, at, uj if range_uj is None else uj % range_uj, range_uj))
        power_uw = self.power_uw[sensor.id] + wild * (-1 if fault == "spike" and device % 2 else 1)
        if sensor not in COUNTED or sensor is GPU:
            self.samples.append(PowerGauge(sensor, at, power_uw, sensor is DRAM))

    def _every_device(self) -> None:
        for device in range(len(DEVICES)):
            self._read(device, "none")

    def _second(self, ms: int, uses_ms: tuple[int, ...], missing: int) -> None:
        """What a sampler does: time goes by, everything is read (but for a sensor that fails), the cell is closed."""
        self._pass(ms)
        for i, use_ms in enumerate(uses_ms):
            self._use(i % len(UNITS), i % 3, use_ms)
        for device in range(len(DEVICES)):
            if device != missing:
                self._read(device, "none")
        self._tick()

    def _suspend(self, ms: int) -> None:
        self._pass(ms)
        self.samples.append(Resume(self.now(), ms * MS))

    def _use(self, device: int, who: int, ms: int) -> None:
        device_id = sorted(UNITS)[device]
        key = device_id, WHO[who]
        self.used[key] = max(0, self.used.get(key, 0) + ms * MS)
        unit = "idle_ns" if WHO[who] == IDLE.job else UNITS[device_id]
        self.samples.append(Activity(device_id, WHO[who], self.now(), self.used[key], unit))  # type: ignore[arg-type]

    def _hold(self, device: int, who: int, percent: int) -> None:
        self.samples.append(Holding(sorted(UNITS)[device], WHO[who], self.now(), percent / 100))

    def _floor(self, device: int, power_w: int, n: int) -> None:
        self.samples.append(IdleFloor(DEVICES[device].id, "empty", power_w * 1_000_000, None, n))

    def _factor(self, kind: int, value: int) -> None:
        name, unit = (("grid", "gCO2e/kWh"), ("pue", "1"), ("rest_share", "1"), ("rest_offset", "W"))[kind]
        scaled = value if name in ("grid", "rest_offset") else 1 + value / 100 if name == "pue" else value / 100
        self.samples.append(Factor(name, "DE", scaled, unit, "direct", "test", "1", "annual-average", 1.1))

    def _end(self, who: int) -> None:
        self.samples.append(Claim(WHO[who], self.now(), None))
        if who < 3:
            self.samples.append(Claim(WHO[who], self.now(), (*TREES, RIVAL)[who]))

    def _enter(self, tree: int, thread: int, clocks: bool, ms: int) -> None:
        self._pass(ms)
        self._edges(clocks)
        span, self.next_span = self.next_span, self.next_span + 1
        around = [s for s, t in self.open[tree] if t == thread]
        parent = around[-1] if around else None
        self.parent[span], self.tree_of[span] = parent, tree
        self.open[tree].append((span, thread))
        self._boundary(span, "enter", parent, thread if clocks else None)

    def _edges(self, readable: bool) -> None:
        for device in COUNTED:
            if readable:
                self._read(DEVICES.index(device), "none")

    def _leave(self, tree: int, which: int, clocks: bool, ms: int = 0) -> None:
        self._pass(ms)
        if not self.open[tree]:
            return
        which %= len(self.open[tree])
        span, thread = self.open[tree][which]
        if not self.orphans and any(self.parent[s] == span for s, _ in self.open[tree]):
            return
        del self.open[tree][which]
        self._boundary(span, "leave", None, thread if clocks else None)
        self._edges(clocks)

    def _boundary(self, span: int, edge: str, parent: int | None, thread: int | None) -> None:
        tree = self.tree_of[span]
        clocks = (None, None, None) if thread is None else (self.cpu_ns[tree], thread, self.cpu_ns[tree] // (thread + 1))
        workload = span_workload(tree, span)
        self.samples.append(Boundary(span, self.now(), edge, workload, TREES[tree], parent, *clocks))  # type: ignore[arg-type]

    def _mark(self, tree: int) -> None:
        self.samples.append(Boundary(0, self.now(), "mark", TREES[tree], TREES[tree], None, self.cpu_ns[tree]))

    def _work(self, tree: int, tokens: int) -> None:
        span = self.open[tree][-1][0] if self.open[tree] else None
        workload = span_workload(tree, span) if span is not None else TREES[tree]
        self.samples.append(Work(workload, self.now(), tokens, tokens // 2, 1, 1, span))

    def _flush(self) -> None:
        self._batch(False)

    def _tick(self) -> None:
        self._batch(True)

    def _batch(self, is_full: bool) -> None:
        self.batches.append(Batch(self.now(), is_full, tuple(self.samples)))
        self.samples = []


small = st.integers
device = small(0, len(DEVICES) - 1)
a_use = small(0, len(UNITS) - 1)
who = small(0, len(WHO) - 1)
tree = small(0, 1)
duration_ms = st.sampled_from([0, 1, 7, 60, 130, 400, 1_000])

second = st.tuples(
    st.just("second"), st.sampled_from([900, 1_000, 1_300, 2_500]), st.tuples(*[small(0, 1_500)] * 9), small(-5, len(DEVICES) - 1)
)
boundary = st.one_of(
    st.tuples(st.just("enter"), tree, small(0, 1), st.booleans(), duration_ms),
    st.tuples(st.just("leave"), tree, small(0, 3), st.booleans(), duration_ms),
)
fact = st.one_of(
    st.tuples(st.just("pass"), duration_ms),
    st.tuples(st.just("read"), device, st.sampled_from(["none", "reset", "spike", "late"])),
    st.tuples(st.just("power"), device, small(0, 100)),
    st.tuples(st.just("use"), a_use, who, small(-50, 1_500)),
    st.tuples(st.just("hold"), a_use, who, small(0, 100)),
    st.tuples(st.just("floor"), device, small(0, 60), small(0, 9)),
    st.tuples(st.just("factor"), small(0, 3), small(0, 60)),
    st.tuples(st.just("work"), tree, small(0, 99)),
    st.tuples(st.just("mark"), tree),
    st.tuples(st.just("end"), who),
    st.tuples(st.just("suspend"), duration_ms),
    st.just(("tick",)),
    st.just(("flush",)),
)
events: st.SearchStrategy[list[Event]] = st.lists(
    # `map` keeps one_of from flattening them: each third of a history is as likely.
    st.one_of(second, boundary.map(tuple), fact.map(tuple)),
    min_size=20,
    max_size=60,
)

worlds = events.map(lambda found: World().play(found))
orphan_worlds = events.map(lambda found: World(orphans=True).play(found))


class Run(NamedTuple):
    """A pipeline that was driven through batches, and the spans that settled."""

    pipeline: Pipeline
    settled: Settled


def drive(batches: Iterable[Batch], after: Callable[[Pipeline, Batch], None] | None = None) -> Run:
    pipeline = Pipeline()
    settled: Settled = {}
    for batch in batches:
        for account in pipeline.step(batch).settled:
            assert account.span not in settled
            settled[account.span] = account
        if after is not None:
            after(pipeline, batch)
    return Run(pipeline, settled)


def dump(thing: object) -> object:
    """Everything inside, as plain comparable values, order included."""
    if isinstance(thing, dict):
        return [(dump(k), dump(v)) for k, v in thing.items()]
    if isinstance(thing, list | tuple):
        return [dump(item) for item in thing]
    if isinstance(thing, set | frozenset):
        return sorted(map(repr, thing))
    slots = getattr(type(thing), "__slots__", ())
    if slots:
        return [(name, dump(getattr(thing, name))) for name in slots]
    if hasattr(thing, "__dict__"):
        return [(name, dump(value)) for name, value in vars(thing).items()]
    return thing
