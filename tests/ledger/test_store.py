"""The store: every write whole and durable, one chain whoever writes, keys explained on each day before their use."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.ledger.made import DAY_S, NOON_S, began, energy, gap, intensity, key, minute, store_of, verified, work

from wattledger.core.facts import Correction, EnergyFact, Fact, Key, Known
from wattledger.ledger.body import day_of
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.store import Store, Withdrawal

KINDS: list[Fact] = [energy(), work(), gap(), intensity(), began()]


def test_what_is_appended_is_known_under_its_id(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "ledger")
    ids = store.append(KINDS, NOON_S)
    assert [known[:3] for known in store.known()] == [(i, NOON_S, fact) for i, fact in zip(ids, KINDS, strict=True)]
    assert ids == [f"{store.writer}:{seq}" for seq in (2, 4, 5, 6, 7)]  # 1 and 3 explain keys
    assert verified(store) == 7
    store.close()


def test_a_chain_goes_on_when_the_store_is_opened_again(tmp_path: Path) -> None:
    store = store_of(tmp_path / "ledger")
    writer, head = store.writer, store.head()
    store.close()
    again = Store.open(tmp_path / "ledger")
    assert (again.writer, again.head()) == (writer, head)
    assert again.append([energy(0)], NOON_S + 600) == [f"{writer}:{head.seq + 1}"]  # its key is explained already
    assert verified(again) == head.seq + 1
    again.close()


def test_nothing_appended_is_nothing_written(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "ledger")
    assert store.append([], NOON_S) == []
    assert store.head() == store.start()
    assert store.head().seq == 0
    store.close()


def test_the_folder_is_the_users_alone(tmp_path: Path) -> None:
    Store.open(tmp_path / "state" / "ledger").close()
    assert (tmp_path / "state" / "ledger").stat().st_mode & 0o777 == 0o700


def test_kinds_narrow_what_is_known(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "ledger")
    store.append(KINDS, NOON_S)
    assert [known.fact for known in store.known({"work", "run"})] == [work(), began()]
    store.close()


def test_a_key_is_explained_before_its_use_on_every_recorded_day(tmp_path: Path) -> None:
    store = store_of(tmp_path / "ledger", days=3, per_day=4)
    said: set[tuple[str, int]] = set()
    uses = 0
    for row in store.rows():
        found = json.loads(row.body)
        day = day_of(found["recorded_s"])
        if found["fact"] == "key":
            assert (day, found["number"]) not in said
            said.add((day, found["number"]))
        else:
            uses += 1
            assert (day, found["key"]) in said
    assert (len(said), uses) == (3 * 5, 3 * 2 * 5)
    store.close()


def test_two_stores_share_the_numbers_of_keys(tmp_path: Path) -> None:
    one, two = Store.open(tmp_path / "ledger"), Store.open(tmp_path / "ledger")
    one.append([energy(0)], NOON_S)
    two.append([energy(1), energy(0)], NOON_S)
    one.append([energy(1), energy(2)], NOON_S)
    assert [known.fact for known in one.known()] == [energy(0), energy(1), energy(0), energy(1), energy(2)]
    assert verified(two) == 5 + 3
    one.close()
    two.close()


def test_recorded_time_never_runs_backwards(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "ledger")
    for now_s in (NOON_S, NOON_S - 7200, NOON_S + 1, NOON_S - DAY_S):
        store.append([energy()], now_s)
    store.close()
    again = Store.open(tmp_path / "ledger")
    again.append([energy()], NOON_S - 100)
    recorded = [known.recorded_s for known in again.known()]
    assert recorded == [NOON_S, NOON_S, NOON_S + 1, NOON_S + 1, NOON_S + 1]
    again.close()


def test_a_correction_names_what_it_corrects_and_changes_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "ledger")
    [first] = store.append([energy(uj=5)], NOON_S)
    ids = store.append([Correction(first, "gain", energy(uj=6)), Correction(first, "double")], NOON_S + 1)
    known = list(store.known())
    assert known[0] == Known(first, NOON_S, energy(uj=5))
    assert known[1:] == [Known(ids[0], NOON_S + 1, energy(uj=6), first, "gain")]
    assert list(store.withdrawals()) == [Withdrawal(ids[1], NOON_S + 1, first, "double")]
    store.close()


def test_a_name_that_is_no_utf_8_is_kept_readable(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "ledger")
    store.append([energy(of=key(job="caf\udce9")), began(job="caf\udce9", version="ü")], NOON_S)
    first, second = (known.fact for known in store.known())
    assert isinstance(first, EnergyFact)
    assert (first.key.job, second) == ("caf?", began(job="caf?", version="ü"))
    assert verified(store) == 3
    store.close()


def test_rows_come_between_bounds(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "ledger")
    store.append(minute(3000), NOON_S)
    assert [row.seq for row in store.rows(10, 13)] == [11, 12, 13]
    assert [row.seq for row in store.rows(5990)] == list(range(5991, 6001))
    assert sum(1 for _ in store.rows()) == 6000
    store.close()


def test_query_columns_are_the_bodys_own(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "ledger")
    store.append([energy(uj=7), intensity()], NOON_S)
    columns = "kind, recorded_s, key, start_s, length_s, energy_uj"
    found = list(store._db.execute(f"SELECT {columns} FROM fact ORDER BY seq"))
    assert found[1:] == [("energy", NOON_S, 1, NOON_S, 60, 7), ("intensity", NOON_S, None, NOON_S, 3600, None)]
    store.close()


def test_a_reader_reads_while_another_writes(tmp_path: Path) -> None:
    writer = store_of(tmp_path / "ledger")
    reader = Store.open(tmp_path / "ledger", readonly=True)
    before = len(list(reader.known()))
    with reader.frozen():
        head = reader.head()
        writer.append([energy()], NOON_S + 900)
        assert reader.head() == head
        assert len(list(reader.known())) == before
    assert len(list(reader.known())) == before + 1
    assert verified(reader) == writer.head().seq
    reader.close()
    writer.close()


WRITER = """
import sys
from pathlib import Path
from tests.ledger.made import NOON_S, energy, key
from wattledger.ledger.store import Store
me = int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
store = Store.open(Path(sys.argv[1]))
for i in range(30):
    store.append([energy(0, uj=1000 * me + i), energy(of=key(job=f"of-{me}"), uj=1000 * me + 500 + i)], NOON_S + i)
store.close()
"""


def test_four_processes_write_one_chain_and_nothing_is_lost(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "ledger")]
    pipe = subprocess.PIPE
    writers = [subprocess.Popen([*command, str(me)], stdin=pipe, stdout=pipe, text=True, cwd=ROOT, env=ENV) for me in range(4)]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.communicate("go\n", timeout=60)
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    store = Store.open(tmp_path / "ledger", readonly=True)
    found = sorted((fact.energy_uj, fact.key.job) for fact in facts(store))
    expected = [(1000 * me + 500 * own + i, f"of-{me}" if own else "job-0") for me in range(4) for own in (0, 1) for i in range(30)]
    assert found == sorted(expected)
    assert verified(store) == 240 + 5
    store.close()


def facts(store: Store) -> list[EnergyFact]:
    return [known.fact for known in store.known() if isinstance(known.fact, EnergyFact)]


ROOT = Path(__file__).parents[2]
ENV = {"PYTHONPATH": ":".join(str(ROOT / part) for part in ("agent", "exporters", "")), "PATH": ""}


@pytest.mark.parametrize("labels", [(), (("team", "search"), ("x", 'a"fact":"key"'))])
def test_a_label_that_looks_like_a_key_body_is_only_a_label(tmp_path: Path, labels: tuple[tuple[str, str], ...]) -> None:
    store = Store.open(tmp_path / "ledger")
    of = Key("agent:a", "gpu-7", labels=labels)
    store.append([energy(of=of), began(labels=labels)], NOON_S)
    other = Store.open(tmp_path / "ledger")
    other.append([energy(of=of), energy(1)], NOON_S)
    assert [fact.key for fact in facts(other)] == [of, of, key(1)]
    assert verified(other) == 6
    store.close()
    other.close()


@pytest.mark.parametrize("count", [2**63, -(2**63) - 1, 2**64])
def test_a_number_that_could_never_be_sealed_is_not_written(tmp_path: Path, count: int) -> None:
    store = Store.open(tmp_path / "ledger")
    with pytest.raises(LedgerError, match="a number of more than 64 bits cannot be kept: nothing of this was written"):
        store.append([energy(), work(generated=count)], NOON_S)
    assert store.head().seq == 0
    store.append([work(generated=2**63 - 1)], NOON_S)
    store.close()
