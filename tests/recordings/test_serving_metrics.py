"""Texts that engines were recorded with: what is sound in them is counted, what is not is told."""

import os
from pathlib import Path

import pytest
from tests.sources.engines.published import counts, faults, host, publishing, read, served

from wattledger.core.model import Sample
from wattledger.sources import engines

RECORDINGS = os.environ.get("WATTLEDGER_RECORDINGS")
pytestmark = pytest.mark.skipif(not RECORDINGS, reason="WATTLEDGER_RECORDINGS names no folder of recordings")


def recorded(name: str) -> tuple[list[Sample], tuple[str, ...]]:
    """What the source makes of a text, recognised by itself, and its notes."""
    assert RECORDINGS
    with publishing(Path(RECORDINGS, "serving_metrics", name).read_bytes()) as engine:
        source = engines.open(host(urls=engine.url()))
        samples = read(source)
        source.close()
        return samples, tuple(getattr(source, "notes", ()))


def test_histograms_of_vllm_are_its_tokens_and_its_requests() -> None:
    """Another family has the same requests under another name; these are not added to them."""
    samples, notes = recorded("vllm_metrics.txt")
    sample, *_ = served(samples)
    assert (sample.model, counts(sample)) == ("m", (906_000 - 371_460, 371_460, 288_000, 2_000, None, 14))
    assert any("count when a request has ended" in note for note in notes)


def test_totals_without_a_label_beside_many_models_are_counted_under_none() -> None:
    """And histograms that are not monotone are no reason to refuse them."""
    samples, notes = recorded("vllm_metrics_live.txt")
    sample, *_ = served(samples)
    assert sample.model == ""
    assert counts(sample)[:3] == (9_302, 0, 18_461)
    assert sample.running == 2
    assert any("without a model although several are named" in note for note in notes)
    assert faults(samples) == []


def test_sglang_without_counters_of_tokens_is_refused_in_one_line() -> None:
    samples, _ = recorded("sglang_metrics.txt")
    assert served(samples) == []
    (what,) = faults(samples)
    assert what.endswith("it counts requests, but no tokens")
