"""Sources that a test drives by hand: real ones by the protocol, with a power, a temper and a lock that the test holds."""

import threading
from collections.abc import Callable, Sequence

from wattledger.core.model import Boundary, Device, EnergyCounter, Instant, Sample, Workload
from wattledger.core.ports import Now

TREE = Workload("pid 1")


def device(name: str, *, refresh_ns: int = 0) -> Device:
    return Device(name, "gpu", "test card", None, refresh_ns, 1_000_000_000)


class Steady:
    """One device with an energy register that draws a constant power."""

    edge = True

    def __init__(self, name: str, power_uw: int = 100_000_000, *, period_ns: int | None = None) -> None:
        self.name, self.period_ns = name, period_ns
        self.device = device(name)
        self.power_uw = power_uw
        self.reads: list[bool] = []
        self.closed = 0

    def devices(self) -> Sequence[Device]:
        return [self.device]

    def read(self, now: Now, full: bool) -> list[Sample]:
        self.reads.append(full)
        self.before(full)
        at = now()
        return [EnergyCounter(self.device, at, self.power_uw * at.mono_ns // 1_000_000_000, None)]

    def before(self, full: bool) -> None:
        """What goes wrong before this read, if anything."""

    def close(self) -> None:
        self.closed += 1


class Failing(Steady):
    """Raises what it is told to, once for each element; ``None`` is a good read."""

    def __init__(self, name: str, errors: Sequence[Exception | None]) -> None:
        super().__init__(name)
        self.errors = list(errors)

    def before(self, full: bool) -> None:
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error


class Blocking(Steady):
    """Hangs while the test holds it: ``hold()`` before, ``let_go()`` after; ``entered`` is set once a read hangs."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._free = threading.Event()
        self._free.set()
        self.entered = threading.Event()

    def hold(self) -> None:
        self.entered.clear()
        self._free.clear()

    def let_go(self) -> None:
        self._free.set()

    def before(self, full: bool) -> None:
        if not self._free.is_set():
            self.entered.set()
            self._free.wait(30)


def edge(span: int, kind: str, *, parent: int | None = None, job: str = "j") -> Callable[[Instant], Boundary]:
    """What a tracker hands to the sampler for one boundary."""

    def make(at: Instant) -> Boundary:
        return Boundary(span, at, kind, Workload(job), TREE, parent)  # type: ignore[arg-type]

    return make


def until(true: Callable[[], bool], what: str, timeout_s: float = 10) -> None:
    """Wait for another thread to get somewhere; the law is that it does, not when."""
    pause = threading.Event()
    for _ in range(int(timeout_s * 200)):
        if true():
            return
        pause.wait(0.005)
    raise AssertionError(f"never: {what}")
