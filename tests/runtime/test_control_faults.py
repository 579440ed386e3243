"""Nothing that a program says or does stops the server, forges a name, or takes what is another's."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runtime.control_rig import Caller, Node

from wattledger.core.model import Workload
from wattledger.testing import FakeClock

Dial = Callable[[], Caller]


def test_forged_names_and_labels_are_taken_out_and_said_once(caller: Caller, node: Node) -> None:
    for span in (1, 2):
        caller.enter(span, job="(idle)", labels={"k8s_pod_uid": "another's", "user": "root", "team": "mine"})
    caller.ping()
    node.tick()
    assert [b.workload for b in node.boundaries()] == [Workload("idle", None, (("team", "mine"),))] * 2
    assert len(node.logged) == 2
    assert "names may not begin with '('" in node.logged[0]
    assert "only the kernel's word sets k8s_pod_uid, user" in node.logged[1]


@pytest.mark.parametrize(("message", "why"), [
    ({"op": "fly"}, "unknown op"),
    ({}, "unknown op"),
    ({"op": "enter"}, "span: expected a whole number"),
    ({"op": "enter", "span": True}, "span: expected a whole number"),
    ({"op": "enter", "span": -1}, "span: expected a whole number"),
    ({"op": "enter", "span": 1 << 80}, "span: expected a whole number"),
    ({"op": "enter", "span": 1.5}, "span: expected a whole number"),
    ({"op": "enter", "span": 1, "job": 5}, "job: expected text"),
    ({"op": "enter", "span": 1, "job": "x" * 257}, "job: expected text of at most 256"),
    ({"op": "enter", "span": 1, "job": "\ud800"}, "job: not text"),
    ({"op": "enter", "span": 1, "labels": [1]}, "labels: expected an object"),
    ({"op": "enter", "span": 1, "labels": {str(n): "" for n in range(33)}}, "labels: expected an object of at most 32"),
    ({"op": "leave", "span": 5}, "span 5 is not open"),
    ({"op": "work", "span": 5, "prompt": 1}, "neither an open span nor a job"),
    ({"op": "footprint", "span": 5}, "not one of yours"),
    ({"op": "hello", "v": 1, "now": "noon"}, "now: expected"),
])  # fmt: skip
def test_what_cannot_be_is_one_line_and_counted(caller: Caller, node: Node, message: dict[str, object], why: str) -> None:
    before = node.server.errors
    caller.say(message)
    assert why in caller.hear()["error"]
    assert node.server.errors == before + 1
    assert caller.ping()["ok"] is True


def test_nothing_is_taken_before_hello_or_in_another_version(dial: Dial, node: Node) -> None:
    caller = dial()
    caller.enter(1)
    assert "hello first" in caller.hear()["error"]
    refused = caller.hello(v=2)
    assert (refused["id"], refused["v"]) == (1, 1)
    assert "speaks 1" in refused["error"]
    caller.enter(1)
    assert "hello first" in caller.hear()["error"]
    node.tick()
    assert node.boundaries() == []


GARBAGE = [b"x" * 16385, b"x" * 16385 + b"\n", b"\n", b"[1]\n", b"5\n", b"{\n", b"[" * 16000 + b"\n", b"\xff\n"]


@pytest.mark.parametrize("line", GARBAGE)
def test_garbage_closes_its_connection_and_no_other(caller: Caller, dial: Dial, line: bytes) -> None:
    other = dial()
    other.raw(line)
    assert "error" in other.hear()
    assert other.hear() == {}
    assert caller.ping()["ok"] is True


def test_any_bytes_leave_the_server_standing(node: Node, caller: Caller, now: FakeClock) -> None:
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    values = st.recursive(leaves, lambda v: st.lists(v) | st.dictionaries(st.text(), v))
    names = st.sampled_from(["op", "id", "span", "job", "model", "labels", "at", "pid", "parent", "now", "v"])
    ops = st.sampled_from(["hello", "enter", "leave", "work", "claim", "footprint", "ping"])

    messages = st.builds(lambda fields, op: {**fields, "op": op}, st.dictionaries(names, values), ops)

    @given(st.lists(st.binary() | messages, max_size=5))
    def any_bytes(lines: list[bytes | dict[str, object]]) -> None:
        other = Caller(node, now)
        try:
            other.hello()
            for line in lines:
                other.raw(line) if isinstance(line, bytes) else other.say(line)
        except (BrokenPipeError, ConnectionResetError):
            assert any(isinstance(line, bytes) for line in lines)  # only garbage is hung up on
        finally:
            other.close()

    any_bytes()
    assert caller.ping()["ok"] is True
    node.tick()
    assert node.residual_uj == {}


def test_several_lines_in_one_send_and_one_line_in_several(caller: Caller, node: Node) -> None:
    caller.say({"op": "enter", "span": 1, "job": "a"}, {"op": "work", "span": 1, "prompt": 3}, {"op": "leave", "span": 1})
    for byte in b'{"op": "enter", "span": 2, "job": "b"}\n':
        caller.raw(bytes([byte]))
    caller.ping()
    node.tick()
    assert [(b.edge, b.workload.job) for b in node.boundaries()] == [("enter", "a"), ("leave", "a"), ("enter", "b")]
    assert [(w.workload.job, w.prompt_tokens) for w in node.works()] == [("a", 3)]


def test_a_programs_clock_is_believed_within_five_seconds(caller: Caller, node: Node, now: FakeClock) -> None:
    now.advance_s(10)
    at_ns = now().mono_ns
    for span, said_ns in enumerate([at_ns - 4_900_000_000, at_ns - 5_100_000_000, at_ns + 1, None], start=1):
        caller.say({"op": "enter", "span": span, "job": "j", "at": said_ns})
    caller.ping()
    node.tick()
    assert [b.at.mono_ns for b in node.boundaries()] == [at_ns - 4_900_000_000, at_ns, at_ns, at_ns]
    first = node.boundaries()[0].at
    assert now().wall_ns - first.wall_ns == 4_900_000_000


def test_a_clock_of_another_time_namespace_is_never_believed(dial: Dial, node: Node, now: FakeClock) -> None:
    now.advance_s(10)
    caller = dial()
    caller.hello(now=[now().mono_ns - 2_000_000_000, now().wall_ns])
    caller.say({"op": "enter", "span": 1, "job": "j", "at": now().mono_ns - 1_000_000_000})
    caller.ping()
    node.tick()
    assert [b.at for b in node.boundaries()] == [now()]


def test_no_span_ends_before_it_began(caller: Caller, node: Node, now: FakeClock) -> None:
    now.advance_s(3)
    caller.enter(1)
    caller.leave(1, at=now().mono_ns - 1_000_000_000)
    caller.ping()
    now.advance_s(1)
    node.tick()
    [account] = node.settled
    assert account.left == account.entered
    assert list(node.pipeline.spans.open_accounts()) == []


def test_open_spans_are_limited(caller: Caller) -> None:
    caller.say(*({"op": "enter", "span": n, "job": "j"} for n in range(4096)))
    assert caller.ping()["ok"] is True
    caller.enter(5000)
    assert caller.hear() == {"error": "more than 4096 open spans", "limit": True}


def test_who_floods_loses_the_connection_and_no_one_else(caller: Caller, dial: Dial, node: Node) -> None:
    flood = dial()
    flood.hello()
    line = b'{"op":"leave","span":1}\n' * 1000
    with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012 - it ends some time in the loop
        while True:
            flood.raw(line)
            flood.connection.setblocking(False)
            try:
                while flood.connection.recv(1 << 20):
                    pass
            except BlockingIOError:
                flood.connection.settimeout(10)
    assert caller.ping()["ok"] is True
    assert "its connection is closed" in node.logged[-1]


def test_who_does_not_take_his_answers_loses_the_connection(caller: Caller, dial: Dial, node: Node) -> None:
    deaf = dial()
    deaf.hello()
    with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012 - it ends some time in the loop
        for _ in range(19_000):
            deaf.say({"op": "ping", "id": 1})
    assert caller.ping()["ok"] is True
    assert "answers were not taken" in node.logged[-1]
