"""A span as both wire forms give it: only what may tell of a request to a model."""

from collections.abc import Mapping
from typing import NamedTuple

Said = str | int | float | bool
SERVER = 2  # SPAN_KIND_SERVER of opentelemetry-proto's trace.proto
MOST_CHARS = 512  # of a text; a longer one is no name of anything


class WrongForm(Exception):
    """This body is not OTLP traces; the message is one line: where and what."""


class NotHere(Exception):
    """This form cannot be read here; the message is one line: why, and what to do."""


class Span(NamedTuple):
    """``trace``, ``id`` and ``parent``: 16, 8 and 8 bytes, empty where not told.  Times in nanoseconds of the wall clock.

    ``said``: the attributes that were wanted, the span's own over its resource's.  ``events``: (name, nanoseconds).  ``scope``: the
    library that wrote it.
    """

    trace: bytes
    id: bytes
    parent: bytes
    kind: int
    start_ns: int
    end_ns: int
    said: Mapping[str, Said]
    events: tuple[tuple[str, int], ...]
    scope: str


class Wanted(NamedTuple):
    """Names of attributes to be read, of a span and of its resource; prompts and answers, which spans may hold too, never are."""

    span: frozenset[str]
    resource: frozenset[str]
