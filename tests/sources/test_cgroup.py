"""Whose CPU time it was, by control group: nothing is lost, nothing counts twice, and the sum is the machine's."""

import shutil
from pathlib import Path

import pytest
from tests.sources.cgroup_tree import HEX_A, HEX_B, MS, POD, TICK, Groups, Meter, S

from wattledger.core.model import Activity, Workload
from wattledger.core.ports import SourceFailed, SourceGone
from wattledger.sources import cgroup

A, B = f"/docker/{HEX_A}", f"/docker/{HEX_B}"
WHO_A, WHO_B = f"cgroup:{A}", f"cgroup:{B}"
PODS = "/kubepods.slice/kubepods-burstable.slice"
POD_SLICE = f"{PODS}/kubepods-burstable-pod{POD.replace('-', '_')}.slice"


@pytest.fixture(params=["v1", "v2", "hybrid"])
def groups(request: pytest.FixtureRequest, tmp_path: Path) -> Groups:
    return Groups(tmp_path, request.param)


def test_each_unit_is_told_what_it_used(groups: Groups) -> None:
    groups.group(A)
    groups.group("/system.slice/nginx.service")
    groups.use(A, 5 * S)
    meter = groups.meter()
    meter.read()
    assert meter.cpu() == {}  # what was used before the first look is nobody's energy
    groups.use(A, 300 * MS)
    groups.use("/system.slice/nginx.service", 100 * MS)
    groups.use("", 50 * MS)
    meter.read()
    assert meter.cpu() == {WHO_A: 300 * MS, "cgroup:/system.slice/nginx.service": 100 * MS, "(other)": 50 * MS}


def test_a_container_is_named_and_in_its_pod(groups: Groups) -> None:
    path = groups.group(f"{POD_SLICE}/cri-containerd-{HEX_A}.scope")
    meter = groups.meter()
    meter.read()
    labels = (("container_id", HEX_A), ("k8s_pod_uid", POD))
    assert meter.claims()[f"cgroup:{path}", "cgroup"].workload == Workload(HEX_A[:12], None, labels)
    assert meter.members() == {
        f"cgroup:{path}": f"container:{HEX_A}",
        f"container:{HEX_A}": f"pod:{POD}",
        f"cgroup:{POD_SLICE}": f"pod:{POD}",
    }


def test_a_job_a_machine_a_service_and_a_plain_group_have_their_names(groups: Groups) -> None:
    for path in (
        "/slurm/uid_1000/job_2/step_0",
        "/machine/qemu-1-web.libvirt-qemu/vcpu0",
        "/user.slice/user-7.slice/session-1.scope",
        "/x/y",
    ):
        groups.group(path)
    meter = groups.meter()
    meter.read()
    claims = {who: claim.workload for (who, _), claim in meter.claims().items()}
    assert claims == {
        "cgroup:/slurm/uid_1000/job_2": Workload("slurm-2", None, (("slurm_job_id", "2"), ("user", "1000"))),
        "cgroup:/machine/qemu-1-web.libvirt-qemu": Workload("web", None, (("vm", "web"),)),
        "cgroup:/user.slice/user-7.slice": Workload("user-7.slice", None, (("systemd_unit", "user-7.slice"), ("user", "7"))),
        "cgroup:/user.slice/user-7.slice/session-1.scope": Workload(
            "session-1.scope", None, (("systemd_unit", "session-1.scope"), ("user", "7"))
        ),
        "cgroup:/x": Workload("/x"),
        "cgroup:/x/y": Workload("/x/y"),
    }
    assert meter.members() == {"cgroup:/slurm/uid_1000/job_2": "slurm:2"}


def test_a_unit_born_since_the_last_read_is_paid_from_its_birth(groups: Groups) -> None:
    groups.group(A)
    meter = groups.meter()
    meter.read()
    groups.group(B)
    groups.use(B, 200 * MS)
    samples = meter.read()
    first = next(s for s in samples if isinstance(s, Activity) and s.who == WHO_B)
    assert (first.at.mono_ns, first.used) == (groups.clock_ns - S, 0)
    assert meter.cpu() == {WHO_B: 200 * MS}


def test_what_is_found_late_in_a_container_begins_at_its_present_value(groups: Groups) -> None:
    groups.group(A)
    meter = groups.meter()
    meter.read()
    inner = groups.group(f"{A}/nested/{HEX_B}")
    groups.use(inner, 100 * MS)
    meter.read()
    assert meter.cpu() == {WHO_A: 100 * MS}
    meter.read(after_s=5)
    assert meter.cpu() == {}
    groups.use(inner, 50 * MS)
    meter.read()
    assert meter.cpu() == {f"cgroup:{inner}": 50 * MS}


def test_a_jobs_steps_are_the_jobs(groups: Groups) -> None:
    job = groups.group("/slurm/uid_0/job_2")
    meter = groups.meter()
    meter.read()
    groups.group(f"{job}/step_0/task_0")
    groups.use(f"{job}/step_0/task_0", 100 * MS)
    meter.read(after_s=6)
    groups.remove(f"{job}/step_0")
    groups.use(job, 50 * MS)
    meter.read(after_s=6)
    assert meter.grown["cpu", f"cgroup:{job}"] == 150 * MS


def test_a_group_that_may_not_be_read_is_others_and_noted(groups: Groups) -> None:
    groups.group(A)
    groups.group(B)
    file = next(groups.top.rglob(f"{HEX_A}/cpu*"))
    file.unlink()
    file.mkdir()  # root reads everything, but nobody reads a folder
    meter = groups.meter()
    meter.read()
    groups.busy_ticks += 100 * MS // TICK
    groups.machine()
    meter.read()
    assert meter.cpu() == {"(other)": 100 * MS}
    assert any("control groups may not be read" in note for note in meter.source.notes)


def test_more_groups_than_descriptors_are_all_read(groups: Groups) -> None:
    meter = groups.meter()
    meter.source._tree.budget.left = 3
    paths = [groups.group(f"/docker/{i:064x}") for i in range(20)]
    meter.read()
    for path in paths:
        groups.use(path, 10 * MS)
    meter.read()
    assert meter.cpu() == {f"cgroup:{path}": 10 * MS for path in paths}
    groups.remove(paths[-1])
    meter.read()
    assert meter.members()[f"cgroup:{paths[-1]}"] is None


def test_thousands_of_groups_are_units(tmp_path: Path) -> None:
    groups = Groups(tmp_path)
    paths = [groups.group(f"{PODS}/pod{i:032x}/{i:064x}") for i in range(1500)]
    meter = groups.meter()
    meter.read()
    for path in paths[::100]:
        groups.use(path, 10 * MS)
    meter.read()
    assert meter.cpu() == {f"cgroup:{path}": 10 * MS for path in paths[::100]}
    meter.source.close()


def test_idle_is_said(groups: Groups) -> None:
    meter = groups.meter()
    meter.read()
    groups.idle_ticks += 7
    groups.machine()
    meter.read()
    assert meter.last["cpu", "(idle)"] == 7 * TICK


def test_a_hierarchy_that_goes_away_fails_and_comes_back(groups: Groups) -> None:
    groups.group(A)
    meter = groups.meter()
    meter.read()
    away = groups.top.with_name("away")
    groups.top.rename(away)
    with pytest.raises(SourceFailed, match="still mounted"):
        meter.read()
    away.rename(groups.top)
    groups.use(A, 100 * MS)
    meter.read()
    assert meter.cpu() == {WHO_A: 100 * MS}


def test_an_edge_reads_nothing(groups: Groups) -> None:
    assert list(groups.meter().source.read(groups.now, full=False)) == []


def test_without_control_groups_the_source_is_gone(tmp_path: Path) -> None:
    groups = Groups(tmp_path)
    shutil.rmtree(groups.sys)
    with pytest.raises(SourceGone, match="no cpuacct"):
        cgroup.open(groups.host(hierarchy="v1"))
    assert [f.state for f in cgroup.examine(groups.host())] == ["absent"]


def test_a_failed_read_loses_no_names(groups: Groups) -> None:
    groups.group(A)
    meter = groups.meter()
    text = (groups.proc / "meminfo").read_text()
    (groups.proc / "meminfo").write_text("nonsense\n")
    with pytest.raises(SourceFailed, match="reading"):
        meter.read()
    (groups.proc / "meminfo").write_text(text)
    meter.read()
    assert (WHO_A, "cgroup") in meter.claims()


def test_the_meter_of_these_tests_forgets_who_ended(groups: Groups) -> None:
    groups.group(A)
    meter: Meter = groups.meter()
    meter.read()
    groups.remove(A)
    meter.read()
    groups.group(A)
    groups.use(A, 100 * MS)
    meter.read()
    assert meter.cpu() == {WHO_A: 100 * MS}
