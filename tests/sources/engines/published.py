"""Engines of our making: real servers on this machine that publish what a test wants published."""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.runtime.answers import serving, told

from wattledger.core.model import Fault, Instant, Sample, Served
from wattledger.core.ports import Host, Source
from wattledger.runtime.fetch import make_fetch

TEXTS = Path(__file__).parent / "texts"
S = 1_000_000_000
WALL_S = 1_795_341_600


def text(name: str) -> bytes:
    return (TEXTS / name).read_bytes()


class Clock:
    """Stands still until it is set.  ``looks``: how often each thread has looked at it."""

    def __init__(self) -> None:
        self.s = 0.0
        self.looks: Counter[str] = Counter()
        self._looked = threading.Condition()

    def __call__(self) -> Instant:
        with self._looked:
            self.looks[threading.current_thread().name] += 1
            self._looked.notify_all()
            return Instant(round(self.s * S), round((WALL_S + self.s) * S))

    def until_looked(self, thread: str, n: int) -> None:
        with self._looked:
            assert self._looked.wait_for(lambda: self.looks[thread] >= n, 10)


class Published:
    """One engine.  State: what it answers at each path, whether it hangs, and which paths were asked for."""

    def __init__(self, body: bytes) -> None:
        self.pages: dict[str, bytes] = {"/metrics": body}
        self.status = "200 OK"
        self.raw: bytes | None = None
        self.asked: list[str] = []
        self.free = threading.Event()
        self.free.set()
        self.port = 0

    @property
    def body(self) -> bytes:
        return self.pages["/metrics"]

    @body.setter
    def body(self, body: bytes) -> None:
        self.pages["/metrics"] = body

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/metrics") -> str:
        return f"http://{self.address}{path}"

    def say(self, peer: socket.socket, request: bytes) -> None:
        path = request.split(b" ")[1].decode()
        self.asked.append(path)
        assert self.free.wait(20)
        if self.raw is not None:
            peer.sendall(self.raw)
        elif path in self.pages:
            peer.sendall(told(self.pages[path], status=self.status))
        else:
            peer.sendall(told(b"not here\n", status="404 Not Found"))


@contextmanager
def publishing(body: bytes = b"") -> Iterator[Published]:
    engine = Published(body)
    with serving(engine.say) as server:
        engine.port = server.port
        try:
            yield engine
        finally:
            engine.free.set()


def host(procfs: str = "/nowhere", /, **options: object) -> Host:
    """As runtime tells it; patient, because the machine may be busy."""
    return Host("", procfs, {}, (), True, {"timeout_s": 10.0, **options}, make_fetch())


def read(source: Source, clock: Clock | None = None, *, until: Callable[[list[Sample]], bool] = bool) -> list[Sample]:
    """What came, in as many reads as it takes until there is what was waited for."""
    samples: list[Sample] = []
    pause = threading.Event()
    for _ in range(2_000):
        samples += source.read(clock or Clock(), True)
        if until(samples):
            return samples
        pause.wait(0.005)  # who was late once is not waited for
    raise AssertionError(f"it never came: {samples}")


def served(samples: list[Sample]) -> list[Served]:
    return [sample for sample in samples if isinstance(sample, Served)]


def faults(samples: list[Sample]) -> list[str]:
    return [sample.what for sample in samples if isinstance(sample, Fault)]


def counts(sample: Served) -> tuple[int | None, ...]:
    """Prompt, cached, generated, requests, steps, running."""
    return sample.prompt_tokens, sample.cached_tokens, sample.generated_tokens, sample.requests, sample.steps, sample.running
