"""One client's bytes, within limits: a time for what he says, a time for what he takes, and a length of what he may say."""

import io
import socket
from typing import NamedTuple

from wattledger.runtime import clock

PIECE_BYTES = 65_536


class Limits(NamedTuple):
    """How much all clients together and each of them may take.

    ``requests`` at once, of which so many with ``bodies`` (the next is told 503), and ``connections`` at once, those included that
    have asked nothing yet (the next is closed).  ``patience_s``: for a whole request, and again for a whole answer; one byte a
    second is a held thread.
    """

    requests: int = 16
    bodies: int = 6
    connections: int = 64
    patience_s: float = 10.0
    head_bytes: int = 32_768


class TooLong(Exception):
    """The request's head is over the limit."""


class Stream(io.RawIOBase):
    """A connected socket as a raw stream.  Raises TimeoutError when the time is over, TooLong when the head is."""

    def __init__(self, connection: socket.socket, limits: Limits) -> None:
        self._connection = connection
        self._left_bytes, self._patience_ns = limits.head_bytes, round(limits.patience_s * 1e9)
        self.restart()

    def restart(self) -> None:
        """The time begins anew."""
        self._until_ns = clock.elapsed_ns() + self._patience_ns

    def allow(self, n_bytes: int) -> None:
        """So many bytes may come from here on, beside those that have come: a body."""
        self._left_bytes = n_bytes

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # what io calls it with
        if self._left_bytes <= 0:
            raise TooLong
        self._wait()
        got = self._connection.recv_into(buffer[: self._left_bytes])
        self._left_bytes -= got
        return got

    def write(self, data: bytes) -> int:  # type: ignore[override]
        view = memoryview(data)
        for start in range(0, len(view), PIECE_BYTES):
            self._wait()
            self._connection.sendall(view[start : start + PIECE_BYTES])
        return len(view)

    def _wait(self) -> None:
        left_ns = self._until_ns - clock.elapsed_ns()
        if left_ns <= 0:
            raise TimeoutError
        self._connection.settimeout(left_ns / 1e9)
