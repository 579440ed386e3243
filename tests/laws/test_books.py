"""What leaves the steps for the books is what was handed out: each joule and each token once, whatever the machine did."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from tests.laws.histories import TREES, World, orphan_worlds, worlds
from tests.runtime.books.read import energies, once

from wattledger.core.accounts import SpanAccount
from wattledger.core.model import Batch, Instant
from wattledger.core.pipeline import Pipeline, Step
from wattledger.core.posted import Minute, counts_of
from wattledger.core.totals import EnergyKey
from wattledger.runtime.books.keeper import Keeper, Plan
from wattledger.runtime.books.minutes import Meter


def summed(steps: Iterable[Step]) -> Minute:
    whole = Minute()
    for step in steps:
        for minutes in step.kept:
            for minute in minutes.values():
                whole.add(minute)
    return whole


def stepped(batches: Iterable[Batch], *, own_only: bool = False) -> tuple[Pipeline, list[Step]]:
    pipeline = Pipeline(own_only=own_only)
    return pipeline, [pipeline.step(batch) for batch in batches]


@given(worlds)
def test_what_is_kept_is_what_was_handed_out_by_workload_device_method_and_use(world: World) -> None:
    pipeline, steps = stepped(world.batches)
    kept = summed(steps)
    assert {key: uj for key, uj in kept.energy_uj.items() if uj} == pipeline.totals.energy_uj
    assert {workload: tuple(n) for workload, n in kept.work.items()} == {
        workload: counts_of(work) for workload, work in pipeline.totals.work.items()
    }


@given(worlds)
def test_every_part_is_positive_and_stands_in_a_minute(world: World) -> None:
    _, steps = stepped(world.batches)
    for step in steps:
        for minutes in step.kept:
            assert all(start_s % 60 == 0 for start_s in minutes)
            for minute in minutes.values():
                assert all(uj > 0 for uj in minute.energy_uj.values())
                assert all(0 <= ns <= 60_000_000_000 for ns in minute.seen_ns.values())


@given(orphan_worlds)
def test_who_keeps_its_own_alone_keeps_what_its_spans_and_trees_got(world: World) -> None:
    """Σ of a tree's facts under the names of its spans is Σ of what the spans got themselves, device by device."""
    _, steps = stepped(world.batches, own_only=True)
    whole, _ = stepped(world.batches)
    kept = summed(steps)
    settled = [account for step in steps for account in step.settled]
    names = {account.workload for account in settled} - set(TREES)
    assert lanes_of(kept.energy_uj, names) == lanes_of(whole.totals.energy_uj, names)
    assert lanes_of(kept.energy_uj, names) == own_lanes(settled)
    assert {workload for workload, *_ in kept.energy_uj} <= names | {*TREES}


def lanes_of(sums: dict[EnergyKey, int], names: Iterable[object]) -> Counter[tuple[str, str]]:
    wanted, found = set(names), Counter[tuple[str, str]]()
    for (workload, device, method, _), uj in sums.items():
        if workload in wanted and uj:
            found[device, method] += uj
    return found


def own_lanes(accounts: Iterable[SpanAccount]) -> Counter[tuple[str, str]]:
    found = Counter[tuple[str, str]]()
    for account in accounts:
        for lane, sums in account.lanes.items():
            if sums.own_uj:
                found[lane] += sums.own_uj
    return found


@settings(max_examples=15)
@given(worlds)
def test_what_stands_in_the_books_is_what_was_handed_out(world: World) -> None:
    """Through the keeper and the store, committed at odd moments, by device and method."""
    with TemporaryDirectory() as folder:
        lines: list[str] = []
        now = [Instant(0, 0)]
        plan = Plan(Path(folder) / "ledger", Meter("agent:1", "node-1"), 5.0)
        keeper, pipeline = Keeper(plan, lines.append, now=lambda: now[0]), Pipeline()
        for number, batch in enumerate(world.batches):
            now[0] = batch.at
            keeper.take(pipeline.step(batch), pipeline)
            if number % 7 == 3:
                keeper.commit()
        keeper.commit(final=True)
        assert lines == []
        expected = Counter[tuple[str, str, str]]()
        for (_, device, method, use), uj in pipeline.totals.energy_uj.items():
            expected[device, method, use] += uj
        if not expected and not pipeline.totals.work:
            return
        found = energies(Path(folder) / "ledger")
        once(found)
        written = Counter[tuple[str, str, str]]()
        for fact in found:
            written[fact.key.device, fact.key.method, fact.key.use] += fact.energy_uj
        assert written == expected
