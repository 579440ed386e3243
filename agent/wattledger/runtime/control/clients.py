"""One connection to the agent's socket: bytes in, lines out, and what this program has open.  Bounded in everything."""

import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from wattledger.core.model import Instant, Workload
from wattledger.runtime.control.peers import Peer
from wattledger.runtime.control.protocol import LINE_BYTES, MESSAGES_PER_S, OUT_BYTES, Garbage, said

RECEIVE_BYTES = 256 * 1024
MOST_LEFT = 65_536  # spans that ended and whose accounts may still be asked for
SECOND_NS = 1_000_000_000


class Ended(Exception):
    """The connection is over: closed by the program, or by us (the message says why; empty: by the program)."""


class Open(NamedTuple):
    """A span that a program has open: its number in the agent, since when, whose."""

    number: int
    at: Instant
    workload: Workload


class Client:
    """State: bytes received and not yet a line, bytes not yet sent, answers not yet written out, spans open and lately left (by the
    program's numbers), the names claimed, and this second's messages."""

    def __init__(self, connection: socket.socket, peer: Peer, pidfd: int | None) -> None:
        self.connection, self.peer, self.pidfd = connection, peer, pidfd
        self.root = peer.pid  # of the process tree that its spans divide: its own, or one that it is in
        self.tree = Workload(f"pid {peer.pid}")
        self.greeted = False
        self.begun = False  # it has had a span, so its process tree is metered apart
        self.operator = False
        self.receipt = False  # its clock is not ours: the time of receipt is taken
        self.spans: dict[int, Open] = {}
        self.left: dict[int, int] = {}
        self.claimed: set[int] = set()  # processes, by their ids here
        self.asked = False
        self.told: object = None  # the terms it was told
        self._in = bytearray()
        self._out = bytearray()
        self._later: deque[Callable[[], dict[str, Any]]] = deque()
        self.wanted = 1  # what the selector waits for: reading (selectors.EVENT_READ)
        self._second_ns = 0
        self._heard = 0

    def hear(self, now: Instant) -> list[bytes]:
        """Whole lines received.  Raises Ended, and Garbage for a line that is too long."""
        try:
            data = self.connection.recv(RECEIVE_BYTES)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError:
            raise Ended from None
        if not data:
            raise Ended
        self._in += data
        *lines, rest = bytes(self._in).split(b"\n")
        self._in = bytearray(rest)
        if now.mono_ns - self._second_ns > SECOND_NS:
            self._second_ns, self._heard = now.mono_ns, 0
        self._heard += len(lines)
        if self._heard > MESSAGES_PER_S:
            raise Ended(f"more than {MESSAGES_PER_S} messages a second")
        if len(rest) > LINE_BYTES or any(len(line) > LINE_BYTES for line in lines):
            raise Garbage(f"a line is longer than {LINE_BYTES} bytes")
        return lines

    def say(self, message: dict[str, Any]) -> None:
        """An answer, at once.  Raises Ended when too many have not been taken."""
        self._out += said(message)
        if len(self._out) > OUT_BYTES:
            self.flush()
        if len(self._out) > OUT_BYTES:
            raise Ended(f"{OUT_BYTES} bytes of answers were not taken")

    def say_later(self, make: Callable[[], dict[str, Any]]) -> None:
        """An answer that waits, unwritten, until those before it have been taken."""
        self._later.append(make)

    @property
    def busy(self) -> bool:
        """Whether answers wait to be taken."""
        return bool(self._out or self._later)

    def flush(self) -> None:
        """Send what can be sent without waiting.  Raises Ended."""
        try:
            while self._out or self._later:
                while self._later and len(self._out) < OUT_BYTES // 2:
                    self._out += said(self._later.popleft()())
                sent = self.connection.send(self._out, socket.MSG_NOSIGNAL)
                del self._out[:sent]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            raise Ended from None

    def leave(self, span: int) -> Open | None:
        """A span of the program's is not open any more; its number is kept for who asks for its account."""
        held = self.spans.pop(span, None)
        if held is not None:
            if len(self.left) >= MOST_LEFT:
                del self.left[next(iter(self.left))]
            self.left[span] = held.number
        return held

    def close(self) -> None:
        """Let the connection go."""
        with contextlib.suppress(OSError):
            self.connection.close()
        if self.pidfd is not None:
            os.close(self.pidfd)
            self.pidfd = None
