"""deploy/slurm on a real Slurm of one node, with an agent on the rig: what a user finds in his job, and an operator in the books.

Skipped, with the reason, where there is no Slurm; ``WATTLEDGER_TEST_SLURM=1`` makes that a failure.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.node.agents import Agent, agent, total
from tests.node.checks import ENERGY, machine
from tests.node.measured import knows_floors, until
from tests.node.test_slurm_node import IDLE_W, RESTS, UUIDS, procfs_with
from tests.rig.rig import Gpu, load_constant
from tests.slurm import accounting
from tests.slurm.cluster import Cluster, missing, running, wait_until

from wattledger.ledger.store import Store

WHY_NOT = missing() or accounting.missing()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.soak,
    pytest.mark.skipif(bool(WHY_NOT) and os.environ.get("WATTLEDGER_TEST_SLURM") != "1", reason=WHY_NOT or "none"),
]
DEPLOY = Path(__file__).parents[2] / "deploy" / "slurm"
MORE = "".join(
    f"{word}={{folder}}/deploy/{word.lower()}\n" for word in ("Prolog", "Epilog", "TaskProlog", "TaskEpilog")
) + "PrologFlags=Alloc\n"  # fmt: skip
NOBODY = 65_534
# As a user whom no job of another's is any business of.  (A person's number would do as well, but Slurm wants one with an account.)
USER = ("--uid=nobody", "-o", "/dev/null")
BURN = "i=0; while [ $i -lt 3000000 ]; do i=$((i+1)); done"
FIGURES = r"(\S+) (J|Wh) \((\S+) to (\S+)\), \S+ m?g CO2e, (\S+) % measured"
# Packages, but not the standard library of this Python: another one runs them.
PATH = os.pathsep.join(p for p in sys.path if p and ("-packages" in p or not p.startswith(sysconfig.get_path("stdlib"))))
PROGRAM = """\
#!/bin/sh
export PYTHONPATH='{path}'
exec {python} -c 'from wattledger.cli import main; main()' "$@"
"""


class Site(NamedTuple):
    """A cluster with our scripts, an agent that meters it, and where both keep their files."""

    slurm: Cluster
    node: Agent
    gpu_jobs: Path
    folder: Path

    @property
    def books(self) -> Path:
        return self.folder / "agent" / "state" / "ledger"

    def wattledger(self, *words: str) -> "subprocess.CompletedProcess[str]":
        environ = {**self.slurm.environ, "HOME": str(self.folder), "XDG_STATE_HOME": str(self.folder / "mine")}
        program = self.slurm.folder / "deploy" / "wattledger"
        return subprocess.run([program, *words], env=environ, capture_output=True, text=True, timeout=60, cwd=self.folder)

    def joules(self, job: int) -> Decimal:
        """As the agent's /metrics say them."""
        return total(self.node.scrape(), ENERGY, slurm_job_id=str(job))

    @property
    def open(self) -> Path:
        """A folder that everybody may write to."""
        folder = self.slurm.folder / "open"
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        return folder

    def comment(self, job: int) -> str:
        """As scontrol shows it."""
        lines = self.slurm.command("scontrol", "show", "job", str(job)).stdout.splitlines()
        return next((line.strip().removeprefix("Comment=") for line in lines if line.startswith("   Comment=")), "")

    def ended(self, job: int) -> None:
        # An array's first number stands for all its tasks.
        wait_until(lambda: set(self.slurm.state(job).split()) == {"COMPLETED"}, f"job {job} did not end", 40)


def everybodys_python() -> str:
    """One that a user can run, too: a test's may lie where only root reads."""
    for python in (sys.executable, "/usr/bin/python3"):
        words = [python, "-c", "import wattledger.cli, click, requests"]
        with contextlib.suppress(OSError):
            if not subprocess.run(words, user=NOBODY, env={"PYTHONPATH": PATH}, capture_output=True, check=False).returncode:
                return python
    pytest.skip("no Python here that a user without rights can run")


def install(slurm: Cluster, gpu_jobs: Path, driver: Path, socket: Path) -> None:
    """The scripts as they are, beside settings of this place."""
    place = slurm.folder / "deploy"
    shutil.copytree(DEPLOY, place, dirs_exist_ok=True)
    program = place / "wattledger"
    program.write_text(PROGRAM.format(path=PATH, python=everybodys_python()))
    program.chmod(0o755)
    (place / "wattledger-slurm.env").write_text(
        f"WATTLEDGER={program}\nGPU_JOBS={gpu_jobs}\nDRIVER={driver}\nACCOUNTING=yes\n"
        f"export SLURM_CONF={slurm.folder}/slurm.conf WATTLEDGER_AGENT_SOCKET={socket}\n"
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with contextlib.ExitStack() as open_:
        slurm = open_.enter_context(running("proctrack/linuxproc", gpus=2, more=MORE, accounts=True))
        gpu_jobs = slurm.folder / "gpus"
        gpu_jobs.mkdir()
        procfs = open_.enter_context(procfs_with(slurm.folder / "host", UUIDS[:2]))
        knows_floors(folder / "agent", IDLE_W, *UUIDS[:2])
        rig = machine(folder / "rig", Gpu(load_constant(200), refresh_ms=20), RESTS)
        config = f'[grid]\nzone = "DE"\n[sources.slurm]\ngpu_jobs = "{gpu_jobs}"\n'
        # The node's name in the books is Slurm's.
        socket = slurm.folder / "agent.sock"
        env = {"WATTLEDGER_PATHS_PROCFS": str(procfs), "NODE_NAME": slurm.node, "WATTLEDGER_AGENT_SOCKET": str(socket)}
        node = open_.enter_context(agent(folder / "agent", rig=rig, config=config, env=env))
        install(slurm, gpu_jobs, procfs / "driver" / "nvidia" / "gpus", socket)
        yield Site(slurm, node, gpu_jobs, folder)


def test_a_job_finds_its_footprint_in_its_comment_and_the_books_say_the_same_joules(site: Site) -> None:
    said = site.open / "said"
    script = (
        f"echo $WATTLEDGER_JOB $WATTLEDGER_RUN_ID > {said}; {BURN}\n"
        f"WATTLEDGER_JOB=mine srun --overlap sh -c 'echo $WATTLEDGER_JOB $WATTLEDGER_RUN_ID >> {said}'"
    )
    job = site.slurm.submit(script, *USER, "-J", "a|b tune", "--gres=gpu:1", "--comment", "Mine; yours")
    # Prolog: the GPU's file names the job, and so the job pays for that GPU.
    wait_until(lambda: list(site.gpu_jobs.iterdir()), "no file of a GPU")
    assert [(file.name, file.read_text()) for file in site.gpu_jobs.iterdir()] == [("0", f"{job}\n")]
    until(lambda: total(site.node.scrape(), ENERGY, slurm_job_id=str(job), device=UUIDS[0]) > 0, "the GPU is nobody's", site.node)
    site.ended(job)
    # TaskProlog: named after the job, and not where the user had named it.
    assert said.read_text().splitlines() == [f"a|b tune slurm-loop-{job}", f"mine slurm-loop-{job}"]
    # Epilog: no file stays, and no prolog or epilog drained the node.
    wait_until(lambda: not list(site.gpu_jobs.iterdir()), "the GPU's file stayed")
    wait_until(lambda: site.slurm.command("sinfo", "-h", "-o", "%T").stdout.strip() == "idle", "the node is not idle")
    # TaskEpilog: in slurmctld, behind the user's own words, within the seconds that it took itself.
    words = re.fullmatch(rf"Mine; yours; wattledger: {FIGURES}", site.comment(job))
    assert words is not None, site.comment(job)
    shown_j, joules = _joules(words), float(site.joules(job))
    assert 0.4 * joules < shown_j <= 1.01 * joules
    assert float(words[3]) < float(words[1]) < float(words[4])
    assert 0 < float(words[5]) < 100  # GPU and CPU are measured, what no sensor covers is not
    # Epilog: in the accounting, once the job's joules stand still.
    kept = _admin_comment(site, job)
    final = re.fullmatch(f"wattledger: {FIGURES}", kept, re.IGNORECASE)
    assert final is not None, kept
    assert _joules(final) == pytest.approx(float(site.joules(job)), rel=0.006)


def _joules(words: "re.Match[str]") -> float:
    return float(words[1]) * (3.6 if words[2].lower() == "wh" else 0.001) * 1000


def _admin_comment(site: Site, job: int) -> str:
    ask = ("sacct", "-X", "-n", "-P", "-j", str(job), "--format=AdminComment")
    wait_until(lambda: "wattledger" in site.slurm.command(*ask).stdout, "no comment in the accounting", 60)
    return site.slurm.command(*ask).stdout.rstrip("\n")


def test_what_the_accounting_knows_joins_the_books_to_the_microjoule_and_is_kept_once(site: Site) -> None:
    jobs = [site.slurm.submit(BURN, "-J", f"j{n}") for n in range(2)]
    tasks = site.slurm.submit(BURN, "-J", "sweep\n1|2|3", "--array=1-2")
    for job in (*jobs, tasks, tasks + 1):
        site.ended(job)
    ids = [*jobs, tasks, tasks + 1]
    joules = _still(site, ids)
    minute_over = f"the books' minute is not over: {site.books}"
    wait_until(lambda: all(row["whole"] for row in _imported(site, ids)), minute_over, 100)
    for row in _imported(site, ids):
        assert row["energy_uj"] == int(joules[int(row["slurm_job_id"])] * 1_000_000)
        assert (row["user"], row["cluster"], row["state"], row["nodes"]) == ("root", "loop", "COMPLETED", site.slurm.node)
        assert row["emissions_g"]["location_based"]["value"] > 0
    assert {row["job_id"] for row in _imported(site, ids)} >= {f"{tasks}_1", f"{tasks}_2"}
    into = ("--ledger", str(site.books), "--into", str(site.folder / "mine" / "books"), "--json")
    first = json.loads(site.wattledger("slurm", "import", *into).stdout)
    again = json.loads(site.wattledger("slurm", "import", *into).stdout)
    assert len(first["kept"]["facts"]) >= 8
    assert again["kept"] == {"facts": [], "there_already": len(first["kept"]["facts"])}
    store = Store.open(site.folder / "mine" / "books", readonly=True)
    facts, names = [dict(known.fact.labels) for known in store.known(["run"])], store.names()  # type: ignore[union-attr]
    store.close()
    assert {"root"} <= {names[fact["user"]] for fact in facts} <= {"root", "nobody"}


def test_a_job_is_told_nothing_of_another_nor_is_who_says_that_he_is_it(site: Site) -> None:
    theirs = site.slurm.submit("sleep 60")
    until(lambda: site.joules(theirs) > 0, "the job has no joules", site.node)
    program = site.slurm.folder / "deploy" / "wattledger"
    ask = f". {program.parent}/wattledger-slurm.env; SLURM_JOB_ID={theirs} {program} slurm comment {theirs} --dry-run --wait 1"
    said = site.open / "refused"
    job = site.slurm.submit(f"{ask} > {said} 2>&1; echo $? >> {said}", *USER)
    site.ended(job)
    assert re.search(rf"job {theirs} is not the one that you are in \({job}\)", said.read_text())
    outside = subprocess.run(["sh", "-c", ask], user=NOBODY, env=site.slurm.environ, capture_output=True, text=True, timeout=60)
    assert "SLURM_JOB_ID proves nothing" in outside.stderr
    assert (said.read_text().splitlines()[-1], outside.returncode, outside.stdout) == ("1", 1, "")
    by_root = subprocess.run(["sh", "-c", ask], env=site.slurm.environ, capture_output=True, text=True, timeout=60)
    assert by_root.stdout.startswith(f"job {theirs}: wattledger: "), by_root.stderr
    site.slurm.command("scancel", str(theirs))


def _still(site: Site, jobs: list[int]) -> dict[int, Decimal]:
    """Their joules, once they stand still."""
    seen: list[dict[int, Decimal]] = []

    def same() -> bool:
        seen.append({job: site.joules(job) for job in jobs})
        return len(seen) > 30 and all(each == seen[-1] for each in seen[-30:]) and all(seen[-1].values())

    wait_until(same, "they do not stand still", 60)
    return seen[-1]


def _imported(site: Site, jobs: list[int]) -> list[Any]:
    done = site.wattledger("slurm", "import", "--dry-run", "--ledger", str(site.books), "--json")
    assert done.returncode == 0, done.stderr
    return [row for row in json.loads(done.stdout)["jobs"] if int(row["slurm_job_id"]) in jobs]
