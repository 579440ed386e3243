"""Books are opened where the words allow, say who meters and how, and tell no secret."""

import os
import sys
from pathlib import Path

import pytest
from tests.core.made import CPU, RIVAL, TREE, at, claim, counter, enter, full, leave, used
from tests.runtime.books.read import by_job, energies, facts, runs

from wattledger.core.accounts import SpanAccount
from wattledger.core.facts import IntensityFact, RunFact
from wattledger.core.footprint import Identity
from wattledger.core.model import Workload
from wattledger.core.pipeline import Pipeline
from wattledger.core.version import __version__
from wattledger.ledger.store import Store
from wattledger.runtime import clock
from wattledger.runtime.books.keeper import Keeper, Plan
from wattledger.runtime.books.minutes import Meter
from wattledger.runtime.books.opening import OUTER, Books, known_intensities, life, open_books, shown
from wattledger.runtime.books.runs import run_fact
from wattledger.runtime.config import Config, Value

NOW_S = 1_795_341_600


def config(folder: Path, **more: object) -> Config:
    values = {"ledger.path": str(folder), **{name.replace("__", "."): value for name, value in more.items()}}
    return Config({name: Value(value, "a file") for name, value in values.items()})


def test_a_meter_says_who_it_is_where_and_how_it_was_told(tmp_path: Path) -> None:
    words = config(tmp_path, grid__zone="DE", sources__redfish__url="https://root:secret@bmc/redfish?key=hidden")
    keeper = open_books(words, {OUTER: "run:0123"}, Books("track", "r-1"), "node-1")
    assert keeper is not None
    keeper.note([life("ended", keeper, words)])
    keeper.stop()
    began, ended = [fact for fact in facts(tmp_path) if isinstance(fact, RunFact)]
    assert (began.what, began.meter, began.host, began.run, began.parent) == ("began", keeper.meter.id, "node-1", "r-1", "run:0123")
    assert (began.version, began.meter.partition(":")[0]) == (__version__, "track")
    assert began.system.endswith(f"Python {sys.version.split()[0].rstrip('+')}")
    said = dict(began.config)
    # What an estimate of the machine's making goes by.
    assert said.pop("machine.class") in ("server", "workstation", "desktop", "laptop", "vm")
    assert int(said.pop("machine.cpus")) >= 1
    assert float(said.pop("machine.memory_gb")) > 0
    assert said == {
        "ledger.path": str(tmp_path), "grid.zone": "DE", "sources.redfish.url": "https://bmc/redfish",
    }  # fmt: skip
    assert (ended.what, ended.meter) == ("ended", began.meter)
    assert began.at_ms <= ended.at_ms


@pytest.mark.parametrize(("value", "said"), [
    ("https://user:pass@host:8080/path?token=x", "https://host:8080/path"), ("redis://host", "redis://host"),
    ("plain words: a//b", "plain words: a//b"), ("http://a@b@host/x", "http://host/x"),
])  # fmt: skip
def test_an_address_is_said_without_its_secrets(value: str, said: str) -> None:
    assert shown(value) == said


def test_no_books_are_kept_where_none_are_wanted_or_there_is_no_place(tmp_path: Path) -> None:
    off = config(tmp_path / "ledger", ledger__enabled=False)
    assert open_books(off, {}, Books("track"), "node-1") is None
    assert known_intensities(off, {}, Books("track")) == ()
    assert not (tmp_path / "ledger").exists()


def test_a_clock_is_off_by_a_known_amount_or_nobody_knows() -> None:
    offset_ms = clock.offset_ms()
    assert offset_ms is None or -60_000 < offset_ms < 60_000


def test_what_the_books_know_of_the_grid_is_read_and_books_that_cannot_be_read_know_nothing(tmp_path: Path) -> None:
    said = IntensityFact("DE", NOW_S, 3600, 1, "first")
    store = Store.open(tmp_path)
    store.append([said, RunFact("began", "agent:1", "node-1", 5)], NOW_S)
    store.close()
    words = config(tmp_path)
    assert known_intensities(words, {}, Books("track")) == [said]
    assert known_intensities(words, {}, None) == ()
    assert known_intensities(config(tmp_path / "none"), {}, Books("track")) == ()
    for file in tmp_path.iterdir():
        file.unlink()
    (tmp_path / "open.db").write_bytes(os.urandom(5000))
    assert known_intensities(words, {}, Books("track")) == ()


def driven(folder: Path, seconds: range) -> list[SpanAccount]:
    """A program's run of which the machine's other half is not: read each ten seconds, by a clock that is handed in."""
    time_s = 0.0
    meter = Meter("track:1", "node-1", "r-1")
    keeper, pipeline = Keeper(Plan(folder, meter, 5.0), now=lambda: at(time_s)), Pipeline(own_only=True)
    settled: list[SpanAccount] = []
    for time_s in seconds:
        edges = [enter(1, time_s)] if time_s == seconds[1] else [leave(1, time_s - 5)] if time_s == seconds[-1] else []
        claims = [claim("pid:1", TREE), claim("pid:2", RIVAL)] if time_s == seconds[0] else []
        uses = [used("cpu", who, time_s, time_s, "cpu_ns") for who in ("pid:1", "pid:2")]
        step = pipeline.step(full(time_s, *claims, counter(CPU, time_s, 7.000001 * time_s), *uses, *edges))
        settled += step.settled
        keeper.take(step, pipeline)
        keeper.commit()
    keeper.note([run_fact(Identity("r-1", None, "span 1", None, {}, "node-1", "process"), settled[0], meter)])
    keeper.commit(final=True)
    return settled


def test_a_run_over_the_edges_of_minutes_has_its_energy_in_each_and_all_of_it(tmp_path: Path) -> None:
    [account] = driven(tmp_path, range(0, 200, 10))
    found = energies(tmp_path)
    assert [fact.start_s - NOW_S for fact in found] == [0, 60, 120, 180]
    assert by_job(found) == {Workload("span 1").job: account.energy_uj}
    assert [fact.energy_uj for fact in runs(tmp_path)] == [account.energy_uj]
    # 3.5 W, from second 10 to 185.
    assert [fact.energy_uj for fact in found] == pytest.approx([175e6, 210e6, 210e6, 17.5e6], rel=1e-4)
    assert {fact.key.run for fact in found} == {"r-1"}
