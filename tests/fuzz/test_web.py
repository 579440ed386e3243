"""The web server: whatever is said to it, it answers with a status or hangs up, and serves the next one."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from email.message import Message

import bcrypt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.fuzz.kit import bent_bytes, fuzzed, raw, texts
from tests.runtime.web_clients import all_of, ask, served
from tests.runtime.web_clients import raw as said

from wattledger.runtime import warn
from wattledger.runtime.web.access import Access
from wattledger.runtime.web.door import Door
from wattledger.runtime.web.handler import MOST_WORDS, accepts_gzip, words_of
from wattledger.runtime.web.pages import Accepts, Below, Page, Reads, Route, text
from wattledger.runtime.web.server import Web
from wattledger.runtime.web.stream import Limits

STATUSES = {200, 400, 401, 404, 405, 408, 411, 413, 414, 415, 421, 431, 500, 501, 503, 505}
REQUEST = (
    b"GET /echo?q=a%20b&sort=power HTTP/1.1\r\nHost: localhost:9909\r\nAccept: text/plain; q=0.5\r\n"
    b"Accept-Encoding: gzip\r\nAuthorization: Basic YTpi\r\n\r\n"
)
POST = b"POST /taken HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
RIGHT = bcrypt.hashpw(b"right", bcrypt.gensalt(4))
REPLY = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\r\n((?:[A-Za-z-]+: [^\r\n]*\r\n)*)\r\n", re.DOTALL)


def echo(_: Message, query: Mapping[str, str]) -> Page:
    assert len(query) <= MOST_WORDS
    return text(json.dumps(dict(query)))


def below(_: Message, __: Mapping[str, str], name: str) -> Page:
    return text(json.dumps(name), 200 if name else 404)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    pages: dict[str, Route] = {
        "/echo": Reads(echo),
        "/runs/": Below(below),
        "/taken": Accepts(lambda _, body: text(str(len(body)))),
        "/metrics": lambda _: text("up 1"),
    }
    with served(pages, limits=Limits(patience_s=1.0)) as web:
        yield web


def answered(web: Web, data: bytes) -> None:
    """A status and headers that nobody smuggled in, or nothing; no mistake of ours; and the next one is served."""
    before = {cause for cause in warn._said if cause.startswith("bug")}
    connection = said(web, data)
    with suppress(OSError):  # he may have hung up already
        connection.shutdown(1)  # no more will come
    reply = all_of(connection)
    connection.close()
    if reply:
        head = REPLY.match(reply)
        if head is None:  # to HTTP/0.9, which knows no head; so is answered who names no version, or none that there is
            assert not reply.startswith(b"HTTP/"), reply[:300]
            assert b"\r" not in reply
            return
        assert int(head[1]) in STATUSES
        names = {line.partition(b":")[0].lower() for line in head[2].split(b"\r\n") if line}
        assert names <= {b"server", b"date", b"content-type", b"content-length", b"connection", b"vary", b"cache-control",
        b"content-encoding", b"allow",
                         b"retry-after", b"www-authenticate"}  # fmt: skip
        assert int(head[1]) != 500
    assert {cause for cause in warn._said if cause.startswith("bug")} == before
    assert ask(web, "/metrics").body == b"up 1\n"


@fuzzed(2)
@given(
    raw
    | bent_bytes(REQUEST)
    | bent_bytes(POST)
    | texts.map(lambda t: b"GET /" + t.encode("utf-8", "replace") + b" HTTP/1.1\r\n\r\n")
)
@example(b"GET /echo?" + b"a=1&" * 5_000 + b" HTTP/1.1\r\n\r\n")
@example(b"GET /runs/" + b"%00%0d%0aX-Evil:%201" * 9 + b" HTTP/1.1\r\n\r\n")
@example(b"GET /runs/%ff%fe HTTP/1.1\r\n\r\n")
@example(b"GET http://[::1/x HTTP/1.1\r\n\r\n")
@example(b"GET //echo HTTP/1.1\r\n\r\n")
@example(b"GET / HTTP/9.9\r\n\r\n")
@example(b"GET / HTTP/1.1" + b"9" * 5_000 + b"\r\n\r\n")
@example(b"GET / HTTP/" + "²".encode() + b"." + "²".encode() + b"\r\n\r\n")
@example(b"GET /\r\n")
@example(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5_000 + b"\r\n")
@example(b"GET / HTTP/1.1\r\nAuthorization: Basic " + b"\xff" * 100 + b"\r\n\r\n")
@example(b"GET /echo HTTP/1.1\r\nAccept-Encoding: \x00\x01,;;;q=\r\n\r\n")
@example(b"GET /echo HTTP/1.1\r\n Folded: yes\r\nX:\r\n\ty\r\n\r\n")
@example(POST.replace(b"Content-Length: 2", b"Content-Length: 2\r\nContent-Length: 3"))
@example(POST.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked"))
@example(POST.replace(b"Content-Type: application/json", b"Content-Encoding: gzip"))
@example(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 300)
def test_whatever_is_said_is_answered_or_hung_up_on(web: Web, data: bytes) -> None:
    answered(web, data)


@fuzzed(3)
@given(
    texts.map(lambda t: t.encode("utf-8", "replace").decode())
    | st.lists(st.tuples(texts, texts), max_size=20).map(lambda pairs: "&".join("=".join(p) for p in pairs))
)
@example("&" * 100_000)
@example("a=" + "%" * 10_000)
@example("%ed%a0%80=%ff")
def test_any_query_is_a_few_words(query: str) -> None:
    found = words_of(query)
    assert len(found) <= MOST_WORDS
    assert all(isinstance(word, str) for pair in found.items() for word in pair)


@fuzzed(2)
@given(texts | raw.map(lambda data: "Basic " + b64encode(data).decode()))
@example("Basic " + "=" * 1_000)
@example("Basic " + b64encode(b"\xff:\xff").decode())
@example("Basic " + b64encode(b"ann:" + b"x" * 100_000).decode())
@example("Basic " + b64encode(b"ann:\0").decode())
def test_no_password_but_the_right_one_is_let_in(authorization: str) -> None:
    access = Access(users={"ann": RIGHT})
    assert Door("", lambda line: None).admits(access, authorization) is False


@fuzzed(2)
@given(texts)
def test_any_header_says_whether_gzip_is_wanted(accepted: str) -> None:
    assert accepts_gzip(accepted) in (True, False)
