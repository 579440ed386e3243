"""An agent in the test's own process: real sampler, pipeline and socket over sources whose power is known, ticked by hand."""

import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.runtime.devices import Steady, until

from wattledger.core.accounts import SpanAccount
from wattledger.core.model import Activity, Batch, Boundary, Claim, Device, Factor, Instant, Sample, Work
from wattledger.core.pipeline import Pipeline, Step
from wattledger.core.ports import Now
from wattledger.runtime import clock
from wattledger.runtime.control.server import ControlServer, House
from wattledger.runtime.runner import Runner
from wattledger.runtime.sampler import Hooks, Sampler
from wattledger.sources.cgroup.clients import Spoken

GRID = Factor("grid", "DE", 329.0, "gCO2e/kWh", "direct", "EEA", "2023", "annual-average", 1.1)


@contextmanager
def place() -> Iterator[Path]:
    """A folder with a path short enough for a socket, whatever the test is called."""
    folder = Path(tempfile.mkdtemp(prefix="wl"))
    folder.chmod(0o755)  # other users' programs connect, too
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


class Users:
    """Who used the card: every client equally, and from the start a stranger as much as one of them."""

    name, edge = "users", False
    period_ns: int | None = None

    def __init__(self, clients: Mapping[int, Spoken], *, stranger: bool) -> None:
        self._clients, self._stranger = clients, stranger
        self._known: frozenset[int] = frozenset()
        self._looked = Instant(0, 0)

    def devices(self) -> Sequence[Device]:
        return []

    def read(self, now: Now, full: bool) -> list[Sample]:
        at = now()
        clients = tuple(self._clients)
        found = [Activity("gpu", f"pid:{pid}", at, at.mono_ns, "sm_ns") for pid in clients]
        # A newcomer's baseline, as a real source says it: he has begun since the last look.
        since, new = self._looked, [pid for pid in clients if pid not in self._known]
        found = [*(Activity("gpu", f"pid:{pid}", since, since.mono_ns, "sm_ns") for pid in new), *found]
        self._known, self._looked = frozenset(clients), at
        return [*found, *([Activity("gpu", "pid:1", at, at.mono_ns, "sm_ns")] if self._stranger else [])] if full else []

    def close(self) -> None: ...


class Node:
    """An agent that ticks when it is told to.  ``batches``: everything that was said to its pipeline."""

    def __init__(
        self, path: str, *, now: Callable[[], Instant] = clock.now, power_w: float = 100, stranger: bool = False, **house: Any
    ) -> None:
        self.path = path
        self.clients: dict[int, Spoken] = {}
        self.batches: list[Batch] = []
        self.settled: list[SpanAccount] = []
        self.logged: list[str] = []
        self.pipeline = Pipeline()
        self.card = Steady("card", int(power_w * 1e6))
        runners = [Runner(self.card, now), Runner(Users(self.clients, stranger=stranger), now)]
        self.sampler = Sampler(
            runners,
            self.pipeline,
            interval_ns=10**9,
            now=now,
            hooks=Hooks(lambda _: (), self._look),
            on_batches=self.batches.extend,
        )
        self.sampler.put([GRID])
        house = {"interval_s": 0.05, "notes": lambda: ("a sensor's note",), "price_notes": lambda: ("a price's note",), **house}
        self.server = ControlServer(
            House(self.sampler.put, self.clients, "node-1", now=now, log=self.logged.append, **house)
        )
        self.server.bind(path)
        self.server.start()
        self._ticking = threading.Event()
        self._ticker: threading.Thread | None = None
        self.sampler.tick()

    def _look(self, step: Step, pipeline: Pipeline) -> None:
        self.settled += step.settled
        self.server.closed(step, pipeline)

    def tick(self) -> None:
        """Close a cell; whatever the server is asked after this, it knows of it."""
        self.sampler.tick()
        until(lambda: not self.server._published, "the server takes the cell")

    def tick_along(self, period_s: float = 0.05) -> None:
        """Tick by itself from now on."""

        def run() -> None:
            while not self._ticking.wait(period_s):
                self.sampler.tick()

        self._ticker = threading.Thread(target=run, daemon=True)
        self._ticker.start()

    def stop_ticking(self) -> None:
        """One last tick, so that what was said is in the sums."""
        self._ticking.set()
        if self._ticker is not None:
            self._ticker.join()
        self.tick()

    def stop(self) -> None:
        """In the agent's order: the last words are of the last cell."""
        self._ticking.set()
        if self._ticker is not None:
            self._ticker.join()
        self.server.stopping()
        self.sampler.tick()
        self.server.close()
        self.sampler.stop()

    @property
    def residual_uj(self) -> dict[str, int]:
        return {device: uj for device, uj in self.pipeline.totals.residual_uj().items() if uj}

    def samples(self) -> list[Sample]:
        return [sample for batch in self.batches for sample in batch.samples]

    def boundaries(self) -> list[Boundary]:
        return [s for s in self.samples() if isinstance(s, Boundary)]

    def claims(self) -> list[Claim]:
        return [s for s in self.samples() if isinstance(s, Claim)]

    def works(self) -> list[Work]:
        return [s for s in self.samples() if isinstance(s, Work)]


class Caller:
    """A program that speaks the protocol by hand."""

    def __init__(self, node: Node, now: Callable[[], Instant] = clock.now) -> None:
        self._now = now
        self.connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.connection.settimeout(10)
        self.connection.connect(node.path)
        self._lines = self.connection.makefile("rb")

    def say(self, *messages: dict[str, Any]) -> None:
        self.raw(b"".join(json.dumps(m).encode() + b"\n" for m in messages))

    def raw(self, data: bytes) -> None:
        self.connection.sendall(data)

    def hear(self) -> Any:
        """The next message; empty when the agent has hung up."""
        try:
            line = self._lines.readline()
        except ConnectionResetError:
            line = b""
        return json.loads(line) if line else {}

    def hear_of(self, key: str, value: Any) -> Any:
        """The next message that has this; others are passed over."""
        while (message := self.hear()) and message.get(key) != value:
            pass
        return message

    def hello(self, **more: Any) -> Any:
        self.say({"op": "hello", "id": 1, "v": 1, "pid": 0, "run_id": "", "now": self._now(), **more})
        return self.hear()

    def ping(self) -> Any:
        """Everything said before has been taken when this is answered."""
        self.say({"op": "ping", "id": 999})
        return self.hear_of("id", 999)

    def enter(self, span: int, **more: Any) -> None:
        self.say({"op": "enter", "span": span, "job": "j", "at": self._now().mono_ns, **more})

    def leave(self, span: int, **more: Any) -> None:
        self.say({"op": "leave", "span": span, "at": self._now().mono_ns, **more})

    def footprint(self, span: int | None, **more: Any) -> None:
        self.say({"op": "footprint", "id": 7, "span": span, **more})

    def close(self) -> None:
        self._lines.close()
        self.connection.close()
