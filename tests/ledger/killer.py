"""Children that journal and close minutes are killed at random instants; after each, the books are held to what was said.

Run as a program of its own (it forks): FOLDER ROUNDS SEED → a line of JSON.  A child says on a pipe what it is about to write, and
again once the store has acknowledged it.
"""

import json
import os
import random
import select
import signal
import sys
from pathlib import Path

from tests.ledger.made import NOON_S, energy, key, verified

from wattledger.core.facts import EnergyFact
from wattledger.ledger.chain import genesis, link
from wattledger.ledger.store import Store

KEYS = 3


def facts_of(which: int, minute: int, uj: int) -> list[EnergyFact]:
    """What child ``which`` has used in its minute so far: each key its own, so that none can be taken for another."""
    return [energy(of=key(i, run=f"child-{which}"), start_s=NOON_S + 60 * minute, uj=uj) for i in range(KEYS)]


def live(folder: Path, which: int, pipe: int) -> None:
    """Until it is killed: journal a minute three times, growing, and close it."""
    store = Store.open(folder, instance=f"child-{which}")
    store.recover(NOON_S)
    for minute in range(100_000):
        for uj in (1, 2, 3):
            os.write(pipe, f"try {minute} {uj}\n".encode())
            store.journal(facts_of(which, minute, uj), NOON_S)
            os.write(pipe, f"done {minute} {uj}\n".encode())
        os.write(pipe, f"try {minute} 4\n".encode())
        store.close_minutes(facts_of(which, minute, 4), [], NOON_S)
        os.write(pipe, f"done {minute} 4\n".encode())


def killed(folder: Path, which: int, after_s: float) -> tuple[dict[int, int], dict[int, int]]:
    """What a child tried, and what was acknowledged to it: minute → energy."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            live(folder, which, writer)
        finally:
            os._exit(1)
    os.close(writer)
    if which % 4:  # the others die while they open the books and recover what the last one left
        select.select([reader], [], [], 10)
    select.select([], [], [], after_s)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), "the child failed by itself"
    with os.fdopen(reader) as said:
        words = [line.split() for line in said.read().split("\n")[:-1]]
    tried, done = ({int(m): int(uj) for what, m, uj in words if what == word} for word in ("try", "done"))
    return tried, done


def main(folder: Path, rounds: int, seed: int) -> dict[str, int]:
    """Kill; every other time leave the recovery to the next child, which may be killed within it."""
    chance = random.Random(seed)
    store = Store.open(folder)
    told: dict[int, tuple[dict[int, int], dict[int, int]]] = {}
    seq, digest = 0, genesis(store.writer)
    for which in range(rounds):
        told[which] = killed(folder, which, chance.uniform(0.0, 0.04))
        if which % 2:
            store.recover(NOON_S)
        for row in store.rows(seq):
            seq, digest = seq + 1, link(digest, row.body)
            assert (row.seq, row.hash) == (seq, digest), f"round {which}: the chain breaks at {row.seq}"
    store.recover(NOON_S)
    found: dict[tuple[int, int], list[int]] = {}
    for known in store.known():
        assert isinstance(known.fact, EnergyFact)
        which, minute = int(known.fact.key.run.removeprefix("child-")), (known.fact.start_s - NOON_S) // 60
        found.setdefault((which, minute), []).append(known.fact.energy_uj)
    counts = {"rounds": rounds, "rows": verified(store), "facts": len(found), "lost": 0, "doubled": 0, "torn": 0, "invented": 0}
    for which, (tried, done) in told.items():
        for minute, most in tried.items():
            got = found.pop((which, minute), [])
            counts["lost"] += max(got, default=0) < done.get(minute, 0)
            counts["doubled"] += len(got) > KEYS
            counts["torn"] += len(got) not in (0, KEYS) or len({*got}) > 1
            counts["invented"] += max(got, default=0) > most
    counts["invented"] += len(found)
    store.close()
    return counts


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))
