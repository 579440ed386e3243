"""Requests against an engine that knows what each of them drew."""

from collections.abc import Callable, Iterable
from functools import cache
from statistics import median

import pytest
from tests.core.served.batching import Load, Run, S, serve
from tests.core.served.stretches import J

from wattledger.core.model import Request
from wattledger.core.served.requests import OpenStretch, RequestBook, SettledRequest
from wattledger.core.tokens import Fit


@cache
def ran(load: str, scrape_s: float) -> Run:
    loads = {"conversation": Load(0.5), "code": Load(0.7, (2000, 0.9), (30, 0.9)), "rush": Load(0.2)}
    return serve(loads[load], 600, seed=2, scrape_s=scrape_s)


def played(run: Run, heard: Callable[[Request], bool] = lambda _: True) -> tuple[list[SettledRequest], tuple[int, int]]:
    """Everything settled, and what the pools held."""
    fit, book, settled = Fit(), RequestBook(), []
    prompt_uj = generated_uj = i = 0
    requests = [one for one in run.requests if heard(one)]
    for one, (start, end, idle) in zip(run.stretches, run.ends, strict=True):
        fit.learn(one)
        found = fit.divide(one)
        prompt_uj, generated_uj = prompt_uj + found.prompt_uj[0], generated_uj + found.generated_uj[0]
        while i < len(requests) and requests[i].end <= end:
            assert book.hear(requests[i]) == ""
            i += 1
        pools = found.prompt_uj[0], found.generated_uj[0], found.prices[0], fit.spread(0, found.scale), fit.weak
        book.add(OpenStretch(start, end, one.done[0], *pools, idle))
        settled += book.settle(end.mono_ns)
        pending = book.pending_uj
        assert sum(one.prompt_uj for one in settled) + pending[0] == prompt_uj
        assert sum(one.generated_uj for one in settled) + pending[1] == generated_uj
    return settled + book.flush(), (prompt_uj, generated_uj)


def errors(run: Run, settled: Iterable[SettledRequest]) -> tuple[float, float]:
    """Median relative error, and the part of requests whose interval holds the truth; the first 200 s are for learning."""
    found = [one for one in settled if one.request and 200 * S < one.request.scheduled.mono_ns < 550 * S]
    truth = [run.truth_j[one.request.id] for one in found if one.request]
    off = [abs(one.prompt_uj + one.generated_uj - true * J) for one, true in zip(found, truth, strict=True)]
    held = [miss <= one.spread_uj for one, miss in zip(found, off, strict=True)]
    return median(miss / true / J for miss, true in zip(off, truth, strict=True)), sum(held) / len(held)


@pytest.mark.parametrize("scrape_s", [1.0, 5.0])
@pytest.mark.parametrize(("load", "most"), [("conversation", 0.05), ("rush", 0.05), ("code", 0.15)])
def test_requests_get_what_they_drew(load: str, most: float, scrape_s: float) -> None:
    run = ran(load, scrape_s)
    settled, pools = played(run)
    assert (sum(one.prompt_uj for one in settled), sum(one.generated_uj for one in settled)) == pools
    error, held = errors(run, settled)
    assert error < most
    assert held >= 0.9


def test_clients_that_tell_nothing_change_little_for_those_who_do() -> None:
    run = ran("conversation", 1.0)
    settled, pools = played(run, lambda one: int(one.id[1:]) % 3 > 0)
    error, held = errors(run, settled)
    assert error < 0.05
    assert held >= 0.9
    untold = sum(joules for id, joules in run.truth_j.items() if int(id[1:]) % 3 == 0) / sum(run.truth_j.values())
    nobody = sum(one.prompt_uj + one.generated_uj for one in settled if one.request is None)
    assert nobody / sum(pools) == pytest.approx(untold, abs=0.05)


def test_the_same_day_is_settled_to_the_same_microjoule() -> None:
    assert played(ran("code", 5.0)) == played(ran("code", 5.0))
