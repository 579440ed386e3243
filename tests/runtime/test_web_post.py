"""Pages that take POST: the body comes whole or not at all, within limits of size and time, and reading is served as ever."""

import gzip
import socket
import threading
import zlib
from email.message import Message
from pathlib import Path

import bcrypt
import pytest
from tests.runtime.web_clients import WAIT_S, all_of, ask, raw, served

from wattledger.runtime.web.body import BODY_BYTES, UNPACKED_BYTES
from wattledger.runtime.web.pages import Accepts, Page, Route, text
from wattledger.runtime.web.server import Web
from wattledger.runtime.web.stream import Limits


def lengths(headers: Message, body: bytes) -> Page:
    """What arrived, in a line."""
    return text(f"{len(body)} bytes, crc {zlib.crc32(body)}")


PAGES: dict[str, Route] = {"/in": Accepts(lengths), "/out": lambda headers: text("out")}


def told(body: bytes) -> bytes:
    return f"{len(body)} bytes, crc {zlib.crc32(body)}\n".encode()


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize("n_bytes", [0, 1, 8_191, 8_192, 8_193, 100_000, BODY_BYTES])
def test_a_body_arrives_whole(n_bytes: int) -> None:
    body = (b"wattledger" * (n_bytes // 10 + 1))[:n_bytes]
    with served(PAGES) as web:
        reply = ask(web, "/in", "POST", body=body)
    assert (reply.status, reply.body) == (200, told(body))


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("GZIP", gzip.compress)])
def test_a_packed_body_is_unpacked(encoding: str, pack: object) -> None:
    assert callable(pack)
    body = b"watt" * 100_000
    with served(PAGES) as web:
        reply = ask(web, "/in", "POST", body=pack(body), Content_Encoding=encoding)
    assert reply.body == told(body)


def test_a_body_that_unpacks_to_more_than_the_limit_is_refused_before_it_is_unpacked() -> None:
    with served(PAGES) as web:
        at_most = ask(web, "/in", "POST", body=gzip.compress(bytes(UNPACKED_BYTES)), Content_Encoding="gzip")
        bomb = ask(web, "/in", "POST", body=gzip.compress(bytes(500_000_000), 1), Content_Encoding="gzip")
    assert (at_most.status, bomb.status) == (200, 413)


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content_Encoding": "gzip"}, b"no gzip", 400),
        ({"Content_Encoding": "gzip"}, gzip.compress(b"x" * 9_000, mtime=0)[:-9], 400),
        ({"Content_Encoding": "gzip"}, gzip.compress(b"x", mtime=0) + b"more", 400),
        ({"Content_Encoding": "br"}, b"x", 415),
        ({"Content_Length": "-1"}, b"", 400),
        ({"Content_Length": "1x"}, b"", 400),
        ({"Content_Length": "\xb2"}, b"", 400),
        ({"Content_Length": str(BODY_BYTES + 1)}, b"", 413),
        ({"Content_Length": "9" * 5_000}, b"", 413),
        ({"Transfer_Encoding": "chunked"}, b"1\r\nx\r\n0\r\n\r\n", 411),
    ],
)
def test_what_is_not_one_whole_body_is_refused_in_one_line(headers: dict[str, str], body: bytes, status: int) -> None:
    with served(PAGES) as web:
        reply = ask(web, "/in", "POST", tls=None, body=body, **headers)
        assert (reply.status, reply.body.count(b"\n")) == (status, 1)
        assert ask(web, "/out").status == 200


@pytest.mark.parametrize(("lines", "status"), [(b"", 411), (b"Content-Length: 1\r\nContent-Length: 2\r\n", 400)])
def test_without_one_length_a_body_is_not_begun(lines: bytes, status: int) -> None:
    with served(PAGES) as web, raw(web, b"POST /in HTTP/1.1\r\n" + lines + b"\r\nxy") as connection:
        assert status_of(all_of(connection)) == status


def test_a_body_that_ends_early_is_refused() -> None:
    with served(PAGES) as web, raw(web, b"POST /in HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf") as connection:
        connection.shutdown(socket.SHUT_WR)
        assert status_of(all_of(connection)) == 400


def test_a_body_that_does_not_come_in_time_is_cut_and_is_told_nothing() -> None:
    with (
        served(PAGES, limits=Limits(patience_s=0.3)) as web,
        raw(web, b"POST /in HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf") as connection,
    ):
        assert all_of(connection) == b""
        assert ask(web, "/out").status == 200


def test_who_asks_before_he_sends_is_told_to_go_on() -> None:
    with served(PAGES) as web, raw(web, b"POST /in HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n") as connection:
        assert connection.recv(4_096).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"ok")
        assert all_of(connection).endswith(told(b"ok"))


def test_a_page_takes_what_it_says_it_takes_and_nothing_else() -> None:
    with served(PAGES) as web:
        assert [ask(web, "/in", method).status for method in ("GET", "HEAD", "PUT")] == [405, 405, 405]
        assert ask(web, "/in").headers["Allow"] == "POST"
        assert (ask(web, "/out", "POST").status, ask(web, "/out", "POST").headers["Allow"]) == (405, "GET, HEAD")
        assert ask(web, "/nowhere", "POST").status == 404
        assert b'href="/in"' not in ask(web, "/").body


def test_who_may_not_read_may_not_send_and_hears_why_though_his_body_is_long(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text(f"basic_auth_users:\n  alice: {bcrypt.hashpw(b'right', bcrypt.gensalt(4)).decode()}\n")
    with served(PAGES, str(tmp_path / "web.yml")) as web:
        assert ask(web, "/in", "POST", body=bytes(3_000_000)).status == 401
        assert ask(web, "/in", "POST", body=b"x", Authorization="Basic YWxpY2U6cmlnaHQ=").body == told(b"x")


def test_a_refused_body_is_heard_to_its_end_so_that_the_answer_arrives() -> None:
    with served(PAGES) as web:
        assert [ask(web, "/out", "POST", body=bytes(BODY_BYTES)).status for _ in range(5)] == [405] * 5


def test_beyond_so_many_bodies_at_once_the_next_is_told_to_come_again_and_readers_are_served() -> None:
    inside, through = threading.Semaphore(0), threading.Event()

    def held(headers: Message, body: bytes) -> Page:
        inside.release()
        assert through.wait(WAIT_S)
        return text("through")

    with served({"/held": Accepts(held), **PAGES}, limits=Limits(bodies=2)) as web:
        waiting = [raw(web, b"POST /held HTTP/1.1\r\nContent-Length: 1\r\n\r\nx") for _ in range(2)]
        assert inside.acquire(timeout=WAIT_S)
        assert inside.acquire(timeout=WAIT_S)
        busy = ask(web, "/in", "POST", body=b"x")
        assert (busy.status, busy.headers["Retry-After"]) == (503, "1")
        assert ask(web, "/out").status == 200
        through.set()
        assert [all_of(connection)[-8:] for connection in waiting] == [b"through\n"] * 2
        for connection in waiting:
            connection.close()
        assert served_again(web)


def served_again(web: Web) -> bool:
    return any(ask(web, "/in", "POST", body=b"x").status == 200 for _ in range(5_000))


def test_a_page_that_fails_on_a_body_is_our_mistake_and_the_next_body_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    def serve(headers: Message, body: bytes) -> Page:
        if body == b"bad":
            raise ZeroDivisionError("post mistake")
        return text("fine")

    with served({"/may-fail": Accepts(serve)}) as web:
        assert ask(web, "/may-fail", "POST", body=b"bad").status == 500
        assert ask(web, "/may-fail", "POST", body=b"good").body == b"fine\n"
    assert "post mistake" in capsys.readouterr().err


def test_an_answers_own_headers_are_sent() -> None:
    page = Page("text/plain", b"later\n", 429, {"Retry-After": "7"})
    with served({"/later": Accepts(lambda headers, body: page)}) as web:
        reply = ask(web, "/later", "POST", body=b"x")
    assert (reply.status, reply.headers["Retry-After"]) == (429, "7")
