"""A stream of chunks or events, passed on as it comes while its usage is read: sync and async, and ended exactly once.

The chunks are the same objects.  A stream that is closed early, dropped, or raises has been cut, unless its usage had come by then.
"""

import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import Any, Self

from wattledger.integrations import _calls
from wattledger.integrations._proxy import Proxy
from wattledger.integrations._say import say_once

# Events of the Responses API with which a response ends, and the usage is told.
LAST_EVENTS = {"response.completed", "response.incomplete", "response.failed"}


class Reading:
    """What a stream has told so far.  State: all of it; one stream is read by one reader at a time.

    ``hide``: usage was asked for by us, not by the caller, who is not to see the extra chunk that brings it.  ``settle`` is called
    once, with this reading and whether the stream was cut.
    """

    def __init__(self, settle: Callable[["Reading", bool], None], *, hide: bool) -> None:
        self._settle, self._hide = settle, hide
        self.first: datetime | None = None
        self.usage: Any = None
        self.id = self.model = ""
        self._whole = self._ended = False

    def hides(self, chunk: Any) -> bool:
        """Read one chunk; whether it is to be kept from the caller."""
        try:
            choices = getattr(chunk, "choices", None)
            return self._event(chunk) if choices is None else self._chunk(chunk, choices)
        except Exception as odd:
            say_once("stream", f"a stream's chunk could not be read: {odd!r}")
            return False

    def _chunk(self, chunk: Any, choices: Any) -> bool:
        if choices:
            if self.first is None:
                self.first, self.id, self.model = _calls.now(), _text(chunk, "id"), _text(chunk, "model")
            self._whole |= any(getattr(choice, "finish_reason", None) is not None for choice in choices)
        usage = getattr(chunk, "usage", None)
        if usage is None:
            return False
        self.usage = usage
        self._whole |= not choices
        return self._hide and not choices

    def _event(self, event: Any) -> bool:
        kind = str(getattr(event, "type", ""))
        if self.first is None and kind.endswith(".delta"):
            self.first = _calls.now()
        response = getattr(event, "response", None)
        if response is not None:
            self.usage = getattr(response, "usage", None) or self.usage
            self.id, self.model = _text(response, "id"), _text(response, "model")
            self._whole |= kind in LAST_EVENTS
        return False

    def end(self, *, exhausted: bool) -> None:
        """The stream has come to its end, or to an end.  Without any sign of the last token, even an end in order is a cut."""
        if not self._ended:
            self._ended = True
            whole = self._whole and (exhausted or self.usage is not None)
            self._settle(self, not whole)


def _text(of: Any, name: str) -> str:
    return str(getattr(of, name, None) or "")


class _Watched(Proxy):
    """State: its reading, and the iterator it reads (the stream itself, where that is one)."""

    __slots__ = ("_wl_dropped", "_wl_iterator", "_wl_reading")

    def __init__(self, stream: Any, reading: Reading, iterator: Any, dropped: Callable[[Reading], None]) -> None:
        super().__init__(stream)
        object.__setattr__(self, "_wl_reading", reading)
        object.__setattr__(self, "_wl_iterator", iterator)
        # A collector may call this anywhere, so it only takes a note; whoever calls next settles it.
        finalizer = weakref.finalize(self, dropped, reading)
        finalizer.atexit = False
        object.__setattr__(self, "_wl_dropped", finalizer)

    def _wl_end(self, *, exhausted: bool) -> None:
        self._wl_dropped.detach()
        self._wl_reading.end(exhausted=exhausted)


class Watched(_Watched):
    """A synchronous stream."""

    __slots__ = ()

    def __init__(self, stream: Any, reading: Reading, dropped: Callable[[Reading], None]) -> None:
        super().__init__(stream, reading, stream if hasattr(stream, "__next__") else iter(stream), dropped)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            while self._wl_reading.hides(chunk := next(self._wl_iterator)):
                pass
        except BaseException as end:
            self._wl_end(exhausted=isinstance(end, StopIteration))
            raise
        return chunk

    def close(self) -> Any:
        try:
            return self._wl_target.close()
        finally:
            self._wl_end(exhausted=False)

    def __enter__(self) -> Self:
        self._wl_target.__enter__()
        return self

    def __exit__(self, *raised: Any) -> Any:
        try:
            return self._wl_target.__exit__(*raised)
        finally:
            self._wl_end(exhausted=False)


class AsyncWatched(_Watched):
    """An asynchronous stream."""

    __slots__ = ()

    def __init__(self, stream: Any, reading: Reading, dropped: Callable[[Reading], None]) -> None:
        super().__init__(stream, reading, stream if hasattr(stream, "__anext__") else aiter(stream), dropped)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            while self._wl_reading.hides(chunk := await anext(self._wl_iterator)):
                pass
        except BaseException as end:
            self._wl_end(exhausted=isinstance(end, StopAsyncIteration))
            raise
        return chunk

    async def close(self) -> Any:
        try:
            return await self._wl_target.close()
        finally:
            self._wl_end(exhausted=False)

    async def aclose(self) -> Any:
        try:
            return await self._wl_target.aclose()
        finally:
            self._wl_end(exhausted=False)

    async def __aenter__(self) -> Self:
        await self._wl_target.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> Any:
        try:
            return await self._wl_target.__aexit__(*raised)
        finally:
            self._wl_end(exhausted=False)
