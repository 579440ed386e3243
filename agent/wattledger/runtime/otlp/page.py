"""``POST /v1/traces``: OTLP/HTTP traces into the agent; spans of requests to models become request records.

Send it what an OpenTelemetry exporter sends: ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:9909/v1/traces``, as protobuf
(``application/x-protobuf``, where the agent has the extra ``otlp``) or JSON (``application/json``), gzip or not.  vLLM: the same
with ``--otlp-traces-endpoint`` and ``OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf``.  Where an engine's spans name neither
model nor address and several engines run, give it ``OTEL_RESOURCE_ATTRIBUTES=server.address=127.0.0.1,server.port=8000``.

A span tells of a request by ``gen_ai.operation.name`` or by its token counts (names: ``received``); other spans are taken and
forgotten.  Answers, as OTLP/HTTP asks: 200 with an ExportTraceServiceResponse, whose ``partial_success`` says how many requests'
spans could not be believed and why; 400 for what is not OTLP, 413 for more than 20,000 spans, 415 for another form, 429 and 503
with ``Retry-After`` where nothing was taken and the same may be sent again.  A request that several spans tell of counts once
(``once``).

Who may send is who may read: the web server's TLS and users hold; without them it listens on the loopback only, unless told
otherwise.  A record shifts energy between the requests of one model, never between workloads, and nothing is metered by it.
Whom a request is charged to is said by ``wattledger.tenant`` alone; names of people that spans may carry (``enduser.id``,
``user.id``) are not read unless ``tenants`` names them.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from email.message import Message
from typing import NamedTuple, Protocol

from wattledger.core.model import Instant, Sample
from wattledger.core.units import NS_PER_S
from wattledger.runtime.otlp import jsonform, protobuf
from wattledger.runtime.otlp.once import Once
from wattledger.runtime.otlp.received import TENANT, Heard, Rejected, heard, tells_of_a_request, wanted
from wattledger.runtime.otlp.span import NotHere, Span, Wanted, WrongForm
from wattledger.runtime.warn import warn_once
from wattledger.runtime.web.pages import Page

PER_S = 20_000  # records, and spans in one delivery
MOST_WAITING = 100_000
PATIENCE_S = 5.0  # for deliveries that came before
AT_ONCE = 64  # spans between two breaths: a thread that holds the interpreter for long delays the sampler
BREATH_S = 0.0001
INVALID_ARGUMENT, RESOURCE_EXHAUSTED, UNAVAILABLE = 3, 8, 14  # google.rpc.Code
AGAIN = {"Retry-After": "1"}
_NEVER = threading.Event()


class Form(Protocol):
    """How traces and answers are written: a module."""

    CONTENT_TYPE: str

    def spans(self, body: bytes, wanted: Wanted) -> Iterator[Span]: ...

    def answer(self, rejected: int, words: str) -> bytes: ...

    def failure(self, code: int, words: str) -> bytes: ...


FORMS: Mapping[str, Form] = {"application/x-protobuf": protobuf, "application/protobuf": protobuf, "application/json": jsonform}
OTHER_FORM = f"send {protobuf.CONTENT_TYPE} or {jsonform.CONTENT_TYPE}"


class Tally(NamedTuple):
    """What came in since the agent began: requests ``taken``, told ``again``, and ``rejected`` by reason."""

    taken: int
    again: int
    rejected: Mapping[str, int]


class Traces:
    """The page; hands each delivery's requests to ``put`` as one.  Any thread.

    ``waiting``: how many records have been handed over and are not worked off yet, if anybody can tell.  ``per_s``: so many
    records a second.  State, under its lock: what was told already, how many records may come just now, and the tally.
    """

    def __init__(
        self,
        put: Callable[[Iterable[Sample]], None],
        now: Callable[[], Instant],
        *,
        tenants: Sequence[str] = (TENANT,),
        waiting: Callable[[], int] = lambda: 0,
        per_s: int = PER_S,
    ) -> None:
        self._put, self._now, self._waiting = put, now, waiting
        self._tenants, self._wanted = tuple(tenants), wanted(tenants)
        self._lock = threading.Lock()
        self._once = Once()
        self._per_s = self._room = per_s
        self._room_at_ns = now().mono_ns
        self._taken = self._again = 0
        self._rejected: Counter[str] = Counter()

    @property
    def tally(self) -> Tally:
        """Sums since the agent began."""
        with self._lock:
            return Tally(self._taken, self._again, dict(self._rejected))

    def serve(self, headers: Message, body: bytes) -> Page:
        """One delivery: taken whole or, but for single spans that are wrong, not at all."""
        form = FORMS.get(headers.get_content_type())
        if form is None:
            return _failed(jsonform, 415, INVALID_ARGUMENT, OTHER_FORM)
        if not self._lock.acquire(timeout=PATIENCE_S):
            return _failed(form, 503, UNAVAILABLE, "busy: other deliveries are being read")
        try:
            return self._delivered(form, body)
        except WrongForm as wrong:
            return _failed(form, 400, INVALID_ARGUMENT, str(wrong))
        except NotHere as missing:
            return _failed(form, 415, INVALID_ARGUMENT, str(missing))
        finally:
            self._lock.release()

    def _delivered(self, form: Form, body: bytes) -> Page:
        now = self._now()
        spans: list[Span] = []
        told: list[Heard] = []
        rejected: Counter[str] = Counter()
        for span in form.spans(body, self._wanted):
            if len(spans) % AT_ONCE == 0:
                _NEVER.wait(BREATH_S)
            spans.append(span)
            if len(spans) > self._per_s:
                return _failed(form, 413, INVALID_ARGUMENT, f"at most {self._per_s} spans are taken at once")
            if tells_of_a_request(span):
                try:
                    told.append(heard(span, now, self._tenants))
                except Rejected as reason:
                    rejected[str(reason)] += 1
        self._once.learn(spans, now.mono_ns)
        sifted = self._once.sift(told)
        if not self._has_room(len(sifted.new), now.mono_ns):
            return _failed(form, 429, RESOURCE_EXHAUSTED, f"more than {self._per_s} requests a second, or {MOST_WAITING} waiting")
        if sifted.new:
            self._put([one.request for one in sifted.new])
        self._once.remember(sifted, now.mono_ns)
        self._count(len(sifted.new), len(sifted.again), rejected)
        return Page(form.CONTENT_TYPE, form.answer(rejected.total(), _line(rejected)))

    def _has_room(self, n: int, at_ns: int) -> bool:
        """Whether ``n`` records may come now; then they have."""
        gone_ns = at_ns - self._room_at_ns
        if gone_ns > 0:
            grown = self._per_s * min(gone_ns, NS_PER_S) // NS_PER_S
            if grown:
                self._room, self._room_at_ns = min(self._per_s, self._room + grown), at_ns
        if n > self._room or (n and n + self._waiting() > MOST_WAITING):
            return False
        self._room -= n
        return True

    def _count(self, taken: int, again: int, rejected: Counter[str]) -> None:
        self._taken += taken
        self._again += again
        self._rejected += rejected
        for reason in rejected:
            warn_once(f"traces: {reason}", f"/v1/traces: a request's span was rejected: {reason}; others like it are only counted")


def _line(rejected: Mapping[str, int]) -> str:
    return "; ".join(f"{n} rejected: {reason}" for reason, n in sorted(rejected.items()))


def _failed(form: Form, status: int, code: int, words: str) -> Page:
    return Page(form.CONTENT_TYPE, form.failure(code, words), status, AGAIN if status in (429, 503) else {})
