"""Whoever holds the socket's path may not be the agent: a greeting without an end costs the program a moment and one line."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtime.control_rig import place

from wattledger.runtime.remote.link import LONGEST_REPLY, Refused, connect


@pytest.fixture
def folder() -> Iterator[Path]:
    with place() as folder:
        yield folder


def greeted(folder: Path, reply: bytes, times: int) -> str:
    """Why the program refuses who answers with these bytes, so often."""
    path = folder / "a.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    connection.recv(1024)
                    for _ in range(times):
                        connection.sendall(reply)
                except OSError:
                    return  # it has hung up, as it should

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        with pytest.raises(Refused) as refused:
            connect(str(path), b"hello\n")
        thread.join(20)
        assert not thread.is_alive()
    return str(refused.value)


def test_a_greeting_without_an_end_is_not_heard_to_it(folder: Path) -> None:
    assert greeted(folder, b"x" * 65_536, 4 * LONGEST_REPLY // 65_536) == "its greeting has no end"


@pytest.mark.parametrize("reply", [b"[" * 100_000 + b"\n", b"\n", b"\xff\n", b"9" * 5_000 + b"\n"])
def test_a_greeting_that_makes_no_sense_is_refused(folder: Path, reply: bytes) -> None:
    assert greeted(folder, reply, 1)
