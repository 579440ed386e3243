"""One tick, by hand: who is metered by what, when a cell closes, what is learnt, lost and priced."""

import pytest
from tests.core.made import (
    CORE,
    CPU,
    DRAM,
    GPU,
    RIVAL,
    TREE,
    S,
    at,
    claim,
    counter,
    enter,
    factor,
    floor,
    full,
    gauge,
    holding,
    leave,
    metered_j,
    part_batch,
    run,
    totals_j,
    used,
)

from wattledger.core.model import (
    AGENT,
    IDLE,
    OTHER,
    UNATTRIBUTED,
    Batch,
    Device,
    Fault,
    IdleFloor,
    Resume,
    Sample,
    Work,
    Workload,
)
from wattledger.core.pipeline import Pipeline, Step

NPU = Device("npu-0", "accelerator", "power only", None, 20_000_000, 75_000_000)


def test_a_partial_batch_hands_nothing_out() -> None:
    pipeline = Pipeline()
    pipeline.step(full(0, counter(CPU, 0, 0)))
    assert pipeline.step(part_batch(1, counter(CPU, 1, 100))) == Step([], [], [])
    assert metered_j(pipeline, CPU) == 100
    assert totals_j(pipeline, CPU) == {}


def test_a_full_batch_closes_the_cell() -> None:
    pipeline, _ = run(full(0, counter(CPU, 0, 0)), part_batch(1, counter(CPU, 1, 100)), full(2, counter(CPU, 2, 150)))
    assert totals_j(pipeline, CPU) == {UNATTRIBUTED.job: 150}
    assert pipeline.totals.power_uw == {CPU.id: 75_000_000}


def test_a_cell_without_a_reading_shares_nothing_and_the_next_one_loses_nothing() -> None:
    pipeline, _ = run(
        full(
            0,
            claim("pid:1", TREE),
            claim("pid:2", RIVAL),
            counter(GPU, 0, 0),
            used(GPU.id, "pid:1", 0, 0),
            used(GPU.id, "pid:2", 0, 0),
        ),
        full(1, used(GPU.id, "pid:1", 1, 1)),
        full(2, counter(GPU, 2, 200), used(GPU.id, "pid:2", 2, 1)),
    )
    # The work of the first second was done on this energy too.
    assert totals_j(pipeline, GPU) == {TREE.job: 100, RIVAL.job: 100}


def test_a_device_with_a_register_is_metered_by_it_and_not_by_its_power() -> None:
    pipeline, _ = run(*(full(t, gauge(GPU, t, 300), counter(GPU, t, 100 * t)) for t in range(4)))
    assert pipeline.totals.device_energy_uj == {(GPU.id, "counter"): 300_000_000}


def test_a_device_without_a_register_is_metered_by_its_power() -> None:
    pipeline, _ = run(*(full(t, gauge(NPU, t, 50)) for t in range(4)), full(4, gauge(NPU, 4, 50, estimated=True)))
    assert pipeline.totals.device_energy_uj == {(NPU.id, "integrated"): 150_000_000, (NPU.id, "estimated"): 50_000_000}


def test_a_part_inside_another_is_metered_apart_and_given_to_nobody() -> None:
    pipeline, spans = run(
        full(0, counter(CPU, 0, 0), counter(CORE, 0, 0), enter(1, 0)),
        full(1, counter(CPU, 1, 100), counter(CORE, 1, 60), leave(1, 1)),
        full(2, counter(CPU, 2, 200), counter(CORE, 2, 120)),
    )
    assert pipeline.totals.device_energy_uj == {(CPU.id, "counter"): 200_000_000}
    assert pipeline.totals.subdevice_energy_uj == {(CORE.id, "counter"): 120_000_000}
    assert totals_j(pipeline, CORE) == {}
    assert pipeline.totals.power_uw[CORE.id] == 60_000_000
    assert set(spans[1].lanes) == {(CPU.id, "counter")}


def test_idle_is_paid_by_who_holds_the_device_and_the_rest_by_who_works() -> None:
    pipeline, _ = run(
        full(
            0,
            claim("pid:1", TREE),
            claim("pid:2", RIVAL),
            floor(GPU, 40),
            holding(GPU.id, "pid:2", 0.5),
            counter(GPU, 0, 0),
            used(GPU.id, "pid:1", 0, 0),
        ),
        full(1, counter(GPU, 1, 100), used(GPU.id, "pid:1", 1, 1)),
    )
    assert totals_j(pipeline, GPU, "active") == {TREE.job: 60}
    assert totals_j(pipeline, GPU, "held") == {RIVAL.job: 20, IDLE.job: 20}


def test_strangers_are_others_and_the_agent_is_itself() -> None:
    whos = "pid:7", "pid:8", AGENT.job
    pipeline, _ = run(
        full(0, counter(CPU, 0, 0), *(used("cpu", who, 0, 0) for who in whos)),
        full(1, counter(CPU, 1, 300), *(used("cpu", who, 1, 1) for who in whos)),
    )
    assert totals_j(pipeline, CPU) == {OTHER.job: 200, AGENT.job: 100}


def cpu_second(second: int, energy_j: float, busy_s: float, idle_s: float) -> Batch:
    """Cumulative readings at the end of a second."""
    idle = used("cpu", IDLE.job, second, idle_s, "idle_ns")
    return full(second, counter(CPU, second, energy_j), used("cpu", "pid:1", second, busy_s, "cpu_ns"), idle)


def test_a_quiet_second_teaches_the_floor_that_it_is_shared_by() -> None:
    pipeline = Pipeline()
    steps = [pipeline.step(cpu_second(t, 20 * t, 0.01 * t, t)) for t in range(3)]
    assert [len(step.floors) for step in steps] == [0, 1, 1]
    assert steps[2].floors == [IdleFloor(CPU.id, "empty", 20_000_000, at(2), 2)]
    assert pipeline.floors == {CPU.id: steps[2].floors[0]}
    assert totals_j(pipeline, CPU, "held") == {IDLE.job: 40}


def test_a_second_with_a_hole_in_it_teaches_no_floor() -> None:
    pipeline = Pipeline()
    pipeline.step(cpu_second(0, 1000, 0, 0))
    readings = [counter(CPU, t, j) for t, j in ((1, 1020), (2, 0), (9, 140), (10, 160))]
    step = pipeline.step(full(10, *readings, used("cpu", IDLE.job, 10, 10, "idle_ns")))
    assert [gap.reason for gap in step.gaps] == ["the counter restarted"]
    assert step.floors == []
    assert pipeline.floors == {}


def test_a_floor_that_was_seen_is_not_replaced_by_a_tables() -> None:
    pipeline, _ = run(full(0, floor(CPU, 20, n=3), floor(CPU, 99, n=0), floor(GPU, 50, n=0), floor(GPU, 60, n=0)))
    assert {d: f.power_uw for d, f in pipeline.floors.items()} == {CPU.id: 20_000_000, GPU.id: 60_000_000}


def test_a_restart_is_a_gap_in_the_step_that_saw_it() -> None:
    pipeline = Pipeline()
    steps = [pipeline.step(full(t, counter(GPU, t, j))) for t, j in enumerate((500, 600, 1, 101))]
    assert [[gap.reason for gap in step.gaps] for step in steps] == [[], [], [], ["the counter restarted"]]
    assert metered_j(pipeline, GPU) == 200


def test_a_register_that_stands_still_is_said_until_it_moves() -> None:
    pipeline = Pipeline()
    for t in range(6):
        pipeline.step(full(t, counter(GPU, t, 500)))
    assert pipeline.still == {GPU.id: at(0)}
    pipeline.step(full(6, counter(GPU, 6, 900)))
    assert pipeline.still == {}
    assert metered_j(pipeline, GPU) == 400


def test_a_register_that_starts_anew_does_not_stand_still() -> None:
    pipeline = Pipeline()
    for t, j in enumerate((500, 500, 500, 500, 0, 90)):
        pipeline.step(full(t, counter(GPU, t, j)))
    assert pipeline.still == {}


def test_power_is_not_integrated_over_a_suspend_but_a_register_counts_through_it() -> None:
    pipeline, _ = run(
        full(0, gauge(NPU, 0, 50), counter(GPU, 0, 0)),
        full(1, gauge(NPU, 1, 50), counter(GPU, 1, 100)),
        full(4, Resume(at(4), 3 * S), gauge(NPU, 4, 50), counter(GPU, 4, 130)),
        full(5, gauge(NPU, 5, 50), counter(GPU, 5, 230)),
    )
    assert (metered_j(pipeline, NPU), metered_j(pipeline, GPU)) == (100, 230)


def test_a_fault_is_kept_for_who_asks() -> None:
    fault, whole = Fault("nvml", GPU.id, at(1), "lost", gone=True), Fault("rapl", None, at(1), "denied", gone=False)
    pipeline, _ = run(full(1, fault, whole))
    assert pipeline.faults == {("nvml", GPU.id): fault, ("rapl", None): whole}


def test_energy_is_priced_as_it_is_handed_out() -> None:
    def priced(*factors: Sample) -> dict[Workload, float]:
        pipeline, _ = run(full(0, *factors, counter(GPU, 0, 0)), full(3600, counter(GPU, 3600, 1_800_000)))
        return pipeline.totals.emissions_g

    assert priced() == {}
    assert priced(factor("grid", 300)) == {UNATTRIBUTED: pytest.approx(150)}
    assert priced(factor("grid", 300), factor("pue", 1.2)) == {UNATTRIBUTED: pytest.approx(180)}


def test_a_revised_factor_prices_what_comes_and_not_what_was() -> None:
    pipeline, _ = run(
        full(0, factor("grid", 100), counter(GPU, 0, 0)),
        full(3600, counter(GPU, 3600, 1_800_000)),
        full(7200, factor("grid", 300), counter(GPU, 7200, 3_600_000)),
    )
    assert pipeline.totals.emissions_g == {UNATTRIBUTED: pytest.approx(200)}


def test_work_is_counted_when_the_cell_closes() -> None:
    pipeline = Pipeline()
    pipeline.step(part_batch(0, Work(TREE, at(0), 5)))
    assert pipeline.totals.work == {}
    pipeline.step(full(1, Work(TREE, at(1), 6)))
    pipeline.step(full(2))
    assert pipeline.totals.work[TREE].prompt_tokens == 11


def test_boundaries_are_sorted_by_time_however_they_arrive() -> None:
    pipeline, spans = run(
        full(0, claim("pid:1", TREE), counter(GPU, 0, 0), used(GPU.id, "pid:1", 0, 0)),
        full(2, leave(1, 2), enter(1, 1), counter(GPU, 2, 200), used(GPU.id, "pid:1", 2, 1)),
    )
    assert spans[1].lanes[GPU.id, "counter"].active_uj == 100_000_000
    assert list(pipeline.spans.open_accounts()) == []


def test_memory_is_shared_by_memory() -> None:
    pipeline, _ = run(
        full(
            0,
            claim("pid:1", TREE),
            counter(DRAM, 0, 0),
            used("dram", "pid:1", 0, 0, "byte_ns"),
            used("dram", IDLE.job, 0, 0, "idle_ns"),
        ),
        full(1, counter(DRAM, 1, 10), used("dram", "pid:1", 1, 1, "byte_ns"), used("dram", IDLE.job, 1, 4, "idle_ns")),
    )
    assert totals_j(pipeline, DRAM) == {TREE.job: 2, IDLE.job: 8}


def test_the_peak_of_a_span_is_the_highest_power_seen_or_known() -> None:
    _, spans = run(
        full(0, counter(GPU, 0, 0), enter(1, 0)),
        full(1, counter(GPU, 1, 300)),
        full(2, counter(GPU, 2, 400), gauge(GPU, 2, 650), leave(1, 2)),
    )
    assert spans[1].lanes[GPU.id, "counter"].peak_uw == 650_000_000
    assert spans[1].left == at(2)
    assert at(2).mono_ns == 2 * S
