"""The front door for programs: ``track`` as decorator and context manager, sync and async.

A thin shell: nothing of the meter is loaded before the first span.  The program is sacred: a span never raises into it, never swallows
its exceptions, never changes a return value, never blocks on the network, and prints at most one warning about one cause.
"""

import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

if TYPE_CHECKING:
    from types import TracebackType

    from wattledger.core.footprint import Footprint
    from wattledger.core.spans import SpanAccount

F = TypeVar("F", bound=Callable[..., Any])
Scope = Literal["process", "host"]
Sync = Literal["auto", "off"]

_current: ContextVar["Run | None"] = ContextVar("wattledger_run", default=None)


class Run:
    """One measured span: ``footprint`` while it runs and after, ``add_tokens`` for the work it did.

    Made by ``track``; thread-safe; holds a few hundred bytes and no sensor.
    """

    __slots__ = ("__weakref__", "_accounts", "_generation", "_left", "_notes", "_span", "_unfinished", "final", "labels", "model", "job",
                 "parent", "run_id", "scope", "zone")  # fmt: skip

    def __init__(self, spec: "Track", job: str, parent: "Run | None") -> None:
        import os

        self.job, self.model, self.labels = job, spec.model, dict(spec.labels)
        self.zone, self.scope = spec.zone, spec.scope
        self.parent = parent
        self.run_id = os.urandom(8).hex()
        self.final: Footprint | None = None
        self._span: int | None = None
        self._generation = 0
        self._left = False
        self._accounts: list[SpanAccount] = []
        self._notes: list[str] = []
        self._unfinished = False  # a generator's run: more pieces may come

    @property
    def footprint(self) -> "Footprint":
        """Energy and carbon until now, final once the run has ended.

        Within one refresh period of a short run's end (100 ms on most GPUs) it is provisional and says so in ``notes``.
        """
        from wattledger.runtime.tracker import TRACKER

        return TRACKER.footprint(self)

    def add_tokens(self, *, prompt: int = 0, generated: int = 0, cached: int = 0, requests: int = 0) -> None:
        """Count work done in this run; the three kinds of token are disjoint (``prompt``: computed, without cache hits)."""
        from wattledger.runtime.tracker import TRACKER

        TRACKER.add_work(self, (prompt, cached, generated, requests))

    def __repr__(self) -> str:
        state = "ended" if self._left else "running" if self._span is not None else "not measured"
        return f"<Run {self.job!r} {self.run_id} {state}>"


class Track:
    """What ``track(...)`` returns: a context manager that makes a new run each time, and a decorator.

    State: the runs entered through it and not left, innermost last, per task and thread.
    """

    def __init__(
        self,
        job: str | None,
        *,
        model: str | None,
        labels: Mapping[str, str],
        zone: str | None,
        scope: Scope,
        sync: Sync,
        config: str | Mapping[str, Any] | None,
    ) -> None:
        self.job, self.model, self.labels = job, model, labels
        self.zone, self.scope, self.sync, self.config = zone, scope, sync, config
        self._entered: ContextVar[tuple[tuple[Run, Token[Run | None]], ...]] = ContextVar("entered", default=())
        self.last_run: Run | None = None

    def __enter__(self) -> Run:
        from wattledger.runtime.tracker import TRACKER

        run = Run(self, self.job or script_name(), _current.get())
        self.last_run = run
        self._entered.set((*self._entered.get(), (run, _current.set(run))))
        TRACKER.enter(run, self)
        return run

    def __exit__(
        self, kind: "type[BaseException] | None", error: "BaseException | None", trace: "TracebackType | None"
    ) -> None:
        from wattledger.runtime.tracker import TRACKER

        entered = self._entered.get()
        if not entered:
            return
        *before, (run, token) = entered
        TRACKER.leave(run, self)
        self._entered.set(tuple(before))
        try:
            _current.reset(token)
        except ValueError:
            _current.set(run.parent)  # left in another context than it was entered in (an async generator's clean-up)

    async def __aenter__(self) -> Run:
        return self.__enter__()

    async def __aexit__(
        self, kind: "type[BaseException] | None", error: "BaseException | None", trace: "TracebackType | None"
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: F) -> F:
        """Measure every call of ``function`` (def, async def, generators of both kinds); ``function.last_run`` is the latest run."""
        from wattledger.wrap import wrapped

        return wraps(function)(wrapped(self, function))  # type: ignore[return-value]


@overload
def track(job: F) -> F: ...
@overload
def track(
    job: str | None = None,
    *,
    model: str | None = None,
    labels: Mapping[str, str] | None = None,
    zone: str | None = None,
    scope: Scope = "process",
    sync: Sync = "auto",
    config: str | Mapping[str, Any] | None = None,
) -> Track: ...
def track(
    job: str | F | None = None,
    *,
    model: str | None = None,
    labels: Mapping[str, str] | None = None,
    zone: str | None = None,
    scope: Scope = "process",
    sync: Sync = "auto",
    config: str | Mapping[str, Any] | None = None,
) -> Track | F:
    """Measure a block or a function: ``with track(job="eval") as run: ...`` or ``@track(job="train")``.

    ``job`` defaults to the function's or script's name.  ``scope="process"``: this process and its children, plus the idle of what they
    hold; ``"host"``: everything the machine used meanwhile.  ``zone``: the grid zone (``DE``, ``US-CAMX``).  ``sync="auto"`` waits for
    initialised torch, CuPy or JAX work at the outermost boundaries, ``"off"`` does not.  ``config``: a file, or settings by dotted
    name.  Never raises: what is wrong is one warning and the default.
    """
    if callable(job):
        return Track(None, model=None, labels={}, zone=None, scope="process", sync="auto", config=None)(job)
    return Track(job, model=model, labels=labels or {}, zone=zone, scope=scope, sync=sync, config=config)


def script_name() -> str:
    """The running script's name without its path and ending; ``python`` where there is none."""
    name = (sys.argv[0] if sys.argv else "").replace("\\", "/").rsplit("/", 1)[-1]
    return name.removesuffix(".py") or "python"
