"""Boundaries that read the sensors: an opt-in of single-user nodes."""

from collections.abc import Callable

from wattledger.core.model import Boundary, Instant
from wattledger.runtime.sampler import Sampler


class Edges:
    """``sampler``: asked each time, because it is there only once the sensors are open."""

    def __init__(self, sampler: Callable[[], Sampler]) -> None:
        self._sampler = sampler

    def enter(self, make: Callable[[Instant], Boundary]) -> Instant:
        """A span begins."""
        return self._sampler().enter(make)

    def leave(self, make: Callable[[Instant], Boundary]) -> Instant:
        """A span ends."""
        return self._sampler().leave(make)
