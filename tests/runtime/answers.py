"""A server on this machine that says what a test wants said, byte for byte."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from wattledger.core.ports import Request, SourceFailed
from wattledger.runtime.fetch import make_fetch

Script = Callable[[socket.socket, bytes], None]


def told(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def answering(reply: bytes) -> Script:
    def script(peer: socket.socket, _: bytes) -> None:
        peer.sendall(reply)

    return script


class Server:
    """Answers each connection by a script; keeps the requests it got.  State: the requests, whether it is over."""

    def __init__(self, script: Script, context: ssl.SSLContext | None = None) -> None:
        self.script, self.context = script, context
        self.requests: list[bytes] = []
        self.over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def url(self, path: str = "/") -> str:
        return f"http{'s' if self.context else ''}://127.0.0.1:{self.port}{path}"

    def _serve(self) -> None:
        while not self.over.is_set():
            peer, _ = self._listener.accept()
            try:
                if self.context is not None:
                    peer = self.context.wrap_socket(peer, server_side=True)
                request = b""
                while not request.endswith(b"\r\n\r\n"):
                    more = peer.recv(65536)
                    if not more:
                        break
                    request += more
                if request:
                    self.requests.append(request)
                    self.script(peer, request)
            except OSError:
                pass  # the client has had enough
            finally:
                peer.close()

    def close(self) -> None:
        self.over.set()
        with socket.create_connection(("127.0.0.1", self.port)):
            pass
        self._thread.join()
        self._listener.close()


@contextmanager
def serving(script: Script, context: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(script, context)
    try:
        yield server
    finally:
        server.close()


def failure(request: Request) -> str:
    with pytest.raises(SourceFailed) as failed:
        make_fetch()(request)
    return str(failed.value)


def trickle(head: bytes, drop: bytes) -> Script:
    """Sends a little for ever: no single read ever takes long."""

    def script(peer: socket.socket, _: bytes) -> None:
        peer.sendall(head)
        ended = threading.Event()
        while not ended.wait(0.02):
            peer.sendall(drop)

    return script
