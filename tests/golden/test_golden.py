"""A capture replays to its golden files; `python -m tests.golden.scenario` writes them anew when a change is meant."""

import pytest
from tests.golden.scenario import CAPTURE, HEADER, HERE, batches, renderings

from wattledger.testing import load_capture

NAMES = ("two_jobs.prom", "two_jobs.openmetrics", "two_jobs.jsonl", "two_jobs.console.txt", "two_jobs.replay.txt")


def test_the_stored_capture_holds_exactly_the_scenario() -> None:
    capture = load_capture(CAPTURE)
    assert capture.batches == batches()
    assert {key: capture.header[key] for key in HEADER} == HEADER


@pytest.mark.parametrize("name", NAMES)
def test_a_capture_renders_to_its_golden_file(name: str) -> None:
    assert renderings()[name].decode() == (HERE / name).read_text(encoding="utf-8")


def test_every_rendering_has_a_golden_file() -> None:
    assert set(renderings()) == set(NAMES)
