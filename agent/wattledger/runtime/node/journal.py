"""What the agent's log says of its sources: each failure once, and once that it is over; never a line each tick."""

import re
from collections.abc import Callable, Iterable, Mapping

from wattledger.core.model import Fault, Instant
from wattledger.runtime.runner import Runner

AGAIN_NS = 600_000_000_000  # a failure that comes and goes is said again after so long


class Journal:
    """State: what was said of each source, and when; the devices that it had at the last look and those that went; sources of
    whose absence was spoken."""

    def __init__(self, say: Callable[[str], None], now: Callable[[], Instant]) -> None:
        self._say, self._now = say, now
        self._said: dict[tuple[str, str], int] = {}
        self._failing: dict[str, str] = {}
        self._told: set[str] = set()
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

    def hear(self, doubts: Iterable[Fault]) -> None:
        """What was not believed of engines: each kind of it once; figures make no other kind."""
        for doubt in doubts:
            self._failed(doubt.source, doubt.what, re.sub(r"\d+", "", doubt.what))

    def tell(self, notes: Iterable[str]) -> None:
        """What is worth a line once."""
        for note in notes:
            if note not in self._told:
                self._told.add(note)
                self._say(note)

    def _look(self, runner: Runner) -> None:
        name, hangs = runner.source.name, runner.hangs
        if hangs:
            self._failed(name, runner.health().last_error)
        for _ in range(len(runner.untold)):  # the source's thread may be adding to it
            self._failed(name, runner.untold.popleft())
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

    def _failed(self, name: str, what: str, kind: str = "") -> None:
        if not kind:
            self._failing[name] = what
        now_ns, kind = self._now().mono_ns, kind or what
        if now_ns - self._said.get((name, kind), -AGAIN_NS) >= AGAIN_NS:
            self._said = {key: at for key, at in self._said.items() if now_ns - at < AGAIN_NS}
            self._said[name, kind] = now_ns
            self._say(what if what.startswith(name) else f"{name}: {what}")
