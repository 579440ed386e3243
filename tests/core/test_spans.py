"""Spans through the pipeline, by hand: slices, nesting, trees, gaps, tokens."""

import pytest
from tests.core.made import (
    CPU,
    GPU,
    OTHER_TREE,
    RIVAL,
    TREE,
    at,
    claim,
    counter,
    enter,
    floor,
    full,
    holding,
    leave,
    part_batch,
    run,
    totals_j,
    used,
    workload_of,
)
from tests.core.opened import active_j, device_j, opening, own_j

from wattledger.core.model import IDLE, Work
from wattledger.core.spans import SpanBook


def test_a_span_has_what_was_drawn_between_its_boundaries() -> None:
    pipeline, spans = run(
        opening(),
        part_batch(1, counter(GPU, 1, 100), enter(1, 1)),
        part_batch(3, leave(1, 3), counter(GPU, 3, 700)),
        full(4, counter(GPU, 4, 800), used(GPU.id, "pid:1", 4, 4)),
    )
    assert (active_j(spans[1]), own_j(spans[1]), device_j(spans[1])) == (600, 600, 600)
    assert (spans[1].entered, spans[1].left) == (at(1), at(3))
    # The books: what no span had stays with the tree.
    assert totals_j(pipeline, GPU) == {TREE.job: 200, workload_of(1).job: 600}


def test_a_span_that_lives_through_many_cells_adds_them_up_and_settles_at_its_end() -> None:
    batches = [full(t, counter(GPU, t, 100 * t), used(GPU.id, "pid:1", t, t)) for t in range(1, 5)]
    last = full(5, leave(1, 4.5), counter(GPU, 5, 500), used(GPU.id, "pid:1", 5, 5))
    pipeline, spans = run(opening(enter(1, 0)), *batches, last)
    assert active_j(spans[1]) == 450
    assert list(pipeline.spans.open_accounts()) == []


def test_an_open_span_can_be_found_and_has_what_closed_cells_gave_it() -> None:
    pipeline, _ = run(opening(enter(1, 0)), full(1, counter(GPU, 1, 100), used(GPU.id, "pid:1", 1, 1)))
    account = pipeline.spans.find(1)
    assert account is not None
    assert active_j(account) == 100
    assert pipeline.spans.find(2) is None


def test_a_parent_contains_its_children_and_owns_the_rest() -> None:
    _, spans = run(
        opening(enter(1, 0)),
        full(
            10,
            enter(2, 2, parent=1),
            enter(3, 3, parent=2),
            leave(3, 5),
            leave(2, 6),
            leave(1, 10),
            counter(GPU, 10, 1000),
            used(GPU.id, "pid:1", 10, 1),
        ),
    )
    assert {s: (active_j(a), own_j(a)) for s, a in spans.items()} == {1: (1000, 600), 2: (400, 200), 3: (200, 200)}


def test_a_child_that_outlives_its_parent_still_belongs_to_the_grandparent() -> None:
    """A task that was started in a block and runs on after it: 100 J a second, cells at 1, 2 and 3 s."""
    cells = [full(t, counter(GPU, t, 100 * t), used(GPU.id, "pid:1", t, t)) for t in (1, 2)]
    _, spans = run(
        opening(enter(1, 0)),
        part_batch(0.75, enter(2, 0.25, parent=1), enter(3, 0.5, parent=2), leave(2, 0.75)),
        *cells,
        full(3, leave(3, 3), leave(1, 3), counter(GPU, 3, 300), used(GPU.id, "pid:1", 3, 3)),
    )
    assert {s: (active_j(a), own_j(a)) for s, a in spans.items()} == {1: (300, 25), 2: (50, 25), 3: (250, 250)}


def test_a_leave_without_an_enter_is_nobodys() -> None:
    pipeline, spans = run(opening(), full(1, leave(9, 0.5), counter(GPU, 1, 100), used(GPU.id, "pid:1", 1, 1)))
    assert spans == {}
    assert totals_j(pipeline, GPU) == {TREE.job: 100}


def test_a_boundary_outside_its_cell_counts_at_the_cells_edge() -> None:
    """Recorded while the tick before was being read, or after this one was stamped."""
    _, spans = run(
        opening(),
        full(2, enter(1, -1), leave(1, 9), counter(GPU, 2, 100), used(GPU.id, "pid:1", 2, 1)),
    )
    assert active_j(spans[1]) == 100


def test_a_cell_that_ends_before_it_began_loses_nothing() -> None:
    pipeline, spans = run(
        opening(enter(1, 0)),
        full(2, counter(GPU, 2, 200), used(GPU.id, "pid:1", 2, 1)),
        full(1, leave(1, 1), counter(GPU, 3, 300), used(GPU.id, "pid:1", 3, 2)),
    )
    assert active_j(spans[1]) == 200
    assert totals_j(pipeline, GPU) == {workload_of(1).job: 200, TREE.job: 100}
    assert pipeline.totals.residual_uj() == {GPU.id: 0}


def test_trees_do_not_see_each_others_spans() -> None:
    other = enter(2, 0)._replace(within=OTHER_TREE)
    pipeline, spans = run(
        opening(enter(1, 0), other, claim("pid:2", OTHER_TREE), used(GPU.id, "pid:2", 0, 0)),
        full(
            1,
            leave(1, 1),
            leave(2, 1)._replace(within=OTHER_TREE),
            counter(GPU, 1, 100),
            used(GPU.id, "pid:1", 1, 3),
            used(GPU.id, "pid:2", 1, 1),
        ),
    )
    assert {s: (active_j(a), device_j(a)) for s, a in spans.items()} == {1: (75, 100), 2: (25, 100)}
    assert totals_j(pipeline, GPU) == {workload_of(1).job: 75, workload_of(2).job: 25}


def test_tokens_count_for_the_span_and_for_those_around_it() -> None:
    work = [Work(workload_of(2), at(0.5), 10, 5, 3, 1, span=2), Work(workload_of(1), at(0.5), 1, 0, 0, 1, span=1)]
    pipeline, spans = run(
        opening(enter(1, 0), enter(2, 0, parent=1), enter(3, 0)),
        full(1, *work, Work(RIVAL, at(0.5), 100), Work(RIVAL, at(0.6), 1, span=77), leave(1, 1), leave(2, 1), leave(3, 1)),
    )
    assert spans[2].work == {"prompt_tokens": 10, "cached_tokens": 5, "generated_tokens": 3, "requests": 1}
    assert spans[1].work == {"prompt_tokens": 11, "cached_tokens": 5, "generated_tokens": 3, "requests": 2}
    assert spans[3].work == {}
    assert pipeline.totals.work[RIVAL].prompt_tokens == 101


def test_tokens_of_a_task_reach_the_grandparent_past_an_ended_parent() -> None:
    _, spans = run(
        opening(enter(1, 0), enter(2, 0, parent=1), enter(3, 0, parent=2), leave(2, 0)),
        full(1, leave(3, 1), Work(workload_of(3), at(1), 7, span=3)),
        full(2, leave(1, 2)),
    )
    assert {s: a.work.get("prompt_tokens") for s, a in spans.items()} == {1: 7, 2: None, 3: 7}


@pytest.mark.parametrize(
    ("entered", "left", "seen"),
    [(0, 6, (2, 3)), (2.5, 6, (2.5, 3)), (0, 2.5, (2, 2.5)), (0, 1.5, None), (3.5, 6, None)],
)
def test_a_gap_is_told_to_the_spans_it_lies_in(entered: float, left: float, seen: tuple[float, float] | None) -> None:
    """The counter restarts between 2 and 3 s."""
    readings = [counter(GPU, t, j) for t, j in ((1, 500), (2, 600), (3, 1), (4, 101), (5, 201), (6, 301))]
    _, spans = run(opening(), full(6, enter(1, entered), *readings, leave(1, left), used(GPU.id, "pid:1", 6, 1)))
    gaps = [gap for gap in spans[1].gaps if gap.reason == "the counter restarted"]
    assert [(gap.start, gap.end) for gap in gaps] == ([] if seen is None else [(at(seen[0]), at(seen[1]))])


def test_a_gap_in_what_another_device_counts_is_nobodys_loss() -> None:
    inside = GPU._replace(inside="module")
    readings = [counter(inside, t, j) for t, j in ((0.1, 600), (1, 700), (2, 1), (3, 101))]
    pipeline, spans = run(full(0, enter(1, 0)), full(3, *readings, leave(1, 3)))
    assert spans[1].gaps == []
    assert spans[1].lanes == {}
    assert list(pipeline.totals.subdevice_energy_uj) == [(GPU.id, "counter")]


def test_what_the_rest_of_the_host_drew_is_told_by_time() -> None:
    _, spans = run(
        opening(claim("pid:2", RIVAL), used(GPU.id, "pid:2", 0, 0)),
        full(4, enter(1, 1), leave(1, 2), counter(GPU, 4, 400), used(GPU.id, "pid:1", 4, 1), used(GPU.id, "pid:2", 4, 3)),
    )
    assert {w.job: uj / 1e6 for w, uj in spans[1].others.items()} == {RIVAL.job: 75}


def test_what_other_trees_drew_is_of_the_rest_of_the_host_too() -> None:
    _, spans = run(
        opening(enter(1, 0), claim("pid:2", OTHER_TREE), used(GPU.id, "pid:2", 0, 0), floor(GPU, 10)),
        full(
            1,
            enter(2, 0)._replace(within=OTHER_TREE),
            leave(2, 1)._replace(within=OTHER_TREE),
            leave(1, 1),
            counter(GPU, 1, 100),
            used(GPU.id, "pid:1", 1, 5),
            used(GPU.id, "pid:2", 1, 1),
        ),
    )
    told = [{w.job: round(uj / 1e6, 6) for w, uj in spans[s].others.items()} for s in (1, 2)]
    assert told == [{OTHER_TREE.job: 15, IDLE.job: 10}, {TREE.job: 75, IDLE.job: 10}]


def test_the_rest_of_the_host_drew_nothing_rather_than_less() -> None:
    """In the span's second the chip drew 20 J, less than the 50 J of idle that are the tree's on the whole."""
    _, spans = run(
        opening(
            claim("pid:2", RIVAL),
            used(CPU.id, "pid:2", 0, 0),
            holding(CPU.id, "pid:1", 1.0),
            floor(CPU, 50),
            enter(1, 0),
            device=CPU,
        ),
        part_batch(1, counter(CPU, 1, 20), leave(1, 1)),
        full(2, counter(CPU, 2, 200), used(CPU.id, "pid:2", 2, 1)),
        full(3, counter(CPU, 3, 300), used(CPU.id, "pid:2", 3, 2)),
    )
    assert all(uj >= 0 for uj in spans[1].others.values())


def test_a_new_book_is_empty() -> None:
    book = SpanBook()
    assert list(book.open_accounts()) == []
    assert book.settle() == []
