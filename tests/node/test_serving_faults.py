"""A bad day of seven engines beside one agent: whatever they do, the others go on, every page adds up, and the books are right.

The day is lived once, by a real engine that is killed under load and six that serve nobody (``stub_engine``), each with troubles of
its own at the same time; a page is taken twice a second.  Then the agent is ended while all of them are at work.
"""

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

import pytest
from tests.cli.front import Front, own_place
from tests.node.agents import Agent, Row, agent, total
from tests.node.checks import DEVICE, ERRORS, LATE, UP, closes, nothing_twice
from tests.runtime.books.read import known
from tests.servers import llama
from tests.servers.load import (
    ASKED,
    CLIENTS,
    DIVIDED,
    ENERGY,
    GOT,
    KINDS,
    MOST_TOKENS,
    PRICE,
    TOKENS,
    Load,
    by_kind,
    config,
    identity,
    llama_url,
)
from tests.servers.programs import free_port, until
from tests.servers.stub_engine import Stub, post, stubs

from wattledger.core.facts import AllocationFact, EnergyFact
from wattledger.integrations._records import Told, as_otlp
from wattledger.integrations._usage import Counts

pytestmark = pytest.mark.slow
STUBS = ("hung", "odd", "back", "quiet", "swapped", "flood")
WORK = {"rate": 100, "prompt_rate": 300, "cpu_ms": 0.5, "running": 2}
DEARER = {**WORK, "cpu_ms": 3.0}
HANG_S, READ_S = 20.0, 2.3  # within the latter each engine is read twice
RECORDS, BURSTS, TENANTS = 10_000, 20, 150
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
    """State: the pages, when what happened, and what was told; and at its end the books and the log."""

    def __init__(self, folder: Path) -> None:
        self.books, self.log = folder / "books", ""
        self.pages: list[Seen] = []
        self.at_s: dict[str, float] = {}
        self.counts: dict[str, dict[str, int]] = {}
        self.first_lives: dict[str, dict[str, int]] = {}
        self.loads: list[Load] = []
        self.records: list[Told] = []
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.stop_s = 0.0
        self.status: int | None = None

    def mark(self, what: str) -> None:
        self.at_s[what] = time.monotonic()

    def between(self, start: str, end: str) -> list[Seen]:
        """The pages of that time."""
        return [page for page in self.pages if self.at_s[start] <= page.at_s <= self.at_s[end]]

    def after(self, what: str, s: float = READ_S) -> Seen:
        """The first page by which whatever happened then has been read."""
        return next(page for page in self.pages if page.at_s >= self.at_s[what] + s)


# --- the day ----------------------------------------------------------------------------------------------------------------------


def until_s(day: Day, s: float) -> None:
    """Until so many seconds of the day have gone."""
    _NEVER.wait(max(0.0, day.at_s["began"] + s - time.monotonic()))


def hangs(day: Day, stub: Stub) -> None:
    until_s(day, 4)
    stub.tell(mode="hang")
    day.mark("hangs")
    _NEVER.wait(HANG_S)
    stub.tell(mode="ok")
    day.mark("hung")


def answers_nonsense(day: Day, stub: Stub) -> None:
    until_s(day, 7)  # some seconds after the other's failure: the log says the last of those that begin within one
    for mode in ("html", "error", "cut"):
        stub.tell(mode=mode)
        day.mark(mode)
        _NEVER.wait(READ_S)
    stub.tell(mode="ok")
    day.mark("sane")


def goes_back(day: Day, stub: Stub) -> None:
    """First for a reading or two, in one of its counts; later for good, in all."""
    until_s(day, 5)
    before = stub.counts()["generated"]
    stub.tell(generated=before // 10)
    _NEVER.wait(1.2)
    stub.tell(generated=before + 150)
    until_s(day, 11)
    day.first_lives["back"] = rest(stub)
    stub.tell(**dict.fromkeys(("prompt", "generated", "steps"), 0), **WORK)
    day.mark("back")


def is_swapped(day: Day, stub: Stub) -> None:
    """Another model, six times as dear, under the same name."""
    until_s(day, 14)
    day.first_lives["swapped"] = rest(stub)
    stub.kill()
    day.mark("swapping")
    stub.start(**DEARER)
    day.mark("swapped")


def rest(stub: Stub) -> dict[str, int]:
    """Let it do nothing until it has been read: what it counted in this life."""
    stub.tell(rate=0, prompt_rate=0, running=0)
    _NEVER.wait(READ_S)
    return stub.counts()


def is_killed(day: Day, folder: Path, port: int, engine: contextlib.ExitStack) -> None:
    """The real engine, by -9, while it answers three; then another on the same port."""
    first, second = Load(port, 1, may_break=True), Load(port, 2)
    day.loads += [first, second]
    asking = threading.Thread(target=first.run, args=(60,))
    asking.start()
    until_s(day, 9)
    kill(port)
    day.mark("killed")
    asking.join()
    engine.close()
    _NEVER.wait(READ_S)
    day.mark("down")
    engine.enter_context(llama.serving(folder, port=port))
    _NEVER.wait(READ_S)  # what it does before it is first read, who can tell from what the one before did?
    day.mark("up again")
    second.run(4)
    day.mark("asked again")


def kill(port: int) -> None:
    words = f"\0--port\0{port}\0".encode()
    [process] = [path.parent for path in Path("/proc").glob("[0-9]*/cmdline") if words in _read(path)]
    os.kill(int(process.name), signal.SIGKILL)


def _read(path: Path) -> bytes:
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return b""


def is_flooded(day: Day, stub: Stub, url: str) -> None:
    """Ten thousand requests that were in progress at one time, told in twenty posts without a pause; then some that cannot be."""
    stub.tell(rate=25_000, prompt_rate=30_000, cpu_ms=0.01, running=1000)
    until_s(day, 12)
    stub.tell(rate=0, prompt_rate=0, running=0)
    now, chance = datetime.now(UTC), random.Random(3)
    day.records = [record(stub, now, chance, n) for n in range(RECORDS)]
    each = RECORDS // BURSTS
    bodies = [as_otlp(day.records[n : n + each]) for n in range(0, RECORDS, each)]
    day.mark("flood")
    day.answers = [post(url, body) for body in bodies]
    day.mark("flooded")
    whole = record(stub, now, chance, RECORDS)._replace(tenant="impossible")
    for tokens in (-1, 10_000_001, 2**62):
        day.answers.append(post(url, as_otlp([whole._replace(counts=Counts(tokens, 0, 10), response_id="")])))
    lost = whole._replace(port=9, model="nobody's", response_model="nobody's", response_id="")
    day.answers.append(post(url, as_otlp([lost])))


def record(stub: Stub, now: datetime, chance: random.Random, n: int) -> Told:
    began, ended = (now - timedelta(seconds=chance.uniform(*s)) for s in ((5, 10), (0, 3)))
    first = began + timedelta(seconds=chance.uniform(0.1, 1))
    counts = Counts(chance.randint(10, 50), 0, chance.randint(5, 40))
    tenant, id_ = f"tenant-{n % TENANTS}", f"cmpl-{n:028}"
    return Told("chat", stub.model, "127.0.0.1", stub.port, began, first, ended, counts, tenant, id_, stub.model)


def lived(day: Day, node: Agent, folder: Path, engines: dict[str, Stub], engine: tuple[int, contextlib.ExitStack]) -> None:
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
        lambda: is_killed(day, folder, *engine),
    ]
    for model in ("hung", "odd", "back", "swapped"):
        engines[model].tell(**WORK)
    day.mark("began")
    threads = [threading.Thread(target=alone, args=(trouble,)) for trouble in troubles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for raised in wrong:
        raise raised


def evening(day: Day, node: Agent, engines: dict[str, Stub]) -> None:
    """All is read and settled; then they work again, and the agent is ended."""
    for stub in engines.values():
        stub.tell(rate=0, prompt_rate=0, running=0)
    _NEVER.wait(READ_S)
    day.counts = {model: stub.counts() for model, stub in engines.items()}
    day.mark("quiet")
    asked = sum(told.counts.generated or 0 for told in day.records)
    until(lambda: total(node.scrape(), ASKED, model_name="flood", kind="generated") >= asked, "the flood is settled")
    day.mark("settled")
    _NEVER.wait(1.2)


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    folder = tmp_path_factory.mktemp("day")
    found, over = Day(folder), threading.Event()

    def look() -> None:
        while not over.wait(0.5):
            with contextlib.suppress(OSError):  # it is ending
                found.pages.append(Seen(time.monotonic(), node.scrape(), node.rss_mb()))

    with stubs(folder, **{model: free_port() for model in STUBS}) as engines, contextlib.ExitStack() as engine:
        port = engine.enter_context(llama.serving(folder))
        for stub in engines.values():
            stub.start()
        urls = [llama_url(port), *(stub.url for stub in engines.values())]
        with agent(folder, config=config(folder, *urls)) as node:
            until(lambda: len(json.loads(node.get("/tokens.json", "application/json"))["models"]) == len(urls), "all are known")
            looking = threading.Thread(target=look)
            looking.start()
            try:
                lived(found, node, folder, engines, (port, engine))
                evening(found, node, engines)
            finally:
                over.set()
                looking.join()
            busy = threading.Thread(target=Load(port, 3).run, args=(3,))
            busy.start()
            for stub in engines.values():
                stub.tell(**WORK)
            _NEVER.wait(2)
            found.pages.append(Seen(time.monotonic(), node.scrape(), node.rss_mb()))
            ending = time.monotonic()
            found.status = node.stop()
            found.stop_s = time.monotonic() - ending
            busy.join()
            found.log = node.log
            nothing_twice(node)
            yield found


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


def lines(day: Day, *words: str) -> list[str]:
    return [line for line in day.log.splitlines() if all(word in line for word in words)]


# --- every page -------------------------------------------------------------------------------------------------------------------


def test_on_every_page_each_engine_s_kinds_and_pending_are_its_energy(day: Day) -> None:
    assert len(day.pages) > 40
    for page in day.pages:
        for model in (*STUBS, llama.ALIAS):
            divided, energy = identity(page.rows, model)
            assert divided == energy, f"{model} at {page.at_s - day.at_s['began']:.1f} s"
        closes(page.rows)
    assert all(identity(day.pages[-1].rows, model)[1] > 0 for model in (*STUBS, llama.ALIAS))


def test_nothing_is_negative_and_no_counter_falls(day: Day) -> None:
    before: dict[tuple[str, frozenset[tuple[str, str]]], Decimal] = {}
    for page in day.pages:
        now = {(name, frozenset(labels.items())): value for name, labels, value in page.rows if name.endswith("_total")}
        assert all(value >= 0 for _, _, value in page.rows)
        assert [key for key, value in before.items() if now.get(key, Decimal(-1)) < value] == []
        before = now


def test_ticks_are_never_late_and_the_other_sources_go_on(day: Day) -> None:
    late_s = max(total(page.rows, LATE) for page in day.pages)
    print(f"a tick was at most {late_s * 1000:.0f} ms late")
    assert late_s < 1
    for page in day.pages:
        assert {labels["source"]: value for name, labels, value in page.rows if name == UP} == dict.fromkeys(
            ("cgroup", "engines", "estimate"), Decimal(1)
        )
        assert {labels["source"] for name, labels, value in page.rows if name == ERRORS and value} <= {"engines"}


# --- each engine's own troubles ---------------------------------------------------------------------------------------------------


def test_while_one_engine_hangs_the_others_are_counted(day: Day) -> None:
    pages = day.between("hangs", "hung")[4:]
    assert len({page.tokens("hung") for page in pages}) == 1
    for model in ("odd", "back", "swapped", llama.ALIAS):
        assert pages[-1].tokens(model) > pages[0].tokens(model) + 200
    assert len(lines(day, "no answer within 1 s")) == 1


def test_what_an_engine_did_while_it_hung_is_counted_when_it_answers(day: Day) -> None:
    assert day.after("hung").tokens("hung") > day.between("hangs", "hung")[-1].tokens("hung") + 0.8 * HANG_S * WORK["rate"]
    for kind in ("prompt", "generated"):
        assert day.after("quiet", 0).tokens("hung", kind) == day.counts["hung"][kind]


def test_an_engine_that_answers_nonsense_has_lost_no_token_when_it_is_sane(day: Day) -> None:
    for kind in ("prompt", "generated"):
        assert day.after("quiet", 0).tokens("odd", kind) == day.counts["odd"][kind]
    assert len(lines(day, "web page (HTML)")) == 1


def test_a_count_that_goes_back_counts_nothing_twice(day: Day) -> None:
    for kind in ("prompt", "generated"):
        whole = day.first_lives["back"][kind] + day.counts["back"][kind]
        assert day.after("quiet", 0).tokens("back", kind) == whole


def test_an_engine_with_no_tokens_has_standby_and_no_price(day: Day) -> None:
    assert [row for page in day.pages[:-1] for row in page.rows if row[0] == PRICE and row[1]["model_name"] == "quiet"] == []
    noon, night = day.after("hangs"), day.after("settled", 0)
    assert night.joules("quiet", "standby") > noon.joules("quiet", "standby") > 0
    assert night.joules("quiet", "standby") > 0.8 * float(total(night.rows, ENERGY, model_name="quiet"))
    assert night.joules("quiet", "prompt") == night.joules("quiet", "generated") == 0


def test_another_model_under_the_same_name_has_a_price_of_its_own(day: Day) -> None:
    def price(page: Seen) -> float:
        return float(total(page.rows, PRICE, model_name="swapped", kind="generated", bound="value"))

    before, after = day.between("began", "swapping")[-1], day.between("swapped", "quiet")[-1]
    assert 0 < 2.5 * price(before) < price(after), "six times the CPU, of which idle is a part"
    for kind in ("prompt", "generated"):
        whole = day.first_lives["swapped"][kind] + day.counts["swapped"][kind]
        assert day.after("quiet", 0).tokens("swapped", kind) == whole


def test_the_real_engine_killed_under_load_is_counted_on(day: Day) -> None:
    first, second = day.loads
    down, again, end = day.after("down", 0), day.after("up again", 0), day.after("quiet", 0)
    assert 0 < down.tokens(llama.ALIAS) <= first.generated + CLIENTS * MOST_TOKENS
    assert again.tokens(llama.ALIAS) == down.tokens(llama.ALIAS)
    assert second.generated > 0
    assert end.tokens(llama.ALIAS) - again.tokens(llama.ALIAS) == second.generated
    assert end.tokens(llama.ALIAS, "prompt") - again.tokens(llama.ALIAS, "prompt") == second.prompt
    assert len(lines(day, "connection refused")) == len({line for line in lines(day, "connection refused")})


# --- the flood --------------------------------------------------------------------------------------------------------------------


def test_ten_thousand_requests_in_progress_at_once_are_taken_settled_and_kept(day: Day) -> None:
    assert day.answers[:BURSTS] == [(200, {})] * BURSTS
    rows = day.after("settled", 0).rows
    told = {kind: sum(getattr(r.counts, kind) for r in day.records) for kind in ("prompt", "generated")}
    unrecorded = by_kind(rows, ASKED, "prompt", "generated", model_name="flood", tenant="(unrecorded)")
    whole = by_kind(rows, ASKED, "prompt", "generated", model_name="flood")
    assert {kind: whole[kind] - unrecorded[kind] for kind in whole} == told
    tenants = {labels["tenant"] for name, labels, _ in rows if name == GOT and labels["model_name"] == "flood"}
    assert "(other)" in tenants
    assert len(tenants) < TENANTS
    kept = [f for f in allocations(day) if f.request and f.key.model == "flood"]
    assert len(kept) == len({f.request for f in kept}) == RECORDS
    assert {f.tenant for f in kept} == {told.tenant for told in day.records}
    assert sum(f.generated_tokens for f in kept) == told["generated"]


def test_requests_never_have_more_than_tokens_got(day: Day) -> None:
    for page in day.pages:
        got = by_kind(page.rows, GOT, "prompt", "generated", model_name="flood")
        assert all(0 <= uj <= page.joules("flood", kind) for kind, uj in got.items())
    assert total(day.after("settled", 0).rows, GOT, model_name="flood", kind="generated") > 0


def test_a_flood_of_records_costs_memory_that_is_bounded(day: Day) -> None:
    before, after = day.between("began", "flood")[-1].rss_mb, max(page.rss_mb for page in day.pages)
    posted_s = day.at_s["flooded"] - day.at_s["flood"]
    print(f"{RECORDS} records posted in {posted_s:.2f} s: {before:.0f} MB before, at most {after:.0f} MB after")
    assert after - before < 100


def test_a_record_that_cannot_be_is_refused_in_one_line_and_has_no_tenant(day: Day) -> None:
    refused = day.answers[BURSTS : BURSTS + 3]
    for status, answer in refused:
        assert status == 200
        assert answer["partialSuccess"]["rejectedSpans"] == "1"
        assert "token count" in answer["partialSuccess"]["errorMessage"]
    assert len(lines(day, "token count")) == 1
    assert not any(labels.get("tenant") == "impossible" for page in day.pages for _, labels, _ in page.rows)


# --- the end, and the books -------------------------------------------------------------------------------------------------------


def test_an_agent_ended_while_engines_are_busy_ends_in_order(day: Day) -> None:
    assert day.status == 0
    assert day.stop_s < 5
    assert day.log.splitlines()[-1] == "wattledger: stopped"


def test_its_books_hold_the_last_page_and_verify(day: Day, front: Front) -> None:
    said = front("ledger", "verify", "--ledger", str(day.books), "--json")
    assert (said.status, said.err) == (0, "")
    books, last = everything(day), day.pages[-1]
    drawn = {m: sum(f.energy_uj for f in books if isinstance(f, EnergyFact) and f.key.model == m) for m in (*STUBS, llama.ALIAS)}
    whole_uj = sum(f.energy_uj for f in books if isinstance(f, EnergyFact))
    open_uj = whole_uj - int(total(last.rows, DEVICE) * 1_000_000)
    assert open_uj >= 0
    for model, uj in drawn.items():
        windows = [f for f in allocations(day) if not f.request and f.key.model == model]
        for kind in KINDS:
            assert sum(getattr(f, f"{kind}_uj") for f in windows) >= last.joules(model, kind) * 1_000_000
        divided_uj = sum(f.prompt_uj + f.generated_uj + f.standby_uj + f.overhead_uj for f in windows)
        assert 0 <= uj - divided_uj <= open_uj, model
        assert sum(f.prompt_uj + f.generated_uj for f in allocations(day) if f.request and f.key.model == model) <= divided_uj


def everything(day: Day) -> list[Any]:
    return [found.fact for found in known(day.books)]


def allocations(day: Day) -> list[AllocationFact]:
    return [fact for fact in everything(day) if isinstance(fact, AllocationFact)]
