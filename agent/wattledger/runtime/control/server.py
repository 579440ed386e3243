"""The agent's end of the control socket: one thread, nothing that blocks, and nothing that a program says can stop it.

What programs say becomes samples, handed on by ``House.put``; a boundary is a timestamp, and reads no sensor unless there are
``House.edges`` (``[agent] fine_boundaries``).
"""

import contextlib
import os
import selectors
import socket
import threading
import traceback
from collections import deque
from collections.abc import Callable

from wattledger.core.model import Sample
from wattledger.core.pipeline import Pipeline, Step
from wattledger.runtime import clock
from wattledger.runtime.control.answers import Published
from wattledger.runtime.control.binding import Binding, ControlError
from wattledger.runtime.control.clients import Client, Ended
from wattledger.runtime.control.hearing import Hearing, House
from wattledger.runtime.control.peers import Unknown, peer_of, pidfd_of
from wattledger.runtime.control.protocol import CONNECTIONS, Garbage, Wrong, error_of, parse, said
from wattledger.runtime.warn import warn_once

__all__ = ["ControlError", "ControlServer", "House"]

LAST_WORDS_S = 0.5
PAUSE_S = 1.0
# Where boundaries come thick, waking up for each costs more than taking it; they bear their own time, so they can wait a little.
BURST = 16
BURST_NS = 2_000_000
GATHER_S = 0.002


class ControlServer:
    """State: the listening socket, the connections, how many rounds of samples came close together, and cells that were published
    but not yet taken.

    ``bind`` and ``start``; ``closed`` after each full tick, while nobody steps the pipeline; then ``stopping``, the last tick, and
    ``close``.
    """

    def __init__(self, house: House) -> None:
        self.agent = os.urandom(8).hex()
        self._house = house
        self._hearing = Hearing(house, self.agent)
        self._selector = selectors.DefaultSelector()
        self._clients: set[Client] = set()
        self._published: deque[Published] = deque()
        self._wakes, self._wake = socket.socketpair()
        self._binding: Binding | None = None
        self._thread: threading.Thread | None = None
        self._paused = self._stopping = self._over = False
        self._gathering = threading.Event()  # never set: something to wait for
        self._burst, self._heard_ns = 0, 0

    @property
    def errors(self) -> int:
        """Messages and connections refused so far."""
        return self._hearing.errors

    @property
    def connections(self) -> int:
        """Programs connected."""
        return len(self._clients)

    # --- for the agent --------------------------------------------------------------------------------------------------

    def bind(self, path: str) -> None:
        """Take the socket at ``path``.  Raises ControlError with one line; the agent may go on without."""
        self._binding = Binding(path)

    def start(self) -> None:
        """Begin to serve, on a thread of its own."""
        self._wakes.setblocking(False)
        self._wake.setblocking(False)
        self._selector.register(self._wakes, selectors.EVENT_READ, lambda _: self._woken())
        self._resume()
        self._thread = threading.Thread(target=self._loop, name="wattledger-control", daemon=True)
        self._thread.start()

    def closed(self, step: Step, pipeline: Pipeline) -> None:
        """A cell was closed; called by who steps the pipeline, before anybody steps it again."""
        now = self._hearing.desk.closed = self._house.now()
        self._published.append(self._hearing.answers.publish(step, pipeline, now, push=self._stopping))
        self._rouse()

    def stopping(self) -> None:
        """The next cell is the last: everybody's account of it is to be said."""
        self._stopping = True

    def close(self) -> None:
        """Say the last words and let everything go; connections end, and with them open spans and claims."""
        self._over = True
        self._rouse()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
        for client in list(self._clients):
            self._end(client)
        if self._binding is not None:
            self._binding.close()
            self._binding = None
        self._selector.close()
        self._wakes.close()
        self._wake.close()

    def _rouse(self) -> None:
        with contextlib.suppress(OSError):  # full: it will wake anyway; closed: it need not
            self._wake.send(b"\0")

    # --- the thread -----------------------------------------------------------------------------------------------------

    def _loop(self) -> None:
        while not self._over:
            for key, events in self._selector.select(PAUSE_S if self._paused else None):
                self._guarded(lambda key=key, events=events: key.data(events))  # type: ignore[misc]
            if self._paused:
                self._resume()
            if self._burst > BURST:
                self._gathering.wait(GATHER_S)
                self._heard_ns = clock.elapsed_ns()
        self._guarded(self._last_words)

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception:
            # Ours, not a program's: said once, and everybody else is served on.
            self._hearing.errors += 1
            warn_once("bug in control", traceback.format_exc().rstrip())

    def _woken(self) -> None:
        with contextlib.suppress(OSError):
            self._wakes.recv(4096)
        while self._published:
            samples = self._hearing.closed(self._published.popleft(), self._house.now())
            if samples:
                self._house.put(samples)
            for client in [client for client in self._clients if client.busy]:
                self._flush(client)

    def _last_words(self) -> None:
        self._woken()
        for client in list(self._clients):
            with contextlib.suppress(Ended, OSError):
                client.connection.settimeout(LAST_WORDS_S)
                client.flush()

    def _resume(self) -> None:
        assert self._binding is not None
        self._selector.register(self._binding.listener, selectors.EVENT_READ, lambda _: self._accept(self._binding))
        self._paused = False

    def _accept(self, binding: Binding | None) -> None:
        assert binding is not None
        try:
            connection, _ = binding.listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return
        except OSError as failure:
            # Out of descriptors: whoever connects waits a while, and we do not spin.
            self._house.log(f"control socket: {failure.strerror}; nobody is let in for a while")
            self._selector.unregister(binding.listener)
            self._paused = True
            return
        connection.setblocking(False)
        pidfd = pidfd_of(connection)
        try:
            if len(self._clients) >= CONNECTIONS:
                raise Unknown(f"the agent serves {CONNECTIONS} programs already")
            client = Client(connection, peer_of(connection, self._house.procfs, pidfd), pidfd)
        except (Unknown, OSError) as reason:
            self._hearing.errors += 1
            _refuse(connection, str(reason))
            connection.close()
            if pidfd is not None:
                os.close(pidfd)
            return
        self._clients.add(client)
        self._selector.register(connection, selectors.EVENT_READ, lambda events: self._serve(client, events))
        if pidfd is not None:
            # A child that it forked may hold the connection open; the program's own end is what counts.
            self._selector.register(pidfd, selectors.EVENT_READ, lambda events: self._serve(client, events, died=True))

    def _serve(self, client: Client, events: int, *, died: bool = False) -> None:
        if client not in self._clients:
            return  # ended earlier in this round
        try:
            if events & selectors.EVENT_READ:
                self._hear(client)
            if died:
                raise Ended
        except Ended as end:
            if str(end):
                self._hearing.errors += 1
                self._house.log(f"process {client.peer.pid} (user {client.peer.vouched.uid}): {end}; its connection is closed")
                _refuse(client.connection, str(end))
            self._end(client)
            return
        self._flush(client)

    def _hear(self, client: Client) -> None:
        samples: list[Sample] = []
        try:
            lines = client.hear(self._house.now())
            now = self._house.now()
            for line in lines:
                try:
                    samples += self._hearing.take(client, parse(line), now)
                except Garbage:
                    raise
                except Wrong as wrong:
                    self._hearing.errors += 1
                    client.say(error_of(wrong))
        except Garbage as garbage:
            raise Ended(str(garbage)) from None
        finally:
            if samples:
                self._house.put(samples)
                heard_ns, self._heard_ns = self._heard_ns, clock.elapsed_ns()
                self._burst = self._burst + 1 if self._heard_ns - heard_ns < BURST_NS else 0

    def _flush(self, client: Client) -> None:
        try:
            client.flush()
        except Ended:
            self._end(client)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.busy else 0)
        if client.wanted != wanted:
            client.wanted = wanted
            self._selector.modify(client.connection, wanted, self._selector.get_key(client.connection).data)

    def _end(self, client: Client) -> None:
        self._clients.discard(client)
        self._selector.unregister(client.connection)
        if client.pidfd is not None:
            self._selector.unregister(client.pidfd)
        client.close()
        samples = self._hearing.gone(client, self._house.now())
        if samples:
            self._house.put(samples)


def _refuse(connection: socket.socket, why: str) -> None:
    with contextlib.suppress(OSError):
        connection.send(said({"error": why}), socket.MSG_NOSIGNAL)
