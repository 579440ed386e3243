"""One agent holds the socket; the next says who, and one that was killed leaves nothing in the way."""

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtime.control_rig import place
from tests.runtime.programs import environ

from wattledger.runtime.control.binding import Binding, ControlError


@pytest.fixture
def folder() -> Iterator[Path]:
    with place() as folder:
        yield folder


def reaches(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as caller:
        try:
            caller.connect(str(path))
        except OSError:
            return False
    return True


def test_a_second_agent_says_who_holds_the_socket_and_leaves_it_alone(folder: Path) -> None:
    path = folder / "a.sock"
    first = Binding(str(path))
    with pytest.raises(ControlError, match=rf"a\.sock: another agent holds it \(process {os.getpid()}\)"):
        Binding(str(path))
    assert reaches(path)
    first.close()
    assert not path.exists()
    Binding(str(path)).close()


HOLDER = """
import sys
from wattledger.runtime.control.binding import Binding
held = Binding(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_the_socket_of_an_agent_that_was_killed_is_taken_over(folder: Path) -> None:
    path = folder / "a.sock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], env=environ(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ControlError, match=f"process {holder.pid}"):
            Binding(str(path))
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    assert path.exists()
    assert not reaches(path)
    mended = Binding(str(path))
    assert reaches(path)
    mended.close()


def test_anybody_may_connect_and_the_folder_is_made(folder: Path) -> None:
    path = folder / "run" / "deep" / "a.sock"
    bound = Binding(str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o666
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o755 == 0o755
    assert Path(f"{path}.lock").read_text() == f"{os.getpid()}\n"
    bound.close()


def test_a_path_too_long_for_a_socket_says_so(folder: Path) -> None:
    with pytest.raises(ControlError, match="longer than the 107 bytes"):
        Binding(str(folder / ("x" * 110)))


def test_a_folder_that_cannot_be_made_is_one_line(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(ControlError, match=r"exists|Not a directory"):
        Binding(str(folder / "file" / "a.sock"))
    with pytest.raises(ControlError, match="Is a directory"):
        Binding(str(folder))
    assert Path(f"{folder}.lock").exists()
    Path(f"{folder}.lock").unlink()


@pytest.mark.parametrize("before", [None, 0o666])
def test_nobody_else_may_hold_the_lock(folder: Path, before: int | None) -> None:
    """flock needs no right to write: who can open the file can keep every agent from starting."""
    path = folder / "a.sock"
    lock = Path(f"{path}.lock")
    if before is not None:
        lock.touch()
        lock.chmod(before)
    Binding(str(path)).close()
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600
