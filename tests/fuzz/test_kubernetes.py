"""The kubelet's words: its allotments by protobuf, its list of pods by JSON, its log folders' names.

What pods say of themselves is their users' to write: names, labels, annotations, ports.
"""

import json
import os
import tempfile
from concurrent import futures
from pathlib import Path

import grpc
from hypothesis import example, given
from hypothesis import strategies as st
from tests.fuzz.kit import as_json, bent, bent_bytes, fuzzed, is_count, is_label, json_bytes, raw, taken, texts
from tests.sources.kubernetes_node import Node, id_of, item, uid_of

from wattledger.core.model import Claim, Holding, Sample
from wattledger.core.ports import Request, SourceFailed
from wattledger.sources.engines import pods as engines_pods
from wattledger.sources.kubernetes import pods
from wattledger.sources.kubernetes.gpus import Gpus
from wattledger.sources.kubernetes.holdings import allotted
from wattledger.sources.kubernetes.logs import read_logs
from wattledger.sources.kubernetes.names import MOST_CHARACTERS, Names, said_name
from wattledger.sources.kubernetes.podresources import METHOD, Allotment, _messages, lister

LIST = {"kind": "PodList", "items": [
    item("ml", "train", cpu="500m", annotations={"wattledger.io/job": "finetune", "wattledger.io/model": "m"},
    labels={"team": "red"},
         ownerReferences=[{"kind": "Job", "uid": "u-1", "name": "train"}]),
    item("ml", "serve", cpu="2", annotations={"wattledger.io/engine": "vllm", "wattledger.io/port": "8000"}),
]}  # fmt: skip
LIST["items"][1]["status"]["podIP"] = "10.0.0.7"  # type: ignore[index]
HUGE = json.loads(json.dumps(LIST).replace('"500m"', "1" + "0" * 400))


@fuzzed(3)
@given(json_bytes | bent(LIST).map(as_json) | bent_bytes(as_json(LIST)))
@example(b'{"items":' + b"[" * 20_000)
@example(as_json(HUGE))
@example(as_json(LIST).replace(b'"500m"', b"NaN"))
@example(as_json(LIST).replace(b'"500m"', b"1e999"))
def test_any_list_of_pods_is_names_or_a_refusal(body: bytes) -> None:
    found = taken(lambda: pods.parse("https://kubelet", body), SourceFailed)
    if found is None:
        return
    names = Names(*found)
    for pod in names.pods.values():
        assert is_label(pod.job, MOST_CHARACTERS)
        assert not pod.job.startswith("(")
        assert pod.model is None or is_label(pod.model, MOST_CHARACTERS)
    for container in names.containers.values():
        assert 0.0 <= container.cores < float("inf")
        assert is_count(container.attempt)
    for workload in names.workloads().values():
        assert all(is_label(value, MOST_CHARACTERS) for _, value in workload.labels)


@fuzzed(2)
@given(json_bytes | bent(LIST).map(as_json))
@example(b'{"items":' + b"[" * 20_000)
@example(as_json(LIST).replace(b'"8000"', b'"' + b"9" * 5_000 + b'"'))
@example(as_json(LIST).replace(b'"8000"', '"²"'.encode()))
def test_any_list_of_pods_is_addresses_of_engines_or_a_refusal(body: bytes) -> None:
    for place in taken(lambda: list(engines_pods.places("https://kubelet", body)), SourceFailed) or []:
        assert 0 < place.port < 65_536
        assert place.url.startswith("http://")
        assert place.host
        assert is_label(place.url, 4_000)


@fuzzed(3)
@given(st.sampled_from(["500m", "0.5", "1e3m", "1k", "3u"]) | texts | st.floats() | st.integers() | st.just(10**400) | st.none())
def test_any_quantity_is_a_number_of_cores(quantity: object) -> None:
    assert 0.0 <= pods.cores(quantity) < float("inf")


@fuzzed(2)
@given(texts)
def test_what_a_pod_calls_itself_is_one_short_line_and_no_reserved_name(text: str) -> None:
    said = said_name(text)
    assert is_label(said, MOST_CHARACTERS)
    assert not said.startswith("(")


names_in_folders = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=60).filter(
    lambda name: name not in (".", "..") and len(name.encode()) < 250
)


@fuzzed()
@given(
    st.lists(names_in_folders | st.sampled_from([f"ml_train_{uid_of('train')}", "a_b_", "__", "a_b_c_d"]), max_size=4),
    st.lists(st.tuples(names_in_folders | st.just(f"train_ml_main-{id_of('x', 'main')}.log"), names_in_folders), max_size=4),
)
@example(
    [f"ml_train_{uid_of('train')}"], [(f"train_ml_main-{id_of('x', 'main')}.log", "/x/ml_train_aa/main/" + "9" * 200 + ".log")]
)
def test_any_log_folder_names_pods_or_none(folders: list[str], links: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as base:
        (Path(base) / "containers").mkdir()
        for name in set(folders):
            (Path(base) / "pods" / name).mkdir(parents=True)
        for name, target in dict(links).items():
            os.symlink(target, Path(base) / "containers" / name)
        found = taken(lambda: read_logs(base), SourceFailed)
        assert found is not None
        for workload in Names(*found).workloads().values():
            assert workload.job
            assert all(is_label(value, 300) for _, value in workload.labels)
            assert is_label(workload.job, 300)


def allotment() -> bytes:
    """Two GPUs, exclusive CPUs and a claim, as a kubelet says it."""
    _, response = _messages()
    reply = response()
    pod = reply.pod_resources.add(name="train", namespace="ml")
    one = pod.containers.add(name="main", cpu_ids=[0, 1, 1])
    one.devices.add(resource_name="nvidia.com/gpu", device_ids=["GPU-1::0", "0", "nvidia1"])
    one.dynamic_resources.add().claim_resources.add(driver_name="gpu.nvidia.com", device_name="gpu-0")
    return bytes(reply.SerializeToString())


GOOD = allotment()


def _asked(body: bytes) -> list[Allotment] | None:
    """What a real gRPC server on a real socket says, understood or refused."""
    handler = grpc.method_handlers_generic_handler(
        METHOD[1:].rpartition("/")[0], {"List": grpc.unary_unary_rpc_method_handler(lambda *_: body)}
    )
    server = grpc.server(futures.ThreadPoolExecutor(1), handlers=[handler])
    with tempfile.TemporaryDirectory(prefix="wl") as folder:
        server.add_insecure_port(f"unix:{folder}/s")
        server.start()
        try:
            return taken(lister(f"{folder}/s"), SourceFailed)
        finally:
            server.stop(None).wait()


@fuzzed(0.4)
@given(raw | bent_bytes(GOOD))
@example(GOOD)
@example(b"\xff" * 30)
def test_any_allotment_is_taken_or_refused(body: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Path(folder))
        node.gpu("0000:01:00.0", 0, "GPU-1")
        given = _asked(body)
        found = allotted(given or (), Names(), Gpus(str(node.proc)), 16)
        assert body != GOOD or (given is not None and given[0].cpus == 2)
        assert all(0.0 < part <= 1.0 for part, _ in found.held.values())


@fuzzed()
@given(json_bytes | bent(LIST).map(as_json), raw)
def test_the_source_goes_on_after_any_reply(body: bytes, information: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        node = Node(Path(folder))
        node.pod("ml", "train", "main")
        node.gpu("0000:01:00.0", 0, "GPU-1")
        (node.proc / "driver/nvidia/gpus/0000:01:00.0/information").write_bytes(information)
        replies = [body, as_json(LIST)]

        def fetch(_: Request) -> bytes:
            return replies.pop(0) if len(replies) > 1 else replies[0]

        source = node.open(fetch, pods_url="https://kubelet:10250/pods", podresources="")
        found: list[Sample] = []
        for _ in range(2):
            found += taken(lambda: node.read(source), SourceFailed) or []
        assert any(isinstance(s, Claim) and s.workload is not None and s.workload.job == "finetune" for s in found)
        assert all(0.0 <= s.part <= 1.0 for s in found if isinstance(s, Holding))
