"""An OpenAI-compatible client that also counts: ``client = wrap(OpenAI(base_url=...))``, and nothing else changes.

Counted: ``create`` of ``chat.completions``, ``completions``, ``responses`` and ``embeddings``, ``parse`` where there is one, sync
and async, streamed or not, also after ``with_options``.  Passed on but not counted, because no usage is to be had without touching
what the caller gets: ``with_raw_response``, ``with_streaming_response``, the ``.stream(...)`` helpers, batches, files.
Nothing is patched, and openai itself is not even imported: any client of the same shape will do.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any, NamedTuple, Self, TypeVar, cast
from urllib.parse import urlsplit

from wattledger import Run
from wattledger.integrations import _agent, _calls
from wattledger.integrations._calls import EnergyOfCall
from wattledger.integrations._proxy import Proxy
from wattledger.integrations._records import Told
from wattledger.integrations._say import say_once
from wattledger.integrations._streams import AsyncWatched, Reading, Watched
from wattledger.integrations._usage import Counts, of_usage

__all__ = ["EnergyOfCall", "wrap"]

C = TypeVar("C")

class Kind(NamedTuple):
    """How a method is counted: by OpenTelemetry's name, whether its streams must be asked for usage, whether it generates."""

    operation: str
    asks: bool = False
    generates: bool = True


_CHAT = {"completions": {"create": Kind("chat", asks=True), "parse": Kind("chat")}}
COUNTED: dict[str, Any] = {
    "chat": _CHAT,
    "beta": {"chat": _CHAT},
    "completions": {"create": Kind("text_completion", asks=True)},
    "responses": {"create": Kind("chat"), "parse": Kind("chat")},  # their streams always end with the usage
    "embeddings": {"create": Kind("embeddings", generates=False)},
}
COPIES = {"copy", "with_options"}  # they give another client, which counts like this one


def wrap(
    client: C, *, tenant: str | None = None, run: Run | None = None, on_energy: Callable[[EnergyOfCall], object] | None = None
) -> C:
    """``client``, counting: tokens go to ``run``, or to the innermost run open at each call; requests to the node's agent.

    ``tenant``: whom the requests are charged to.  What each call used is handed to ``on_energy``, kept as ``client.last_energy``
    (``None`` before the first; the latest of any thread) and added to the OpenTelemetry span that is recording; its energy is
    known, provisionally, where the agent knows the server.  A stream's usage is asked for (``stream_options``) only where the
    caller says nothing of it, and a server that refuses the question is asked without it.
    """
    plain: Any = client
    return cast("C", _Client(plain._wl_target if type(plain) is _Client else plain, _Meter(tenant, run, on_energy)))


class _Resource(Proxy):
    """One of a client's resources, as far as it is counted."""

    __slots__ = ("_wl_meter", "_wl_root", "_wl_tree")

    def __init__(self, target: Any, meter: "_Meter", tree: Mapping[str, Any], root: Any) -> None:
        super().__init__(target)
        object.__setattr__(self, "_wl_meter", meter)
        object.__setattr__(self, "_wl_tree", tree)
        object.__setattr__(self, "_wl_root", root)

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        below = self._wl_tree.get(name)
        if below is None:
            return found
        if isinstance(below, Kind):
            return self._wl_meter.counting(found, below, self._wl_root)
        return _Resource(found, self._wl_meter, below, self._wl_root)


class _Client(_Resource):
    """The client itself."""

    __slots__ = ()

    def __init__(self, target: Any, meter: "_Meter") -> None:
        super().__init__(target, meter, COUNTED, target)

    @property
    def last_energy(self) -> EnergyOfCall | None:
        """What the latest call that ended has used."""
        self._wl_meter.settle_dropped()
        return cast("EnergyOfCall | None", self._wl_meter.last)

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        return (lambda *args, **kwargs: _Client(found(*args, **kwargs), self._wl_meter)) if name in COPIES else found

    def __enter__(self) -> Self:
        self._wl_target.__enter__()
        return self

    def __exit__(self, *raised: Any) -> Any:
        return self._wl_target.__exit__(*raised)

    async def __aenter__(self) -> Self:
        await self._wl_target.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> Any:
        return await self._wl_target.__aexit__(*raised)


class _Meter:
    """What all copies of one client share.

    State: what the latest call used, whether servers take our question for usage, streams that were dropped and wait to be settled,
    and the last base URL with its server.
    """

    def __init__(self, tenant: str | None, run: Run | None, on_energy: Callable[[EnergyOfCall], object] | None) -> None:
        self.tenant, self.run, self.on_energy = tenant, run, on_energy
        self.agent = _agent.agent()
        self.last: EnergyOfCall | None = None
        self.asks = True
        self.dropped: deque[Reading] = deque()
        self._server: tuple[object, tuple[str, int]] = (None, ("", 0))

    def counting(self, method: Callable[..., Any], kind: Kind, root: Any) -> Callable[..., Any]:
        """The same method, counted."""

        @wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            one = self._begun(kind, root, kwargs)
            if one is None:
                return method(*args, **kwargs)
            try:
                result = method(*args, **one.words)
            except Exception as refused:
                if not one.only_our_question(refused):
                    raise
                result = method(*args, **kwargs)
            if hasattr(result, "__await__"):
                return one.awaited(result, lambda: method(*args, **kwargs))
            return one.given(result)

        return call

    def _begun(self, kind: Kind, root: Any, words: dict[str, Any]) -> "_Call | None":
        try:
            self.settle_dropped()
            return _Call(self, kind, self.server(root), words)
        except Exception as bug:
            say_once("openai begin", f"a call is not counted: {bug!r}")
            return None

    def server(self, root: Any) -> tuple[str, int]:
        """Host and port of the client's base URL; empty where it has none."""
        url = getattr(root, "base_url", None)
        if url is not self._server[0]:
            parts = urlsplit(str(url))
            self._server = url, (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        return self._server[1]

    def settle_dropped(self) -> None:
        """Streams that nobody read to their end and nobody closed."""
        while self.dropped:
            self.dropped.popleft().end(exhausted=False)


def _left_unset(words: Mapping[str, Any]) -> bool:
    """Whether the caller says nothing of ``stream_options``; the library's own marks for "not given" are no mappings."""
    said, body = words.get("stream_options"), words.get("extra_body")
    return not isinstance(said, Mapping) and not (isinstance(body, Mapping) and "stream_options" in body)


class _Call:
    """One call on its way.  State: whether usage was asked for in the caller's place."""

    def __init__(self, meter: _Meter, kind: Kind, server: tuple[str, int], words: dict[str, Any]) -> None:
        self._meter, self._kind, self._server = meter, kind, server
        self._model = str(words.get("model") or "")
        self._run, self._span = meter.run or _calls.current_run(), _calls.recording_span()
        self._streams = bool(words.get("stream"))
        self._asked = kind.asks and meter.asks and self._streams and _left_unset(words)
        self.words = {**words, "stream_options": {"include_usage": True}} if self._asked else words
        self._began = _calls.now()

    def only_our_question(self, refused: Exception) -> bool:
        """Whether the server refused nothing but the question for usage, which is then put no more."""
        told = self._asked and getattr(refused, "status_code", None) in (400, 422) and "stream_options" in str(refused)
        if told:
            self._asked = self._meter.asks = False
        return told

    async def awaited(self, result: Awaitable[Any], again: Callable[[], Awaitable[Any]]) -> Any:
        """The result of an asynchronous call."""
        try:
            given = await result
        except Exception as refused:
            if not self.only_our_question(refused):
                raise
            given = await again()
        return self.given(given)

    def given(self, result: Any) -> Any:
        """What the caller gets: the same object, or the stream behind its watcher."""
        try:
            if not self._streams:
                self._settle(of_usage(getattr(result, "usage", None), generates=self._kind.generates), _of(result), None, cut=False)
                return result
            reading = Reading(self._stream_ended, hide=self._asked)
            watched = AsyncWatched if hasattr(result, "__aiter__") else Watched
            return watched(result, reading, self._meter.dropped.append)
        except Exception as bug:
            say_once("openai end", f"a call is not counted: {bug!r}")
            return result

    def _stream_ended(self, reading: Reading, cut: bool) -> None:
        try:
            counts = of_usage(reading.usage, generates=self._kind.generates)
            if cut:
                counts = counts._replace(note=f"the stream was cut: {counts.note or 'counted as far as it was told'}")
            self._settle(counts, (reading.id, reading.model), reading.first, cut=cut)
        except Exception as bug:
            say_once("openai end", f"a call is not counted: {bug!r}")

    def _settle(self, counts: Counts, names: tuple[str, str], first: datetime | None, *, cut: bool) -> None:
        meter = self._meter
        operation, model = self._kind.operation, self._model or names[1]
        trace, around = _calls.ids(self._span)
        began, ended = self._began, _calls.now()
        told = Told(operation, model, *self._server, began, first, ended, counts, meter.tenant, *names, trace, parent_id=around)
        meter.last = used = _calls.settle(told, self._run, meter.agent, cut=cut)
        _calls.write(self._span, used)
        if meter.on_energy is not None:
            meter.on_energy(used)


def _of(result: Any) -> tuple[str, str]:
    return str(getattr(result, "id", None) or ""), str(getattr(result, "model", None) or "")
