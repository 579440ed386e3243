"""Whose processes the drivers speak of: a GPU's process ids become members of their control groups, or of a client's tree."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from wattledger.core.model import Activity, Claim, Holding, Instant, Member, Sample

PID = "pid:"
GROUPED = ("cpu", "dram")  # of these the group source speaks, and it says itself whose they are


class Known(NamedTuple):
    """A process that a driver mentioned: when it was started, so that its number is not taken for it, and what it is part of."""

    start: int
    of: str


class Look(NamedTuple):
    """What is asked of the kernel: a process's parent and start (``None``: it is not there), and its unit by control group."""

    stat: Callable[[int], tuple[int, int] | None]
    unit: Callable[[int], str | None]


class Membership:
    """State: the processes that were named, and those that other sources have named themselves."""

    def __init__(self, look: Look, clients: Callable[[], Iterable[int]]) -> None:
        self._look, self._clients = look, clients
        self._known: dict[str, Known] = {}
        self._others: set[str] = set()

    def name(self, samples: Sequence[Sample], at: Instant) -> Iterator[Sample]:
        """Who is who, for every process that is mentioned here for the first time; and who of them has ended."""
        mentioned: dict[str, None] = {}
        for sample in samples:
            if isinstance(sample, Activity | Holding):
                if sample.device_id not in GROUPED and sample.who.startswith(PID):
                    mentioned[sample.who] = None
            elif isinstance(sample, Claim | Member):
                self._hear(sample)
        clients = frozenset(self._clients())
        for who in [who for who in self._known if who not in mentioned]:
            yield from self._check(who, at)
        for who in mentioned:
            if who not in self._others and not self._is_same(who):
                yield from self._welcome(who, at, clients)

    def _hear(self, sample: Claim | Member) -> None:
        """Somebody else says who this process is; from now on it is theirs to say."""
        if not sample.who.startswith(PID):
            return
        if (sample.of if isinstance(sample, Member) else sample.workload) is None:
            self._others.discard(sample.who)
        else:
            self._others.add(sample.who)
            self._known.pop(sample.who, None)

    def _check(self, who: str, at: Instant) -> Iterator[Sample]:
        if not self._is_same(who):
            del self._known[who]
            yield Member(who, at, None)

    def _is_same(self, who: str) -> bool:
        known = self._known.get(who)
        stat = self._look.stat(int(who.removeprefix(PID))) if known is not None else None
        return known is not None and stat is not None and stat[1] == known.start

    def _welcome(self, who: str, at: Instant, clients: frozenset[int]) -> Iterator[Sample]:
        if self._known.pop(who, None) is not None:
            yield Member(who, at, None)  # its number has come back as somebody else's
        pid = int(who.removeprefix(PID))
        stat = self._look.stat(pid)
        if stat is None:
            return  # ended already, or in another PID namespace: nobody can say whose it is
        of = self._client_of(pid, clients) or self._look.unit(pid)
        if of is not None and of != who:
            self._known[who] = Known(stat[1], of)
            yield Member(who, at, of)

    def _client_of(self, pid: int, clients: frozenset[int]) -> str | None:
        """The client in whose process tree this one is, if there is one."""
        seen: set[int] = set()
        while pid > 1 and pid not in seen and clients:
            if pid in clients:
                return f"{PID}{pid}"
            seen.add(pid)
            stat = self._look.stat(pid)
            pid = stat[0] if stat is not None else 0
        return None
