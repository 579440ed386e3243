"""A child process run untouched: our streams, our terminal, its own exit status, signals passed on."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

# What a supervisor sends us is meant for the child.  The terminal's own (Ctrl-C, Ctrl-\) reach the child by themselves while we
# are its foreground group.
FORWARDED = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGCONT", "SIGWINCH", "SIGALRM")
FROM_THE_TERMINAL = ("SIGINT", "SIGQUIT")
PR_SET_CHILD_SUBREAPER = 36


class Child:
    """Starts ``cmd`` at once; ``wait`` returns when it has ended but, on Linux, is not yet reaped, so that its CPU time can still
    be read.

    Raises OSError when it cannot be started.
    """

    def __init__(self, cmd: Sequence[str], environ: Mapping[str, str], pass_fds: Sequence[int] = ()) -> None:
        _adopt_orphans()
        self._before: dict[int, object] = {}
        self._early: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._catch()
        try:
            # restore_signals undoes Python's own ignores (SIGPIPE); our sensors' descriptors are not inheritable.
            self._process = subprocess.Popen(list(cmd), env=dict(environ), pass_fds=pass_fds)
        except OSError:
            self._release()
            raise
        self.pid = self._process.pid
        for number in self._early:
            self._forward(number, None)

    def wait(self, *, done: Callable[[], None]) -> int:
        """Block until the child ends, call ``done``, reap it, and return the exit status a shell would give (128 + signal)."""
        assert self._process is not None
        if hasattr(os, "waitid"):
            self._wait_unreaped()
        else:
            self._process.wait()
        done()
        code = self._process.wait()
        self._release()
        return 128 - code if code < 0 else code

    def _wait_unreaped(self) -> None:
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None or ended.si_pid == self.pid:
                return
            # An orphan of the child's, handed to us because we adopt them; its time has been read while it lived.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(ended.si_pid, 0)

    def _catch(self) -> None:
        for name in (*FORWARDED, *FROM_THE_TERMINAL):
            number = getattr(signal, name, None)
            # What was ignored when we were started (nohup) stays ignored, in the child too.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._forward)
        if hasattr(signal, "SIGCHLD"):
            # Ignored, the kernel would reap the child behind our back, and its status with it.
            self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def _forward(self, number: int, _frame: object) -> None:
        if signal.Signals(number).name in FROM_THE_TERMINAL and _in_foreground():
            return  # the terminal has sent it to the child as well
        if self._process is None:
            self._early.append(number)
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    def _release(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


def _in_foreground() -> bool:
    """Whether we, and so the child, are what the terminal sends its signals to."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def inherited() -> tuple[int, ...]:
    """Descriptors handed to us beyond the standard three (a shell's ``<(...)``, make's job server): they are for the command."""
    try:
        names = os.listdir("/proc/self/fd")
    except OSError:
        return ()
    found = []
    for fd in sorted(int(name) for name in names if int(name) > 2):
        with contextlib.suppress(OSError):
            if os.get_inheritable(fd):
                found.append(fd)
    return tuple(found)


def _adopt_orphans() -> None:
    """Daemonised grandchildren come to us instead of to init, so that they stay in the tree we meter."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
