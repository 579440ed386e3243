"""Captures: a file is the batches that were written, or it is refused in a line; a damaged one is never another's."""

import gzip
import json
import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from tests.fuzz.kit import as_json, bent, bent_bytes, fuzzed, junk, raw, taken, texts

from wattledger.core.model import (
    Activity,
    Batch,
    Boundary,
    Claim,
    Condition,
    Device,
    EnergyCounter,
    Fault,
    Holding,
    Instant,
    Member,
    PowerGauge,
    Sample,
    Work,
    Workload,
)
from wattledger.runtime import capture
from wattledger.runtime.capture import SCHEMA, Capture, CaptureError, Recorder, load

AT = Instant(1_000, 2_000)
GPU = Device("GPU-1", "gpu", "NVIDIA", None, 100, None)
HEADER = {"schema": SCHEMA, "job": "j", "notes": ["n"]}

names = texts.map(lambda text: text[:300])
instants = st.builds(Instant, st.integers(0, 2**62), st.integers(0, 2**62))
devices = st.builds(
    Device,
    names,
    st.sampled_from(["gpu", "cpu"]),
    names,
    st.none() | names,
    st.integers(0, 10**9),
    st.none() | st.integers(0, 10**12),
)
workloads = st.builds(Workload, names, st.none() | names, st.lists(st.tuples(names, names), max_size=3).map(tuple))
samples: st.SearchStrategy[Sample] = st.one_of(
    st.builds(EnergyCounter, devices, instants, st.integers(0, 2**64), st.none() | st.integers(1, 2**64)),
    st.builds(PowerGauge, devices, instants, st.integers(0, 10**13), st.booleans()),
    st.builds(Condition, names, instants, st.none() | st.integers(-(10**5), 10**6), st.none() | st.integers(0, 10**12)),
    st.builds(Activity, names, names, instants, st.integers(0, 2**62), st.just("cpu_ns")),
    st.builds(Holding, names, names, instants, st.floats(0, 1)),
    st.builds(Claim, names, instants, st.none() | workloads),
    st.builds(Member, names, instants, st.none() | names),
    st.builds(Fault, names, st.none() | names, instants, names, st.booleans()),
    st.builds(Work, workloads, instants, st.integers(0, 2**53), span=st.none() | st.integers(0, 9)),
    st.builds(Boundary, st.integers(0, 9), instants, st.just("enter"), workloads, workloads),
)
batches = st.builds(Batch, instants, st.booleans(), st.lists(samples, max_size=6).map(tuple))


def loaded(data: bytes) -> Capture | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.gz"
        path.write_bytes(data)
        return taken(lambda: load(path), CaptureError)


def written(*found: Batch) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.gz"
        recorder = Recorder(path)
        recorder.begin({key: value for key, value in HEADER.items() if key != "schema"})
        recorder.add(found)
        recorder.close()
        return path.read_bytes()


GOOD_BATCHES = (
    Batch(AT, True, (EnergyCounter(GPU, AT, 5, None), Claim("pid:1", AT, Workload("j", "m", (("a", "b"),))), Holding("GPU-1",
    "pid:1", AT, 0.5))),
    Batch(Instant(2_000, 3_000), False, (EnergyCounter(GPU, AT, 9, None), Fault("s", None, AT, "what", False))),
)  # fmt: skip
GOOD = written(*GOOD_BATCHES)
LINES = [json.loads(line) for line in gzip.decompress(GOOD).splitlines()]


@fuzzed(3)
@given(st.lists(batches, max_size=4))
def test_what_is_written_is_read(said: list[Batch]) -> None:
    found = loaded(written(*said))
    assert found is not None
    assert found.batches == said
    assert found.header == HEADER


@fuzzed(10)
@given(raw | bent_bytes(GOOD))
def test_a_damaged_file_is_what_was_written_or_refused(data: bytes) -> None:
    found = loaded(data)
    # gzip's own sum is over all of the content: what still reads is the same, but for what may stand in gzip's head.
    assert found is None or (found.batches == list(GOOD_BATCHES) and found.header == HEADER)


def packed(lines: list[object]) -> bytes:
    return gzip.compress(b"".join(as_json(line) + b"\n" for line in lines), mtime=0)


def row(*fields: object) -> bytes:
    """A capture of one sample, with these fields."""
    return packed([HEADER, {"at": [1, 2], "full": True, "s": [["Device", *GPU], list(fields)]}])


@fuzzed(5)
@given(
    bent(LINES).map(lambda tree: packed(tree if isinstance(tree, list) else [tree]))
    | st.lists(junk, max_size=3).map(packed)
    | raw.map(lambda d: gzip.compress(d, mtime=0))
)
@example(gzip.compress(as_json(HEADER) + b"\n" + b"[" * 20_000, mtime=0))
@example(gzip.compress(as_json(HEADER) + b"\n" + b'{"at":[1,2],"full":true,"s":' + b"9" * 5_000 + b"}", mtime=0))
@example(gzip.compress(b'{"schema":"' + b"x" * 50_000 + b'"}', mtime=0))
@example(gzip.compress(b"null", mtime=0))
@example(gzip.compress(b"\n\n", mtime=0))
@example(row("EnergyCounter", "GPU-1", [1, 2], "5", None))
@example(row("EnergyCounter", "GPU-1", [1, 2], float("nan"), None))
@example(row("PowerGauge", "GPU-1", [1, 2], -5, False))
@example(row("Holding", "GPU-1", "pid:1", [1, 2], float("inf")))
@example(row("Holding", "GPU-1", "pid:1", [1, 2], float("nan")))
@example(row("Activity", "cpu", 7, [1, 2], [], "cpu_ns"))
@example(row("Claim", "pid:1", [1, 2], [None, 5, [["a", 1]]]))
@example(row("Claim", "pid:1", ["x", True], ["j", None, []]))
@example(row("Member", "pid:1", [1.5, None], "x"))
@example(row("Fault", "x" * 5_000, None, [1, 2], "what", False))
@example(row("Nobody" * 2_000, 1))
@example(packed([HEADER, {"at": [1], "full": 1, "s": []}]))
@example(packed([HEADER, {"at": [1, 2], "full": True, "s": [["Device", ["a"], "gpu", "m"]]}]))
def test_any_lines_are_a_capture_of_sound_samples_or_refused(data: bytes) -> None:
    found = loaded(data)
    if found is None:
        return
    assert isinstance(found.header, dict)
    for batch in found.batches:
        assert sound(batch.at)
        assert type(batch.full) is bool
        for sample in batch.samples:
            for name, value in zip(sample._fields, sample, strict=True):
                if name in capture.INSTANTS and value is not None:
                    assert sound(value)
                if isinstance(value, float):
                    assert value == value
                    assert abs(value) != float("inf")
                assert not isinstance(value, list | dict)


def sound(at: object) -> bool:
    return isinstance(at, Instant) and type(at.mono_ns) is int and type(at.wall_ns) is int


def test_a_small_file_cannot_fill_the_memory() -> None:
    bomb = gzip.compress(as_json(HEADER) + b"\n" + b" " * 400_000_000, 9, mtime=0)
    assert len(bomb) < 500_000
    assert loaded(bomb) is None
