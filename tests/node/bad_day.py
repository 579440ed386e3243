"""A day on which seven engines beside one agent have their troubles at the same time: a real one, killed under load, and six that
serve nobody (``stub_engine``).  A page is taken twice a second; in the evening the agent is ended while all of them are at work."""

import contextlib
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from tests.node.agents import Agent, Row, agent, total
from tests.runtime.books.read import facts
from tests.servers import llama
from tests.servers.load import ASKED, DIVIDED, TOKENS, Load, config, llama_url
from tests.servers.programs import free_port, until
from tests.servers.stub_engine import Stub, post, stubs

from wattledger.core.facts import Fact
from wattledger.integrations._records import Told, as_otlp
from wattledger.integrations._usage import Counts

STUBS = ("hung", "odd", "back", "quiet", "swapped", "flood")
WORKING = ("hung", "odd", "back", "swapped")
WORK = {"rate": 100, "prompt_rate": 300, "cpu_ms": 0.5, "running": 2}
DEARER = {**WORK, "cpu_ms": 3.0}
REST = {"rate": 0, "prompt_rate": 0, "running": 0}
HANG_S, READ_S = 20.0, 2.3  # within the latter each engine is read twice
RECORDS, BURSTS, TENANTS = 10_000, 20, 150
IMPOSSIBLE = (-1, 10_000_001, 2**62)  # tokens
_NEVER = threading.Event()


class Seen(NamedTuple):
    """A page, when it was taken, and the agent's size then."""

    at_s: float
    rows: list[Row]
    rss_mb: float

    def tokens(self, model: str, kind: str = "generated") -> int:
        return int(total(self.rows, TOKENS, model_name=model, kind=kind))

    def joules(self, model: str, kind: str) -> Decimal:
        return total(self.rows, DIVIDED, model_name=model, kind=kind)


class Day:
    """State: the pages, when what happened, and what was told; at its end how the agent ended, its books and its log.

    ``counts``: what engines told when all was over; ``first_lives``: likewise of those that began anew, before.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pages: list[Seen] = []
        self.at_s: dict[str, float] = {}
        self.ports = {model: free_port() for model in (*STUBS, llama.ALIAS)}
        self.counts: dict[str, dict[str, int]] = {}
        self.first_lives: dict[str, dict[str, int]] = {}
        self.loads = Load(self.ports[llama.ALIAS], 1, may_break=True), Load(self.ports[llama.ALIAS], 2)
        self.records: list[Told] = []
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.stop_s, self.status = 0.0, -1
        self.books, self.facts, self.log = folder / "books", list[Fact](), ""

    def mark(self, what: str) -> None:
        self.at_s[what] = time.monotonic()

    def look(self, node: Agent) -> None:
        self.pages.append(Seen(time.monotonic(), node.scrape(), node.rss_mb()))

    def between(self, start: str, end: str) -> list[Seen]:
        """The pages of that time."""
        return [page for page in self.pages if self.at_s[start] <= page.at_s <= self.at_s[end]]

    def after(self, what: str) -> Seen:
        """The first page since."""
        return next(page for page in self.pages if page.at_s >= self.at_s[what])

    def whole(self, model: str, kind: str) -> int:
        """What an engine told in all its lives."""
        return self.counts[model][kind] + self.first_lives.get(model, {}).get(kind, 0)

    def lines(self, *words: str) -> list[str]:
        """Those of the log that hold all these words."""
        return [line for line in self.log.splitlines() if all(word in line for word in words)]

    def until_s(self, s: float) -> None:
        """Until so many seconds of it have gone."""
        _NEVER.wait(max(0.0, self.at_s["began"] + s - time.monotonic()))

    def rested(self, stub: Stub) -> dict[str, int]:
        """What an engine has told since it began, when it has been read to its end."""
        stub.tell(**REST)
        _NEVER.wait(READ_S)
        counts, before = stub.counts(), self.first_lives.get(stub.model, {}).get("generated", 0)
        until(lambda: self.pages[-1].tokens(stub.model) >= before + counts["generated"], f"{stub.model} is read to its end")
        return counts


# --- troubles ---------------------------------------------------------------------------------------------------------------------


def hangs(day: Day, stub: Stub) -> None:
    day.until_s(4)
    stub.tell(mode="hang")
    day.mark("hangs")
    _NEVER.wait(HANG_S)
    stub.tell(mode="ok")


def answers_nonsense(day: Day, stub: Stub) -> None:
    day.until_s(7)  # some seconds after the other's failure: of those that begin within one, the log says the last
    for mode in ("html", "error", "cut", "ok"):
        stub.tell(mode=mode)
        day.mark(mode)
        _NEVER.wait(READ_S)


def goes_back(day: Day, stub: Stub) -> None:
    """First for a reading or two, in one of its counts; later for good, in all."""
    day.until_s(5)
    before = stub.counts()["generated"]
    stub.tell(generated=before // 10)
    _NEVER.wait(1.2)
    stub.tell(generated=before + 150)
    day.until_s(11)
    day.first_lives[stub.model] = day.rested(stub)
    stub.tell(**dict.fromkeys(("prompt", "generated", "steps"), 0), **WORK)


def is_swapped(day: Day, stub: Stub) -> None:
    """Another model, six times as dear, under the same name."""
    day.until_s(13)
    day.first_lives[stub.model] = day.rested(stub)
    day.mark("swapping")
    stub.kill()
    stub.start(**DEARER)
    day.mark("swapped")


def is_killed(day: Day, engine: contextlib.ExitStack) -> None:
    """The real engine, by -9, while it answers three; then another on the same port."""
    first, second = day.loads
    asking = threading.Thread(target=first.run, args=(60,))
    asking.start()
    day.until_s(9)
    kill(day.ports[llama.ALIAS])
    asking.join()
    engine.close()
    _NEVER.wait(READ_S)
    day.mark("down")
    engine.enter_context(llama.serving(day.folder, port=day.ports[llama.ALIAS]))
    _NEVER.wait(READ_S)
    day.mark("up again")
    second.run(4)


def kill(port: int) -> None:
    """The program that was told this port."""
    words = f"\0--port\0{port}\0".encode()
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if words in line.read_bytes():
                os.kill(int(line.parent.name), signal.SIGKILL)


def is_flooded(day: Day, stub: Stub, url: str) -> None:
    """Ten thousand requests that were in progress at one time, told in twenty posts without a pause; then some that cannot be."""
    stub.tell(rate=25_000, prompt_rate=30_000, cpu_ms=0.01, running=1000)
    day.until_s(12)
    stub.tell(**REST)
    now, chance = datetime.now(UTC), random.Random(3)
    day.records = [record(stub, now, chance, n) for n in range(RECORDS)]
    each = RECORDS // BURSTS
    bodies = [as_otlp(day.records[n : n + each]) for n in range(0, RECORDS, each)]
    day.mark("flood")
    day.answers = [post(url, body) for body in bodies]
    day.mark("flooded")
    other = record(stub, now, chance, RECORDS)._replace(tenant="impossible", response_id="")
    wrong = [other._replace(counts=Counts(tokens, 0, 10)) for tokens in IMPOSSIBLE]
    day.answers += [post(url, as_otlp([each])) for each in (*wrong, other._replace(port=9, model="nobody's"))]


def record(stub: Stub, now: datetime, chance: random.Random, n: int) -> Told:
    began, ended = (now - timedelta(seconds=chance.uniform(*s)) for s in ((5, 10), (0, 3)))
    first = began + timedelta(seconds=chance.uniform(0.1, 1))
    counts = Counts(chance.randint(10, 50), 0, chance.randint(5, 40))
    return Told("chat", stub.model, "127.0.0.1", stub.port, began, first, ended, counts, f"tenant-{n % TENANTS}", f"cmpl-{n:028}")


# --- the day ----------------------------------------------------------------------------------------------------------------------


def troubled(day: Day, node: Agent, engines: dict[str, Stub], engine: contextlib.ExitStack) -> None:
    """All troubles at once; whatever goes wrong in one of them is raised here."""
    wrong: list[BaseException] = []

    def alone(trouble: Callable[[], None]) -> None:
        try:
            trouble()
        except BaseException as raised:
            wrong.append(raised)

    troubles: list[Callable[[], None]] = [
        lambda: hangs(day, engines["hung"]),
        lambda: answers_nonsense(day, engines["odd"]),
        lambda: goes_back(day, engines["back"]),
        lambda: is_swapped(day, engines["swapped"]),
        lambda: is_flooded(day, engines["flood"], node.url),
        lambda: is_killed(day, engine),
    ]
    for model in WORKING:
        engines[model].tell(**WORK)
    day.mark("began")
    threads = [threading.Thread(target=alone, args=(trouble,)) for trouble in troubles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    day.mark("over")
    if wrong:
        raise wrong[0]


def settled(day: Day, engines: dict[str, Stub]) -> None:
    """All is read to its end, and requests have what they will ever have."""
    for stub in engines.values():
        stub.tell(**REST)
    day.counts = {model: day.rested(engines[model]) for model in (*WORKING, "flood")}
    asked = sum(told.counts.generated or 0 for told in day.records)
    until(lambda: total(day.pages[-1].rows, ASKED, model_name="flood", kind="generated") >= asked, "the flood is settled")
    day.mark("settled")
    _NEVER.wait(1.2)


def ended(day: Day, node: Agent, engines: dict[str, Stub]) -> None:
    """SIGTERM, while all are at work."""
    busy = threading.Thread(target=Load(day.ports[llama.ALIAS], 3).run, args=(3,))
    busy.start()
    for stub in engines.values():
        stub.tell(**WORK)
    _NEVER.wait(2)
    day.look(node)
    day.mark("ending")
    day.status = node.stop()
    day.stop_s = time.monotonic() - day.at_s["ending"]
    busy.join()
    day.log, day.facts = node.log, facts(day.books)


@contextlib.contextmanager
def lived(folder: Path) -> Iterator[Day]:
    """The whole day."""
    day, over = Day(folder), threading.Event()
    ports = {model: day.ports[model] for model in STUBS}
    with stubs(folder, **ports) as engines, contextlib.ExitStack() as engine:
        engine.enter_context(llama.serving(folder, port=day.ports[llama.ALIAS]))
        for stub in engines.values():
            stub.start()
        urls = [llama_url(day.ports[llama.ALIAS]), *(stub.url for stub in engines.values())]
        with agent(folder, config=config(folder, *urls)) as node:
            until(lambda: len(json.loads(node.get("/tokens.json", "application/json"))["models"]) == len(urls), "all are known")

            def look() -> None:
                while not over.wait(0.5):
                    day.look(node)

            looking = threading.Thread(target=look)
            looking.start()
            try:
                troubled(day, node, engines, engine)
                settled(day, engines)
            finally:
                over.set()
                looking.join()
            ended(day, node, engines)
            yield day
