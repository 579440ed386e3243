"""Commits and forks of one process, one after the other: a child must not find a transaction half done, SQLite does not survive it.

State of the module: the lock, whether forks ask for it yet, and which thread holds it because it forks.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

FORK_WAITS_S = 0.5

_lock = threading.Lock()
_guarded = False
_forking: int | None = None


def guard() -> None:
    """From now on forks wait for a commit under way (some ten milliseconds)."""
    global _guarded
    if not _guarded and hasattr(os, "register_at_fork"):
        _guarded = True
        os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_begin_anew)


@contextmanager
def committing() -> Iterator[None]:
    """Nobody forks meanwhile."""
    with _lock:
        yield


def _hold() -> None:
    """A disk that hangs must not hang the program with it: then the child's copy of the store is left alone, and hope remains."""
    global _forking
    if _lock.acquire(timeout=FORK_WAITS_S):
        _forking = threading.get_ident()


def _let_go() -> None:
    """Another thread may fork at the same time, and have waited in vain."""
    global _forking
    if _forking == threading.get_ident():
        _forking = None
        _lock.release()


def _begin_anew() -> None:
    """The child has no keeper, and whoever held the lock is not there to let it go."""
    global _lock, _forking
    _lock, _forking = threading.Lock(), None
