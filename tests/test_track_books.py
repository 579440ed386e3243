"""``track`` keeps books: what stands in them is the footprints' own energy, to the microjoule."""

import sys
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.books.read import BOOKS, by_job, energies, facts, once, runs, uj
from tests.runtime.programs import python, rigged

from wattledger.core.facts import RunFact, WorkFact

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the rig is Linux's")

NESTED = """
with track(job="outer", model="m", labels={"team": "search"}) as outer:
    burn(0.15)
    with track(job="inner") as inner:
        burn(0.1)
        inner.add_tokens(prompt=5, generated=7)
    burn(0.05)
out([final(outer).to_dict(), final(inner).to_dict()])
"""
THREADS = """
def work(n):
    with track(job=f"thread-{n}") as run:
        burn(0.1)
    found.append(run)
found = []
with track(job="all") as all_of_it:
    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    [t.start() for t in threads]
    [t.join() for t in threads]
out([final(run).to_dict() for run in (all_of_it, *found)])
"""
GENERATORS = """
@track(job="loader")
def load():
    for _ in range(5):
        burn(0.02)
        yield 1
runs = []
with track(job="train") as train:
    for _ in load():
        burn(0.02)
out([final(train).to_dict()])
"""
SHORT = """
runs = []
for n in range(300):
    with track(job=f"short-{n % 3}") as run:
        pass
    runs.append(run)
with track(job="last") as last:
    burn(0.1)
time.sleep(0.3)  # what is asked for before every register has moved is provisional
out([final(run).to_dict() for run in (*runs, last)])
"""


def books(folder: Path) -> Path:
    return folder / "XDG_STATE_HOME" / BOOKS


def own_uj(found: list[dict[str, Any]]) -> dict[str, int]:
    """What each job got itself, without its inner runs."""
    sums: dict[str, int] = {}
    for footprint in found:
        own = footprint.get("own_energy_j") or footprint.get("energy_j")
        if own is not None:
            sums[footprint["job"]] = sums.get(footprint["job"], 0) + uj(own["value"])
    return sums


@pytest.mark.parametrize("code", [NESTED, THREADS, SHORT], ids=["nested", "threads", "short"])
def test_the_facts_are_the_footprints_own_energy(tmp_path: Path, code: str) -> None:
    done = python(code, rigged(tmp_path))
    found = energies(books(tmp_path))
    once(found)
    assert by_job(found) == {job: sum_uj for job, sum_uj in own_uj(done.value).items() if sum_uj}
    assert done.err == ""


def test_the_pieces_of_a_generator_and_what_is_between_them_are_the_run_around_it(tmp_path: Path) -> None:
    done = python(GENERATORS, rigged(tmp_path))
    [train] = done.value
    sums = by_job(energies(books(tmp_path)))
    assert sums.keys() == {"train", "loader"}
    assert sum(sums.values()) == uj(train["energy_j"]["value"])
    assert sums["train"] == uj(train["own_energy_j"]["value"])


def test_a_fact_says_whose_energy_it_is_and_work_stands_beside_it(tmp_path: Path) -> None:
    outer, _ = python(NESTED, rigged(tmp_path)).value
    found = facts(books(tmp_path))
    key = next(fact.key for fact in energies(books(tmp_path)) if fact.key.job == "outer")
    assert (key.model, key.labels, key.host) == ("m", (("team", "search"),), outer["hosts"][0])
    assert key.meter.startswith("track:")
    assert [fact[3:] for fact in found if isinstance(fact, WorkFact)] == [(5, 0, 7, 0, 0)]
    began, *_, ended = [fact for fact in found if isinstance(fact, RunFact)]
    assert (began.what, ended.what, began.meter, ended.meter) == ("began", "ended", key.meter, key.meter)


LONG = """
def once():
    with track(job="dropped"):  # nobody keeps the run
        time.sleep(1.05)
once()
with track(job="long") as run:
    with track(job="part"):
        time.sleep(1.05)
time.sleep(0.2)
out(final(run).to_dict())
"""


@pytest.mark.slow
def test_an_outermost_run_that_lasted_is_a_fact_with_the_footprints_energy(tmp_path: Path) -> None:
    found = python(LONG, rigged(tmp_path)).value
    ended = {fact.job: fact for fact in runs(books(tmp_path))}
    assert ended["long"].energy_uj == uj(found["energy_j"]["value"])
    assert (ended["long"].run, ended["long"].host) == (found["run_id"], found["hosts"][0])
    assert "part" not in ended


def test_books_that_are_switched_off_are_not_there(tmp_path: Path) -> None:
    python(NESTED, rigged(tmp_path, WATTLEDGER_LEDGER_ENABLED="false"))
    assert list((tmp_path / "XDG_STATE_HOME").rglob("*.db")) == []


def test_a_run_names_its_energy(tmp_path: Path) -> None:
    python(NESTED, rigged(tmp_path, WATTLEDGER_RUN_ID="r-17"))
    assert {fact.key.run for fact in energies(books(tmp_path))} == {"r-17"}
