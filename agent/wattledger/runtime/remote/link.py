"""The program's end of the control socket: sends that never wait, one thread that listens and comes back when the agent does."""

import contextlib
import json
import os
import select
import socket
import threading
import traceback
from collections import deque
from typing import Any, Protocol

from wattledger.runtime import clock
from wattledger.runtime.warn import warn_once

CONNECT_S = 0.5
GREET_S = 2.0  # once in a program: a loaded node must not be metered twice
RETRY_S = (0.5, 5.0)
BUFFER_BYTES = 256 * 1024
# The agent hangs up on who says more than 20,000 lines in a second: in none are there more than these two together.
LINES = 4_000
LINES_PER_S = 14_000
BACKLOG = 512
LAST_S = 0.2
LONGEST_REPLY = 4 * 1024 * 1024
MANY = 64  # lines sent in one go, and lines queued between two looks at how much has gathered


class Refused(Exception):
    """The agent cannot be had; one line: what, why."""


class Listener(Protocol):
    """Who a link serves; all is called on the link's thread."""

    def hello(self) -> bytes: ...

    def up(self, reply: dict[str, Any]) -> None: ...

    def down(self, why: str) -> None: ...

    def heard(self, message: dict[str, Any]) -> None: ...

    def idle(self) -> float | None:
        """What is to be done now and then; returns in how many seconds again (``None``: not before ``rouse``)."""
        ...


def connect(path: str, hello: bytes) -> tuple[socket.socket, dict[str, Any], bytes]:
    """Connect and say hello; returns the socket (non-blocking), the reply, and what came after it.  Raises Refused."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(CONNECT_S)
        connection.connect(path)
        connection.settimeout(GREET_S)
        connection.send(hello, socket.MSG_NOSIGNAL)
        data, until_ns = b"", clock.elapsed_ns() + round(GREET_S * 1e9)
        while b"\n" not in data:
            more = connection.recv(65536)
            if not more:
                break
            data += more
            if len(data) > LONGEST_REPLY or clock.elapsed_ns() > until_ns:
                raise ValueError("its greeting has no end")
        line, _, rest = data.partition(b"\n")
        reply = json.loads(line or b"{}")
        if not isinstance(reply, dict) or reply.get("ok") is not True:
            raise Refused(str(reply["error"]) if isinstance(reply, dict) and "error" in reply else "it hung up")
        connection.setblocking(False)
    except (OSError, ValueError, RecursionError) as failure:  # the last: brackets without end
        connection.close()
        raise Refused(getattr(failure, "strerror", None) or str(failure) or "no answer") from None
    except Refused:
        connection.close()
        raise
    return connection, reply, rest


class Link:
    """State: the connection (``up`` while there is one), lines not sent yet, the bytes of a line half sent, how many more may be
    said now, and the thread.

    ``send`` is called by any thread and in signal handlers: it takes no lock that it would have to wait for.
    """

    def __init__(self, path: str, listener: Listener) -> None:
        """Raises Refused."""
        self.up = False
        self._path, self._listener = path, listener
        self._out: deque[bytes] = deque()
        self._rest = b""
        self._sending = threading.Lock()
        self._blocked = False
        self._parked = False
        self._stopped = False
        self._why = ""
        self._room, self._filled_ns = LINES, 0
        self._connect()
        self._wakes, self._wake = os.pipe()
        os.set_blocking(self._wakes, False)
        os.set_blocking(self._wake, False)
        self._thread = threading.Thread(target=self._run, name="wattledger-agent-link", daemon=True)
        self._thread.start()

    def _connect(self) -> None:
        self._connection, reply, self._in = connect(self._path, self._listener.hello())
        self.up = True
        try:
            self._listener.up(reply)
        except (LookupError, TypeError, ValueError):
            self.up = False
            self._connection.close()
            raise Refused("its greeting makes no sense") from None

    # --- the program's side ---------------------------------------------------------------------------------------------

    def send(self, line: bytes) -> None:
        """Send a line, now if the socket takes it, or when it does; nothing when the agent is away."""
        if not self.up:
            return
        self._out.append(line)
        self._room -= 1
        # Who finds the lock taken leaves his line to its holder, who looks again after he has let go.
        while self._out and not self._blocked and self._sending.acquire(blocking=False):
            try:
                self._drain()
            finally:
                self._sending.release()
        if self._blocked and len(self._out) % MANY == 0:
            with contextlib.suppress(RuntimeError):  # another thread is adding: the next look will do
                if sum(map(len, self._out)) > BUFFER_BYTES:
                    self._hang_up("it did not keep up with what was said")

    def is_full(self, at_ns: int) -> bool:
        """Whether so much was said lately, or waits to be sent, that what can be left out should be."""
        if at_ns - self._filled_ns > 1_000_000:
            self._room = min(LINES, self._room + (at_ns - self._filled_ns) * LINES_PER_S // 1_000_000_000)
            self._filled_ns = at_ns
        return self._room < 0 or len(self._out) > BACKLOG

    def _drain(self) -> None:
        try:
            while self._rest or self._out:
                lines = [self._out.popleft() for _ in range(min(MANY, len(self._out)))]
                self._rest += b"".join(lines) if len(lines) != 1 else lines[0]
                sent = self._connection.send(self._rest, socket.MSG_NOSIGNAL)
                self._rest = self._rest[sent:]
        except BlockingIOError:
            self._blocked = True
            self.rouse()
        except OSError:
            self._out.clear()  # the thread sees the end of the connection, too

    def _hang_up(self, why: str) -> None:
        self._why = why
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def rouse(self, *, if_parked: bool = False) -> None:
        """Have the thread look around."""
        if if_parked and not self._parked:
            return
        self._parked = False
        with contextlib.suppress(OSError):
            os.write(self._wake, b"\0")

    def stop(self) -> None:
        """Send what is left, shortly, and hang up."""
        self._stopped = True
        if self.up and self._blocked:
            with contextlib.suppress(OSError), self._sending:
                self._connection.settimeout(LAST_S)
                self._connection.sendall(self._rest + b"".join(self._out), socket.MSG_NOSIGNAL)
        self._hang_up("")
        self.rouse()
        self._thread.join(timeout=1.0)

    def forked(self) -> None:
        """In a forked child: the connection is the parent's, and must end when it does."""
        self.up = False
        for fd in (self._wakes, self._wake):
            with contextlib.suppress(OSError):
                os.close(fd)
        self._connection.close()

    # --- the thread -----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._live()
        except Exception:
            # Ours, not the program's: said once, and its runs go on unmeasured.
            warn_once("bug in the agent's link", traceback.format_exc().rstrip())
            self.up = False
            self._listener.down("a bug in the link")
        for fd in (self._wakes, self._wake):
            os.close(fd)

    def _live(self) -> None:
        wait_s = RETRY_S[0]
        while not self._stopped:
            if self.up:
                self._serve()
                wait_s = RETRY_S[0]
            elif not self._again():
                self._pause(wait_s)
                wait_s = min(wait_s * 1.5, RETRY_S[1])

    def _serve(self) -> None:
        poll = select.poll()
        poll.register(self._wakes, select.POLLIN)
        alive = self._split()
        while alive and not self._stopped:
            poll.register(self._connection, select.POLLIN | (select.POLLOUT if self._blocked else 0))
            timeout_s = self._listener.idle()
            self._parked = timeout_s is None
            events = dict(poll.poll(None if timeout_s is None else timeout_s * 1000))
            self._parked = False
            if self._wakes in events:
                self._cleared()
            told = events.get(self._connection.fileno(), 0)
            if told & select.POLLOUT:
                self._blocked = False
                with self._sending:
                    self._drain()
            if told & ~select.POLLOUT:
                alive = self._receive()
        self.up = False
        with self._sending:  # nobody sends on a descriptor that may be somebody else's by now
            self._connection.close()
            self._out.clear()
            self._rest, self._in, self._blocked = b"", b"", False
        self._listener.down(self._why)
        self._why = ""

    def _receive(self) -> bool:
        """Take what came; false when the connection is over."""
        try:
            data = self._connection.recv(262144)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._in += data
        return bool(data) and self._split()

    def _split(self) -> bool:
        *lines, self._in = self._in.split(b"\n")
        for line in lines:
            try:
                message = json.loads(line)
                if isinstance(message, dict):
                    self._listener.heard(message)
            except (ValueError, LookupError, TypeError, RecursionError) as wrong:
                self._why = f"it said what makes no sense ({type(wrong).__name__})"
                return False
        return len(self._in) <= LONGEST_REPLY

    def _again(self) -> bool:
        """Try to connect; false when the agent is still away."""
        if not os.path.exists(self._path):
            return False
        try:
            self._connect()
        except Refused:
            return False
        return True

    def _pause(self, wait_s: float) -> None:
        poll = select.poll()
        poll.register(self._wakes, select.POLLIN)
        if poll.poll(wait_s * 1000):
            self._cleared()

    def _cleared(self) -> None:
        with contextlib.suppress(OSError):
            os.read(self._wakes, 4096)
