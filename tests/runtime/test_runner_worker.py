"""A driver's own thread: what is asked of it and what it has read both arrive, whatever overlaps."""

import threading
from collections.abc import Iterable

from wattledger.core.model import Activity, Device, Sample
from wattledger.core.ports import Now
from wattledger.runtime import clock
from wattledger.runtime.runner import Runner


class Gated:
    """A source whose boundary reads wait for a gate; a full one says so in its sample."""

    name = "gated"
    edge = True
    period_ns: int | None = None

    def __init__(self) -> None:
        self.gate, self.inside, self.late = threading.Event(), threading.Event(), threading.Event()

    def devices(self) -> tuple[Device, ...]:
        return ()

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        self.inside.set()
        assert (self.late if full else self.gate).wait(10)
        return [Activity("gpu", "full" if full else "edge", now(), 1, "sm_ns")]

    def close(self) -> None:
        self.gate.set()
        self.late.set()


def test_a_full_read_is_not_answered_by_the_boundarys_that_was_under_way() -> None:
    """Who used the GPU is in the full read alone: without it the cell's energy would be nobody's."""
    source = Gated()
    runner = Runner(source, clock.now, can_hang=True)
    assert runner.read(False) == []
    assert source.inside.wait(10)
    threading.Timer(0.02, source.gate.set).start()
    threading.Timer(0.08, source.late.set).start()  # well after the boundary's, well before a full tick gives up
    assert [s.who for s in runner.read(True) if isinstance(s, Activity)] == ["edge", "full"]
    runner.close()
