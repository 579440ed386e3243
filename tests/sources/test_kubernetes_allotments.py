"""Who holds which GPUs and CPUs, asked of a real gRPC server that speaks the kubelet's PodResources proto."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("grpc", reason="PodResources takes grpcio: pip install 'wattledger[kubernetes]'")
pytest.importorskip("grpc_tools", reason="the server's messages are compiled by grpcio-tools")

from tests.servers.podresources import Given, Kubelet, serving
from tests.sources.kubernetes_node import Node, PodsServer, claims, container, holdings, id_of, item, uid_of

from wattledger.core.model import Claim, Device, Holding, Instant, Workload
from wattledger.core.ports import Source, SourceFailed, no_fetch
from wattledger.core.usage import Usage
from wattledger.runtime.runner import Runner
from wattledger.sources import kubernetes

ONE = "GPU-11111111-1111-1111-1111-111111111111"
TWO = "GPU-22222222-2222-2222-2222-222222222222"
SLICE = "MIG-33333333-3333-3333-3333-333333333333"


@pytest.fixture
def node(tmp_path: Path) -> Node:
    made = Node(tmp_path)
    for pod in ("a", "b", "c"):
        made.pod("ns", pod, "main")
    return made


@pytest.fixture
def kubelet() -> Iterator[Kubelet]:
    with serving() as server:
        yield server


def opened(node: Node, kubelet: Kubelet, fetch: PodsServer | None = None) -> Source:
    urls = {"pods_url": fetch.url} if fetch else {}
    return node.open(fetch.fetch if fetch else no_fetch, podresources=str(kubelet.socket), **urls)


def gpu(pod: str, *ids: str, resource: str = "nvidia.com/gpu") -> Given:
    return Given("ns", pod, "main", {resource: list(ids)})


def test_a_gpu_is_held_by_the_container_it_was_given_to(node: Node, kubelet: Kubelet) -> None:
    kubelet.given = [gpu("a", ONE), gpu("b", TWO)]
    samples = node.read(opened(node, kubelet))
    assert holdings(samples) == {(ONE, container("a")): 1.0, (TWO, container("b")): 1.0}
    assert {s.by for s in samples if isinstance(s, Holding)} == {"allocation"}


def test_who_is_claimed_before_he_holds(node: Node, kubelet: Kubelet) -> None:
    kubelet.given = [gpu("a", ONE)]
    usage = Usage()
    for sample in node.read(opened(node, kubelet)):
        match sample:
            case Claim():
                usage.claim(sample)
            case Holding():
                usage.hold(sample)
    parts = usage.parts_ppm(Device(ONE, "gpu", "H100"))
    assert {who.job: ppm for who, ppm in parts.items()} == {"a": 1_000_000}


def test_holders_of_replicas_share_a_gpu_by_their_count(node: Node, kubelet: Kubelet) -> None:
    kubelet.given = [gpu("a", f"{ONE}::0", f"{ONE}::3", resource="nvidia.com/gpu.shared"), gpu("b", f"{ONE}::1"), gpu("c", TWO)]
    held = holdings(node.read(opened(node, kubelet)))
    assert held == {(ONE, container("a")): 2 / 3, (ONE, container("b")): 1 / 3, (TWO, container("c")): 1.0}


def test_a_slice_is_held_by_its_own_id(node: Node, kubelet: Kubelet) -> None:
    kubelet.given = [gpu("a", SLICE, resource="nvidia.com/mig-1g.10gb"), gpu("b", f"{SLICE}::7", resource="nvidia.com/mig-1g.10gb")]
    assert holdings(node.read(opened(node, kubelet))) == {(SLICE, container("a")): 0.5, (SLICE, container("b")): 0.5}


@pytest.mark.parametrize(
    ("word", "uuid"),
    [("0", TWO), ("1", ONE), ("1::2", ONE), ("nvidia0", ONE), ("nvidia3/vgpu1", TWO), ("7", None), ("nvidia0/gi2", None)],
)
def test_an_index_counts_along_the_bus_and_a_device_file_by_its_minor(
    node: Node, kubelet: Kubelet, word: str, uuid: str | None
) -> None:
    node.gpu("0000:C1:00.0", 0, ONE)
    node.gpu("0000:07:00.0", 3, TWO)
    node.gpu("0000:01:00.0", 1, "GPU-excluded", excluded="Yes")
    kubelet.given = [gpu("a", word)]
    source = opened(node, kubelet)
    held = holdings(node.read(source))
    assert held == ({(uuid, container("a")): 1.0} if uuid else {})
    assert notes(source) == ([] if uuid else [f"1 allotted GPUs cannot be told by their ids (nvidia.com/gpu {word})"])


def notes(source: Source) -> list[str]:
    return [note.removeprefix("kubernetes: ").split(", so")[0] for note in Runner(source, lambda: Instant(0, 0)).notes]


def test_a_dynamically_claimed_gpu_goes_by_its_drivers_name(node: Node, kubelet: Kubelet) -> None:
    node.gpu("0000:07:00.0", 3, TWO)
    claim = (("gpu.nvidia.com", "gpu-3"),)
    kubelet.given = [Given("ns", "a", "main", claims=claim), Given("ns", "b", "main", claims=claim)]
    assert holdings(node.read(opened(node, kubelet))) == {(TWO, container("a")): 0.5, (TWO, container("b")): 0.5}


def test_devices_that_are_no_gpus_are_nobodys_business(node: Node, kubelet: Kubelet) -> None:
    kubelet.given = [Given("ns", "a", "main", {"rdma/hca": ["mlx5_0"], "smarter/fuse": ["0"]}, claims=(("dra.net", "nic-0"),))]
    source = opened(node, kubelet)
    assert holdings(node.read(source)) == {}
    assert notes(source) == []


def test_exclusive_cpus_go_before_what_was_asked_for(node: Node, kubelet: Kubelet) -> None:
    with PodsServer().serving() as pods:
        pods.items = [item("ns", "a", cpu="4"), item("ns", "b", cpu="2")]
        kubelet.given = [Given("ns", "a", "main", cpu_ids=(2, 3, 4, 5))]
        source = opened(node, kubelet, pods)
        samples = node.read(source)
        kinds = {(s.who, s.by): s.part for s in samples if isinstance(s, Holding)}
        assert kinds == {(container("a"), "allocation"): 4 / 16, (container("b"), "reservation"): 2 / 16}
        kubelet.given = []
        changed = [(s.who, s.by, s.part) for s in node.read(source) if isinstance(s, Holding)]
        assert changed == [(container("a"), "allocation", 0), (container("a"), "reservation", 4 / 16)]


def test_what_is_returned_is_let_go_and_given_to_the_next(node: Node, kubelet: Kubelet) -> None:
    kubelet.given = [gpu("a", ONE)]
    source = opened(node, kubelet)
    node.read(source)
    kubelet.given = [gpu("b", ONE)]
    assert holdings(node.read(source)) == {(ONE, container("a")): 0, (ONE, container("b")): 1.0}


def test_a_container_without_a_known_id_holds_nothing_and_keeps_its_part(node: Node, kubelet: Kubelet) -> None:
    kubelet.given = [gpu("a", f"{ONE}::0"), Given("ns", "stranger", "main", {"nvidia.com/gpu": [f"{ONE}::1"]})]
    source = opened(node, kubelet)
    assert holdings(node.read(source)) == {(ONE, container("a")): 0.5}
    assert notes(source) == ["1 containers with devices have no known id (ns/stranger/main)"]
    kubelet.given = [gpu("a", f"{ONE}::0")]
    node.read(source)
    assert notes(source) == []


def test_a_pod_holds_until_its_container_has_started(node: Node, kubelet: Kubelet) -> None:
    node.pod("ns", "new")
    (node.logs / "pods" / f"ns_new_{uid_of('new')}").mkdir()
    kubelet.given = [gpu("new", ONE)]
    source = opened(node, kubelet)
    assert holdings(node.read(source)) == {(ONE, f"pod:{uid_of('new')}"): 1.0}
    node.pod("ns", "new", "main")
    assert holdings(node.read(source)) == {(ONE, f"pod:{uid_of('new')}"): 0, (ONE, container("new")): 1.0}


def test_the_latest_attempt_of_a_restarted_container_holds(node: Node, kubelet: Kubelet) -> None:
    node.pod("ns", "a", "main", attempt=12)
    node.pod("ns", "a", "main", attempt=9)
    kubelet.given = [gpu("a", ONE)]
    assert holdings(node.read(opened(node, kubelet))) == {(ONE, f"container:{id_of(uid_of('a'), 'main', 12)}"): 1.0}


def test_a_pod_that_has_run_to_its_end_holds_nothing(node: Node, kubelet: Kubelet) -> None:
    """Kubelets before 1.34 go on listing it, when its GPU is another's."""
    with PodsServer().serving() as pods:
        pods.items = [item("ns", "a", phase="Succeeded"), item("ns", "b")]
        kubelet.given = [gpu("a", ONE), gpu("b", ONE)]
        assert holdings(node.read(opened(node, kubelet, pods))) == {(ONE, container("b")): 1.0}


def test_a_kubelet_that_restarts_is_said_once_and_changes_nothing(node: Node, kubelet: Kubelet) -> None:
    kubelet.given = [gpu("a", ONE)]
    source = opened(node, kubelet)
    node.read(source)
    kubelet.stop()
    with pytest.raises(SourceFailed, match=r"the kubelet does not answer at .*kubelet\.sock: UNAVAILABLE") as failed:
        node.read(source)
    assert "\n" not in str(failed.value)
    runner = Runner(source, lambda: Instant(0, 0))
    assert node.read(source) == node.read(source) == runner.read(True) == []
    assert runner.failing  # though it gave nothing that says so
    kubelet.start()
    for _ in range(200):  # a channel that was refused waits a moment before it tries again
        assert node.read(source) == []
        assert runner.read(True) == []
        if not runner.failing:
            break
        time.sleep(0.05)
    assert not runner.failing
    kubelet.given = [gpu("b", ONE)]
    assert holdings(node.read(source)) == {(ONE, container("a")): 0, (ONE, container("b")): 1.0}


def test_a_kubelet_that_stays_away_for_ten_minutes_holds_nothing_for_anybody(node: Node, kubelet: Kubelet) -> None:
    kubelet.given = [gpu("a", ONE)]
    source = opened(node, kubelet)
    node.read(source)
    kubelet.stop()
    with pytest.raises(SourceFailed):
        node.read(source, after_s=300)
    assert node.read(source, after_s=300) == []
    assert holdings(node.read(source, after_s=11)) == {(ONE, container("a")): 0}
    kubelet.start()
    found = holdings(node.read(source))
    for _ in range(200):
        if found:
            break
        time.sleep(0.05)
        found = holdings(node.read(source))
    assert found == {(ONE, container("a")): 1.0}


def test_what_the_logs_told_is_not_lost_behind_a_kubelet_that_is_away(node: Node, kubelet: Kubelet) -> None:
    source = opened(node, kubelet)
    kubelet.stop()
    with pytest.raises(SourceFailed):
        node.read(source)
    assert len(claims(node.read(source, after_s=1))) == 6


def test_between_two_periods_nobody_is_asked(node: Node, kubelet: Kubelet) -> None:
    source = opened(node, kubelet)
    for _ in range(25):
        node.read(source, after_s=1)
    assert kubelet.calls == 3


def test_hundreds_of_pods_hold_what_they_were_given(node: Node, kubelet: Kubelet) -> None:
    for n in range(300):
        node.pod("ns", f"p{n}", "main")
    kubelet.given = [gpu(f"p{n}", f"GPU-{n // 4}::{n % 4}") for n in range(300)]
    held = holdings(node.read(opened(node, kubelet)))
    assert len(held) == 300
    assert set(held.values()) == {0.25}


def test_the_servers_messages_and_the_sources_are_one_wire_format(kubelet: Kubelet) -> None:
    """Fields that we do not read (memory, topology, CDI names) are passed over."""
    from wattledger.sources.kubernetes.podresources import Allotment, lister

    kubelet.given = [
        Given("ns", "a", "main", {"nvidia.com/gpu": [ONE, TWO], "x/y": ["z"]}, (4, 5, 2**40), (("gpu.nvidia.com", "gpu-0"),)),
        Given("ns", "a", "side", cpu_ids=(1,)),
        Given("ns", "b", "idle"),
    ]
    devices = (("nvidia.com/gpu", ONE), ("nvidia.com/gpu", TWO), ("x/y", "z"), ("gpu.nvidia.com", "gpu-0"))
    assert lister(str(kubelet.socket))() == [Allotment("ns", "a", "main", devices, 3), Allotment("ns", "a", "side", (), 1)]


def test_a_doctor_sees_every_place_and_what_is_wrong_with_it(node: Node, kubelet: Kubelet) -> None:
    kubelet.given = [gpu("a", ONE)]
    with PodsServer().serving() as pods:
        pods.items = [item("ns", "a")]
        host = node.host(pods.fetch, podresources=str(kubelet.socket), pods_url=pods.url)
        assert [(f.sensor, f.state) for f in kubernetes.examine(host)] == [
            ("PodResources", "usable"), ("log folders", "usable"), ("kubelet's pod list", "usable"),
        ]  # fmt: skip
        pods.body = b"Forbidden"
        kubelet.stop()
        found = list(kubernetes.examine(host))
        assert [finding.state for finding in found] == ["absent", "usable", "broken"]
        assert all(finding.remedy for finding in found if finding.state != "usable")


def test_without_grpc_names_are_known_and_a_note_says_what_to_install(node: Node, kubelet: Kubelet) -> None:
    """In a process of its own, where grpc cannot be imported."""
    options = {"logs": str(node.logs), "podresources": str(kubelet.socket)}
    code = (
        "import sys; sys.modules['grpc'] = None\n"
        "from wattledger.core.model import Instant\n"
        "from wattledger.core.ports import Host\n"
        "from wattledger.sources import kubernetes\n"
        f"host = Host('sys', {str(node.proc)!r}, {{}}, (), True, {options!r})\n"
        "source = kubernetes.open(host)\n"
        "print(len(list(source.read(lambda: Instant(0, 0), True))), *source.notes)\n"
        "print([finding.state for finding in kubernetes.examine(host)])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout == (
        "6 kubernetes: GPUs of pods are not known without grpc; pip install 'wattledger[kubernetes]'\n['absent', 'usable']\n"
    )


def test_grpc_is_not_loaded_on_a_machine_without_a_kubelet() -> None:
    code = "import sys\nfrom wattledger.sources import kubernetes\nprint({'grpc', 'google.protobuf'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_instants_are_those_of_the_reading(node: Node, kubelet: Kubelet) -> None:
    kubelet.given = [gpu("a", ONE)]
    samples = node.read(opened(node, kubelet), after_s=42)
    assert {s.at for s in samples if isinstance(s, Claim | Holding)} == {Instant(42_000_000_000, 0)}
    k8s = {"container_name": "main", "namespace_name": "ns", "pod_name": "a", "pod_uid": uid_of("a")}
    labels = (("container_id", id_of(uid_of("a"), "main")), *((f"k8s_{key}", value) for key, value in k8s.items()))
    assert claims(samples)[container("a")] == Workload("a", None, labels)
