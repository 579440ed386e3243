"""Forks and books: a child at any instant neither hangs, nor writes for its parent, nor hurts its parent's store."""

import sys
from pathlib import Path

import pytest
from tests.runtime.books.read import BOOKS, by_job, energies, known, once, uj
from tests.runtime.programs import python, rigged

from wattledger.core.facts import RunFact

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="fork")
ENDS = {"os._exit": "os._exit(0)", "sys.exit": "sys.exit(0)", "falls off": "raise SystemExit", "killed": "os.kill(os.getpid(), 9)"}


def books(folder: Path) -> Path:
    return folder / "XDG_STATE_HOME" / BOOKS


# Work of many names makes each commit longer; the keeper's thread commits ten times a second.
MANY = """
statuses = []
with track(job="p") as run:
    for n in range(60):
        with track(job=f"part-{n % 20}"):
            burn(0.005)
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            ENDS
        for _ in range(1000):
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                break
            time.sleep(0.01)
        else:
            os.kill(child, signal.SIGKILL)
            raise SystemExit(f"child {n} never ended")
        statuses.append(os.waitstatus_to_exitcode(status))
time.sleep(0.2)
out([sorted(set(statuses)), final(run).to_dict()])
"""


@pytest.mark.parametrize("how", ENDS)
def test_children_forked_while_books_are_committed_leave_them_as_they_are(tmp_path: Path, how: str) -> None:
    done = python(MANY.replace("ENDS", ENDS[how]), rigged(tmp_path, WATTLEDGER_LEDGER_COMMIT_INTERVAL_S="0.1"))
    statuses, found = done.value
    assert (statuses, done.err) == ([-9 if how == "killed" else 0], "")
    facts = [each.fact for each in known(books(tmp_path))]
    once(energies(books(tmp_path)))
    assert sum(by_job(energies(books(tmp_path))).values()) == uj(found["energy_j"]["value"])
    assert len([fact for fact in facts if isinstance(fact, RunFact) and fact.what == "began"]) == 1


def test_a_child_that_meters_itself_keeps_books_of_its_own_in_the_same_folder(tmp_path: Path) -> None:
    done = python("""
with track(job="warm"): burn(0.02)
time.sleep(0.3)  # the parent has committed
back, there = os.pipe()
if os.fork() == 0:
    with track(job="child") as inner:
        burn(0.3)
    time.sleep(0.2)
    os.write(there, json.dumps(final(inner).to_dict()).encode())
    sys.exit(0)
with track(job="parent") as run: burn(0.3)
status = os.waitstatus_to_exitcode(os.wait()[1])
out([status, json.loads(os.read(back, 1 << 20)), final(run).to_dict()])
""", rigged(tmp_path, WATTLEDGER_LEDGER_COMMIT_INTERVAL_S="0.1"))
    status, *both = done.value
    assert (status, done.err) == (0, "")
    sums = by_job(energies(books(tmp_path)))
    for found in both:
        assert sums[found["job"]] == uj(found["energy_j"]["value"])
    assert len({fact.key.meter for fact in energies(books(tmp_path))}) == 2


def test_a_fork_while_a_commit_does_not_come_back_neither_hangs_nor_makes_the_child_hang(tmp_path: Path) -> None:
    """Somebody holds the store's lock for longer than anybody likes: the fork waits half a second, its child not at all."""
    done = python("""
import sqlite3
from pathlib import Path
with track(job="warm"): burn(0.02)
folder = Path(os.environ["XDG_STATE_HOME"]) / "wattledger" / "ledger"
while not (folder / "open.db").exists():
    time.sleep(0.05)
time.sleep(0.5)
blocker = sqlite3.connect(folder / "open.db", isolation_level=None)
blocker.execute("BEGIN IMMEDIATE")
with track(job="p") as run:
    burn(0.3)
    time.sleep(1.2)  # its keeper has begun to wait for the lock
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        again = os.fork()  # a grandchild: the child's copy of the lock is free
        if again == 0:
            os._exit(0)
        os.waitpid(again, 0)
        os._exit(3)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    took_s = time.monotonic() - began
    blocker.execute("ROLLBACK")
    blocker.close()
time.sleep(0.3)
out([status, took_s, final(run).to_dict()])
""", rigged(tmp_path, WATTLEDGER_LEDGER_COMMIT_INTERVAL_S="0.1"))
    status, took_s, found = done.value
    assert (status, done.err) == (3, "")
    assert 0.4 < took_s < 0.95, "the parent waits once, the child for nobody"
    assert by_job(energies(books(tmp_path)))["p"] == uj(found["energy_j"]["value"])
