"""The one loop and the one lock: boundaries only record, ticks conserve, nothing that one source does stops the others."""

import threading
from collections.abc import Iterator

import pytest
from tests.runtime.devices import Blocking, Failing, Steady, edge, until

from wattledger.core.accounts import SpanAccount
from wattledger.core.model import Batch, Boundary, EnergyCounter, Work, Workload
from wattledger.core.pipeline import Pipeline, Step
from wattledger.core.ports import SourceFailed
from wattledger.runtime import clock
from wattledger.runtime.runner import Runner
from wattledger.runtime.sampler import Sampler
from wattledger.testing import FakeClock

SECOND = 1_000_000_000


class Kept:
    """A sampler over sources, and everything it handed out."""

    def __init__(self, *sources: Steady, now: object = clock.now, interval_ns: int = SECOND) -> None:
        self.sources = sources
        self.batches: list[Batch] = []
        self.settled: list[SpanAccount] = []
        self.pipeline = Pipeline()
        runners = [Runner(source, now, can_hang=isinstance(source, Blocking)) for source in sources]  # type: ignore[arg-type]
        self.sampler = Sampler(runners, self.pipeline, interval_ns=interval_ns, now=now, on_batches=self.batches.extend,  # type: ignore[arg-type]
                               on_step=self._keep)  # fmt: skip

    def _keep(self, step: Step) -> None:
        self.settled += step.settled


@pytest.fixture
def stuck() -> Iterator[Blocking]:
    source = Blocking("stuck")
    yield source
    source.let_go()


@pytest.fixture
def ended() -> Iterator[list[Sampler]]:
    running: list[Sampler] = []
    yield running
    for sampler in running:
        sampler.stop()


def given(pipeline: Pipeline) -> dict[str, int]:
    """What the workloads got of each device."""
    sums: dict[str, int] = {}
    for (_, device, _, _), uj in pipeline.totals.energy_uj.items():
        sums[device] = sums.get(device, 0) + uj
    return sums


def measured(pipeline: Pipeline) -> dict[str, int]:
    return {device: uj for (device, _), uj in pipeline.totals.device_energy_uj.items()}


def test_entering_reads_then_stamps_and_leaving_stamps_then_reads(ended: list[Sampler]) -> None:
    now = FakeClock()

    class Costly(Steady):
        def before(self, full: bool) -> None:
            now.advance_s(0.001)

    kept = Kept(Costly("c"), now=now)
    ended.append(kept.sampler)
    entered = kept.sampler.enter(edge(1, "enter"))
    now.advance_s(0.1)
    left = kept.sampler.leave(edge(1, "leave"))
    kept.sampler.tick()
    assert left.mono_ns - entered.mono_ns == 100_000_000
    readings = sorted(s.at.mono_ns for b in kept.batches for s in b.samples if isinstance(s, EnergyCounter))
    assert readings[0] <= entered.mono_ns
    assert left.mono_ns <= readings[-1]


def test_a_spans_energy_is_exactly_its_own(ended: list[Sampler]) -> None:
    now = FakeClock()
    kept = Kept(Steady("a", 100_000_000), now=now)
    ended.append(kept.sampler)
    kept.sampler.tick()
    now.advance_s(0.4)
    kept.sampler.enter(edge(1, "enter"))
    now.advance_s(0.25)
    kept.sampler.leave(edge(1, "leave"))
    now.advance_s(0.35)
    kept.sampler.tick()
    [account] = kept.settled
    assert {lane: sums.device_uj for lane, sums in account.lanes.items()} == {("a", "counter"): 25_000_000}
    assert given(kept.pipeline) == measured(kept.pipeline) == {"a": 100_000_000}


def test_a_failed_read_loses_nothing(ended: list[Sampler]) -> None:
    now = FakeClock()
    kept = Kept(Failing("f", [None, SourceFailed("x"), SourceFailed("x"), None]), now=now)
    ended.append(kept.sampler)
    for _ in range(4):
        now.advance_s(1)
        kept.sampler.tick()
    assert measured(kept.pipeline) == given(kept.pipeline) == {"f": 300_000_000}


def test_interleaved_threads_conserve_every_microjoule(ended: list[Sampler]) -> None:
    kept = Kept(Steady("a", 123_456_789), Steady("b", 987_654_321), interval_ns=20_000_000)
    ended.append(kept.sampler)
    spans = iter(range(1, 1_000_000))
    lock = threading.Lock()

    def work(n: int) -> None:
        for i in range(60):
            with lock:
                outer, inner = next(spans), next(spans)
            kept.sampler.enter(edge(outer, "enter", job=f"o{n}"))
            kept.sampler.enter(edge(inner, "enter", parent=outer, job=f"i{n}"))
            kept.sampler.put([Work(Workload(f"i{n}"), clock.now(), generated_tokens=1, span=inner)])
            kept.sampler.leave(edge(inner, "leave"))
            if i % 7 == n:
                kept.sampler.tick()
            if i % 11 == n:
                kept.sampler.view()
            kept.sampler.leave(edge(outer, "leave"))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept.sampler.stop()
    kept.sampler.tick()
    assert given(kept.pipeline) == measured(kept.pipeline)
    # Every span settled once, with its token, and those around it too.
    assert len({account.span for account in kept.settled}) == len(kept.settled) == 6 * 60 * 2
    assert sum(account.work.get("generated_tokens", 0) for account in kept.settled) == 6 * 60 * 2


def test_a_record_is_in_the_order_of_the_steps(ended: list[Sampler]) -> None:
    kept = Kept(Steady("a", 123_456_789), interval_ns=20_000_000)
    ended.append(kept.sampler)
    threads = [threading.Thread(target=lambda: [kept.sampler.tick() for _ in range(150)]) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    order = [batch.at.mono_ns for batch in kept.batches if batch.full]
    assert order == sorted(order)
    replayed = Pipeline()
    for batch in kept.batches:
        replayed.step(batch)
    assert replayed.totals.energy_uj == kept.pipeline.totals.energy_uj


def test_a_hanging_source_never_stops_the_others_or_a_boundary(stuck: Blocking, ended: list[Sampler]) -> None:
    good = Steady("good")
    kept = Kept(good, stuck, interval_ns=30_000_000)
    ended.append(kept.sampler)
    kept.sampler.enter(edge(1, "enter"))
    until(lambda: len(kept.batches) > 3, "the thread ticks")
    stuck.hold()
    assert stuck.entered.wait(10)
    before = len(good.reads)
    until(lambda: len([full for full in good.reads[before:] if full]) > 3, "the other source is read on")
    done = threading.Event()

    def boundaries() -> None:
        for n in range(2, 100):
            kept.sampler.enter(edge(n, "enter"))
            kept.sampler.leave(edge(n, "leave"))
        kept.sampler.leave(edge(1, "leave"))
        kept.sampler.tick()
        done.set()

    threading.Thread(target=boundaries, daemon=True).start()
    assert done.wait(10)
    assert any(account.span == 1 for account in kept.settled)


def test_a_parked_thread_wakes_for_the_next_span(ended: list[Sampler]) -> None:
    kept = Kept(Steady("a"), interval_ns=20_000_000)
    ended.append(kept.sampler)
    for span in (1, 2, 3):
        kept.sampler.enter(edge(span, "enter"))
        kept.sampler.leave(edge(span, "leave"))
        until(lambda span=span: any(a.span == span for a in kept.settled), "the thread settles what is pending")  # type: ignore[misc]
        quiet = len(kept.batches)
        threading.Event().wait(0.1)
        assert len(kept.batches) <= quiet + 1  # parked: nothing is open, nothing is read


def test_the_thread_ends_with_stop_and_the_sources_are_closed() -> None:
    source = Steady("a")
    kept, before = Kept(source, interval_ns=20_000_000), set(threading.enumerate())
    kept.sampler.enter(edge(1, "enter"))
    [thread] = set(threading.enumerate()) - before
    kept.sampler.stop()
    thread.join(5)
    assert not thread.is_alive()
    assert source.closed == 1
    kept.sampler.stop()


def test_a_power_only_source_is_polled_at_its_own_pace_while_a_span_is_open(ended: list[Sampler]) -> None:
    fast, plain = Steady("fast", period_ns=10_000_000), Steady("plain")
    kept = Kept(fast, plain, interval_ns=60 * SECOND)
    ended.append(kept.sampler)
    kept.sampler.enter(edge(1, "enter"))
    until(lambda: len(fast.reads) > 10, "it is polled")
    kept.sampler.leave(edge(1, "leave"))
    assert len(plain.reads) < len(fast.reads)


def test_memory_is_bounded_without_a_thread() -> None:
    now = FakeClock()
    kept = Kept(Steady("a"), now=now, interval_ns=3600 * SECOND)
    kept.sampler.stop()
    for span in range(1, 12_000):
        kept.sampler.enter(edge(span, "enter"))
        now.advance_s(0.001)
        kept.sampler.leave(edge(span, "leave"))
    assert len(kept.settled) > 4_000


def test_a_view_changes_nothing(ended: list[Sampler]) -> None:
    now = FakeClock()
    kept = Kept(Steady("a"), now=now)
    ended.append(kept.sampler)
    kept.sampler.tick()
    kept.sampler.enter(edge(1, "enter"))
    now.advance_s(0.5)
    views = [kept.sampler.view()[0].spans.find(1) for _ in range(2)]
    sums = [{lane: s.device_uj for lane, s in account.lanes.items()} for account in views if account is not None]
    assert sums[0] == sums[1]
    assert kept.settled == []
    kept.sampler.leave(edge(1, "leave"))
    kept.sampler.tick()
    assert given(kept.pipeline) == measured(kept.pipeline) == {"a": 50_000_000}


def test_boundaries_of_two_threads_keep_their_times(ended: list[Sampler]) -> None:
    kept = Kept(Steady("a"))
    ended.append(kept.sampler)
    threads = [
        threading.Thread(target=lambda n=n: [kept.sampler.enter(edge(n, "enter")), kept.sampler.leave(edge(n, "leave"))])
        for n in range(1, 9)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept.sampler.stop()
    kept.sampler.tick()
    edges = [s for b in kept.batches for s in b.samples if isinstance(s, Boundary)]
    assert len(edges) == 16
    assert all(account.left is not None and account.left >= account.entered for account in kept.settled)


def test_a_run_that_was_looked_at_right_after_a_tick_still_ends(ended: list[Sampler]) -> None:
    """The look takes its last boundary and its work into the pipeline; the last tick closes the cell all the same."""
    kept = Kept(Steady("card", 10_000_000))
    ended.append(kept.sampler)
    kept.sampler.enter(edge(1, "enter"))
    kept.sampler.tick()
    kept.sampler.leave(edge(1, "leave"))
    kept.sampler.put([Work(Workload("j"), clock.now(), 5, span=1)])
    kept.sampler.view()
    kept.sampler.stop()
    [account] = kept.settled
    assert (account.span, account.work["prompt_tokens"]) == (1, 5)
