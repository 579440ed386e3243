"""Who has memory in use, and who has CPUs to himself."""

from pathlib import Path

import pytest
from tests.sources.cgroup_tree import HEX_A, HEX_B, POD, Groups, S

A, B = f"/docker/{HEX_A}", f"/docker/{HEX_B}"
WHO_A, WHO_B = f"cgroup:{A}", f"cgroup:{B}"
KB = 1024


@pytest.fixture(params=["v1", "v2", "hybrid"])
def groups(request: pytest.FixtureRequest, tmp_path: Path) -> Groups:
    return Groups(tmp_path, request.param)


def charge(groups: Groups, path: str, kb: int, inactive_kb: int = 0) -> None:
    groups.group(
        path,
        memory__current=f"{kb * KB}\n",
        memory__usage_in_bytes=f"{kb * KB}\n",
        memory__stat=f"anon 1\ninactive_file {inactive_kb * KB}\ntotal_inactive_file {inactive_kb * KB}\n",
    )


def test_memory_is_shared_by_what_each_has_in_use(groups: Groups) -> None:
    charge(groups, A, 100_000)
    charge(groups, B, 150_000, inactive_kb=100_000)  # the kernel would give that back at once
    meter = groups.meter()
    meter.read()
    assert meter.dram() == {}
    meter.read(after_s=2)
    told = {who: bytes_ns // (2 * S * KB) for who, bytes_ns in meter.dram().items()}
    assert told == {WHO_A: 100_000, WHO_B: 50_000, "(other)": 250_000, "(idle)": 600_000}


def test_memory_never_sums_to_more_than_is_in_use(groups: Groups) -> None:
    charge(groups, A, 600_000)
    charge(groups, B, 200_000)
    meter = groups.meter()
    meter.read()
    meter.read()
    told = {who: bytes_ns // (S * KB) for who, bytes_ns in meter.dram().items()}
    assert told == {WHO_A: 300_000, WHO_B: 100_000, "(idle)": 600_000}


def test_a_parents_memory_is_what_those_beneath_do_not_have(groups: Groups) -> None:
    pod = f"/kubepods/pod{POD}"
    charge(groups, f"{pod}/{HEX_A}", 60_000)
    charge(groups, pod, 100_000)
    meter = groups.meter()
    meter.read()
    meter.read()
    told = {who: bytes_ns // (S * KB) for who, bytes_ns in meter.dram().items()}
    assert told == {f"cgroup:{pod}/{HEX_A}": 60_000, f"cgroup:{pod}": 40_000, "(other)": 300_000, "(idle)": 600_000}


def test_a_process_of_its_own_has_its_own_memory(groups: Groups) -> None:
    charge(groups, "/mine", 100_000)
    groups.process(100, group="/mine")
    groups.environ(100, WATTLEDGER_JOB="train")
    pages = 40_000 * KB // 4096
    (groups.proc / "100" / "statm").write_text(f"{pages * 3} {pages + 7} 7 1 0 1 0\n")
    meter = groups.meter()
    meter.read()
    meter.read()
    told = {who: bytes_ns // (S * KB) for who, bytes_ns in meter.dram().items()}
    assert told == {"cgroup:/mine": 60_000, "pid:100": 40_000, "(other)": 300_000, "(idle)": 600_000}


def test_without_a_memory_controller_nobody_is_told_a_zero(tmp_path: Path) -> None:
    groups = Groups(tmp_path)
    (groups.cgroup / "cgroup.controllers").write_text("cpu\n")
    groups.group(A)
    meter = groups.meter()
    meter.read()
    meter.read()
    assert set(meter.dram()) == {"(other)", "(idle)"}


def test_a_set_of_cpus_or_a_quota_is_held(groups: Groups) -> None:
    groups.group(A, cpuset__cpus__effective="0\n", cpuset__effective_cpus="0\n")
    groups.group(B, cpu__max="150000 100000\n", cpu__cfs_quota_us="150000\n", cpu__cfs_period_us="100000\n")
    groups.group("/system.slice/free.service", cpu__max="max 100000\n", cpu__cfs_quota_us="-1\n")
    groups.group("/mine", cpu__max="900000 100000\n", cpu__cfs_quota_us="900000\n", cpu__cfs_period_us="100000\n")
    meter = groups.meter()
    meter.read()
    assert meter.holdings() == {WHO_A: 1 / 4, WHO_B: 1.5 / 4}
    for _ in range(3):
        meter.read()
        assert meter.holdings() == {}


def test_a_cpu_that_two_share_is_held_by_each_in_part(groups: Groups) -> None:
    groups.group(A, cpuset__cpus__effective="0-1\n", cpuset__effective_cpus="0-1\n")
    groups.group(B, cpuset__cpus__effective="1-2\n", cpuset__effective_cpus="1-2\n")
    meter = groups.meter()
    meter.read()
    assert meter.holdings() == {WHO_A: 1.5 / 4, WHO_B: 1.5 / 4}


def test_what_a_pods_containers_hold_the_pod_does_not_hold_again(groups: Groups) -> None:
    pod = f"/kubepods/pod{POD}"
    groups.group(pod, cpu__max="200000 100000\n", cpu__cfs_quota_us="200000\n", cpu__cfs_period_us="100000\n")
    one = groups.group(f"{pod}/{HEX_A}", cpu__max="150000 100000\n", cpu__cfs_quota_us="150000\n", cpu__cfs_period_us="100000\n")
    meter = groups.meter()
    meter.read()
    assert meter.holdings() == {f"cgroup:{one}": 1.5 / 4, f"cgroup:{pod}": 0.5 / 4}


def test_a_set_that_only_follows_from_the_parents_is_the_parents(groups: Groups) -> None:
    for path in ("/mine", "/mine/part"):
        groups.group(path, cpuset__cpus__effective="0-1\n", cpuset__effective_cpus="0-1\n")
    meter = groups.meter()
    meter.read()
    assert meter.holdings() == {"cgroup:/mine": 2 / 4}


def test_a_limit_that_changes_is_seen_and_one_whose_group_went_is_let_go(groups: Groups) -> None:
    quota = {"cpu__cfs_period_us": "100000\n"}
    groups.group(A, cpu__max="100000 100000\n", cpu__cfs_quota_us="100000\n", **quota)
    meter = groups.meter()
    meter.read()
    groups.group(A, cpu__max="200000 100000\n", cpu__cfs_quota_us="200000\n", **quota)
    seen = []
    for _ in range(30):
        meter.read()
        seen += list(meter.holdings().items())
    assert seen == [(WHO_A, 2 / 4)]
    groups.remove(A)
    meter.read()
    assert meter.holdings() == {WHO_A: 0.0}
