"""What the doctor says of each engine."""

import os
from pathlib import Path

import pytest
from tests.sources.engines.node_tree import Node
from tests.sources.engines.published import host, publishing, text

from wattledger.sources import engines


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_an_engine_that_counts_is_usable_with_what_was_seen() -> None:
    with publishing(text("vllm.txt")) as engine:
        (finding,) = engines.examine(host("/proc", urls=engine.url()))
    assert (finding.source, finding.sensor, finding.state) == ("engines", f"vllm {engine.address}", "usable")
    assert "counts by vllm:prompt_tokens_by_source_total" in finding.why
    assert f"acme/writer-8b: 16000 prompt, 3600 cached, 8400 generated; energy of pid:{os.getpid()}" in finding.why


def test_what_is_not_known_of_it_stands_beside() -> None:
    with publishing(text("tgi.txt")) as engine:
        usable, at_end, why = engines.examine(host(urls=engine.url()))
    assert "add #model=NAME" in usable.why
    assert "when a request has ended" in at_end.why
    assert "nobody's energy can be named" in why.why


def test_engines_that_fail_are_broken_each_with_its_reason() -> None:
    with publishing(b"<html></html>\n") as page, publishing(text("llamacpp.txt")) as engine:
        with publishing() as ended:
            url = ended.url()
        del engine.pages["/metrics"]
        urls = f"vllm={page.url()}, llamacpp={engine.url()}, {url}"
        html, missing, refused = engines.examine(host(urls=urls))
    assert {html.state, missing.state, refused.state} == {"broken"}
    assert "web page" in html.why
    assert "404" in missing.why
    assert missing.remedy == "start it with --metrics"
    assert "refused" in refused.why
    assert url in refused.remedy


def test_an_engine_that_hangs_costs_its_own_time_only() -> None:
    with publishing(text("llamacpp.txt")) as good, publishing() as slow:
        slow.free.clear()
        broken, usable, _ = engines.examine(host(urls=f"vllm={slow.url()},{good.url()}", timeout_s=0.2))
        slow.free.set()
    assert (broken.state, usable.state) == ("broken", "usable")
    assert "no answer within 0.2 s" in broken.why


def test_ollama_is_absent_and_says_what_to_do() -> None:
    with publishing() as engine:
        engine.pages = {"/api/ps": text("ollama_ps.json")}
        (finding,) = engines.examine(host(urls=f"ollama={engine.url('')}"))
    assert finding.state == "absent"
    assert "writer:8b" in finding.why
    assert "wattledger.integrations.openai" in finding.why


def test_nothing_named_is_absent_with_the_setting(node: Node) -> None:
    (finding,) = engines.examine(host(str(node.proc)))
    assert (finding.state, finding.why) == ("absent", "no serving engine is named, and none is seen to listen here")
    assert "set [sources.engines] urls =" in finding.remedy


def test_an_engine_that_listens_unnamed_is_named_by_the_remedy(node: Node) -> None:
    node.process(60, "python3 -m sglang.launch_server")
    node.listen(60, 30_000)
    (finding,) = engines.examine(host(str(node.proc)))
    assert finding.state == "absent"
    assert "sglang listens on port 30000" in finding.why
    assert finding.remedy == 'set [sources.engines] urls = "sglang=http://127.0.0.1:30000/metrics"'


def test_what_is_looked_for_and_not_found_is_absent(node: Node) -> None:
    node.process(60, "bash")
    note, finding = engines.examine(host(str(node.proc), discover="all"))
    assert "pods_url is not set" in note.why
    assert (finding.state, finding.why) == ("absent", "no engine was found by discover")


def test_a_way_that_fails_and_words_that_are_wrong_are_broken(tmp_path: Path) -> None:
    wrong, way = engines.examine(host(str(tmp_path), discover="ports", urls="vlm=http://h:1"))
    assert (wrong.state, way.state) == ("broken", "broken")
    assert "did you mean vllm?" in wrong.why
    assert "shows no processes" in way.why
