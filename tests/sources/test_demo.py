"""The made-up node: its capture makes sense, and can be played round and round without a joule made or lost at the seam."""

import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path

import pytest

from wattledger.core.catalog import CATALOG
from wattledger.core.model import (
    Activity,
    Batch,
    Condition,
    Device,
    EnergyCounter,
    Fault,
    Instant,
    PowerGauge,
    Request,
    Served,
)
from wattledger.core.pipeline import Pipeline, Step
from wattledger.core.ports import Host, SourceGone
from wattledger.core.series import Series
from wattledger.core.totals import Snapshot, State
from wattledger.runtime.capture import load
from wattledger.runtime.opening import DEMO_NAMES
from wattledger.runtime.runner import Runner
from wattledger.runtime.sampler import Sampler
from wattledger.sources import demo
from wattledger.sources.demo import compile_node
from wattledger.sources.demo.show import Show, register
from wattledger.testing import FakeClock

ROOT = Path(__file__).parents[2]
SECOND_NS = 1_000_000_000
LABELS = ("team", "user")
MOST_BYTES = 400_000
# Not of sensors: prices, health and books are the agent's (tests/node/test_demo.py has them).
NOT_OF_SENSORS = {
    "wattledger_emissions_grams_total", "wattledger_embodied_emissions_grams_total", "wattledger_water_litres_total",
    "wattledger_cost_total", "wattledger_token_emissions_grams_total", "wattledger_grid_carbon_intensity_grams_per_kwh",
    "wattledger_grid_carbon_intensity_age_seconds", "wattledger_grid_carbon_intensity_forecast_grams_per_kwh",
    "wattledger_settled_emissions_grams", "wattledger_coverage_ratio", "wattledger_source_up", "wattledger_source_read_seconds",
    "wattledger_source_errors_total", "wattledger_tick_late_seconds", "wattledger_ledger_lag_seconds",
    "wattledger_exports_total",
}  # fmt: skip


class Node:
    """All of the made-up node's sources on a clock that is turned by hand."""

    def __init__(self, tick_s: int, *, series: Series | None = None) -> None:
        self.clock, self.tick_s = FakeClock(), tick_s
        self.steps: list[Step] = []
        show = demo.show(load)
        self.runners = [Runner(demo.open(host(name, show)), self.clock) for name in demo.NAMES]
        self.pipeline = Pipeline(series)
        self.sampler = Sampler(
            self.runners, self.pipeline, interval_ns=tick_s * SECOND_NS, now=self.clock, asleep_ns=lambda: 0, steady=True,
            on_step=self.steps.append,
        )  # fmt: skip

    def ticks(self, until_s: int) -> Iterator[int]:
        """Tick until that time, which is told after each."""
        start_ns = self.clock().mono_ns
        while (at_s := (self.clock().mono_ns - start_ns) // SECOND_NS) <= until_s:
            self.sampler.tick()
            yield at_s
            self.clock.advance_s(self.tick_s)

    def run(self, until_s: int) -> Snapshot:
        for _ in self.ticks(until_s):
            pass
        return self.snapshot()

    def snapshot(self) -> Snapshot:
        return self.pipeline.totals.snapshot(State(label_names=LABELS))


def host(name: str, show: object) -> Host:
    return Host("/sys", "/proc", {}, (), True, {"plays": name, "show": show})


@pytest.fixture(scope="module")
def batches() -> list[Batch]:
    return load(demo.CAPTURE).batches


def grew_uj(batches: list[Batch]) -> dict[str, int]:
    """By how much each register grows in one round."""
    first, last = ({s.device.id: s.count_uj for s in b.samples if isinstance(s, EnergyCounter)} for b in (batches[0], batches[-1]))
    return {device: last[device] - first[device] for device in first}


def test_the_shipped_capture_is_what_its_compiler_makes(batches: list[Batch]) -> None:
    assert batches == compile_node.Recording().batches()
    assert demo.CAPTURE.stat().st_size <= MOST_BYTES


def test_the_wheel_takes_the_capture_and_leaves_its_compilers_out() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert any(demo.CAPTURE.is_relative_to(ROOT / package) for package in wheel["packages"])
    folder = {path.name for path in demo.CAPTURE.parent.iterdir() if path.is_file()}
    assert {name for name in folder if not any(fnmatch(name, out) for out in wheel["exclude"])} == {
        "__init__.py", "show.py", "node.capture.gz"
    }  # fmt: skip
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()  # hatchling leaves out what git does
    assert not any(fnmatch(demo.CAPTURE.name, pattern) for pattern in ignored)


def test_powers_stay_below_what_each_device_can_draw_and_registers_only_grow(batches: list[Batch]) -> None:
    before: dict[str, int] = {}
    checked = 0
    for batch in batches:
        for sample in batch.samples:
            if isinstance(sample, EnergyCounter):
                grown_uj = sample.count_uj - before.get(sample.device.id, sample.count_uj)
                assert sample.device.cap_uw is not None
                assert 0 <= grown_uj <= sample.device.cap_uw
                assert grown_uj > 0 or batch is batches[0]
                before[sample.device.id] = sample.count_uj
                checked += 1
            elif isinstance(sample, PowerGauge):
                assert 0 < sample.power_uw <= (sample.device.cap_uw or 0)
    assert checked == 12 * len(batches)


def test_what_is_counted_in_a_life_only_grows(batches: list[Batch]) -> None:
    before: dict[tuple[str, ...], tuple[int, ...]] = {}
    for batch in batches:
        for sample in batch.samples:
            counts = (sample.used,) if isinstance(sample, Activity) else sample[5:9] if isinstance(sample, Served) else None
            if counts is not None:
                key = register(sample)
                assert all(b <= a for b, a in zip(before.get(key, counts), counts, strict=True)), sample
                before[key] = counts
    assert len(before) == 39


def test_nobody_uses_more_of_a_device_than_there_is(batches: list[Batch]) -> None:
    ends = [{register(s): s for s in b.samples if isinstance(s, Activity)} for b in (batches[0], batches[-1])]
    length_ns = batches[-1].at.mono_ns - batches[0].at.mono_ns
    whole: dict[str, int] = {}
    for earlier, batch in pairwise(batches):
        then = {register(s): s.used for s in earlier.samples if isinstance(s, Activity)}
        for sample in batch.samples:
            if isinstance(sample, Activity):
                whole[sample.device_id] = whole.get(sample.device_id, 0) + sample.used - then.get(register(sample), sample.used)
    assert {whole[f"GPU-demo-{n}"] for n in range(8)} == {length_ns}
    agent_ns = next(s.used for s in ends[1].values() if (s.device_id, s.who) == ("cpu", "(agent)"))
    assert 0 < agent_ns < length_ns
    assert whole["cpu"] == compile_node.THREADS * length_ns


def test_the_end_of_the_capture_is_its_beginning_but_for_what_was_counted(batches: list[Batch]) -> None:
    first, last = (
        {s.device_id: s[2:] for s in b.samples if isinstance(s, Condition)} for b in (batches[0], batches[-1])
    )
    assert first == last
    watts = [next(s.power_uw for s in b.samples if isinstance(s, PowerGauge)) for b in (batches[0], batches[-1])]
    assert watts[0] == watts[1]
    running = [next(s.running for s in b.samples if isinstance(s, Served)) for b in (batches[0], batches[-1])]
    assert running[0] == running[1]


def test_what_requests_used_is_what_the_engine_counted(batches: list[Batch]) -> None:
    told = [s for b in batches for s in b.samples if isinstance(s, Request)]
    first, last = (next(s for s in b.samples if isinstance(s, Served)) for b in (batches[0], batches[-1]))
    assert sum(r.computed for r in told) == last.prompt_tokens - first.prompt_tokens
    assert sum(r.generated for r in told) == last.generated_tokens - first.generated_tokens
    assert len(told) == last.requests - first.requests
    assert {r.tenant for r in told} == {"acme", "globex"}
    assert all(r.scheduled.mono_ns < r.first_token.mono_ns <= r.end.mono_ns for r in told)


@pytest.mark.slow
def test_no_energy_is_made_or_lost_at_the_seam(batches: list[Batch]) -> None:
    node = Node(1)
    rounds = {}
    for at_s in node.ticks(1200):
        if at_s in (0, 600, 1200):
            rounds[at_s] = dict(node.pipeline.totals.device_energy_uj)
    grown = grew_uj(batches)
    assert {device: uj for (device, method), uj in rounds[600].items() if method == "counter"} == grown
    for (device, method), uj in rounds[1200].items():
        if method == "counter":
            assert uj == 2 * grown[device]
    # A tick at the seam sees what any other sees: the second that the capture has there.
    assert not [gap for step in node.steps for gap in step.gaps]
    assert not [doubt for step in node.steps for doubt in step.doubts]


@pytest.mark.slow
@pytest.mark.soak
def test_an_hour_of_it_closes_and_every_metric_of_sensors_is_there() -> None:
    labels = {label for metric in CATALOG for label in metric.labels} | set(LABELS)
    node = Node(5, series=Series(1000, 900 * SECOND_NS, labels))
    before: dict[object, int] = {}
    for _ in node.ticks(3600):
        found = node.snapshot()
        assert set(found.residual_uj.values()) <= {0}
        for device, uj in found.device_energy_uj.items():
            assert uj >= before.get(device, 0)
            before[device] = uj
    assert sum(found.energy_uj.values()) + sum(found.retired_uj.values()) == sum(found.device_energy_uj.values())
    assert sum(found.retired_uj.values()) > 0
    absent = {metric.name for metric in CATALOG if not list(metric.rows(found))}
    assert absent <= NOT_OF_SENSORS
    jobs = {(w.job, dict(w.labels).get("team")) for w, *_ in found.energy_uj}
    named = {"pretrain": "search", "chat": "chat", "fold": "biology", "eval": "search", "notebook": "vision", "etl": "data"}
    assert jobs >= set(named.items())
    assert {tenant for _, tenant, _ in found.tokens.request_uj} == {"acme", "globex", "(unrecorded)"}


def test_who_comes_anew_in_each_round_has_a_name_of_his_own() -> None:
    node = Node(10)
    found = node.run(1_300)
    ids = {dict(w.labels)["slurm_job_id"] for w, *_ in found.energy_uj if w.job == "fold"}
    pods = {dict(w.labels)["k8s_pod_name"] for w, *_ in found.energy_uj if w.job == "eval"}
    runs = {dict(w.labels)["run_id"] for w, *_ in found.energy_uj if w.job in ("fold", "eval")}
    assert ids == {"48213", "48214", "48215"}
    assert pods == {"eval-29471", "eval-29472"}
    assert runs == {*(f"slurm-demo-{n}" for n in ids), *(f"demo-{pod}" for pod in pods)}


@pytest.mark.slow
@pytest.mark.soak
def test_the_same_instants_give_the_same_figures_however_often_it_is_asked(batches: list[Batch]) -> None:
    def counters(tick_s: int) -> dict[tuple[str, str], int]:
        return {key: uj for key, uj in Node(tick_s).run(720).device_energy_uj.items() if key[1] == "counter"}

    assert counters(1) == counters(6) == counters(60)


def test_who_was_not_asked_for_hours_hears_the_end_and_registers_have_gone_on(batches: list[Batch]) -> None:
    clock, show = FakeClock(), demo.show(load)
    source = demo.open(host("demo_nvml", show))
    before = source.read(clock, True)
    clock.advance_s(8 * 3600)
    after = source.read(clock, True)
    assert len(after) < 2 * sum(len(played.get("demo_nvml", ())) for played in show._played)
    first, last = ({s.device.id: s.count_uj for s in read if isinstance(s, EnergyCounter)} for read in (before, after))
    assert {device: last[device] - first[device] for device in first} == {
        device: 48 * uj for device, uj in grew_uj(batches).items() if device.startswith("GPU")
    }


def test_a_clock_that_is_set_is_set_for_the_made_up_node_too() -> None:
    clock, show = FakeClock(), demo.show(load)
    source = demo.open(host("demo_rapl", show))
    source.read(clock, True)
    clock.advance_s(1)
    clock.step_wall_s(3600)
    stamps = {sample.at for sample in source.read(clock, True) if isinstance(sample, EnergyCounter)}
    now = clock()
    assert {now.wall_ns - at.wall_ns for at in stamps} == {now.mono_ns - at.mono_ns for at in stamps} == {500_000_000}


def test_the_bmc_fails_for_twenty_seconds_of_each_round_and_alone() -> None:
    node = Node(5)
    down = dict.fromkeys(demo.NAMES, 0)
    for _ in node.ticks(1199):
        for runner in node.runners:
            down[runner.source.name] += not runner.health().up
    assert down == {**dict.fromkeys(demo.NAMES, 0), "demo_redfish": 2 * 20 // 5}
    assert next(r.errors for r in node.runners if r.source.name == "demo_redfish") == 2 * 2


def test_every_sample_is_played_by_one_source(batches: list[Batch]) -> None:
    show = Show(batches)
    assert sum(len(samples) for played in show._played for samples in played.values()) == sum(len(b.samples) for b in batches)
    assert {name for played in show._played for name in played} == set(demo.NAMES) == set(DEMO_NAMES)


def test_all_of_it_says_that_it_is_made_up(batches: list[Batch]) -> None:
    devices = {s.device for b in batches for s in b.samples if isinstance(s, EnergyCounter | PowerGauge)}
    assert len(devices) == 13
    assert all("demo" in device.id and "made" in device.model for device in devices)
    assert all("demo" in name for name in demo.NAMES)
    assert all("made-up" in s.what for b in batches for s in b.samples if isinstance(s, Fault))


def test_a_source_that_is_handed_no_show_says_where_there_is_one() -> None:
    with pytest.raises(SourceGone, match="agent --demo"):
        demo.open(Host("/sys", "/proc", {}, (), True, {}))
    assert list(demo.examine(Host("/sys", "/proc", {}, (), True, {}))) == []


def test_a_register_that_wraps_is_not_played() -> None:
    cpu = Device("cpu-0", "cpu", "x")
    wraps = [Batch(Instant(s, s), True, (EnergyCounter(cpu, Instant(s, s), s, 100),)) for s in (0, 10)]
    with pytest.raises(ValueError, match="cpu-0: a register that wraps"):
        Show(wraps)
