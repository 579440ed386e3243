"""The agent's log knows devices: which were lost, which came back, which hang, and a source that was opened anew."""

from collections.abc import Iterator

import pytest
from tests.runtime.devices import Blocking, until

from wattledger.core.model import Device, EnergyCounter, Fault, Sample
from wattledger.core.ports import SourceFailed
from wattledger.runtime.node.journal import Journal
from wattledger.runtime.runner import HUNG_NS, Runner
from wattledger.testing import FakeClock, ScriptedSource

CARDS = [Device(f"GPU-{n}", "gpu", "card") for n in range(3)]


class Cards(ScriptedSource):
    """Those of the cards are its devices that the last read told of."""

    def devices(self) -> list[Device]:
        element = self._script[min(self.reads, len(self._script)) - 1]
        assert not isinstance(element, Exception)
        return [sample.device for sample in element if isinstance(sample, EnergyCounter)]


def well(now: FakeClock, *cards: int) -> list[Sample]:
    return [EnergyCounter(CARDS[n], now(), 1, None) for n in cards]


def lost(now: FakeClock, card: int) -> Sample:
    return Fault("nvml", CARDS[card].id, now(), f"card GPU-{card}: lost", True)


def played(now: FakeClock, *reads: list[Sample]) -> list[str]:
    said: list[str] = []
    runner, journal = Runner(Cards("nvml", reads), now), Journal(said.append, now)
    for _ in reads:
        runner.read(True)
        journal.look([runner], {})
        now.advance_s(1)
    return said


def test_a_card_that_is_lost_is_not_read_again_until_it_is_back() -> None:
    now = FakeClock()
    both, one = well(now, 0, 1), well(now, 1)
    said = played(now, both, [lost(now, 0), *one], one, one, both, both)
    assert said == ["nvml: card GPU-0: lost", "nvml: GPU-0 is read again"]


def test_a_card_that_was_plugged_in_is_said() -> None:
    now = FakeClock()
    assert played(now, well(now, 0), well(now, 0, 1), well(now, 0, 1)) == ["nvml: GPU-1 is read now"]


def test_several_cards_that_are_lost_at_once_are_all_named() -> None:
    now = FakeClock()
    said = played(now, well(now, 0, 1, 2), [lost(now, 0), lost(now, 1), *well(now, 2)], well(now, 2))
    assert said == ["nvml: card GPU-0: lost", "nvml: card GPU-1: lost", "nvml: GPU-0, GPU-1 are not read any more"]


def test_a_source_that_was_opened_anew_counts_from_zero() -> None:
    now, said = FakeClock(), list[str]()
    journal = Journal(said.append, now)
    for what in ("no answer", "no right"):
        runner = Runner(ScriptedSource("redfish", [SourceFailed(what)]), now)
        runner.read(True)
        journal.look([runner], {})
    assert said == ["redfish: no answer", "redfish: no right"]


@pytest.fixture
def hung() -> Iterator[Blocking]:
    source = Blocking("hung")
    yield source
    source.let_go()


def test_a_driver_that_hangs_is_down_and_said_once_and_so_is_its_end(hung: Blocking) -> None:
    now, said = FakeClock(), list[str]()
    runner, journal = Runner(hung, now, can_hang=True, wait_s=0.01), Journal(said.append, now)
    runner.read(True)
    until(lambda: runner.health().read_s > 0, "a first read")
    hung.hold()
    runner.read(True)
    assert hung.entered.wait(10)
    journal.look([runner], {})
    assert (runner.hangs, runner.health().up, said) == (False, True, [])
    now.advance_s(HUNG_NS / 1e9 + 1)
    for _ in range(3):
        journal.look([runner], {})
        assert not runner.health().up
    assert said == [f"hung: {runner.health().last_error}"]
    hung.let_go()
    until(lambda: not runner.hangs, "the read that hung came back")
    journal.look([runner], {})
    assert runner.health().up
    assert said[1:] == ["hung: reads again"]
    runner.close()


def test_a_source_whose_every_read_fails_is_down_and_one_with_a_lost_card_is_not() -> None:
    now = FakeClock()
    whole = Runner(ScriptedSource("redfish", [SourceFailed("refused"), [], well(now, 0)]), now)
    partly = Runner(ScriptedSource("nvml", [[lost(now, 0), *well(now, 1)], well(now, 1)]), now)
    up = []
    for _ in range(3):
        whole.read(True)
        partly.read(True)
        up.append((whole.health().up, partly.health().up))
    assert up == [(False, True), (False, True), (True, True)]
