"""A capture is whole, comes back as it was written, and what is no capture is one line."""

import gzip
import json
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger.core.model import (
    Activity,
    Batch,
    Boundary,
    Claim,
    Condition,
    Device,
    EnergyCounter,
    Factor,
    Fault,
    Holding,
    IdleFloor,
    Instant,
    Member,
    PowerGauge,
    Request,
    Resume,
    Sample,
    Served,
    Work,
    Workload,
)
from wattledger.runtime.capture import SCHEMA, CaptureError, Recorder, load

AT = Instant(1_000_000_007, 1_767_225_600_000_000_001)
GPU = Device("GPU-1", "gpu", "a \"card\"\nof é", None, 100_000_000, 700_000_000)
TRAIN = Workload("train", "m", (("team", "a=b"), ("é", "")))
EVERYTHING = (
    EnergyCounter(GPU, AT, 2**63 + 5, None),
    EnergyCounter(Device("rapl:package-0", "cpu", "x"), AT, 5, 262_143_328_850),
    PowerGauge(GPU, AT, 1, True),
    Activity("cpu", "pid:1", AT, 7, "cpu_ns"),
    Holding("cpu", "pid:1", AT, 0.25),
    Claim("pid:1", AT, TRAIN),
    Claim("pid:2", AT, None),
    Condition("GPU-1", AT, 61_500, 700_000_000),
    Condition("GPU-1", AT),
    IdleFloor("GPU-1", "empty", 60_000_000, AT, 3),
    IdleFloor("GPU-1", "context", 60_000_000, None, 0),
    Boundary(3, AT, "enter", TRAIN, Workload("pid 1"), 2, 11, 12, 13),
    Member("pid:1", AT, "cgroup:/a"),
    Work(TRAIN, AT, 1, 2, 3, 4, span=3, steps=5),
    Served("vllm 127.0.0.1:8000", "m", "127.0.0.1:8000", "pid:1", AT, 1, 2, 3, 4, None, 5, "0.33"),
    Request("r-1", "m", AT, AT._replace(mono_ns=8), AT._replace(mono_ns=9), 1, 2, 3, "h:1", "red"),
    Fault("nvml", None, AT, "GPU is lost", False),
    Resume(AT, 5),
    Factor("grid", "DE", 329.0, "gCO2e/kWh", "direct", "EEA", "2023", "annual-average", 1.2),
)


def recorded(path: Path, *batches: Batch) -> Path:
    recorder = Recorder(path)
    recorder.begin({"identity": {"run_id": "r"}})
    recorder.add(batches)
    recorder.close()
    return path


def test_every_kind_of_sample_comes_back_as_it_was(tmp_path: Path) -> None:
    assert {type(sample) for sample in EVERYTHING} == set(get_args(Sample))
    batches = [Batch(AT, False, EVERYTHING), Batch(AT, True, EVERYTHING[::-1]), Batch(AT, True, ())]
    found = load(recorded(tmp_path / "c", *batches))
    assert found.batches == batches
    assert [[type(s) for s in b.samples] for b in found.batches] == [[type(s) for s in b.samples] for b in batches]
    assert found.header == {"schema": SCHEMA, "identity": {"run_id": "r"}}


def test_a_device_that_changed_comes_back_changed(tmp_path: Path) -> None:
    moved = GPU._replace(cap_uw=400_000_000)
    batches = [Batch(AT, True, (EnergyCounter(d, AT, 1, None),)) for d in (GPU, moved, GPU)]
    assert load(recorded(tmp_path / "c", *batches)).batches == batches


@given(st.lists(st.tuples(st.integers(0, 2**70), st.text(max_size=8), st.booleans()), max_size=8))
def test_any_batch_comes_back(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, str, bool]]) -> None:
    path = tmp_path_factory.mktemp("c") / "c"
    batches = [Batch(Instant(n, n), full, (Claim(text, Instant(n, 0), Workload(text)),)) for n, text, full in rows]
    assert load(recorded(path, *batches)).batches == batches


def test_the_file_takes_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "c")
    recorder.begin({})
    assert not (tmp_path / "c").exists()
    recorder.close()
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_what_is_given_up_leaves_nothing_and_an_older_capture_stays(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("older")
    recorder = Recorder(tmp_path / "c")
    recorder.begin({})
    recorder.add([Batch(AT, True, EVERYTHING)])
    recorder.discard()
    assert [p.name for p in tmp_path.iterdir()] == ["c"]
    assert (tmp_path / "c").read_text() == "older"


def one_line(caught: pytest.ExceptionInfo[CaptureError], path: Path) -> None:
    text = str(caught.value)
    assert str(path) in text
    assert "\n" not in text


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CaptureError) as caught:
        load(tmp_path / "none")
    one_line(caught, tmp_path / "none")


HEADER = json.dumps({"schema": SCHEMA}).encode()


# mtime=0: a test's name must not change by the second, or two workers collect different tests.
EMPTY, BLANK, BINARY = (gzip.compress(text, mtime=0) for text in (b"", b"\n", b"\xff\xfe"))


@pytest.mark.parametrize("data", [b"", b"not gzip", EMPTY, BLANK, BINARY])
def test_what_is_no_capture_at_all_is_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "c"
    path.write_bytes(data)
    with pytest.raises(CaptureError) as caught:
        load(path)
    one_line(caught, path)


@pytest.mark.parametrize("text", [
    b"{}", b"5", b'{"schema": "other/1"}', HEADER + b"\n{}",
    HEADER + b'\n{"at": [1, 2], "full": true, "s": [["Nothing", 1]]}',
    HEADER + b'\n{"at": [1, 2], "full": true, "s": [["Claim", 1]]}',
    HEADER + b'\n{"at": [1, 2], "full": true, "s": [["EnergyCounter", "GPU-9", [1, 2], 5, null]]}',
    HEADER + b'\n{"at": [1], "full": true, "s": []}',
])  # fmt: skip
def test_a_foreign_file_is_one_line(tmp_path: Path, text: bytes) -> None:
    data = gzip.compress(text + b"\n", mtime=0)
    path = tmp_path / "c"
    path.write_bytes(data)
    with pytest.raises(CaptureError) as caught:
        load(path)
    one_line(caught, path)


def test_a_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CaptureError) as caught:
        load(tmp_path)
    one_line(caught, tmp_path)


@given(st.data())
def test_a_damaged_capture_is_one_line(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("c")
    batches = [Batch(AT, True, EVERYTHING)] * 3
    whole = recorded(folder / "c", *batches).read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1), label="cut")
    (folder / "cut").write_bytes(whole[:cut])
    with pytest.raises(CaptureError):
        load(folder / "cut")
    at, bit = data.draw(st.integers(0, len(whole) - 1), label="at"), data.draw(st.integers(0, 7), label="bit")
    (folder / "flipped").write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
    try:
        found = load(folder / "flipped")
    except CaptureError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert found.batches == batches  # a bit of gzip's own header: its name, its time
