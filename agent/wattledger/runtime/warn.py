"""One line on standard error per cause, and never a second: the program we measure is not ours to talk in."""

import sys
import threading

_said: set[str] = set()
_lock = threading.Lock()


def forked() -> None:
    """In a forked child: whoever held the lock is not here."""
    global _lock
    _lock = threading.Lock()


def warn_once(cause: str, message: str) -> None:
    """Print ``wattledger: message`` once per ``cause``; a closed standard error is the user's wish, not an error."""
    with _lock:
        if cause in _said:
            return
        _said.add(cause)
    if sys.stderr is None:
        return  # print would take standard output instead, which is not ours
    try:
        print(f"wattledger: {message}", file=sys.stderr)
    except (OSError, ValueError, AttributeError):
        return
