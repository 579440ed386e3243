"""The machine around the tree: others, idle, the meter itself, memory, and what a process holds."""

import os
from pathlib import Path

import pytest
from tests.sources.proc_tree import ROOT, TICK, S, Tree, holdings, small_machine, used

from wattledger.core.model import Claim, Workload
from wattledger.core.ports import Host, SourceGone
from wattledger.sources import procfs


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return small_machine(tmp_path)


def test_the_machine_is_tree_and_agent_and_others_and_idle(tree: Tree) -> None:
    tree.process(50, 1, 3, start=1)
    source = procfs.open(tree.host(agent_pid=50))
    tree.machine(user=1000, idle=5000)
    first = tree.read(source)
    tree.process(ROOT, 1, 110)
    tree.process(50, 1, 5, 0, 900)  # what it reaped is the metered tree, not its own
    tree.machine(user=1250, idle=5300, iowait=20, steal=70)
    second = tree.read(source)
    grown = {who: used(second, who) - used(first, who) for who in (f"pid:{ROOT}", "(agent)", "(other)", "(idle)")}
    assert grown == {f"pid:{ROOT}": 100 * TICK, "(agent)": 2 * TICK, "(other)": 148 * TICK, "(idle)": 320 * TICK}


def test_the_meters_threads_are_taken_out_of_the_tree(tree: Tree) -> None:
    thread = tree.proc / "self" / "task" / "101"
    thread.mkdir(parents=True)
    threads: list[int] = []
    source = procfs.open(tree.host(agent_threads=lambda: threads))
    first = tree.read(source)
    threads.append(101)
    (thread / "stat").write_text(f"101 (wattledger) S {ROOT} " + "0 " * 9 + "4 0 0 0 20 0 1 0 1 0\n")
    tree.process(ROOT, 1, 110)
    second = tree.read(source)
    assert used(second, f"pid:{ROOT}") - used(first, f"pid:{ROOT}") == 96 * TICK
    assert used(second, "(agent)") == 4 * TICK


def test_others_and_idle_never_fall(tree: Tree) -> None:
    source = procfs.open(tree.host())
    tree.machine(user=1000, idle=5000, iowait=50)
    first = tree.read(source)
    tree.process(ROOT, 1, 60)
    tree.machine(user=1010, idle=5000, iowait=40)  # iowait may fall; the kernel samples the machine's time, not the tree's
    second = tree.read(source)
    tree.machine(user=1100, idle=5030, iowait=40)
    third = tree.read(source)
    assert [used(s, "(other)") for s in (first, second, third)] == [0, 0, 50 * TICK]
    idle = [used(s, "(idle)") for s in (first, second, third)]
    assert idle == sorted(idle)


def test_memory_is_what_is_resident_and_not_shared_over_time(tree: Tree) -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    tree.process(200, ROOT)
    tree.resident(ROOT, pages=1000, shared=300)
    tree.resident(200, pages=500, shared=100)
    source = procfs.open(tree.host())
    first = tree.read(source)
    second = tree.read(source, after_s=2)
    tree_bytes = 1100 * page
    in_use = 400_000 * 1024
    assert [used(first, who, "dram") for who in (f"pid:{ROOT}", "(other)", "(idle)")] == [0, 0, 0]
    assert used(second, f"pid:{ROOT}", "dram") == tree_bytes * 2 * S
    assert used(second, "(other)", "dram") == (in_use - tree_bytes) * 2 * S
    assert used(second, "(idle)", "dram") == 600_000 * 1024 * 2 * S


def test_a_tree_cannot_have_more_memory_than_is_in_use(tree: Tree) -> None:
    tree.resident(ROOT, pages=10_000_000, shared=0)
    source = procfs.open(tree.host())
    tree.read(source)
    samples = tree.read(source)
    assert used(samples, f"pid:{ROOT}", "dram") == 400_000 * 1024 * S
    assert used(samples, "(other)", "dram") == 0


def test_members_work_for_the_workload_while_they_live(tree: Tree) -> None:
    job = Workload("train")
    source = procfs.open(tree.host(workload=job))
    tree.process(200, ROOT)
    first = [s for s in tree.read(source) if isinstance(s, Claim)]
    assert {(c.who, c.workload) for c in first} == {(f"pid:{ROOT}", job), ("pid:200", job)}
    assert not [s for s in tree.read(source) if isinstance(s, Claim)]
    tree.end(200)
    assert [(c.who, c.workload) for c in tree.read(source) if isinstance(c, Claim)] == [("pid:200", None)]


def test_a_whole_machine_is_held_by_nobody(tree: Tree) -> None:
    (tree.proc / str(ROOT) / "status").write_text("Name:\tx\nCpus_allowed_list:\t0-255\n")
    assert holdings(tree.read(procfs.open(tree.host()))) == []


def test_a_process_holds_the_cpus_it_is_bound_to_until_it_ends(tree: Tree) -> None:
    (tree.proc / str(ROOT) / "status").write_text("Name:\tx\nCpus_allowed_list:\t0,2\n")
    source = procfs.open(tree.host())
    assert holdings(tree.read(source)) == [(f"pid:{ROOT}", 0.5)]
    assert holdings(tree.read(source)) == []
    tree.end(ROOT)
    assert holdings(tree.read(source)) == [(f"pid:{ROOT}", 0.0)]


def test_without_proc_the_source_is_gone_and_says_what_to_do(tmp_path: Path) -> None:
    host = Host(str(tmp_path), str(tmp_path / "proc"), {}, (), True, {})
    with pytest.raises(SourceGone, match="mount the host's /proc"):
        procfs.open(host)
    assert [f.state for f in procfs.examine(host)] == ["absent"]


def test_an_edge_reads_nothing(tree: Tree) -> None:
    assert list(procfs.open(tree.host()).read(tree.now, full=False)) == []
