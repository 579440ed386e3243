"""Random histories of a node that serves: engines that count, restart, go back, fall silent, change their names and their models,
and request records that are right, wrong or of another engine."""

from collections.abc import Iterable

from hypothesis import strategies as st
from tests.laws.histories import CPU, DRAM, GPU, MS, WALL_NS, Event

from wattledger.core.model import (
    IDLE,
    Activity,
    Batch,
    Claim,
    EnergyCounter,
    Factor,
    Holding,
    IdleFloor,
    Instant,
    PowerGauge,
    Request,
    Sample,
    Served,
    Workload,
)

# (engine, model, whose process): replicas, two models of a process, one elsewhere, one of nobody known, one without a name.
ENGINES = (
    ("vllm 127.0.0.1:8000", "llama", "pid:1"),
    ("vllm 127.0.0.1:8001", "llama", "pid:2"),
    ("vllm 127.0.0.1:8000", "mistral", "pid:1"),
    ("ollama 10.0.0.9:11434", "far", ""),
    ("tgi 127.0.0.1:8002", "llama", "pid:9"),
    ("llamacpp 127.0.0.1:8003", "", "pid:3"),
)
NAMES = (
    Workload("serve", "llama"),
    Workload("serve"),
    Workload("serve", "llama", (("team", "search"),)),
    Workload("other", "mistral"),
)
ADDRESSES = ("127.0.0.1:8000", "localhost:8001", "gateway:443", "")
TOKENS = (0, 1, 37, 5_000, -3, 10**9)
COUNTS = ("prompt", "cached", "generated", "requests", "steps")


class Servers:
    """Plays events into batches.  State: the clock, true registers, each engine's counts, who is silent."""

    def __init__(self) -> None:
        self.ns = 5_000 * MS
        self.uj = {GPU.id: 3_000_000, CPU.id: 9_000_000}
        self.power_uw = {GPU.id: 300_000_000, CPU.id: 8_000_000}
        self.used_ns: dict[tuple[str, str], int] = {}
        self.counts = [dict.fromkeys(COUNTS, 10 * i) for i in range(len(ENGINES))]
        self.running: list[int | None] = [None] * len(ENGINES)
        self.setup = [0] * len(ENGINES)
        self.tells_steps = [True] * len(ENGINES)
        self.silent: set[int] = set()
        self.told = 0
        self.samples: list[Sample] = []
        self.batches: list[Batch] = []

    def now(self, back_ms: int = 0) -> Instant:
        ns = self.ns - back_ms * MS
        return Instant(ns, WALL_NS + ns)

    def play(self, events: Iterable[Event]) -> "Servers":
        for i, who in enumerate(("pid:1", "pid:2", "pid:3")):
            self._name(i, i % 2)
            self.samples.append(Holding(GPU.id, who, self.now(), 1 / 3))
        self._second(0, (0, 0, 0), 0)
        for kind, *details in events:
            getattr(self, f"_{kind}")(*details)
        for ms in (1_000, 1_000, 20_000, 20_000, 20_000, 20_000):
            self._second(ms, (500, 100, 0), 0)
        return self

    # --- events ---------------------------------------------------------------------------------------------------------

    def _second(self, ms: int, uses_ms: tuple[int, ...], behind_ms: int) -> None:
        """Time goes by, everything is read, who is not silent tells, the cell is closed."""
        self.ns += ms * MS
        for sensor in (GPU, CPU):
            self.uj[sensor.id] += self.power_uw[sensor.id] * ms // 1000
            self.samples.append(EnergyCounter(sensor, self.now(), self.uj[sensor.id], None))
        self.samples.append(PowerGauge(DRAM, self.now(), 5_000_000, estimated=True))
        for (device_id, unit), who, use_ms in zip(
            ((GPU.id, "sm_ns"), ("cpu", "cpu_ns"), (GPU.id, "sm_ns")), ("pid:1", "pid:2", "pid:3"), uses_ms, strict=True
        ):
            key = device_id, who
            self.used_ns[key] = self.used_ns.get(key, 0) + use_ms * MS
            self.samples.append(Activity(device_id, who, self.now(), self.used_ns[key], unit))  # type: ignore[arg-type]
        self.samples.append(Activity(GPU.id, IDLE.job, self.now(), self.ns // 7, "idle_ns"))
        for i in range(len(ENGINES)):
            if i not in self.silent:
                self._read(i, behind_ms * (i % 2))
        self._tick()

    def _read(self, i: int, behind_ms: int) -> None:
        engine, model, who = ENGINES[i]
        counts, address = self.counts[i], engine.partition(" ")[2]
        steps = counts["steps"] if self.tells_steps[i] else None
        said = counts["prompt"], counts["cached"], counts["generated"], counts["requests"], steps, self.running[i]
        self.samples.append(Served(engine, model, address, who, self.now(behind_ms), *said, str(self.setup[i])))

    def _serve(self, i: int, prompt: int, generated: int, batch: int) -> None:
        counts = self.counts[i]
        for name, more in zip(COUNTS, (prompt, prompt // 3, generated, generated // 9, generated // batch), strict=True):
            counts[name] += more

    def _odd(self, i: int, fault: str, count: int) -> None:
        match fault:
            case "reset":
                self.counts[i] = dict.fromkeys(COUNTS, 1)
            case "back":
                self.counts[i][COUNTS[count]] //= 2
            case "mad":
                self.counts[i][COUNTS[count]] += 10**13
            case "swap":
                self.setup[i] += 1
            case "steps":
                self.tells_steps[i] = not self.tells_steps[i]
            case "hush":
                self.silent ^= {i}
            case _:
                self.running[i] = (None, 0, 3)[count % 3]

    def _record(self, model: int, where: int, times_ms: tuple[int, int, int], tokens: tuple[int, int]) -> None:
        ago, until_first, until_end = times_ms
        instants = self.now(ago), self.now(ago - until_first), self.now(ago - until_first - until_end)
        name, computed, generated = ENGINES[model][1], TOKENS[tokens[0]], TOKENS[tokens[1]]
        self.told += 1
        tenant = ("red", "blue", "")[self.told % 3]
        self.samples.append(Request(f"r{self.told}", name, *instants, computed, 0, generated, ADDRESSES[where], tenant))

    def _answer(self, i: int, computed: int, generated: int, slow: bool) -> None:
        """A second in which an engine answers one request, which is told."""
        engine, model, _ = ENGINES[i]
        self._serve(i, computed, generated, 1)
        self._second(1_000, (600, 50, 300), 0)
        self.told += 1
        instants = self.now(3_500 if slow else 900), self.now(800), self.now(100)
        address = engine.partition(" ")[2]
        self.samples.append(Request(f"r{self.told}", model, *instants, computed, 0, generated, address, "red"))

    def _power(self, watts: int) -> None:
        self.power_uw[GPU.id] = watts * 1_000_000

    def _name(self, pid: int, name: int) -> None:
        self.samples.append(Claim(f"pid:{1 + pid}", self.now(), NAMES[name], "program"))

    def _end(self, pid: int) -> None:
        self.samples.append(Claim(f"pid:{1 + pid}", self.now(), None, "program"))

    def _floor(self, watts: int, n: int) -> None:
        self.samples.append(IdleFloor(GPU.id, "empty", watts * 1_000_000, None, n))

    def _grid(self, value: int) -> None:
        self.samples.append(Factor("grid", "DE", value, "gCO2e/kWh", "direct", "test", "1", "annual-average", 1.1))

    def _hours(self, n: int) -> None:
        """Nobody says anything for some ticks of twenty seconds."""
        silent, self.silent = self.silent, set(range(len(ENGINES)))
        for _ in range(n):
            self._second(20_000, (0, 0, 0), 0)
        self.silent = silent

    def _tick(self) -> None:
        self.batches.append(Batch(self.now(), True, tuple(self.samples)))
        self.samples = []


small = st.integers
engine = small(0, len(ENGINES) - 1)
duration_ms, uses = st.sampled_from([300, 1_000, 1_100, 5_000]), st.tuples(*[small(0, 900)] * 3)
second = st.tuples(st.just("second"), duration_ms, uses, st.sampled_from([0, 0, 40, 1_500]))
serve = st.tuples(st.just("serve"), engine, st.sampled_from([0, 90, 4_000]), st.sampled_from([0, 1, 300]), small(1, 40))
answer = st.tuples(st.just("answer"), engine, small(1, 900), small(1, 200), st.booleans())
times_ms = st.tuples(small(-500, 30_000), small(-100, 3_000), small(-100, 20_000))
a_count = small(0, len(TOKENS) - 1)
record = st.tuples(st.just("record"), engine, small(0, len(ADDRESSES) - 1), times_ms, st.tuples(a_count, a_count))
odd = st.sampled_from(["reset", "back", "mad", "swap", "steps", "hush", "running"])
fault = st.one_of(
    st.tuples(st.just("odd"), engine, odd, small(0, len(COUNTS) - 1)),
    st.tuples(st.just("power"), st.sampled_from([0, 75, 690])),
    st.tuples(st.just("name"), small(0, 2), small(0, len(NAMES) - 1)),
    st.tuples(st.just("end"), small(0, 2)),
    st.tuples(st.just("floor"), small(0, 90), small(0, 9)),
    st.tuples(st.just("grid"), small(0, 900)),
    st.tuples(st.just("hours"), small(1, 5)),
)
events: st.SearchStrategy[list[Event]] = st.lists(
    # `map` keeps one_of from flattening them: a third of a history is seconds, whatever else there is.
    st.one_of(*[found.map(tuple) for found in (second, second, serve, answer, record, fault)]),
    min_size=20,
    max_size=70,
)
servers = events.map(lambda found: Servers().play(found))
