"""Idle floors outlive a run; a file that makes no sense is as good as none."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger.core.model import IdleFloor, Instant
from wattledger.runtime import floors

LEARNT = IdleFloor("GPU-1", "empty", 61_000_000, Instant(5, 1_767_225_600_000_000_000), 8)
TABLE = IdleFloor("rapl:package-0", "empty", 32_000_000, None, 0)


def test_what_was_learnt_is_kept_and_a_tables_floor_is_not(tmp_path: Path) -> None:
    floors.save(tmp_path / "new" / "folder", [LEARNT, TABLE])
    [found] = floors.load(tmp_path / "new" / "folder")
    assert found._replace(learnt_at=None) == LEARNT._replace(learnt_at=None)
    assert found.learnt_at is not None
    assert LEARNT.learnt_at is not None
    assert found.learnt_at.wall_ns == LEARNT.learnt_at.wall_ns
    assert os.listdir(tmp_path / "new" / "folder") == [floors.NAME]


def test_no_folder_is_no_error() -> None:
    floors.save(None, [LEARNT])
    assert floors.load(None) == []


def test_a_folder_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    floors.save(tmp_path / "file" / "wattledger", [LEARNT])
    assert floors.load(tmp_path / "file" / "wattledger") == []
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("text", [
    "", "{", "5", "null", '"x"', "[5]", "[{}]", '[["a"]]', '{"a": 1}', "[" * 10_000,
    '[{"device": "d", "state": "empty", "power_uw": Infinity, "wall_ns": 1, "n": 1}]',
    '[{"device": "d", "state": "empty", "power_uw": NaN, "wall_ns": 1, "n": 1}]',
    '[{"device": "d", "state": "empty", "power_uw": "many", "wall_ns": 1, "n": 1}]',
    '[{"device": "d", "state": "empty", "power_uw": -5, "wall_ns": 1, "n": 1}]',
    '[{"device": 7, "state": "dozing", "power_uw": 5, "wall_ns": 1, "n": 1}]',
])  # fmt: skip
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / floors.NAME).write_text(text)
    assert floors.load(tmp_path) == []


@given(st.binary(max_size=60))
def test_no_bytes_raise(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("f")
    (folder / floors.NAME).write_bytes(data)
    assert floors.load(folder) == []


def test_saving_replaces_the_file_whole(tmp_path: Path) -> None:
    (tmp_path / floors.NAME).write_text("damaged")
    floors.save(tmp_path, [LEARNT])
    assert len(json.loads((tmp_path / floors.NAME).read_text())) == 1
