"""The rows of serving engines: workloads that differ in labels not exported share a series, and their sums are kept."""

from decimal import Decimal

from wattledger.core import rows
from wattledger.core.model import Instant, Work, Workload
from wattledger.core.totals import Snapshot, State, Tokens, Totals

RED, BLUE = (Workload("serve", "llama", (("team", team),)) for team in ("red", "blue"))
WHO = ("serve", "llama", "", "", "", "")


def shown(tokens: Tokens) -> Snapshot:
    totals = Totals()
    totals.tokens = tokens
    return totals.snapshot(State())


def test_token_energy_and_what_is_pending_leave_as_exact_joules() -> None:
    sums = {(RED, "gpu", "counter", "prompt"): 1_500_000, (BLUE, "gpu", "counter", "prompt"): 1}
    snapshot = shown(Tokens(token_uj=sums, token_pending_uj={RED: 7, BLUE: 5}))
    assert list(rows.token_energy(snapshot)) == [((*WHO, "gpu", "counter", "prompt"), Decimal("1.500001"))]
    assert list(rows.token_pending(snapshot)) == [(WHO, Decimal("0.000012"))]


def test_grams_of_tokens_add_up() -> None:
    snapshot = shown(Tokens(token_g={(RED, "prompt"): 0.5, (BLUE, "prompt"): 0.25, (RED, "standby"): 2.0}))
    assert list(rows.token_emissions(snapshot)) == [((*WHO, "prompt"), 0.75), ((*WHO, "standby"), 2.0)]


def test_prices_do_not_add_up() -> None:
    told = {(RED, "generated", "value"): 0.5, (BLUE, "generated", "value"): 0.25, (RED, "generated", "low"): 0.4}
    found = list(rows.token_price(shown(Tokens(token_price=told))))
    assert found == [((*WHO, "generated", "low"), 0.4), ((*WHO, "generated", "value"), 0.25)]


def test_requests_are_told_by_tenant() -> None:
    energy, tokens = {(RED, "a", "prompt"): 3, (BLUE, "a", "prompt"): 4}, {(RED, "a\ud800", "prompt"): 9}
    snapshot = shown(Tokens(request_uj=energy, request_tokens=tokens))
    assert list(rows.request_energy(snapshot)) == [((*WHO, "a", "prompt"), Decimal("0.000007"))]
    assert list(rows.request_tokens(snapshot)) == [((*WHO, "a?", "prompt"), 9)]


def test_an_engine_that_counts_no_requests_has_no_row_of_none() -> None:
    totals, at = Totals(), Instant(1, 1)
    for job, requests in (("told", 3), ("untold", 0), ("program", 0)):
        totals.add_work(Work(Workload(job), at, 10, 0, 5, requests))
    totals.tokens = Tokens(engines={"a:1": Workload("told"), "a:2": Workload("untold"), "a:3": Workload("silent")})
    found = {labels[0]: n for labels, n in rows.requests(totals.snapshot(State()))}
    assert found == {"told": 3, "program": 0}


def test_prices_of_a_job_with_and_without_a_model_stand_side_by_side() -> None:
    """A model that is not known does not compare with one that is."""
    told = {(Workload("serve", model), "prompt", "value"): 1.0 for model in (None, "m")}
    assert [labels[1] for labels, _ in rows.token_price(shown(Tokens(token_price=told)))] == ["", "m"]
