"""Labels: what is summed, what is believed once, what is refused."""

import pytest

from wattledger.sources.engines import llamacpp, sglang, tgi, vllm
from wattledger.sources.engines.exposition import parse
from wattledger.sources.engines.reading import Counts, Reading

P, G, R = "vllm:prompt_tokens_total", "vllm:generation_tokens_total", "vllm:request_success_total"


def read(*lines: str) -> Reading:
    return vllm.read(parse("".join(f"{line}\n" for line in lines).encode()))


def figures(reading: Reading) -> dict[str, dict[str, tuple[int | None, int | None]]]:
    """Computed and generated tokens by model and replica."""
    return {m: {r: (c.computed, c.generated) for r, c in replicas.items()} for m, replicas in reading.counts.items()}


def test_replicas_stand_beside_each_other_and_reasons_are_summed() -> None:
    reading = read(
        f'{P}{{model_name="m",engine="0"}} 10', f'{P}{{model_name="m",engine="1"}} 20',
        f'{G}{{model_name="m",engine="0"}} 3', f'{G}{{model_name="m",engine="1"}} 4',
        f'{R}{{model_name="m",engine="0",finished_reason="stop"}} 5',
        f'{R}{{model_name="m",engine="0",finished_reason="length"}} 6',
    )  # fmt: skip
    assert figures(reading) == {"m": {"0": (10, 3), "1": (20, 4)}}
    assert reading.counts["m"]["0"].requests == 11


def test_several_models_are_kept_apart() -> None:
    reading = read(*(f'{name}{{model_name="{model}"}} {n}' for name in (P, G) for model, n in (("a", 1), ("b", 2))))
    assert figures(reading) == {"a": {"": (1, 1)}, "b": {"": (2, 2)}}


def test_ranks_do_the_same_work_and_one_is_believed() -> None:
    lines = [
        f'sglang:{name}_tokens_total{{model_name="m",tp_rank="{tp}",pp_rank="{pp}"}} {n}'
        for name, n in (("prompt", 100), ("generation", 10)) for tp in range(8) for pp in range(2)
    ]  # fmt: skip
    reading = sglang.read(parse(("\n".join(lines) + "\n").encode()))
    assert figures(reading) == {"m": {"": (100, 10)}}
    assert reading.ranks == 16


def test_where_one_figure_names_no_replicas_none_are_kept_apart() -> None:
    reading = read(
        f'{P}{{model_name="m",engine="0"}} 10', f'{P}{{model_name="m",engine="1"}} 20', f'{G}{{model_name="m"}} 7',
    )  # fmt: skip
    assert figures(reading) == {"m": {"": (30, 7)}}


def test_a_total_beside_its_parts_is_not_added_to_them() -> None:
    reading = read(
        f"{P} 30", f'{P}{{model_name="a"}} 10', f'{P}{{model_name="b"}} 20', f'{G}{{model_name="a"}} 1', f'{G}{{model_name="b"}} 2',
    )  # fmt: skip
    assert figures(reading) == {"a": {"": (10, 1)}, "b": {"": (20, 2)}}
    assert reading.odd == (f"{P} is told with and without a model: what has none was left out",)


def test_tokens_without_a_name_are_the_one_models_that_is_named() -> None:
    reading = read(f"{P} 30", f"{G} 3", f'{R}{{model_name="m"}} 2')
    assert figures(reading) == {"m": {"": (30, 3)}}
    assert reading.nameless
    assert reading.odd == ()


def test_tokens_without_a_name_beside_several_are_nobodys() -> None:
    reading = read(f"{P} 30", f"{G} 3", f'{R}{{model_name="a"}} 2', f'{R}{{model_name="b"}} 5')
    assert reading.counts == {"": {"": Counts(30, 30, None, 3, 7, None, None)}}
    assert reading.odd == ("tokens are counted without a model although several are named: they are under no model",)


def test_requests_of_a_model_without_tokens_are_left_out() -> None:
    reading = read(f'{P}{{model_name="m"}} 30', f'{G}{{model_name="m"}} 3', f'{R}{{model_name="other"}} 5')
    assert figures(reading) == {"m": {"": (30, 3)}}
    assert reading.odd == ("requests of other come without counts of tokens: left out",)


NO_COUNTS = [("NaN", "not a number"), ("-1", "negative"), ("+Inf", "too large"), ("-Inf", "negative"), ("4.7e18", "too large")]


@pytest.mark.parametrize(("value", "why"), NO_COUNTS)
def test_a_value_that_is_no_count_refuses_its_model_and_no_other(value: str, why: str) -> None:
    reading = read(
        f'{P}{{model_name="a"}} {value}', f'{P}{{model_name="b"}} 2', f'{G}{{model_name="a"}} 1', f'{G}{{model_name="b"}} 1',
    )  # fmt: skip
    assert figures(reading) == {"b": {"": (2, 1)}}
    assert reading.refused == (f"{P} is {why}: no count",)


@pytest.mark.parametrize("name", ["vllm:num_requests_running", R, "vllm:iteration_tokens_total_count"])
def test_tokens_are_counted_though_another_figure_is_nonsense(name: str) -> None:
    reading = read(f'{P}{{model_name="m"}} 2', f'{G}{{model_name="m"}} 1', f'{name}{{model_name="m"}} NaN')
    assert reading.counts == {"m": {"": Counts(2, 2, None, 1, None, None, None)}}
    assert (reading.refused, reading.odd) == ((), (f"{name} is not a number: no count",))


def test_cached_tokens_are_taken_out_and_never_below_zero() -> None:
    hits = "vllm:prefix_cache_hits"
    assert figures(read(f"{P} 30", f"{G} 3", f"{hits} 12")) == {"": {"": (18, 3)}}
    assert figures(read(f"{P} 30", f"{G} 3", f"{hits} 31")) == {"": {"": (0, 3)}}


def test_what_the_engine_computed_by_its_own_word_goes_before_a_difference() -> None:
    by_source = "vllm:prompt_tokens_by_source_total"
    sources = (f'{by_source}{{source="local_compute"}} 21', f'{by_source}{{source="external_kv_transfer"}} 9')
    reading = read(f"{P} 30", f"{G} 3", *sources)
    assert reading.counts == {"": {"": Counts(30, 21, 9, 3, None, None, None)}}
    first = read(f"{P} 30", f"{G} 3", f'{by_source}{{source="local_compute"}} 30')
    assert first.counts[""][""].cached is None


@pytest.mark.parametrize(("line", "missing"), [(f"{P} 30", "generated"), (f"{G} 30", "prompt")])
def test_half_of_the_counts_are_none(line: str, missing: str) -> None:
    reading = read(line)
    assert (reading.counts, reading.refused) == ({}, (f"it tells no {missing} tokens",))


def test_requests_without_any_tokens_are_refused() -> None:
    reading = read(f'{R}{{model_name="m"}} 5')
    assert (reading.counts, reading.refused) == ({}, ("it counts requests, but no tokens",))


def test_an_engine_that_has_not_served_yet_has_counted_nothing() -> None:
    """Its counters appear with the first request; until then its model is known by a gauge, and that nothing was done is known."""
    nothing = Counts(None, None, None, None, None, None, 0)
    assert sglang.read(parse(b'sglang:num_running_reqs{model_name="m"} 0\n')).counts == {"m": {"": nothing}}
    assert tgi.read(parse(b"")).counts == {"": {"": nothing._replace(running=None)}}


def test_when_the_process_began_is_told_where_it_says_so() -> None:
    assert read(f"{P} 1", f"{G} 1", "process_start_time_seconds 1.5e9").began_s == 1.5e9
    assert read(f"{P} 1", f"{G} 1", "process_start_time_seconds NaN").began_s is None


def test_six_digits_are_told_of() -> None:
    said = parse(b"llamacpp:prompt_tokens_total 1.23457e+06\nllamacpp:tokens_predicted_total 5\n")
    reading = llamacpp.read(said)
    assert reading.counts[""][""].computed == 1_234_570
    assert "six digits" in reading.odd[0]
