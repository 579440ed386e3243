"""A real Slurm of one node on loopback: munged, slurmctld and slurmd in a folder of their own, on ports that were free.

Debian's packages are enough (slurmctld, slurmd, slurm-client, munge); it takes root.  Everything that is started is ended by its
process id.
"""

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.slurm.accounting import Accounting

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "scancel")
READY_S = 20.0

SLURM_CONF = """\
ClusterName=loop
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={munge}
CredType=cred/munge
SlurmctldPort={ctld_port}
SlurmdPort={d_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType={proctrack}
TaskPlugin={task}
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/{gather}
JobAcctGatherFrequency=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
SchedulerParameters=sched_interval=1
{gres}NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN{node_gres}
PartitionName=main Nodes={node} Default=YES MaxTime=5 State=UP OverSubscribe=FORCE:2
"""


def missing() -> str:
    """Why there can be no Slurm here; empty when there can."""
    absent = [name for name in NEEDED if shutil.which(name) is None]
    if absent:
        return f"no real Slurm: {', '.join(absent)} not installed (Debian: slurmctld slurmd slurm-client munge)"
    if os.geteuid() != 0:
        return "no real Slurm: it takes root"
    return ""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_until(true: Callable[[], object], what: str, timeout_s: float = READY_S) -> None:
    end_s = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > end_s:
            raise TimeoutError(what)
        time.sleep(0.05)


class Cluster:
    """The running daemons, and how to submit to them."""

    def __init__(self, folder: Path, proctrack: str, gpus: int = 0, *, more: str = "", accounts: bool = False) -> None:
        """``more``: lines of slurm.conf, in which ``{folder}`` is the cluster's; ``accounts``: with a slurmdbd and its database."""
        self.folder = folder
        self.accounting = Accounting(folder, folder / "munge" / "socket", (free_port(), free_port())) if accounts else None
        self.node = f"wl{os.getpid()}"  # and so its control groups are nobody else's
        self._daemons: list[subprocess.Popen[bytes]] = []
        self.environ = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        for name in ("SLURM_JOB_ID", "SLURM_JOBID"):
            self.environ.pop(name, None)
        self._write(proctrack, gpus, more)

    def _write(self, proctrack: str, gpus: int, more: str) -> None:
        folder = self.folder
        for name in ("state", "spool", "munge", "dev"):
            (folder / name).mkdir()
        gres = ""
        if gpus:
            for minor in range(gpus):
                # Slurm wants device files: these bear NVIDIA's numbers and no driver stands behind them.
                os.mknod(folder / "dev" / f"nvidia{minor}", 0o600 | 0o020000, os.makedev(195, minor))
            gres = "GresTypes=gpu\n"
            files = f"{folder}/dev/nvidia[0-{gpus - 1}]"
            (folder / "gres.conf").write_text(f"NodeName={self.node} Name=gpu Flags=nvidia_gpu_env File={files}\n")
        conf = SLURM_CONF.format(
            host=socket.gethostname().split(".")[0], node=self.node, folder=folder, munge=folder / "munge" / "socket",
            ctld_port=free_port(), d_port=free_port(), proctrack=proctrack, cpus=os.cpu_count(), gres=gres,
            task="task/cgroup" if "cgroup" in proctrack else "task/none",
            gather="cgroup" if "cgroup" in proctrack else "none", node_gres=f" Gres=gpu:{gpus}" if gpus else "",
        )  # fmt: skip
        conf += more.format(folder=folder) + (self.accounting.conf if self.accounting is not None else "")
        (folder / "slurm.conf").write_text(conf)
        (folder / "cgroup.conf").write_text(
            "CgroupPlugin=cgroup/v1\nConstrainCores=no\nConstrainDevices=no\nConstrainRAMSpace=no\n"
        )

    def start(self) -> None:
        munge = self.folder / "munge"
        user = pwd.getpwnam("munge")
        key = munge / "key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        for path in (munge, key):
            os.chown(path, user.pw_uid, user.pw_gid)
        munge.chmod(0o711)
        options = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        files = [f"--{option}={munge}/{name}" for option, name in options.items()]
        self._run(["munged", "--foreground", f"--key-file={key}", *files], user=user.pw_uid)
        wait_until((munge / "socket").exists, "munged did not open its socket")
        if self.accounting is not None:
            self._start_accounting(self.accounting)
        self._run(["slurmctld", "-D", "-i"])
        self._run(["slurmd", "-D", "-N", self.node])
        wait_until(self._is_idle, f"the node did not come up: {self._logs()}")

    def _start_accounting(self, accounting: Accounting) -> None:
        accounting.make()
        self._run(accounting.server())
        wait_until(accounting.is_up, "the database did not come up")
        self._run(["slurmdbd", "-D"])
        add = ("sacctmgr", "--immediate", "add", "cluster", "loop")
        wait_until(lambda: self.command(*add).returncode == 0, f"slurmdbd did not come up: {self._logs()}")

    def _run(self, command: list[str], user: int | None = None) -> None:
        words = [shutil.which(command[0]) or command[0], *command[1:]]
        with (self.folder / f"{command[0]}.out").open("wb") as out:
            self._daemons.append(
                subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self.environ, user=user)
            )

    def _is_idle(self) -> bool:
        return self.command("sinfo", "-h", "-o", "%T").stdout.strip() == "idle"

    def _logs(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in self.folder.glob("*.log"))

    def command(self, *words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(words, env=self.environ, capture_output=True, text=True, timeout=20, cwd=self.folder)

    def submit(self, script: str, *options: str) -> int:
        """The id of a new job that runs a shell script."""
        path = self.folder / "job.sh"
        path.write_text(f"#!/bin/sh\n{script}\n")
        done = self.command("sbatch", "--parsable", "-o", str(self.folder / "job.out"), *options, str(path))
        assert done.returncode == 0, done.stderr
        return int(done.stdout.split(";")[0])

    def state(self, job: int) -> str:
        return self.command("squeue", "-h", "-j", str(job), "-o", "%T", "-t", "all").stdout.strip()

    def stop(self) -> None:
        if len(self._daemons) >= 3 and all(daemon.poll() is None for daemon in self._daemons):
            self.command("scancel", "-u", "root")
            with contextlib.suppress(TimeoutError):
                wait_until(lambda: not self.command("squeue", "-h").stdout.strip(), "jobs did not end", 10)
        for daemon in reversed(self._daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        # slurmd leaves its empty control groups behind.
        for group in sorted(Path("/sys/fs/cgroup").glob(f"*/slurm_{self.node}/**/"), reverse=True):
            with contextlib.suppress(OSError):
                group.rmdir()


@contextlib.contextmanager
def running(proctrack: str, gpus: int = 0, *, more: str = "", accounts: bool = False) -> Iterator[Cluster]:
    # A node has one Slurm: the jobs of two would bear the same ids, so several test processes take turns.
    with open(Path(tempfile.gettempdir(), "wattledger-test-slurm.lock"), "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        # A Unix socket's path has 107 characters at most, so not below pytest's folder.
        with tempfile.TemporaryDirectory(prefix="wlslurm") as name:
            os.chmod(name, 0o755)
            cluster = Cluster(Path(name), proctrack, gpus, more=more, accounts=accounts)
            try:
                cluster.start()
                yield cluster
            finally:
                cluster.stop()
