"""The open minute: whose process is gone, its journal is recovered once; whose process lives, it is left alone."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from tests.ledger.made import DAY_S, NOON_S, asked, divided, energy, key, minute, store_of, verified, work
from tests.ledger.test_store import ENV, ROOT, facts

from wattledger.core.facts import AllocationFact, EnergyFact, WorkFact
from wattledger.ledger.body import BadBody
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.store import Store
from wattledger.ledger.store_journal import Amounts, Process, _sealed, is_alive, read, written

DEAD = """
import os, sys
from pathlib import Path
from tests.ledger.made import NOON_S, energy, work
from wattledger.ledger.store import Store
store = Store.open(Path(sys.argv[1]), instance=sys.argv[2])
store.journal([energy(i, uj=100 + i) for i in range(3)] + [work()], NOON_S)
os._exit(9)
"""
LEFT = [energy(0, uj=100), energy(1, uj=101), energy(2, uj=102), work()]


def die(folder: Path, instance: str = "dead") -> None:
    """A process that journals ``LEFT`` and is no more."""
    subprocess.run([sys.executable, "-c", DEAD, str(folder), instance], cwd=ROOT, env=ENV, timeout=60)


def altered(folder: Path, statement: str, *values: object) -> None:
    """As another program, or a failing disk, would."""
    db = sqlite3.connect(folder / "open.db", isolation_level=None)
    assert db.execute(statement, values).rowcount == 1
    db.close()


def amounts(store: Store) -> list[object]:
    return [known.fact for known in store.known()]


def test_a_journal_is_no_fact_until_its_minute_closes(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "ledger", instance="a")
    for uj in (10, 20, 30):
        store.journal([energy(uj=uj), work()], NOON_S + uj)
    assert amounts(store) == []
    ids = store.close_minutes([energy(uj=35), work()], [energy(uj=1, start_s=NOON_S + 60)], NOON_S + 60)
    assert [known.id for known in store.known()] == ids
    assert amounts(store) == [energy(uj=35), work()]
    assert verified(store) == 4
    store.close()


def test_the_journal_of_a_process_that_is_gone_is_recovered_once(tmp_path: Path) -> None:
    die(tmp_path / "ledger")
    store = Store.open(tmp_path / "ledger")
    assert store.recover(NOON_S + 5) == 4
    assert store.recover(NOON_S + 6) == 0
    assert amounts(store) == LEFT
    assert verified(store) == 8
    store.close()


def test_the_journal_of_a_process_that_lives_is_left_alone(tmp_path: Path) -> None:
    mine, other = Store.open(tmp_path / "ledger", instance="mine"), Store.open(tmp_path / "ledger")
    mine.journal([energy(uj=10)], NOON_S)
    assert other.recover(NOON_S + DAY_S) == 0
    mine.close_minutes([energy(uj=15)], [], NOON_S + 60)
    assert amounts(other) == [energy(uj=15)]
    mine.close()
    other.close()


def test_nothing_is_left_to_recover_after_the_last_minute_closed(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "ledger", instance="a")
    store.journal([energy(uj=10)], NOON_S)
    store.close_minutes([energy(uj=15)], [], NOON_S + 60)
    altered_pid = sqlite3.connect(tmp_path / "ledger" / "open.db")
    assert altered_pid.execute("SELECT count(*) FROM journal").fetchone() == (0,)
    altered_pid.close()
    store.close()


def test_a_new_process_of_the_same_name_recovers_before_it_journals(tmp_path: Path) -> None:
    die(tmp_path / "ledger", "agent")
    store = Store.open(tmp_path / "ledger", instance="agent")
    store.journal([energy(uj=1, start_s=NOON_S + 60)], NOON_S + 60)
    assert amounts(store) == LEFT
    store.close_minutes([energy(uj=2, start_s=NOON_S + 60)], [], NOON_S + 120)
    assert amounts(store) == [*LEFT, energy(uj=2, start_s=NOON_S + 60)]
    store.close()


def test_two_that_live_may_not_journal_under_one_name(tmp_path: Path) -> None:
    die(tmp_path / "ledger", "agent")
    parent = os.getppid()
    with open(f"/proc/{parent}/stat") as stat:
        started = int(stat.read().rpartition(")")[2].split()[19])
    altered(tmp_path / "ledger", "UPDATE journal SET pid = ?, started = ?", parent, started)
    store = Store.open(tmp_path / "ledger", instance="agent")
    with pytest.raises(LedgerError, match=f"process {parent} journals as 'agent' too"):
        store.journal([energy()], NOON_S)
    assert amounts(store) == []
    store.close()


def test_a_journal_outlives_the_sealing_of_the_day_that_explains_it(tmp_path: Path) -> None:
    store_of(tmp_path / "ledger", per_day=2).close()
    die(tmp_path / "ledger")
    store = Store.open(tmp_path / "ledger")
    store.append([energy(9)], NOON_S + DAY_S)  # the next day's numbers mean something else
    store.forget(max(row.seq for row in store.rows() if f'"recorded_s":{NOON_S + DAY_S}' not in row.body))
    assert store.recover(NOON_S + 2 * DAY_S) == 4
    assert amounts(store)[1:] == LEFT
    assert verified(store) == 2 + 8
    store.close()


@pytest.mark.parametrize(
    "body",
    ['{"day":1,', "[]", "7", '{"day":20718,"energy":[[99,1,2,3,4,5]],"work":[]}', '{"day":20718,"energy":[[1,2]],"work":[]}'],
)
def test_a_journal_that_cannot_be_read_is_kept_aside_and_told_of(tmp_path: Path, body: str) -> None:
    die(tmp_path / "ledger")
    die(tmp_path / "ledger", "whole")
    altered(tmp_path / "ledger", "UPDATE journal SET body = ? WHERE instance = 'dead'", body)
    store = Store.open(tmp_path / "ledger")
    assert store.recover(NOON_S) == 4
    assert amounts(store) == LEFT
    assert len(store.aside()) == 1
    assert f"the journal of dead, written at {NOON_S}, cannot be read and is kept aside" in store.aside()[0]
    assert "\n" not in store.aside()[0]
    assert store._db.execute("SELECT body FROM aside").fetchone() == (body,)
    assert store.recover(NOON_S) == 0
    store.close()


def test_a_silent_journal_of_another_container_is_recovered_and_nothing_is_said_twice(tmp_path: Path) -> None:
    there = Store.open(tmp_path / "ledger", instance="there")
    there.journal([energy(uj=100), work(generated=64)], NOON_S)
    altered(tmp_path / "ledger", "UPDATE journal SET pid = 999999999, boot_id = boot_id || 'x'")
    here = Store.open(tmp_path / "ledger")
    assert here.recover(NOON_S + 599) == 0
    assert here.recover(NOON_S + 600) == 2  # and yet it lives: it was paused
    there.journal([energy(uj=130), work(generated=64)], NOON_S + 700)
    there.close_minutes([energy(uj=150), work(generated=70)], [], NOON_S + 710)
    there.close_minutes([energy(uj=5, start_s=NOON_S + 60)], [], NOON_S + 720)
    got = [known.fact for known in here.known()]
    assert sum(fact.energy_uj for fact in got if isinstance(fact, EnergyFact)) == 150 + 5
    assert sum(fact.seen_ms for fact in got if isinstance(fact, EnergyFact)) == 60_000 + 60_000
    assert sum(fact.generated_tokens for fact in got if isinstance(fact, WorkFact)) == 70
    assert sum(fact.requests for fact in got if isinstance(fact, WorkFact)) == 1
    here.close()
    there.close()


def test_a_days_turn_explains_the_journals_keys_anew(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "ledger", instance="a")
    store.journal([energy(3)], NOON_S)
    store.journal([energy(3)], NOON_S + DAY_S)
    store.forget(1)
    store.close_minutes([energy(3)], [], NOON_S + DAY_S + 1)
    assert amounts(store) == [energy(3)]
    assert verified(store) == 2
    store.close()


def procfs(folder: Path, stat: str | None = None, *, boot: str | None = "b", space: str = "pid:[1]") -> Path:
    """A /proc with a process 42."""
    if boot is not None:
        (folder / "sys/kernel/random").mkdir(parents=True)
        (folder / "sys/kernel/random/boot_id").write_text(f"{boot}\n")
        (folder / "self/ns").mkdir(parents=True)
        (folder / "self/ns/pid").symlink_to(space)
    if stat is not None:
        (folder / "42").mkdir()
        (folder / "42/stat").write_text(stat)
    return folder


def stat_of(started: int, state: str = "S") -> str:
    return f"42 (a) b) {state} " + "0 " * 18 + f"{started} 0 0\n"


@pytest.mark.parametrize(
    ("stat", "boot", "space", "alive"),
    [
        (stat_of(77), "b", "pid:[1]", True),
        (stat_of(78), "b", "pid:[1]", False),  # its number was given to another process
        (stat_of(77, "Z"), "b", "pid:[1]", False),
        (stat_of(77), "c", "pid:[1]", False),  # a restart of the machine ends all processes
        (None, "b", "pid:[1]", False),
        ("42 (cut", "b", "pid:[1]", False),
        (None, "b", "pid:[2]", True),  # another container's, lately heard of
        (None, "c", "pid:[2]", False),
    ],
)
def test_a_process_is_the_same_by_number_start_and_boot(
    tmp_path: Path, stat: str | None, boot: str, space: str, alive: bool
) -> None:
    known = Process(42, 77, "b pid:[1]")
    assert is_alive(known, 10, procfs(tmp_path, stat, boot=boot, space=space)) is alive


def test_without_proc_a_process_lives_as_long_as_its_number(tmp_path: Path) -> None:
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    assert [is_alive(Process(pid, 0, ""), 10, tmp_path) for pid in (os.getpid(), ended.pid)] == [True, False]


def test_many_keys_are_journaled_and_closed(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "ledger", instance="a")
    store.journal(minute(1600), NOON_S)
    store.close_minutes(minute(1600, uj=2), minute(1600, start_s=NOON_S + 60), NOON_S + 60)
    assert facts(store) == minute(1600, uj=2)
    assert verified(store) == 3200
    assert facts(store)[1599].key == key(1599)
    store.close()


def test_a_flipped_digit_in_a_journal_does_not_become_a_fact(tmp_path: Path) -> None:
    die(tmp_path / "ledger")
    altered(tmp_path / "ledger", "UPDATE journal SET body = replace(body, '60', '90') WHERE instance = ?", "dead")
    store = Store.open(tmp_path / "ledger")
    try:
        assert store.recover(NOON_S + 60) == 0
        [line] = store.aside()
        assert "its digest does not hold" in line
    finally:
        store.close()


def test_allocations_come_back_from_a_journal() -> None:
    facts: list[Amounts] = [energy(), work()._replace(steps=7), divided(1, 2, 3, 4, weak=True)]
    facts.append(asked("r-1", 1, 2, tenant="é", spread_uj=5))
    keys = {n: fact.key for n, fact in enumerate(facts)}
    assert read(written(facts, range(4), 20_718), keys) == facts


def test_a_journal_of_before_is_read() -> None:
    """An agent that is updated finds its last minute as the older one left it: work without steps, and no allocations."""
    body = _sealed({"day": 20718, "energy": [[1, NOON_S, 60, 60_000, 5, 0]], "work": [[2, NOON_S, 60, 812, 0, 64, 1]]})
    assert read(body, {1: key(), 2: work().key}) == [energy(uj=5), work()]


@pytest.mark.parametrize(
    "row",
    [[1, 2, 3], [1, 7, 60, 1, 2, 3, 4, 5, 1, "r", "t", 1, 2, 3], [1, 7, 60, *"12345", True, "r", "t", 1, 2, 3],
     [1, 7, 60, 1, 2, 3, 4, 5, True, 6, "t", 1, 2, 3]],
)  # fmt: skip
def test_what_is_no_row_of_an_allocation_is_not_read(row: list[object]) -> None:
    with pytest.raises(BadBody):
        read(_sealed({"day": 20718, "energy": [], "work": [], "allocation": [row]}), {1: key()})


def test_what_another_took_of_an_allocation_is_not_said_twice(tmp_path: Path) -> None:
    there = Store.open(tmp_path / "ledger", instance="there")
    there.journal([divided(10, 20), asked("r-1", 1, 2), asked("r-2", 5)], NOON_S)
    altered(tmp_path / "ledger", "UPDATE journal SET pid = 999999999, boot_id = boot_id || 'x'")
    here = Store.open(tmp_path / "ledger")
    assert here.recover(NOON_S + 600) == 3
    there.close_minutes([divided(15, 20, weak=True), asked("r-1", 1, 2), asked("r-2", 5), asked("r-3", 7)], [], NOON_S + 700)
    got = [fact for known in here.known() if isinstance(fact := known.fact, AllocationFact)]
    assert sum(fact.prompt_uj for fact in got if not fact.request) == 15
    assert sum(fact.generated_uj for fact in got if not fact.request) == 20
    assert {fact.request: fact.prompt_uj for fact in got if fact.request} == {"r-1": 1, "r-2": 5, "r-3": 7}
    assert [fact.prompt_tokens for fact in got if fact.request] == [10, 10, 10]
    here.close()
    there.close()
