"""What ``wattledger run`` writes is whole or not there; what cannot be written is said, and the command's status stays."""

import contextlib
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtime.programs import Done, blind, command, rigged, run, wattledger

FAILS = ("--", "sh", "-c", "echo out; exit 3")


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with no room left."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(place)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root and CAP_SYS_ADMIN")
    try:
        with contextlib.suppress(OSError), open(place / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def shell(env: dict[str, str], words: tuple[str, ...], redirect: str) -> Done:
    """Run with a redirection that a shell makes."""
    import shlex

    return run(["sh", "-c", f"{shlex.join(command(*words))} {redirect}"], env)


def test_a_footprint_file_is_whole(tmp_path: Path) -> None:
    done = wattledger(blind(tmp_path), "run", "-o", "f.json", *FAILS, cwd=tmp_path)
    assert (done.status, done.out) == (3, "out\n")
    assert json.loads((tmp_path / "f.json").read_text())["schema"] == "wattledger.footprint/1"


def test_an_old_file_is_replaced_and_a_link_keeps_pointing(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("old and longer than nothing")
    (tmp_path / "link.json").symlink_to("real.json")
    assert wattledger(blind(tmp_path), "run", "-o", "link.json", "--", "true", cwd=tmp_path).status == 0
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["schema"] == "wattledger.footprint/1"


def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE, text=True)
    assert wattledger(blind(tmp_path), "run", "-o", "pipe", "--", "true", cwd=tmp_path).status == 0
    out, _ = reader.communicate(timeout=10)
    assert json.loads(out)["schema"] == "wattledger.footprint/1"
    assert (tmp_path / "pipe").is_fifo()


def test_a_device_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = wattledger(blind(tmp_path), "run", "--record", "pipe", "--", "true", cwd=tmp_path)
    assert done.status == 2
    assert "not a regular file" in done.err
    assert (tmp_path / "pipe").is_fifo()
    assert not (tmp_path / "pipe.part").exists()


def test_a_full_disk_costs_the_file_and_nothing_else(tmp_path: Path, full_disk: Path) -> None:
    done = wattledger(blind(tmp_path), "run", "-o", str(full_disk / "f.json"), *FAILS)
    assert (done.status, done.out) == (3, "out\n")
    assert "No space left" in done.err
    assert "energy" in done.err
    assert os.listdir(full_disk) == ["filler"]


def test_a_full_disk_costs_the_capture_and_nothing_else(tmp_path: Path, full_disk: Path) -> None:
    words = ("--interval", "0.02", "--record", str(full_disk / "c.cap"), "--", "sh", "-c", "sleep 1; exit 3")
    done = wattledger(rigged(tmp_path), "run", *words)
    assert done.status == 3
    assert "capture was dropped: No space left" in done.err
    assert "energy" in done.err
    assert "Traceback" not in done.err
    assert os.listdir(full_disk) == ["filler"]


@pytest.mark.parametrize("words", [
    ("--job", "(x"), ("--zone", "Atlantis"), ("-o", "no/such/folder/f"), ("--label", "x"), ("--config", "no.toml"),
], ids=repr)  # fmt: skip
def test_wrong_words_leave_no_file(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "here").mkdir()
    done = wattledger(blind(tmp_path), "run", "--record", "c.cap", *words, "--", "true", cwd=tmp_path / "here")
    assert done.status == 2
    assert os.listdir(tmp_path / "here") == []


def test_a_command_that_cannot_start_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "bad").write_bytes(b"\x7fELF garbage")
    (tmp_path / "bad").chmod(0o755)
    done = wattledger(blind(tmp_path), "run", "--record", "c.cap", "-o", "f", "--", str(tmp_path / "bad"), cwd=tmp_path / "here")
    assert done.status == 126
    assert os.listdir(tmp_path / "here") == []


@pytest.mark.parametrize("redirect", [">/dev/full", ">&-", "2>/dev/full", "2>&-", ">&- 2>&-", "</dev/null >/dev/full 2>/dev/full"])
def test_no_stream_that_fails_changes_the_status(tmp_path: Path, redirect: str) -> None:
    done = shell(blind(tmp_path), ("run", "--json", "--", "sh", "-c", "exit 3"), redirect)
    assert done.status == 3
    assert "Traceback" not in done.err


def test_a_reader_that_left_changes_no_status(tmp_path: Path) -> None:
    words = command("run", "--json", "--", "sh", "-c", "sleep 0.3; exit 3")
    process = subprocess.Popen(words, env=blind(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(10) == 3
    assert "energy" in err
    assert "Traceback" not in err


def test_a_capture_replays_to_the_same_figures(tmp_path: Path) -> None:
    env = rigged(tmp_path, WATTLEDGER_GRID_ZONE="DE")
    code = "import time\nb = time.process_time()\nwhile time.process_time() - b < 0.4: pass\ntime.sleep(0.4)"
    words = ("run", "--json", "--job", "j", "--model", "m", "--label", "a=b", "--interval", "0.2", "--record", "c.cap")
    done = wattledger(env, *words, "--", sys.executable, "-c", code, cwd=tmp_path)
    recorded = done.value
    replayed = wattledger(blind(tmp_path), "replay", "--json", "c.cap", cwd=tmp_path).value
    assert replayed == recorded
    assert not (tmp_path / "c.cap.part").exists()


def test_a_capture_is_gzip_json_lines_under_its_header(tmp_path: Path) -> None:
    assert wattledger(blind(tmp_path), "run", "--record", "c.cap", "--", "true", cwd=tmp_path).status == 0
    first, *rest = map(json.loads, gzip.decompress((tmp_path / "c.cap").read_bytes()).splitlines())
    assert first["schema"] == "wattledger.capture/1"
    assert rest
    assert all(set(row) == {"at", "full", "s"} for row in rest)
    assert [row["at"][0] for row in rest if row["full"]] == sorted(row["at"][0] for row in rest if row["full"])
