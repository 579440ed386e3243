"""How a tree's energy is divided between its spans: by energy, by CPU clocks, between threads, and idle by time."""

import pytest
from tests.core.made import (
    CPU,
    GPU,
    RIVAL,
    TREE,
    claim,
    counter,
    enter,
    floor,
    full,
    holding,
    leave,
    mark,
    part_batch,
    run,
    used,
)
from tests.core.opened import active_j, device_j, opening, own_j

from wattledger.core.model import Batch


def test_concurrent_spans_share_each_instant_equally() -> None:
    _, spans = run(
        opening(enter(1, 0)),
        full(4, enter(2, 2), leave(1, 4), leave(2, 4), counter(GPU, 4, 400), used(GPU.id, "pid:1", 4, 1)),
    )
    assert {s: own_j(a) for s, a in spans.items()} == {1: 300, 2: 100}
    assert {s: device_j(a) for s, a in spans.items()} == {1: 400, 2: 200}


def test_concurrent_spans_share_a_cpu_by_thread_time_where_all_of_it_is_known() -> None:
    def cell(*second: object) -> Batch:
        return full(4, *second, counter(CPU, 4, 400), used(CPU.id, "pid:1", 4, 1))  # type: ignore[arg-type]

    entered = enter(1, 0, thread=7, thread_cpu_s=10), enter(2, 0, thread=8, thread_cpu_s=50)
    known = leave(1, 4, thread=7, thread_cpu_s=13), leave(2, 4, thread=8, thread_cpu_s=51)
    _, spans = run(opening(*entered, device=CPU), cell(*known))
    assert {s: own_j(a, CPU) for s, a in spans.items()} == {1: 300, 2: 100}

    elsewhere = leave(1, 4, thread=7, thread_cpu_s=13), leave(2, 4, thread=9, thread_cpu_s=51)
    _, spans = run(opening(*entered, device=CPU), cell(*elsewhere))
    assert {s: own_j(a, CPU) for s, a in spans.items()} == {1: 200, 2: 200}


def test_a_span_that_goes_on_is_known_by_its_threads_clock_at_the_edge_of_the_cell() -> None:
    """One thread worked three of four seconds, the other one; in the next cell it is the other way round."""
    entered = enter(1, 0, thread=7, thread_cpu_s=10), enter(2, 0, thread=8, thread_cpu_s=50)
    looked = [mark(4, thread=t, thread_cpu_s=c)._replace(span=s) for s, t, c in ((1, 7, 13), (2, 8, 51), (9, 9, 1))]
    first = full(4, *looked, counter(CPU, 4, 400), used(CPU.id, "pid:1", 4, 1))
    left = leave(1, 8, thread=7, thread_cpu_s=14), leave(2, 8, thread=8, thread_cpu_s=54)
    second = full(8, *left, counter(CPU, 8, 1200), used(CPU.id, "pid:1", 8, 2))
    _, spans = run(opening(*entered, device=CPU), first, second)
    assert {s: own_j(a, CPU) for s, a in spans.items()} == {1: 300 + 200, 2: 100 + 600}
    assert all(account.lanes[CPU.id, "counter"].spread_uj > 0 for account in spans.values())


def test_threads_that_only_waited_share_equally() -> None:
    entered = enter(1, 0, thread=7, thread_cpu_s=10), enter(2, 0, thread=8, thread_cpu_s=50)
    left = leave(1, 4, thread=7, thread_cpu_s=10), leave(2, 4, thread=8, thread_cpu_s=50)
    _, spans = run(opening(*entered, device=CPU), full(4, *left, counter(CPU, 4, 400), used(CPU.id, "pid:1", 4, 1)))
    assert {s: own_j(a, CPU) for s, a in spans.items()} == {1: 200, 2: 200}


def test_thread_time_says_nothing_of_a_gpu() -> None:
    entered = enter(1, 0, thread=7, thread_cpu_s=10), enter(2, 0, thread=8, thread_cpu_s=50)
    left = leave(1, 4, thread=7, thread_cpu_s=13), leave(2, 4, thread=8, thread_cpu_s=51)
    _, spans = run(opening(*entered), full(4, *left, counter(GPU, 4, 400), used(GPU.id, "pid:1", 4, 1)))
    assert {s: own_j(a) for s, a in spans.items()} == {1: 200, 2: 200}


def test_a_span_of_no_length_has_no_rate_and_no_energy() -> None:
    _, spans = run(
        opening(),
        full(
            1,
            enter(1, 0.5, thread=7, thread_cpu_s=1),
            leave(1, 0.5, thread=7, thread_cpu_s=1),
            counter(GPU, 1, 100),
            used(GPU.id, "pid:1", 1, 1),
        ),
    )
    assert spans[1].rate is None
    assert spans[1].lanes == {}


def test_a_shared_cpu_is_divided_by_whose_work_it_was() -> None:
    """Two seconds at 100 W above a floor of 20 W.  The program's own clock: 0.9 s of work, then 0.1 s; a rival's: 1 s."""
    _, spans = run(
        full(
            0,
            claim("pid:1", TREE),
            claim("pid:2", RIVAL),
            floor(CPU, 20),
            counter(CPU, 0, 0),
            used("cpu", "pid:1", 0, 0, "cpu_ns"),
            used("cpu", "pid:2", 0, 0, "cpu_ns"),
            mark(0, cpu_s=5),
        ),
        part_batch(1, counter(CPU, 1, 120), enter(1, 1, cpu_s=5.9)),
        part_batch(2, counter(CPU, 2, 240), leave(1, 2, cpu_s=6.0)),
        full(
            2,
            mark(2, cpu_s=6.0),
            used("cpu", "pid:1", 2, 1, "cpu_ns"),
            used("cpu", "pid:2", 2, 1, "cpu_ns"),
        ),
    )
    # The tree's half of 200 J: slice weights 100 x 0.9/1.4 and 100 x 0.1/0.6.
    first, second = 0.9 / 1.4, 0.1 / 0.6
    assert active_j(spans[1], CPU) == pytest.approx(100 * second / (first + second), abs=1e-5)


def test_childrens_time_is_spread_evenly() -> None:
    """The program's own clock says 0.5 s in the first second, then nothing; its tree used 1.5 s: children 0.5 s in each."""
    _, spans = run(
        full(0, claim("pid:1", TREE), counter(CPU, 0, 0), used("cpu", "pid:1", 0, 0, "cpu_ns"), mark(0, cpu_s=0)),
        part_batch(1, enter(1, 1, cpu_s=0.5)),
        full(
            2,
            leave(1, 2, cpu_s=0.5),
            mark(2, cpu_s=0.5),
            counter(CPU, 2, 300),
            used("cpu", "pid:1", 2, 1.5, "cpu_ns"),
        ),
    )
    # Alone on the CPU: each slice's energy is all its own.
    assert active_j(spans[1], CPU) == 150


def test_without_a_clock_a_slice_follows_the_energy() -> None:
    _, spans = run(
        opening(device=CPU),
        part_batch(1, counter(CPU, 1, 30), enter(1, 1, cpu_s=1)),
        full(2, leave(1, 2), counter(CPU, 2, 100), used(CPU.id, "pid:1", 2, 1)),
    )
    assert active_j(spans[1], CPU) == 70


def test_a_clock_that_runs_back_is_no_negative_work() -> None:
    """The program's clock: back by 6 s in the first second, 1 s in the next; its tree used 2 s, so children 1 s; a rival 1 s."""
    _, spans = run(
        opening(mark(0, cpu_s=9), claim("pid:2", RIVAL), used(CPU.id, "pid:2", 0, 0), device=CPU),
        part_batch(1, enter(1, 1, cpu_s=3)),
        full(
            2,
            leave(1, 2, cpu_s=4),
            mark(2, cpu_s=4),
            counter(CPU, 2, 150),
            used(CPU.id, "pid:1", 2, 2),
            used(CPU.id, "pid:2", 2, 1),
        ),
    )
    # The tree's 100 J by 75 x 0.5/1 and 75 x 1.5/2.
    assert active_j(spans[1], CPU) == pytest.approx(60)


def test_idle_energy_of_what_is_held_is_divided_by_time_and_never_more_than_was_drawn() -> None:
    _, spans = run(
        opening(holding(GPU.id, "pid:1", 1.0), floor(GPU, 50), enter(1, 0)),
        part_batch(1, counter(GPU, 1, 50), leave(1, 1), enter(2, 1)),
        full(3, leave(2, 3), counter(GPU, 3, 250), used(GPU.id, "pid:1", 3, 1)),
    )
    lanes = {s: a.lanes[GPU.id, "counter"] for s, a in spans.items()}
    assert {s: (x.active_uj / 1e6, x.held_uj / 1e6) for s, x in lanes.items()} == {1: (0, 50), 2: (100, 100)}


def test_a_slice_below_the_floor_holds_only_what_it_drew() -> None:
    _, spans = run(
        opening(holding(CPU.id, "pid:1", 1.0), floor(CPU, 50), enter(1, 0), device=CPU),
        part_batch(1, counter(CPU, 1, 20), leave(1, 1)),
        full(2, counter(CPU, 2, 200), used(CPU.id, "pid:1", 2, 1)),
    )
    lane = spans[1].lanes[CPU.id, "counter"]
    assert lane.device_uj == 20_000_000
    # 100 J of idle are divided as 20 to 50, so that the span holds a little more than it saw at the worst, and nothing is invented.
    assert lane.active_uj == 0
    assert lane.held_uj == pytest.approx(100e6 * 20 / 70, abs=1)
