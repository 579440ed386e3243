"""One line on standard error per cause, and never a second: the program that we are in is not ours to talk in."""

import sys

_said: set[str] = set()


def say_once(cause: str, message: str) -> None:
    """Print ``wattledger: message`` once per ``cause``; a closed standard error is the user's wish, not an error."""
    if cause in _said or sys.stderr is None:
        return  # where there is none, print would take standard output, which is not ours
    _said.add(cause)
    try:
        print(f"wattledger: {message}", file=sys.stderr)
    except (OSError, ValueError, AttributeError):
        return
