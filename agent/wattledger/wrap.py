"""The decorator's four kinds of function.  A generator is measured while its own body runs, never while its consumer does."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from wattledger.track import Run, Track


def wrapped(spec: Track, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, measured; results, exceptions and protocol are its own."""
    spec = spec.named(getattr(function, "__name__", "") or "call")
    if inspect.iscoroutinefunction(function):
        return _coroutine(spec, function)
    if inspect.isasyncgenfunction(function):
        return _async_generator(spec, function)
    if inspect.isgeneratorfunction(function):
        return _generator(spec, function)

    def call(*args: Any, **kwargs: Any) -> Any:
        with spec as call.last_run:  # type: ignore[attr-defined]
            return function(*args, **kwargs)

    call.last_run = None  # type: ignore[attr-defined]
    return call


def _coroutine(spec: Track, function: Callable[..., Any]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        with spec as call.last_run:  # type: ignore[attr-defined]
            return await function(*args, **kwargs)

    call.last_run = None  # type: ignore[attr-defined]
    return call


class _Pieces:
    """A context manager entered once for each time a generator's body runs; the pieces of one iteration are one run."""

    def __init__(self, spec: Track, wrapper: Any) -> None:
        self._spec, self._wrapper = spec, wrapper
        self._whole: Run | None = None

    def __enter__(self) -> None:
        if sys.is_finalizing():
            return  # a suspended generator is closed as the interpreter ends
        run = self._spec.begin(self._whole)
        if self._whole is None:
            self._whole = self._wrapper.last_run = run
            run._unfinished = True

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        self._spec.__exit__(kind, error, trace)
        if kind is not None:
            self.end()

    def end(self) -> None:
        """The body has returned, raised or been closed: no piece will follow."""
        if self._whole is not None:
            self._whole._unfinished = False


def _generator(spec: Track, function: Callable[..., Any]) -> Callable[..., Any]:
    def iterate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        generator, pieces = function(*args, **kwargs), _Pieces(spec, iterate)
        sent: Any = None
        error: BaseException | None = None
        while True:
            try:
                with pieces:
                    item = generator.send(sent) if error is None else generator.throw(error)
            except StopIteration as stop:
                return stop.value
            sent, error = None, None
            try:
                sent = yield item
            except GeneratorExit:
                with pieces:
                    generator.close()
                pieces.end()
                raise
            except BaseException as thrown:
                error = thrown

    iterate.last_run = None  # type: ignore[attr-defined]
    return iterate


def _async_generator(spec: Track, function: Callable[..., Any]) -> Callable[..., Any]:
    async def iterate(*args: Any, **kwargs: Any) -> Any:
        generator, pieces = function(*args, **kwargs), _Pieces(spec, iterate)
        sent: Any = None
        error: BaseException | None = None
        while True:
            try:
                with pieces:
                    item = await (generator.asend(sent) if error is None else generator.athrow(error))
            except StopAsyncIteration:
                return
            sent, error = None, None
            try:
                sent = yield item
            except GeneratorExit:
                with pieces:
                    await generator.aclose()
                pieces.end()
                raise
            except BaseException as thrown:
                error = thrown

    iterate.last_run = None  # type: ignore[attr-defined]
    return iterate
