"""What servers and spans say of their tokens, in all the forms that are about, and in forms that cannot be."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattledger.integrations._usage import MOST_TOKENS, NO_USAGE, Counts, counted, of_span, of_usage

CHAT = {"prompt_tokens": 12, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 5}}
RESPONSES = {"input_tokens": 12, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 5}}
ANYTHING = st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=3), st.booleans(), st.integers(0, 2 * MOST_TOKENS))


def objects(usage: Any) -> Any:
    return SimpleNamespace(**{k: objects(v) for k, v in usage.items()}) if isinstance(usage, dict) else usage


@pytest.mark.parametrize("usage", [CHAT, RESPONSES])
def test_both_interfaces_say_the_same(usage: dict[str, Any]) -> None:
    assert of_usage(usage) == of_usage(objects(usage)) == Counts(7, 5, 4)


@pytest.mark.parametrize("names", [("input_tokens", "output_tokens"), ("prompt_tokens", "completion_tokens")])
def test_spans_of_both_conventions_say_the_same(names: tuple[str, str]) -> None:
    said = {f"gen_ai.usage.{name}": n for name, n in zip(names, (12, 4), strict=True)}
    assert of_span({**said, "gen_ai.usage.cache_read.input_tokens": 5}) == Counts(7, 5, 4)


def test_an_embedding_generates_nothing() -> None:
    assert of_usage({"prompt_tokens": 7, "total_tokens": 7}, generates=False) == Counts(7, None, 0)


@pytest.mark.parametrize("usage", [None, {"prompt_tokens": 0, "completion_tokens": 0}])
def test_no_usage_is_not_zero_tokens(usage: Any) -> None:
    assert of_usage(usage) == NO_USAGE


def test_a_part_of_the_usage_is_carried_and_said() -> None:
    assert of_usage({"prompt_tokens": 7}) == Counts(7, None, None, "only a part of the usage was told")


def test_more_hits_than_input_are_no_hits() -> None:
    assert counted(3, 5, 1) == Counts(3, 0, 1, "5 cached of 3 input tokens: taken as none cached")


@given(ANYTHING, ANYTHING, ANYTHING)
def test_whatever_is_told_the_counts_can_be_or_are_absent(given_: Any, cached: Any, made: Any) -> None:
    found = counted(given_, cached, made)
    told = [n for n in found[:3] if n is not None]
    assert all(type(n) is int and 0 <= n <= MOST_TOKENS for n in told)
    if found.prompt is not None:
        assert found.prompt + (found.cached or 0) == given_
    assert found.known or found.note


def test_a_number_too_long_to_be_written_is_left_out() -> None:
    assert counted(10**5000, None, 4).note == "input tokens = a huge number: left out"
