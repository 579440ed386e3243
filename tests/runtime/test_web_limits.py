"""What a client can cost: a place for a while, and no more.  Nobody waits for the slow, and nobody is kept waiting by many."""

import socket
import threading
from collections.abc import Iterator
from email.message import Message

import pytest
from tests.runtime.web_clients import WAIT_S, all_of, ask, raw, served

from wattledger.runtime.web.pages import Page
from wattledger.runtime.web.server import Web
from wattledger.runtime.web.stream import Limits

HURRIED = Limits(patience_s=0.3)
GET = b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"


def large(_: Message) -> Page:
    """More than the kernel takes from us for a client that does not read."""
    return Page("text/plain", (b"x" * 65_536 for _ in range(512)))


class Gate:
    """A page that is not done before it is let through: in its making, or (``late``) in the making of its body."""

    def __init__(self, *, late: bool = False) -> None:
        self.inside = threading.Semaphore(0)
        self.through = threading.Event()
        self._late = late

    def __call__(self, _: Message) -> Page:
        return Page("text/plain", self._body()) if self._late else Page("text/plain", b"".join(self._body()))

    def _body(self) -> Iterator[bytes]:
        self.inside.release()
        assert self.through.wait(WAIT_S)
        yield b"through\n"


def served_again(web: Web) -> bool:
    """Whether the only place has become free, after a while."""
    return any(ask(web, "/healthz").status == 200 for _ in range(5_000))


def slow_reader(port: int) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(WAIT_S)
    connection.connect(("127.0.0.1", port))
    connection.sendall(GET)
    return connection


def test_who_reads_a_byte_at_a_time_keeps_nobody_waiting() -> None:
    with served({"/large": large}) as web, slow_reader(web.port) as slow:
        assert slow.recv(1) == b"H"
        assert len(ask(web, "/large").body) == 512 * 65_536
        assert slow.recv(1) == b"T"


def test_who_does_not_take_his_answer_in_time_is_cut() -> None:
    with served({"/large": large}, limits=HURRIED._replace(requests=1)) as web, slow_reader(web.port) as slow:
        assert slow.recv(1) == b"H"
        assert served_again(web)
        assert len(all_of(slow)) < 512 * 65_536


def test_who_never_ends_his_question_is_cut_and_is_told_nothing() -> None:
    with served({}, limits=HURRIED) as web, raw(web, b"GET /healthz HTTP/1.1\r\nX: ") as slow:
        assert all_of(slow) == b""


def test_a_byte_now_and_then_does_not_lengthen_the_time() -> None:
    with served({}, limits=HURRIED) as web, raw(web, b"GET /healthz HTTP/1.1\r\nX: ") as slow:
        ended = threading.Event()

        def drip() -> None:
            while not ended.wait(0.05):
                try:
                    slow.sendall(b"x")
                except OSError:
                    return

        dripping = threading.Thread(target=drip)
        dripping.start()
        assert all_of(slow) == b""
        ended.set()
        dripping.join()


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"X-A: " + b"x" * 40_000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", b"431"),
    ],
)
def test_a_head_beyond_the_limit_is_not_read(said: bytes, status: bytes) -> None:
    with served({}) as web:
        connection = socket.create_connection(("127.0.0.1", web.port), timeout=WAIT_S)
        with connection:
            try:
                connection.sendall(said)
                answer = all_of(connection)
            except OSError:
                answer = b""  # the rest of a long head meets a closed door
        assert not answer or status in answer.split(b"\r\n")[0]
        assert ask(web, "/healthz").status == 200


def test_beyond_so_many_requests_at_once_the_next_is_told_to_come_again() -> None:
    gate = Gate()
    with served({"/gate": gate}, limits=Limits(requests=2)) as web:
        held = [raw(web, b"GET /gate HTTP/1.1\r\n\r\n") for _ in range(2)]
        assert gate.inside.acquire(timeout=WAIT_S)
        assert gate.inside.acquire(timeout=WAIT_S)
        busy = ask(web, "/healthz")
        assert (busy.status, busy.headers["Retry-After"]) == (503, "1")
        gate.through.set()
        assert [all_of(connection)[-8:] for connection in held] == [b"through\n"] * 2
        for connection in held:
            connection.close()
        assert ask(web, "/gate").body == b"through\n"


def test_large_bodies_are_made_one_at_a_time_and_health_does_not_wait_for_them() -> None:
    gate = Gate(late=True)
    with served({"/gate": gate}) as web:
        held = [raw(web, b"GET /gate HTTP/1.1\r\n\r\n") for _ in range(3)]
        assert gate.inside.acquire(timeout=WAIT_S)
        assert not gate.inside.acquire(timeout=0.2)
        assert ask(web, "/healthz").status == 200
        gate.through.set()
        for connection in held:
            assert all_of(connection).endswith(b"through\n")
            connection.close()


def test_beyond_so_many_connections_the_next_is_closed_and_a_free_place_is_used() -> None:
    with served({}, limits=Limits(connections=1)) as web:
        with raw(web, b"GET ") as first:
            with raw(web, b"") as second:
                assert all_of(second) == b""
            first.sendall(b"/healthz HTTP/1.1\r\n\r\n")
            assert all_of(first).endswith(b"ok\n")
        for _ in range(200):
            with raw(web, b"GET /healthz HTTP/1.1\r\n\r\n") as third:
                if all_of(third).endswith(b"ok\n"):
                    break
        else:
            pytest.fail("the place was not given back")


def test_stopping_does_not_wait_for_the_idle() -> None:
    with served({}) as web:
        idle = raw(web, b"GET /heal")
    with idle:
        assert all_of(idle) == b""
