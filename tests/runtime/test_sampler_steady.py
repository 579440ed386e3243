"""An agent's sampler: ticks for ever on a grid, says what it saw under the lock, and no sensor that hangs holds the others up."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from wattledger.core.model import Batch, Device, EnergyCounter, Member, Sample
from wattledger.core.pipeline import Pipeline, Step
from wattledger.core.ports import Now
from wattledger.runtime import clock
from wattledger.runtime.runner import Runner
from wattledger.runtime.sampler import Hooks, Sampler

INTERVAL_NS = 20_000_000


class Counting:
    """A source that counts a watt; ``gate`` may hold its read up."""

    edge = True
    period_ns: int | None = None

    def __init__(self, name: str, gate: threading.Event | None = None) -> None:
        self.name, self._gate = name, gate
        self.reads = 0
        self._device = Device(name, "gpu", "card", None, 0)

    def devices(self) -> Sequence[Device]:
        return (self._device,)

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        self.reads += 1
        if self._gate is not None:
            self._gate.wait(30)
        at = now()
        return [EnergyCounter(self._device, at, at.mono_ns // 1000, None)]

    def close(self) -> None:
        return


def eventually(check: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.005)
    return False


def steady(*runners: Runner, hooks: Hooks | None = None, seen: list[Batch] | None = None) -> Sampler:
    return Sampler(
        runners, Pipeline(), interval_ns=INTERVAL_NS, hooks=hooks, steady=True, on_batches=None if seen is None else seen.extend
    )


def test_it_ticks_without_anybody_being_open_and_closes_a_last_cell() -> None:
    source, seen = Counting("a"), list[Batch]()
    sampler = steady(Runner(source, clock.now), seen=seen)
    sampler.start()
    assert eventually(lambda: len(seen) > 5)
    assert sampler.is_alive()
    sampler.stop()
    assert not sampler.is_alive()
    at = [batch.at.mono_ns for batch in seen if batch.full]
    assert at == sorted(at)
    assert sampler.late_ns >= 0
    assert sum(sampler.pipeline.totals.residual_uj().values()) == 0


def test_who_looks_sees_every_closed_cell_and_what_was_named_is_in_it() -> None:
    looked: list[int] = []

    def name(samples: Sequence[Sample]) -> Iterable[Sample]:
        assert any(isinstance(sample, EnergyCounter) for sample in samples)
        return [Member("pid:1", clock.now(), "cgroup:/a")]

    def look(step: Step, pipeline: Pipeline) -> None:
        looked.append(sum(pipeline.totals.device_energy_uj.values()))

    seen: list[Batch] = []
    sampler = steady(Runner(Counting("a"), clock.now), hooks=Hooks(name, look), seen=seen)
    sampler.start()
    assert eventually(lambda: len(looked) > 4)
    sampler.stop()
    assert looked == sorted(looked)
    assert looked[-1] > 0
    assert all(any(isinstance(s, Member) for s in batch.samples) for batch in seen if batch.full)


def test_a_sensor_that_hangs_costs_the_others_at_most_one_tick() -> None:
    gate = threading.Event()
    hung, fine = Counting("hung", gate), Counting("fine")
    sampler = steady(Runner(hung, clock.now, can_hang=True), Runner(fine, clock.now))
    sampler.start()
    assert eventually(lambda: hung.reads == 1)
    before = fine.reads
    assert eventually(lambda: fine.reads >= before + 10)
    assert hung.reads == 1
    gate.set()
    assert eventually(lambda: hung.reads > 3)
    sampler.stop()


def test_what_asks_a_network_is_not_waited_for_at_all() -> None:
    gate = threading.Event()
    slow = Counting("slow", gate)
    runner = Runner(slow, clock.now, can_hang=True, wait_s=0.0)
    begun = time.monotonic()
    for _ in range(20):
        assert runner.read(True) == []
    assert time.monotonic() - begun < 5
    gate.set()
    assert eventually(lambda: bool(runner.read(True)))
    runner.close()


def test_coverage_is_of_the_time_since_the_first_read_and_falls_while_nothing_is_read() -> None:
    from wattledger.testing import FakeClock

    now = FakeClock()
    runner = Runner(Counting("a"), now)
    assert runner.health().coverage is None
    for _ in range(11):
        runner.read(True)
        now.advance_s(1)
    assert runner.health().coverage == 1.0
    now.advance_s(9)
    assert runner.health().coverage == 0.5
    runner.read(True)
    assert runner.health().coverage == 0.5
    for _ in range(20):
        now.advance_s(1)
        runner.read(True)
    assert runner.health().coverage == 0.75
