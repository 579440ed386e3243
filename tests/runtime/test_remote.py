"""The program's side: spans go to the agent without waiting, accounts come back, and an agent that goes away costs what it says."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.runtime.control_rig import Node, place
from tests.runtime.devices import until

from wattledger.core.accounts import SpanAccount
from wattledger.core.model import Boundary, Instant, Work, Workload
from wattledger.runtime.config import Config, Value
from wattledger.runtime.remote.claimed import claimed
from wattledger.runtime.remote.meter import AgentMeter, Refused

Make = Callable[[Instant], Boundary]


class Program:
    """A meter as the tracker uses it, and what it was handed."""

    def __init__(self, path: Path, environ: dict[str, str] | None = None) -> None:
        self.settled: dict[int, SpanAccount] = {}
        self.handed = threading.Event()
        config = Config({"agent.socket": Value(str(path), "the test")})
        self.meter = AgentMeter(config, environ or {}, settled=self._keep, wanted=lambda _: True)

    def _keep(self, account: SpanAccount) -> None:
        self.settled[account.span] = account
        self.handed.set()

    def _edge(self, span: int, edge: str, job: str, parent: int | None) -> Make:
        return lambda at: Boundary(span, at, edge, Workload(job), self.meter.tree, parent)  # type: ignore[arg-type]

    def enter(self, span: int, job: str = "j", parent: int | None = None) -> None:
        self.meter.enter(self._edge(span, "enter", job, parent))

    def leave(self, span: int, job: str = "j") -> None:
        self.meter.leave(self._edge(span, "leave", job, None))

    def settle(self, span: int) -> SpanAccount:
        for _ in range(100):
            self.meter.settle([span], ended=True)
            if span in self.settled:
                return self.settled[span]
        raise AssertionError(f"span {span} never settled")


@pytest.fixture
def folder() -> Iterator[Path]:
    with place() as folder:
        yield folder


@pytest.fixture
def path(folder: Path) -> Path:
    return folder / "a.sock"


@pytest.fixture
def node(path: Path) -> Iterator[Node]:
    node = Node(str(path))
    yield node
    node.stop()


@pytest.fixture
def program(node: Node, path: Path) -> Iterator[Program]:
    program = Program(path)
    yield program
    program.meter.stop()


def arrived(node: Node, n: int) -> None:
    """Wait until the agent has been told of so many boundaries."""
    until(lambda: sum(isinstance(s, Boundary) for b in list(node.sampler._pending) for s in b.samples) >= n, f"{n} boundaries")


def test_an_ended_spans_account_is_the_agents_own(node: Node, program: Program) -> None:
    program.enter(1, "outer")
    program.enter(2, "inner", parent=1)
    program.leave(2)
    program.leave(1)
    arrived(node, 4)
    threading.Timer(0.05, node.tick).start()
    for span in (1, 2):
        mine = program.settle(span)
        [theirs] = [a for a in node.settled if a.workload.job == mine.workload.job]
        assert mine.left is not None
        assert theirs.left is not None
        assert (mine.entered.mono_ns, mine.left.mono_ns) == (theirs.entered.mono_ns, theirs.left.mono_ns)
        assert mine.lanes["card", "counter"].active_uj == theirs.lanes["card", "counter"].active_uj > 0
    assert program.meter.prices().factors["grid"].zone == "DE"
    assert program.meter.prices().notes == ("a price's note",)
    assert "a sensor's note" in program.meter.notes(program.settled[1])
    assert program.meter.host == "node-1"


def test_a_live_account_is_of_the_last_closed_cell(node: Node, program: Program) -> None:
    program.enter(1)
    arrived(node, 1)
    seen = program.meter.look([1])
    assert [a.lanes for a in seen.accounts] == [{}]
    assert any("no cell" in note for note in program.meter.notes(seen.accounts[0]))
    node.tick()
    known = [program.meter.look([1]) for _ in range(2)]
    assert known[0].at == known[1].at
    lanes = [k.accounts[0].lanes["card", "counter"].active_uj for k in known]
    assert lanes[0] == lanes[1] > 0
    length_ns = known[0].at.mono_ns - known[0].accounts[0].entered.mono_ns
    assert lanes[0] == pytest.approx(100e6 * length_ns / 1e9, rel=0.5)


def test_one_that_asks_before_the_cell_is_closed_gets_what_there_is_and_then_the_rest(node: Node, program: Program) -> None:
    program.enter(1)
    arrived(node, 1)
    node.tick()
    program.meter.look([1])
    program.leave(1)
    program.meter.settle([1], ended=True)
    assert program.settled == {}
    seen = program.meter.look([1])
    assert "asked before the agent had closed" in seen.note
    node.tick()
    assert program.settle(1).lanes["card", "counter"].active_uj >= seen.accounts[0].lanes["card", "counter"].active_uj


def test_tokens_reach_the_agent_with_names_even_after_the_span(node: Node, program: Program) -> None:
    program.enter(1, "job")
    at = Instant(0, 0)
    program.meter.put(Work(Workload("job"), at, 3, 0, 5, 1, span=1))
    program.leave(1)
    program.meter.put(Work(Workload("job"), at, 4, span=1))
    arrived(node, 2)
    until(lambda: sum(isinstance(s, Work) for b in list(node.sampler._pending) for s in b.samples) == 2, "both")
    node.tick()
    assert node.pipeline.totals.work[Workload("job")][2:6] == (7, 0, 5, 1)


def test_a_restart_in_a_span_is_a_gap_that_is_said_and_bounded(path: Path) -> None:
    node = Node(str(path))
    program = Program(path)
    program.enter(1)
    arrived(node, 1)
    node.tick()
    node.stop()  # says everybody's account of its last cell
    until(lambda: not program.meter._link.up, "the end is seen")
    before = program.meter.look([1]).accounts[0]
    again = Node(str(path))
    until(lambda: program.meter._link.up, "it is back")
    arrived(again, 1)
    again.tick()
    program.leave(1)
    arrived(again, 1)
    threading.Timer(0.05, again.tick).start()
    account = program.settle(1)
    first = before.lanes["card", "counter"].active_uj
    [second] = [a.lanes["card", "counter"].active_uj for a in again.settled]
    assert account.lanes["card", "counter"].active_uj == first + second
    [gap] = account.gaps
    assert (gap.device.id, gap.reason) == ("card", "the agent was away, or heard of it late")
    assert account.left is not None
    dark_ns = gap.end.mono_ns - gap.start.mono_ns
    assert first + second + 0.1 * dark_ns == pytest.approx(0.1 * (account.left.mono_ns - account.entered.mono_ns), rel=0.02)
    [note] = [note for note in program.meter.notes(account) if "away" in note]
    assert "energy of these" in note
    assert "is not counted" in note
    program.meter.stop()
    again.stop()
    assert node.residual_uj == again.residual_uj == {}


def test_a_run_without_its_agent_goes_on_unmeasured_and_says_so(path: Path) -> None:
    node = Node(str(path))
    program = Program(path)
    program.enter(1)
    arrived(node, 1)
    node.tick()
    program.meter.look([1])
    node.stop()
    until(lambda: not program.meter._link.up, "the end is seen")
    program.enter(2)
    program.leave(2)
    program.leave(1)
    assert program.settled[2].lanes == {}
    [gap] = program.settled[1].gaps
    assert gap.end == program.settled[1].left
    assert any("has been away since" in note for note in program.meter.notes(program.settled[1]))
    program.meter.stop()


def test_an_agent_that_dies_answers_who_waits(path: Path) -> None:
    node = Node(str(path))
    program = Program(path)
    program.enter(1)
    program.leave(1)
    arrived(node, 2)
    node.server.close()  # without a last cell
    program.handed.wait(10)
    assert program.settled[1].lanes == {}
    node.sampler.stop()
    program.meter.stop()


def test_spans_left_while_the_agent_comes_back_do_not_stay_open(path: Path) -> None:
    node = Node(str(path))
    program = Program(path)
    for span in range(1, 200):
        program.enter(span)
    node.stop()
    again = Node(str(path))
    for span in range(1, 200):
        program.leave(span)
    program.enter(1000)
    until(lambda: program.meter._link.up, "it is back")
    program.leave(1000)
    until(lambda: not any(c.spans for c in again.server._clients), "all are left")
    program.meter.stop()
    again.stop()


def test_more_spans_than_the_agent_takes_are_part_of_the_run_around_them(node: Node, program: Program) -> None:
    program.enter(1, "outer")
    for span in range(2, 20_000):
        program.enter(span, "loop", parent=1)
        program.enter(span + 100_000, "in it", parent=span)
        program.leave(span + 100_000)
        program.leave(span)
    program.leave(1, "outer")
    until(lambda: any(b.edge == "leave" and b.workload.job == "outer" for b in list(_edges(node))), "the outer's end")
    node.tick()
    whole = program.settle(1)
    assert program.meter._link.up
    assert program.meter._away == []
    assert whole.lanes["card", "counter"].active_uj == whole.lanes["card", "counter"].device_uj > 0
    untold = next(a for a in program.settled.values() if not a.lanes)
    assert any("in the run around it" in note for note in program.meter.notes(untold))
    assert node.residual_uj == {}


def _edges(node: Node) -> Iterator[Boundary]:
    for batch in list(node.sampler._pending):
        yield from (s for s in batch.samples if isinstance(s, Boundary))


def test_what_is_no_agent_is_refused_with_its_words(folder: Path, path: Path) -> None:
    def answer(words: bytes) -> str:
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            other.listen(1)

            def speak() -> None:
                connection, _ = other.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(words)

            thread = threading.Thread(target=speak)
            thread.start()
            with pytest.raises(Refused) as refused:
                Program(path)
            thread.join()
        path.unlink()
        return str(refused.value)

    assert answer(b'{"id": 0, "error": "protocol version 1: this agent speaks 2", "v": 2}\n').endswith("speaks 2")
    assert answer(b"HTTP/1.1 400\r\n\r\n") != ""
    assert answer(b"") == "it hung up"
    assert answer(b"[]\n") == "it hung up"
    assert "no sense" in answer(b'{"ok": true}\n')


def test_what_a_command_works_for_is_claimed_while_it_runs(node: Node, path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        claim = claimed(str(path), Workload("sim", None, (("a", "b"),)), "r1", child.pid)
        assert claim is not None
        until(lambda: child.pid in node.clients, "claimed")
        node.tick()
        assert [(c.who, c.workload, c.rank) for c in node.claims()] == [
            (f"pid:{child.pid}", Workload("sim", None, (("a", "b"), ("run_id", "r1"))), "program")
        ]
        claim.close()
        child.communicate(b"\n")
    until(lambda: node.server.connections == 0, "it ended")
    node.tick()
    node.tick()
    until(lambda: not node.clients, "claimed no more")
    assert claimed(str(path) + "x", Workload("sim"), "r", 1) is None
