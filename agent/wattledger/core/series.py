"""Which workloads have series of their own: admitted or folded into ``(other)`` once, at birth, and retired when they are long
gone.

Moving joules that a series has shown would make ``increase()`` count them twice, so nobody moves while he lives; what an ended
workload used goes, whole, to the retired sums.
"""

from collections.abc import Callable, Collection

from wattledger.core.model import OTHER, RESERVED, Workload, by_name

FOLDED_PER_SERIES = 10  # how many folded names are remembered; beyond that a name is folded each time anew
REMEMBERED = 256  # names whose short form is not worked out again, beside two for each that is known


class Series:
    """State: when each admitted and each folded workload was last given anything, and names reduced to what is exported.

    ``most``: how many have series of their own, ``None``: all; ``keep_ns``: how long an ended one stays; ``labels``: those that are
    exported, ``None``: all.
    """

    def __init__(self, most: int | None = None, keep_ns: int | None = None, labels: Collection[str] | None = None) -> None:
        self._most, self._keep_ns = most, keep_ns
        self._labels = None if labels is None else frozenset(labels)
        self._own: dict[Workload, int] = {}
        self._folded: dict[Workload, int] = {}
        self._short: dict[Workload, Workload] = {}

    def of(self, workload: Workload, at_ns: int) -> Workload:
        """The workload under which this one's joules are shown."""
        if self._most is None or workload.job in RESERVED:
            return workload
        workload = self._short.get(workload) or self._shorten(workload)
        if workload in self._own:
            self._own[workload] = at_ns
            return workload
        if workload not in self._folded and len(self._own) < self._most:
            self._own[workload] = at_ns
            return workload
        if workload in self._folded or len(self._folded) < FOLDED_PER_SERIES * self._most:
            self._folded[workload] = at_ns
        return OTHER

    def seen_as(self, workload: Workload) -> Workload:
        """Under which name a workload is shown already; asking admits nobody and keeps nobody."""
        if self._most is None or workload.job in RESERVED:
            return workload
        workload = self.reduced(workload)
        return workload if workload in self._own else OTHER

    def _shorten(self, workload: Workload) -> Workload:
        if len(self._short) > REMEMBERED + 2 * (len(self._own) + len(self._folded)):
            self._short = {}
        found = self._short[workload] = self.reduced(workload)
        return found

    def reduced(self, workload: Workload) -> Workload:
        """Without the labels that are not exported: who differs only in those shares a series."""
        if self._labels is None or all(key in self._labels for key, _ in workload.labels):
            return workload
        return workload._replace(labels=tuple((key, value) for key, value in workload.labels if key in self._labels))

    @property
    def folded(self) -> int:
        """How many workloads that live, or ended lately, are shown as ``(other)`` because they came too late."""
        return len(self._folded)

    def ended(self, at_ns: int, live: Callable[[], Collection[Workload]]) -> list[Workload]:
        """Workloads to retire: nobody works for them, and nothing was given to them for long; they are forgotten here."""
        if self._keep_ns is None:
            return []
        due = {w for known in (self._own, self._folded) for w, last in known.items() if at_ns - last > self._keep_ns}
        if not due:
            return []
        here = {self.reduced(w) for w in live()}
        for workload in due & here:
            (self._own if workload in self._own else self._folded)[workload] = at_ns
        gone = due - here
        retired = sorted((w for w in gone if self._own.pop(w, None) is not None), key=by_name)
        for workload in gone:
            self._folded.pop(workload, None)
        return retired
