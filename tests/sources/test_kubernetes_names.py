"""What pods and containers are called: from log folders, and from the kubelet's own list."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sources.kubernetes_node import Node, PodsServer, claims, container, holdings, id_of, item, uid_of

from wattledger.core.model import Workload
from wattledger.core.ports import SourceFailed, SourceGone
from wattledger.sources import kubernetes
from wattledger.sources.kubernetes.pods import cores


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.fixture
def kubelet() -> Iterator[PodsServer]:
    with PodsServer().serving() as server:
        yield server


def labels(namespace: str, pod: str, name: str = "", uid: str = "") -> tuple[tuple[str, str], ...]:
    uid = uid or uid_of(pod)
    container_id = id_of(uid, name) if name else ""
    found = {"container_id": container_id, "k8s_container_name": name, "k8s_namespace_name": namespace, "k8s_pod_name": pod}
    return tuple((key, value) for key, value in (found | {"k8s_pod_uid": uid}).items() if value)


def test_log_folders_name_pods_and_containers(node: Node) -> None:
    node.pod("research", "train-0", "main", "side-car")
    static = "5b2c9d1f0a8e4b7c6d5e4f3a2b1c0d9e"  # a static pod's uid is a hash
    node.pod("kube-system", "etcd-node1", "etcd", uid=static)
    source = node.open()
    assert claims(node.read(source)) == {
        f"pod:{uid_of('train-0')}": Workload("train-0", None, labels("research", "train-0")),
        container("train-0"): Workload("train-0", None, labels("research", "train-0", "main")),
        container("train-0", "side-car"): Workload("train-0", None, labels("research", "train-0", "side-car")),
        f"pod:{static}": Workload("etcd-node1", None, labels("kube-system", "etcd-node1", uid=static)),
        f"container:{id_of(static, 'etcd')}": Workload("etcd-node1", None, labels("kube-system", "etcd-node1", "etcd", static)),
    }


def test_what_has_been_said_is_not_said_again(node: Node) -> None:
    node.pod("research", "train-0", "main")
    source = node.open()
    assert node.read(source)
    assert node.read(source) == []


def test_a_pod_that_ended_is_withdrawn(node: Node) -> None:
    node.pod("research", "train-0", "main")
    source = node.open()
    node.read(source)
    node.remove("train-0")
    assert claims(node.read(source)) == {f"pod:{uid_of('train-0')}": None, container("train-0"): None}


def test_it_is_asked_once_a_period_and_at_once_when_a_container_comes(node: Node) -> None:
    node.pod("research", "train-0", "main")
    source = node.open(period_s=10.0)
    node.read(source)
    node.pod("research", "train-1", "main")
    os.utime(node.logs / "containers", (5, 5))
    assert node.read(source, after_s=0.5) == []
    assert claims(node.read(source, after_s=0.5)) == {
        f"pod:{uid_of('train-1')}": Workload("train-1", None, labels("research", "train-1")),
        container("train-1"): Workload("train-1", None, labels("research", "train-1", "main")),
    }


def test_a_boundary_asks_nobody(node: Node, kubelet: PodsServer) -> None:
    source = node.open(kubelet.fetch, pods_url=kubelet.url)
    assert list(source.read(lambda: pytest.fail("the clock was asked"), False)) == []
    assert kubelet.seen == []


def test_files_that_are_no_containers_name_nobody(node: Node) -> None:
    for name in ("readme.txt", "train_research_main-abc.log", "_-_.log"):
        (node.logs / "containers" / name).touch()
    (node.logs / "pods" / "not-a-pod").mkdir()
    assert node.read(node.open()) == []


def test_a_log_that_is_no_link_is_joined_by_its_pods_folder(node: Node) -> None:
    node.pod("research", "train-0", "main")
    link = node.logs / "containers" / f"train-0_research_main-{id_of(uid_of('train-0'), 'main')}.log"
    link.unlink()
    link.touch()
    assert container("train-0") in claims(node.read(node.open()))


def test_the_pod_list_names_the_job_and_the_model(node: Node, kubelet: PodsServer) -> None:
    owner = {"kind": "Job", "name": "finetune", "uid": "11111111-2222-3333-4444-555555555555"}
    kubelet.items = [
        item("research", "finetune-x7", labels={"batch.kubernetes.io/job-name": "finetune"}, ownerReferences=[owner]),
        item("research", "old-x1", labels={"job-name": "old"}),
        item("serving", "api-0", annotations={"wattledger.io/job": "chat", "wattledger.io/model": "llama-3.1-8b"}),
        item("serving", "api-1", labels={"wattledger.io/model": "qwen"}),
        item("serving", "api-2", annotations={"wattledger.io/job": "(idle)\n"}),
    ]
    found = claims(node.read(node.open(kubelet.fetch, pods_url=kubelet.url)))
    said = {who: (w.job, w.model) for who, w in found.items() if w is not None and who.startswith("pod:")}
    assert said == {
        f"pod:{uid_of('finetune-x7')}": ("finetune", None),
        f"pod:{uid_of('old-x1')}": ("old", None),
        f"pod:{uid_of('api-0')}": ("chat", "llama-3.1-8b"),
        f"pod:{uid_of('api-1')}": ("api-1", "qwen"),
        f"pod:{uid_of('api-2')}": ("idle", None),  # nobody takes the meter's own names
    }
    run = ("run_id", "k8s-11111111-2222-3333-4444-555555555555")
    assert found[container("finetune-x7")] == Workload("finetune", None, (*labels("research", "finetune-x7", "main"), run))


def test_the_pod_list_goes_before_the_log_folders(node: Node, kubelet: PodsServer) -> None:
    node.pod("research", "train-0", "main")
    kubelet.items = [item("research", "train-0", labels={"job-name": "train"})]
    found = claims(node.read(node.open(kubelet.fetch, pods_url=kubelet.url)))
    assert {w.job for w in found.values() if w} == {"train"}
    assert set(found) == {f"pod:{uid_of('train-0')}", container("train-0")}


def test_a_static_pod_is_known_by_the_uid_of_its_control_group(node: Node, kubelet: PodsServer) -> None:
    kubelet.items = [item("kube-system", "etcd", annotations={"kubernetes.io/config.hash": "5b2c9d1f0a8e4b7c"})]
    assert "pod:5b2c9d1f0a8e4b7c" in claims(node.read(node.open(kubelet.fetch, pods_url=kubelet.url)))


def test_cpus_asked_for_are_held_while_the_container_runs(node: Node, kubelet: PodsServer) -> None:
    source = node.open(kubelet.fetch, pods_url=kubelet.url)
    kubelet.items = [item("a", "one", cpu="500m"), item("a", "two", cpu="4"), item("a", "none")]
    assert holdings(node.read(source)) == {("cpu", container("one")): 0.5 / 16, ("cpu", container("two")): 4 / 16}
    kubelet.items = [item("a", "one", cpu="500m", phase="Succeeded"), item("a", "two", cpu="2"), item("a", "none")]
    samples = node.read(source)
    assert holdings(samples) == {("cpu", container("one")): 0, ("cpu", container("two")): 2 / 16}
    assert claims(samples) == {container("one"): None, f"pod:{uid_of('one')}": None}


@pytest.mark.parametrize(
    ("quantity", "value"),
    [("500m", 0.5), ("2", 2), ("0.1", 0.1), ("1e3m", 1), ("250000u", 0.25), (3, 3), ("", 0), (None, 0), ("four", 0), ("1Gi", 0)],
)
def test_quantities_of_cpus_are_read_as_the_api_defines_them(quantity: object, value: float) -> None:
    assert cores(quantity) == pytest.approx(value)


def test_a_resized_container_holds_what_it_was_allotted(node: Node, kubelet: PodsServer) -> None:
    pod = item("a", "one", cpu="8")
    pod["status"]["containerStatuses"][0]["allocatedResources"] = {"cpu": "2"}
    kubelet.items = [pod]
    assert holdings(node.read(node.open(kubelet.fetch, pods_url=kubelet.url))) == {("cpu", container("one")): 2 / 16}


def test_the_token_is_read_anew_and_sent_only_under_tls(node: Node, kubelet: PodsServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    source = node.open(kubelet.fetch, pods_url=kubelet.url, token_file=str(token))
    node.read(source)
    token.write_text("second\n")
    node.read(source)
    plain = node.open(kubelet.fetch, pods_url=kubelet.url.replace("https", "http"), token_file=str(token))
    with pytest.raises(SourceFailed):  # nobody listens at that name
        node.read(plain)
    assert [seen.get("Authorization") for seen in kubelet.seen] == ["Bearer first", "Bearer second"]


def test_a_token_that_cannot_be_read_is_said_without_the_token(node: Node, kubelet: PodsServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_bytes(b"s3cret\xff")
    source = node.open(kubelet.fetch, pods_url=kubelet.url, token_file=str(token))
    with pytest.raises(SourceFailed) as failed:
        node.read(source)
    assert "token_file" in str(failed.value)
    assert "s3cret" not in str(failed.value)
    assert kubelet.seen == []


@pytest.mark.parametrize("body", [b"Unauthorized", b"[]", b'{"items": 7}', b'{"items": [7, {}, {"metadata": []}]}'])
def test_a_reply_of_another_shape_names_nobody(node: Node, kubelet: PodsServer, body: bytes) -> None:
    kubelet.body = body
    source = node.open(kubelet.fetch, pods_url=kubelet.url)
    if b"items" in body:
        assert node.read(source) == []
    else:
        with pytest.raises(SourceFailed, match="not a list of pods"):
            node.read(source)


def test_a_kubelet_that_does_not_answer_is_said_once_and_costs_the_logs_nothing(node: Node, kubelet: PodsServer) -> None:
    node.pod("research", "train-0", "main")
    kubelet.body = b"no"
    source = node.open(kubelet.fetch, pods_url=kubelet.url)
    with pytest.raises(SourceFailed):
        node.read(source)
    assert container("train-0") in claims(node.read(source, after_s=1))
    assert node.read(source) == []
    kubelet.body = None
    kubelet.items = [item("research", "train-0", labels={"job-name": "train"})]
    assert {w.job for w in claims(node.read(source)).values() if w} == {"train"}
    kubelet.body = b"no"
    with pytest.raises(SourceFailed):
        node.read(source)


def test_names_outlast_a_kubelet_and_reservations_do_so_for_ten_minutes(node: Node, kubelet: PodsServer) -> None:
    kubelet.items = [item("a", "one", cpu="8")]
    source = node.open(kubelet.fetch, pods_url=kubelet.url)
    node.read(source)
    kubelet.body = b"no"
    with pytest.raises(SourceFailed):
        node.read(source, after_s=500)
    assert node.read(source, after_s=90) == []
    later = node.read(source, after_s=20)
    assert holdings(later) == {("cpu", container("one")): 0}
    assert claims(later) == {}


def test_a_pod_that_came_back_under_its_old_name_is_another(node: Node, kubelet: PodsServer) -> None:
    node.pod("a", "db-0", "main")
    os.utime(node.logs / "pods" / f"a_db-0_{uid_of('db-0')}", (1, 1))
    node.pod("a", "db-0", "main", uid=uid_of("db-0 again"))
    found = claims(node.read(node.open()))
    assert len([who for who in found if who.startswith("pod:")]) == 2
    assert len([who for who in found if who.startswith("container:")]) == 2


def test_hundreds_of_pods_are_named(node: Node, kubelet: PodsServer) -> None:
    kubelet.items = [item("a", f"pod-{n}", cpu="10m") for n in range(300)]
    for n in range(300):
        node.pod("a", f"pod-{n}", "main")
    samples = node.read(node.open(kubelet.fetch, pods_url=kubelet.url))
    assert len(claims(samples)) == 600
    assert sum(holdings(samples).values()) == pytest.approx(300 * 0.01 / 16)


def test_a_machine_without_a_kubelet_says_so(tmp_path: Path) -> None:
    node = Node(tmp_path)
    with pytest.raises(SourceGone, match="not a Kubernetes node"):
        node.open(logs=str(tmp_path / "none"), podresources=str(tmp_path / "none/kubelet.sock"))
    host = node.host(logs=str(tmp_path / "none"))
    assert [finding.state for finding in kubernetes.examine(host)] == ["absent"]
