"""The agent's log: a failure is one line however often it comes back, and its end is one more."""

from wattledger.core.model import Device, EnergyCounter, Fault, Sample
from wattledger.core.ports import SourceFailed
from wattledger.runtime.node.journal import Journal
from wattledger.runtime.runner import Runner
from wattledger.testing import FakeClock, ScriptedSource

GPU = Device("GPU-0", "gpu", "card")


def played(*reads: str, every_s: float = 1.0) -> list[str]:
    """What is said while a source reads well (``""``) or fails with these words."""
    now, said = FakeClock(), list[str]()
    good: list[Sample] = [EnergyCounter(GPU, now(), 1, None)]
    runner = Runner(ScriptedSource("nvml", [SourceFailed(what) if what else good for what in reads]), now)
    journal = Journal(said.append, now)
    for _ in reads:
        runner.read(True)
        journal.look([runner], {})
        now.advance_s(every_s)
    return said


def test_a_failure_is_said_once_and_so_is_its_end() -> None:
    assert played("", "no answer", "no answer", "no answer", "", "") == ["nvml: no answer", "nvml: reads again"]


def test_a_failure_that_comes_and_goes_is_not_said_each_time() -> None:
    said = played(*["no answer", ""] * 100)
    assert said.count("nvml: no answer") == 1


def test_what_asks_seldom_reads_again_only_when_it_has_read_again() -> None:
    now, said = FakeClock(), list[str]()
    reads: list[list[Sample] | SourceFailed] = [SourceFailed("no answer"), [], [], SourceFailed("no answer"), []]
    runner = Runner(ScriptedSource("promquery", [*reads, [EnergyCounter(GPU, now(), 1, None)]]), now)
    journal = Journal(said.append, now)
    for _ in range(len(reads) + 1):
        runner.read(True)
        journal.look([runner], {})
        now.advance_s(1)
    assert said == ["promquery: no answer", "promquery: reads again"]


def test_after_ten_minutes_it_is_said_again() -> None:
    assert played("no answer", "", "no answer", every_s=400).count("nvml: no answer") == 2


def test_another_failure_is_another_line() -> None:
    assert played("nvml: no answer", "nvml: lost") == ["nvml: no answer", "nvml: lost"]


def test_one_card_that_is_gone_is_one_line() -> None:
    now, said = FakeClock(), list[str]()
    runner = Runner(ScriptedSource("nvml", [[Fault("nvml", "GPU-0", now(), "card GPU-0: lost", True)], [], []]), now)
    journal = Journal(said.append, now)
    for _ in range(3):
        runner.read(True)
        journal.look([runner], {})
        now.advance_s(1)
    assert said[0] == "nvml: card GPU-0: lost"
    assert len(said) <= 2


def test_what_was_asked_for_and_is_not_there_is_said_once() -> None:
    said: list[str] = []
    journal = Journal(said.append, FakeClock())
    for _ in range(3):
        journal.look([], {"redfish": "redfish: no BMC at https://10.0.0.7"})
    journal.look([], {"redfish": "redfish: 401"})
    assert said == ["redfish: no BMC at https://10.0.0.7", "redfish: 401"]
