"""Who a peer is, by the kernel's word, and for whom he may speak: never for another user's, never for another pod's."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger.runtime.control.peers import (
    Peer,
    Vouched,
    is_operator,
    may_speak_for,
    own_pid_of,
    peer_of,
    pidfd_of,
    spoken_for,
    vouched,
)

POD = "0f1e2d3c-aaaa-bbbb-cccc-0123456789ab"
OTHER = "11111111-2222-3333-4444-555555555555"
CONTAINER = "a" * 64

uids = st.sampled_from([0, 1000])
units = st.sampled_from(["", "/system.slice/a.service", "/system.slice/b.service"])
anybody = st.builds(Vouched, uids, st.sampled_from(["", POD, OTHER]), st.sampled_from(["", "5", "6"]), units)


@given(anybody, anybody)
def test_who_may_speak_for_another_is_of_his_user_and_of_his_unit(peer: Vouched, other: Vouched) -> None:
    if may_speak_for(peer, other):
        assert peer.uid == other.uid
        assert (peer.pod_uid, peer.slurm_job) == (other.pod_uid, other.slurm_job) or peer.pod_uid
        assert peer.pod_uid == other.pod_uid
        assert peer.pod_uid or peer.slurm_job or peer.unit
    assert may_speak_for(peer, other) == may_speak_for(other, peer)


def test_root_of_one_pod_does_not_speak_for_another_pod_or_for_the_host() -> None:
    mine = Vouched(0, POD, "", "/kubepods/x")
    assert may_speak_for(mine, mine._replace(unit="/kubepods/y"))
    assert not may_speak_for(mine, mine._replace(pod_uid=OTHER))
    assert not may_speak_for(mine, Vouched(0, "", "", "/system.slice/sshd.service"))


def test_a_uid_alone_authorises_nothing() -> None:
    assert not may_speak_for(Vouched(0, "", "", ""), Vouched(0, "", "", ""))


@pytest.mark.parametrize(("cgroup", "expected"), [
    (f"0::/kubepods.slice/kubepods-pod{POD.replace('-', '_')}.slice/cri-containerd-{CONTAINER}.scope", (POD, "")),
    (f"12:memory:/kubepods/besteffort/pod{POD}/{CONTAINER}\n0::/", (POD, "")),
    ("0::/system.slice/slurmstepd.scope/job_5/step_0/user/task_0", ("", "5")),
    ("4:memory:/slurm/uid_1000/job_77/step_batch\n0::/", ("", "77")),
    ("0::/user.slice/user-1000.slice/session-3.scope", ("", "")),
    ("0::/", ("", "")),
    ("", ("", "")),
    ("nonsense", ("", "")),
])  # fmt: skip
def test_a_control_group_says_pod_and_job(cgroup: str, expected: tuple[str, str]) -> None:
    found = vouched(1000, cgroup)
    assert (found.pod_uid, found.slurm_job) == expected
    assert bool(found.unit) == ("slice" in cgroup or "pods" in cgroup or "slurm" in cgroup)


@pytest.mark.parametrize("path", [
    f"/user.slice/user-1000.slice/user@1000.service/app.slice/pod{POD}/{CONTAINER}",
    "/user.slice/user-1000.slice/user@1000.service/slurm/job_5",
])  # fmt: skip
def test_a_group_that_a_user_named_vouches_for_nothing(path: str) -> None:
    found = vouched(1000, f"0::{path}")
    assert (found.pod_uid, found.slurm_job) == ("", "")


def test_a_pod_named_inside_a_container_is_the_containers_own_affair() -> None:
    assert vouched(0, f"0::/kubepods/pod{POD}/{CONTAINER}/kubepods/pod{OTHER}/{'b' * 64}").pod_uid == POD


def test_a_containers_root_is_no_operator() -> None:
    root = Peer(10, 10, frozenset({0}), Vouched(0, "", "", ""), False)
    assert is_operator(root, frozenset())
    assert not is_operator(root._replace(contained=True), frozenset({0}))
    user = root._replace(vouched=Vouched(1000, "", "", ""), gids=frozenset({1000, 44}))
    assert not is_operator(user, frozenset())
    assert is_operator(user, frozenset({44}))


def test_the_kernel_says_who_is_at_the_other_end() -> None:
    near, far = socket.socketpair()
    with near, far:
        pidfd = pidfd_of(near)
        peer = peer_of(near, "/proc", pidfd)
        if pidfd is not None:
            os.close(pidfd)
    assert (peer.pid, peer.own_pid, peer.vouched.uid) == (os.getpid(), own_pid_of("/proc", os.getpid()), os.getuid())
    assert os.getgid() in peer.gids


def proc(folder: Path, pid: int, *, parent: int = 1, status: str = "", cgroup: str = "0::/") -> None:
    (folder / str(pid)).mkdir()
    (folder / str(pid) / "stat").write_text(f"{pid} (a) b) (c) S {parent} 0 0")
    (folder / str(pid) / "status").write_text(f"Name:\tx\n{status}")
    (folder / str(pid) / "cgroup").write_text(cgroup)


def test_a_program_speaks_for_itself_and_for_what_it_started(tmp_path: Path) -> None:
    proc(tmp_path, 100, parent=1)
    proc(tmp_path, 200, parent=100)
    proc(tmp_path, 300, parent=200)
    proc(tmp_path, 400, parent=1)
    peer = Peer(100, 100, frozenset(), Vouched(os.getuid(), "", "", ""), False)
    assert [spoken_for(str(tmp_path), peer, pid) for pid in (100, 200, 300, 400, 500)] == [100, 200, 300, None, None]


def test_a_program_speaks_for_its_units_processes_of_the_same_user(tmp_path: Path) -> None:
    unit = "0::/system.slice/train.service"
    proc(tmp_path, 100, cgroup=unit)
    proc(tmp_path, 400, cgroup=unit)
    proc(tmp_path, 500, cgroup="0::/system.slice/other.service")
    peer = Peer(100, 100, frozenset(), vouched(os.getuid(), unit), False)
    assert [spoken_for(str(tmp_path), peer, pid) for pid in (400, 500)] == [400, None]
    stranger = peer._replace(vouched=vouched(os.getuid() + 1, unit))
    assert spoken_for(str(tmp_path), stranger, 400) is None


def test_in_another_namespace_a_number_means_what_the_peer_calls_it(tmp_path: Path) -> None:
    proc(tmp_path, 1000, status="NSpid:\t1000\t7\n")
    proc(tmp_path, 1001, parent=1000, status="NSpid:\t1001\t8\n")
    proc(tmp_path, 8, status="NSpid:\t8\n")
    (tmp_path / "1000" / "task" / "1000").mkdir(parents=True)
    (tmp_path / "1000" / "task" / "1000" / "children").write_text("1001 ")
    peer = Peer(1000, 7, frozenset(), Vouched(0, "", "", ""), True)
    assert [spoken_for(str(tmp_path), peer, said) for said in (7, 8, 1001, 1000)] == [1000, 1001, None, None]


def test_a_real_childs_ancestry_is_read_from_the_kernel() -> None:
    peer = Peer(os.getpid(), os.getpid(), frozenset(), Vouched(os.getuid(), "", "", ""), False)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert spoken_for("/proc", peer, child.pid) == child.pid
        child.communicate(b"\n")
    assert spoken_for("/proc", peer, os.getppid()) in (None, os.getppid())  # ours only where we share a unit
