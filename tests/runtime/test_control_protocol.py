"""What the client writes, the agent reads: as it was said, within the protocol's limits."""

import json

from hypothesis import given
from hypothesis import strategies as st

from wattledger.core.model import Boundary, Instant, Work, Workload
from wattledger.runtime.control.protocol import (
    LABELS,
    LINE_BYTES,
    NAME_CHARS,
    VERSION,
    Ask,
    Done,
    Enter,
    Hello,
    Leave,
    Says,
    Wrong,
    parse,
)
from wattledger.runtime.remote import lines

text = st.text(st.characters(), max_size=400)
workloads = st.builds(
    Workload, text, st.none() | text, st.dictionaries(text, text, max_size=40).map(lambda labels: tuple(sorted(labels.items())))
)
counts = st.integers(0, 1 << 60)
clocks = st.none() | counts


@given(st.binary())
def test_any_bytes_are_a_message_or_wrong(line: bytes) -> None:
    try:
        parse(line)
    except Wrong as wrong:
        said = str(wrong)
    else:
        said = ""
    assert "\n" not in said


@given(counts, clocks, workloads, counts, st.none() | text)
def test_an_entered_span_is_read_as_it_was_said(
    span: int, clock: int | None, workload: Workload, at: int, run_id: str | None
) -> None:
    boundary = Boundary(span, Instant(at, 0), "enter", workload, workload, clock, clock, clock, clock)
    line = lines.enter_line(boundary, run_id)
    assert line.endswith(b"}\n")
    found = parse(line)
    assert isinstance(found, Enter)
    assert found[:2] == (span, clock)
    assert found[3:] == (clock, at, clock, clock)
    assert found.workload.job == lines._clean(workload.job)
    assert len(found.workload.labels) <= LABELS
    if run_id is not None and "run_id" not in dict(workload.labels):
        assert dict(found.workload.labels)["run_id"] == lines._clean(run_id)


def test_the_longest_line_a_program_says_is_within_the_limit() -> None:
    wide = "\U0001f600" * 300
    workload = Workload(wide, wide, tuple((f"{n}{wide}", wide) for n in range(40)))
    boundary = Boundary(1 << 60, Instant(1 << 60, 0), "enter", workload, workload, 1 << 60, 1 << 60, 1 << 60, 1 << 60)
    assert len(lines.enter_line(boundary, wide)) <= LINE_BYTES
    assert isinstance(parse(lines.enter_line(boundary, wide)), Enter)


def test_the_other_lines_are_read_as_they_were_said() -> None:
    boundary = Boundary(3, Instant(5, 6), "leave", Workload("j"), Workload("t"), None, 7, 8, 9)
    assert parse(lines.leave_line(boundary)) == Leave(3, 8, 5, 7, 9)
    work = Work(Workload("j"), Instant(5, 6), True, 2, 3, 1 << 80, span=4)
    assert parse(lines.work_line(work, None)) == Done(4, Workload("j"), (1, 2, 3, 1 << 53))
    claim = parse(lines.claim_line(Workload("j", "m", (("a", "b"),)), "r", 5))
    assert claim == Says(Workload("j", "m", (("a", "b"), ("run_id", "r"))), 5)
    assert parse(lines.footprint_line(9)) == Ask(9, 9, None)
    assert parse(lines.hello_line(Instant(5, 6), None)) == Hello(0, 1, "", Instant(5, 6))
    assert "pid" in json.loads(lines.hello_line(Instant(5, 6), None))


def test_the_client_knows_the_protocols_limits() -> None:
    assert (lines.VERSION, lines.LABELS, lines.NAME_CHARS) == (VERSION, LABELS, NAME_CHARS)
