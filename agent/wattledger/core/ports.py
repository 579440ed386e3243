"""The sockets in the wall: what a source and an exporter must be, and how a source says that it failed.

A source is one file: ``open(host)`` finds its sensors, ``read`` reads them, ``examine(host)`` tells the doctor.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from wattledger.core.facts import IntensityFact, Signal
from wattledger.core.model import Device, Finding, Instant, Sample
from wattledger.core.totals import Sent as Sent
from wattledger.core.totals import Snapshot

Now = Callable[[], Instant]


class SourceFailed(Exception):
    """This read failed; the next may succeed.  The message is one line: what, where."""


class BadStatus(SourceFailed):
    """The server answered, with a status of 400 or more; ``retry_after_s`` where it said when to ask again.

    ``said``: its own line about it, where that is short and plain; a stranger's may hold anything, so the message does not.
    """

    def __init__(self, message: str, status: int, retry_after_s: float | None = None, said: str = "") -> None:
        super().__init__(message)
        self.status, self.retry_after_s, self.said = status, retry_after_s, said


class SourceGone(Exception):
    """There is no such sensor here, or not any more; do not ask again.  The message is one line: what, where, what to do."""


class Request(NamedTuple):
    """One HTTP GET, or a POST of ``body`` where there is one: ``timeout_s`` for all of it, ``limit_bytes`` for the reply.

    ``auth``: user and password; ``verify``: whether the server's certificate is checked, or the file of the authority to check it
    by.
    """

    url: str
    headers: Mapping[str, str] = MappingProxyType({})
    auth: tuple[str, str] | None = None
    verify: bool | str = True
    timeout_s: float = 5.0
    limit_bytes: int = 8_000_000
    body: bytes | None = None


# The reply's body; every failure (no answer, a status of 400 or more, too long) is SourceFailed with one line: what, where.
Fetch = Callable[[Request], bytes]


def no_fetch(request: Request) -> bytes:
    """For sessions that have no business on a network."""
    raise SourceFailed(f"{request.url}: nothing is fetched here")


class Host(NamedTuple):
    """What a source may know of the place it runs in; everything is handed in, nothing is looked up.

    ``roots`` are the process ids whose trees are metered.  ``pids_match`` is false in a PID namespace of its own, where the
    driver's process ids are not ours.  ``options`` is the source's own section of the configuration.  ``fetch`` may block: only a
    source that is read on a thread of its own calls it.
    """

    sysfs: str
    procfs: str
    environ: Mapping[str, str]
    roots: tuple[int, ...]
    pids_match: bool
    options: Mapping[str, object]
    fetch: Fetch = no_fetch


class Source(Protocol):
    """One kind of truth.

    ``edge``: whether it is read at every span boundary (energy registers only, cheap), or on full ticks alone.
    ``period_ns``: how often it must be read while a span is open; ``None`` leaves that to the sampler.
    """

    name: str
    edge: bool
    period_ns: int | None

    def devices(self) -> Sequence[Device]: ...

    def read(self, now: Now, full: bool) -> Iterable[Sample]:
        """Read now.  Each sample is stamped with ``now()`` right before its own call.

        With ``full`` false: energy registers only.  One device's failure is a ``Fault`` among the samples; the whole source's is
        ``SourceFailed`` or ``SourceGone``.
        """
        ...

    def close(self) -> None: ...


Open = Callable[[Host], Source]
Examine = Callable[[Host], Iterable[Finding]]


class GridPlace(NamedTuple):
    """What a grid provider may know; everything is handed in.

    ``options``: its own section of the configuration, less what is empty.  ``secret(NAME)``: a key by its setting's name, read
    from the environment or a file at each call, ``None`` where there is none; it never enters a message.  ``fetch`` may block.
    """

    options: Mapping[str, object]
    fetch: Fetch
    secret: Callable[[str], str | None]


class GridProvider(Protocol):
    """Who says what a zone's grid emits.  Blocking; called on the refresher's thread only.

    ``step_s``: the length of its slots.  ``licence``: of what it says, as stored beside it.
    """

    name: str
    signal: Signal
    boundary: str
    step_s: int
    licence: str

    def covers(self, zone: str) -> bool:
        """Whether it knows this zone (``DE``, ``US-CAMX``), as far as can be said without asking it."""
        ...

    def read(self, zone: str, start_s: int, end_s: int, now_s: int) -> Sequence[IntensityFact]:
        """What it says of ``[start_s, end_s)``, in whole slots, sorted; what it does not say is absent, never zero.

        Raises SourceFailed (ask again later; BadStatus with the server's word) or SourceGone (no use in asking: no key, not our
        zone).
        """
        ...

    def forecast(self, zone: str, now_s: int) -> Sequence[IntensityFact]:
        """What it expects from now on (``forecast`` set), sorted; empty where it does not say."""
        ...


class Renderer(Protocol):
    """An exporter that is asked: a snapshot becomes bytes in the form that ``accept`` (a MIME type) asks for."""

    def render(self, snapshot: Snapshot, accept: str = "") -> bytes: ...


class Pusher(Protocol):
    """An exporter that sends, on a thread of its own: ``push`` only hands over the newest snapshot and returns at once."""

    name: str

    def push(self, snapshot: Snapshot) -> None: ...

    def sent(self) -> Sent: ...

    def close(self, timeout_s: float) -> None:
        """Send what was handed over last, within ``timeout_s``, and stop.  Never raises."""
        ...
