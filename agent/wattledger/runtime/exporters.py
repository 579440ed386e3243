"""Exporters that send: found by entry point, opened when the configuration asks for them, handed each snapshot.

No exporter can stop the meter: one that is not installed, is told wrong words, raises or hangs is one line on standard error.
"""

import atexit
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from wattledger.core.model import Instant
from wattledger.core.ports import Now, Pusher
from wattledger.core.totals import Sent, Snapshot, State
from wattledger.runtime import clock, host
from wattledger.runtime.build import Session
from wattledger.runtime.config import Config
from wattledger.runtime.warn import warn_once

GROUP = "wattledger.exporters"
# name -> the key of [exporters.NAME] that asks for it when it is set.
ASKED_BY = {"otlp": "enabled", "pushgateway": "url"}
# A Pushgateway is for programs that end; an agent is scraped.
AT_EXIT_ONLY = frozenset({"pushgateway"})
AT_EXIT_S = 5.0  # what a program's end may wait for all of them together


class MakePusher(Protocol):
    """What an entry point that sends is: raises ValueError or ImportError with one line where it cannot be made."""

    def __call__(self, options: Mapping[str, object], *, now: Now, started: Instant) -> Pusher: ...


class End(NamedTuple):
    """A program that ends: its job, and how long sending may take."""

    job: str
    timeout_s: float = AT_EXIT_S


class Pushers:
    """All that are open.  State: none but theirs.  ``absent``: why what was asked for is not among them."""

    def __init__(self, pushers: Mapping[str, Pusher], absent: Mapping[str, str]) -> None:
        self._pushers = dict(pushers)
        self._absent = dict(absent)

    def __bool__(self) -> bool:
        return bool(self._pushers)

    def push(self, snapshot: Snapshot) -> None:
        """Hand it to each of them; returns at once."""
        for name, pusher in self._pushers.items():
            try:
                pusher.push(snapshot)
            except Exception as bug:
                warn_once(f"push {name}", f"exporter {name}: {bug!r}")

    def sent(self) -> dict[str, Sent]:
        """By name; one that could not be opened has a failure that says why."""
        return {name: Sent(0, 1, why) for name, why in self._absent.items()} | {
            name: pusher.sent() for name, pusher in self._pushers.items()
        }

    def close(self, timeout_s: float) -> None:
        """Let all of them send their last, at the same time, within ``timeout_s``."""
        threads = [
            threading.Thread(target=_close, args=(name, pusher, timeout_s), name=f"wattledger-close-{name}", daemon=True)
            for name, pusher in self._pushers.items()
        ]
        begun_ns = clock.now().mono_ns
        for thread in threads:
            thread.start()
        for thread in threads:
            # Half a second more than they were given: to let a connection go is not free.
            thread.join(max(0.0, timeout_s + 0.5 - (clock.now().mono_ns - begun_ns) / 1e9))

    def close_here(self, timeout_s: float) -> None:
        """The same one after the other, in this thread: as the interpreter ends, none can be started."""
        for name, pusher in self._pushers.items():
            _close(name, pusher, timeout_s / len(self._pushers))


def _close(name: str, pusher: Pusher, timeout_s: float) -> None:
    try:
        pusher.close(timeout_s)
    except Exception as bug:
        warn_once(f"close {name}", f"exporter {name}: {bug!r}")


def open_pushers(
    config: Config, environ: Mapping[str, str], *, started: Instant | None = None, end: End | None = None
) -> Pushers:
    """Those that ``[exporters]`` asks for, for an agent or (``end``) for a program that ends.

    ``started``: when the totals began; ``None``: now.
    """
    names = [name for name, key in ASKED_BY.items() if config[f"exporters.{name}.{key}"] and (end or name not in AT_EXIT_ONLY)]
    pushers: dict[str, Pusher] = {}
    absent: dict[str, str] = {}
    for name in names:
        options: dict[str, Any] = {**config.exporter_options(name), "host": host.host_name(environ)}
        if end is not None:
            options |= {"job": end.job, "at_exit_s": end.timeout_s / len(names)}
        try:
            pushers[name] = _found(name)(options, now=clock.now, started=started or clock.now())
        except Exception as failure:
            # Not only ValueError and ImportError: whatever it is, the meter goes on without this exporter.
            absent[name] = str(failure) if isinstance(failure, (ValueError, ImportError)) else repr(failure)
            warn_once(f"exporter {name}", f"nothing is sent by {name}: {absent[name]}")
    return Pushers(pushers, absent)


def _found(name: str) -> MakePusher:
    from importlib.metadata import entry_points  # 15 ms, and only where there is a name to look for

    for found in entry_points(group=GROUP, name=name):
        make: MakePusher = found.load()
        return make
    raise ImportError(f"no exporter of that name is installed (no entry point {name!r} in {GROUP})")


def push_at_exit(session: Session, *, job: str = "", started: Instant | None = None) -> None:
    """Have the last totals of a program that is measured without an agent sent as it ends, if the configuration asks for it.

    To be called before the sampler's own end is given to ``atexit``, so that this comes after it; then it takes at most about
    ``AT_EXIT_S``, starts no thread and never raises.  A forked child sends nothing.  ``job`` names the program; ``""``: its script.
    """
    # Opened now: what is wrong is said before an hour of training, and libraries cannot all be imported as the interpreter ends.
    pushers = open_pushers(session.config, session.environ, started=started, end=End(job or _script()))
    if pushers:
        atexit.register(_push, pushers, session, os.getpid())


def _push(pushers: Pushers, session: Session, pid: int) -> None:
    if os.getpid() != pid:
        return
    try:
        state = State(session.pipeline.factors.get("grid"), {r.source.name: r.health() for r in session.sampler.runners})
        pushers.push(session.pipeline.totals.snapshot(state))
        pushers.close_here(AT_EXIT_S)
    except Exception as bug:
        warn_once("push at exit", f"the totals were not sent: {bug!r}")


def _script() -> str:
    """``train`` for ``train.py``."""
    return Path(sys.argv[0]).stem if sys.argv and sys.argv[0] not in ("", "-c", "-m") else "python"
