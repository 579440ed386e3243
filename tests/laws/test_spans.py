"""A span tree is two views of one sum: inclusive for the reader, exclusive for the books."""

from hypothesis import given
from tests.laws.histories import TREES, Settled, World, drive, orphan_worlds, worlds

from wattledger.core.accounts import Lane
from wattledger.core.model import Boundary
from wattledger.core.totals import EnergyKey


def inclusive_uj(settled: Settled, span: int, lane: Lane) -> int:
    sums = settled[span].lanes.get(lane)
    return 0 if sums is None else sums.active_uj + sums.held_uj


def own_uj(settled: Settled, span: int, lane: Lane) -> int:
    sums = settled[span].lanes.get(lane)
    return 0 if sums is None else sums.own_uj


def lanes(settled: Settled) -> set[Lane]:
    return {lane for account in settled.values() for lane in account.lanes}


def subtree(world: World, root: int) -> set[int]:
    found = {root}
    for span in sorted(world.parent):  # a child's id is greater than its parent's
        if world.parent[span] in found:
            found.add(span)
    return found


def times_ns(settled: Settled, span: int) -> tuple[int, int]:
    left = settled[span].left
    assert left is not None
    return settled[span].entered.mono_ns, left.mono_ns


@given(orphan_worlds)
def test_every_span_that_was_left_settles_once(world: World) -> None:
    assert set(drive(world.batches).settled) == set(world.parent)


@given(worlds)
def test_a_span_contains_what_its_subtree_owns(world: World) -> None:
    settled = drive(world.batches).settled
    for lane in lanes(settled):
        for span in settled:
            assert inclusive_uj(settled, span, lane) == sum(own_uj(settled, s, lane) for s in subtree(world, span))


@given(orphan_worlds)
def test_a_span_that_outlives_its_children_contains_them_even_when_one_between_ended_early(world: World) -> None:
    settled = drive(world.batches).settled
    for span in settled:
        start_ns, end_ns = times_ns(settled, span)
        below = subtree(world, span)
        if all(times_ns(settled, s)[1] <= end_ns and times_ns(settled, s)[0] >= start_ns for s in below):
            for lane in lanes(settled):
                # A span left at the same instant as its child may have been left before it.
                alive = [s for s in below if s == span or times_ns(settled, s)[1] < end_ns]
                assert sum(own_uj(settled, s, lane) for s in alive) <= inclusive_uj(settled, span, lane)
                assert inclusive_uj(settled, span, lane) <= sum(own_uj(settled, s, lane) for s in below)


def without_spans(world: World) -> list[dict[EnergyKey, int]]:
    """The same history of a program that has no spans."""
    batches = [b._replace(samples=tuple(s for s in b.samples if not isinstance(s, Boundary))) for b in world.batches]
    return [drive(batches).pipeline.totals.energy_uj]


def named_by_tree(world: World, energy_uj: dict[EnergyKey, int]) -> dict[tuple[str, str, str, str], int]:
    """Sums in which a span's workload counts as its tree."""
    tree_of = {b.workload: b.within for batch in world.batches for b in batch.samples if isinstance(b, Boundary)}
    sums: dict[tuple[str, str, str, str], int] = {}
    for (workload, device, method, use), uj in energy_uj.items():
        key = tree_of.get(workload, workload).job, device, method, use
        sums[key] = sums.get(key, 0) + uj
    return sums


@given(orphan_worlds)
def test_spans_divide_their_trees_energy_and_change_nobody_elses(world: World) -> None:
    with_spans = drive(world.batches).pipeline.totals.energy_uj
    [alone] = without_spans(world)
    assert named_by_tree(world, with_spans) == named_by_tree(world, alone)


@given(orphan_worlds)
def test_own_energy_and_what_no_span_had_make_up_the_tree(world: World) -> None:
    run = drive(world.batches)
    [alone] = without_spans(world)
    for i, tree in enumerate(TREES):
        owned = sum(sums.own_uj for span, a in run.settled.items() if world.tree_of[span] == i for sums in a.lanes.values())
        unspanned = sum(uj for (who, *_), uj in run.pipeline.totals.energy_uj.items() if who == tree)
        assert owned + unspanned == sum(uj for (who, *_), uj in alone.items() if who == tree)


@given(worlds)
def test_a_parent_saw_at_least_what_its_child_saw(world: World) -> None:
    settled = drive(world.batches).settled
    for span, parent in world.parent.items():
        if parent is None:
            continue
        for lane, sums in settled[span].lanes.items():
            around = settled[parent].lanes[lane]
            assert around.device_uj >= sums.device_uj
            assert around.active_uj >= sums.active_uj
            assert around.held_uj >= sums.held_uj
            assert around.peak_uw >= sums.peak_uw


@given(worlds)
def test_no_span_saw_more_than_the_devices_drew(world: World) -> None:
    run = drive(world.batches)
    for account in run.settled.values():
        for lane, sums in account.lanes.items():
            assert 0 <= sums.device_uj <= run.pipeline.totals.device_energy_uj.get(lane, 0)
            assert 0 <= sums.own_uj <= sums.active_uj + sums.held_uj
            assert min(sums.active_uj, sums.held_uj) >= 0


@given(worlds)
def test_a_parent_counts_its_childrens_tokens(world: World) -> None:
    settled = drive(world.batches).settled
    for span, parent in world.parent.items():
        for kind, n in settled[span].work.items():
            assert parent is None or settled[parent].work[kind] >= n


@given(worlds)
def test_a_gap_in_an_account_lies_within_its_span(world: World) -> None:
    settled = drive(world.batches).settled
    for span, account in settled.items():
        start_ns, end_ns = times_ns(settled, span)
        for gap in account.gaps:
            assert start_ns <= gap.start.mono_ns < gap.end.mono_ns <= end_ns
            assert gap.device.inside is None


@given(orphan_worlds)
def test_the_rest_of_the_host_never_drew_less_than_nothing(world: World) -> None:
    for account in drive(world.batches).settled.values():
        assert all(uj >= 0 for uj in account.others.values())
