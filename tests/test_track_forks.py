"""Forks, pools and ranks: one meter per node, and every process's work in the run that contains it."""

import sys
from pathlib import Path

import pytest
from tests.runtime.programs import PRELUDE, blind, python, rigged, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="fork and /proc")

# The child burns, the parent only waits: what the run used is the child's.
FORKED = """
with track(job="p") as run:
    child = os.fork()
    if child == 0:
        burn(0.4)
        sys.exit(7)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
found = final(run).to_dict()
out([status, found])
"""


def cpu_j(found: dict) -> float:  # type: ignore[type-arg]
    return float(next(d["energy_j"]["value"] for d in found["devices"] if d["kind"] == "cpu"))


def test_a_forked_child_ends_quietly_and_its_work_is_its_parents(tmp_path: Path) -> None:
    done = python(FORKED, rigged(tmp_path))
    status, found = done.value
    assert (status, done.err) == (7, "")
    assert cpu_j(found) > 5  # 60 W x 0.4 s of one busy core among the machine's, never the parent's few milliseconds


def test_a_span_in_a_forked_child_is_its_parents_and_says_so(tmp_path: Path) -> None:
    run_id, child = python("""
with track(job="p") as run:
    back, there = os.pipe()
    if os.fork() == 0:
        with track(job="c") as inner:
            burn(0.05)
        inner.add_tokens(prompt=1)
        os.write(there, json.dumps(inner.footprint.to_dict()).encode())
        os._exit(0)
    os.wait()
    child = json.loads(os.read(back, 1 << 20))
out([run.run_id, child])
""", rigged(tmp_path)).value
    assert child["parent_run_id"] == run_id
    assert "energy_j" not in child
    assert any("forked inside a run" in note for note in child["notes"])


def test_a_child_forked_outside_any_run_measures_itself(tmp_path: Path) -> None:
    done = python("""
with track(job="warm"): pass
back, there = os.pipe()
if os.fork() == 0:
    with track(job="c") as inner:
        burn(0.2)
    os.write(there, json.dumps(final(inner).to_dict()).encode())
    sys.exit(0)
status = os.waitstatus_to_exitcode(os.wait()[1])
with track(job="p") as run: burn(0.05)
out([status, json.loads(os.read(back, 1 << 20)), final(run).to_dict()])
""", rigged(tmp_path))
    status, child, parent = done.value
    assert (status, done.err) == (0, "")
    assert cpu_j(child) > 0
    assert cpu_j(parent) > 0


def test_the_parent_goes_on_after_its_forks(tmp_path: Path) -> None:
    found = python("""
with track(job="p", scope="host") as run:
    for _ in range(20):
        if os.fork() == 0:
            sys.exit(0)
        os.wait()
    time.sleep(0.2)
f = final(run)
out([f.duration_s, [d.energy_j.value for d in f.devices if d.kind == "gpu"], [t.name for t in threading.enumerate()]])
""", rigged(tmp_path)).value
    assert found[1][0] == pytest.approx(200 * found[0], abs=2 * 20)
    assert len(set(found[2])) == len(found[2])


POOL = """
import multiprocessing
def work(n):
    burn(0.1)
    return n * n
def span(n):
    with track(job=f"c{n}") as run:
        burn(0.02)
    return run.footprint.to_dict()
if __name__ == "__main__":
    with track(job="p") as run:
        with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
            squares = pool.map(work, range(4))
            spans = pool.map(span, range(2))
    out([squares, run.run_id, spans, final(run).to_dict()])
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_pools_work_is_in_the_run_around_it(tmp_path: Path, method: str) -> None:
    (tmp_path / "pool.py").write_text(PRELUDE + POOL)
    done = run([sys.executable, str(tmp_path / "pool.py"), method], rigged(tmp_path))
    squares, run_id, spans, found = done.value
    assert squares == [0, 1, 4, 9]
    assert done.err == ""
    assert cpu_j(found) > 5
    if method == "fork":
        assert {span["parent_run_id"] for span in spans} == {run_id}
        assert all("energy_j" not in span for span in spans)


RANK = """
rank = int(os.environ["LOCAL_RANK"])
with track(job="train") as run:
    burn(0.1 if rank == 0 else 0.6)
    while rank == 0 and not os.path.exists("sibling is done"):
        time.sleep(0.02)
if rank:
    open("sibling is done", "w").close()
out([rank, final(run).to_dict()])
"""
LAUNCHER = """
ranks = [subprocess.Popen([sys.executable, "rank.py"], stdout=subprocess.PIPE, text=True,
                          env=os.environ | {"LOCAL_RANK": str(n), "LOCAL_WORLD_SIZE": "2"}) for n in range(2)]
told = dict(json.loads(r.communicate()[0]) for r in ranks)
out([told[0], told[1]])
"""


def test_rank_zero_measures_the_node_and_the_others_say_so(tmp_path: Path) -> None:
    (tmp_path / "rank.py").write_text(PRELUDE + RANK)
    done = python(LAUNCHER, rigged(tmp_path), cwd=tmp_path)
    zero, one = done.value
    assert done.err == ""
    assert "energy_j" not in one
    assert any("local rank 0 measures" in note for note in one["notes"])
    # Six times as much of the work was the sibling's: a meter of rank 0 alone would be far below.
    assert cpu_j(zero) > 0.4 * 60 * 0.5 / 2


def test_a_lone_rank_is_like_any_program(tmp_path: Path) -> None:
    found = python("""
with track(job="x") as run: burn(0.1)
out(final(run).to_dict())
""", blind(tmp_path, LOCAL_RANK="0", LOCAL_WORLD_SIZE="1")).value
    assert found["energy_j"]["value"] > 0


def test_a_child_forked_at_any_instant_ends(tmp_path: Path) -> None:
    # The meter is kept busy, so that forks fall into its reads, its lock and its writes.
    done = python("""
with track(job="p") as run:
    ended = threading.Event()
    def ask():
        while not ended.is_set():
            run.footprint
    threads = [threading.Thread(target=ask) for _ in range(2)]
    [t.start() for t in threads]
    for n in range(25):
        child = os.fork()
        if child == 0:
            ended.set()
            sys.exit(0)
        for _ in range(500):
            if os.waitpid(child, os.WNOHANG)[0]:
                break
            time.sleep(0.01)
        else:
            os.kill(child, signal.SIGKILL)
            ended.set()
            raise SystemExit(f"child {n} never ended")
    ended.set()
out("all ended")
""", rigged(tmp_path))
    assert (done.value, done.err) == ("all ended", "")
