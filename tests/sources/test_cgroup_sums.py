"""The unseen tail of what vanished, what is behind and what falls: nothing is lost or doubled, and the sum is the machine's."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.cgroup_tree import HEX_A, HEX_B, MS, POD, TICK, Groups, S

A, B = f"/docker/{HEX_A}", f"/docker/{HEX_B}"
WHO_A, WHO_B = f"cgroup:{A}", f"cgroup:{B}"
PODS = "/kubepods.slice/kubepods-burstable.slice"
POD_SLICE = f"{PODS}/kubepods-burstable-pod{POD.replace('-', '_')}.slice"


@pytest.fixture(params=["v1", "v2", "hybrid"])
def groups(request: pytest.FixtureRequest, tmp_path: Path) -> Groups:
    return Groups(tmp_path, request.param)


def test_what_a_vanished_unit_used_unseen_is_its_own(groups: Groups) -> None:
    groups.group(A)
    groups.group(B)
    meter = groups.meter()
    meter.read()
    groups.use(A, 100 * MS)
    groups.use(B, 100 * MS)
    meter.read()
    groups.use(A, 100 * MS)
    groups.use(B, 70 * MS)
    groups.remove(B)
    meter.read()
    assert meter.cpu() == {WHO_A: 100 * MS, WHO_B: 70 * MS}
    assert meter.members() == {WHO_B: None, f"container:{HEX_B}": None}
    assert meter.claims()[WHO_B, "cgroup"].workload is None
    meter.read()
    assert meter.cpu() == {}


def test_tails_are_shared_by_the_last_rates(groups: Groups) -> None:
    groups.group(A)
    groups.group(B)
    meter = groups.meter()
    meter.read()
    groups.use(A, 300 * MS)
    groups.use(B, 100 * MS)
    meter.read()
    groups.use(A, 30 * MS)
    groups.use(B, 10 * MS)
    groups.remove(A)
    groups.remove(B)
    meter.read()
    assert meter.cpu() == {WHO_A: 30 * MS, WHO_B: 10 * MS}


def test_tails_are_shared_equally_where_nobody_worked(groups: Groups) -> None:
    groups.group(A)
    groups.group(B)
    meter = groups.meter()
    meter.read()
    groups.use(A, 40 * MS)
    groups.remove(A)
    groups.remove(B)
    meter.read()
    assert meter.cpu() == {WHO_A: 20 * MS, WHO_B: 20 * MS}


def test_a_tail_is_not_what_the_parent_uses_itself_all_the_time(groups: Groups) -> None:
    groups.group("/mine/part")
    meter = groups.meter()
    meter.read()
    for _ in range(2):
        groups.use("/mine", 500 * MS)
        groups.use("/mine/part", 100 * MS)
        meter.read()
    groups.use("/mine", 500 * MS)
    groups.use("/mine/part", 60 * MS)
    groups.remove("/mine/part")
    meter.read()
    assert meter.cpu() == {"cgroup:/mine": 500 * MS, "cgroup:/mine/part": 60 * MS}


def test_a_pods_own_use_is_the_pods(groups: Groups) -> None:
    path = groups.group(f"{POD_SLICE}/cri-containerd-{HEX_A}.scope")
    meter = groups.meter()
    meter.read()
    groups.use(path, 100 * MS)
    groups.use(POD_SLICE, 30 * MS)  # a container that lived between two reads
    groups.use(PODS, 20 * MS)
    meter.read()
    assert meter.cpu() == {f"cgroup:{path}": 100 * MS, f"cgroup:{POD_SLICE}": 30 * MS, "(other)": 20 * MS}


def test_a_pod_that_goes_with_its_containers_leaves_nothing(groups: Groups) -> None:
    path = groups.group(f"{POD_SLICE}/cri-containerd-{HEX_A}.scope")
    meter = groups.meter()
    meter.read()
    groups.use(path, 100 * MS)
    meter.read()
    groups.use(path, 50 * MS)
    groups.remove(POD_SLICE)
    meter.read()
    assert meter.cpu() == {f"cgroup:{path}": 50 * MS}
    assert meter.members() == {f"cgroup:{path}": None, f"container:{HEX_A}": None, f"cgroup:{POD_SLICE}": None}


def test_a_unit_gone_and_back_under_its_name_goes_on(groups: Groups) -> None:
    groups.group("/system.slice/nginx.service")
    meter = groups.meter()
    meter.read()
    groups.use("/system.slice/nginx.service", 100 * MS)
    meter.read()
    groups.use("/system.slice/nginx.service", 30 * MS)
    groups.remove("/system.slice/nginx.service")
    groups.group("/system.slice/nginx.service")
    groups.use("/system.slice/nginx.service", 20 * MS)
    meter.read()
    assert meter.cpu() == {"cgroup:/system.slice/nginx.service": 50 * MS}
    groups.use("/system.slice/nginx.service", 20 * MS)
    meter.read()
    assert meter.cpu() == {"cgroup:/system.slice/nginx.service": 20 * MS}


def test_a_renamed_group_goes_on_under_its_new_name(tmp_path: Path) -> None:
    groups = Groups(tmp_path, "v1")  # v2 renames nothing
    groups.group("/mine/one")
    groups.use("/mine/one", 5 * S)
    meter = groups.meter()
    meter.read()
    groups.rename("/mine/one", "two")
    groups.use("/mine/two", 100 * MS)
    meter.read()
    assert meter.cpu() == {"cgroup:/mine/two": 100 * MS}
    assert meter.members()["cgroup:/mine/one"] is None


def test_a_counter_that_falls_is_a_reset_and_no_energy(groups: Groups) -> None:
    groups.group(A)
    groups.use(A, 5 * S)
    meter = groups.meter()
    meter.read()
    groups.used_ns[A] = 0
    groups.use(A, 100 * MS)
    meter.read()
    assert meter.cpu() == {"(other)": 100 * MS}
    groups.use(A, 100 * MS)
    meter.read()
    assert meter.cpu() == {WHO_A: 100 * MS}


def test_a_machine_that_is_behind_dips_nothing_and_catches_up(groups: Groups) -> None:
    groups.group(A)
    meter = groups.meter()
    meter.read()
    groups.use(A, 100 * MS, on_machine=False)
    meter.read()
    assert meter.cpu() == {WHO_A: 100 * MS}
    groups.busy_ticks += 150 * MS // TICK
    groups.machine()
    meter.read()
    assert meter.cpu() == {"(other)": 50 * MS}


def test_a_parent_read_before_its_child_dips_nothing(groups: Groups) -> None:
    groups.group("/mine/part")
    meter = groups.meter()
    meter.read()
    groups.use("/mine/part", 100 * MS)
    groups.used_ns["/mine"] -= 10 * MS
    groups.use("/mine", 0)
    meter.read()
    assert meter.cpu() == {"cgroup:/mine/part": 100 * MS}
    groups.use("/mine", 40 * MS)
    meter.read()
    assert meter.cpu() == {"cgroup:/mine": 30 * MS, "(other)": 10 * MS}


STEPS = st.lists(
    st.tuples(st.sampled_from(["make", "use", "remove", "root", "lag", "process", "run", "exit", "read"]), st.integers(0, 7)),
    max_size=40,
)
PATHS = (
    A, B, f"{POD_SLICE}/{HEX_A}", f"{POD_SLICE}/{HEX_B}", f"{A}/x/{HEX_B}", "/mine", "/mine/part",
    "/user.slice/user-1.slice/session-1.scope",
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, version=st.sampled_from(["v1", "v2"]))
def test_the_sum_is_the_machines_whatever_happens(steps: list[tuple[str, int]], version: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        groups = Groups(Path(folder), version)
        meter = groups.meter()
        meter.read()
        began, serial = groups.busy_ticks, 100
        ticks: dict[int, int] = {}
        for step, pick in steps:
            path = PATHS[pick % len(PATHS)]
            pid = sorted(ticks)[pick % len(ticks)] if ticks else 0
            if step == "make":
                groups.group(path)
            elif step == "use" and path in groups.used_ns:
                groups.use(path, pick * 30 * MS)
            elif (
                step == "remove"
                and path in groups.used_ns
                and not any((f"{m}/").startswith(f"{path}/") for m in groups.members.values())
            ):
                groups.remove(path)
            elif step == "root":
                groups.use("", pick * 10 * MS)
            elif step == "lag" and path in groups.used_ns:
                groups.use(path, pick * MS, on_machine=False)
            elif step == "process":
                groups.group("/mine")
                serial += 1
                ticks[serial] = 0
                groups.process(serial, 0, group="/mine" if pick % 2 else "")
                groups.environ(serial, WATTLEDGER_JOB="train")
            elif step == "run" and pid:
                ticks[pid] += pick
                groups.process(pid, ticks[pid], group=groups.members[pid])
                groups.use(groups.members[pid], pick * TICK)
            elif step == "exit" and pid:
                del ticks[pid]
                groups.end(pid)
            elif step == "read":
                meter.read()
        meter.read()
        machine_ns = (groups.busy_ticks - began) * TICK
        debt_ns = -meter.source._tree.root.debt_ns
        assert meter.total_cpu() == machine_ns + debt_ns
        groups.busy_ticks += 100
        groups.machine()
        meter.read()
        assert meter.total_cpu() == machine_ns + 100 * TICK  # the machine is ahead of all its parts again
        meter.source.close()
