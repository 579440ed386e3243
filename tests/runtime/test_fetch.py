"""One GET within a time and a size, from real servers on this machine."""

import base64
import gzip
import socket
import threading
import tracemalloc
from pathlib import Path

import pytest
from tests.runtime.answers import Script, answering, failure, serving, told, trickle

from wattledger.core.ports import BadStatus, Request, SourceFailed
from wattledger.runtime.fetch import make_fetch, shown
from wattledger.runtime.slurm.live import ask


def test_the_body_comes_back_and_the_headers_go_out() -> None:
    with serving(answering(told(b"hello"))) as server:
        fetch = make_fetch()
        assert fetch(Request(server.url("/a?b=c"), {"X-Me": "you"}, auth=("ann", "pä:ss"))) == b"hello"
        assert fetch(Request(server.url("/again"))) == b"hello"
    first, second = (request.decode() for request in server.requests)
    assert first.startswith("GET /a?b=c HTTP/1.1\r\n")
    assert "X-Me: you\r\n" in first
    assert base64.b64decode(first.split("Basic ")[1].split("\r\n")[0]).decode() == "ann:pä:ss"
    assert "Basic" not in second


def test_a_connection_is_kept_for_the_next_question() -> None:
    def twice(peer: socket.socket, _: bytes) -> None:
        reply = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n"
        peer.sendall(reply + b"1")
        assert peer.recv(65536).startswith(b"GET /2 ")
        peer.sendall(reply + b"2")

    with serving(twice) as server:
        fetch = make_fetch()
        assert [fetch(Request(server.url(path))) for path in ("/1", "/2")] == [b"1", b"2"]
    assert len(server.requests) == 1


def test_each_thread_has_connections_of_its_own() -> None:
    """One is kept waiting by its server; the other is answered meanwhile."""
    go = threading.Event()

    def late(peer: socket.socket, _: bytes) -> None:
        go.wait(10)
        peer.sendall(told(b"slow"))

    with serving(late) as slow, serving(answering(told(b"fast"))) as fast:
        fetch = make_fetch()
        found: list[bytes] = []
        waiting = threading.Thread(target=lambda: found.append(fetch(Request(slow.url(), timeout_s=10))))
        waiting.start()
        assert fetch(Request(fast.url())) == b"fast"
        assert found == []
        go.set()
        waiting.join()
    assert found == [b"slow"]


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503, 599])
def test_an_error_is_said_without_the_query_and_the_credentials(status: int) -> None:
    with serving(answering(told(b"no <b>", status=f"{status} Whatever the server says"))) as server:
        url = server.url("/api?token=s3cret").replace("//", "//user:s3cret@")
        said = failure(Request(url, {"Authorization": "Bearer s3cret"}, auth=("ann", "s3cret")))
    assert said.startswith(f"http://127.0.0.1:{server.port}/api: HTTP {status}")
    assert "s3cret" not in said
    assert "Whatever" not in said


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"", b""),
        (b"HTTP/1.1 200", b" "),
        (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["silence", "status", "headers", "body", "chunks"],
)
def test_the_time_is_for_all_of_it(head: bytes, drop: bytes) -> None:
    def silent(peer: socket.socket, _: bytes) -> None:
        peer.recv(1)

    with serving(trickle(head, drop) if drop else silent) as server:
        said = failure(Request(server.url("/slow"), timeout_s=0.3))
    assert said == f"http://127.0.0.1:{server.port}/slow: no answer within 0.3 s"


def endless(head: bytes, piece: bytes) -> Script:
    def script(peer: socket.socket, _: bytes) -> None:
        peer.sendall(head)
        while True:
            peer.sendall(piece)

    return script


@pytest.mark.parametrize(
    "script",
    [
        answering(told(b"x" * 1001)),
        endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536),
        endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"8000\r\n" + b"x" * 0x8000 + b"\r\n"),
        answering(told(gzip.compress(b"x" * 1001), "Content-Encoding: gzip")),
    ],
    ids=["length", "endless", "chunks", "gzip"],
)
def test_a_reply_is_read_no_further_than_its_limit(script: Script) -> None:
    with serving(script) as server:
        said = failure(Request(server.url("/big"), limit_bytes=1000))
    assert said == f"http://127.0.0.1:{server.port}/big: the reply is longer than 1000 bytes"


def test_a_reply_that_grows_a_thousandfold_is_not_inflated() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    limit = 2 * len(bomb)
    with serving(answering(told(bomb, "Content-Encoding: gzip"))) as server:
        fetch = make_fetch()
        with pytest.raises(SourceFailed):
            fetch(Request(server.url(), limit_bytes=10))  # everything is loaded once
        tracemalloc.start()
        try:
            with pytest.raises(SourceFailed, match=f"longer than {limit} bytes"):
                fetch(Request(server.url(), limit_bytes=limit))
            assert tracemalloc.get_traced_memory()[1] < 10 * limit
        finally:
            tracemalloc.stop()


def test_the_length_of_a_chunk_may_not_be_endless() -> None:
    with serving(endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0" * 65536)) as server:
        assert failure(Request(server.url(), limit_bytes=1000)).startswith(f"http://127.0.0.1:{server.port}/: the reply is ")


def test_a_reply_of_just_the_limit_is_read() -> None:
    with serving(answering(told(b"x" * 1000))) as server:
        assert make_fetch()(Request(server.url(), limit_bytes=1000)) == b"x" * 1000


def test_what_was_compressed_unasked_is_plain_again() -> None:
    with serving(answering(told(gzip.compress(b"hello"), "Content-Encoding: gzip"))) as server:
        assert make_fetch()(Request(server.url())) == b"hello"
    assert b"Accept-Encoding: identity\r\n" in server.requests[0]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (told(gzip.compress(b"x" * 100)[:-9], "Content-Encoding: gzip"), "the reply is compressed and broken"),
        (told(b"hello", "Content-Encoding: br"), "the reply is compressed and broken"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello", "the reply broke off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "the reply broke off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n", "the reply broke off"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the reply is not HTTP"),
        (b"", "the reply is not HTTP"),
    ],
    ids=["gzip", "brotli", "length", "chunk", "chunk-size", "ssh", "nothing"],
)
def test_a_broken_reply_is_a_failure_and_no_body(reply: bytes, why: str) -> None:
    with serving(answering(reply)) as server:
        assert failure(Request(server.url())) == f"http://127.0.0.1:{server.port}/: {why}"


def test_nobody_there_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert failure(Request(f"http://127.0.0.1:{port}/x?t=s3cret")) == f"http://127.0.0.1:{port}/x: connection refused"


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "http://[::1", "http://127.0.0.1:99999/", "nonsense", ""])
def test_what_is_no_url_is_a_failure(url: str) -> None:
    assert "\n" not in failure(Request(url))


def test_a_token_that_no_header_may_hold_is_not_repeated() -> None:
    assert "s3cret" not in failure(Request("http://127.0.0.1:9/", {"Authorization": "Bearer s3cret\r\nX: y"}))


# --- redirects ----------------------------------------------------------------------------------------------------------


def moved(location: str) -> bytes:
    return told(b"", f"Location: {location}", status="307 Temporary Redirect")


def test_a_redirect_within_the_server_is_followed() -> None:
    def script(peer: socket.socket, request: bytes) -> None:
        peer.sendall(told(b"here") if b"/new/" in request.split(b"\r\n")[0] else moved("new/"))

    with serving(script) as server:
        assert make_fetch()(Request(server.url("/old"), auth=("ann", "x"))) == b"here"
    assert all(b"Authorization: Basic" in request for request in server.requests)


def test_a_redirect_elsewhere_is_not_followed() -> None:
    with serving(answering(told(b"secret"))) as other:
        for target in (other.url(), f"http://localhost:{other.port}/", "file:///etc/passwd", "https://127.0.0.1/"):
            with serving(answering(moved(target))) as server:
                assert "redirects to" in failure(Request(server.url(), auth=("ann", "s3cret")))
    assert other.requests == []


def test_redirects_come_to_an_end() -> None:
    with serving(answering(moved("/round"))) as server:
        assert failure(Request(server.url())) == f"http://127.0.0.1:{server.port}/: redirected more than 3 times"


# --- the environment ----------------------------------------------------------------------------------------------------


def test_the_environments_proxy_and_netrc_are_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login eve password s3cret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(answering(told(b"direct"))) as server, serving(answering(told(b"proxied"))) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
        monkeypatch.delenv("no_proxy", raising=False)
        fetch = make_fetch()
        assert fetch(Request(server.url())) == b"direct"
    assert proxy.requests == []
    assert b"Authorization" not in server.requests[0]


def test_a_proxy_that_is_handed_in_is_used_within_the_same_bounds() -> None:
    with serving(answering(told(b"proxied"))) as proxy:
        assert make_fetch({"http": proxy.url()})(Request("http://far.example/x")) == b"proxied"
    assert proxy.requests[0].startswith(b"GET http://far.example/x HTTP/1.1\r\n")
    late = pytest.raises(SourceFailed, match=r"http://far\.example/x: no answer within 0\.3 s")
    with serving(trickle(b"HTTP/1.1 200", b" ")) as proxy, late:
        make_fetch({"http": proxy.url()})(Request("http://far.example/x", timeout_s=0.3))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://ann:pw@bmc:8443/redfish?x=1#y", "https://bmc:8443/redfish"),
        ("https://[fe80::1]:443/a", "https://[fe80::1]:443/a"),
        ("http://host:port/", "a malformed URL"),
        ("http://h/" + "x" * 500, "http://h/" + "x" * 191),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, said: str) -> None:
    assert shown(url) == said


@pytest.mark.parametrize(("reply", "said"), [
    (told(b"ask the group energy\nmore\n", "Content-Type: text/plain; charset=utf-8", status="403 x"), "ask the group energy"),
    (told(b"\x1b[31mred\r\n", "Content-Type: text/plain", status="421 x"), "[31mred"),
    (told(b"<h1>no</h1>", "Content-Type: text/html", status="403 x"), ""),
    (told(b"x" * 1000, "Content-Type: text/plain", status="403 x"), ""),
    (b"HTTP/1.1 403 x\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", ""),
    (b"HTTP/1.1 403 x\r\nContent-Type: text/plain\r\nContent-Length: 99\r\n\r\nbroke off", "broke off"),
], ids=["a line", "commands no terminal", "a page", "long", "of no length", "broken off"])  # fmt: skip
def test_a_refusals_own_line_is_beside_the_message_and_not_in_it(reply: bytes, said: str) -> None:
    with serving(answering(reply)) as server, pytest.raises(BadStatus) as refused:
        make_fetch()(Request(server.url("/metrics")))
    assert refused.value.said == said
    assert not said or said not in str(refused.value)
    assert refused.value.status in (403, 421)


def test_agents_that_refuse_are_told_of_in_their_own_words() -> None:
    with serving(answering(told(b"not for you\n", "Content-Type: text/plain", status="403 x"))) as server:
        [why] = ask(make_fetch(), [Request(server.url("/metrics"))], "17")
    assert isinstance(why, str)
    assert why.endswith(": HTTP 403 Forbidden: not for you")
