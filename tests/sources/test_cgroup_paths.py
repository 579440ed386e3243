"""A path says whose it is: paths of real nodes, both drivers, both versions; and whatever else a path may be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.sources.cgroup_tree import HEX_A, HEX_B, POD

from wattledger.sources.cgroup.paths import Identity, identify

SYSTEMD_POD = f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{POD.replace('-', '_')}.slice"
KIND_POD = f"/docker/{HEX_A}/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{POD.replace('-', '_')}.slice"
STATIC = "0123456789abcdef" * 2

# path -> where the unit ends (None: at the path's end), and the fields that must be set.
REAL: dict[str, tuple[str | None, dict[str, object]]] = {
    f"/docker/{HEX_A}": (None, {"kind": "container", "container": HEX_A, "name": HEX_A[:12]}),
    f"/docker/{HEX_A}/init": (f"/docker/{HEX_A}", {"kind": "container", "container": HEX_A}),
    f"/system.slice/docker-{HEX_A}.scope": (None, {"kind": "container", "container": HEX_A, "unit": ""}),
    f"/system.slice/nerdctl-{HEX_A}.scope": (None, {"kind": "container", "container": HEX_A}),
    f"/default/{HEX_A}": (None, {"kind": "container", "container": HEX_A}),
    f"{SYSTEMD_POD}/cri-containerd-{HEX_A}.scope": (None, {"kind": "container", "container": HEX_A, "pod": POD}),
    f"{SYSTEMD_POD}/crio-{HEX_A}.scope": (None, {"kind": "container", "container": HEX_A, "pod": POD}),
    f"{SYSTEMD_POD}/crio-conmon-{HEX_A}.scope": (None, {"kind": "container", "container": HEX_A, "pod": POD}),
    f"{SYSTEMD_POD}/crio-{HEX_A}.scope/container": (f"{SYSTEMD_POD}/crio-{HEX_A}.scope", {"kind": "container", "pod": POD}),
    SYSTEMD_POD: (None, {"kind": "pod", "pod": POD, "name": "pod-2fc932ce", "unit": ""}),
    f"/kubepods.slice/kubepods-pod{POD.replace('-', '_')}.slice": (None, {"kind": "pod", "pod": POD}),
    f"/kubepods/burstable/pod{POD}": (None, {"kind": "pod", "pod": POD}),
    f"/kubepods/burstable/pod{POD}/{HEX_A}": (None, {"kind": "container", "container": HEX_A, "pod": POD}),
    f"/kubepods/besteffort/pod{STATIC}/{HEX_A}": (None, {"kind": "container", "pod": STATIC}),
    f"/kubepods/pod{POD}/{HEX_A}/sub": (f"/kubepods/pod{POD}/{HEX_A}", {"kind": "container", "pod": POD}),
    f"/system.slice/containerd.service/kubepods-burstable-pod{POD.replace('-', '_')}.slice:cri-containerd:{HEX_A}": (
        None,
        {"kind": "container", "container": HEX_A, "pod": POD},
    ),
    # kind: a node that is a container, with pods inside
    f"{KIND_POD}/cri-containerd-{HEX_B}.scope": (
        None,
        {"kind": "container", "container": HEX_B, "pod": POD},
    ),
    "/kubepods.slice": (None, {"kind": "inner"}),
    "/kubepods/burstable": (None, {"kind": "inner"}),
    f"/machine.slice/libpod-{HEX_A}.scope": (None, {"kind": "container", "container": HEX_A}),
    f"/machine.slice/libpod-{HEX_A}.scope/container": (f"/machine.slice/libpod-{HEX_A}.scope", {"kind": "container"}),
    f"/machine.slice/libpod-conmon-{HEX_A}.scope": (None, {"kind": "container", "container": HEX_A}),
    f"/libpod_parent/libpod-{HEX_A}": (None, {"kind": "container", "container": HEX_A}),
    f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{HEX_A}.scope/container": (
        f"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{HEX_A}.scope",
        {"kind": "container", "container": HEX_A, "uid": 1000},
    ),
    "/lxc/web": (None, {"kind": "container", "container": "web", "name": "web"}),
    "/lxc/web/system.slice/nginx.service": ("/lxc/web", {"kind": "container", "container": "web"}),
    "/lxc.payload.web/init.scope": ("/lxc.payload.web", {"kind": "container", "container": "web"}),
    "/lxc.payload/101": (None, {"kind": "container", "container": "101"}),
    "/slurm_n1/uid_0/job_2/step_batch/task_0": (
        "/slurm_n1/uid_0/job_2",
        {"kind": "slurm", "slurm": "2", "step": "batch", "uid": 0},
    ),
    "/slurm/uid_1001/job_2": (None, {"kind": "slurm", "slurm": "2", "name": "slurm-2", "uid": 1001}),
    "/slurm/uid_0": (None, {"kind": "inner"}),
    "/system.slice/n1_slurmstepd.scope/job_1/step_batch/user/task_0": (
        "/system.slice/n1_slurmstepd.scope/job_1",
        {"kind": "slurm", "slurm": "1", "step": "batch"},
    ),
    "/system.slice/slurmstepd.scope/job_17/step_0/user/task_3": (
        "/system.slice/slurmstepd.scope/job_17",
        {"slurm": "17", "step": "0"},
    ),
    "/system.slice/slurmstepd.scope/system": ("/system.slice/slurmstepd.scope", {"kind": "scope", "unit": "slurmstepd.scope"}),
    f"/system.slice/slurmstepd.scope/job_17/step_0/{HEX_A}": (None, {"kind": "container", "slurm": "17", "container": HEX_A}),
    "/machine.slice/machine-qemu\\x2d1\\x2dname.scope": (None, {"kind": "vm", "vm": "name", "name": "name"}),
    "/machine.slice/machine-qemu\\x2d12\\x2dweb\\x2d1.scope/libvirt/vcpu0": (
        "/machine.slice/machine-qemu\\x2d12\\x2dweb\\x2d1.scope",
        {"kind": "vm", "vm": "web-1"},
    ),
    "/machine/qemu-1-name.libvirt-qemu/emulator": ("/machine/qemu-1-name.libvirt-qemu", {"kind": "vm", "vm": "name"}),
    "/qemu.slice/100.scope": (None, {"kind": "vm", "vm": "100"}),
    "/machine.slice/machine-lxc\\x2d1\\x2dbox.scope": (None, {"kind": "container", "container": "box"}),
    "/machine.slice/machine-debian.scope": (None, {"kind": "container", "container": "debian"}),
    "/system.slice/nginx.service": (None, {"kind": "service", "unit": "nginx.service", "name": "nginx.service", "uid": None}),
    "/system.slice/nginx.service/workers/1": ("/system.slice/nginx.service", {"unit": "nginx.service"}),
    "/system.slice/system-getty.slice/getty@tty1.service": (None, {"kind": "service", "unit": "getty@tty1.service"}),
    "/system.slice/dev-disk-by\\x2dlabel-x.swap": (None, {"unit": "dev-disk-by-label-x.swap"}),
    "/system.slice": (None, {"kind": "inner"}),
    "/user.slice/user-1000.slice": (None, {"kind": "slice", "uid": 1000, "unit": "user-1000.slice"}),
    "/user.slice/user-1000.slice/session-3.scope": (None, {"kind": "scope", "uid": 1000, "unit": "session-3.scope"}),
    "/user.slice/user-1000.slice/user@1000.service/init.scope": (None, {"kind": "scope", "uid": 1000, "unit": "init.scope"}),
    "/user.slice/user-1000.slice/user@1000.service/app.slice": ("/user.slice/user-1000.slice/user@1000.service", {"uid": 1000}),
    "/user.slice/user-1000.slice/user@1000.service/app.slice/train.service": (None, {"uid": 1000, "unit": "train.service"}),
    "/batch.slice": (None, {"kind": "slice", "unit": "batch.slice"}),
    "/batch.slice/run-r12.scope": (None, {"kind": "scope", "unit": "run-r12.scope"}),
    "/mine": (None, {"kind": "group", "name": "/mine"}),
    "/mine/deeper": (None, {"kind": "group", "name": "/mine/deeper"}),
    "/init.scope": (None, {"kind": "scope", "unit": "init.scope"}),
    "/": ("", {"kind": "root"}),
}


@pytest.mark.parametrize("path", list(REAL))
def test_a_path_says_whose_it_is(path: str) -> None:
    end, fields = REAL[path]
    found = identify(path)
    assert found.path == (path if end is None else end)
    assert {name: getattr(found, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("path", "pod", "slurm"),
    [
        (f"{SYSTEMD_POD}/cri-containerd-{HEX_A}.scope", POD, ""),
        (f"/kubepods/pod{POD}/{HEX_A}/kubepods/pod{'9' * 32}/{HEX_B}", POD, ""),  # made by who is root in the container
        (f"/kubepods/pod{POD}/{HEX_A}/slurm/uid_0/job_7", POD, ""),
        (f"/docker/{HEX_A}/kubepods/pod{POD}/{HEX_B}", "", ""),
        ("/slurm/uid_0/job_2/step_0/slurm/uid_0/job_7", "", "2"),
        ("/user.slice/user-1000.slice/user@1000.service/slurm/uid_0/job_7", "", ""),
        (f"/user.slice/user-1000.slice/user@1000.service/kubepods/pod{POD}/{HEX_A}", "", ""),
    ],
)
def test_what_somebody_makes_beneath_his_own_is_not_the_kernels_word(path: str, pod: str, slurm: str) -> None:
    found = identify(path, outermost=True)
    assert (found.pod, found.slurm) == (pod, slurm)


def test_a_users_own_groups_make_him_no_job_and_no_pod() -> None:
    found = identify(f"/user.slice/user-1000.slice/user@1000.service/slurm/job_7/kubepods/pod{POD}")
    assert (found.slurm, found.pod, found.unit) == ("", "", "user@1000.service")


def test_a_name_is_never_the_meters_own() -> None:
    assert identify("/system.slice/(idle).service").name == "idle).service"
    assert not identify("/lxc/(idle)").name.startswith("(")


WORDS = st.sampled_from(
    ["kubepods", f"pod{POD}", HEX_A, "slurm", "slurmstepd.scope", "job_1", "job_", "job_x", "uid_0", "uid_x", "a.service", "..",
     "user@1.service", "user-1.slice", "lxc", "qemu.slice", "1.scope", "machine-qemu\\x2d1\\x2d.scope", "\\x", "\\xzz", ".",
     "job_\u0661"]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(st.one_of(st.text(max_size=8), WORDS), max_size=9).map("/".join)))
def test_any_path_has_an_answer_that_is_a_part_of_it_and_stands_by_itself(path: str) -> None:
    found = identify(path)
    whole = "".join(f"/{name}" for name in path.split("/") if name not in ("", "."))
    assert (whole + "/").startswith(found.path + "/")
    if found.is_named:
        assert found.name
        assert identify(found.path) == found._replace(step="")
    assert identify(path, outermost=True).path in ("", *(whole[:i] for i in range(len(whole) + 1)))


def test_an_identity_knows_its_name() -> None:
    assert Identity("/a/b").who == "cgroup:/a/b"
