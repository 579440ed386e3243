"""A child process run untouched: our streams, our terminal, its own exit status, signals passed on."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

# What a supervisor sends us is meant for the child.  The terminal's own (Ctrl-C, Ctrl-\) reach the child by themselves, because it
# is in our process group: we only must not die of them.
FORWARDED = ("SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGCONT", "SIGWINCH", "SIGALRM")
OURS_TO_IGNORE = ("SIGINT", "SIGQUIT")
PR_SET_CHILD_SUBREAPER = 36


class Child:
    """Starts ``cmd`` at once; ``wait`` returns when it has ended but, on Linux, is not yet reaped, so that its CPU time can still be read.

    Raises OSError when it cannot be started.
    """

    def __init__(self, cmd: Sequence[str], environ: Mapping[str, str]) -> None:
        _adopt_orphans()
        self._before: dict[int, object] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._catch()
        try:
            # restore_signals undoes Python's own ignores (SIGPIPE); close_fds keeps our sensors' descriptors out of the child.
            self._process = subprocess.Popen(list(cmd), env=dict(environ))
        except OSError:
            self._release()
            raise
        self.pid = self._process.pid

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
        for name in (*FORWARDED, *OURS_TO_IGNORE):
            number = getattr(signal, name, None)
            if number is not None:
                self._before[number] = signal.signal(number, self._forward if name in FORWARDED else _nothing)

    def _forward(self, number: int, _frame: object) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def _release(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


def _nothing(_number: int, _frame: object) -> None:
    """Not SIG_IGN: an ignored signal would stay ignored in the child."""


def _adopt_orphans() -> None:
    """Daemonised grandchildren come to us instead of to init, so that they stay in the tree we meter."""
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
