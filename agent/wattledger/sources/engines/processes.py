"""Processes: who they are by their words, and which is the root of an engine whose one process is known.

An engine is a tree: vLLM's API server beside its engine core and workers, TGI's launcher over a router and shards.  Its energy is
the tree's.  Where in doubt the listener itself is taken: too small a tree leaves energy unnamed, too large a one charges a
stranger's.
"""

import os
from typing import NamedTuple

from wattledger.sources.engines.known import ENGINES

# Who starts programs, and is none of them: shells, the first processes of containers, supervisors, schedulers.
STARTERS = {
    "sh", "bash", "dash", "ash", "zsh", "fish", "ksh", "busybox", "tini", "tini-static", "dumb-init", "docker-init", "catatonit",
    "s6-svscan", "s6-supervise", "supervisord", "init", "systemd", "containerd-shim", "containerd-shim-runc-v2", "conmon", "runc",
    "crun", "sshd", "su", "sudo", "login", "tmux", "screen", "timeout", "nohup", "nice", "env", "setsid", "slurmstepd", "srun",
    "sbatch", "mpirun", "orterun", "prterun", "wattledger",
}  # fmt: skip
SPAWNED = ("multiprocessing.spawn", "multiprocessing.forkserver", "multiprocessing.resource_tracker", "--multiprocessing-fork")
TITLES = {"VLLM::": "vllm", "sglang::": "sglang"}  # what they call their children
PROXIES = ("docker-proxy",)


class Process(NamedTuple):
    """``words`` of its command line; ``start`` in clock ticks since boot, which with the pid names it for good."""

    pid: int
    parent: int
    session: int
    start: int
    name: str
    words: tuple[str, ...]


def look(procfs: str, pid: int) -> Process | None:
    """``None``: it is not there, or not ours to see."""
    stat, line = _read(f"{procfs}/{pid}/stat"), _read(f"{procfs}/{pid}/cmdline")
    if stat is None:
        return None
    head, _, tail = stat.rpartition(b")")
    field = tail.split()
    if len(field) < 20:
        return None
    try:
        parent, session, start = int(field[1]), int(field[3]), int(field[19])
    except ValueError:
        return None
    name = head.partition(b"(")[2].decode("utf-8", "replace")
    words = tuple(word.decode("utf-8", "replace") for word in (line or b"").split(b"\0") if word)
    return Process(pid, parent, session, start, name, words)


def started(procfs: str, pid: int) -> int | None:
    """When the process began; ``None``: it is not there."""
    process = look(procfs, pid)
    return None if process is None else process.start


def engine_of(process: Process) -> str:
    """Which engine a process is by its command line, empty: none that is known."""
    for title, name in TITLES.items():
        if process.name.startswith(title) or (process.words and process.words[0].startswith(title)):
            return name
    programs = set(_programs(process.words))
    return next((engine.name for engine in ENGINES.values() if programs & set(engine.words)), "")


def _programs(words: tuple[str, ...]) -> list[str]:
    """What is run: the program, and with Python the script or the module that it runs."""
    if not words:
        return []
    first = os.path.basename(words[0])
    if not is_python(first):
        return [first]
    for i, word in enumerate(words[1:], 1):
        if word == "-m":
            return [first, words[i + 1].partition(".")[0]] if i + 1 < len(words) else [first]
        if word == "-c":
            return [first]
        if not word.startswith("-"):
            return [first, os.path.basename(word).removesuffix(".py")]
    return [first]


def is_python(name: str) -> bool:
    return name.startswith(("python", "pypy"))


def root_of(procfs: str, pid: int) -> int:
    """The highest ancestor that is still the same engine: of the same control group and session, and by its words.

    Never the first process, never one that only starts others.
    """
    here = look(procfs, pid)
    group = _read(f"{procfs}/{pid}/cgroup")
    while here is not None and here.parent > 1:
        above = look(procfs, here.parent)
        if above is None or above.session != here.session or _read(f"{procfs}/{above.pid}/cgroup") != group:
            break
        if not _same_engine(above, here):
            break
        here, pid = above, above.pid
    return pid


def _same_engine(above: Process, here: Process) -> bool:
    first = os.path.basename(above.words[0]) if above.words else above.name
    if above.name in STARTERS or first in STARTERS:
        return False
    if engine_of(above):
        return True
    if above.words and above.words == here.words:
        return True  # a fork
    spawned = any(sign in word for word in here.words for sign in SPAWNED)
    return is_python(first) and (spawned or (bool(here.words) and here.words[0].startswith(tuple(TITLES))))


def pids(procfs: str) -> list[int]:
    try:
        return sorted(int(name) for name in os.listdir(procfs) if name.isdigit())
    except OSError:
        return []


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(65_536)
    except OSError:
        return None
