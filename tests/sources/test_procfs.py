"""Whose CPU time it was: nothing seen is lost, and nothing counts twice."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.proc_tree import ROOT, TICK, S, Tree, small_machine, ticks, used

from wattledger.core.model import Activity, Claim, Instant, Workload
from wattledger.core.ports import Host
from wattledger.sources import procfs


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return small_machine(tmp_path)


def test_a_tree_is_the_root_and_all_its_descendants(tree: Tree) -> None:
    tree.process(200, ROOT, 20, 1)
    tree.process(150, 200, 30, 2)  # a grandchild whose number is lower: numbers have wrapped
    tree.process(300, 1, 1000)
    assert ticks(tree.read(procfs.open(tree.host()))) == 10 + 21 + 32


def test_a_command_with_brackets_and_spaces_is_read(tree: Tree) -> None:
    tree.process(200, ROOT, 20, name="a) S 1 (b c")
    assert ticks(tree.read(procfs.open(tree.host()))) == 30


def test_a_reaped_child_counts_once(tree: Tree) -> None:
    source = procfs.open(tree.host())
    tree.process(200, ROOT, 50)
    assert ticks(tree.read(source)) == 60
    tree.end(200)
    tree.process(ROOT, 1, 10, 0, 55, 0)  # 50 that we saw and 5 that we did not
    assert [ticks(tree.read(source)) for _ in range(3)] == [65, 65, 65]


def test_a_child_that_nobody_waited_for_is_not_lost(tree: Tree) -> None:
    source = procfs.open(tree.host())
    tree.process(200, ROOT, 50)
    tree.read(source)
    tree.end(200)
    tree.process(ROOT, 1, 12)
    assert [ticks(tree.read(source)) for _ in range(3)] == [62, 62, 62]
    tree.process(ROOT, 1, 12, 0, 7)  # another child's reaping pays no old debt
    assert ticks(tree.read(source)) == 69


def test_a_child_reaped_while_we_were_reading_counts_once(tree: Tree) -> None:
    source = procfs.open(tree.host())
    tree.process(200, ROOT, 50)
    tree.read(source)
    tree.end(200)  # the parent was read an instant before it waited for this child
    assert ticks(tree.read(source)) == 60
    tree.process(ROOT, 1, 10, 0, 50)
    assert ticks(tree.read(source)) == 60


def test_a_child_between_two_reads_is_in_its_parents_reaped_time(tree: Tree) -> None:
    source = procfs.open(tree.host())
    tree.read(source)
    tree.process(ROOT, 1, 10, 0, 30, 4)
    assert ticks(tree.read(source)) == 44


def test_a_grandchild_reaped_through_a_parent_that_is_gone_too_counts_once(tree: Tree) -> None:
    source = procfs.open(tree.host())
    tree.process(200, ROOT, 20)
    tree.process(300, 200, 40)
    assert ticks(tree.read(source)) == 70
    tree.end(300)
    tree.end(200)
    tree.process(ROOT, 1, 10, 0, 60)
    assert [ticks(tree.read(source)) for _ in range(2)] == [70, 70]


def test_an_orphan_still_belongs_and_what_it_used_stays(tree: Tree) -> None:
    source = procfs.open(tree.host())
    tree.process(200, ROOT, 20)
    tree.process(300, 200, 40)
    tree.read(source)
    tree.end(200)
    tree.process(300, 1, 45)
    tree.process(ROOT, 1, 10, 0, 20)
    assert ticks(tree.read(source)) == 75
    tree.end(300)
    assert [ticks(tree.read(source)) for _ in range(2)] == [75, 75]


def test_a_zombie_still_counts(tree: Tree) -> None:
    source = procfs.open(tree.host())
    tree.process(200, ROOT, 20)
    tree.read(source)
    tree.process(200, ROOT, 25, state="Z")
    assert ticks(tree.read(source)) == 35


def test_a_reused_number_is_another_process(tree: Tree) -> None:
    source = procfs.open(tree.host(workload=Workload("train")))
    tree.process(200, ROOT, 20)
    tree.read(source)
    tree.end(200)
    tree.process(ROOT, 1, 10, 0, 20)
    tree.process(200, 1, 5000, start=99)
    samples = tree.read(source)
    assert ticks(samples) == 30
    assert [s for s in samples if isinstance(s, Claim)] == [Claim("pid:200", tree.now(), None)]
    assert ticks(tree.read(source)) == 30


def test_a_reused_number_is_another_process_beyond_the_held_ones(tree: Tree) -> None:
    for pid in range(200, 240):
        tree.process(pid, ROOT, 1)
    source = procfs.open(tree.host())
    assert ticks(tree.read(source)) == 50
    (tree.proc / "239" / "stat").unlink()
    tree.process(239, 1, 5000, start=99)
    tree.process(ROOT, 1, 10, 0, 1)
    assert [ticks(tree.read(source)) for _ in range(2)] == [50, 50]


def test_a_root_that_ended_leaves_its_last_value(tree: Tree) -> None:
    source = procfs.open(tree.host())
    tree.process(200, ROOT, 20)
    tree.read(source)
    tree.end(ROOT)
    tree.process(200, 1, 30)
    assert ticks(tree.read(source)) == 40
    tree.end(200)
    assert ticks(tree.read(source)) == 40


def test_a_root_inside_another_roots_tree_counts_once(tree: Tree) -> None:
    tree.process(200, ROOT, 20)
    samples = tree.read(procfs.open(tree.host((200, ROOT))))
    assert ticks(samples) == 30
    assert not [s for s in samples if isinstance(s, Activity) and s.who == "pid:200"]


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(["run", "fork", "wait", "lose", "read"]), st.integers(0, 9)), max_size=40))
def test_a_tree_never_loses_what_was_seen_and_never_counts_twice(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tree = Tree(Path(folder))
        life = {ROOT: (1, [0, 0])}  # pid -> (ppid, [own, reaped])
        tree.process(ROOT, 1)
        source = procfs.open(tree.host())
        truth, lost, before = 0, 0, 0
        for serial, (step, pick) in enumerate(steps):
            pids = sorted(life)
            pid = pids[pick % len(pids)]
            leaf = pid != ROOT and not any(ppid == pid for ppid, _ in life.values())
            if step == "run":
                life[pid][1][0] += pick
                truth += pick
            elif step == "fork":
                life[1000 + serial] = (pid, [0, 0])
            elif step in ("wait", "lose") and leaf:
                parent, times = life.pop(pid)
                life[parent][1][1] += sum(times) if step == "wait" else 0
                lost += sum(times) if step == "lose" else 0
                tree.end(pid)
            for one, (parent, (own, reaped)) in life.items():
                tree.process(one, parent, own, 0, reaped)
            if step == "read":
                seen = ticks(tree.read(source))
                assert before <= seen <= truth
                assert seen >= truth - lost
                before = seen
        source.close()


BURN = """
import os, sys, time
def burn(s):
    while time.process_time() < s: pass
    os._exit(0)
depth = int(sys.argv[1])
children = []
for _ in range(depth):
    pid = os.fork()
    if not pid: burn(0.15)
    children.append(pid)
print("up", flush=True)
sys.stdin.readline()
for pid in children: os.waitpid(pid, 0)
print("waited", flush=True)
sys.stdin.readline()
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs a Linux /proc")
def test_real_children_add_up_to_what_the_kernel_accounts() -> None:
    children = 3
    clock = iter(range(1, 10_000))
    with subprocess.Popen(
        [sys.executable, "-c", BURN, str(children)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as root:
        assert root.stdin is not None
        assert root.stdout is not None
        source = procfs.open(Host("/sys", "/proc", {}, (root.pid,), True, {}))
        seen = []

        def look() -> None:
            samples = list(source.read(lambda: Instant(next(clock) * S, 0), full=True))
            seen.append(used(samples, f"pid:{root.pid}"))

        root.stdout.readline()
        look()
        root.stdin.write("\n")
        root.stdin.flush()
        while seen[-1] < children * 0.1 * S:
            look()
        root.stdout.readline()  # all children have been waited for, while we were looking on
        look()
        root.stdin.write("\n")
        root.stdin.flush()
        os.waitid(os.P_PID, root.pid, os.WEXITED | os.WNOWAIT)
        look()  # the root is a zombie now and its times are final
        _, _, usage_truth = os.wait4(root.pid, 0)
        root.returncode = 0
        look()
        source.close()
    truth = int((usage_truth.ru_utime + usage_truth.ru_stime) * S)
    assert seen == sorted(seen)
    assert abs(seen[-1] - truth) <= (children + 1) * 2 * TICK
    assert seen[-1] == seen[-2]
