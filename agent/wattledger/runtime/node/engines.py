"""Serving engines' processes are units of their own: each with its whole tree, so that its workers' GPUs are its own, and named
by the model that it serves."""

from collections.abc import Iterator, MutableMapping, Sequence

from wattledger.core.model import Claim, Instant, Sample, Served, Workload
from wattledger.runtime.node.membership import PID, Look
from wattledger.sources.cgroup.clients import Spoken

UNTOLD = Spoken(-1)  # it has not spoken to us: what it used before stays whose it was


class Engines:
    """State: engines' root processes with their start, and the model that each was last named by (``None``: several).

    ``clients``: the processes whose trees are taken out of their control groups, shared with the source of these.  One that has
    spoken to the agent itself is left as it is, but for the model's name.
    """

    def __init__(self, look: Look, clients: MutableMapping[int, Spoken]) -> None:
        self._look, self._clients = look, clients
        self._known: dict[int, int] = {}
        self._models: dict[int, set[str]] = {}
        self._named: dict[int, str | None] = {}

    def name(self, samples: Sequence[Sample], at: Instant) -> Iterator[Sample]:
        """Who serves what, for what is new in these samples; and which engines have ended."""
        told = [s for s in samples if isinstance(s, Served) and s.who.startswith(PID)]
        for served in told:
            pid = int(served.who.removeprefix(PID))
            if pid not in self._known and not self._welcome(pid):
                continue
            self._models.setdefault(pid, set()).add(served.model)
        for pid in [pid for pid, start in self._known.items() if self._start(pid) != start]:
            yield from self._forget(pid, at)
        for pid, models in self._models.items():
            model = next(iter(models)) if len(models) == 1 else None
            if self._named.get(pid, "") != model:
                self._named[pid] = model
                yield Claim(f"{PID}{pid}", at, Workload("", model or None), "program")

    def _welcome(self, pid: int) -> bool:
        start = self._start(pid)
        if start is None:
            return False
        self._known[pid] = start
        self._clients.setdefault(pid, UNTOLD)
        return True

    def _forget(self, pid: int, at: Instant) -> Iterator[Sample]:
        del self._known[pid]
        self._models.pop(pid, None)
        if self._clients.get(pid) == UNTOLD:
            del self._clients[pid]
        if self._named.pop(pid, None):
            yield Claim(f"{PID}{pid}", at, None, "program")

    def _start(self, pid: int) -> int | None:
        stat = self._look.stat(pid)
        return None if stat is None else stat[1]
