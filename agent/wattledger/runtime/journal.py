"""What the agent's log says of its sources: each failure once, and once that it is over; never a line each tick."""

from collections.abc import Callable, Iterable, Mapping

from wattledger.core.model import Instant
from wattledger.runtime.runner import Runner

AGAIN_NS = 600_000_000_000  # a failure that comes and goes is said again after so long


class Journal:
    """State: what was said of each source, and when; sources of whose absence was spoken."""

    def __init__(self, say: Callable[[str], None], now: Callable[[], Instant]) -> None:
        self._say, self._now = say, now
        self._said: dict[tuple[str, str], int] = {}
        self._failing: dict[str, str] = {}
        self._errors: dict[str, int] = {}
        self._absent: dict[str, str] = {}

    def look(self, runners: Iterable[Runner], absent: Mapping[str, str]) -> None:
        """Say what is new.  ``absent``: sources that somebody asked for and that are not there, with why."""
        for runner in list(runners):
            self._look(runner)
        for name, why in absent.items():
            if self._absent.get(name) != why:
                self._say(why if why.startswith(name) else f"{name}: {why}")
        self._absent = dict(absent)

    def _look(self, runner: Runner) -> None:
        name, health = runner.source.name, runner.health()
        if health.errors > self._errors.get(name, 0):
            self._errors[name] = health.errors
            self._failed(name, health.last_error)
        elif name in self._failing and not runner.failing:
            del self._failing[name]
            self._say(f"{name}: reads again")

    def _failed(self, name: str, what: str) -> None:
        self._failing[name] = what
        now_ns = self._now().mono_ns
        if now_ns - self._said.get((name, what), -AGAIN_NS) >= AGAIN_NS:
            self._said = {key: at for key, at in self._said.items() if now_ns - at < AGAIN_NS}
            self._said[name, what] = now_ns
            self._say(what if what.startswith(name) else f"{name}: {what}")
