"""A grid provider's service on this machine, over HTTP: what it says is written by the test, in the documented form."""

import json
import ssl
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

import pytest
from tests.runtime.answers import Server, serving, told

from wattledger.core.ports import GridPlace, Request, SourceFailed, SourceGone
from wattledger.runtime.fetch import make_fetch

KEY = "k3y-that-nobody-may-see"
HOUR = 3_600
DAY = 86_400


class Asked(NamedTuple):
    """A request as it arrived; names of headers in lower case."""

    path: str
    words: Mapping[str, str]
    headers: Mapping[str, str]


Reply = object  # bytes: a whole HTTP reply; a function of the request; else what is sent as JSON


class Service:
    """State: the replies by path (a test may change them), the requests in their order, the server once there is one."""

    def __init__(self, replies: Mapping[str, Reply]) -> None:
        self.replies = dict(replies)
        self.asked: list[Asked] = []
        self.server: Server | None = None

    def answer(self, request: bytes) -> bytes:
        asked = _parsed(request)
        self.asked.append(asked)
        # NESO's bounds are part of its path.
        known = next((path for path in self.replies if asked.path == path or asked.path.startswith(path + "/")), None)
        if known is None:
            return told(b"{}", status="404 Not Found")
        reply = self.replies[known]
        if callable(reply):
            reply = reply(asked)
        return reply if isinstance(reply, bytes) else told(json.dumps(reply).encode())

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def place(self, *, key: str | None = KEY, timeout_s: float = 5.0, **options: object) -> GridPlace:
        assert self.server is not None
        fetch = make_fetch()

        def hurried(request: Request) -> bytes:
            return fetch(request._replace(timeout_s=timeout_s))

        return GridPlace({"url": self.server.url("/api").rstrip("/"), **options}, hurried, lambda name: key)


def _parsed(request: bytes) -> Asked:
    head, *lines = request.decode().split("\r\n\r\n")[0].split("\r\n")
    parts = urlsplit(head.split(" ")[1])
    headers = dict(line.split(": ", 1) for line in lines)
    return Asked(
        parts.path.removeprefix("/api"), dict(parse_qsl(parts.query)), {name.lower(): text for name, text in headers.items()}
    )


@contextmanager
def standing(replies: Mapping[str, Reply], context: ssl.SSLContext | None = None) -> Iterator[Service]:
    service = Service(replies)
    with serving(lambda peer, request: peer.sendall(service.answer(request)), context) as service.server:
        yield service


def refusal(status: str, *headers: str) -> bytes:
    return told(b'{"error": "not for you"}', *headers, status=status)


def failed(ask: Callable[[], object], kind: type[Exception] = SourceFailed) -> str:
    """The one line that ``ask`` fails with; the key is neither in it nor in what a traceback would show."""
    with pytest.raises((SourceFailed, SourceGone)) as caught:
        ask()
    assert isinstance(caught.value, kind)
    line = str(caught.value)
    assert KEY not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert line
    assert "\n" not in line
    return line


def at(text: str) -> int:
    """Seconds since the epoch of a UTC time like 2026-03-29T01:00."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def said(at_s: int, form: str = "%Y-%m-%dT%H:%M:%S.000Z") -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime(form)
