"""Signals sent to ``wattledger run`` are the command's; what was ignored stays ignored; the footprint is printed all the same."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.runtime.programs import blind, command, wattledger

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

CATCHES = r"""
import os, signal, sys, time
def caught(number, frame):
    # Not print: the signal may come while "ready" is still being flushed, and a buffer cannot be entered twice.
    os.write(1, b"got %d\n" % number)
    sys.exit(50 + number)
for name in sys.argv[1:]:
    signal.signal(getattr(signal, name), caught)
print("ready", flush=True)
while True:
    time.sleep(0.02)  # not pause(): a signal just before it would be waited for in vain
"""


def started(tmp_path: Path, *names: str, code: str = CATCHES) -> "subprocess.Popen[str]":
    """A wrapped command that has said it is ready; in a session of its own, so that nothing but our signal reaches it."""
    words = command("run", "-o", str(tmp_path / "f.json"), "--", sys.executable, "-c", code, *names)
    process = subprocess.Popen(words, env=blind(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"])
def test_a_signal_to_the_meter_is_the_commands(tmp_path: Path, name: str) -> None:
    process = started(tmp_path, name)
    number = int(getattr(signal, name))
    process.send_signal(number)
    try:
        out, err = process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        pytest.fail(f"{name} did not reach the command")
    assert out == f"got {number}\n"
    assert process.returncode == 50 + number
    assert "energy" in err
    assert json.loads((tmp_path / "f.json").read_text())["duration_s"] > 0


def test_an_uncaught_signal_ends_both_with_the_status_a_shell_gives(tmp_path: Path) -> None:
    process = started(tmp_path, code="print('ready', flush=True)\nimport time; time.sleep(30)")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 143
    assert "energy" in err
    assert "Traceback" not in err


def test_the_terminals_interrupt_reaches_the_command_once(tmp_path: Path) -> None:
    # Ctrl-C goes to the whole foreground group: the command must not get it a second time from us.
    code = f"""
import os, pty, sys, time
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.executable, {command("run", "--", sys.executable, "-c", '''
import signal, sys, time
n = []
signal.signal(signal.SIGINT, lambda *a: n.append(1))
print("ready", flush=True)
while not n: time.sleep(0.01)
time.sleep(0.3)
print("times", len(n), flush=True)
''')!r})
text = b""
while b"ready" not in text: text += os.read(terminal, 1000)
os.write(terminal, bytes([3]))
try:
    while b"energy" not in text: text += os.read(terminal, 1000)
except OSError:
    pass
print(text.decode())
"""
    done = subprocess.run([sys.executable, "-c", code], env=blind(tmp_path), capture_output=True, text=True, timeout=30, check=True)
    assert "times 1\n" in done.stdout
    assert "energy" in done.stdout


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM"])
def test_a_signal_ignored_on_entry_stays_ignored(tmp_path: Path, name: str) -> None:
    # nohup, and a shell's background jobs.
    code = f"import signal; print(signal.getsignal(signal.{name}) is signal.SIG_IGN)"
    number = getattr(signal, name)
    words = ("run", "--", sys.executable, "-c", code)
    done = wattledger(blind(tmp_path), *words, preexec_fn=lambda: signal.signal(number, signal.SIG_IGN))
    assert done.out == "True\n"


def test_other_dispositions_are_the_defaults(tmp_path: Path) -> None:
    code = """
from signal import *
print([s.name for s in (SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGCHLD) if getsignal(s) != SIG_DFL])
"""
    assert wattledger(blind(tmp_path), "run", "--", sys.executable, "-c", code).out == "[]\n"


def test_a_status_is_kept_where_ended_children_are_reaped_by_the_kernel(tmp_path: Path) -> None:
    ignore = lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # noqa: E731
    assert wattledger(blind(tmp_path), "run", "--", "sh", "-c", "exit 3", preexec_fn=ignore).status == 3


def test_a_command_killed_from_outside_is_said_so(tmp_path: Path) -> None:
    code = f"""
import os, time
with open({str(tmp_path / "pid")!r}, "w") as file: file.write(str(os.getpid()))
print("ready", flush=True)
time.sleep(30)
"""
    process = started(tmp_path, code=code)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 137
    assert "energy" in err
