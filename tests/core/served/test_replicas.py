"""Replicas and models of one workload: readings that race, names that change, and who is left when one ends."""

from tests.core.made import GPU, at, claim, counter, holding, used
from tests.core.served.node import ENGINE, SERVE, Node, busy, request, told

from wattledger.core.model import Batch, Sample, Workload
from wattledger.core.pipeline import Pipeline
from wattledger.core.series import Series
from wattledger.core.totals import State

SECOND = "vllm 127.0.0.1:8001"
NAMED = SERVE._replace(labels=(("team", "search"),))


def sums(node: Node, *workloads: Workload) -> bool:
    return all(sum(node.kinds_uj(w).values()) + node.pending_uj(w) == node.energy_uj(w) for w in workloads)


def test_a_reading_that_comes_twice_counts_once() -> None:
    node = Node()
    for i in range(6):
        node.second(100, 80, more=[node.reading()] if i % 2 else [])
        node.run([node.reading()])
    assert node.pipeline.totals.work[SERVE].prompt_tokens == 600
    assert sums(node, SERVE)


def test_a_replica_that_is_read_late_moves_no_point_back() -> None:
    node = Node()
    busy(node, 3)
    late = [told(node.now_s - 1.5 + 0.2 * i, 10 * i, 5 * i, steps=i, engine=SECOND) for i in range(3)]
    node.run([late[0]])  # alone, and older than the engine's last point
    node.second(100, 80, more=[late[1]])  # beside a newer one
    busy(node, 20)
    assert node.pipeline.totals.work[SERVE].prompt_tokens == node.prompt + 10
    assert sums(node, SERVE)


def pair(node: Node, i: int, *more: Sample) -> None:
    node.second(100, 80, more=[told(node.now_s + 1, 50 * i, 40 * i, steps=5 * i, engine=SECOND, who="pid:8"), *more])


def test_replicas_that_get_a_name_one_after_the_other_go_on_under_it() -> None:
    """With the last of them come the model's requests, and no record is settled early or twice."""
    node = Node()
    node.run([claim("pid:8", SERVE)])
    for i in range(10):
        pair(node, i)
    pair(node, 10, claim("pid:8", NAMED))
    for i in range(11, 20):
        pair(node, i, request(f"r{i}", node.now_s, node.now_s + 0.9, 100, 80))
    pair(node, 20, claim("pid:7", NAMED))
    for i in range(21, 30):
        pair(node, i, request(f"r{i}", node.now_s, node.now_s + 0.9, 100, 80))
    for _ in range(100):
        node.second()
    assert node.pipeline.totals.work[SERVE].prompt_tokens == 20 * 100 + 9 * 50
    assert node.pipeline.totals.work[NAMED].prompt_tokens == 10 * 100 + 20 * 50
    assert sums(node, SERVE, NAMED)
    ids = [of.settled.request.id for step in node.steps for of in step.requests if of.settled.request is not None]
    assert sorted(ids) == [f"r{i}" for i in range(11, 20)] + [f"r{i}" for i in range(21, 30)]


def test_records_go_with_the_engine_that_gets_a_name() -> None:
    """A minute later nothing is left under the old name that would hurry them."""
    node = Node()
    busy(node, 5)
    node.second(100, 80, more=[request("early", node.now_s, node.now_s + 0.9, 100, 80)])
    node.second(100, 80, more=[claim("pid:7", NAMED)])
    for i in range(80):
        node.second(100, 80, more=[request(f"r{i}", node.now_s, node.now_s + 0.9, 100, 80)])
    for _ in range(30):
        node.second()
    found = {of.settled.request.id: of for step in node.steps for of in step.requests if of.settled.request is not None}
    assert set(found) == {"early", *(f"r{i}" for i in range(80))}
    assert all(found[f"r{i}"].workload == NAMED and found[f"r{i}"].settled.generated_uj > 0 for i in range(80))


def test_energy_without_a_price_of_grams_has_no_grams() -> None:
    pipeline = Pipeline()
    for i in range(10):
        began: list[Sample] = [claim("pid:7", SERVE), holding(GPU.id, "pid:7", 1.0)] if not i else []
        reading = told(i, 100 * i, 80 * i, steps=10 * i)
        samples = counter(GPU, i, 300 * i), used(GPU.id, "pid:7", i, 0.5 * i), reading, *began
        pipeline.step(Batch(at(i), True, samples))
    shown = pipeline.totals.snapshot(State())
    assert sum(shown.tokens.token_uj.values()) > 0
    assert shown.tokens.token_g == {}


def test_who_ends_takes_no_other_of_its_job_and_model_with_it() -> None:
    node = Node(Series(10, 20_000_000_000, labels=("team",)))
    red, blue = (SERVE._replace(labels=(("team", team),)) for team in ("red", "blue"))
    node.run([claim("pid:7", red), claim("pid:8", blue)])
    for i in range(10):
        pair(node, i)
    node.second(100, 80, more=[claim("pid:8", None)])
    for _ in range(60):
        node.second(100, 80)
    shown = node.pipeline.totals.snapshot(State())
    assert {workload for workload, *_ in shown.tokens.token_uj} == {red}
    assert set(shown.tokens.engines.values()) == {red}
    assert sum(node.kinds_uj(red).values()) + node.pending_uj(red) == node.energy_uj(red)


def test_those_without_a_series_of_their_own_have_no_price() -> None:
    """Prices of several have no sum."""
    node = Node(Series(1, 10**15))
    node.run([claim("pid:8", Workload("late", "mistral"))])
    for i in range(40):
        node.second(100, 80, more=[told(node.now_s + 1, 50 * i, 40 * i, steps=5 * i, model="mistral", engine=SECOND, who="pid:8")])
    shown = node.pipeline.totals.snapshot(State())
    assert {workload for workload, *_ in shown.tokens.token_price} == {SERVE}
    assert shown.tokens.engines == {ENGINE.partition(" ")[2]: SERVE}


def test_a_delivery_of_thousands_is_taken_bit_by_bit() -> None:
    node = Node()
    busy(node, 5)
    crowd = [request(f"r{i}", node.now_s, node.now_s + 0.9, 1, 1) for i in range(2000)]
    node.second(2000, 2000, more=crowd)
    book = node.pipeline._posting.tokens
    assert book is not None
    heard = [book.serving[SERVE].requests["llama"].pending]
    for _ in range(60):
        node.second()
        heard.append(book.serving[SERVE].requests["llama"].pending)
    assert 0 < heard[0] <= 500
    ids = {of.settled.request.id for step in node.steps for of in step.requests if of.settled.request is not None}
    assert len(ids) == 2000


def test_at_the_end_whoever_waits_is_settled() -> None:
    node = Node()
    busy(node, 20)
    node.second(100, 80, more=[request(f"r{i}", node.now_s - 2, node.now_s + 0.5, 10, 8) for i in range(600)])
    before = {of.settled.request.id for step in node.steps for of in step.requests if of.settled.request is not None}
    ended = {of.settled.request.id for of in node.pipeline.end().requests if of.settled.request is not None}
    assert not before & ended
    assert before | ended == {f"r{i}" for i in range(600)}
    kinds, shown = node.kinds_uj(), node.pipeline.totals.snapshot(State())
    assert sum(shown.tokens.request_uj.values()) == kinds["prompt"] + kinds["generated"]
    assert Pipeline().end().requests == ()


def test_a_bug_in_dividing_ends_what_is_said_of_tokens_and_not_the_metering() -> None:
    node = Node()
    busy(node, 5)
    nonsense = node.reading()._replace(prompt_tokens="many", at=at(node.now_s + 1.1))  # type: ignore[arg-type]
    told_of = [node.second(100, 80, more=[nonsense]).doubts, node.second(100, 80).doubts]
    assert ["by a bug of ours" in fault.what for fault in told_of[0]] == [True]
    assert told_of[1] == ()
    before = node.energy_uj()
    busy(node, 3)
    assert node.energy_uj() > before
    assert node.pipeline.totals.snapshot(State()).tokens.token_uj == {}
    assert node.pipeline.end().requests == ()
