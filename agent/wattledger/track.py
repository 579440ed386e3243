"""The front door for programs: ``track`` as decorator and context manager, sync and async.

A thin shell: nothing of the meter is loaded before the first span.  The program is sacred: a span never raises into it, never
swallows its exceptions, never changes a return value, never blocks on the network, and prints at most one warning about one
cause.
"""

import sys
from _thread import allocate_lock  # built in; threading itself would load with every import of the package
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, overload

if TYPE_CHECKING:
    from types import TracebackType

    from wattledger.core.accounts import SpanAccount
    from wattledger.core.footprint import Footprint

F = TypeVar("F", bound=Callable[..., Any])
Scope = Literal["process", "host"]
Sync = Literal["auto", "off"]

_naming = allocate_lock()
_current: ContextVar["Run | None"] = ContextVar("wattledger_run", default=None)


_nobody: Any = None


def _tracker() -> Any:
    """The meter, loaded at the first span; a program must not fail because it cannot be."""
    global _nobody
    if _nobody is None:
        try:
            from wattledger.runtime.tracker import TRACKER
        except Exception as failure:
            from wattledger.nobody import Nobody

            _nobody = Nobody(failure)
        else:
            return TRACKER
    return _nobody


def current() -> "Run | None":
    """The innermost run that is open here (in this context), for integrations."""
    run = _current.get()
    while run is not None and run._left:
        run = run.parent  # it was left in another context
    return run


class Run:
    """One measured span: ``footprint`` while it runs and after, ``add_tokens`` for the work it did.

    Made by ``track``; thread-safe; holds a few hundred bytes and no sensor.  A generator's run has one span for each time its
    body ran.
    """

    # fmt: off
    __slots__ = (
        "__weakref__", "_generation", "_id", "_left", "_notes", "_settled", "_span", "_spans", "_spec", "_synced", "_unfinished",
        "_work", "final", "parent",
    )
    # fmt: on

    def __init__(self, spec: "Track", parent: "Run | None") -> None:
        self.parent = parent
        self._id: str | None = None
        self.final: Footprint | None = None
        self._spec = spec
        self._span: int | None = None
        self._spans: set[int] = set()  # not settled yet
        self._generation = 0
        self._left = False
        self._synced = False  # GPU work queued at its end was waited for
        self._unfinished = False  # a generator's: more pieces may come
        self._settled: SpanAccount | None = None
        self._notes: list[str] = []
        self._work = [0, 0, 0, 0]  # prompt, cached, generated tokens and requests, its children's included

    @property
    def run_id(self) -> str:
        """A random name, drawn when it is first asked for: most spans of a loop never are."""
        if self._id is None:
            import os

            with _naming:  # two threads may ask at once
                self._id = self._id or os.urandom(8).hex()
        return self._id

    @property
    def job(self) -> str:
        """What the work is called."""
        return self._spec.job or script_name()

    @property
    def model(self) -> str | None:
        """The model it trains or serves."""
        return self._spec.model

    @property
    def labels(self) -> dict[str, str]:
        """Labels as given."""
        return dict(self._spec.labels)

    @property
    def footprint(self) -> "Footprint":
        """Energy and carbon until now, final once the run has ended.

        Within one refresh period of a short run's end (100 ms on most GPUs) it is provisional and says so in ``notes``.
        """
        found: Footprint = _tracker().footprint(self)
        return found

    def add_tokens(self, *, prompt: int = 0, generated: int = 0, cached: int = 0, requests: int = 0) -> None:
        """Count work done in this run; the three kinds of token are disjoint (``prompt``: computed, without cache hits)."""
        _tracker().add_work(self, (prompt, cached, generated, requests))

    def __repr__(self) -> str:
        state = "ended" if self._left else "running" if self._span is not None else "not measured"
        return f"<Run {self.job!r} {self.run_id} {state}>"


class Track:
    """What ``track(...)`` returns: a context manager that makes a new run each time, and a decorator.

    State: its runs that are open, for those that are left in another context than they were entered in.
    """

    def __init__(self, words: "Words") -> None:
        self.job, self.model, self.labels = words.job, words.model, words.labels
        self.zone, self.scope, self.sync, self.config = words.zone, words.scope, words.sync, words.config
        self._open: list[Run] = []

    def named(self, job: str) -> "Track":
        """The same, with a name where it has none."""
        return Track(Words(self.job or job, self.model, self.labels, self.zone, self.scope, self.sync, self.config))

    def __enter__(self) -> Run:
        return self.begin(None)

    def begin(self, whole: Run | None) -> Run:
        """Enter a new run, or another piece of ``whole``."""
        tracker = _tracker()
        parent = current() or tracker.around()
        run = Run(self, parent)
        self._open.append(run)
        _current.set(run)
        tracker.enter(run, whole)
        return run

    def __exit__(
        self, kind: "type[BaseException] | None", error: "BaseException | None", trace: "TracebackType | None"
    ) -> None:
        if sys.is_finalizing():
            return  # nothing can be imported any more, and nobody is left to ask
        here = _current.get()
        while here is not None and (here._spec is not self or here._left):
            here = here.parent
        run = here or (self._open[-1] if self._open else None)
        if run is None:
            return
        _tracker().leave(run)
        if run in self._open:
            self._open.remove(run)
        if here is not None:
            _current.set(run.parent)

    async def __aenter__(self) -> Run:
        return self.__enter__()

    async def __aexit__(
        self, kind: "type[BaseException] | None", error: "BaseException | None", trace: "TracebackType | None"
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: F) -> F:
        """Measure every call of ``function`` (def, async def, both kinds of generator); ``function.last_run`` is the latest run."""
        from wattledger.wrap import wrapped

        return wraps(function)(wrapped(self, function))  # type: ignore[return-value]


class Words(NamedTuple):
    """What ``track`` was told, checked: every field has a value that the meter can use."""

    job: str | None
    model: str | None
    labels: Mapping[str, str]
    zone: str | None
    scope: Scope
    sync: Sync
    config: str | Mapping[str, Any] | None


def checked(**words: Any) -> Words:
    """Make the best of what was given: what is wrong is one warning and the default, never an exception."""
    labels, scope, sync, config = words["labels"], words["scope"], words["sync"], words["config"]
    if labels is not None and not isinstance(labels, Mapping):
        _wrong("labels", labels, "a mapping of names to values")
        labels = None
    if scope not in ("process", "host"):
        _wrong("scope", scope, "'process' or 'host'")
        scope = "process"
    if sync not in ("auto", "off"):
        _wrong("sync", sync, "'auto' or 'off'")
        sync = "auto"
    if hasattr(config, "__fspath__"):
        config = str(config.__fspath__())
    if config is not None and not isinstance(config, str | Mapping):
        _wrong("config", config, "a file or a mapping of dotted names to values")
        config = None
    text = {name: None if words[name] is None else str(words[name]) for name in ("job", "model", "zone")}
    pairs = {str(key): str(value) for key, value in (labels or {}).items()}
    return Words(text["job"], text["model"], pairs, text["zone"], scope, sync, config)


def _wrong(name: str, value: object, expected: str) -> None:
    from wattledger.runtime.warn import warn_once

    warn_once(f"track {name}", f"track({name}={value!r}): expected {expected}; using the default")


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

    ``job`` defaults to the function's or script's name.  ``scope="process"``: this process and its children, plus the idle of
    what they hold; ``"host"``: everything the machine used meanwhile.  ``zone``: the grid zone (``DE``, ``US-CAMX``).
    ``sync="auto"`` waits for initialised torch, CuPy or JAX work at the outermost boundaries, ``"off"`` does not.  ``config``: a
    file, or settings by dotted name.  Never raises: what is wrong is one warning and the default.
    """
    words = checked(
        job=None if callable(job) else job, model=model, labels=labels, zone=zone, scope=scope, sync=sync, config=config
    )
    return Track(words)(job) if callable(job) else Track(words)


def script_name() -> str:
    """The running script's or package's name without path and ending; ``python`` where there is none."""
    *folders, name = (sys.argv[0] if sys.argv else "").replace("\\", "/").split("/")
    if name == "__main__.py" and folders:
        name = folders[-1]
    return "python" if name in ("", "-c", "-m", "-") else name.removesuffix(".py")
