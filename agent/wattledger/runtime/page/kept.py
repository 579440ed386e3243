"""A figure that takes a while: worked out on a thread of its own when somebody asks and the last one is old, shown until then."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from wattledger.core.units import NS_PER_S
from wattledger.runtime import clock

T = TypeVar("T")


class Kept(Generic[T]):
    """State: the last answer, when it was begun, and whether one is being worked out.  Any thread; ``make`` on one at a time.

    ``make`` must not raise.  Nobody asks, and nothing is worked out.
    """

    def __init__(self, make: Callable[[], T], fresh_s: float) -> None:
        self._make, self._fresh_ns = make, round(fresh_s * NS_PER_S)
        self._lock = threading.Lock()
        self._begun_ns: int | None = None
        self._done = threading.Event()
        self._done.set()
        self._value: T | None = None

    def get(self, patience_s: float) -> T | None:
        """The last answer; who comes when there is none, or an old one, waits for the next so long at most."""
        with self._lock:
            now_ns = clock.elapsed_ns()
            old = self._begun_ns is None or now_ns - self._begun_ns > self._fresh_ns
            if old and self._done.is_set():
                self._begun_ns = now_ns
                self._done.clear()
                threading.Thread(target=self._renew, name="wattledger-page", daemon=True).start()
        self._done.wait(patience_s)
        return self._value

    @property
    def busy(self) -> bool:
        """Whether it is being worked out just now."""
        return not self._done.is_set()

    def _renew(self) -> None:
        try:
            self._value = self._make()
        finally:
            self._done.set()
