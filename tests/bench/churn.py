"""An agent among processes and control groups that come and go: memory, threads, descriptors and CPU, minute by minute.

``python tests/bench/churn.py [--seconds 3600]``: 8 GPUs, 30 containers, 50 process starts a second, a control group made and
removed every 2 s.  It ends by itself and leaves nothing behind; figures are printed, never asserted.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench.agent import pod_path, populated, rig_of
from tests.node.agents import Agent, agent
from tests.node.groups import Groups, groups, hierarchies
from tests.rig.rig import Process, Rig

STARTS_PER_S = 50
PASSING_S = 2.0
WARM_S = 12
PASSING = "/kubepods/besteffort"
PLACES = ("/", "/user.slice/session-9.scope", "/system.slice/churn.service", pod_path(), pod_path())

# Starts programs at a steady rate in the group it is in; most end at once, one in five is seen by a tick or two.
STARTER = """
import ctypes, os, signal, sys, time
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
period_s = float(sys.argv[1])
due, n = time.monotonic(), 0
while True:
    n += 1
    argv = ["/bin/sleep", "1.5"] if n % 5 == 0 else ["/bin/true"]
    os.posix_spawn(argv[0], argv, {"WATTLEDGER_JOB": f"churn-{n % 7}"} if n % 10 == 0 else {})
    due = max(due + period_s, time.monotonic() - 1)
    time.sleep(max(0, due - time.monotonic()))
"""


class Passing:
    """State: the one group that is there now and the process in it, of which nothing is left after ``close``."""

    def __init__(self) -> None:
        self._tops = hierarchies()
        self._folders: list[Path] = []
        self._child: subprocess.Popen[bytes] | None = None

    def turn(self) -> int:
        """The group goes and another one comes; the process that runs in it now."""
        self.close()
        path = f"{PASSING.strip('/')}/pod{uuid.uuid4()}"
        for top in self._tops:
            container = top / path / (uuid.uuid4().hex * 2)
            container.mkdir(parents=True)
            self._folders += [container, container.parent]
        self._child = subprocess.Popen(["/bin/sh", "-c", "read go; while :; do sleep 0.1; done"], stdin=subprocess.PIPE)
        for folder in self._folders[::2]:
            (folder / "cgroup.procs").write_text(str(self._child.pid))
        assert self._child.stdin is not None
        self._child.stdin.write(b"go\n")
        self._child.stdin.close()
        return self._child.pid

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            time.sleep(0.15)  # its last sleep ends
        for folder in self._folders:
            _remove(folder)
        self._folders, self._child = [], None


def _remove(folder: Path) -> None:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            folder.rmdir()
            return
        except OSError:
            time.sleep(0.02)


class Look(NamedTuple):
    """What a process costs at one moment; ``starts`` are the machine's since it was booted."""

    at_s: float
    cpu_s: float
    rss_mb: float
    threads: int
    files: int
    starts: int


def look(running: Agent) -> Look:
    folder = Path(f"/proc/{running.process.pid}")
    stat = (folder / "stat").read_text().rpartition(")")[2].split()
    cpu_s = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")  # threads that have ended included
    [starts] = [int(line.split()[1]) for line in Path("/proc/stat").read_text().splitlines() if line.startswith("processes ")]
    return Look(time.monotonic(), cpu_s, running.rss_mb(), int(stat[17]), len(os.listdir(folder / "fd")), starts)


def table(before: Look, now: Look, begun_s: float, running: Agent) -> str:
    """One row of the report."""
    elapsed_s = now.at_s - before.at_s
    rows = running.scrape()
    residual = sum(abs(value) for name, _, value in rows if name == "wattledger_attribution_residual_joules")
    return (
        f"| {(now.at_s - begun_s) / 60:.1f} | {now.rss_mb:.1f} | {now.threads} | {now.files} "
        f"| {100 * (now.cpu_s - before.cpu_s) / elapsed_s:.2f} | {len(rows)} | {(now.starts - before.starts) / elapsed_s:.0f} "
        f"| {residual} | {os.getloadavg()[0]:.2f} |"
    )


@contextlib.contextmanager
def starters(made: Groups) -> Iterator[None]:
    """As many as there are places, which share the rate."""
    for path in PLACES:
        made.make(path)
        made.run(path, [sys.executable, "-S", "-c", STARTER, str(len(PLACES) / STARTS_PER_S)])
    yield


def watch(running: Agent, rig: Rig, *, seconds: float, every_s: float) -> None:
    """Print a row every so often, while groups and GPU contexts come and go."""
    print("| min | MB | threads | files | % of a core | samples | starts/s | residual J | load |")
    print("|---|---|---|---|---|---|---|---|---|")
    before, begun_s = look(running), time.monotonic()
    passing = Passing()
    try:
        while time.monotonic() < begun_s + seconds:
            rig.processes({7: (Process(passing.turn(), 30),)})
            time.sleep(PASSING_S)
            if time.monotonic() - before.at_s >= every_s:
                now = look(running)
                print(table(before, now, begun_s, running), flush=True)
                before = look(running)
    finally:
        passing.close()


def main() -> None:
    """Run it for as long as was asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--every", type=float, default=60)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that groups are removed then, too
    with tempfile.TemporaryDirectory() as folder, groups() as made:
        made.make(PASSING)
        pids = populated(made, 30, 150)
        rig = rig_of(Path(folder) / "rig", 8, pids)
        with agent(Path(folder) / "agent", rig=rig) as running, starters(made):
            time.sleep(WARM_S)
            watch(running, rig, seconds=asked.seconds, every_s=asked.every)
            said = running.log.splitlines()
            print(f"log: {len(said)} lines", *said[:20], sep="\n")


if __name__ == "__main__":
    main()
