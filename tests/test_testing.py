"""The shipped fakes keep the promises of what they stand in for."""

from pathlib import Path

import pytest
from tests.golden.scenario import CAPTURE, CORE, H100, PACKAGE, SERVE, TRAIN, at, batches

from wattledger.core.model import (
    Batch,
    Boundary,
    Device,
    EnergyCounter,
    Fault,
    IdleFloor,
    PowerGauge,
    Sample,
    Workload,
)
from wattledger.core.pipeline import Pipeline
from wattledger.core.ports import Source, SourceFailed, SourceGone
from wattledger.core.units import joules
from wattledger.runtime.capture import Capture, CaptureError, Recorder
from wattledger.runtime.runner import Runner
from wattledger.runtime.sampler import Sampler
from wattledger.testing import FakeClock, ScriptedSource, load_capture, replay, replay_all

GPU = Device("GPU-0", "gpu", "my card", cap_uw=1_000_000_000)


def test_a_clock_stands_still_until_it_is_told_to_move() -> None:
    clock = FakeClock(mono_ns=5, wall_ns=7)
    assert clock() == clock() == (5, 7)
    assert clock.advance_s(1.5) == clock() == (1_500_000_005, 1_500_000_007)


def test_stepping_the_wall_clock_is_no_duration() -> None:
    clock = FakeClock(mono_ns=5, wall_ns=7)
    assert clock.step_wall_s(-3600) == (5, 7 - 3_600_000_000_000)


def test_a_clock_does_not_go_backwards() -> None:
    clock = FakeClock()
    before = clock()
    with pytest.raises(ValueError, match="step_wall_s"):
        clock.advance_s(-0.1)
    assert clock() == before


def counter(count_uj: int) -> EnergyCounter:
    return EnergyCounter(GPU, FakeClock()(), count_uj, None)


def test_a_script_is_metered_as_a_real_source_is() -> None:
    clock = FakeClock()
    source: Source = ScriptedSource("mine", [[counter(100)], [counter(5_000_100)]])
    pipeline = Pipeline()
    sampler = Sampler([Runner(source, clock)], pipeline, interval_ns=10**9, now=clock)
    sampler.tick()
    clock.advance_s(1)
    sampler.tick()
    assert pipeline.totals.device_energy_uj == {(GPU.id, "counter"): 5_000_000}
    assert pipeline.totals.power_uw == {GPU.id: 5_000_000}


def test_each_read_gives_the_next_element_stamped_now_and_after_the_last_nothing() -> None:
    clock = FakeClock()
    floor = IdleFloor(GPU.id, "empty", 1, None, 0)
    source = ScriptedSource("mine", [[counter(1), floor], []])
    at_read = clock.advance_s(3)
    assert source.read(clock, True) == [counter(1)._replace(at=at_read), floor]
    assert [source.read(clock, False), source.read(clock, True), source.reads] == [[], [], 3]
    assert list(source.devices()) == [GPU]


def test_a_script_may_keep_its_own_times() -> None:
    clock = FakeClock()
    source = ScriptedSource("mine", [[counter(1)]], restamp=False)
    clock.advance_s(3)
    assert source.read(clock, True) == [counter(1)]


@pytest.mark.parametrize(("failure", "up"), [(SourceFailed("mine: bus error"), True), (SourceGone("mine: unplugged"), False)])
def test_a_scripted_failure_is_a_fault_and_gone_stays_gone(failure: Exception, up: bool) -> None:
    clock = FakeClock()
    runner = Runner(ScriptedSource("mine", [failure, [counter(1)]]), clock)
    assert runner.read(True) == [Fault("mine", None, clock(), str(failure), not up)]
    assert bool(runner.read(True)) == up
    assert runner.health().up == up


def test_replaying_twice_gives_the_same_figures() -> None:
    assert replay(CAPTURE) == replay(str(CAPTURE)) == replay(load_capture(CAPTURE))


def test_a_replay_has_the_identity_and_the_notes_of_its_header() -> None:
    [found] = replay(CAPTURE)
    who = found.identity
    assert (who.run_id, who.job, who.model, who.host, who.labels) == ("golden", TRAIN.job, TRAIN.model, "gpu-7", {"team": "search"})
    assert found.notes == (
        "no memory energy sensor here: memory energy is a model's answer",
        "nvml GPU-51c2: not enough memory",
        "PUE is not known and not applied: grams are for the IT energy alone ([facility] pue sets it)",
    )
    assert found.work["prompt_tokens"] == 812


def test_a_replay_counts_what_the_registers_counted() -> None:
    totals = replay_all(CAPTURE).pipeline.totals
    counted = [s for batch in batches() for s in batch.samples if isinstance(s, EnergyCounter)]
    gpu = [s.count_uj for s in counted if s.device == H100]
    assert totals.device_energy_uj[H100.id, "counter"] == gpu[-1] - gpu[0]
    assert totals.device_energy_uj[PACKAGE.id, "counter"] == 340_000_000  # across the wrap
    assert (CORE.id, "counter") not in totals.device_energy_uj
    assert set(totals.residual_uj().values()) == {0}


def nested(*, leave: bool) -> Capture:
    """Two spans of one tree, one inside the other, over two seconds at 10 W; ``leave``: whether they end."""

    def edge(span: int, second: float, edge: str, parent: int | None = None) -> Boundary:
        workload = TRAIN if span == 1 else SERVE
        return Boundary(span, at(second), "enter" if edge == "enter" else "leave", workload, Workload("pid 1"), parent)

    def gauge(second: float) -> Sample:
        return PowerGauge(GPU, at(second), 10_000_000)

    ends = [Batch(at(1.5), False, (edge(2, 1.5, "leave"),)), Batch(at(2), False, (edge(1, 2, "leave"),))] if leave else []
    steps = [
        Batch(at(0), True, (gauge(0),)),
        Batch(at(0), False, (edge(1, 0, "enter"),)),
        Batch(at(0.5), False, (edge(2, 0.5, "enter", 1),)),
        *ends,
        Batch(at(2), leave, (gauge(2),)),
    ]
    return Capture({"identity": {**load_capture(CAPTURE).header["identity"], "run_id": "r"}}, steps)


def test_each_span_of_a_capture_has_a_footprint_of_its_own() -> None:
    outer, inner = replay(nested(leave=True))
    assert [f.identity.job for f in (outer, inner)] == ["train", "serve"]
    assert [(f.identity.run_id, f.identity.parent_run_id) for f in (outer, inner)] == [("r.1", "r"), ("r.2", "r.1")]
    assert [f.duration_s for f in (outer, inner)] == [2.0, 1.0]


def test_a_span_that_never_ended_is_told_up_to_the_end_of_the_capture_and_says_so() -> None:
    outer, inner = replay(nested(leave=False))
    assert [f.duration_s for f in (outer, inner)] == [2.0, 1.5]
    assert all("ends before this span" in f.notes[0] for f in (outer, inner))


def test_a_capture_without_spans_has_totals_and_no_footprint() -> None:
    found = replay_all(Capture({}, [Batch(at(0), True, (PowerGauge(GPU, at(0), 1_000_000),)),
                                    Batch(at(1), True, (PowerGauge(GPU, at(1), 3_000_000),))]))  # fmt: skip
    assert found.footprints == ()
    assert joules(found.pipeline.totals.device_energy_uj[GPU.id, "integrated"]) == 2.0


def test_samples_that_make_no_sense_are_a_capture_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "odd.cap"
    recorder = Recorder(path)
    recorder.begin({"identity": None})
    recorder.add([Batch(at(i), True, (EnergyCounter(GPU, at(i), "many", None),)) for i in range(2)])  # type: ignore[arg-type]
    recorder.close()
    with pytest.raises(CaptureError, match=r"odd\.cap"):
        replay(path)
