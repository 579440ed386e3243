"""A minute's sums as facts: nothing lost, nobody else's, and how far a share may be off."""

from math import log

from tests.core.made import GPU

from wattledger.core.facts import AllocationFact, EnergyFact, Key
from wattledger.core.model import IDLE, Factor, Instant, Request, Workload
from wattledger.core.posted import Minute
from wattledger.core.served.requests import SettledRequest
from wattledger.core.served.workload import OfRequest
from wattledger.runtime.books.minutes import Facts, Meter, Scribe, Window, window_of

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


def energies(facts: Facts) -> dict[str, EnergyFact]:
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
    found.add_work(TRAIN, (1, 2, 3, 4, 5))
    found.add_work(TRAIN._replace(labels=TRAIN.labels[1:]), (10, 0, 0, 0, 0))
    facts = Scribe(METER._replace(run="r-7")).facts(WINDOW, found, {})
    assert [(fact[3:], fact.key.device) for fact in facts] == [((11, 2, 3, 4, 5), "")]


def test_the_world_is_no_zone_and_a_pue_is_kept_in_thousandths() -> None:
    grid = Factor("grid", "WORLD", 473.0, "gCO2e/kWh", "lifecycle", "Ember", "2024", "world", 1.1)
    pue = Factor("pue", "", 1.125, "1", "", "configured", "", "", 1.02)
    assert window_of(60, {"grid": grid, "pue": pue}) == Window(60, 60, "", 1125)
    assert window_of(60, {"grid": grid._replace(zone="FR")}) == Window(60, 60, "FR", 0)


SERVED_KEY = Key("agent:1", "node-1", "DE", 1200, run="r-7", job="train", model="m-1", labels=(("team", "x"),))


def test_what_a_served_models_energy_went_into_is_a_fact_for_each_sensor() -> None:
    found = Minute()
    found.add_tokens((TRAIN, "gpu", "counter"), (1, 2, 3, 4))
    found.add_tokens((TRAIN._replace(labels=TRAIN.labels[1:]), "gpu", "counter"), (10, 0, 0, 0))  # another name for it
    found.add_tokens((TRAIN, "cpu", "estimated"), (0, 5, 0, 0))
    found.add_tokens((EVAL, "gpu", "counter"), (0, 0, 0, 0))
    found.weak.add(TRAIN)
    facts = Scribe(METER._replace(run="r-7")).facts(WINDOW, found, DEVICES)
    on_gpu = SERVED_KEY._replace(component="gpu", method="counter")
    on_cpu = SERVED_KEY._replace(component="cpu", method="estimated")
    assert facts == [
        AllocationFact(on_gpu, *WINDOW[:2], 11, 2, 3, 4, weak=True),
        AllocationFact(on_cpu, *WINDOW[:2], 0, 5, weak=True),
    ]


def settled(record: Request | None) -> OfRequest:
    return OfRequest(TRAIN, SettledRequest(record, 5, 6, 1, weak=True, prompt_tokens=70, generated_tokens=80))


def test_a_settled_request_is_a_fact_over_the_seconds_it_took() -> None:
    def at(wall_s: float) -> Instant:
        return Instant(0, int(wall_s * 1e9))

    record = Request("r-1", "m-1", at(1_000.7), at(1_001), at(1_002.1), 71, 9, 81, tenant="acme")
    scribe = Scribe(METER)
    fact = scribe.request(WINDOW, settled(record))
    assert fact == AllocationFact(SERVED_KEY, 1_000, 3, 5, 6, 0, 0, 1, True, "r-1", "acme", 70, 9, 80)
    at_once = scribe.request(WINDOW, settled(record._replace(scheduled=at(1_000), end=at(1_000))))
    assert at_once is not None
    assert (at_once.start_s, at_once.length_s) == (1_000, 1)


def test_tokens_that_nobody_told_of_are_no_fact() -> None:
    assert Scribe(METER).request(WINDOW, settled(None)) is None
