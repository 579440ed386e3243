"""What the agent's log says of its sources: each failure once, and once that it is over; never a line each tick."""

from collections.abc import Callable, Iterable, Mapping

from wattledger.core.model import Instant
from wattledger.runtime.runner import Runner

AGAIN_NS = 600_000_000_000  # a failure that comes and goes is said again after so long


class Journal:
    """State: what was said of each source, and when; the devices that it had at the last look and those that went; sources of
    whose absence was spoken."""

    def __init__(self, say: Callable[[str], None], now: Callable[[], Instant]) -> None:
        self._say, self._now = say, now
        self._said: dict[tuple[str, str], int] = {}
        self._failing: dict[str, str] = {}
        self._errors: dict[str, tuple[Runner, int]] = {}
        self._here: dict[str, frozenset[str]] = {}
        self._lost: dict[str, set[str]] = {}
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
        name, health, hangs = runner.source.name, runner.health(), runner.hangs
        known, errors = self._errors.get(name, (runner, 0))
        if known is not runner:  # opened anew: it counts from 0
            errors = 0
        self._errors[name] = runner, health.errors
        if hangs or health.errors > errors:
            self._failed(name, health.last_error)
        is_whole = self._devices(name, frozenset(device.id for device in runner.devices), hangs=hangs)
        if name in self._failing and not hangs and not runner.failing:
            del self._failing[name]
            if is_whole:  # of those that are gone it was said; they are not read again
                self._say(f"{name}: reads again")

    def _devices(self, name: str, here: frozenset[str], *, hangs: bool) -> bool:
        """Say which devices have come or come back; whether none is missing, and none has just come back."""
        lost, before = self._lost.setdefault(name, set()), self._here.get(name, here)
        if hangs:
            return False
        self._here[name] = here
        gone = sorted(before - here)
        if len(gone) > 1:  # why was said of one of them: the source's last failure
            self._say(f"{name}: {', '.join(gone)} are not read any more")
        lost.update(gone)
        for device in sorted(here - before):
            self._say(f"{name}: {device} is read {'again' if device in lost else 'now'}")
        lost -= here
        return not lost and here == before

    def _failed(self, name: str, what: str) -> None:
        self._failing[name] = what
        now_ns = self._now().mono_ns
        if now_ns - self._said.get((name, what), -AGAIN_NS) >= AGAIN_NS:
            self._said = {key: at for key, at in self._said.items() if now_ns - at < AGAIN_NS}
            self._said[name, what] = now_ns
            self._say(what if what.startswith(name) else f"{name}: {what}")
