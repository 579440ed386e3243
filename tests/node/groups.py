"""Real control groups with real processes in them, for as long as a ``with`` block; what cannot be made says why."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")

# A child that burns CPU for a part of each 100 ms, or only sleeps; it ends when its parent does.
WORK = """
import ctypes, signal, sys, time
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
part = float(sys.argv[1])
while True:
    if not part:
        signal.pause()
    end = time.perf_counter() + 0.1 * part
    while time.perf_counter() < end:
        pass
    if part < 1:
        time.sleep(0.1 * (1 - part))
"""

# The first of many that only sleep; each ends when its parent does.
SLEEP = """
import ctypes, os, signal, sys
end_with_parent = lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL)
end_with_parent()
for _ in range(int(sys.argv[1]) - 1):
    if not os.fork():
        end_with_parent()
        break
signal.pause()
"""


class NoGroups(Exception):
    """Control groups cannot be made here; one line why."""


def hierarchies() -> tuple[Path, ...]:
    """The mounts in which a process must be put so that it is in a group: v2, or v1's CPU time and memory."""
    if (MOUNT / "cgroup.controllers").exists():
        return (MOUNT,)
    found = tuple(MOUNT / name for name in ("cpuacct", "memory") if (MOUNT / name / "cgroup.procs").exists())
    if not found:
        raise NoGroups(f"no cgroup hierarchy with CPU time under {MOUNT}")
    return found


class Groups:
    """State: the folders and the processes that were made here, and nothing else: only these are removed and ended."""

    def __init__(self, tops: tuple[Path, ...]) -> None:
        self._tops = tops
        self._made: list[Path] = []
        self._children: list[subprocess.Popen[bytes]] = []

    def make(self, path: str) -> None:
        """A group, with those above it."""
        for top in self._tops:
            folder = top
            for name in path.strip("/").split("/"):
                folder = folder / name
                if folder.exists():
                    continue
                try:
                    folder.mkdir()
                except OSError as failure:
                    raise NoGroups(f"cannot make {folder}: {failure.strerror} (not root, or read-only)") from failure
                self._made.append(folder)

    def put(self, path: str, pid: int) -> None:
        for top in self._tops:
            (top / path.strip("/") / "cgroup.procs").write_text(str(pid))

    def start(self, path: str, part: float, *, env: dict[str, str] | None = None) -> int:
        """A process in a group that burns this part of a CPU; returns its pid."""
        self.make(path)
        return self.run(path, [sys.executable, "-c", WORK, str(part)], env=env)

    def run(self, path: str, argv: Sequence[str], *, env: dict[str, str] | None = None) -> int:
        """Any command, in a group from its first instruction on."""
        child = subprocess.Popen(
            ["/bin/sh", "-c", "read go && exec \"$@\"", "sh", *argv], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env
        )
        self._children.append(child)
        self.put(path, child.pid)
        assert child.stdin is not None
        child.stdin.write(b"go\n")
        child.stdin.close()
        return child.pid

    def forked(self, path: str, n: int) -> list[int]:
        """Many processes that only sleep, cheaply: children of one interpreter."""
        self.make(path)
        self.run(path, [sys.executable, "-S", "-c", SLEEP, str(n)])
        procs = self._tops[0] / path.strip("/") / "cgroup.procs"
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and len(procs.read_text().split()) < n:
            time.sleep(0.05)
        return [int(pid) for pid in procs.read_text().split()]

    def cpu_ns(self, path: str) -> int:
        """What the kernel says a group has used."""
        top = self._tops[0] / path.strip("/")
        if (top / "cpuacct.usage").exists():
            return int((top / "cpuacct.usage").read_text())
        [usage] = [line.split()[1] for line in (top / "cpu.stat").read_text().splitlines() if line.startswith("usage_usec")]
        return int(usage) * 1000

    def end(self, pid: int) -> None:
        """End one process that was started here."""
        for child in self._children:
            if child.pid == pid:
                child.kill()
                child.wait()

    def close(self) -> None:
        for child in self._children:
            child.kill()
        for child in self._children:
            child.wait()
        for folder in reversed(self._made):
            deadline = time.monotonic() + 10
            while folder.exists() and time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    for pid in (folder / "cgroup.procs").read_text().split():
                        os.kill(int(pid), signal.SIGKILL)  # in a group that was made here
                    folder.rmdir()
                    break
                time.sleep(0.02)


@contextlib.contextmanager
def groups(tops: tuple[Path, ...] = ()) -> Iterator[Groups]:
    """Groups that are gone afterwards, in these mounts or in those that count here.  Raises NoGroups."""
    made = Groups(tops or hierarchies())
    try:
        yield made
    finally:
        made.close()
