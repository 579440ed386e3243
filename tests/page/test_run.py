"""A run's page: how long it is still seen, and since when each of its figures counts."""

from pathlib import Path

import pytest
from tests.page.boards import NOON_S, J, at, snapshot

from wattledger.core.facts import EnergyFact, Key
from wattledger.core.model import Workload
from wattledger.core.totals import Snapshot
from wattledger.ledger.store import Store
from wattledger.runtime.page.board import About, Board
from wattledger.runtime.page.books import Place
from wattledger.runtime.page.priced import Rules
from wattledger.runtime.page.run import RunPage, run_page
from wattledger.runtime.page.run_books import Booked, booked

ME = Workload("train", "m-1", (("run_id", "run-1"),))
OURS = "agent:now"
KEY = Key(OURS, "gpu-7", "DE", 1200, "GPU-0", "gpu", "NVIDIA H100", "counter", "active", "run-1", "train", "m-1")


def look(energy_j: float, power_w: float) -> Snapshot:
    found = snapshot({(ME, 0): round(energy_j * J)}, power_w=(power_w,))
    return found._replace(embodied_g={ME: 2.0}, water_l={(ME, "onsite"): 0.5}, cost={(ME, "EUR"): 1.0})


def books(folder: Path, starts_s: list[int], now_s: int) -> Booked:
    store = Store.open(folder, instance=OURS)
    store.append([EnergyFact(KEY, start_s, 60, 60_000, 60 * J) for start_s in starts_s], max(starts_s) + 60)
    found = booked(Place(store.folder, OURS), "run-1", now_s, Rules(zone="DE"))
    store.close()
    assert found is not None
    return found


def page(found: Booked | None, *, grew_j: float, after_s: float) -> RunPage:
    """The agent began at noon; its first look was five seconds before the last."""
    of = Board(About("gpu-7", at(0), False))
    for seconds, energy_j in ((after_s - 5, 60.0), (after_s, 60.0 + grew_j)):
        shown = look(energy_j, 300.0)
        of.post(shown, shown, at(seconds))
        of.look()
    latest = of.latest
    assert latest is not None
    said = run_page(of, latest, "run-1", found)
    assert said is not None
    return said


def notes(said: RunPage) -> dict[str, str]:
    return {tile.name: tile.note for tile in said.tiles}


@pytest.mark.parametrize(
    ("grew_j", "after_s", "words"),
    [
        (100.0, 600, "and still seen"),  # it draws
        (0.0, 130, "and still seen"),  # a minute ago it got something
        (0.0, 181, "and not seen since"),
    ],
)
def test_who_draws_nothing_and_got_nothing_for_two_minutes_is_not_seen(
    tmp_path: Path, grew_j: float, after_s: float, words: str
) -> None:
    found = books(tmp_path, [NOON_S], NOON_S + round(after_s))
    said = page(found, grew_j=grew_j, after_s=after_s)
    assert said.when == f"2026-11-22 12:00 UTC to 2026-11-22 12:01 UTC, {words}"
    assert ("Power now" in notes(said)) == words.endswith("still seen")


def test_a_run_that_ended_is_not_seen_however_recently(tmp_path: Path) -> None:
    found = books(tmp_path, [NOON_S], NOON_S + 60)._replace(ended=True)
    assert page(found, grew_j=0.0, after_s=60).when == "2026-11-22 12:00 UTC to 2026-11-22 12:01 UTC, ended"


LIVE = {"Embodied": "its share of making the machine", "Water, onsite": "evaporated at this site", "Cost": "at the tariff in force"}


def test_figures_of_one_time_say_so(tmp_path: Path) -> None:
    said = notes(page(books(tmp_path, [NOON_S], NOON_S + 70), grew_j=9.0, after_s=70))
    assert {name: said[name] for name in LIVE} == {name: f"{what}; of the same time" for name, what in LIVE.items()}
    assert said["Energy"] == "since 2026-11-22 12:00 UTC; from the books, open minutes included"
    assert said["Measured"] == "every joule was read from a sensor; since 2026-11-22 12:00 UTC"


@pytest.mark.parametrize("early", ["an agent before this one began it", "the books are read from later on"])
def test_figures_of_another_time_than_the_books_say_since_when(tmp_path: Path, early: str) -> None:
    found = books(tmp_path, [NOON_S - 7200, NOON_S], NOON_S + 70)
    if "later" in early:
        found = found._replace(start_s=NOON_S, since_s=NOON_S + 3600)
    said = notes(page(found, grew_j=9.0, after_s=70))
    since = "since 2026-11-22 12:00 UTC, when this agent began"
    assert {name: said[name] for name in LIVE} == {name: f"{what}; {since}" for name, what in LIVE.items()}


def test_without_books_all_count_since_the_agent_began() -> None:
    said = page(None, grew_j=9.0, after_s=70)
    since = "since 2026-11-22 12:00 UTC, when this agent began, or since it was seen"
    assert all(note.endswith(since) for name, note in notes(said).items() if name != "Power now")
    assert said.when == f"at work, or at rest with a series of its own; figures {since}"
