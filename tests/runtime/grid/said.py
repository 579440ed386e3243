"""A provider that says what a test wants said, a clock that the test sets, and ears for what a feed tells."""

from collections.abc import Callable, Sequence

from wattledger.core.facts import IntensityFact, Signal
from wattledger.core.model import Factor, Instant
from wattledger.core.ports import GridPlace
from wattledger.runtime.grid.feed import Feed, Outlets, Plan

HOUR = 3_600
PERIOD = 300.0
T0 = 1_795_341_600  # 2026-11-22T10:00:00Z
Answer = Callable[[int, int, int], Sequence[IntensityFact]]


def hour(start_s: int, grams: float, provider: str = "first", **more: object) -> IntensityFact:
    fact = IntensityFact("DE", start_s, HOUR, round(grams * 1e6), provider)
    return fact._replace(**more)  # type: ignore[arg-type]


class Scripted:
    """State: what it answers (an exception is raised), and what it was asked."""

    licence = "none"
    boundary = "direct"

    def __init__(self, name: str = "first", signal: Signal = "average", zones: Sequence[str] = ("DE",)) -> None:
        self.name, self.signal, self.step_s = name, signal, HOUR
        self.asked: list[tuple[int, int]] = []
        self.facts: list[IntensityFact] = []
        self.failure: Exception | None = None
        self.coming: list[IntensityFact] | Exception = []
        self.expected = 0  # how often it was asked for that
        self._zones = zones

    def __call__(self, place: GridPlace) -> "Scripted":
        return self

    def covers(self, zone: str) -> bool:
        return zone in self._zones

    def read(self, zone: str, start_s: int, end_s: int, now_s: int) -> list[IntensityFact]:
        self.asked.append((start_s, end_s))
        if self.failure is not None:
            raise self.failure
        return [fact for fact in self.facts if fact.start_s < end_s and fact.start_s + fact.length_s > start_s]

    def forecast(self, zone: str, now_s: int) -> list[IntensityFact]:
        self.expected += 1
        if isinstance(self.coming, Exception):
            raise self.coming
        return [fact for fact in self.coming if fact.start_s + fact.length_s > now_s]


class Clock:
    """State: the time, by both clocks; ``wall`` may be set apart from the other."""

    def __init__(self, wall_s: float = T0) -> None:
        self.wall_s, self.mono_s = wall_s, 1_000.0

    def __call__(self) -> Instant:
        return Instant(round(self.mono_s * 1e9), round(self.wall_s * 1e9))

    def go(self, seconds: float) -> None:
        self.wall_s += seconds
        self.mono_s += seconds


class Ears:
    """State: what was told, in order; ``full`` is the disk's failure while it lasts."""

    def __init__(self) -> None:
        self.learnt: list[IntensityFact] = []
        self.stood: list[tuple[Factor, ...]] = []
        self.lines: list[str] = []
        self.full: Exception | None = None

    def outlets(self) -> Outlets:
        def keep(facts: Sequence[IntensityFact]) -> None:
            if self.full is not None:
                raise self.full
            self.learnt += facts

        return Outlets(keep, lambda factors, notes: self.stood.append(tuple(factors)), self.lines.append, ahead=True)


class Rig:
    """State: a feed of these providers, its clock, and what it told."""

    def __init__(self, *providers: Scripted, known: tuple[IntensityFact, ...] = (), zone: str = "DE", rand: float = 0.0) -> None:
        self.clock, self.ears = Clock(), Ears()
        self.feed = Feed(Plan(zone, providers, PERIOD), self.ears.outlets(), known, now=self.clock, rand=lambda: rand)

    def after(self, seconds: float) -> "Rig":
        self.clock.go(seconds)
        self.feed.look()
        return self

    @property
    def step(self) -> str:
        return self.feed.current().step
