"""The socket's file: taken by one agent at a time, and left to the next even when this one is killed."""

import contextlib
import fcntl
import os
import socket
from pathlib import Path

LONGEST_PATH = 107  # sun_path holds 108 bytes with its end


class ControlError(Exception):
    """The socket cannot be had; one line: what, where, what to do."""


class Binding:
    """State: the listening socket, and the lock (``PATH.lock``, which holds our process id) while it is ours."""

    def __init__(self, path: str) -> None:
        """Take the socket at ``path``.  Raises ControlError: another agent holds it (with its process id), no right, too long."""
        if len(os.fsencode(path)) > LONGEST_PATH:
            raise ControlError(f"{path}: longer than the {LONGEST_PATH} bytes of a Unix socket's path")
        self.path = path
        try:
            Path(path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._lock = _locked(path)
        except OSError as failure:
            raise ControlError(f"{path}: {failure.strerror or failure}") from None
        try:
            self.listener = _listening(path)
        except OSError as failure:
            os.close(self._lock)
            raise ControlError(f"{path}: {failure.strerror or failure}") from None

    def close(self) -> None:
        """Give the socket up."""
        self.listener.close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        os.close(self._lock)  # its file stays: who waits for the lock must not get that of a file that is gone


def _listening(path: str) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # of an agent that was killed: we hold its lock
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        os.chmod(path, 0o666)  # anybody may speak for himself
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _locked(path: str) -> int:
    # Not to be opened by others: whoever may read a file may lock it, and so keep every agent from starting.
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 32).decode("ascii", "replace").strip()
        os.close(lock)
        raise ControlError(f"{path}: another agent holds it (process {holder or 'unknown'})") from None
    os.fchmod(lock, 0o600)  # of an older version
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock
