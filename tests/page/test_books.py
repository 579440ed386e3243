"""What the pages take from the books: nothing twice, nothing corrected, and the same grams as a report's arithmetic."""

from email.message import Message
from pathlib import Path

import pytest
from tests.page.boards import GRID, NOON_S, J, Tree, at, board, snapshot, workload

from wattledger.accounting import report_ask
from wattledger.accounting.reports import report
from wattledger.core.facts import Correction, EnergyFact, IntensityFact, Key, RunFact, WorkFact
from wattledger.core.model import Workload
from wattledger.core.uncertainty import Quantity
from wattledger.ledger.books import Books
from wattledger.ledger.engine import LedgerError
from wattledger.ledger.store import Store
from wattledger.runtime.page.books import Place, reading
from wattledger.runtime.page.earlier import earlier
from wattledger.runtime.page.priced import Rules
from wattledger.runtime.page.routes import Site
from wattledger.runtime.page.run_books import booked
from wattledger.runtime.page.runs import newest

OURS, BEFORE, TRACKER = "agent:now", "agent:before", "track:beside"
RULES = Rules(zone="DE")
KEY = Key(BEFORE, "gpu-7", "DE", 1200, "GPU-0", "gpu", "NVIDIA H100", "counter", "active", "run-1", "train", "m-1")
MIDNIGHT_S = NOON_S - 43_200


def energy(key: Key, start_s: int, energy_j: float, spread_j: float = 0.0) -> EnergyFact:
    return EnergyFact(key, start_s, 60, 60_000, round(energy_j * J), round(spread_j * J))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    found = Store.open(tmp_path, instance=OURS)
    grid = [IntensityFact("DE", MIDNIGHT_S + 3600 * n, 3600, 100_000_000 * (n + 1), "demo") for n in range(12)]
    found.append(grid, NOON_S - 1)
    return found


def place(store: Store) -> Place:
    return Place(store.folder, OURS)


def test_what_an_agent_before_this_one_metered_today_counts_and_nothing_else_does(store: Store) -> None:
    facts = [
        energy(KEY, MIDNIGHT_S - 60, 1000),  # yesterday
        energy(KEY, MIDNIGHT_S, 3600, spread_j=900),
        energy(KEY._replace(device="GPU-1"), MIDNIGHT_S + 3600, 3600),
        energy(KEY._replace(meter=OURS), MIDNIGHT_S + 7200, 500),  # in this agent's running sums
        energy(KEY._replace(meter=TRACKER), MIDNIGHT_S, 3600),  # the same joules, metered twice
    ]
    store.append(facts, NOON_S)
    found = earlier(place(store), at(0), RULES)
    store.close()
    assert [(read.model, read.method, read.energy_uj) for read in found.parts] == [("NVIDIA H100", "counter", 7200 * J)]
    assert found.since_s == MIDNIGHT_S
    assert found.grams == pytest.approx(0.001 * 1.2 * 100 + 0.001 * 1.2 * 200)


def test_a_corrected_fact_counts_no_more(store: Store) -> None:
    wrong, withdrawn = store.append([energy(KEY, MIDNIGHT_S, 3600), energy(KEY, MIDNIGHT_S + 60, 77)], NOON_S)
    store.append([Correction(wrong, "a typo", energy(KEY, MIDNIGHT_S, 1800)), Correction(withdrawn, "not ours")], NOON_S + 1)
    found = earlier(place(store), at(0), RULES)
    store.close()
    assert [read.energy_uj for read in found.parts] == [1800 * J]


def test_the_newest_runs_come_first_with_their_interval_and_grams(store: Store) -> None:
    other = KEY._replace(run="run-2", job="eval")
    facts = [energy(KEY, NOON_S - 7200 + 60 * n, 360, spread_j=36) for n in range(10)]
    facts += [energy(other, NOON_S - 3600, 60)]
    ended = RunFact("ended", TRACKER, "gpu-7", (NOON_S - 60) * 1000, "run-3", job="alone", energy_uj=5 * J)
    store.append([*facts, ended], NOON_S)
    found = newest(place(store), NOON_S, RULES)
    two = newest(place(store), NOON_S, RULES, most=2)
    store.close()
    assert [(run.id, run.job) for run in found.runs] == [("run-3", "alone"), ("run-2", "eval"), ("run-1", "train")]
    assert [run.id for run in two.runs] == ["run-3", "run-2"]
    train = found.runs[2]
    assert train.energy_j is not None
    assert train.location_g is not None
    assert train.energy_j.value == 3600
    assert train.energy_j.low < 3600 - 300  # the sensor's gain, and what may be another's
    assert train.location_g.value == pytest.approx(0.001 * 1.2 * 1100)
    assert train.location_g.low < train.location_g.value < train.location_g.high
    assert (train.start_s, train.end_s, train.ended) == (NOON_S - 7200, NOON_S - 6600, False)
    assert (found.runs[0].ended, found.runs[0].location_g) == (True, None)


def test_open_minutes_count_as_they_were_committed_last(store: Store) -> None:
    store.append([energy(KEY, NOON_S - 120, 60)], NOON_S)
    store.journal([energy(KEY, NOON_S - 60, 30)], NOON_S)
    assert [run.energy_j.value for run in newest(place(store), NOON_S, RULES).runs if run.energy_j] == [90]
    found = booked(place(store), "run-1", NOON_S, RULES)
    store.close()
    assert found is not None
    assert found.energy_j.value == 90


def test_a_runs_page_says_its_minutes_its_work_and_its_prices(store: Store) -> None:
    held = KEY._replace(use="held")
    work = WorkFact(KEY._replace(device="", component="", device_model="", method="", use=""), NOON_S - 3600, 60, 100, 5, 50, 3)
    store.append([energy(KEY, NOON_S - 3660, 600), energy(held, NOON_S - 3660, 60), energy(KEY, NOON_S - 3480, 1200), work], NOON_S)
    found = booked(place(store), "run-1", NOON_S, RULES)
    job = booked(place(store), "job:train", NOON_S, RULES)
    assert booked(place(store), "train", NOON_S, RULES) is None
    store.close()
    assert found is not None
    assert job is not None
    assert [(r.power_w, r.g_per_kwh) for r in found.minutes] == [(11.0, 1100.0), (None, None), (20.0, 1200.0)]
    assert found.work == (100, 5, 50, 3)
    assert [(d.device, d.energy_j.value, d.held_j) for d in found.devices] == [("GPU-0", 1860.0, 60.0)]
    assert sum(slot.energy_uj for slot in found.slots) == 1860 * J
    assert [int(slot.ug_per_kwh or 0) for slot in found.slots] == [1_100_000_000, 1_200_000_000]
    assert found.location_g.value == pytest.approx(1.2 / 3.6e6 * (660 * 1100 + 1200 * 1200))
    assert (found.alone, job.energy_j.value) == (True, 1860.0)


def reported(folder: Path) -> tuple[Quantity, Quantity]:
    """What ``report job`` says of the job: joules and grams, location-based."""
    with Books([folder]) as books:
        (line,) = report(books, report_ask.Ask("job", "train"), report_ask.Rules("DE", embodied=False)).lines
    return line.sums.energy_j(shared=True), line.sums.emissions_g("operational", shared=True)


@pytest.mark.parametrize("hours", [[0], [-1, 0], [-2, -1, 0, 4], [-1, 0, 40]], ids=["held", "mostly live", "held on", "annual too"])
def test_a_page_is_as_sure_as_a_report_of_the_same_books(store: Store, hours: list[int]) -> None:
    pytest.importorskip("duckdb", reason="reports need duckdb (pip install 'wattledger[books]')")
    cpu = KEY._replace(device="cpu", component="cpu", device_model="EPYC", method="estimated", use="held", pue_milli=0)
    facts = [energy(KEY, NOON_S + 3600 * hour + 60 * n, 600 + n, spread_j=9) for hour in hours for n in range(7)]
    facts += [energy(cpu, NOON_S + 3600 * hour + 300, 77) for hour in hours]
    last_s = NOON_S + 3600 * hours[-1] + 600
    store.append(facts, last_s)
    found, listed = booked(place(store), "job:train", last_s, RULES), newest(place(store), last_s, RULES).runs[0]
    store.close()
    assert found is not None
    energy_j, location_g = reported(store.folder)
    assert found.energy_j == pytest.approx(energy_j, rel=1e-9)
    assert found.location_g == pytest.approx(location_g, rel=1e-9)
    assert (listed.energy_j, listed.location_g) == (found.energy_j, found.location_g)


def test_a_price_is_as_wide_for_its_own_part_alone(store: Store) -> None:
    store.append([energy(KEY, NOON_S - 3600, 9300), energy(KEY._replace(run="run-2"), NOON_S, 700)], NOON_S + 60)
    live, held, both = (booked(place(store), name, NOON_S + 60, RULES) for name in ("run-1", "run-2", "job:train"))
    store.close()
    assert live is not None
    assert held is not None
    assert both is not None
    wide = [found.location_g.high / found.location_g.value for found in (live, both, held)]
    assert wide[1] == pytest.approx(wide[0], rel=0.01)  # seven percent do not make the rest less sure
    assert wide[2] > wide[1] * 1.08


def test_no_time_is_later_than_the_tick_that_it_was_asked_at(store: Store) -> None:
    store.append([energy(KEY, NOON_S - 120, 60)], NOON_S)
    store.journal([energy(KEY, NOON_S, 30)], NOON_S + 30)
    (run,) = newest(place(store), NOON_S + 31, RULES).runs
    found = booked(place(store), "run-1", NOON_S + 31, RULES)
    store.close()
    assert found is not None
    assert (run.start_s, run.end_s) == (found.start_s, found.end_s) == (NOON_S - 120, NOON_S + 31)


def test_books_that_cannot_be_read_are_a_sentence_on_the_page(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no books are kept here"), reading(tmp_path):
        pass
    (tmp_path / "open.db").write_bytes(b"not a database" * 100)
    with pytest.raises(LedgerError), reading(tmp_path):
        pass
    of = board((0, snapshot({(workload(1), 0): J})))
    pages = Site(of, lambda: Place(tmp_path, OURS), Rules, others=())
    deadline = pages._runs.get(20.0)
    assert deadline is not None
    body = pages.front(Message(), {}).body
    assert isinstance(body, bytes)
    assert "not a ledger" in Tree(body).root.one("tbody", id="runs").text
    assert str(tmp_path) not in Tree(body).root.one("tbody", id="runs").text


def test_reading_ends_in_time_however_much_there_is(store: Store) -> None:
    store.append([energy(KEY, NOON_S - 60 * n, n) for n in range(20_000)], NOON_S)
    with pytest.raises(LedgerError, match="too many facts"), reading(store.folder, most_s=0.0) as books:
        list(books.amounts(None, 300))
    store.close()


def test_today_with_the_books_is_their_part_and_the_running_sums(store: Store) -> None:
    store.append([energy(KEY, MIDNIGHT_S, 3600), energy(KEY._replace(meter=OURS), NOON_S - 60, 99_999)], NOON_S)
    store.close()
    of = board((0, snapshot({(Workload("x"), 0): 400 * J}, grid=GRID)))
    pages = Site(of, lambda: place(store), lambda: RULES, others=())
    assert pages._earlier.get(20.0) is not None
    body = pages.front(Message(), {}).body
    assert isinstance(body, bytes)
    tiles = {tile.one("dt").text: tile for tile in Tree(body).root.one("dl", id="tiles").inside}
    assert tiles["Energy today"].one(class_="value").text == "6 kJ"  # 3600 of the books, 2400 of this agent
    assert tiles["Energy today"].one(class_="note").text == "since 00:00:00 UTC: the books up to this agent's start, then live"
