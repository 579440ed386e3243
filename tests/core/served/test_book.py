"""Serving engines in the pipeline: what they did, what it cost, and that it adds up."""

import pytest
from tests.core.made import GPU, claim
from tests.core.served.node import ADDRESS, ENGINE, SERVE, Node, busy, request, told

from wattledger.core.model import Workload
from wattledger.core.series import Series
from wattledger.core.totals import State


def test_kinds_and_what_is_pending_are_the_workload_s_energy_at_every_tick() -> None:
    node = Node()
    for i in range(40):
        node.second(50 * (i % 4), 40 * (i % 3))
        assert sum(node.kinds_uj().values()) + node.pending_uj() == node.energy_uj()
    assert set(node.kinds_uj()) == {"prompt", "generated", "standby", "overhead"}


def test_tokens_and_steps_are_counted_from_the_first_reading_on() -> None:
    node = Node()
    node.second(100, 80)
    node.second(50, 8)
    work = node.pipeline.totals.work[SERVE]
    assert (work.prompt_tokens, work.generated_tokens, work.steps) == (150, 88, 11)


def test_prices_come_near_what_tokens_cost() -> None:
    node = Node()
    busy(node, 300)
    prices = node.pipeline.totals.snapshot(State()).tokens.token_price
    assert prices[SERVE, "prompt", "value"] == pytest.approx(0.02, rel=0.2)
    assert prices[SERVE, "generated", "value"] == pytest.approx(0.35, rel=0.1)
    assert prices[SERVE, "generated", "low"] < 0.35 < prices[SERVE, "generated", "high"]


def test_a_quiet_engine_stands_by_and_has_no_price() -> None:
    node = Node()
    busy(node, 60)
    before = node.kinds_uj()
    assert node.pipeline.totals.snapshot(State()).tokens.token_price
    for _ in range(310):
        node.second()
    assert not node.pipeline.totals.snapshot(State()).tokens.token_price
    after = node.kinds_uj()
    assert {k for k in after if after[k] != before.get(k)} == {"standby"}
    assert after["standby"] - before["standby"] == pytest.approx(310 * 100e6, rel=0.05)


def test_energy_of_long_prompts_waits_until_they_are_counted() -> None:
    node = Node()
    busy(node, 60)
    before = node.kinds_uj().get("overhead", 0)
    for _ in range(3):
        node.now_s, node.energy_j, node.used_s = node.now_s + 1, node.energy_j + 500, node.used_s + 0.9
        node.run([node.reading(running=1)])
    node.second(20_000, 8)
    node.second()
    assert node.kinds_uj().get("overhead", 0) == before
    assert sum(node.kinds_uj().values()) + node.pending_uj() == node.energy_uj()


def test_what_is_drawn_while_an_engine_says_nothing_for_long_is_overhead() -> None:
    node = Node()
    busy(node, 40)
    for _ in range(70):
        node.second(tells=False)
    assert node.kinds_uj()["overhead"] > 60 * 100e6
    assert node.pending_uj() == 0


def test_an_engine_that_begins_anew_counts_on_and_is_learnt_anew() -> None:
    node = Node()
    busy(node, 40)
    serving = node.pipeline._posting.tokens
    assert serving is not None
    node.prompt, node.generated, node.engine_steps = -100, -80, -10
    node.second(110, 96)
    work = node.pipeline.totals.work[SERVE]
    busy(node, 1)
    assert node.pipeline.totals.work[SERVE].prompt_tokens > work.prompt_tokens
    assert all(fit.n <= 3 for fit in serving.serving[SERVE].fits.values())


def test_tokens_get_grams_at_the_price_in_force() -> None:
    node = Node()
    busy(node, 30)
    shown = node.pipeline.totals.snapshot(State())
    for (workload, kind), grams in shown.tokens.token_g.items():
        assert grams == pytest.approx(node.kinds_uj(workload)[kind] / 1e6 * 360 / 3.6e6)


def test_requests_and_the_unrecorded_rest_are_what_tokens_got() -> None:
    node = Node()
    for i in range(60):
        record = request(f"r{i}", node.now_s - 0.5, node.now_s + 0.2, 100, 80, tenant="red" if i % 2 else "blue")
        node.second(100, 80, more=[record] if i % 3 else [])
    for _ in range(40):
        node.second()
    kinds, shown = node.kinds_uj(), node.pipeline.totals.snapshot(State())
    assert sum(shown.tokens.request_uj.values()) == kinds["prompt"] + kinds["generated"]
    tenants = {tenant for _, tenant, _ in shown.tokens.request_uj}
    assert tenants == {"red", "blue", "(unrecorded)"}
    red = sum(uj for (_, tenant, _), uj in shown.tokens.request_uj.items() if tenant == "red")
    rest = sum(uj for (_, tenant, _), uj in shown.tokens.request_uj.items() if tenant == "(unrecorded)")
    assert red == pytest.approx(rest, rel=0.3)
    ids = {of.settled.request.id for step in node.steps for of in step.requests if of.settled.request is not None}
    assert ids == {f"r{i}" for i in range(60) if i % 3}


def test_a_request_finds_its_engine_by_address_else_by_its_only_model() -> None:
    node = Node()
    busy(node, 5)
    named = [(ADDRESS, "x"), ("localhost:8000", ""), ("gateway:443", "llama"), ("", "llama"), ("", "")]
    for i, (address, model) in enumerate(named):
        node.second(10, 8, more=[request(f"r{i}", node.now_s, node.now_s + 0.5, 10, 8, address=address, model=model)])
    node.second(10, 8, more=[request("lost", node.now_s, node.now_s + 0.5, 10, 8, address="", model="other")])
    for _ in range(40):
        node.second()
    ids = {of.settled.request.id for step in node.steps for of in step.requests if of.settled.request is not None}
    assert ids == {"r0", "r1", "r2", "r3", "r4"}
    assert [doubt.what[:55] for doubt in node.doubts()] == ["a request to model 'other' at no address: no engine her"]


def test_replicas_of_one_model_count_together() -> None:
    node = Node()
    other = "vllm 127.0.0.1:8001"
    for i in range(30):
        node.second(100, 80, more=[told(node.now_s + 1, 10 * i, 5 * i, steps=i, engine=other)])
    work = node.pipeline.totals.work[SERVE]
    assert (work.prompt_tokens, work.generated_tokens) == (3000 + 290, 2400 + 145)
    assert sum(node.kinds_uj().values()) + node.pending_uj() == node.energy_uj()


def test_two_models_of_one_process_have_tokens_each_and_one_standby() -> None:
    node = Node()
    for i in range(60):
        node.second(100 if i % 2 else 0, 80, more=[told(node.now_s + 1, 300 * i, 40 * i, steps=5 * i, model="mistral")])
    mistral = SERVE._replace(model="mistral")
    kinds = {**node.kinds_uj(), **{f"mistral {k}": uj for k, uj in node.kinds_uj(mistral).items()}}
    assert kinds["mistral prompt"] > 0
    assert kinds["generated"] > 0
    assert sum(kinds.values()) + node.pending_uj() == node.energy_uj()
    assert node.pipeline.totals.work[mistral].generated_tokens == 40 * 59


def test_a_count_that_is_not_believed_is_said() -> None:
    node = Node()
    node.second(100, 80)
    node.prompt -= 50
    node.second(0, 80)
    assert ["went back" in doubt.what for doubt in node.doubts() if doubt.device_id == ENGINE] == [True]


def test_an_engine_elsewhere_has_tokens_and_no_energy() -> None:
    node = Node()
    far = [told(node.now_s + 1 + i, 10 * i, 5 * i, engine="vllm 10.0.0.9:8000", who="") for i in range(3)]
    for reading in far:
        node.second(more=[reading])
    assert node.pipeline.totals.work[Workload("vllm", "llama")].prompt_tokens == 20
    assert node.energy_uj(Workload("vllm", "llama")) == 0


def test_an_engine_whose_process_nobody_knows_is_said_and_not_counted() -> None:
    node = Node()
    node.second(more=[told(1, 10, 5, engine="vllm 127.0.0.1:9", who="pid:99")])
    assert ["nobody knows whose its process is (pid:99)" in doubt.what for doubt in node.doubts()] == [True]
    assert set(node.pipeline.totals.work) <= {SERVE}


def test_an_engine_that_gets_a_name_goes_on_under_it() -> None:
    node = Node()
    busy(node, 10)
    named = Workload("serve", "llama", (("team", "search"),))
    node.second(100, 80, more=[claim("pid:7", named)])
    busy(node, 10)
    assert node.pipeline.totals.work[named].generated_tokens > 0
    for workload in (SERVE, named):
        assert sum(node.kinds_uj(workload).values()) + node.pending_uj(workload) == node.energy_uj(workload)


def test_an_ended_engine_loses_its_series_whole() -> None:
    node = Node(Series(10, 20_000_000_000))
    busy(node, 10)
    node.second(tells=False, more=[claim("pid:7", None)])
    for _ in range(120):
        node.second(tells=False)
    shown = node.pipeline.totals.snapshot(State())
    assert shown.tokens.token_uj == {}
    assert shown.tokens.token_pending_uj == {}
    assert shown.retired_uj[GPU.id] > 0
