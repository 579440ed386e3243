"""The control socket: anybody on the node may say anything to it.  Whatever they say, the others are served on."""

import json
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.fuzz.kit import as_json, bent, bent_bytes, fuzzed, junk, raw, taken, texts
from tests.runtime.control_rig import Caller, Node, place

from wattledger.core.model import Boundary, Claim, Device, Instant, Work, Workload
from wattledger.runtime import warn
from wattledger.runtime.control import wire
from wattledger.runtime.control.desk import MOST_AT_ONCE
from wattledger.runtime.control.protocol import LABELS, LINE_BYTES, MOST, NAME_CHARS, Done, Enter, Hello, Leave, Says, Wrong, parse
from wattledger.runtime.remote import lines

NAMES = {"job": "j", "model": "m", "labels": {"team": "red"}}
MESSAGES: tuple[dict[str, Any], ...] = (
    {"op": "hello", "id": 1, "v": 1, "pid": 7, "run_id": "r", "now": [1_000, 2_000]},
    {"op": "enter", "span": 3, "parent": None, **NAMES, "thread": 9, "at": 1_000, "cpu_ns": 5, "thread_cpu_ns": 4},
    {"op": "leave", "span": 3, "thread": 9, "at": 1_000, "cpu_ns": 5, "thread_cpu_ns": 4},
    {"op": "work", "span": 3, "prompt": 5, "cached": 1, "generated": 2, "requests": 1, **NAMES},
    {"op": "claim", **NAMES, "pid": 1},
    {"op": "footprint", "id": 7, "span": 3},
    {"op": "footprint", "id": 8, "span": None, "pid": None},
    {"op": "ping", "id": 9},
    {"op": "slurm", "id": 10, "job": "12"},
)
messages = st.sampled_from(MESSAGES)
said_lines = (
    raw | messages.map(as_json) | messages.flatmap(bent).map(as_json) | messages.flatmap(lambda m: bent_bytes(as_json(m)))
).map(lambda line: line.replace(b"\n", b" "))


def bugs() -> set[str]:
    """What the agent has said of its own mistakes."""
    return {cause for cause in warn._said if cause.startswith("bug")}


@fuzzed(10)
@given(raw | messages.flatmap(bent).map(as_json) | messages.flatmap(lambda m: bent_bytes(as_json(m))))
@example(b'{"op":"work","prompt":' + b"9" * 5_000 + b"}")
@example(b'{"op":"enter","span":1,"job":"\\ud800"}')
@example(b'{"op":"enter","span":true}')
@example(b'{"op":"hello","v":1,"now":[true,1e999]}')
@example(b'{"op":' + b"[" * 8_000)
def test_any_line_is_a_message_within_the_limits_or_wrong(line: bytes) -> None:
    found = taken(lambda: parse(line), Wrong)
    numbers: list[int | None] = []
    workload = Workload("")
    match found:
        case Enter():
            workload = found.workload
            numbers = [found.span, found.parent, *found[3:]]
        case Leave():
            numbers = [*found]
        case Done(span, workload, counts):
            numbers = [span, *counts]
        case Says(workload, pid):
            numbers = [pid]
        case Hello(_, v, run_id, now):
            numbers = [v, *now]
            assert len(run_id) <= NAME_CHARS
    assert all(number is None or (type(number) is int and 0 <= number < MOST) for number in numbers)
    words = [workload.job, workload.model or "", *(word for pair in workload.labels for word in pair)]
    words += [field for field in found or () if isinstance(field, str)]
    assert len(workload.labels) <= LABELS
    assert all(len(word) <= NAME_CHARS and word.encode() is not None for word in words)


@fuzzed(3)
@given(texts, st.none() | texts, st.dictionaries(texts, texts, max_size=40), st.integers(0, 1 << 52))
def test_what_a_program_writes_is_read_as_it_was_meant(job: str, model: str | None, labels: dict[str, str], count: int) -> None:
    workload = Workload(job, model, tuple(sorted(labels.items())))
    at = Instant(1_000, 2_000)
    entered = parse(lines.enter_line(Boundary(3, at, "enter", workload, workload), None))
    done = parse(lines.work_line(Work(workload, at, count, 0, count, 1, span=3), None))
    assert isinstance(entered, Enter)
    assert isinstance(done, Done)
    assert done.counts == (count, 0, count, 1)
    kept = entered.workload
    assert kept == done.workload
    assert kept.job == job[:NAME_CHARS].encode("utf-8", "replace").decode()
    if len(labels) <= 5 and all(len(word) <= 20 and word.isascii() for pair in labels.items() for word in pair):
        assert kept.labels == workload.labels


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    with place() as folder:
        node = Node(str(folder / "a.sock"))
        yield node
        node.stop()


@pytest.fixture(scope="module")
def witness(node: Node) -> Iterator[Caller]:
    """A program that only wants to be served, whatever the others do."""
    with closing(Caller(node)) as caller:
        assert caller.hello()["ok"] is True
        yield caller


@fuzzed(2)
@given(st.lists(said_lines, min_size=1, max_size=6), st.lists(st.integers(1, 400), max_size=8), st.booleans(), st.booleans())
@example([b"x" * (LINE_BYTES + 1)], [], True, False)
@example([as_json(MESSAGES[1])] * 3, [1, 1, 1], True, True)
@example([b'{"op":"work","job":"j","prompt":2305843009213693952}'], [], True, False)
@example(
    [
        b'{"op":"footprint","id":4611686018427387903}',
        b'{"op":"claim","job":"(idle)","pid":1}',
        b'{"op":"claim","job":"j","pid":4611686018427387903}',
    ],
    [],
    True,
    True,
)
def test_whoever_says_what_he_likes_the_others_are_served(
    node: Node, witness: Caller, said: list[bytes], cuts: list[int], greets: bool, ticks: bool
) -> None:
    before = bugs()
    data = b"".join(line + b"\n" for line in said)
    with closing(Caller(node)) as caller:
        if greets:
            caller.hello()
        with suppress(OSError):  # hung up on in the middle
            for cut in cuts:
                caller.raw(data[:cut])
                data = data[cut:]
            caller.raw(data)
        if ticks:
            node.tick()
        with suppress(OSError, ValueError):
            caller.ping()
    assert witness.ping()["ok"] is True
    assert bugs() == before
    assert all("\n" not in line and len(line) < 1_000 for line in node.logged)
    for sample in node.samples():
        match sample:
            case Work() as work:
                assert all(0 <= n <= MOST_AT_ONCE for n in work[2:6])
                assert not work.workload.job.startswith("(")
            case Claim(workload=workload):
                assert workload is None or not workload.job.startswith("(")
    node.batches.clear()
    assert not node.residual_uj


# --- the program's end: what the agent says to it may come from somebody who took its place --------------------------------------

GPU = Device("gpu", "gpu", "NVIDIA H100")
BEGAN = Boundary(1, Instant(10**9, 10**18), "enter", Workload("j"), Workload("pid 1"))
ACCOUNT = {
    "entered": [1, 2], "left": None, "lanes": [["gpu", "counter", 5, 0, 5, 5, 7, 0.0, 0.0]], "others": {"(idle)": 5.0},
    "reserved_ns": {"gpu": 1.0},
    "gaps": [["gpu", [1, 2], [3, 4], "reset"]], "terms": [[[{"kind": "grid", "zone": "DE", "value": 1.0, "unit": "g",
    "boundary": "direct", "origin": "o",
                                                             "version": "1", "quality": "q", "g95": 1.1}], 5]],
}  # fmt: skip


@fuzzed(5)
@given(bent(ACCOUNT).map(as_json) | junk.map(as_json))
@example(as_json({**ACCOUNT, "others": []}))
@example(as_json({**ACCOUNT, "lanes": [["gpu", "counter", float("inf"), 0, 5, 5, 7, 0.0, 0.0]]}))
@example(as_json(None))
@example(as_json({**ACCOUNT, "reserved_ns": 5}))
def test_any_account_is_one_or_makes_no_sense(said: bytes) -> None:
    found = json.loads(said)
    account = taken(lambda: wire.unpack(found, BEGAN, {"gpu": GPU}), LookupError, TypeError, ValueError, own=True)
    for sums in account.lanes.values() if account is not None else ():
        assert type(sums.active_uj) is int
