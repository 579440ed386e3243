"""A capture is the history itself: replayed, here or in another process, it gives the same everything."""

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from tests.laws.histories import World, drive, dump, orphan_worlds

from wattledger.core.model import Batch
from wattledger.runtime.capture import Recorder, load

ROOT = Path(__file__).parents[2]


def record(batches: list[Batch], path: Path) -> None:
    recorder = Recorder(path)
    recorder.begin({"job": "a law"})
    recorder.add(batches)
    recorder.close()


@settings(max_examples=50)
@given(orphan_worlds)
def test_a_capture_holds_exactly_the_batches_that_were_stepped(world: World) -> None:
    with TemporaryDirectory() as folder:
        record(world.batches, Path(folder) / "capture")
        assert load(Path(folder) / "capture").batches == world.batches


@settings(max_examples=50)
@given(orphan_worlds)
def test_a_replay_gives_the_same_everything(world: World) -> None:
    with TemporaryDirectory() as folder:
        record(world.batches, Path(folder) / "capture")
        assert dump(drive(load(Path(folder) / "capture").batches)) == dump(drive(world.batches))


REPLAY = """
import sys
from pathlib import Path
from tests.laws.histories import drive, dump
from wattledger.runtime.capture import load
print(dump(drive(load(Path(sys.argv[1])).batches)))
"""


def test_a_replay_in_another_process_gives_the_same_everything(tmp_path: Path) -> None:
    """Whatever the seed of its string hashes: no figure may depend on the order of a set."""
    uses = tuple(range(100, 1000, 100))
    spans = [("enter", 0, 0, True, 60), ("enter", 1, 0, True, 7), ("enter", 0, 1, True, 130), ("leave", 0, 1, True, 60)]
    facts = [("factor", 0, 50), ("factor", 1, 20), ("factor", 2, 20), ("factor", 3, 30), ("hold", 1, 0, 50), ("floor", 1, 5, 3)]
    seconds = [("second", 1_000, uses, -1)] * 3
    world = World().play([*facts, *seconds, *spans, *seconds, *spans, *seconds])
    record(world.batches, tmp_path / "capture")
    path = os.pathsep.join(map(str, (ROOT, ROOT / "agent")))
    outputs = {
        subprocess.run(
            [sys.executable, "-c", REPLAY, str(tmp_path / "capture")],
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert outputs == {f"{dump(drive(world.batches))}\n"}
