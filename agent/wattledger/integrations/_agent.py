"""The node agent's HTTP, from the user's program: its latest prices, and a way to tell it of requests.  Never blocks the caller.

One daemon thread, made at the first use, parked while nobody asks: it takes ``GET /tokens.json`` at most every 5 s and sends
request records as OTLP/HTTP JSON once a second.  Wall clock throughout, as that is what spans carry; a step costs one answer.
"""

import atexit
import json
import os
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException

from wattledger.integrations._records import Prices, Told, as_otlp, prices_of
from wattledger.integrations._say import say_once

DEFAULT_LISTEN = "127.0.0.1:9909"
MOST_QUEUED, MOST_IN_A_POST, MOST_ANSWER_BYTES = 10_000, 500, 4 << 20
REFRESH_S, BATCH_S, TIMEOUT_S, LAST_S = 5.0, 1.0, 2.0, 0.5
STALE_S = 60.0  # a price older than this is not the engine's current one
AGAIN = {429, 502, 503, 504}  # OTLP/HTTP's own list of what may be sent again


class Agent:
    """State: the latest prices (replaced, never mutated) and when they came, records that wait, how many were dropped, whether an
    agent has ever answered here, and the thread with its two events; a forked child begins anew, with its parent's prices only."""

    def __init__(self, host: str, port: int, *, named: bool) -> None:
        self.host, self.port, self._named = host, port, named
        self.dropped = 0
        self._prices: Prices = {}
        self._asked_at = self._priced_at = datetime.fromtimestamp(0, UTC)
        self._answered = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._queue: deque[Told] = deque()
        self._starting = threading.Lock()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def answered(self) -> bool:
        """Whether an agent has ever answered here."""
        return self._answered

    @property
    def stopped(self) -> bool:
        """Whether it has been stopped: it takes nothing any more."""
        return self._stop.is_set()

    def prices(self, now: datetime) -> Prices:
        """What the agent last said, by server; empty while nothing current is known.  Asks for a newer answer in the background."""
        self._wake_up()
        return self._prices if abs((now - self._priced_at).total_seconds()) < STALE_S else {}

    def record(self, told: Told) -> None:
        """Tell the agent of a request, soon; where it cannot keep up the newest are dropped and counted."""
        if len(self._queue) >= MOST_QUEUED:
            self._drop(1, f"more than {MOST_QUEUED} wait for it")
        else:
            self._queue.append(told)
        self._wake_up()

    def stop(self) -> None:
        """Send what waits, within a second, and end the thread."""
        thread = self._thread
        self._stop.set()
        self._wake.set()
        if thread is not None:
            thread.join(1.0)

    def forked(self) -> None:
        """In a forked child: the thread, its locks and the records are the parent's."""
        self._begin_anew()

    # --- the thread -----------------------------------------------------------------------------------------------------

    def _wake_up(self) -> None:
        if self._thread is None:
            self._start()
        if not self._wake.is_set():
            self._wake.set()

    def _start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return  # another thread is at it
        try:
            if self._thread is None and not self._stop.is_set():
                thread = threading.Thread(target=self._run, name="wattledger-integrations", daemon=True)
                thread.start()
                self._thread = thread
                atexit.register(self.stop)
        except RuntimeError as why:  # the interpreter is ending
            say_once("integrations thread", f"requests are not told to the agent: {why}")
        finally:
            self._starting.release()

    def _run(self) -> None:
        wake, stop = self._wake, self._stop
        while not stop.is_set():
            wake.wait()
            wake.clear()
            try:
                if not stop.is_set():
                    self._refresh()
                    stop.wait(BATCH_S)
                self._send(LAST_S if stop.is_set() else TIMEOUT_S)
            except Exception as bug:
                say_once("integrations", f"a request was not told to the agent: {bug!r}")

    def _refresh(self) -> None:
        now = datetime.now(UTC)
        if abs((now - self._asked_at).total_seconds()) < REFRESH_S:
            return
        self._asked_at = now
        try:
            status, body = self._exchange("GET", "/tokens.json", TIMEOUT_S)
            prices = prices_of(json.loads(body), self.host) if status == 200 else None
        except (OSError, HTTPException, ValueError):
            return
        if prices is not None:
            self._prices, self._priced_at, self._answered = prices, datetime.now(UTC), True

    def _send(self, timeout_s: float) -> None:
        while self._queue:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), MOST_IN_A_POST))]
            try:
                status, _ = self._exchange("POST", "/v1/traces", timeout_s, as_otlp(batch))
            except (OSError, HTTPException) as why:
                self._not_taken(batch, str(why) or type(why).__name__, again=self._answered)
                return
            if status == 200:
                self._answered = True
            else:
                self._not_taken(batch, f"it answers {status}", again=status in AGAIN)
                return

    def _not_taken(self, batch: Sequence[Told], why: str, *, again: bool) -> None:
        """An agent that has answered before may come back; one that never did is not waited for."""
        if again and not self._stop.is_set():
            self._queue.extendleft(reversed(batch))
            self._wake.set()
        else:
            self._drop(len(batch), why)

    def _drop(self, n: int, why: str) -> None:
        self.dropped += n
        if self._named or self._answered:
            say_once("integrations dropped", f"requests are not told to the agent at {self.host}:{self.port} ({why})")

    def _exchange(self, method: str, path: str, timeout_s: float, body: bytes | None = None) -> tuple[int, bytes]:
        connection = HTTPConnection(self.host, self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body is not None else {})
            answer = connection.getresponse()
            return answer.status, answer.read(MOST_ANSWER_BYTES)
        finally:
            connection.close()


# Agents by what WATTLEDGER_AGENT_LISTEN said when they were first asked for; ``None``: switched off, or no address.
_agents: dict[str, Agent | None] = {}


def agent(environ: Mapping[str, str] | None = None) -> Agent | None:
    """The agent that this program's environment names (``WATTLEDGER_AGENT_LISTEN``; empty: none); nothing is opened yet."""
    listen = (os.environ if environ is None else environ).get("WATTLEDGER_AGENT_LISTEN")
    at = DEFAULT_LISTEN if listen is None else listen.strip()
    known = _agents.get(at)
    if at not in _agents or (known is not None and known.stopped):  # one that was stopped sends nothing more
        if not _agents and hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_forked)
        _agents[at] = _opened(at, named=listen is not None)
    return _agents[at]


def _forked() -> None:
    for one in _agents.values():
        if one is not None:
            one.forked()


def _opened(at: str, *, named: bool) -> Agent | None:
    host, _, port = at.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if at and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        say_once("agent.listen", f"WATTLEDGER_AGENT_LISTEN = {at!r}: expected HOST:PORT, e.g. {DEFAULT_LISTEN}; no agent is asked")
        return None
    # What listens on all interfaces is reached by the loopback.
    return Agent("127.0.0.1" if host in ("", "0.0.0.0", "::") else host, int(port), named=named) if at else None
