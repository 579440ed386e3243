"""Programs that start programs, on a node with an agent: a child's run is inside its parent's, and nobody gets a zero."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtime.control_rig import Node, place
from tests.runtime.devices import until
from tests.runtime.programs import PRELUDE, blind, command, environ, python, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets")


@pytest.fixture
def node() -> Iterator[Node]:
    with place() as folder:
        node = Node(str(folder / "a.sock"))
        node.tick_along()
        yield node
        node.stop()


@pytest.fixture
def env(node: Node, tmp_path: Path) -> dict[str, str]:
    return environ(tmp_path, WATTLEDGER_AGENT_SOCKET=node.path)


def test_a_forked_childs_span_is_its_parents(node: Node, env: dict[str, str]) -> None:
    done = python("""
with track(job="p") as run:
    child = os.fork()
    if child == 0:
        with track(job="c") as inner: time.sleep(0.1)
        sys.exit(0 if "energy_j" not in inner.footprint.to_dict() else 9)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    time.sleep(0.2)
out([status, run.footprint.to_dict()["energy_j"]["value"]])
""", env)
    status, energy_j = done.value
    assert (status, done.err) == (0, "")
    assert energy_j > 0
    assert {b.workload.job for b in node.boundaries()} == {"p"}


def test_a_child_that_outlives_its_parent_does_not_keep_its_span_open(node: Node, env: dict[str, str]) -> None:
    code = """
run = track(job="p").__enter__()
if os.fork() == 0:
    os.close(1)
    sys.stdin.readline()
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    argv = [sys.executable, "-c", PRELUDE + code]
    with subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        program.wait()
        until(lambda: node.server.connections == 0, "its end is seen while the child lives on")
        program.communicate("\n")


def test_a_child_forked_outside_any_run_says_its_own_spans(node: Node, env: dict[str, str]) -> None:
    done = python("""
with track(job="warm"): pass
child = os.fork()
if child == 0:
    with track(job="c") as inner: time.sleep(0.1)
    sys.exit(0 if inner.footprint.to_dict()["energy_j"]["value"] > 0 else 9)
out(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""", env)
    assert (done.value, done.err) == (0, "")
    assert {b.workload.job for b in node.boundaries()} == {"warm", "c"}
    assert len({b.within for b in node.boundaries()}) == 1  # it is in its parent's tree, whoever speaks for it


INNER = """
with track(job="inner") as run: time.sleep(0.3)
out(run.footprint.to_dict()["energy_j"]["value"])
"""


def test_a_program_started_in_a_run_has_its_energy_and_the_run_contains_it(node: Node, env: dict[str, str]) -> None:
    inner_j, outer_j, own_j = python(f"""
with track(job="outer") as run:
    inner = subprocess.run([sys.executable, "-c", {PRELUDE + INNER!r}], stdout=subprocess.PIPE, text=True)
out([json.loads(inner.stdout), run.footprint.energy_j.value, run.footprint.own_energy_j.value])
""", env).value
    assert inner_j == pytest.approx(30, rel=0.1)  # 100 W for 0.3 s: nobody else used the card
    assert inner_j + own_j == pytest.approx(outer_j, rel=1e-6)
    assert len({b.within for b in node.boundaries()}) == 1
    node.stop_ticking()
    assert node.residual_uj == {}


def test_a_program_in_a_wrapped_script_has_its_energy(node: Node, tmp_path: Path) -> None:
    (tmp_path / "inner.py").write_text(PRELUDE + INNER)
    settings = blind(tmp_path, WATTLEDGER_AGENT_SOCKET=node.path)
    done = run(command("run", "--job", "sim", "--", "sh", "-c", f"{sys.executable} {tmp_path}/inner.py; true"), settings)
    assert float(done.out.splitlines()[-1]) == pytest.approx(30, rel=0.1)
    until(lambda: not node.clients, "all claims are over")
    node.stop_ticking()
    jobs = {w.job for w, *_ in node.pipeline.totals.energy_uj}
    assert {"inner", "sim"} <= jobs
    assert node.residual_uj == {}


def test_a_wrapped_command_is_claimed_in_the_agents_books(node: Node, tmp_path: Path, env: dict[str, str]) -> None:
    settings = blind(tmp_path, WATTLEDGER_AGENT_SOCKET=node.path)
    program = [sys.executable, "-c", "import time; time.sleep(0.5)"]
    done = run(command("run", "--job", "sim", "--label", "team=x", "--", *program), settings)
    assert done.status == 0
    [(rank, said)] = [(c.rank, c.workload) for c in node.claims() if c.workload is not None and c.workload.job == "sim"]
    assert rank == "program"
    assert dict(said.labels)["team"] == "x"
    until(lambda: not node.clients, "claimed no more")
