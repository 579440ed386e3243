"""What the kernel prints and what processes write into it: paths of control groups, environments, names, tables.

A container makes groups of any name, a process calls itself what it likes: of these bytes no source may fall over, nor call anybody
by another's name.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st
from tests.fuzz.kit import bent_bytes, fuzzed, is_count, is_label, raw, taken, texts
from tests.sources.cgroup_tree import HEX_A, POD, Groups
from tests.sources.engines.node_tree import Node
from tests.sources.proc_tree import ROOT, Tree, small_machine

from wattledger.core.model import Activity, Claim, Holding, Instant, Member, Sample
from wattledger.core.ports import Host, SourceFailed, SourceGone
from wattledger.sources import cgroup, procfs
from wattledger.sources._linux.files import mounts, parse_cpus
from wattledger.sources._linux.tree import Stat, parse_stat
from wattledger.sources.cgroup.environ import MOST_CHARS, MOST_LABELS, claims, parse
from wattledger.sources.cgroup.hierarchy import group_of, look, uid_of, unit_of, vouched
from wattledger.sources.cgroup.paths import CLOSED, identify
from wattledger.sources.engines.listeners import listening, own_addresses, owner
from wattledger.sources.engines.processes import engine_of, root_of
from wattledger.sources.engines.processes import look as process_of

SEGMENTS = (
    "kubepods.slice", "kubepods-burstable.slice", f"kubepods-pod{POD.replace('-', '_')}.slice", f"pod{POD}",
    f"docker-{HEX_A}.scope", HEX_A,
    f"cri-containerd-{HEX_A}.scope", "slurm", "slurm_node1", "system.slice", "node1_slurmstepd.scope", "uid_1000", "job_12",
    "job_²", "job_" + "9" * 400,
    "step_0", "user.slice", "user-1000.slice", "user@1000.service", "user-²9.slice", "uid_²", "machine.slice",
    "machine-qemu\\x2d1\\x2dvm.scope",
    "machine-lxc-1-a.scope", "lxc.payload.x", "(idle)", "(agent)", "..", ".", "app.slice", "a.service", "\\x00", "\\xff\\x2f",
    "\n", "a b (deleted)",
)  # fmt: skip
segments = st.sampled_from(SEGMENTS) | texts
paths = st.lists(segments, max_size=8).map("/".join).map(lambda path: "/" + path)
ENVIRON = (
    b"WATTLEDGER_JOB=train\0WATTLEDGER_MODEL=m\0WATTLEDGER_LABELS=team=red,x=y\0WATTLEDGER_RUN_ID=r\0"
    b"SLURM_JOB_ID=12\0SLURM_STEP_ID=0\0"
)
STAT = b"7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 11 12 13 14 20 0 1 0 99 1 1 18446744073709551615\n"
AT = Instant(1_000, 2_000)


@fuzzed(3)
@given(paths, st.booleans())
@example("/slurm/uid_²/job_1", False)
@example("/user.slice/user-٣.slice", False)
@example("/machine.slice/machine-qemu-1-(idle).scope", False)
def test_any_path_of_a_group_has_an_answer(path: str, outermost: bool) -> None:
    found = identify(path, outermost=outermost)
    assert ("/" + "/".join(part for part in path.split("/") if part not in ("", "."))).startswith(found.path)
    assert not found.is_named or (found.name.isprintable() and not found.name.startswith("("))
    assert found.slurm == "" or (found.slurm.isascii() and found.slurm.isdecimal())
    assert found.uid is None or found.uid >= 0
    assert identify(found.path, outermost=outermost) == found or found.kind in CLOSED


@fuzzed(3)
@given(raw | bent_bytes(ENVIRON))
@example(b"SLURM_JOB_ID=\xc2\xb2\0WATTLEDGER_JOB=x\0")
def test_any_environment_is_a_few_short_words(environ: bytes) -> None:
    said = parse(environ)
    words = [said.job, said.model or "", said.slurm_name, said.slurm_step, *(word for pair in said.labels for word in pair)]
    assert all(is_label(word, MOST_CHARS) for word in words)
    assert len(said.labels) <= MOST_LABELS + 1
    assert said.slurm_job == "" or (said.slurm_job.isascii() and said.slurm_job.isdecimal())
    for claim in claims("pid:7", AT, said, ""):
        # Nobody has vouched for the job: it is a program's word, and its kernel label is not set by it.
        assert claim.rank == "environment"


@fuzzed(3)
@given(raw | bent_bytes(STAT), st.binary(max_size=30))
def test_a_process_is_read_whatever_it_calls_itself(text: bytes, name: bytes) -> None:
    found = parse_stat(text)
    assert found is None or isinstance(found, Stat)
    named = STAT.replace(b"a) b", name)
    assert parse_stat(named) == Stat(1, 23, 27, 99)


@fuzzed(3)
@given(
    st.text("0123456789-, \n²٣x", max_size=20) | st.sampled_from(["0-3,8", "0-99999999999", "9" * 5_000, "3-1", "0-" + "9" * 5_000])
)
@example("²")
@example("0-999999999999")
@example("0-²")
def test_a_list_of_cpus_is_a_set_of_no_more_than_there_can_be(text: str) -> None:
    found = parse_cpus(text)
    assert len(found) <= 65_536
    assert all(is_count(cpu) for cpu in found)


# --- whole trees in which one file is broken -------------------------------------------------------------------------------


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def sane(samples: list[Sample]) -> None:
    for sample in samples:
        match sample:
            case Activity(used=used):
                assert type(used) is int
                assert used >= 0
            case Holding(part=part):
                assert 0.0 <= part <= 1.0
            case Claim(who=who, workload=workload):
                assert who
                assert workload is None or not workload.job.startswith("(") or who == "(agent)"
                assert workload is None or all(value.isprintable() for _, value in workload.labels)
            case Member(who=who, of=of):
                assert who != of


GROUP_FILES = ("cpu.stat", "memory.current", "memory.stat", "cpuset.cpus.effective", "cpu.max", "cgroup.procs")
PROCESS_FILES = ("stat", "statm", "status", "cgroup", "environ")
LIMITED = {
    "a/cpu.max": "50000 100000\n",
    "a/memory.max": "1000000\n",
    "a/cpu.stat": "usage_usec 7\n",
    "a/memory.current": "10\n",
    "a/memory.stat": "inactive_file 1\n",
}
MACHINE_FILES = ("stat", "meminfo", "self/mountinfo")


@fuzzed()
@given(st.sampled_from([*GROUP_FILES, *(f"pid/{name}" for name in PROCESS_FILES), *MACHINE_FILES]), st.data())
@example("cpuset.cpus.effective", b"\xc2\xb2")
@example("cpuset.cpus.effective", b"0-99999999999")
@example("pid/status", b"Uid:\n")
@example("pid/status", b"Uid:\tx\n")
@example("cgroup.procs", b"x\n")
@example("cgroup.procs", b"-5\n")
@example("cpu.stat", b"usage_usec 5")
@example("cpu.stat", b"usage_usec x\n")
@example("cpu.max", "² 100000".encode())
@example("pid/stat", b"200 (a) S x\n")
def test_groups_are_metered_or_refused_whatever_one_file_holds(name: str, data: st.DataObject | bytes) -> None:
    with folder() as base:
        groups = Groups(base)
        path = groups.group("/train", memory__current="1000\n", memory__stat="inactive_file 10\n", cpu__max="50000 100000\n",
                            cpuset__cpus__effective="0-1\n")  # fmt: skip
        groups.process(200, 10, group=path)
        groups.process(201, 10)
        groups.environ(200, WATTLEDGER_JOB="train")
        in_process, in_machine = name.startswith("pid/"), name in MACHINE_FILES
        file = (
            groups.proc / "200" / name[4:] if in_process else groups.proc / name if in_machine else groups.cgroup / "train" / name
        )
        before = file.read_bytes()
        source = cgroup.open(groups.host(environ=True))
        try:
            file.write_bytes(data if isinstance(data, bytes) else data.draw(raw | bent_bytes(before)))
            for _ in range(3):
                groups.clock_ns += 10**9
                found = taken(lambda: list(source.read(groups.now, True)), SourceFailed, SourceGone)
                sane(found or [])
        finally:
            source.close()


@fuzzed()
@example("cpu.max", b"0 1")
@example("memory.max", b"9" * 5_000)
@example("stat", b"x y" * 30)
@given(
    st.sampled_from(["stat", "statm", "status", "cgroup", "../stat", "../meminfo", "../self/mountinfo", "cpu.max", "memory.max"]),
    st.data(),
)
def test_process_trees_are_metered_or_refused_whatever_one_file_holds(name: str, data: st.DataObject | bytes) -> None:
    with folder() as base:
        tree: Tree = small_machine(base)
        tree.cgroups("0::/a\n", {"": "cgroup2 rw /"}, LIMITED)
        (tree.proc / str(ROOT) / "status").write_text("Cpus_allowed_list:\t0-1\n")
        file = tree.sys / "fs/cgroup/a" / name if name.endswith(".max") else tree.proc / str(ROOT) / name
        file.write_bytes(data if isinstance(data, bytes) else data.draw(raw | bent_bytes(file.read_bytes())))
        source = taken(lambda: procfs.open(tree.host()), SourceFailed, SourceGone)
        for _ in range(2 if source is not None else 0):
            assert source is not None
            sane(taken(lambda: tree.read(source), SourceFailed, SourceGone) or [])
        if source is not None:
            source.close()


@fuzzed()
@given(raw | bent_bytes(b"30 1 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"), paths, raw)
def test_who_a_process_is_is_told_or_not(mountinfo: bytes, path: str, status: bytes) -> None:
    with folder() as base:
        groups = Groups(base)
        groups.process(200, 10)
        (groups.proc / "self/mountinfo").write_bytes(mountinfo)
        (groups.proc / "200/cgroup").write_bytes(f"0::{path}\n".encode("utf-8", "replace"))
        (groups.proc / "200/status").write_bytes(status)
        host = groups.host()
        assert isinstance(mounts(host), list)
        view = taken(lambda: look(host, own_pid=200), SourceGone)
        uid = uid_of(host.procfs, 200)
        assert uid is None or uid >= 0
        if view is not None:
            assert group_of(host.procfs, 200, view.cpu) is None or unit_of(host.procfs, 200, view.cpu)
            word = vouched(host.procfs, 200, view.cpu)
            assert word is None or (word.uid >= 0 and word.slurm_job.isascii())


@fuzzed()
@given(st.sampled_from(["200/stat", "200/cmdline", "200/cgroup", "net/tcp", "net/tcp6", "net/fib_trie", "net/if_inet6"]), st.data())
@example("net/if_inet6", b"zz" * 16 + b" 02 40\n")
@example("200/stat", b"200 (a) S x y z " + b"q " * 20)
def test_whoever_listens_is_found_or_not(name: str, data: st.DataObject | bytes) -> None:
    with folder() as base:
        node = Node(base)
        node.process(200, "/usr/bin/python3 -m vllm.entrypoints")
        node.listen(200, 8_000)
        node.listen(200, 8_001, ip="fe80::1")
        node.address("fe80::2")
        file = node.proc / name
        file.write_bytes(data if isinstance(data, bytes) else data.draw(raw | bent_bytes(file.read_bytes())))
        proc = str(node.proc)
        assert all(is_count(one.port, 1 << 16) for one in listening(f"{proc}/net"))
        assert all(isinstance(ip, str) for ip in own_addresses(f"{proc}/net"))
        found = owner(proc, "127.0.0.1", 8_000)
        assert found.pid >= 0
        assert found.pid or found.why
        process = process_of(proc, 200)
        assert process is None or engine_of(process) in ("", "vllm")
        assert root_of(proc, 200) == 200


def test_a_host_without_any_of_it_is_refused_in_a_line(tmp_path: Path) -> None:
    bare = Host(str(tmp_path), str(tmp_path), dict(os.environ), (1,), True, {})
    assert taken(lambda: procfs.open(bare), SourceGone) is None
    assert taken(lambda: cgroup.open(bare), SourceGone) is None
