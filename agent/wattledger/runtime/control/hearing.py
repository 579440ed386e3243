"""One message of a program → what is done about it."""

from collections.abc import Callable, Iterable, MutableMapping, Sequence
from typing import NamedTuple, Protocol

from wattledger.core.model import Boundary, Instant, Sample
from wattledger.core.totals import Snapshot
from wattledger.runtime import clock
from wattledger.runtime.control.answers import Answers, Published
from wattledger.runtime.control.clients import Client
from wattledger.runtime.control.desk import Desk
from wattledger.runtime.control.peers import is_operator
from wattledger.runtime.control.protocol import (
    VERSION,
    Ask,
    AskJob,
    Done,
    Enter,
    Hello,
    Leave,
    Message,
    Ping,
    Says,
    Wrong,
    error_of,
)
from wattledger.runtime.control.slurm import SlurmJobs
from wattledger.runtime.warn import warn_once
from wattledger.sources.cgroup.clients import Spoken

FOREIGN_CLOCK_NS = 1_000_000_000


class Edges(Protocol):
    """What reads the sensors at a boundary: the sampler."""

    def enter(self, make: Callable[[Instant], Boundary]) -> Instant: ...

    def leave(self, make: Callable[[Instant], Boundary]) -> Instant: ...


class House(NamedTuple):
    """What the server is told of the agent it works for.

    ``put`` takes samples from any thread.  ``clients``: processes that speak for themselves, each with its own CPU time
    (ticks) when it first did, changed by the server's thread.
    ``notes``: what the sensors want said beside all figures, ``price_notes`` the prices.  ``operators``: group ids that may see
    everybody's.  ``edges``: for a boundary that reads the sensors.  ``procfs`` must be of the agent's own PID namespace, as the
    kernel's word on peers is.  ``shown``: the snapshot that the metrics show, and when it was made.
    """

    put: Callable[[Iterable[Sample]], None]
    clients: MutableMapping[int, Spoken]
    host: str
    interval_s: float = 1.0
    notes: Callable[[], Sequence[str]] = tuple
    price_notes: Callable[[], Sequence[str]] = tuple
    operators: frozenset[int] = frozenset()
    edges: Edges | None = None
    procfs: str = "/proc"
    shown: Callable[[], tuple[Instant | None, Snapshot | None]] = lambda: (None, None)
    now: Callable[[], Instant] = clock.now
    log: Callable[[str], None] = lambda line: warn_once(line, line)


class Hearing:
    """State: how many messages were refused; ``agent`` is the name of this start."""

    def __init__(self, house: House, agent: str) -> None:
        self.errors = 0
        self.desk = Desk(house.clients, house.procfs, house.log)
        self.answers = Answers(self.desk, house.notes, house.price_notes)
        self.jobs = SlurmJobs(house.procfs, house.shown)
        self._house, self._agent = house, agent

    def take(self, client: Client, message: Message, now: Instant) -> Iterable[Sample]:
        """The samples that a message comes to.  Raises Wrong; what is asked for is answered."""
        if not client.greeted and not isinstance(message, Hello | Ping):
            raise Wrong("say hello first")
        match message:
            case Enter():
                return [s for s in self.desk.enter(client, message, now) if not self._at_the_edge(s)]
            case Leave():
                return [s for s in [self.desk.leave(client, message, now)] if not self._at_the_edge(s)]
            case Done():
                return [self.desk.work(client, message, now)]
            case Says():
                return self.desk.claim(client, message, now)
            case Ask():
                self._answered(client, message.id, lambda: self.answers.ask(client, message))
            case AskJob():
                self._answered(client, message.id, lambda: self.jobs.ask(client, message))
            case Ping():
                self.desk.look(client)
                client.say({"id": message.id, "ok": True})
            case Hello():
                self._greet(client, message, now)
        return ()

    def gone(self, client: Client, now: Instant) -> list[Sample]:
        """A connection ended, and its spans with it."""
        self.answers.gone(client)
        return [sample for sample in self.desk.gone(client, now) if not self._at_the_edge(sample)]

    def closed(self, published: Published, now: Instant) -> list[Sample]:
        """A cell was closed: who waits is answered, and who had gone before is let go."""
        self.answers.take(published)
        return self.desk.part(now)

    def _at_the_edge(self, sample: Sample) -> bool:
        """Whether it was a boundary at which the sensors were read, and so was handed on."""
        edges = self._house.edges
        if edges is None or not isinstance(sample, Boundary):
            return False
        (edges.enter if sample.edge == "enter" else edges.leave)(lambda at: sample._replace(at=at))
        return True

    def _answered(self, client: Client, ask_id: int | None, ask: Callable[[], None]) -> None:
        try:
            ask()
        except Wrong as wrong:
            self.errors += 1
            client.say({"id": ask_id, **error_of(wrong)})

    def _greet(self, client: Client, hello: Hello, now: Instant) -> None:
        if hello.v != VERSION:
            self.errors += 1
            client.say({"id": hello.id, "error": f"protocol version {hello.v}: this agent speaks {VERSION}", "v": VERSION})
            return
        client.greeted = True
        client.receipt = abs(hello.now.mono_ns - now.mono_ns) > FOREIGN_CLOCK_NS  # a time namespace of its own
        client.operator = is_operator(client.peer, self._house.operators)
        client.say({
            "id": hello.id, "ok": True, "v": VERSION, "host": self._house.host, "interval_s": self._house.interval_s,
            "agent": self._agent, "operator": client.operator, "now": now,
        })  # fmt: skip
