"""The HTTP server: bounded in requests, in time and in bytes, so that no client can cost the agent more than a little."""

import contextlib
import socket
import socketserver
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from wattledger.runtime import clock
from wattledger.runtime.warn import warn_once
from wattledger.runtime.web.access import Access
from wattledger.runtime.web.door import Door
from wattledger.runtime.web.handler import Handler
from wattledger.runtime.web.listen import bind
from wattledger.runtime.web.pages import Accepts, Below, Route, healthy, index
from wattledger.runtime.web.readers import Readers, in_groups
from wattledger.runtime.web.stream import Limits

DEFAULT = Limits()
POLL_S = 0.25  # how long ``stop`` may wait for the listening thread
LAST_ANSWERS_S = 1.0  # for answers under way when the agent stops


def say(line: str) -> None:
    """A line in the agent's log (standard error)."""
    print(f"wattledger: {line}", file=sys.stderr, flush=True)


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A thread for each connection.  State: the places that are free, and the connections that are open."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, listener: socket.socket, door: Door, readers: Readers, *, pages: Mapping[str, Route], limits: Limits
    ) -> None:
        super().__init__(listener.getsockname(), Handler, bind_and_activate=False)  # type: ignore[arg-type]  # made in finish_request
        self.socket.close()
        self.socket = listener
        self.door, self.readers, self.pages, self.limits = door, readers, pages, limits
        self.requests = threading.Semaphore(limits.requests)
        self.bodies = threading.Semaphore(limits.bodies)
        self.making = threading.Lock()
        self._places = threading.Semaphore(limits.connections)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        """On the listening thread: never waits for a client."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()  # no thread could be started
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """On the connection's own thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        access = self.door.current()
        with self._connected(request, access) as connection:
            Handler(connection, client_address, self, access)

    @contextlib.contextmanager
    def _connected(self, request: socket.socket, access: Access) -> Iterator[socket.socket]:
        request.settimeout(self.limits.patience_s)
        if access.tls is not None:
            connection: socket.socket = access.tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        else:
            connection = request
        self._open.add(connection)
        try:
            if access.tls is not None:
                connection.do_handshake()  # type: ignore[attr-defined]
            yield connection
        finally:
            self._open.discard(connection)
            if connection is not request:
                connection.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went, was slow or speaks no TLS is his own affair; anything else is our mistake, said once."""
        failure = sys.exception()
        if not isinstance(failure, OSError):
            warn_once(f"bug in the web server: {type(failure).__name__}", traceback.format_exc().rstrip())

    def settle(self, patience_s: float) -> bool:
        """Wait until no connection is open; whether none is."""
        until_ns = clock.elapsed_ns() + round(patience_s * 1e9)
        taken = 0
        while taken < self.limits.connections and self._places.acquire(timeout=max(0.0, (until_ns - clock.elapsed_ns()) / 1e9)):
            taken += 1
        for _ in range(taken):
            self._places.release()
        return taken == self.limits.connections

    def cut(self) -> None:
        """End every connection, whatever it is doing."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # past TLS's own, which is for its own thread


class Web:
    """Serves ``pages`` (path → what makes the page), ``/healthz`` and, where ``/`` is not one of them, a small index on ``listen``;
    plain or by ``config_file``; ``readers``: who of this machine may read, anyone where that is not said.

    ``start`` raises ConfigError (address, port, web configuration) and returns at once.  Pages are made on the
    request's own thread.
    """

    def __init__(
        self,
        listen: str,
        pages: Mapping[str, Route],
        config_file: str = "",
        *,
        say: Callable[[str], None] = say,
        limits: Limits = DEFAULT,
        readers: Readers | None = None,
    ) -> None:
        self._listen, self._config_file, self._say, self._limits = listen, config_file, say, limits
        self._readers = readers or Readers("anyone", in_groups(frozenset()))
        self._pages: dict[str, Route] = {"/healthz": healthy, **pages}
        plain = (path for path, page in self._pages.items() if not isinstance(page, (Accepts, Below)))
        self._pages.setdefault("/", index(sorted(plain)))
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen, and answer from a thread of its own."""
        door = Door(self._config_file, self._say)
        self._server = server = Server(bind(self._listen), door, self._readers, pages=self._pages, limits=self._limits)
        self._thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), name="wattledger-web", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on, which the system chose where 0 was asked for."""
        assert self._server is not None, "not started"
        return int(self._server.socket.getsockname()[1])

    @property
    def scheme(self) -> str:
        """``https`` where TLS is in force."""
        assert self._server is not None, "not started"
        return "https" if self._server.door.current().tls is not None else "http"

    def reload(self) -> None:
        """Read the web configuration again; a bad one is said and the one before stays in force."""
        if self._server is not None:
            self._server.door.current(again=True)

    def stop(self) -> None:
        """Take no more requests; answers under way get a second."""
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        server.shutdown()
        self._thread.join()
        server.server_close()
        if not server.settle(LAST_ANSWERS_S):
            server.cut()
            server.settle(LAST_ANSWERS_S)
