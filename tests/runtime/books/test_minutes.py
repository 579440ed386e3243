"""A minute's sums as facts: nothing lost, nobody else's, and how far a share may be off."""

from math import log

from tests.core.made import GPU

from wattledger.core.facts import EnergyFact, Key, WorkFact
from wattledger.core.model import IDLE, Factor, Workload
from wattledger.core.posted import Minute
from wattledger.runtime.books.minutes import Meter, Scribe, Window, window_of

WINDOW = Window(1_795_341_600, 60, "DE", 1200)
METER = Meter("agent:1", "node-1", "r-1")
TRAIN, EVAL = Workload("train", "m-1", (("run_id", "r-7"), ("team", "x"))), Workload("eval")
DEVICES = {GPU.id: GPU}


def minute(unit: str = "sm_ns", **uj: int) -> Minute:
    found = Minute()
    names = {"train": TRAIN, "eval": EVAL, "idle": IDLE, "tree": Workload("pid 7")}
    found.energy_uj = {(names[name], GPU.id, "counter", "active"): value for name, value in uj.items()}
    found.seen_ns = {(GPU.id, "counter"): 59_900_000_000}
    found.shared_by = {GPU.id: unit}
    return found


def energies(facts: list[EnergyFact | WorkFact]) -> dict[str, EnergyFact]:
    return {fact.key.job: fact for fact in facts if isinstance(fact, EnergyFact)}


def test_a_fact_says_who_where_and_when() -> None:
    [fact] = Scribe(METER).facts(WINDOW, minute(train=5), DEVICES)
    labels = (("team", "x"),)
    key = Key("agent:1", "node-1", "DE", 1200, GPU.id, "gpu", GPU.model, "counter", "active", "r-7", "train", "m-1", labels)
    assert fact == EnergyFact(key, 1_795_341_600, 60, 59_900, 5, 0)


def test_a_run_that_nobody_names_is_the_meters() -> None:
    assert energies(Scribe(METER).facts(WINDOW, minute(eval=5), DEVICES))["eval"].key.run == "r-1"


def test_a_share_may_be_off_by_what_could_be_anothers_and_by_no_more() -> None:
    found = energies(Scribe(METER).facts(WINDOW, minute(train=900, eval=100), DEVICES))
    assert found["train"].spread_uj == found["eval"].spread_uj == int(log(1.7) * 100)
    assert energies(Scribe(METER).facts(WINDOW, minute(train=900), DEVICES))["train"].spread_uj == 0
    assert energies(Scribe(METER).facts(WINDOW, minute("", train=900, eval=100), DEVICES))["train"].spread_uj == 0


def test_a_run_of_the_whole_host_gets_all_of_it() -> None:
    meter = METER._replace(own=Workload("all"))
    [fact] = Scribe(meter).facts(WINDOW, minute(train=5, eval=7, idle=8), DEVICES)
    assert isinstance(fact, EnergyFact)
    assert (fact.key.job, fact.energy_uj) == ("all", 20)


def test_work_is_summed_by_name() -> None:
    found = Minute()
    found.add_work(TRAIN, (1, 2, 3, 4))
    found.add_work(TRAIN._replace(labels=TRAIN.labels[1:]), (10, 0, 0, 0))
    facts = Scribe(METER._replace(run="r-7")).facts(WINDOW, found, {})
    assert [(fact[3:], fact.key.device) for fact in facts] == [((11, 2, 3, 4), "")]


def test_the_world_is_no_zone_and_a_pue_is_kept_in_thousandths() -> None:
    grid = Factor("grid", "WORLD", 473.0, "gCO2e/kWh", "lifecycle", "Ember", "2024", "world", 1.1)
    pue = Factor("pue", "", 1.125, "1", "", "configured", "", "", 1.02)
    assert window_of(60, {"grid": grid, "pue": pue}) == Window(60, 60, "", 1125)
    assert window_of(60, {"grid": grid._replace(zone="FR")}) == Window(60, 60, "FR", 0)
