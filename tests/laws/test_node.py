"""A node for ever: whoever comes, says who he is, is folded, ends and is forgotten, every joule is somebody's, once."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from math import isclose
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.histories import MS, UNITS, World, boundary, dump, fact, second

from wattledger.core.model import (
    RESERVED,
    Activity,
    Batch,
    By,
    Claim,
    Device,
    EnergyCounter,
    Holding,
    Member,
    PowerGauge,
    Rank,
    Sample,
    Work,
    Workload,
)
from wattledger.core.pipeline import Pipeline
from wattledger.core.series import Series
from wattledger.core.totals import Snapshot, State
from wattledger.runtime.capture import Recorder, load
from wattledger.runtime.node.publish import Publisher
from wattledger.runtime.runner import Runner
from wattledger.runtime.sampler import Hooks, Sampler
from wattledger.testing import FakeClock, ScriptedSource

NAMES = ("pid:1", "pid:11", "pid:12", "pid:13", "cgroup:/a", "cgroup:/a/b", "container:c", "pod:p", "slurm:7")
JOBS = ("", "train", "serve", "(idle)")
RANKS, HOW = get_args(Rank)[1:], get_args(By)
SLICES = ("MIG-1", "MIG-2")


class Node(World):
    """A machine on which everybody speaks: the kernel, Slurm, pods, and programs of themselves."""

    def _say(self, who: int, rank: int, job: int, team: int) -> None:
        labels = tuple(sorted({"team": str(team), "k8s_pod_name": f"p{team}"}.items()))[: team + 1]
        said = Workload(JOBS[job], "m" if team else None, labels)
        self.samples.append(Claim(NAMES[who], self.now(), said, RANKS[rank]))

    def _unsay(self, who: int, rank: int) -> None:
        self.samples.append(Claim(NAMES[who], self.now(), None, RANKS[rank]))

    def _join(self, who: int, of: int) -> None:
        self.samples.append(Member(NAMES[who], self.now(), NAMES[of]))

    def _gone(self, who: int) -> None:
        """Who has ended; his number, or his path, may be somebody else's from now on, who begins at 0."""
        self.samples.append(Member(NAMES[who], self.now(), None))
        for key in [key for key in self.used if key[1] == NAMES[who]]:
            del self.used[key]

    def _burn(self, device: int, who: int, ms: int) -> None:
        device_id, name = [*sorted(UNITS), *SLICES][device], NAMES[who]
        self.used[device_id, name] = self.used.get((device_id, name), 0) + ms * MS
        unit = UNITS.get(device_id, "context_ns")
        self.samples.append(Activity(device_id, name, self.now(), self.used[device_id, name], unit))  # type: ignore[arg-type]

    def _keep(self, device: int, who: int, percent: int, by: int) -> None:
        self.samples.append(Holding([*sorted(UNITS), *SLICES][device], NAMES[who], self.now(), percent / 100, HOW[by]))

    def _slice(self, which: int, percent: int) -> None:
        of = f"device:GPU-0@{percent / 100}" if percent else None
        self.samples.append(Member(f"device:{SLICES[which]}", self.now(), of))


small = st.integers
name = small(0, len(NAMES) - 1)
thing = small(0, len(UNITS) + len(SLICES) - 1)
spoken = st.one_of(
    st.tuples(st.just("say"), name, small(0, len(RANKS) - 1), small(0, len(JOBS) - 1), small(0, 2)),
    st.tuples(st.just("unsay"), name, small(0, len(RANKS) - 1)),
    st.tuples(st.just("join"), name, name),
    st.tuples(st.just("gone"), name),
    st.tuples(st.just("slice"), small(0, 1), small(0, 100)),
)
done = st.one_of(
    st.tuples(st.just("burn"), thing, name, small(0, 1_500)),
    st.tuples(st.just("keep"), thing, name, small(0, 100), small(0, len(HOW) - 1)),
)
event = st.one_of(second, *(kind.map(tuple) for kind in (spoken, done, boundary, fact)))
histories = st.lists(event, min_size=20, max_size=70)
nodes = histories.map(lambda found: Node().play(found))
limits = st.builds(
    lambda most, keep_s, labels: (most, keep_s * 1_000 * MS, labels),
    small(0, 4),
    st.sampled_from([0, 1, 3]),
    st.sampled_from([None, ("team",), ("k8s_pod_name",)]),
)
Limit = tuple[int, int, tuple[str, ...] | None]


def played(batches: Iterable[Batch], limit: Limit) -> Iterator[Pipeline]:
    """The pipeline after every closed cell."""
    pipeline = Pipeline(Series(*limit))
    for batch in batches:
        pipeline.step(batch)
        if batch.full:
            yield pipeline


@given(nodes, limits)
def test_every_device_closes_at_every_cell_whoever_was_folded_or_retired(world: Node, limit: Limit) -> None:
    for pipeline in played(world.batches, limit):
        totals = pipeline.totals
        handed_out = dict(totals.retired_uj)
        for (workload, device, _, _), uj in totals.energy_uj.items():
            assert uj > 0
            assert not workload.job.startswith("(") or workload.job in RESERVED, "a program's name is not the meter's"
            handed_out[device] = handed_out.get(device, 0) + uj
        measured: dict[str, int] = {}
        for (device, _), uj in totals.device_energy_uj.items():
            measured[device] = measured.get(device, 0) + uj
        assert handed_out == {device: uj for device, uj in measured.items() if uj}
        assert set(totals.residual_uj().values()) <= {0}
        assert len({key[0] for key in totals.energy_uj if key[0].job not in RESERVED}) <= limit[0]


@given(nodes, limits)
def test_limits_change_names_and_no_sum(world: Node, limit: Limit) -> None:
    *_, limited = played(world.batches, limit)
    *_, free = played(world.batches, (10**6, 10**18, None))
    assert limited.totals.device_energy_uj == free.totals.device_energy_uj
    assert isclose(sum(limited.totals.emissions_g.values()), sum(free.totals.emissions_g.values()), rel_tol=1e-9)
    sums = [tuple(map(sum, zip(*(w[2:6] for w in p.totals.work.values()), strict=True))) for p in (limited, free)]
    assert sums[0] == sums[1]
    assert limited.floors == free.floors


def counters(snapshot: Snapshot) -> dict[tuple[Any, ...], float]:
    """Every counter that is sums of what was metered, by its series; tokens and grams as floats, energy as ints."""
    found: dict[tuple[Any, ...], float] = {("energy", *key): uj for key, uj in snapshot.energy_uj.items()}
    found |= {("device", *key): uj for key, uj in snapshot.device_energy_uj.items()}
    found |= {("inside", *key): uj for key, uj in snapshot.subdevice_energy_uj.items()}
    found |= {("retired", key): uj for key, uj in snapshot.retired_uj.items()}
    found |= {("grams", key): g for key, g in snapshot.emissions_g.items()}
    for workload, work in snapshot.work.items():
        found |= {(kind, workload): getattr(work, kind) for kind in Work._fields[2:6]}
    return found


def shown(world: Node, limit: Limit) -> list[Snapshot]:
    """What is scraped, cell by cell."""
    publisher, seen = Publisher(("team",), dict), list[Snapshot]()
    cells = [batch.at for batch in world.batches if batch.full]
    for at, pipeline in zip(cells, played(world.batches, limit), strict=True):
        publisher.publish(pipeline, State(), at)
        assert publisher.shown is not None
        seen.append(publisher.shown)
    return seen


@given(nodes, limits)
def test_every_scrape_closes_and_every_series_is_seen_at_zero_first(world: Node, limit: Limit) -> None:
    seen = shown(world, limit)
    for snapshot in seen:
        assert set(snapshot.residual_uj.values()) <= {0}
        assert sum(snapshot.energy_uj.values()) + sum(snapshot.retired_uj.values()) == sum(snapshot.device_energy_uj.values())
    for before, now in pairwise(map(counters, seen)):
        fresh = now.keys() - before.keys()
        assert {key: now[key] for key in fresh if now[key]} == {}
        assert not {key for key in before.keys() & now.keys() if now[key] < before[key]} - {k for k in now if not now[k]}


@given(nodes, limits)
def test_what_increase_adds_up_is_what_the_devices_measured(world: Node, limit: Limit) -> None:
    """As Prometheus counts: the first sample of a series is its baseline, and one that fell began anew at 0."""
    grown: dict[str, float] = {}
    last: dict[tuple[Any, ...], float] = {}
    for snapshot in shown(world, limit):
        now = counters(snapshot)
        for key, value in now.items():
            before = last.get(key, value)
            grown[key[0]] = grown.get(key[0], 0) + (value - before if value >= before else value)
        last = now
        assert grown.get("energy", 0) == grown.get("device", 0)


def recorded(batches: Iterable[Batch]) -> list[Batch]:
    with TemporaryDirectory() as folder:
        recorder = Recorder(Path(folder) / "capture")
        recorder.begin({"job": "a node"})
        recorder.add(batches)
        recorder.close()
        return load(Path(folder) / "capture").batches


@settings(max_examples=50)
@given(nodes, limits)
def test_a_replay_knows_who_is_who_and_gives_the_same_everything(world: Node, limit: Limit) -> None:
    again = recorded(world.batches)
    assert again == world.batches
    *_, first = played(world.batches, limit)
    *_, second_time = played(again, limit)
    assert dump(first) == dump(second_time)


# --- the sampler, on a clock that is stepped ---------------------------------------------------------------------------------

GPU, NPU = Device("GPU-0", "gpu", "card", None, MS, 700_000_000), Device("NPU-0", "accelerator", "card", None, MS, 75_000_000)


def ticked(moves: Iterable[tuple[float, float, float]]) -> tuple[dict[str, int], dict[Any, int], list[str]]:
    """A steady sampler through (seconds that go by, seconds the wall clock is stepped, seconds asleep in between)."""
    clock, asleep_s = FakeClock(), 0.0
    moves = list(moves)
    script: list[list[Sample]] = []
    for n in range(len(moves) + 1):
        use = [Activity("GPU-0", f"pid:{pid}", clock(), n * pid * 1_000 * MS, "sm_ns") for pid in (1, 2)]
        script.append([EnergyCounter(GPU, clock(), n * 100_000_000, None), PowerGauge(NPU, clock(), 10_000_000 + n), *use])
    looked: list[int] = []
    hooks = Hooks(lambda samples: [], lambda step, pipeline: looked.append(len(step.gaps)))
    sampler = Sampler(
        [Runner(ScriptedSource("gpus", script), clock)], Pipeline(Series(10, 900_000 * MS)), interval_ns=1_000 * MS, now=clock,
        asleep_ns=lambda: round(asleep_s * 1e9), hooks=hooks, steady=True,
    )  # fmt: skip
    gaps: list[str] = []
    sampler.put([Claim(f"pid:{pid}", clock(), Workload(f"job {pid}"), "program") for pid in (1, 2)])
    sampler.tick()
    for seconds, step_s, slept_s in moves:
        clock.advance_s(seconds + slept_s)
        clock.step_wall_s(step_s)
        asleep_s += slept_s
        gaps += [f"{gap.device.id}: {gap.reason}" for gap in sampler.tick().gaps]
    totals = sampler.pipeline.totals
    assert len(looked) == len(moves) + 1
    assert set(totals.residual_uj().values()) <= {0}
    device: Mapping[str, int] = {key[0]: uj for key, uj in totals.device_energy_uj.items()}
    return dict(device), dict(totals.energy_uj), gaps


steps_s = st.sampled_from([-10**9, -3_600, -0.5, 0.0, 0.5, 86_400, 10**9])


@given(st.lists(st.tuples(st.sampled_from([0.9, 1.0, 1.1]), steps_s), min_size=2, max_size=10))
def test_a_step_of_the_wall_clock_changes_no_joule(moves: list[tuple[float, float]]) -> None:
    assert ticked((seconds, step_s, 0.0) for seconds, step_s in moves) == ticked((seconds, 0.0, 0.0) for seconds, _ in moves)


@given(st.lists(st.sampled_from([0.0, 0.0, 2.0, 3_600.0]), min_size=2, max_size=8).filter(any))
def test_a_suspend_is_counted_by_registers_and_invented_by_nobody(slept: list[float]) -> None:
    device, energy, gaps = ticked((1.0, 0.0, slept_s) for slept_s in slept)
    assert device["GPU-0"] == len(slept) * 100_000_000
    assert sum(uj for key, uj in energy.items() if key[1] == "GPU-0") == device["GPU-0"]
    awake_s = sum(not slept_s for slept_s in slept)
    assert device.get("NPU-0", 0) // 10_000_000 in (awake_s, 0)
    assert gaps == ["NPU-0: the machine was suspended"] * (len(slept) - awake_s)
