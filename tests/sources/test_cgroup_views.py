"""Where the hierarchies are, from outside and from inside a container, and in which unit a process is."""

from pathlib import Path

import pytest
from tests.sources.cgroup_tree import HEX_A, HEX_B, POD, V1, Groups

from wattledger.core.ports import SourceGone
from wattledger.sources import cgroup
from wattledger.sources.cgroup.hierarchy import Hierarchy, Vouched

A = f"/docker/{HEX_A}"


@pytest.mark.parametrize(
    ("version", "wanted", "chosen"),
    [
        ("v2", "auto", ""),
        ("v1", "auto", "cpuacct"),
        ("hybrid", "auto", "cpuacct"),  # v2 has no cpu controller there
        ("hybrid", "v2", ""),
        ("hybrid", "v1", "cpuacct"),
    ],
)
def test_the_hierarchy_that_counts_is_chosen(tmp_path: Path, version: str, wanted: str, chosen: str) -> None:
    groups = Groups(tmp_path, version)
    assert cgroup.look(groups.host(hierarchy=wanted)).cpu.name == chosen


def test_without_the_one_asked_for_it_says_what_to_do(tmp_path: Path) -> None:
    groups = Groups(tmp_path, "v2")
    with pytest.raises(SourceGone, match="no cpuacct"):
        cgroup.open(groups.host(hierarchy="v1"))
    groups.mount(V1)
    with pytest.raises(SourceGone, match="set \\[paths\\] sysfs"):
        cgroup.open(groups.host(hierarchy="v2"))


def test_a_bind_mounted_branch_keeps_the_hosts_paths(tmp_path: Path) -> None:
    groups = Groups(tmp_path)
    text = (groups.proc / "self" / "mountinfo").read_text()
    (groups.proc / "self" / "mountinfo").write_text(text.replace(" / /sys", f" {A} /sys"))
    groups.group("/inner")
    groups.process(100)
    (groups.proc / "100" / "cgroup").write_text(f"0::{A}/inner\n")
    groups.process(101)
    (groups.proc / "101" / "cgroup").write_text("0::/elsewhere\n")
    view = cgroup.look(groups.host()).cpu
    assert cgroup.group_of(str(groups.proc), 100, view) == f"{A}/inner"
    assert view.folder(f"{A}/inner") == f"{groups.top}/inner"
    assert cgroup.group_of(str(groups.proc), 101, view) is None
    assert cgroup.unit_of(str(groups.proc), 101, view) is None


@pytest.mark.parametrize(
    ("home", "listed", "path"),
    [
        ("/pods/pod1/me", "/", "/pods/pod1/me"),
        ("/pods/pod1/me", "/sub", "/pods/pod1/me/sub"),
        ("/pods/pod1/me", "/../other", "/pods/pod1/other"),
        ("/pods/pod1/me", "/../../pod2/x", "/pods/pod2/x"),
        ("/pods/pod1/me", "/../../../system.slice/a.service", "/system.slice/a.service"),
        ("/pods/pod1/me", "/../../..", ""),
        ("", "/../../../system.slice/a.service", "/system.slice/a.service"),
        ("", "/../other", None),
        ("", "/sub", None),
    ],
)
def test_a_path_seen_from_inside_a_namespace_is_the_hosts(home: str, listed: str, path: str | None) -> None:
    assert Hierarchy("/host/sys/fs/cgroup", "/../../..", "", home).path_of(listed) == path


def test_inside_a_namespace_our_own_place_is_found_by_our_own_process(tmp_path: Path) -> None:
    groups = Groups(tmp_path)
    mine, other = (f"/kubepods/pod{POD}/{name}" for name in (HEX_A, HEX_B))
    groups.group(f"{mine}/deeper")
    groups.group(other)
    groups.process(4242, group=f"{mine}/deeper")
    groups.process(100, group=other)
    groups.mount((groups.proc / "self" / "mountinfo").read_text().replace(" / /sys", " /../../.. /sys"))
    (groups.proc / "100" / "cgroup").write_text(f"0::/../{HEX_B}\n")
    (groups.proc / "4242" / "cgroup").write_text("0::/deeper\n")
    view = cgroup.look(groups.host(), own_pid=4242).cpu
    assert (view.home, view.root) == (mine, "")
    assert cgroup.unit_of(str(groups.proc), 100, view) == f"cgroup:{other}"
    assert cgroup.unit_of(str(groups.proc), 4242, view) == f"cgroup:{mine}"
    meter = groups.meter(agent_pid=4242)
    meter.read()
    assert (f"cgroup:{other}", "cgroup") in meter.claims()


def test_the_hosts_sysfs_mounted_elsewhere_goes_before_the_containers_own(tmp_path: Path) -> None:
    groups = Groups(tmp_path)
    lines = f"30 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n31 1 0:1 /../.. {groups.cgroup} rw - cgroup2 cgroup2 rw\n"
    (groups.proc / "self" / "mountinfo").write_text(lines)
    view = cgroup.look(groups.host(), own_pid=1).cpu
    assert (view.top, view.at) == (str(groups.cgroup), "/../..")


@pytest.mark.parametrize("version", ["v1", "v2", "hybrid"])
def test_a_process_is_in_its_unit(tmp_path: Path, version: str) -> None:
    groups = Groups(tmp_path, version)
    job = groups.group("/slurm/uid_0/job_2/step_0/task_0")
    groups.group(A)
    for pid, group in ((100, job), (101, A), (102, "")):
        groups.process(pid, group=group)
    view = cgroup.look(groups.host()).cpu
    units = [cgroup.unit_of(str(groups.proc), pid, view) for pid in (100, 101, 102, 999)]
    assert units == ["cgroup:/slurm/uid_0/job_2", f"cgroup:{A}", "pid:102", None]
    meter = groups.meter()
    meter.read()
    assert [meter.source.unit_of(pid) for pid in (100, 101, 102, 999)] == units


def test_the_kernel_vouches_for_user_pod_and_job(tmp_path: Path) -> None:
    groups = Groups(tmp_path)
    pod = groups.group(f"/kubepods/pod{POD}/{HEX_A}")
    job = groups.group("/system.slice/slurmstepd.scope/job_2/step_0")
    forged = groups.group(f"{pod}/slurm/uid_0/job_7")
    for pid, group in ((100, pod), (101, job), (102, forged), (103, "")):
        groups.process(pid, group=group)
    view = cgroup.look(groups.host()).cpu
    found = [cgroup.vouched(str(groups.proc), pid, view) for pid in (100, 101, 102, 103, 999)]
    assert found == [
        Vouched(1000, POD, "", f"cgroup:{pod}"),
        Vouched(1000, "", "2", "cgroup:/system.slice/slurmstepd.scope/job_2"),
        Vouched(1000, POD, "", f"cgroup:{forged}"),
        Vouched(1000, "", "", "pid:103"),
        None,
    ]


def test_a_removed_groups_process_is_still_in_it(tmp_path: Path) -> None:
    groups = Groups(tmp_path)
    groups.process(100)
    (groups.proc / "100" / "cgroup").write_text(f"0::{A} (deleted)\n")
    assert cgroup.unit_of(str(groups.proc), 100, cgroup.look(groups.host()).cpu) == f"cgroup:{A}"


@pytest.mark.parametrize("text", ["", "junk", "0::", ":::::", "0::/../..", "1:cpuacct:/a\n"])
def test_a_membership_that_makes_no_sense_is_no_unit(tmp_path: Path, text: str) -> None:
    groups = Groups(tmp_path)
    groups.process(100)
    (groups.proc / "100" / "cgroup").write_text(text)
    assert cgroup.unit_of(str(groups.proc), 100, cgroup.look(groups.host()).cpu) in (None, "pid:100")


def test_the_doctor_says_what_counts_and_what_may_be_read(tmp_path: Path) -> None:
    groups = Groups(tmp_path)
    findings = list(cgroup.examine(groups.host(cycles="off")))
    assert [(f.sensor, f.state) for f in findings] == [
        ("cpu and memory by control group", "usable"),
        ("environment of processes", "usable"),
    ]
    assert f"v2 at {groups.top}" in findings[0].why
