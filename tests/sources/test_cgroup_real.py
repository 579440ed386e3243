"""Real control groups of this machine, with real load in them; skipped, saying why, where none can be made.

Environments are left alone here: a machine's own processes are none of a test's business.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.sources.cgroup_tree import S, real_groups

from wattledger.core.model import Activity, Instant, Member
from wattledger.core.ports import Host
from wattledger.sources import cgroup
from wattledger.sources._linux.files import mounts
from wattledger.sources.cgroup.cycles import Cycles
from wattledger.sources.cgroup.environ import said_by
from wattledger.sources.cgroup.groups import Group
from wattledger.sources.cgroup.hierarchy import Hierarchy
from wattledger.sources.cgroup.paths import Identity

CPU_CLOCK = (1, 0)  # PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK: counts nanoseconds, and needs no PMU
HOST = Host("/sys", "/proc", {}, (), True, {"environ": False, "cycles": "off"})

# Works for so many seconds of CPU time once it is told to, says so, and waits for the end of its input.
BURN = """
import sys, time
print("up", flush=True)
sys.stdin.readline()
end = time.process_time() + float(sys.argv[1])
while time.process_time() < end: pass
print("done", flush=True)
sys.stdin.readline()
"""


def now() -> Instant:
    return Instant(time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.time_ns())


def hierarchy(version: str) -> Hierarchy:
    for mount in mounts(HOST):
        if mount.v2 if version == "v2" else "cpuacct" in mount.options.split(","):
            return Hierarchy(mount.point, "", "" if version == "v2" else "cpuacct")
    pytest.skip(f"no {version} hierarchy that counts CPU time is mounted here")


@contextmanager
def groups_of(top: str, names: tuple[str, ...]) -> Iterator[list[Path]]:
    """Groups of ours in a folder of ours, taken away again."""
    folder = real_groups(top, "cgroup")
    made = [folder / name for name in names]
    try:
        for group in made:
            group.mkdir()
        yield made
    finally:
        for group in (*made, folder):
            for _ in range(100):  # a process that has just ended is still in its group for a moment
                try:
                    group.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.02)
                else:
                    break


@contextmanager
def burner(group: Path, cpu_s: float) -> Iterator["subprocess.Popen[str]"]:
    """A process in a group, ready to work."""
    with subprocess.Popen(
        [sys.executable, "-c", BURN, str(cpu_s)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            (group / "cgroup.procs").write_text(str(process.pid))
            yield process
        finally:
            process.kill()


def say(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def wait(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "done\n"


def used(samples: Sequence[object]) -> dict[str, int]:
    return {s.who: s.used for s in samples if isinstance(s, Activity) and s.device_id == "cpu"}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_real_groups_are_told_what_they_used_and_so_is_one_that_ends_unseen(version: str) -> None:
    place = hierarchy(version)
    name = f"docker-{os.getpid():064x}.scope"
    with groups_of(place.top, ("small", "big", name)) as (small, big, short), ExitStack() as stack:
        source = stack.enter_context(_closing(cgroup.open(HOST._replace(options={**HOST.options, "hierarchy": version}))))
        burners = [stack.enter_context(burner(group, s)) for group, s in ((small, 0.2), (big, 0.6), (short, 0.3))]
        before = used(list(source.read(now, True)))
        for process in burners:
            say(process)
        for process in burners:
            wait(process)
        ended = burners[2]
        say(ended)
        ended.wait()
        for _ in range(100):
            try:
                short.rmdir()
                break
            except OSError:
                time.sleep(0.02)
        samples = list(source.read(now, True))
        after = used(samples)
        grown = {path.name: after[f"cgroup:{str(path)[len(place.top) :]}"] - before[f"cgroup:{str(path)[len(place.top) :]}"]
                 for path in (small, big, short)}  # fmt: skip
        assert abs(grown["small"] - 0.2 * S) < 0.06 * S
        assert abs(grown["big"] - 0.6 * S) < 0.06 * S
        assert 0.2 * S < grown[name] < 0.42 * S
        assert {s.who for s in samples if isinstance(s, Member) and s.of is None} >= {f"container:{os.getpid():064x}"}
        assert cgroup.unit_of("/proc", burners[1].pid, place) == f"cgroup:{str(big)[len(place.top) :]}"
        assert cgroup.vouched("/proc", burners[1].pid, place) == (os.getuid(), "", "", f"cgroup:{str(big)[len(place.top) :]}")


@contextmanager
def _closing(source: cgroup.Cgroup) -> Iterator[cgroup.Cgroup]:
    try:
        yield source
    finally:
        source.close()


def test_what_a_real_process_says_is_read() -> None:
    environ = {**os.environ, "WATTLEDGER_JOB": "train", "WATTLEDGER_LABELS": "team=a"}
    command = [sys.executable, "-c", "print('up', flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        said = said_by("/proc", child.pid)
        child.kill()
    assert (said.job, said.labels) == ("train", (("team", "a"),))


def test_perf_shares_the_machines_time_by_what_it_counts_in_each_group() -> None:
    place = hierarchy("v2")
    cpus = sorted(os.sched_getaffinity(0))
    with groups_of(place.top, ("small", "big")) as made, ExitStack() as stack:
        cycles = Cycles(place, cpus, 64, CPU_CLOCK)
        if cycles.refused:
            pytest.skip(f"perf counts nothing by control group here: {cycles.refused}")
        stack.callback(cycles.close)
        root = Group(Identity(""), place.top, None, born=False)
        small, big = (Group(Identity(str(path)[len(place.top) :], "group"), str(path), root, born=False) for path in made)
        burners = [stack.enter_context(burner(group, s)) for group, s in zip(made, (0.1, 0.3), strict=True)]
        assert cycles.weigh([root, small, big], 0, place.top)
        for process in burners:
            say(process)
        for process in burners:
            wait(process)
        assert cycles.weigh([root, small, big], 1_000_000, place.top)
        assert 2.5 < big.grown_ns / small.grown_ns < 3.5
        assert small.grown_ns + big.grown_ns <= 1_000_000


def test_where_cycles_are_refused_cpu_time_is_used_and_the_reason_is_noted() -> None:
    place = hierarchy("v2")
    source = cgroup.open(HOST._replace(options={"environ": False, "hierarchy": "v2"}))
    with _closing(source):
        samples = list(source.read(now, True))
        samples += list(source.read(now, True))
        units = {s.unit for s in samples if isinstance(s, Activity) and s.device_id == "cpu"}
        refused = [note for note in source.notes if "not by cycles" in note]
        assert bool(refused) == ("cycles" not in units)
    few = Cycles(place, range(4), 3, CPU_CLOCK)
    root = Group(Identity(""), place.top, None, born=False)
    child = Group(Identity("/x", "group"), f"{place.top}/x", root, born=False)
    assert not few.weigh([root, child], 1_000, place.top)
    assert few.refused
    few.close()


def test_no_perf_hierarchy_is_a_reason() -> None:
    cycles = Cycles(None, range(2), 64)
    assert "no perf_event control group" in cycles.refused
    assert not cycles.weigh([], 1, "")
    cycles.close()
