"""A part of a machine is a part: limits of v1, v2 and hybrid control groups on a host of 128 CPUs."""

from pathlib import Path

import pytest
from tests.sources.proc_tree import ROOT, TICK, S, Tree, holdings, used

from wattledger.sources import procfs

CONTAINERS = {
    "v2": (
        "0::/pod\n",
        {"": "cgroup2 rw /"},
        {
            "pod/cpu.max": "200000 100000\n",
            "pod/cpu.stat": "usage_usec 7000000\nuser_usec 1\n",
            "pod/memory.max": "104857600\n",
            "pod/memory.current": "62914560\n",
            "pod/memory.stat": "anon 1\ninactive_file 10485760\n",
        },
    ),
    "v2 in its own namespace": (
        "0::/\n",
        {"": "cgroup2 rw /"},
        {
            "cpu.max": "200000 100000\n",
            "cpu.stat": "usage_usec 7000000\n",
            "memory.max": "104857600\n",
            "memory.current": "62914560\n",
            "memory.stat": "inactive_file 10485760\n",
        },
    ),
    "v1 seen from inside": (
        "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n",
        {"/cpu,cpuacct": "cgroup rw,cpu,cpuacct /docker/abc", "/memory": "cgroup rw,memory /docker/abc"},
        {
            "cpu,cpuacct/cpu.cfs_quota_us": "200000\n",
            "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            "cpu,cpuacct/cpuacct.usage": "7000000000\n",
            "memory/memory.limit_in_bytes": "104857600\n",
            "memory/memory.usage_in_bytes": "62914560\n",
            "memory/memory.stat": "total_inactive_file 10485760\n",
        },
    ),
    "hybrid, limits by an ancestor": (
        "4:memory:/pods/a\n3:cpuacct:/pods/a\n2:cpu:/pods/a\n0::/pods/a\n",
        {
            "/cpu": "cgroup rw,cpu /",
            "/cpuacct": "cgroup rw,cpuacct /",
            "/memory": "cgroup rw,memory /",
            "/unified": "cgroup2 rw /",
        },
        {
            "cpu/pods/cpu.cfs_quota_us": "200000\n",
            "cpu/pods/cpu.cfs_period_us": "100000\n",
            "cpu/pods/a/cpu.cfs_quota_us": "-1\n",
            "cpuacct/pods/cpuacct.usage": "7000000000\n",
            "memory/pods/memory.limit_in_bytes": "104857600\n",
            "memory/pods/memory.usage_in_bytes": "62914560\n",
            "memory/pods/memory.stat": "total_inactive_file 10485760\n",
            "memory/pods/a/memory.limit_in_bytes": "9223372036854771712\n",
            "unified/pods/a/cgroup.type": "domain\n",
        },
    ),
}


@pytest.fixture(params=list(CONTAINERS.values()), ids=list(CONTAINERS))
def container(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    tree = Tree(tmp_path, cpus=128)
    tree.process(1, 0)
    tree.process(ROOT, 1, 10)
    tree.cgroups(*request.param)
    tree.machine(user=100_000, idle=900_000)
    return tree


def usage(tree: Tree, seconds: int) -> None:
    for file in tree.sys.rglob("cpuacct.usage"):
        file.write_text(f"{seconds * S}\n")
    for file in tree.sys.rglob("cpu.stat"):
        file.write_text(f"usage_usec {seconds * 1_000_000}\n")


def test_a_load_is_the_containers_own(container: Tree) -> None:
    read = procfs.load(container.host())
    before = read()
    usage(container, 10)
    container.machine(user=5_000_000, idle=900_000)
    after = read()
    assert (after.cpus, after.all_cpus, after.memory_bytes) == (2, 128, 104857600)
    assert after.busy_ns - before.busy_ns == 3 * S


def test_a_load_without_roots_is_the_machines(container: Tree) -> None:
    load = procfs.load(container.host(()))()
    assert (load.cpus, load.all_cpus, load.memory_bytes) == (128, 128, 1_000_000 * 1024)


def test_a_modelled_part_is_shared_among_those_inside_it(container: Tree) -> None:
    source = procfs.open(container.host())
    first = container.read(source)
    usage(container, 10)
    container.process(ROOT, 1, 10 + 2 * S // TICK)
    second = container.read(source, after_s=4)
    grown = {who: used(second, who) - used(first, who) for who in (f"pid:{ROOT}", "(other)", "(idle)")}
    assert grown == {f"pid:{ROOT}": 2 * S, "(other)": 1 * S, "(idle)": 2 * 4 * S - 3 * S}
    assert used(second, "(other)", "dram") == 50 * 1024 * 1024 * 4 * S
    assert used(second, "(idle)", "dram") == 50 * 1024 * 1024 * 4 * S
    assert holdings(first) == [(f"pid:{ROOT}", 1.0)]


def test_a_measured_machine_is_shared_among_all_and_the_container_holds_its_part(container: Tree) -> None:
    source = procfs.open(container.host(measured=frozenset({"cpu", "dram"})))
    first = container.read(source)
    container.machine(user=100_500, idle=900_100)
    second = container.read(source)
    assert used(second, "(other)") - used(first, "(other)") == 500 * TICK
    assert used(second, "(idle)") - used(first, "(idle)") == 100 * TICK
    assert used(second, "(idle)", "dram") == 600_000 * 1024 * S
    assert holdings(first) == [(f"pid:{ROOT}", 2 / 128)]


@pytest.mark.parametrize(
    ("membership", "mounts", "name"),
    [
        ("0::/job\n", {"": "cgroup2 rw /"}, "job/cpuset.cpus.effective"),
        (
            "3:cpuset:/job\n2:cpu:/\n",
            {"/cpuset": "cgroup rw,cpuset /", "/cpu": "cgroup rw,cpu /"},
            "cpuset/job/cpuset.cpus",
        ),
    ],
    ids=["v2", "v1"],
)
def test_a_cpusets_load_is_that_of_its_cpus(tmp_path: Path, membership: str, mounts: dict[str, str], name: str) -> None:
    tree = Tree(tmp_path, cpus=128)
    tree.process(ROOT, 1)
    tree.cgroups(membership, mounts, {name: "0-5,64-65\n"})
    read = procfs.load(tree.host())
    before = read()
    tree.machine(user=128 * 10, idle=0)
    after = read()
    assert (after.cpus, after.all_cpus) == (8, 128)
    assert after.busy_ns - before.busy_ns == 8 * 10 * TICK


def test_a_limit_that_changes_creates_no_work(container: Tree) -> None:
    read = procfs.load(container.host())
    before = read().busy_ns
    for file in container.sys.rglob("cpu.max"):
        file.write_text("max 100000\n")
    for file in container.sys.rglob("cpu.cfs_quota_us"):
        file.write_text("-1\n")
    loads = [read() for _ in range(60)]
    assert loads[-1].cpus == 128
    assert {load.busy_ns for load in loads} == {before}
