"""The keeper of the books: what a step hands out is written once, whatever the disk does."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.core.made import GPU, at, claim, counter, full, used

from wattledger.core.facts import AllocationFact, EnergyFact, GapFact, RunFact
from wattledger.core.model import Batch, Instant, Request, Workload
from wattledger.core.pipeline import Pipeline, Step
from wattledger.core.posted import Minute
from wattledger.core.served.requests import SettledRequest
from wattledger.core.served.workload import OfRequest
from wattledger.ledger.store import Store
from wattledger.runtime.books import keeper as keeping
from wattledger.runtime.books.keeper import Keeper, Plan
from wattledger.runtime.books.minutes import Meter

METER = Meter("track:1", "node-1")


class Rig:
    """A pipeline that a keeper keeps the books of, one reading a second."""

    def __init__(self, folder: Path, *, hold: bool = False) -> None:
        self.lines: list[str] = []
        self.folder = folder
        self.time_s = 0.0
        self.keeper = Keeper(Plan(folder, METER, 5.0, hold), self.lines.append, now=lambda: at(self.time_s))
        self.pipeline = Pipeline()
        self.joules = 0

    def second(self, time_s: float, joules: int) -> None:
        self.joules += joules
        self.time_s = time_s
        claimed = [claim("pid:1", Workload("train"))] if not self.pipeline.totals.devices else []
        reading = counter(GPU, time_s, self.joules)
        step = self.pipeline.step(full(time_s, *claimed, reading, used(GPU.id, "pid:1", time_s, time_s)))
        self.keeper.take(step, self.pipeline)

    def written_uj(self) -> int:
        return sum(fact.energy_uj for fact in self.facts() if isinstance(fact, EnergyFact))

    def facts(self) -> Sequence[object]:
        store = Store.open(self.folder, readonly=True)
        try:
            return [known.fact for known in store.known()]
        finally:
            store.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "ledger")
    yield made
    made.keeper.commit(final=True)


def test_closed_minutes_are_facts_and_nothing_is_written_twice(rig: Rig) -> None:
    for second in range(0, 201, 10):
        rig.second(second, 100 if second else 0)
        rig.keeper.commit()
    rig.keeper.commit(final=True)
    assert rig.written_uj() == 2_000 * 1_000_000
    assert sorted(fact.start_s % 3600 for fact in rig.facts() if isinstance(fact, EnergyFact)) == [0, 60, 120, 180]


def test_an_open_minute_is_journalled_and_no_fact_yet(rig: Rig) -> None:
    rig.second(0, 0)
    rig.second(10, 100)
    rig.keeper.commit()
    assert rig.written_uj() == 0
    rig.keeper.commit(final=True)
    assert rig.written_uj() == 100 * 1_000_000


@pytest.mark.parametrize("step_s", [86_400, -86_400])
def test_a_clock_that_was_stepped_keeps_no_minute_open_and_cuts_no_later_one_up(rig: Rig, step_s: int) -> None:
    for second in range(0, 50, 10):
        rig.second(second, 100 if second else 0)
    for second in range(0, 50, 10):
        now = Instant(at(60 + second).mono_ns, at(step_s + 60 + second).wall_ns)
        reading = counter(GPU, 60 + second, rig.joules + 100 * (second // 10 + 1))._replace(at=now)
        busy = used(GPU.id, "pid:1", 60 + second, 60 + second)
        step = rig.pipeline.step(Batch(reading.at, True, (reading, busy)))
        rig.keeper.take(step, rig.pipeline)
        rig.time_s = step_s + 60 + second
        rig.keeper.commit()
    rig.keeper.commit(final=True)
    found = [fact.start_s for fact in rig.facts() if isinstance(fact, EnergyFact)]
    assert len(found) == len(set(found)) <= 3
    assert rig.written_uj() == 900 * 1_000_000


def test_a_disk_that_takes_nothing_loses_nothing(tmp_path: Path) -> None:
    in_the_way = tmp_path / "ledger"
    in_the_way.write_text("a file, where a folder should be")
    rig = Rig(in_the_way)
    for second in (0, 10, 20):
        rig.second(second, 100 if second else 0)
        rig.keeper.commit()
    assert len(rig.lines) == 1
    assert "kept in memory" in rig.lines[0]
    assert rig.keeper.disk.lag_s() == 20
    assert rig.keeper.disk.trouble() == rig.lines[0]
    in_the_way.unlink()
    rig.keeper.commit(final=True)
    assert rig.keeper.disk.lag_s() == 0
    assert rig.keeper.disk.trouble() == ""
    assert rig.written_uj() == 200 * 1_000_000
    assert rig.lines[1:] == ["the books are written again; nothing was lost"]


def test_a_long_failure_is_kept_by_the_quarter_of_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_the_way = tmp_path / "ledger"
    in_the_way.write_text("")
    rig = Rig(in_the_way)
    minutes = 4 * keeping.MOST_MINUTES
    for minute in range(minutes + 1):
        rig.second(minute * 60, 100 if minute else 0)
        if minute % 50 == 0:
            rig.keeper.commit()
    rig.keeper.commit()
    assert len(rig.keeper._open) < keeping.MOST_MINUTES
    in_the_way.unlink()
    rig.keeper.commit(final=True)
    assert rig.written_uj() == minutes * 100 * 1_000_000
    assert {fact.length_s for fact in rig.facts() if isinstance(fact, EnergyFact)} == {60, 900}


def test_gaps_and_notes_are_facts(rig: Rig) -> None:
    rig.second(0, 0)
    rig.second(1, 100)
    for time_s, joules in ((5, 3), (6, 13), (7, 23)):  # a register that began anew
        rig.keeper.take(rig.pipeline.step(full(time_s, counter(GPU, time_s, joules))), rig.pipeline)
    rig.keeper.note([RunFact("began", METER.id, METER.host, 5)])
    rig.keeper.commit()
    found = rig.facts()
    assert [type(fact) for fact in found if not isinstance(fact, EnergyFact)] == [GapFact, RunFact]
    [gap] = [fact for fact in found if isinstance(fact, GapFact)]
    assert (gap.device, gap.end_ms - gap.start_ms) == (GPU.id, 4000)


def test_nothing_new_is_nothing_written(rig: Rig) -> None:
    rig.keeper.commit()
    assert not rig.folder.exists()


def test_the_thread_writes_everything_at_the_end(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "ledger", hold=True)
    rig.keeper.start()
    rig.second(0, 0)
    rig.second(1, 100)
    rig.keeper.stop()
    assert rig.written_uj() == 100 * 1_000_000


def test_what_was_never_written_is_said_at_the_end_and_not_that_it_will_be(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("a file, where a folder should be")
    rig = Rig(tmp_path / "ledger")
    rig.second(0, 0)
    rig.second(1, 100)
    rig.keeper.start()
    rig.keeper.stop()
    [line] = rig.lines
    assert "not in the books" in line
    assert "will be written" not in line


def test_a_disk_that_hangs_costs_memory_by_the_minute_and_no_joule(rig: Rig) -> None:
    """Nobody commits while it hangs; steps go on."""
    rig.second(0, 0)
    for second in range(1, 10 * keeping.MANY):
        rig.second(second, 100)
    assert len(rig.keeper._queue) <= keeping.MANY
    assert rig.keeper.disk.trouble().startswith(f"books: the disk has not answered for {10 * keeping.MANY - 1} s;")
    rig.keeper.commit(final=True)
    assert rig.keeper.disk.trouble() == ""
    assert rig.written_uj() == (10 * keeping.MANY - 1) * 100 * 1_000_000
    found = [fact for fact in rig.facts() if isinstance(fact, EnergyFact)]
    assert {fact.energy_uj for fact in found[:-1]} == {6_000 * 1_000_000}
    assert len({fact.start_s for fact in found}) == len(found)


def test_a_bug_of_ours_ends_the_books_in_one_message_and_nothing_else(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "ledger")
    rig.keeper.note([RunFact("began", METER.id, METER.host, "not a number")])  # type: ignore[arg-type]
    rig.keeper.note([object()])  # type: ignore[list-item]
    rig.keeper.start()
    rig.keeper.stop()
    [line] = rig.lines
    assert line.startswith("the books are given up, by a bug of ours:\nTraceback")
    assert "is in no book" in rig.keeper.disk.trouble()


def served(rig: Rig, time_s: float, *requests: str) -> None:
    """A step in which a model's energy was divided, and these requests were settled."""
    now = at(time_s)
    minute = Minute()
    workload = Workload("serve", "m")
    minute.add_tokens((workload, "gpu", "counter"), (10, 20, 0, 0))
    records = [Request(name, "m", now, now, now, 1, 0, 2) for name in requests]
    of = [OfRequest(workload, SettledRequest(record, 1, 2, 0, False, 1, 2)) for record in [*records, None]]
    rig.time_s = time_s
    step = Step([], [], [], ({now.wall_ns // 60_000_000_000 * 60: minute},), tuple(of))
    rig.keeper.take(step, rig.pipeline)


def allocations(rig: Rig) -> list[AllocationFact]:
    return [fact for fact in rig.facts() if isinstance(fact, AllocationFact)]


def test_requests_are_written_with_the_minute_in_which_they_were_settled(rig: Rig) -> None:
    """Never before the energy that they got: whoever verifies in between would find too much."""
    rig.second(0, 0)
    served(rig, 30, "r-1")
    served(rig, 62, "r-2", "r-3")
    rig.keeper.commit()
    assert allocations(rig) == []
    rig.time_s = 75
    rig.keeper.commit()
    assert [(fact.request, fact.prompt_uj) for fact in allocations(rig)] == [("", 10), ("r-1", 1)]
    rig.keeper.commit(final=True)
    assert [(fact.request, fact.generated_uj) for fact in allocations(rig)[2:]] == [("", 20), ("r-2", 2), ("r-3", 2)]


def test_open_requests_are_journalled(rig: Rig) -> None:
    rig.second(0, 0)
    served(rig, 30, "r-1")
    rig.keeper.commit()
    store = Store.open(rig.folder)
    [(body,)] = store._db.execute("SELECT body FROM journal").fetchall()
    store.close()
    assert '"r-1"' in body


def test_a_plan_may_leave_requests_out(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "ledger")
    rig.keeper = Keeper(Plan(rig.folder, METER, 5.0, requests=False), rig.lines.append, now=lambda: at(rig.time_s))
    served(rig, 30, "r-1")
    rig.keeper.commit(final=True)
    assert [fact.request for fact in allocations(rig)] == [""]


def test_a_disk_that_hangs_loses_no_request(rig: Rig) -> None:
    for n in range(2 * keeping.MANY):
        served(rig, 30, f"r-{n}")
    rig.keeper.commit(final=True)
    found = allocations(rig)
    assert {fact.request for fact in found} == {"", *(f"r-{n}" for n in range(2 * keeping.MANY))}
    assert sum(fact.prompt_uj for fact in found if not fact.request) == 10 * 2 * keeping.MANY


def test_requests_of_minutes_that_the_disk_did_not_take_are_kept_by_the_quarter(rig: Rig) -> None:
    rig.keeper._plan = rig.keeper._plan._replace(folder=Path("/proc/nowhere"))
    for n in range(keeping.MOST_MINUTES + 30):
        served(rig, 60 * n, f"r-{n}")
        rig.keeper.commit()
    rig.keeper._plan, rig.keeper._folder = rig.keeper._plan._replace(folder=rig.folder), None
    rig.keeper.commit(final=True)
    found = allocations(rig)
    assert sum(fact.generated_uj for fact in found if not fact.request) == 20 * (keeping.MOST_MINUTES + 30)
    assert len({fact.request for fact in found if fact.request}) == keeping.MOST_MINUTES + 30


def test_a_count_that_nobody_can_have_counted_is_left_out_and_the_rest_is_kept(rig: Rig) -> None:
    """One number of more than 64 bits would keep its day from ever being sealed."""
    rig.second(0, 0)
    rig.second(10, 100)
    rig.keeper.note([GapFact("GPU", "node-1", METER.id, 0, 2**63, "made up")])
    rig.keeper.commit(final=True)
    assert rig.written_uj() == 100 * 1_000_000
    assert not any(isinstance(fact, GapFact) for fact in rig.facts())
    assert [line for line in rig.lines if "64 bits" in line] == [
        "books: a count of more than 64 bits was told and is left out; who told it made it up"
    ]
