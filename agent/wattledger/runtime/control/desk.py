"""What programs say → samples: boundaries, claims and work under the kernel's names, with forged ones taken out."""

import itertools
from collections.abc import Callable, Iterator, MutableMapping
from typing import NamedTuple

from wattledger.core.claims import VOUCHED
from wattledger.core.model import Boundary, Claim, Instant, Rank, Sample, Work, Workload
from wattledger.runtime.control.clients import Client, Open
from wattledger.runtime.control.peers import ancestors, first_words, last_words, spoken_for
from wattledger.runtime.control.protocol import OPEN_SPANS, Done, Enter, Leave, Says, TooMuch, Wrong
from wattledger.sources.cgroup.clients import Spoken

BELIEVED_NS = 5_000_000_000
MOST_CLAIMED = 256
MOST_SAID = 4096
MOST_AT_ONCE = 10**15  # nobody has done that much; a few of more would be over what the books' columns hold
RANKS: tuple[Rank, ...] = ("tree", "program")


class Owner(NamedTuple):
    """Whose a span is, and the number that he knows it by."""

    client: Client
    span: int


class Desk:
    """State: the agent's own span numbers and whose they are, who speaks for which process and tree, and what was complained of.

    ``clients``: the processes that speak for themselves, shared with the source that watches them.
    """

    def __init__(self, clients: MutableMapping[int, Spoken], procfs: str, log: Callable[[str], None]) -> None:
        self.owners: dict[int, Owner] = {}
        self.closed = Instant(0, 0)  # the end of the last cell; set by whoever closes it
        self._clients, self._procfs, self._log = clients, procfs, log
        self._numbers = itertools.count(1)
        self._speaking: dict[int, int] = {}  # claims on a process, by as many connections
        self._begun: dict[int, Client] = {}  # the program at the root of each tree
        self._parting: set[int] = set()  # nobody speaks for them since the last cell was closed,
        self._parted: set[int] = set()  # or since the one before
        self._said: set[tuple[int, str]] = set()

    def enter(self, client: Client, said: Enter, now: Instant) -> Iterator[Sample]:
        """A span begins; the first one of a program claims its process tree."""
        if said.span in client.spans:
            raise Wrong(f"span {said.span} is open already")
        if len(client.spans) >= OPEN_SPANS:
            raise TooMuch(f"more than {OPEN_SPANS} open spans")
        workload = self._honest(client, said.workload)
        # What was closed before we heard of it cannot be its any more; the program sees that it was heard late.
        at = max(_at(client, said.at_ns, now), min(self.closed, now))
        if not client.begun:
            client.begun = True
            self._root(client)
            yield from self._claim(client, client.root, Claim(f"pid:{client.root}", at, client.tree, "tree"))
        nested = client.root != client.peer.pid
        around = client.spans.get(said.parent) if said.parent is not None else self._around(client) if nested else None
        held = client.spans[said.span] = Open(next(self._numbers), at, workload)
        self.owners[held.number] = Owner(client, said.span)
        parent = around.number if around is not None else None
        # The process's clock is the tree's only where the tree is its own.
        clocks = None if nested else said.cpu_ns, said.thread, said.thread_cpu_ns
        yield Boundary(held.number, at, "enter", workload, client.tree, parent, *clocks)

    def leave(self, client: Client, said: Leave, now: Instant) -> Boundary:
        """A span ends, not before it began."""
        held = client.leave(said.span)
        if held is None:
            raise Wrong(f"span {said.span} is not open")
        at = max(_at(client, said.at_ns, now), held.at)
        cpu_ns = said.cpu_ns if client.root == client.peer.pid else None
        return Boundary(held.number, at, "leave", held.workload, client.tree, None, cpu_ns, said.thread, said.thread_cpu_ns)

    def _root(self, client: Client) -> None:
        """A program that another one started, which speaks for itself, is in that one's tree: trees are metered whole, and what a
        child used in its spans is its parent's, too."""
        started = [pid for pid in ancestors(self._procfs, client.peer.pid) if pid in self._speaking]
        if started and client.peer.pid not in self._speaking:
            client.root, client.tree = started[-1], Workload(f"pid {started[-1]}")
        else:
            self._begun.setdefault(client.root, client)

    def _around(self, client: Client) -> Open | None:
        """The span that is open around a child program's: the innermost of the program at the root of the tree."""
        outer = self._begun.get(client.root)
        return next(reversed(outer.spans.values()), None) if outer is not None else None

    def work(self, client: Client, said: Done, now: Instant) -> Work:
        """Tokens and requests, of a span or of the names said with them."""
        held = client.spans.get(said.span) if said.span is not None else None
        if held is None and not said.workload.job:
            raise Wrong("work: neither an open span nor a job")
        if max(said.counts) > MOST_AT_ONCE:
            raise Wrong(f"work: more than {MOST_AT_ONCE} tokens or requests at once")
        workload = held.workload if held is not None else self._honest(client, said.workload)
        return Work(workload, now, *said.counts, span=held.number if held is not None else None)

    def claim(self, client: Client, said: Says, now: Instant) -> Iterator[Sample]:
        """Whom a process works for, if the speaker may say so."""
        pid = client.peer.pid if said.pid is None else self.may_ask(client, said.pid)
        workload = self._honest(client, said.workload)
        yield from self._claim(client, pid, Claim(f"pid:{pid}", now, workload, "program"))

    def may_ask(self, client: Client, said_pid: int) -> int:
        """The process that a program calls ``said_pid``, if it may speak for it.  Raises Wrong."""
        pid = spoken_for(self._procfs, client.peer, said_pid)
        if pid is None:
            self._complain(client, "a foreign process", f"it may not speak for process {said_pid}")
            raise Wrong(f"pid {said_pid}: not yours (what you have started, or of your user and unit)")
        return pid

    def _claim(self, client: Client, pid: int, claim: Claim) -> Iterator[Sample]:
        if pid not in client.claimed:
            if len(client.claimed) >= MOST_CLAIMED:
                raise TooMuch(f"more than {MOST_CLAIMED} processes claimed")
            client.claimed.add(pid)
            self._speaking[pid] = self._speaking.get(pid, 0) + 1
            self._clients[pid] = first_words(self._procfs, pid)
        yield claim

    def look(self, client: Client) -> None:
        """This program, or one that it speaks for, may be about to end: its CPU time as it is now is noted."""
        for pid in client.claimed:
            if pid in self._clients:
                self._clients[pid] = last_words(self._procfs, pid, self._clients[pid])

    def gone(self, client: Client, now: Instant) -> list[Boundary]:
        """A connection ended, and so do its open spans; its claims end when their last cell has been paid for (``part``)."""
        edges = [
            Boundary(held.number, max(now, held.at), "leave", held.workload, client.tree) for held in client.spans.values()
        ]
        client.spans = {}
        self.look(client)
        if self._begun.get(client.root) is client:
            del self._begun[client.root]
        for pid in client.claimed:
            self._speaking[pid] -= 1
            self._parting.add(pid)
        client.claimed = set()
        return edges

    def part(self, now: Instant) -> list[Sample]:
        """A cell was closed: who had parted before it was begun is watched and claimed no more."""
        over = [pid for pid in self._parted if not self._speaking.get(pid)]
        self._parted, self._parting = self._parting, set()
        for pid in over:
            self._speaking.pop(pid, None)
            self._clients.pop(pid, None)
        return [Claim(f"pid:{pid}", now, None, rank) for pid in over for rank in RANKS]

    def forget(self, numbers: list[int]) -> None:
        """Spans whose accounts nobody can ask for any more."""
        for number in numbers:
            owner = self.owners.pop(number, None)
            if owner is not None and owner.client.left.get(owner.span) == number:
                del owner.client.left[owner.span]

    def _honest(self, client: Client, said: Workload) -> Workload:
        """Names that begin with "(" and the labels that the kernel vouches for are not a program's to say."""
        job, model, labels = said
        if job.startswith("("):
            self._complain(client, "a reserved name", f"job {job!r}: names may not begin with '('")
            job = job.strip("()") or "job"
        if any(key in VOUCHED for key, _ in labels):
            forged = ", ".join(key for key, _ in labels if key in VOUCHED)
            self._complain(client, "a forged label", f"only the kernel's word sets {forged}; taken out")
            labels = tuple(pair for pair in labels if pair[0] not in VOUCHED)
        return Workload(job, model, labels)

    def _complain(self, client: Client, cause: str, what: str) -> None:
        """One line for each process and cause."""
        if len(self._said) > MOST_SAID:
            self._said.clear()
        if (client.peer.pid, cause) not in self._said:
            self._said.add((client.peer.pid, cause))
            self._log(f"process {client.peer.pid} (user {client.peer.vouched.uid}): {what}")


def _at(client: Client, at_ns: int | None, now: Instant) -> Instant:
    """The program's own time, if it can be: not later than now, not long ago, by a clock that is ours."""
    if at_ns is None or client.receipt or not now.mono_ns - BELIEVED_NS < at_ns <= now.mono_ns:
        return now
    return Instant(at_ns, now.wall_ns - (now.mono_ns - at_ns))
