"""One source is kept from doing harm: to the others, to the program, and to its own figures."""

import threading
from collections.abc import Callable, Iterator

import pytest
from tests.runtime.devices import Blocking, Failing, Steady, until

from wattledger.core.meter import Measured, Meter
from wattledger.core.model import EnergyCounter, Fault, Sample
from wattledger.core.ports import SourceFailed, SourceGone
from wattledger.runtime import clock
from wattledger.runtime.runner import Runner
from wattledger.testing import FakeClock


@pytest.fixture
def stuck() -> Iterator[Blocking]:
    source = Blocking("stuck")
    yield source
    source.let_go()


def counters(samples: list[Sample]) -> list[EnergyCounter]:
    return [s for s in samples if isinstance(s, EnergyCounter)]


def faults(samples: list[Sample]) -> list[Fault]:
    return [s for s in samples if isinstance(s, Fault)]


def test_one_failed_read_is_a_fault_and_loses_no_energy() -> None:
    now = FakeClock()
    runner = Runner(Failing("f", [None, SourceFailed("busy"), None]), now)
    meter, energy_uj = Meter(), 0
    for _ in range(3):
        now.advance_s(1)
        samples = runner.read(True)
        for reading in counters(samples):
            match meter.take(reading):
                case Measured(interval=interval):
                    energy_uj += interval.energy_uj
    assert energy_uj == 2 * 100_000_000
    assert runner.health()[2:4] == (1, "busy")
    assert runner.up


def test_a_source_that_is_gone_is_not_asked_again() -> None:
    source = Failing("f", [None, SourceGone("pulled out")])
    runner = Runner(source, FakeClock())
    runner.read(True)
    [fault] = faults(runner.read(True))
    assert (fault.source, fault.what, fault.gone) == ("f", "pulled out", True)
    assert runner.read(True) == runner.read(False) == []
    assert len(source.reads) == 2
    assert not runner.health()[0]


def test_a_bug_is_one_traceback_and_stops_that_source_alone(capsys: pytest.CaptureFixture[str]) -> None:
    buggy, good = Runner(Failing("buggy-1", [ZeroDivisionError("oops")] * 3), FakeClock()), Runner(Steady("good"), FakeClock())
    for _ in range(3):
        buggy.read(True)
        assert counters(good.read(True))
    err = capsys.readouterr().err
    assert err.count("Traceback") == 1
    assert "ZeroDivisionError: oops" in err
    assert not buggy.up


def test_a_devices_own_fault_is_counted_and_the_source_stays() -> None:
    class Partly(Steady):
        def read(self, now: Callable[..., object], full: bool) -> list[Sample]:
            return [Fault("partly", "GPU-1", FakeClock()(), "lost", True)]

    runner = Runner(Partly("partly"), FakeClock())
    runner.read(True)
    assert runner.health()[2:4] == (1, "lost")
    assert runner.up


def test_a_hanging_read_is_not_joined_by_a_boundary(stuck: Blocking) -> None:
    runner = Runner(stuck, clock.now)
    runner.read(True)
    stuck.hold()
    background = threading.Thread(target=runner.read, args=(True,), daemon=True)
    background.start()
    assert stuck.entered.wait(5)
    got: list[list[Sample]] = []
    boundary = threading.Thread(target=lambda: got.extend(runner.read(False) for _ in range(50)), daemon=True)
    boundary.start()
    boundary.join(5)
    assert got == [[]] * 50
    stuck.let_go()
    background.join(5)
    until(lambda: bool(counters(runner.read(True))), "the source is read again once it answers")


def test_a_driver_that_hangs_in_the_background_holds_up_no_tick(stuck: Blocking) -> None:
    runner = Runner(stuck, clock.now, can_hang=True)
    assert counters(runner.read(True))
    stuck.hold()
    ticks = threading.Thread(target=lambda: [runner.read(True) for _ in range(20)], daemon=True)
    ticks.start()
    ticks.join(10)
    assert not ticks.is_alive()
    assert runner.read(False) == []


def test_what_a_late_answer_brought_is_not_lost(stuck: Blocking) -> None:
    runner = Runner(stuck, clock.now, can_hang=True)
    [first] = counters(runner.read(True))
    stuck.hold()
    runner.read(True)
    stuck.let_go()
    later: list[EnergyCounter] = []

    def arrived() -> bool:
        later.extend(counters(runner.read(True)))
        return bool(later)

    until(arrived, "the reading that was under way arrives")
    assert later[0].count_uj > first.count_uj


def test_a_slow_source_gets_a_thread_of_its_own_and_keeps_it(stuck: Blocking) -> None:
    # Slow by our own clock: held until the test has seen it enter.
    threads = set(threading.enumerate())
    runner = Runner(stuck, clock.now)
    stuck.hold()
    slow = threading.Thread(target=runner.read, args=(True,), daemon=True)
    slow.start()
    assert stuck.entered.wait(5)
    threading.Event().wait(0.03)  # longer than the 20 ms that make a source slow
    stuck.let_go()
    slow.join(5)
    until(lambda: bool(counters(runner.read(True))), "the thread hands its readings over")
    reads = len(stuck.reads)
    runner.read(False)
    until(lambda: len(stuck.reads) > reads, "a boundary asks the thread for a fresh reading")
    assert [t.name for t in set(threading.enumerate()) - threads] == ["wattledger-stuck"]


def test_readings_from_a_thread_come_once_and_in_order(stuck: Blocking) -> None:
    runner = Runner(stuck, clock.now)
    stuck.hold()
    slow = threading.Thread(target=runner.read, args=(True,), daemon=True)
    slow.start()
    assert stuck.entered.wait(5)
    runner.read(False)  # finds it hanging: from here on it is threaded
    stuck.let_go()
    slow.join(5)
    seen: list[int] = []
    for _ in range(200):
        seen += [c.at.mono_ns for c in counters(runner.read(True))]
    assert seen == sorted(set(seen))
    assert len(seen) >= 150


def test_many_threads_read_one_source_one_at_a_time() -> None:
    inside, most = [], []

    class Exclusive(Steady):
        def before(self, full: bool) -> None:
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    runner = Runner(Exclusive("x"), clock.now)
    threads = [threading.Thread(target=lambda: [runner.read(False) for _ in range(300)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1


def test_a_closed_source_is_never_read_again() -> None:
    source = Steady("s")
    runner = Runner(source, FakeClock())
    runner.read(True)
    runner.close()
    assert runner.read(True) == runner.read(False) == []
    assert (source.closed, len(source.reads)) == (1, 1)


def test_closing_does_not_wait_for_a_hung_source(stuck: Blocking) -> None:
    runner = Runner(stuck, clock.now)
    stuck.hold()
    threading.Thread(target=runner.read, args=(True,), daemon=True).start()
    assert stuck.entered.wait(5)
    closing = threading.Thread(target=runner.close, daemon=True)
    closing.start()
    closing.join(5)
    assert not closing.is_alive()
    assert stuck.closed == 0


def test_a_failing_close_is_no_error() -> None:
    class Stubborn(Steady):
        def close(self) -> None:
            raise OSError(5, "cannot")

    Runner(Stubborn("s"), FakeClock()).close()
