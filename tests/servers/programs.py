"""Real servers for the tests: found on this machine, started on a free port, stopped by the process that was started."""

import contextlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

Found = TypeVar("Found")

PATIENCE_S = 60.0  # a shared machine stalls; only a failure takes so long
_NEVER = threading.Event()


def path_of(name: str) -> str:
    """Where a program is; skips the test, and says so, where it is not."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def running(*command: str, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A program that runs meanwhile; what it says goes to ``log``."""
    with log.open("wb") as said, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_S / 4)
            except subprocess.TimeoutExpired:
                process.kill()


def until(ask: Callable[[], Found | None], what: str, log: Path | None = None) -> Found:
    """The first answer that is one; asked again and again up to a deadline."""
    for _ in range(round(PATIENCE_S / 0.1)):
        found = ask()
        if found:
            return found
        _NEVER.wait(0.1)
    said = log.read_text(errors="replace")[-2000:] if log is not None else ""
    pytest.fail(f"{what}: not within {PATIENCE_S:g} s\n{said}")
