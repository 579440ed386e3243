"""Figures as they stand before a register has moved, and what is said of a sensor that fell silent."""

import pytest
from tests.core.made import (
    CORE,
    CPU,
    GPU,
    TREE,
    at,
    claim,
    counter,
    enter,
    full,
    gauge,
    leave,
    metered_j,
    part_batch,
    run,
    settled,
    used,
)

from wattledger.core.model import (
    Batch,
    Device,
)
from wattledger.core.pipeline import Pipeline

NPU = Device("npu-0", "accelerator", "power only", None, 20_000_000, 75_000_000)


def short_span() -> tuple[Pipeline, list[Batch]]:
    """300 W for a second, then a span of 50 ms in which the register did not move; and the batch that settles it."""
    pipeline = Pipeline()
    settled(
        pipeline,
        [
            full(0, claim("pid:1", TREE), counter(GPU, 0, 0), used(GPU.id, "pid:1", 0, 0)),
            full(1, counter(GPU, 1, 300), used(GPU.id, "pid:1", 1, 1)),
            part_batch(1, counter(GPU, 1.001, 300), enter(1, 1.001)),
            part_batch(1.051, leave(1, 1.051), counter(GPU, 1.051, 300)),
        ],
    )
    return pipeline, [full(1.2, counter(GPU, 1.2, 380), used(GPU.id, "pid:1", 1.2, 1.2))]


def test_a_peek_takes_the_last_known_power_where_the_register_has_not_moved() -> None:
    pipeline, rest = short_span()
    live = pipeline.peek(at(1.06)).spans.find(1)
    assert live is not None
    # 300 W over the 50 ms; the tree's use of the cell is not known yet, so that it is what the device drew.
    assert live.lanes[GPU.id, "counter"].device_uj == pytest.approx(15_000_000, rel=0.05)
    final = settled(pipeline, rest)[1]
    assert final.lanes[GPU.id, "counter"].device_uj == 20_000_000  # 80 J over 200 ms


def test_a_peek_does_not_settle() -> None:
    pipeline, rest = short_span()
    live = pipeline.peek(at(1.06)).spans.find(1)
    assert live is not None
    assert live.left == at(1.051)
    assert set(settled(pipeline, rest)) == {1}


def test_a_peek_into_a_first_cell_takes_the_sensors_power_as_a_hint() -> None:
    def provisional_j(power_w: float) -> float:
        pipeline, _ = run(part_batch(0, counter(GPU, 0, 0), gauge(GPU, 0, power_w)), part_batch(0.05, counter(GPU, 0.05, 0)))
        return metered_j(pipeline.peek(at(0.06)), GPU)

    assert provisional_j(200) == 12
    assert provisional_j(1_000_000) == 0  # no card draws that
    assert provisional_j(-5) == 0


def test_a_peek_leaves_a_register_that_has_moved_as_it_is() -> None:
    pipeline, _ = run(full(0, counter(GPU, 0, 0)), part_batch(1, counter(GPU, 1, 300)))
    assert metered_j(pipeline.peek(at(1.06)), GPU) == 300


def test_a_sensor_that_fell_silent_before_a_span_ended_is_said() -> None:
    _, spans = run(
        full(0, counter(GPU, 0, 0), gauge(NPU, 0, 50)),
        full(1, counter(GPU, 1, 100), gauge(NPU, 1, 50), enter(1, 0.5)),
        full(9, counter(GPU, 9, 900), leave(1, 9)),
    )
    assert [(g.device.id, g.start, g.end, g.reason) for g in spans[1].gaps] == [(NPU.id, at(1), at(9), "no reading since")]


def test_a_sensor_that_was_silent_all_along_is_said_from_the_spans_beginning() -> None:
    _, spans = run(
        full(0, counter(GPU, 0, 0), gauge(NPU, 0, 50)),
        full(5, counter(GPU, 5, 100), enter(1, 3)),
        full(9, counter(GPU, 9, 900), leave(1, 9)),
    )
    assert [(g.device.id, g.start, g.end) for g in spans[1].gaps] == [(NPU.id, at(3), at(9))]


def test_a_device_that_tells_only_power_is_never_said_to_have_a_counter() -> None:
    _, spans = run(full(0, gauge(NPU, 0, 50)), full(5, enter(1, 3)), full(9, leave(1, 9)))
    assert {method for _, method in spans[1].lanes} <= {"integrated"}


def test_a_sensor_inside_another_may_be_silent() -> None:
    _, spans = run(full(0, counter(CPU, 0, 0), counter(CORE, 0, 0)), full(9, counter(CPU, 9, 900), enter(1, 1), leave(1, 9)))
    assert spans[1].gaps == []
