"""A recorded stream of code completions, through an engine model with true energies per request."""

import os
from pathlib import Path

import pytest
from tests.serving.engine_model import Engine
from tests.serving.judge import Verdict, judge
from tests.serving.samples import Eyes
from tests.serving.workloads import recorded_code

RECORDINGS = os.environ.get("WATTLEDGER_RECORDINGS")
pytestmark = pytest.mark.skipif(not RECORDINGS, reason="WATTLEDGER_RECORDINGS names no folder of recordings")

TRACE = ("llm_traces", "AzureLLMInferenceTrace_code.csv")
START_S, LENGTH_S = 300.0, 1200.0


@pytest.fixture(scope="module", params=[1.0, 5.0], ids=["1 s", "5 s"])
def verdict(request: pytest.FixtureRequest) -> Verdict:
    assert RECORDINGS
    played = Engine().play(recorded_code(Path(RECORDINGS, *TRACE), START_S, LENGTH_S))
    return judge(played, Eyes(request.param))


def test_a_code_completion_is_within_fifteen_per_cent_of_the_truth(verdict: Verdict) -> None:
    assert verdict.told == 1.0
    assert verdict.median <= 0.15


def test_stated_intervals_of_code_completions_hold_nine_in_ten(verdict: Verdict) -> None:
    assert verdict.coverage >= 0.90


def test_prompts_and_idle_of_code_completions_are_within_five_per_cent(verdict: Verdict) -> None:
    assert abs(verdict.prompt_price) <= 0.05
    assert abs(verdict.idle) <= 0.05


def test_code_completions_lose_not_a_microjoule(verdict: Verdict) -> None:
    assert verdict.lost_uj == (0, 0, 0)
