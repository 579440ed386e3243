"""A Slurm job's figures on the control socket: for who is in the job, by the kernel's word or slurmstepd's, and nobody else."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.runtime.control_rig import Caller, Node, place

from wattledger.core.model import Device, Instant, Workload
from wattledger.core.totals import Snapshot, State, Totals
from wattledger.runtime.control.peers import Peer, Vouched
from wattledger.runtime.control.slurm import job_of, rounded_up, used
from wattledger.runtime.slurm.here import ask_here
from wattledger.runtime.slurm.live import Seen, Sensor

NOBODY, OTHER = 65534, 1
MINE = Workload("tune", None, (("slurm_job_id", "77"), ("user", "ada")))
ALSO_MINE = Workload("mine", None, (("slurm_job_id", "77"),))
THEIRS = Workload("secret", None, (("slurm_job_id", "78"), ("user", "bob")))
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to be slurmstepd, and to become another user")

# Runs as root until all is loaded, so that it may lie where only root reads; asks as somebody else, or as root.
ASK = """
import json, os, socket, sys
_, path, uid, job = sys.argv
os.setgroups([])
os.setresgid(int(uid), int(uid), int(uid))
os.setresuid(int(uid), int(uid), int(uid))
asks = socket.socket(socket.AF_UNIX)
asks.settimeout(10)
asks.connect(path)
lines = asks.makefile("rb")
for message in ({"op": "hello", "id": 0, "v": 1, "now": [0, 0]}, {"op": "slurm", "id": 1, "job": job or None}):
    asks.sendall(json.dumps(message).encode() + b"\\n")
    said = lines.readline()
print(said.decode(), flush=True)
"""
# As somebody else: starts a child, says which, and becomes the setuid program under slurmstepd's title.
FORGE = f"""
import os, sys
os.setgroups([])
os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
if not (pid := os.fork()):
    os.execv("/bin/sleep", ["sleep", "60"])
print(pid, flush=True)
os.execv(sys.argv[1], ["slurmstepd: [77.batch]", "60"])
"""


def snapshot() -> Snapshot:
    """Job 77 beside job 78 on a socket of a CPU, and on a card of its own that 78 had before."""
    totals = Totals()
    for name, kind in (("p0", "cpu"), ("p1", "cpu"), ("g", "gpu")):
        totals.devices[name] = Device(name, kind, f"model of {name}")  # type: ignore[arg-type]
    totals.add((MINE, "p0", "counter", "active"), 5_000_000)
    totals.add((ALSO_MINE, "p0", "counter", "active"), 1_000_000)
    totals.add((MINE, "g", "counter", "held"), 40_000_000)
    totals.add((MINE, "g", "counter", "active"), 200_000_000)
    totals.add((THEIRS, "p0", "counter", "active"), 3_300_000)
    totals.add((THEIRS, "p1", "counter", "active"), 90_000_000)
    totals.add((THEIRS, "g", "counter", "active"), 7_000_000)
    totals.emissions_g = {MINE: 0.25, ALSO_MINE: 0.25, THEIRS: 9.0}
    return totals.snapshot(State())


@pytest.fixture
def node() -> Iterator[Node]:
    with place() as folder:
        found = snapshot()
        node = Node(str(folder / "a.sock"), shown=lambda: (Instant(5_000, 6_000), found))
        yield node
        node.stop()


@pytest.fixture
def stepd() -> Iterator[Path]:
    """A program called slurmstepd, of root's."""
    with place() as folder:
        program = folder / "slurmstepd"
        shutil.copy(os.path.realpath("/bin/sh"), program)
        program.chmod(0o755)
        yield program


@contextmanager
def started(program: Path, script: str, *, title: str = "slurmstepd: [77.batch]", user: int = 0) -> Iterator[int]:
    """The process whose id a script that runs under this title writes."""
    words: Sequence[str] = [title, "-c", script]
    with subprocess.Popen(words, executable=str(program), stdout=subprocess.PIPE, user=user, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def child(uid: int) -> str:
    return f"setpriv --reuid {uid} --clear-groups sh -c 'echo $$; exec sleep 60' & wait"


def peer(pid: int, uid: int = NOBODY, job: str = "") -> Peer:
    return Peer(pid, pid, frozenset({uid}), Vouched(uid, "", job, ""), False)


def asked(node: Node, uid: int, job: str = "", *, below: Path | None = None) -> Any:
    """What a process of this user is told; ``below``: one that this slurmstepd of job 77 has started."""
    words = [sys.executable, "-c", ASK, node.path, str(uid), job]
    if below is not None:
        words = ["slurmstepd: [77.batch]", "-c", '"$@" & wait', "task", *words]
    environ = {**os.environ, "SLURM_JOB_ID": "77", "SLURM_JOBID": "77"}
    done = subprocess.run(words, executable=str(below or sys.executable), capture_output=True, text=True, env=environ, timeout=30)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@as_root
def test_who_is_in_a_job_is_told_its_figures_and_nobody_elses(node: Node, stepd: Path) -> None:
    for job in ("", "77"):
        told = asked(node, NOBODY, job, below=stepd)
        assert (told["ok"], told["job"], told["known"], told["at"], told["grams"]) == (True, "77", True, [5_000, 6_000], 0.5)
        assert told["energy"] == [
            ["cpu", "model of p0", "counter", "active", 6_000_000], ["gpu", "model of g", "counter", "active", 200_000_000],
            ["gpu", "model of g", "counter", "held", 40_000_000],
        ]  # fmt: skip
        # Others' 3.3 J on the socket that it shares, as a bound alone; nothing of the one where it did nothing.
        assert told["beside"] == {"cpu": rounded_up(3_300_000), "dram": 0, "gpu": rounded_up(7_000_000)}
        assert not {"secret", "78", "bob", 3_300_000, 90_000_000} & set(json.dumps(told).replace('"', " ").split())


@as_root
def test_of_another_job_who_is_in_one_is_told_nothing(node: Node, stepd: Path) -> None:
    theirs, none = (asked(node, NOBODY, job, below=stepd) for job in ("78", "79"))
    assert theirs.keys() == {"id", "error"}
    assert theirs["error"].replace("78", "79") == none["error"]  # not even whether there is such a job


@as_root
def test_a_forged_environment_is_told_nothing(node: Node) -> None:
    for job in ("", "77"):
        told = asked(node, NOBODY, job)  # with SLURM_JOB_ID=77
        assert told.keys() == {"id", "error"}
        assert "SLURM_JOB_ID proves nothing" in told["error"]


@as_root
def test_root_asks_for_any_job_and_is_told_to_the_microjoule(node: Node) -> None:
    told = asked(node, 0, "78")
    assert [row[-1] for row in told["energy"]] == [3_300_000, 90_000_000, 7_000_000]
    assert asked(node, 0, "77")["beside"]["cpu"] == 3_300_000
    assert asked(node, 0, "79")["known"] is False
    assert "no Slurm job" in asked(node, 0)["error"]  # not named, and in none


@as_root
def test_the_job_is_that_of_the_slurmstepd_that_root_started(stepd: Path) -> None:
    with started(stepd, child(NOBODY)) as pid:
        assert job_of("/proc", peer(pid)) == "77"
        assert job_of("/proc", peer(pid, OTHER)) == ""
        assert job_of("/proc", peer(pid, job="12")) == "12"  # the control group's word comes first,
        assert job_of("/proc", peer(pid, OTHER, job="12")) == ""  # and a job is its own user's


@as_root
def test_a_title_alone_makes_no_slurmstepd(stepd: Path) -> None:
    with started(Path("/bin/sh"), child(NOBODY)) as pid:  # another program of root's: su, sudo, passwd
        assert job_of("/proc", peer(pid)) == ""
    with started(stepd, child(NOBODY), title="slurmstepd") as pid:  # one that has not put its title up
        assert job_of("/proc", peer(pid)) == ""
    theirs = "sh -c 'echo $$; exec sleep 60' & wait"
    with started(stepd, theirs, user=NOBODY) as pid:  # slurmstepd, run by a user
        assert job_of("/proc", peer(pid)) == ""
    os.chown(stepd, NOBODY, NOBODY)
    with started(stepd, child(NOBODY)) as pid:  # a program of a user's, run by root
        assert job_of("/proc", peer(pid)) == ""


@as_root
def test_a_setuid_program_under_its_title_is_no_slurmstepd(stepd: Path) -> None:
    """Any user can: start a child, and become what is root's while it runs."""
    program = stepd.with_name("slurmstepd-wlm")
    shutil.copy(os.path.realpath("/bin/sleep"), program)
    program.chmod(0o4755)
    with subprocess.Popen([sys.executable, "-c", FORGE, str(program)], stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            pid = int(process.stdout.readline())
            while b"slurmstepd: [77" not in Path(f"/proc/{process.pid}/cmdline").read_bytes():
                assert process.poll() is None
            if os.stat(f"/proc/{process.pid}").st_uid != 0:
                pytest.skip("setuid programs are not taken here (nosuid)")
            assert job_of("/proc", peer(pid)) == ""
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_an_operators_command_reads_the_answer_as_it_reads_the_page(node: Node) -> None:
    with place() as folder:
        found = snapshot()
        ours = Node(str(folder / "b.sock"), shown=lambda: (Instant(9, 9), found), operators=frozenset({os.getgid()}))
        try:
            said = ask_here(ours.path, "77")
            assert isinstance(said, Seen)
            assert said.job_j == {Sensor("cpu", "model of p0", "counter"): 6.0, Sensor("gpu", "model of g", "counter"): 240.0}
            assert (said.grams, said.tick, said.known) == (0.5, 9.0, True)
            shared = ask_here(ours.path, "77", gpus_shared=True)
            assert isinstance(shared, Seen)
            assert 0 < said.spread_j < 3.3
            assert shared.spread_j > said.spread_j
            unknown = ask_here(ours.path, "79")
            assert isinstance(unknown, Seen)
            assert not unknown.known
        finally:
            ours.stop()
    assert isinstance(ask_here(str(folder / "b.sock"), "77"), str)


@pytest.mark.parametrize("job", ["", "x", "7 7", "-1", "\u0667", 77, ["77"], "7" * 300])
def test_what_is_no_jobs_id_is_one_line(node: Node, job: object) -> None:
    caller = Caller(node)
    caller.hello()
    caller.say({"op": "slurm", "id": 3, "job": job})
    assert "job: expected" in caller.hear()["error"]
    assert caller.ping()["ok"] is True
    caller.close()


def test_nothing_metered_yet_is_said(node: Node) -> None:
    with place() as folder:
        young = Node(str(folder / "c.sock"), operators=frozenset({os.getgid()}))
        try:
            assert ask_here(young.path, "77") == "nothing has been metered yet: ask again in a moment"
        finally:
            young.stop()


@given(st.integers(0, 1 << 62))
def test_a_bound_rounded_up_is_a_bound_and_at_most_a_quarter_wider(uj: int) -> None:
    found = rounded_up(uj)
    assert uj <= found <= uj * 1.25 + 1
    assert found == rounded_up(found)
    assert found.bit_length() <= 3 or found % (1 << found.bit_length() - 3) == 0


def test_a_job_without_a_grid_factor_has_no_grams() -> None:
    found = snapshot()
    assert "grams" not in used(found._replace(emissions_g={}), "77", exact=True)
    assert used(found, "79", exact=True) == {"known": False, "energy": [], "beside": {"cpu": 0, "dram": 0, "gpu": 0}}
