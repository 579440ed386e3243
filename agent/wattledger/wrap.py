"""The decorator's four kinds of function.  A generator is measured while its own body runs, never while its consumer does."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from wattledger.track import Run, Track


def wrapped(spec: Track, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, measured; results, exceptions and protocol are its own."""
    named = _named(spec, function)

    if inspect.iscoroutinefunction(function):

        async def call_async(*args: Any, **kwargs: Any) -> Any:
            with named as run:
                _remember(function, call_async, run)
                return await function(*args, **kwargs)

        return call_async

    if inspect.isasyncgenfunction(function):

        async def iterate_async(*args: Any, **kwargs: Any) -> Any:
            pieces = _Pieces(named, lambda run: _remember(function, iterate_async, run))
            async for item in pieces.drive_async(function(*args, **kwargs)):
                yield item

        return iterate_async

    if inspect.isgeneratorfunction(function):

        def iterate(*args: Any, **kwargs: Any) -> Any:
            pieces = _Pieces(named, lambda run: _remember(function, iterate, run))
            return (yield from pieces.drive(function(*args, **kwargs)))

        return iterate

    def call(*args: Any, **kwargs: Any) -> Any:
        with named as run:
            _remember(function, call, run)
            return function(*args, **kwargs)

    return call


def _named(spec: Track, function: Callable[..., Any]) -> Track:
    from wattledger.track import Track

    job = spec.job or getattr(function, "__name__", None)
    return Track(
        job, model=spec.model, labels=spec.labels, zone=spec.zone, scope=spec.scope, sync=spec.sync, config=spec.config
    )


def _remember(function: Callable[..., Any], wrapper: Any, run: Run) -> None:
    wrapper.last_run = run


class _Pieces:
    """Drives a generator piece by piece, each piece a span; the pieces of one iteration are one run."""

    def __init__(self, spec: Track, remember: Callable[[Run], None]) -> None:
        self._spec, self._remember = spec, remember
        self._first: Run | None = None

    def _begin(self, run: Run) -> None:
        if self._first is None:
            self._first = run
            run._unfinished = True
            self._remember(run)
        else:
            run._accounts = self._first._accounts  # settled pieces gather in the first run

    def _end(self) -> None:
        if self._first is not None:
            self._first._unfinished = False

    def drive(self, generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        sent: Any = None
        error: BaseException | None = None
        while True:
            try:
                with self._spec as run:
                    self._begin(run)
                    item = generator.send(sent) if error is None else generator.throw(error)
            except StopIteration as stop:
                self._end()
                return stop.value
            except BaseException:
                self._end()
                raise
            sent, error = None, None
            try:
                sent = yield item
            except GeneratorExit:
                generator.close()
                self._end()
                raise
            except BaseException as thrown:
                error = thrown

    async def drive_async(self, generator: AsyncGenerator[Any, Any]) -> AsyncGenerator[Any, Any]:
        sent: Any = None
        error: BaseException | None = None
        while True:
            try:
                with self._spec as run:
                    self._begin(run)
                    item = await (generator.asend(sent) if error is None else generator.athrow(error))
            except StopAsyncIteration:
                self._end()
                return
            except BaseException:
                self._end()
                raise
            sent, error = None, None
            try:
                sent = yield item
            except GeneratorExit:
                await generator.aclose()
                self._end()
                raise
            except BaseException as thrown:
                error = thrown
