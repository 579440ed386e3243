"""`wattledger replay`: the figures of the run, and one line for what is no capture."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cli.front import Front, is_one_line, own_place
from tests.golden.scenario import CAPTURE, HERE

from wattledger.runtime.capture import Recorder

ENTRY_POINTS = """[wattledger.exporters]
prometheus = wattledger_exporters.prometheus:Prometheus
jsonl = wattledger_exporters.jsonl:Jsonl
console = wattledger_exporters.console:ConsoleTables
pusher = collections:OrderedDict
ghost = wattledger_exporters.ghost:Ghost
"""


@pytest.fixture
def front(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Front:
    own_place(monkeypatch, tmp_path)
    return Front(capsys)


@pytest.fixture
def _exporters(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An installed distribution that names exporters, ours and two that are no good."""
    info = tmp_path / "site" / "some_exporters-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-exporters\nVersion: 1\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(info.parent))


def test_a_replay_prints_the_footprint_of_the_golden_run(front: Front) -> None:
    said = front("replay", str(CAPTURE))
    assert (said.status, said.err) == (0, "")
    assert said.out == (HERE / "two_jobs.replay.txt").read_text(encoding="utf-8")


def recorded(folder: Path) -> dict[str, Any]:
    """The footprint that a recorded run printed; its capture is ``x.cap``."""
    main = "from wattledger.cli import main; main()"
    words = ["run", "--zone", "DE", "--json", "--record", "x.cap", "--label", "team=a", "--", sys.executable, "-c", "1 + 1"]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", main, *words], env=environ, cwd=folder, capture_output=True, check=True, text=True)
    return dict(json.loads(ran.stdout))


def test_a_recorded_run_replays_to_the_figures_it_printed(front: Front, tmp_path: Path) -> None:
    printed = recorded(tmp_path)
    replayed = json.loads(front("replay", "--json", "x.cap").out)
    assert printed["labels"] == {"team": "a"}
    assert {**replayed, "notes": []} == {**printed, "notes": []}


def test_a_recorded_run_replays_to_the_notes_it_printed(front: Front, tmp_path: Path) -> None:
    printed = recorded(tmp_path)
    assert json.loads(front("replay", "--json", "x.cap").out)["notes"] == printed["notes"]


@pytest.mark.usefixtures("_exporters")
@pytest.mark.parametrize("exporter", ["prometheus", "jsonl", "console"])
def test_totals_can_be_printed_by_any_exporter_that_answers(front: Front, exporter: str) -> None:
    said = front("replay", str(CAPTURE), "--export", exporter)
    assert (said.status, said.err) == (0, "")
    assert "GPU-0f4a" in said.out
    assert "source_up" not in said.out  # no source was read


@pytest.mark.usefixtures("_exporters")
@pytest.mark.parametrize(
    ("exporter", "why"), [("prometeus", "did you mean 'prometheus'"), ("ghost", "cannot be loaded"), ("pusher", "cannot print")]
)
def test_an_exporter_that_is_no_use_is_one_line(front: Front, exporter: str, why: str) -> None:
    said = front("replay", str(CAPTURE), "--export", exporter)
    assert said.status == 2
    assert said.out == ""
    assert is_one_line(said.err)
    assert why in said.err


def test_a_footprint_and_totals_at_once_is_one_line(front: Front) -> None:
    said = front("replay", str(CAPTURE), "--json", "--export", "jsonl")
    assert (said.status, said.out) == (2, "")
    assert is_one_line(said.err)


def _foreign(folder: Path) -> dict[str, Path]:
    whole = CAPTURE.read_bytes()
    lines = gzip.decompress(whole).decode().splitlines()
    contents = {
        "empty": b"",
        "text": b"hello\n",
        "cut": whole[: len(whole) // 2],
        "other-json": gzip.compress(b'{"schema": "something.else/1"}\n'),
        "json-list": gzip.compress(b"[1, 2]\n"),
        "no-json": gzip.compress(b"\xff\xfe\x00binary"),
        "half-line": gzip.compress("\n".join([lines[0], lines[1][:-30]]).encode()),
        "odd-sample": gzip.compress("\n".join([lines[0], lines[1].replace("Claim", "Clam")]).encode()),
        "odd-identity": gzip.compress("\n".join([lines[0].replace("run_id", "runid"), *lines[1:]]).encode()),
        "text-for-number": gzip.compress("\n".join(lines).replace("325000000", '"lots"').encode()),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "folder").mkdir()
    return {name: folder / name for name in [*contents, "folder", "missing"]}


FOREIGN = ("empty", "text", "cut", "other-json", "json-list", "no-json", "half-line", "odd-sample", "odd-identity",
           "text-for-number", "folder", "missing")  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_a_damaged_or_foreign_file_is_one_line_and_exit_status_2(front: Front, tmp_path: Path, name: str) -> None:
    path = _foreign(tmp_path)[name]
    said = front("replay", str(path))
    assert (said.status, said.out) == (2, "")
    assert is_one_line(said.err)
    assert name in said.err


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(10, CAPTURE.stat().st_size - 1), bit=st.integers(0, 7))
def test_one_flipped_bit_is_never_a_traceback(front: Front, tmp_path: Path, place: int, bit: int) -> None:
    content = bytearray(CAPTURE.read_bytes())
    content[place] ^= 1 << bit
    (tmp_path / "bit.cap").write_bytes(content)
    said = front("replay", "bit.cap")
    assert said.status in (0, 2)  # 0: the bit was in gzip's own padding or file name
    assert said.status == 0 or is_one_line(said.err)


def test_a_capture_without_spans_says_so(front: Front, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "agent.cap")
    recorder.begin({})
    recorder.close()
    said = front("replay", "agent.cap")
    assert said.status == 0
    assert "no span" in said.out
    assert front("replay", "--json", "agent.cap").out == ""
