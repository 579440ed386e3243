"""Crashes: kill -9 at any instant loses nothing that was acknowledged, and a cut power line leaves a whole chain."""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.ledger.made import DAY_S, NOON_S, energy, minute, store_of, verified
from tests.ledger.test_store import ENV, ROOT, facts

from wattledger.ledger.store import Store


@pytest.mark.slow
def test_kill_9_at_any_instant_loses_nothing_acknowledged_and_doubles_nothing(tmp_path: Path) -> None:
    seed = str(random.randrange(10**9))
    command = [sys.executable, "-m", "tests.ledger.killer", str(tmp_path / "ledger"), "200", seed]
    ended = subprocess.run(command, cwd=ROOT, env=ENV, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, (seed, ended.stderr)
    counts = json.loads(ended.stdout)
    assert counts["rounds"] == 200
    assert counts["facts"] > 20  # on the slowest of disks
    assert [counts[what] for what in ("lost", "doubled", "torn", "invented")] == [0, 0, 0, 0], seed


def powerless(folder: Path, to: Path, wal_bytes: int | None) -> Path:
    """The files as a power cut leaves them: the log cut short, or gone."""
    to.mkdir()
    shutil.copy(folder / "open.db", to)
    if wal_bytes is not None:
        (to / "open.db-wal").write_bytes((folder / "open.db-wal").read_bytes()[:wal_bytes])
    return to


def test_a_log_cut_anywhere_leaves_a_whole_chain_and_all_that_was_in_the_file(tmp_path: Path) -> None:
    Store.open(tmp_path / "ledger").close()
    store = Store.open(tmp_path / "ledger")
    kept = minute(200)
    store.append(kept, NOON_S)
    assert store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0
    for i in range(20):
        store.append(minute(10, start_s=NOON_S + 60 * (i + 1)), NOON_S + i)
    wanted = facts(store)
    size = (tmp_path / "ledger" / "open.db-wal").stat().st_size
    chance = random.Random(7)
    lengths: set[int] = set()
    for i, cut in enumerate([None, 0, 1, 31, 32, size, *(chance.randrange(size) for _ in range(60))]):
        folder = powerless(tmp_path / "ledger", tmp_path / str(i), cut)
        again = Store.open(folder)
        found = facts(again)
        lengths.add(len(found))
        assert found == wanted[: len(found)]
        assert len(found) >= len(kept)
        assert len(found) % 10 == 0, "a transaction was torn"
        verified(again)
        again.append([energy(500)], NOON_S + 100)
        assert verified(again) == again.head().seq
        again.close()
    assert {200, 400} < lengths
    store.close()


FORGETS = """
import os, sys
from pathlib import Path
from wattledger.ledger.store import Store
store = Store.open(Path(sys.argv[1]))
print("ready", flush=True)
store.forget(int(sys.argv[2]))
os._exit(0)
"""


def test_a_process_that_dies_while_it_forgets_leaves_a_chain_that_still_joins(tmp_path: Path) -> None:
    store = store_of(tmp_path / "ledger", days=2, per_day=2000)
    sealed = next(row.seq for row in store.rows() if f'"recorded_s":{NOON_S + DAY_S + 60}' in row.body) - 1
    digest = next(row.hash for row in store.rows(sealed - 1, sealed))
    store.close()
    for i in range(8):
        folder = tmp_path / str(i)
        shutil.copytree(tmp_path / "ledger", folder)
        process = subprocess.Popen(
            [sys.executable, "-c", FORGETS, str(folder), str(sealed)], cwd=ROOT, env=ENV, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(i * 3000):
            os.getpid()
        process.kill()
        process.communicate(timeout=60)
        again = Store.open(folder)
        assert again.start().seq in (0, sealed)
        verified(again)
        again.forget(sealed)
        assert again.start()[:2] == (sealed, digest)
        assert verified(again) == again.head().seq - sealed
        again.close()
