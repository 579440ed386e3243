"""Serving engines' pages: whatever a page says, counts are whole numbers from 0 on that the books can hold, and models have names.

Engines are often their users' own, and pods may announce themselves as engines.
"""

from hypothesis import example, given
from hypothesis import strategies as st
from tests.fuzz.kit import as_json, bent_bytes, fuzzed, is_count, is_label, json_bytes, junk, raw, taken, texts

from wattledger.core.model import Fault, Instant, Sample, Served
from wattledger.core.ports import Host, Request, SourceFailed
from wattledger.sources.engines import known, ollama
from wattledger.sources.engines.exposition import parse
from wattledger.sources.engines.places import Place, configured
from wattledger.sources.engines.scrape import NONSENSE, Scrape
from wattledger.sources.engines.steady import Steady

COUNTS = 1 << 53  # a float counts no further by ones
NAMES = (
    "vllm:prompt_tokens_total", "vllm:generation_tokens_total", "vllm:prefix_cache_hits_total", "vllm:num_requests_running",
    "vllm:request_success_total", "vllm:iteration_tokens_total_count", "vllm:prompt_tokens_by_source_total",
    "sglang:prompt_tokens_total",
    "sglang:generation_tokens_total", "tgi_request_input_length_sum", "tgi_request_generated_tokens_sum",
    "llamacpp:prompt_tokens_total",
    "llamacpp:tokens_predicted_total", "prompt_tokens_total", "generation_tokens_total", "process_start_time_seconds",
    "nv_inference_count",
)  # fmt: skip
LABELS = ("model_name", "model", "engine", "dp_rank", "tp_rank", "pp_rank", "source", "finished_reason")
words = (
    st.sampled_from(["0", "5", "1e3", "-1", "NaN", "+Inf", "1e300", "9e15", "4.6e18", "1_000", "0x5", "9" * 400])
    | st.floats().map(repr)
    | st.integers(0, 10**6).map(str)
)
label = st.tuples(st.sampled_from(LABELS), texts.map(lambda t: t.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')))
line = st.builds(
    lambda name, labels, value: f"{name}{{{','.join(f'{k}=' + chr(34) + v + chr(34) for k, v in labels)}}} {value}\n",
    st.sampled_from(NAMES), st.lists(label, max_size=3), words,
)  # fmt: skip
pages = st.lists(line, max_size=8).map(lambda lines: "".join(lines).encode("utf-8", "replace"))
VLLM = b'vllm:prompt_tokens_total{model_name="m",engine="0"} 100.0\nvllm:generation_tokens_total{model_name="m",engine="0"} 50.0\n'
bodies = raw | pages | bent_bytes(VLLM)
CROWD = "".join(
    f'vllm:{kind}_tokens_total{{model_name="m",engine="{n}"}} 9e15\n' for n in range(40) for kind in ("prompt", "generation")
)
MANY = "".join(
    f'vllm:{kind}_tokens_total{{model_name="m",finished_reason="{n}"}} 4.6e18\n'
    for n in range(9)
    for kind in ("prompt", "generation")
)


def sane(samples: list[Sample]) -> None:
    for sample in samples:
        match sample:
            case Served():
                counts = (sample.prompt_tokens, sample.cached_tokens, sample.generated_tokens, sample.requests)
                assert all(is_count(n, 1 << 63) for n in counts)
                assert sample.steps is None or is_count(sample.steps)
                assert sample.running is None or is_count(sample.running)
                assert is_label(sample.model, 256)
                assert is_label(sample.engine, 256)
                assert is_label(sample.setup, 600)
            case Fault(what=what):
                assert "\n" not in what
                assert len(what) < 1_000


@fuzzed(5)
@given(bodies)
@example(b"a" * 1_000_000 + b"\n")
@example(b"a{" + b'b="c",' * 50_000 + b"} 1\n")
@example(b'a{b="' + b'\\"' * 100_000 + b"\n")
@example(MANY.encode())
@example(CROWD.encode())
def test_any_text_of_metrics_is_counts_or_a_refusal(body: bytes) -> None:
    said = taken(lambda: parse(body), SourceFailed)
    if said is None:
        return
    assert all(isinstance(name, str) for name in said.families)
    assert all(word.isprintable() for word in said.odd)
    for engine in known.ENGINES.values():
        reading = engine.read(said)
        for model, replicas in reading.counts.items():
            assert is_label(model, 256)
            total, _ = Steady().take(model, replicas)
            assert all(is_count(n, COUNTS) for n in total[:4])
        assert all("\n" not in word for word in (*reading.odd, *reading.refused, reading.seen))


@fuzzed(2)
@given(st.lists(bodies, min_size=1, max_size=3), json_bytes, st.sampled_from(["", *known.ENGINES]))
@example([VLLM, MANY.encode()], b"{}", "vllm")
@example([VLLM], b'{"version": "' + b"x" * 100_000 + b'"}', "vllm")
@example([VLLM.replace(b'"m"', b'"a\\nb"')], b"{}", "vllm")
@example([VLLM.replace(b'"m"', b'"' + b"m" * 100_000 + b'"')], b"{}", "vllm")
@example([b"tgi_request_input_length_sum 5\ntgi_request_generated_tokens_sum 5\n"], b'{"model_id": "a\\nb", "version": 7}', "tgi")
def test_an_engine_is_followed_whatever_it_says(replies: list[bytes], about: bytes, engine: str) -> None:
    left = list(replies)

    def fetch(request: Request) -> bytes:
        return left.pop(0) if request.url.endswith("/metrics") and left else about

    scrape = Scrape(Host("", "/nowhere", {}, (), True, {}, fetch), Place(engine, "http://127.0.0.1:8000/metrics"))
    for n in range(len(replies) + 1):
        sane(scrape.look(lambda: Instant(n * 10**9, n * 10**9)))  # noqa: B023 - called at once
        assert all(note.isprintable() and len(note) < 1_500 for note in scrape.said.notes())


@fuzzed(2)
@given(json_bytes | st.lists(junk, max_size=3).map(lambda models: as_json({"models": models})))
def test_any_list_of_loaded_models_is_names_or_nonsense(body: bytes) -> None:
    try:
        found = ollama.loaded(body)
    except NONSENSE:
        return  # which its caller takes for what it is
    assert all(isinstance(name, str) for name in found)


@fuzzed(3)
@given(texts | st.tuples(st.sampled_from([*known.ENGINES, "", "x"]), texts).map("=http://".join))
@example("vllm=http://[::1")
@example("vllm=http://h:99999999999")
@example("vllm=http://h:²/")
@example("vllm=http://user:secret@h/")
def test_any_words_for_engines_are_addresses_or_complaints(words: str) -> None:
    found, wrong = configured(words)
    for place in found:
        assert 0 < place.port < 65_536
        assert place.host
        assert "@" not in place.url.partition("?")[0].partition("//")[2].partition("/")[0]
    assert all("secret" not in line for line in wrong)
