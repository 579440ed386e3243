"""Engines that nobody named: among the listeners of a node, and in its pods."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sources.engines.node_tree import Node
from tests.sources.engines.published import Clock, Published, faults, host, publishing, read, served, text

from wattledger.core.ports import Fetch, Host, Request, SourceFailed
from wattledger.runtime.fetch import make_fetch
from wattledger.sources import engines
from wattledger.sources.engines.discovery import Discovery
from wattledger.sources.engines.places import Place
from wattledger.sources.engines.pods import PodList, places


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.fixture
def engine() -> Iterator[Published]:
    with publishing(text("llamacpp.txt")) as made:
        yield made


def looked(place: Host) -> Discovery:
    discovery = Discovery(place)
    discovery.look(Clock())
    return discovery


def ports(node: Node, **options: object) -> Host:
    return host(str(node.proc), discover="ports", **options)


def test_a_listener_with_an_engines_words_is_asked_and_found(node: Node, engine: Published) -> None:
    node.process(60, "llama-server --metrics")
    node.listen(60, engine.port)
    assert looked(ports(node)).places == (Place("", engine.url(), "", "ports"),)
    assert engine.asked == ["/metrics"]


def test_nobody_else_is_asked_anything(node: Node, engine: Published) -> None:
    """No other listener, none of another network, and no process that only speaks of engines."""
    node.process(60, "python3 notes.py vllm")
    node.listen(60, engine.port)
    node.process(61, "llama-server", net="net:[4026532001]")
    node.listen(61, engine.port, net="net:[4026532001]")
    assert looked(ports(node)).places == ()
    assert engine.asked == []


def test_an_engine_without_metrics_is_asked_once_a_minute(node: Node, engine: Published) -> None:
    del engine.pages["/metrics"]
    node.process(60, "llama-server")
    node.listen(60, engine.port)
    clock = Clock()
    source = engines.open(ports(node))
    for clock.s in (0, 1, 59, 61, 62):
        heard = len(engine.asked)
        assert list(source.read(clock, True)) == []
        if clock.s in (0, 61):
            _until(lambda heard=heard: len(engine.asked) == heard + 2)
    source.close()
    assert engine.asked == ["/metrics", "/v1/metrics"] * 2


def _until(holds: Any) -> None:
    pause = threading.Event()
    for _ in range(2_000):
        if holds():
            return
        pause.wait(0.005)
    raise AssertionError("it never came")


def test_a_found_engine_is_read_and_let_go_when_it_has_ended(node: Node, engine: Published) -> None:
    node.process(60, "llama-server", start=9)
    node.listen(60, engine.port)
    clock = Clock()
    source = engines.open(ports(node))
    sample, *_ = served(read(source, clock))
    assert (sample.engine, sample.who) == (f"llamacpp {engine.address}", "pid:60")
    (node.proc / "60" / "cmdline").write_bytes(b"")
    clock.s = 61
    _until(lambda: not served(list(source.read(clock, True))))
    source.close()


def test_a_configured_engine_is_not_found_a_second_time(node: Node, engine: Published) -> None:
    node.process(60, "llama-server")
    node.listen(60, engine.port)
    source = engines.open(ports(node, urls=f"llamacpp={engine.url()}#model=mine"))
    samples = read(source, until=lambda s: len(served(s)) >= 5)
    source.close()
    assert {sample.model for sample in served(samples)} == {"mine"}


def test_ollama_is_found_by_its_list_of_models(node: Node) -> None:
    with publishing() as engine:
        engine.pages = {"/api/ps": text("ollama_ps.json")}
        node.process(60, "ollama serve")
        node.listen(60, engine.port, "127.0.0.1")
        assert looked(ports(node)).places == (Place("ollama", engine.url("/api/ps"), "", "ports"),)


def test_no_processes_to_be_seen_is_a_failure_and_what_was_found_stays(node: Node, engine: Published) -> None:
    node.process(60, "llama-server")
    node.listen(60, engine.port)
    discovery = looked(ports(node))
    found = discovery.places
    node.proc.rename(node.proc.with_name("gone"))
    for _ in range(2):
        discovery.look(Clock())
    assert found
    assert discovery.places == found
    assert discovery.failing
    (what,) = faults(discovery.faults())
    assert "shows no processes" in what
    assert discovery.faults() == []


def pod(ip: str = "10.1.0.5", phase: str = "Running", **notes: str) -> dict[str, Any]:
    names = {key.replace("__", ".io/").replace("_", "."): value for key, value in notes.items()}
    return {"metadata": {"name": "p", "annotations": names}, "status": {"phase": phase, "podIP": ip}}


def listed(*items: object) -> list[Place]:
    return list(places("https://kubelet/pods", json.dumps({"items": items}).encode()))


@pytest.mark.parametrize(
    ("item", "place"),
    [
        (pod(wattledger__engine="vllm", wattledger__port="8000"), Place("vllm", "http://10.1.0.5:8000/metrics", "", "pod")),
        (pod(wattledger__engine="NIM", wattledger__port="8000"), Place("nim", "http://10.1.0.5:8000/v1/metrics", "", "pod")),
        (
            pod(wattledger__engine="auto", prometheus__port="80", prometheus__path="m", wattledger__model="big"),
            Place("", "http://10.1.0.5:80/m", "big", "pod"),
        ),
        (
            pod("fd00::5", wattledger__engine="tgi", wattledger__port="80", wattledger__path="/m"),
            Place("tgi", "http://[fd00::5]:80/m", "", "pod"),
        ),
        (pod(prometheus__scrape="true", prometheus__port="8000"), Place("", "http://10.1.0.5:8000/metrics", "", "scraped")),
    ],
)
def test_a_pod_says_where_its_engine_answers(item: dict[str, Any], place: Place) -> None:
    assert listed(item) == [place]


@pytest.mark.parametrize(
    "item",
    [
        pod(),
        pod(wattledger__engine="vlm", wattledger__port="8000"),
        pod(wattledger__engine="vllm"),
        pod(wattledger__engine="vllm", wattledger__port="http"),
        pod(wattledger__engine="vllm", wattledger__port="70000"),
        pod(prometheus__scrape="false", prometheus__port="8000"),
        pod(phase="Pending", wattledger__engine="vllm", wattledger__port="8000"),
        pod("", wattledger__engine="vllm", wattledger__port="8000"),
        pod("evil.test", wattledger__engine="vllm", wattledger__port="8000"),
        {"metadata": None},
        {},
        7,
        None,
    ],
)
def test_a_pod_that_says_no_such_thing_is_passed_over(item: object) -> None:
    assert listed(item) == []


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"kind": "Status"}', b"[" * 100_000])
def test_what_is_no_list_of_pods_is_a_failure(body: bytes) -> None:
    with pytest.raises(SourceFailed, match="engines: https://kubelet/pods: the reply is not a list of pods"):
        list(places("https://kubelet/pods", body))


class Kubelet:
    """Answers for ``https://kubelet/pods``; everything else is fetched.  State: what it says, and what it was asked."""

    def __init__(self, *items: object) -> None:
        self.body: bytes | None = json.dumps({"items": items}).encode()
        self.seen: list[Request] = []
        self._fetch = make_fetch()

    def __call__(self, request: Request) -> bytes:
        if "://kubelet" not in request.url:
            return self._fetch(request)
        self.seen.append(request)
        if self.body is None:
            raise SourceFailed(f"{request.url}: HTTP 403 Forbidden")
        return self.body


def pods(fetch: Fetch, **options: object) -> Host:
    return host(discover="pods", pods_url="https://kubelet/pods", **options)._replace(fetch=fetch)


def test_an_annotated_pods_engine_is_read(engine: Published) -> None:
    kubelet = Kubelet(pod("127.0.0.1", wattledger__engine="llamacpp", wattledger__port=str(engine.port), wattledger__model="mine"))
    source = engines.open(pods(kubelet))
    sample, *_ = served(read(source))
    source.close()
    assert (sample.engine, sample.model) == (f"llamacpp {engine.address}", "mine")


def test_what_is_scraped_anyway_is_read_only_where_it_speaks_as_an_engine(engine: Published) -> None:
    with publishing(b"node_load1 3\n") as other:
        items = [pod("127.0.0.1", prometheus__scrape="true", prometheus__port=str(one.port)) for one in (engine, other)]
        discovery = looked(pods(Kubelet(*items)))
    assert [place.url for place in discovery.places] == [engine.url()]


def test_a_kubelet_that_refuses_is_told_once_and_what_was_found_stays(engine: Published) -> None:
    kubelet = Kubelet(pod("127.0.0.1", wattledger__engine="llamacpp", wattledger__port=str(engine.port)))
    discovery = looked(pods(kubelet))
    kubelet.body = None
    for _ in range(2):
        discovery.look(Clock())
    assert len(discovery.places) == 1
    assert faults(discovery.faults()) == ["engines: https://kubelet/pods: HTTP 403 Forbidden"]
    assert discovery.failing
    kubelet.body = b'{"items": []}'
    discovery.look(Clock())
    assert len(discovery.places) == 0
    assert not discovery.failing


def test_the_token_is_read_each_time_and_never_sent_in_the_clear(tmp_path: Path) -> None:
    token = tmp_path / "token"
    kubelet = Kubelet()
    place = pods(kubelet, token_file=str(token), ca_file="ca.crt")
    PodList(place).read()
    for word in ("first", "second"):
        token.write_text(f"{word}\n")
        PodList(place).read()
    clear = place._replace(options={**place.options, "pods_url": "http://kubelet/pods", "verify": False})
    PodList(clear).read()
    assert [request.headers.get("Authorization") for request in kubelet.seen] == [None, "Bearer first", "Bearer second", None]
    assert [request.verify for request in kubelet.seen] == ["ca.crt"] * 3 + [False]
    token.write_bytes(b"\xff")
    with pytest.raises(SourceFailed, match="cannot read token_file"):
        PodList(place).read()


def test_pods_without_the_kubelets_address_are_noted() -> None:
    discovery = looked(host(discover="pods"))
    assert discovery.notes == ("engines: discover asks for pods, but pods_url is not set (e.g. https://127.0.0.1:10250/pods)",)
