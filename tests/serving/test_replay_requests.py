"""The replay: conversations through an engine whose physics the pipeline does not know, request by request against the truth."""

import pytest
from tests.serving.engine_model import Engine, Played
from tests.serving.judge import Verdict, judge
from tests.serving.samples import Eyes
from tests.serving.workloads import conversation

LENGTH_S = 1200.0


@pytest.fixture(scope="module")
def played() -> Played:
    return Engine().play(conversation(1, LENGTH_S))


@pytest.fixture(scope="module", params=[1.0, 5.0], ids=["1 s", "5 s"])
def verdict(request: pytest.FixtureRequest, played: Played) -> Verdict:
    return judge(played, Eyes(request.param))


def test_a_request_of_a_conversation_is_within_five_per_cent_of_the_truth(verdict: Verdict) -> None:
    assert verdict.told == 1.0
    assert verdict.median <= 0.05


def test_stated_intervals_hold_the_truth_of_nine_requests_in_ten(verdict: Verdict) -> None:
    assert verdict.coverage >= 0.90


def test_the_price_of_a_prompt_token_is_within_five_per_cent(verdict: Verdict) -> None:
    assert abs(verdict.prompt_price) <= 0.05


def test_idle_is_within_five_per_cent(verdict: Verdict, request: pytest.FixtureRequest) -> None:
    if verdict.interval_s == 5.0:
        reason = "at half load no stretch of 5 s is quiet, and idle power is told from time by the fit alone: +1 to +24 %"
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    assert abs(verdict.idle) <= 0.05


def test_not_a_microjoule_is_lost_or_invented(verdict: Verdict) -> None:
    assert verdict.lost_uj == (0, 0, 0)
