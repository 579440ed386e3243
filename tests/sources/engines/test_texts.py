"""What each engine's text comes to: the names that it has, old and new."""

import pytest
from tests.sources.engines.published import counts, faults, host, publishing, read, served, text

from wattledger.sources import engines
from wattledger.sources.engines.exposition import parse
from wattledger.sources.engines.known import ENGINES, recognise

# Text, engine, and by model: prompt (computed), cached, generated, requests, steps, running.
TEXTS = [
    ("vllm.txt", "vllm", {"acme/writer-8b": (16_000, 3_600, 8_400, 60, 1_850, 8)}),
    ("vllm_hits.txt", "vllm", {"acme/coder-7b": (4_000, 1_200, 800, 16, 640, 0)}),
    ("vllm_old.txt", "vllm", {"acme/base": (300, 0, 70, 2, None, 1)}),
    ("vllm_histograms.txt", "vllm", {"acme/base": (750, 250, 400, 5, None, None)}),
    ("sglang.txt", "sglang", {"acme/chat-70b": (6_500, 1_500, 1_000, 50, None, 12)}),
    ("sglang_ranks.txt", "sglang", {"acme/moe": (1_000, 0, 60, 0, None, None)}),
    ("tgi.txt", "tgi", {"": (1_280, 0, 640, 20, 500, 4)}),
    ("triton_vllm.txt", "triton", {"writer": (700, 0, 70, 7, None, None), "coder": (330, 0, 33, 3, None, None)}),
    ("nim.txt", "nim", {"acme/writer-8b": (5_000, 0, 1_250, 50, None, 2)}),
    ("llamacpp.txt", "llamacpp", {"": (366, 61, 298, 0, 156, 4)}),
]


@pytest.mark.parametrize(("name", "kind", "expected"), TEXTS)
@pytest.mark.parametrize("said", [True, False], ids=["named", "recognised"])
def test_a_text_comes_to_its_counts(name: str, kind: str, expected: dict[str, tuple[int | None, ...]], said: bool) -> None:
    with publishing(text(name)) as engine:
        source = engines.open(host(urls=f"{kind}={engine.url()}" if said else engine.url()))
        samples = served(read(source))
        source.close()
    assert {sample.model: counts(sample) for sample in samples} == expected
    assert {sample.engine for sample in samples} == {f"{kind} {engine.address}"}
    assert {sample.address for sample in samples} == {engine.address}


@pytest.mark.parametrize(("name", "kind", "_"), TEXTS)
def test_a_text_is_recognised_as_one_engines(name: str, kind: str, _: object) -> None:
    said = parse(text(name))
    found = recognise(said)
    assert found is not None
    assert found.name == kind
    others = {engine.name for engine in ENGINES.values() if engine.recognises(said)} - {kind}
    assert others <= ({"vllm"} if kind == "triton" else set())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vllm.txt", "counts by vllm:prompt_tokens_by_source_total and vllm:generation_tokens_total; steps by vllm:iteration_"),
        ("vllm_hits.txt", "counts by vllm:prompt_tokens_total less vllm:prefix_cache_hits_total and"),
        ("vllm_old.txt", "counts by vllm:prompt_tokens and vllm:generation_tokens; steps by nothing"),
        ("vllm_histograms.txt", "count when a request has ended"),
        ("tgi.txt", "tgi counts tokens when a request has ended"),
    ],
)  # fmt: skip
def test_the_notes_say_which_names_were_seen(name: str, words: str) -> None:
    with publishing(text(name)) as engine:
        source = engines.open(host(urls=engine.url()))
        read(source)
        source.close()
        notes = getattr(source, "notes", ())
    assert any(words in note and engine.address in note for note in notes), notes


def test_triton_without_tokens_says_what_to_do() -> None:
    with publishing(text("triton_trtllm.txt")) as engine:
        source = engines.open(host(urls=f"triton={engine.url()}"))
        samples = read(source)
        source.close()
    assert served(samples) == []
    (what,) = faults(samples)
    assert "count no tokens" in what
    assert "/v1/traces" in what


def test_ollama_tells_its_models_and_that_it_counts_nothing() -> None:
    with publishing() as engine:
        engine.pages["/api/ps"] = text("ollama_ps.json")
        source = engines.open(host(urls=f"ollama={engine.url('')}"))
        read(source, until=lambda _: len(getattr(source, "notes", ())) > 1)
        source.close()
        notes = " ".join(getattr(source, "notes", ()))
    assert engine.asked == ["/api/ps"]
    assert "coder:7b, writer:8b loaded" in notes
    assert "Ollama counts no tokens: use wattledger.integrations.openai" in notes


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"models": 7}', b"<html>", b'{"models": ["x"]}'])
def test_what_is_not_ollamas_list_is_a_failure_in_one_line(body: bytes) -> None:
    with publishing() as engine:
        engine.pages["/api/ps"] = body
        source = engines.open(host(urls=f"ollama={engine.url('')}"))
        (what,) = faults(read(source))
        source.close()
    assert what == f"engines: ollama {engine.address}: the reply is not ollama's list of models"


@pytest.mark.parametrize(
    ("name", "kind", "page", "said", "model", "setup"),
    [
        ("llamacpp.txt", "llamacpp", "/props", b'{"model_alias": "tiny", "build_info": "b9"}', "tiny", "llamacpp, b9"),
        ("llamacpp.txt", "llamacpp", "/props", b'{"model_path": "/models/tiny-q4.gguf"}', "tiny-q4", "llamacpp"),
        ("llamacpp.txt", "llamacpp", "/props", b"[]", "", "llamacpp"),
        ("tgi.txt", "tgi", "/info", b'{"model_id": "acme/falcon", "version": "3.3.4"}', "acme/falcon", "tgi, 3.3.4"),
        ("tgi.txt", "tgi", "/info", b"<html>", "", "tgi"),
        ("vllm_old.txt", "vllm", "/version", b'{"version": "0.6.1"}', "acme/base", "vllm, 0.6.1"),
        ("vllm.txt", "vllm", "/version", b'{"version": 7}', "acme/writer-8b", "vllm, 7, 2 replicas, began 1795340000.00"),
    ],
)
def test_an_engine_is_asked_once_what_it_is(name: str, kind: str, page: str, said: bytes, model: str, setup: str) -> None:
    with publishing(text(name)) as engine:
        engine.pages[page] = said
        source = engines.open(host(urls=f"{kind}={engine.url()}"))
        samples = served(read(source, until=lambda s: len(served(s)) >= 3))
        source.close()
    assert {(sample.model, sample.setup) for sample in samples} == {(model, setup)}
    assert engine.asked[:3] == ["/metrics", page, "/metrics"]
    assert engine.asked.count(page) == 1


def test_the_configuration_names_a_model_that_the_text_does_not() -> None:
    with publishing(text("tgi.txt")) as engine, publishing(text("vllm_old.txt")) as other:
        source = engines.open(host(urls=f"tgi={engine.url()}#model=my%20own,vllm={other.url()}#model=mine"))
        samples = read(source, until=lambda s: len(served(s)) >= 2)
        source.close()
    assert {sample.engine.split()[0]: sample.model for sample in served(samples)} == {"tgi": "my own", "vllm": "acme/base"}
