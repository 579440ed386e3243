"""The node's agent measures: ``track`` says its boundaries and tokens over the control socket, and asks for accounts.

Nothing here waits but ``settle`` and ``look``, which a program calls by asking for a footprint.
"""

import os
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from wattledger.core.accounts import SpanAccount
from wattledger.core.figures import digits
from wattledger.core.footprint import Identity, iso
from wattledger.core.model import Boundary, Device, Instant, Work, Workload
from wattledger.core.units import seconds
from wattledger.runtime import clock
from wattledger.runtime.config import Config
from wattledger.runtime.control import wire
from wattledger.runtime.identity import job_run_id
from wattledger.runtime.prices import PriceList, price_list
from wattledger.runtime.remote.held import Held
from wattledger.runtime.remote.lines import enter_line, footprint_line, hello_line, leave_line, work_line
from wattledger.runtime.remote.link import Link, Refused
from wattledger.runtime.span_meter import Seen

__all__ = ["AgentMeter", "Refused"]

LOOK_S = 0.25
SETTLE_S = 2.0
ASKED_AT_ONCE = 1024
AWAYS = 32
FOREIGN_CLOCK_NS = 1_000_000_000
GONE_NS = 10_000_000_000
PROVISIONAL = "asked before the agent had closed the run's last cell: what it used since then is not in it yet"
NO_CELL = "the agent has closed no cell since this run began: ask again in a moment"
TOO_MANY = "the agent knows nothing of this run (more of them a second than it takes): its energy is in the run around it"
OWN_ONLY = "what others use is told to root and the operators' group only: device_energy_j and rest_of_host are absent"


class AgentMeter:
    """State: spans open and spans left but not settled (by our numbers), the events of who waits for an answer, devices and terms
    as the agent said them, and when it was away.  Touched by the program's threads and the link's, without a lock: each step on a
    dict is atomic.

    ``settled`` is handed each settled account, on the link's thread; ``wanted``: whether anybody could still ask for a span's.
    Raises Refused.
    """

    settles_late = True

    def __init__(
        self, config: Config, environ: Mapping[str, str], *, settled: Callable[[SpanAccount], None], wanted: Callable[[int], bool]
    ) -> None:
        self.config, self.environ = config, environ
        self.tree = Workload(f"pid {os.getpid()}")
        self.host, self.others_known = "", True
        self._settled, self._wanted = settled, wanted
        self._run_id = job_run_id(environ)
        self._interval_s = 1.0
        self._shift_ns = 0
        self._open: dict[int, Held] = {}
        self._left: dict[int, Held] = {}
        self._asked: dict[int, threading.Event] = {}
        self._devices: dict[str, Device] = {}
        self._terms: PriceList | None = None
        self._notes, self._limits = tuple[str, ...](), tuple[str, ...]()
        self._away: list[tuple[Instant, Instant | None]] = []
        self._link = Link(str(config["agent.socket"]), self)
        self.stop = self._link.stop
        self.forked = self._link.forked

    # --- spans ----------------------------------------------------------------------------------------------------------

    def enter(self, make: Callable[[Instant], Boundary]) -> None:
        """Say that a span begins; while the agent is away, it is told when it comes back."""
        boundary = make(clock.now())
        around = self._open.get(boundary.parent or 0)
        while around is not None and not around.told:
            boundary = boundary._replace(parent=around.boundary.parent)
            around = self._open.get(boundary.parent or 0)
        told = not self._link.is_full(boundary.at.mono_ns)
        held = self._open[boundary.span] = Held(boundary, told=told)
        if not self._link.up:
            held.lost()
        if told:
            self._link.send(enter_line(boundary, self._run_id))
            self._link.rouse(if_parked=True)

    def leave(self, make: Callable[[Instant], Boundary]) -> None:
        """Say that a span ends."""
        boundary = make(clock.now())
        held = self._open.pop(boundary.span, None)
        if held is None:
            return
        held.left = boundary.at
        self._left[boundary.span] = held
        if held.told:
            self._link.send(leave_line(boundary))
        if not held.told or not self._link.up:
            held.lost()
            self._deliver(boundary.span)

    def is_gone(self, now: Instant) -> bool:
        """Whether the agent has been away for so long that the next run had better measure itself."""
        away = self._away[-1] if self._away else None
        return away is not None and away[1] is None and now.mono_ns - away[0].mono_ns > GONE_NS

    def put(self, work: Work) -> None:
        """Say what work was done."""
        if not self._link.is_full(work.at.mono_ns):
            self._link.send(work_line(work, self._run_id))

    # --- figures --------------------------------------------------------------------------------------------------------

    def settle(self, spans: Collection[int], *, ended: bool) -> None:
        """Wait for the cell that ended spans ended in: two intervals at most, or two seconds (a busy machine is late)."""
        until_ns = clock.now().mono_ns + int(max(2 * self._interval_s, SETTLE_S) * 1e9)
        for span in list(spans) if ended else []:
            while span in self._left and self._link.up:
                wait_ns = until_ns - clock.now().mono_ns
                if wait_ns <= 0:
                    return
                self._ask(span).wait(wait_ns / 1e9)

    def look(self, spans: Collection[int]) -> Seen:
        """As of the last closed cell."""
        asked = [self._ask(span) for span in spans if span in self._open] if self._link.up else []
        for answer in asked:
            answer.wait(LOOK_S)
        now = clock.now()
        held = [h for span in sorted(spans) if (h := self._open.get(span) or self._left.get(span)) is not None]
        at = max((h.left or (h.known_until if h.dark is None and h.has_account else now) for h in held), default=now)
        return Seen([h.whole(self._devices, now=now) for h in held], at, PROVISIONAL)

    def devices(self) -> Mapping[str, Device]:
        return self._devices

    def ended(self, who: Identity, account: SpanAccount) -> None:
        """The agent keeps the books."""

    def prices(self) -> PriceList:
        """The agent's, unless this program was given a zone of its own."""
        if self._terms is not None and self.config.origin("grid.zone") == "default":
            return self._terms
        rates = {} if self._terms is None else self._terms.rates
        return price_list(self.config, self.environ)._replace(rates=rates)

    def notes(self, account: SpanAccount) -> Sequence[str]:
        """What the agent's sensors want said, and when it was away meanwhile."""
        unheard = account.left is None or account.span in self._left  # not: heard, and unknown there
        notes = [] if account.lanes or not self._link.up else [NO_CELL if unheard else TOO_MANY]
        for start, end in list(self._away):
            if (end is None or end > account.entered) and (account.left is None or start < account.left):
                notes.append(_away_note(max(start, account.entered), end))
        if not self.others_known:
            notes.append(OWN_ONLY)
        return (*notes, *self._limits, *self._notes)

    def _ask(self, span: int) -> threading.Event:
        new = threading.Event()
        answer = self._asked.setdefault(span, new)
        if answer is new:
            self._link.send(footprint_line(span))
            if not self._link.up:
                self._answered(span)
        return answer

    def _answered(self, span: int) -> None:
        answer = self._asked.pop(span, None)
        if answer is not None:
            answer.set()

    def _deliver(self, span: int) -> None:
        """All that will ever be known of a span that has ended."""
        held = self._left.pop(span, None)
        if held is not None:
            self._settled(held.whole(self._devices, now=held.left or clock.now()))
        self._answered(span)

    # --- the link's thread ----------------------------------------------------------------------------------------------

    def hello(self) -> bytes:
        return hello_line(clock.now(), self._run_id)

    def up(self, reply: dict[str, Any]) -> None:
        """The agent is there (again): it is told of the spans that are open, and counts them from here."""
        now = clock.now()
        apart_ns = now.mono_ns - int(reply["now"][0])
        self._shift_ns = apart_ns if abs(apart_ns) > FOREIGN_CLOCK_NS else 0
        self.host, self._interval_s = str(reply["host"]), float(reply["interval_s"])
        self.others_known = self.others_known and reply.get("operator") is True
        if self._away and self._away[-1][1] is None:
            self._away[-1] = self._away[-1][0], now
        for span, held in list(self._open.items()):
            held.back(now)
            held.told = True
            again = held.boundary._replace(at=now, cpu_ns=clock.process_cpu_ns(), thread_cpu_ns=None)
            self._link.send(enter_line(again, self._run_id))
            if span not in self._open:  # it was left while we said so
                self._link.send(leave_line(again))

    def down(self, why: str) -> None:
        """The agent is away: what it said last is all there is of the time until it comes back."""
        now = clock.now()
        held = [*self._open.values(), *self._left.values()]
        since = min((h.known_until for h in held), default=now)
        self._away = [*self._away[-AWAYS:], (since, None)]
        if why:
            self._limits = (f"the agent was left: {why}",)
        for one in held:
            one.lost()
        for span in list(self._left):
            self._deliver(span)
        for span in list(self._asked):
            self._answered(span)

    def heard(self, message: dict[str, Any]) -> None:
        """An account, the terms, or an error.  Raises LookupError, TypeError or ValueError for what makes no sense."""
        if message.get("op") == "terms":
            said = [wire.factor_of(factor) for factor in message["factors"]]
            rates = {f.zone: f for f in said if f.kind == "embodied"}
            prices = {f.kind: f for f in said if f.kind != "embodied"}
            self._terms = PriceList(prices, tuple(map(str, message.get("price_notes", ()))), rates=rates)
            self._notes = tuple(map(str, message["notes"]))
        elif "span" in message:
            self._account(message)
        elif "error" in message:
            self._error(message)

    def _account(self, message: dict[str, Any]) -> None:
        span = int(message["span"])
        held = self._open.get(span) or self._left.get(span)
        if held is not None and message["account"] is not None:
            self._devices |= {row[0]: Device(*row) for row in message["devices"]}
            account = wire.unpack(message["account"], held.boundary, self._devices)
            held.hear(account, self._here(message["at"]), since=self._here(message["account"]["entered"]))
        if message.get("final") is True:
            self._deliver(span)
        elif message.get("op") != "account":
            self._answered(span)

    def _here(self, instant: Sequence[Any]) -> Instant:
        """The agent's instant by our clock."""
        mono_ns, wall_ns = instant
        return Instant(int(mono_ns) + self._shift_ns, int(wall_ns))

    def _error(self, message: dict[str, Any]) -> None:
        span = message.get("id")
        if not isinstance(span, int):
            if message.get("limit") is True:
                self._limits = (f"the agent refused a part of what this program said: {message['error']}",)
            return
        held = self._left.get(span)
        if held is not None and message.get("limit") is not True:
            held.lost()  # it knows nothing of it
            self._deliver(span)
        self._answered(span)  # over a limit: it will be asked again

    def idle(self) -> float | None:
        """Ask for the accounts of spans that have ended and that somebody may ask us for."""
        at_ns = clock.now().mono_ns
        for span in list(self._left):
            if not self._wanted(span):
                self._left.pop(span, None)
            elif len(self._asked) < ASKED_AT_ONCE and not self._link.is_full(at_ns):
                self._ask(span)
        return min(0.25, self._interval_s / 4) if self._left or self._open else None


def _away_note(start: Instant, end: Instant | None) -> str:
    if end is None:
        return f"the agent has been away since {iso(start.wall_ns)}: energy since then is not counted"
    length = digits(seconds(end.mono_ns - start.mono_ns))
    return f"the agent was away from {iso(start.wall_ns)} to {iso(end.wall_ns)}: energy of these {length} s is not counted"
