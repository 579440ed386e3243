"""A Kubernetes node as its agent meters it: pods in real control groups, a kubelet that tells of them, GPUs of the rig."""

import json
import os
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

pytest.importorskip("grpc", reason="PodResources takes grpcio: pip install 'wattledger[kubernetes]'")
pytest.importorskip("grpc_tools", reason="the kubelet's messages are compiled by grpcio-tools")

from tests.node.agents import Agent, agent, total
from tests.node.checks import ENERGY, closes, machine
from tests.node.groups import MOUNT, Groups, NoGroups, groups
from tests.node.measured import Between, knows_floors, until, values_of
from tests.node.pods import NAMESPACE, SYSTEMD, TOKEN, Cluster, NoCertificate, cluster
from tests.rig.rig import Gpu, Mig, Process, load_constant
from tests.sources.kubernetes_node import uid_of

pytestmark = pytest.mark.slow
IDLE_W = 70
ONE, TWO, THREE = (f"GPU-00000000-0000-4000-8000-{n:012}" for n in range(3))
LARGE, SMALL = "MIG-11111111-0000-4000-8000-000000000000", "MIG-22222222-0000-4000-8000-000000000000"
RESTS = Gpu(load_constant(IDLE_W), refresh_ms=20)

# Runs in a pod: a span of its own, a claim on its neighbour in the pod, and one on somebody in another pod.
PROGRAM = """
import json, os, socket, sys, time
from wattledger import track
path, sidecar, stranger, out = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
with track(job="tune", model="m-2", labels={"team": "search", "k8s_pod_name": "forged", "k8s_namespace_name": "forged"}) as run:
    end = time.perf_counter() + 2.5
    while time.perf_counter() < end:
        pass
said = socket.socket(socket.AF_UNIX)
said.connect(path)
now = [time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.time_ns()]
replies = said.makefile("rw")
for message in ({"op": "hello", "id": 1, "v": 1, "pid": os.getpid(), "run_id": "", "now": now},
                {"op": "claim", "job": "stolen", "pid": stranger}, {"op": "claim", "job": "proxy", "pid": sidecar},
                {"op": "ping", "id": 2}):
    replies.write(json.dumps(message) + "\\n")
replies.flush()
answers = [json.loads(replies.readline()) for _ in range(3)]
with open(out + ".part", "w") as file:
    json.dump([run.footprint.to_dict(), answers], file)
os.rename(out + ".part", out)
time.sleep(60)
"""
V2 = '[sources.cgroup]\nhierarchy = "v2"\n'


@pytest.fixture
def pods(tmp_path: Path) -> Iterator[Cluster]:
    try:
        with groups() as made, cluster(tmp_path / "node", made) as found:
            yield found
    except (NoGroups, NoCertificate) as reason:
        pytest.skip(str(reason))


def until_named(running: Agent, *names: str) -> None:
    until(lambda: set(names) <= values_of(running.scrape(), "k8s_pod_name"), f"{names} are not named", running)


def said(running: Agent) -> list[str]:
    """What the log has of the kubelet, without the reasons."""
    return [line.split(": ")[2] for line in running.log.splitlines() if line.startswith("wattledger: kubernetes: ")]


def test_every_pod_pays_for_what_it_used_and_what_it_was_given(tmp_path: Path, pods: Cluster) -> None:
    bert = pods.start("bert", 0.5, labels={"batch.kubernetes.io/job-name": "finetune"})
    llama = pods.start(
        "llama", 0.25, layout=SYSTEMD, annotations={"wattledger.io/job": "serve", "wattledger.io/model": "m-1"}
    )
    pids = {pod: pods.start(pod) for pod in ("waits", "guest", "notebook", "sliced")}
    pods.give("notebook", ONE)
    pods.give("llama", f"{TWO}::0")
    pods.give("waits", f"{TWO}::1")
    pods.give("sliced", LARGE, resource="nvidia.com/mig-3g.40gb")
    shared = Gpu(load_constant(300), refresh_ms=20, processes=(Process(llama, 60), Process(pids["guest"], 20)))
    slices = (Mig(1, 3, 40_000, LARGE), Mig(2, 2, 20_000, SMALL))
    cut = Gpu(load_constant(250), refresh_ms=20, processes=(Process(pids["sliced"], 50, gi=1),), migs=slices)
    knows_floors(tmp_path / "agent", IDLE_W, TWO, THREE)
    with agent(tmp_path / "agent", rig=machine(tmp_path / "rig", RESTS, shared, cut), config=pods.config()) as running:
        until_named(running, "bert", *pids, "llama")
        time.sleep(1.5)
        loads = (pods.path("bert"), pods.path("llama", SYSTEMD))
        before, cpu_before = closes(running.scrape()), [pods.groups.cpu_ns(path) for path in loads]
        time.sleep(4)
        after, cpu_after = closes(running.scrape()), [pods.groups.cpu_ns(path) for path in loads]
        _pays_for_the_cpu(Between(before, after), [b - a for a, b in zip(cpu_before, cpu_after, strict=True)])
        _pays_for_gpus(Between(before, after))
        _pays_for_slices(Between(before, after))
        assert bert != llama
        assert pods.asked > 2
        assert TOKEN not in running.log + running.get("/metrics")
        assert said(running) == []


def _pays_for_the_cpu(grown: Between, cpu_ns: list[int]) -> None:
    here = {"component": "cpu", "use": "active", "k8s_namespace_name": NAMESPACE, "k8s_container_name": "main"}
    bert = float(grown.energy(k8s_pod_name="bert", job_name="finetune", **here))
    llama = float(grown.energy(k8s_pod_name="llama", job_name="serve", model_name="m-1", **here))
    # Scrapes are up to a tick off the two readings of the kernel: 1 s of 4.
    assert bert / (bert + llama) == pytest.approx(cpu_ns[0] / sum(cpu_ns), abs=0.06)


def _pays_for_gpus(grown: Between) -> None:
    def paid(pod: str, use: str) -> Decimal:
        return grown.energy(device=TWO, use=use, k8s_namespace_name=NAMESPACE, k8s_pod_name=pod, k8s_container_name="main")

    # A GPU that was given to one who does nothing is his, every microjoule of it.
    assert grown.device(ONE) == grown.energy(device=ONE, use="held", k8s_pod_name="notebook") > 0
    # Two replicas of one GPU pay half of its idle each, whether they compute or not; a guest pays for what he computes.
    assert abs(paid("llama", "held") - paid("waits", "held")) < Decimal("0.00002")
    assert float(paid("waits", "held") * 2 / grown.device(TWO)) == pytest.approx(IDLE_W / 300, rel=0.02)
    assert paid("waits", "active") == paid("guest", "held") == 0
    assert float(paid("llama", "active") / paid("guest", "active")) == pytest.approx(3, rel=0.05)
    assert sum(paid(*who) for who in (("llama", "held"), ("waits", "held"), ("llama", "active"), ("guest", "active"))) == (
        grown.device(TWO)
    )


def _pays_for_slices(grown: Between) -> None:
    held = grown.energy(device=THREE, use="held", k8s_pod_name="sliced")
    idle = grown.energy(device=THREE, use="held", job_name="(idle)")
    active = grown.energy(device=THREE, use="active", k8s_pod_name="sliced")
    assert float(held / (held + idle)) == pytest.approx(3 / 7, rel=1e-4)
    assert held + idle + active == grown.device(THREE)


def test_a_kubelet_that_goes_and_comes_back_is_two_lines_and_no_lost_joule(tmp_path: Path, pods: Cluster) -> None:
    pods.start("notebook", 0.1, env={**os.environ, "WATTLEDGER_JOB": "explore"})
    pods.give("notebook", ONE)
    with agent(tmp_path / "agent", rig=machine(tmp_path / "rig", RESTS), config=pods.config()) as running:
        until_named(running, "notebook")
        time.sleep(1.2)
        pods.kubelet.stop()
        until(lambda: "does not answer" in running.log, "nothing was said", running)
        before = closes(running.scrape())
        pods.start("late", 0.2)
        time.sleep(2.2)
        away = closes(running.scrape())
        assert Between(before, away).device(ONE) == Between(before, away).energy(device=ONE, k8s_pod_name="notebook") > 0
        assert Between(before, away).energy(k8s_pod_name="late", component="cpu") > 0
        pods.kubelet.start()
        until(lambda: "reads again" in running.log, "nothing was said", running)
        time.sleep(1.2)
        back = Between(away, closes(running.scrape()))
        # What a container says of itself names what it was given, too.
        assert back.device(ONE) == back.energy(device=ONE, k8s_pod_name="notebook", job_name="explore") > 0
        assert said(running) == [f"the kubelet does not answer at {pods.kubelet.socket}", "reads again"]


def test_a_pod_that_takes_anothers_name_is_another_and_named_from_its_first_joule(tmp_path: Path, pods: Cluster) -> None:
    first = pods.start("web-0", 0.3)
    pods.give("web-0", ONE)
    uid = uid_of("web-0")
    config = pods.config('[agent]\nlabels = "k8s_pod_uid"\n')
    with agent(tmp_path / "agent", rig=machine(tmp_path / "rig", RESTS, RESTS), config=config) as running:
        until_named(running, "web-0")
        time.sleep(1.5)
        pods.end("web-0", first)
        again = uid_of("web-0 again")
        pods.start("web-0", 0.3, uid=again)
        pods.give("web-0", TWO)
        time.sleep(3)
        before = closes(running.scrape())
        time.sleep(2.2)
        after = closes(running.scrape())
        grown = Between(before, after)
        assert total(before, ENERGY, k8s_pod_uid=uid, component="cpu", use="active") > 0
        assert total(before, ENERGY, k8s_pod_uid=uid, device=ONE, use="held") > 0
        assert grown.energy(k8s_pod_uid=uid) == 0
        assert grown.energy(k8s_pod_uid=again, component="cpu", use="active") > 0
        assert grown.device(TWO) == grown.energy(device=TWO, k8s_pod_uid=again, use="held") > 0
        assert grown.device(ONE) == grown.energy(device=ONE, job_name="(idle)") > 0
        # What the group was called before the kubelet's word came: nobody was ever charged under that.
        assert values_of(after, "k8s_pod_name", k8s_pod_uid=again) == {"web-0"}


def test_a_program_in_a_pod_speaks_for_its_own_pod_and_for_no_other(tmp_path: Path, pods: Cluster) -> None:
    sidecar, stranger = pods.start("tuner", 0.2), pods.start("other", 0.2)
    with agent(tmp_path / "agent", rig=machine(tmp_path / "rig"), config=pods.config()) as running:
        until_named(running, "tuner", "other")
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
               "WATTLEDGER_AGENT_SOCKET": str(running.socket)}  # fmt: skip
        out = tmp_path / "out.json"
        argv = [sys.executable, "-c", PROGRAM, str(running.socket), str(sidecar), str(stranger), str(out)]
        pods.groups.run(pods.path("tuner"), argv, env=env)
        until(out.exists, "the program has not ended its span", running, 30)
        time.sleep(3)
        rows = closes(running.scrape())
        footprint, answers = json.loads(out.read_text())
        vouched = {"k8s_namespace_name": NAMESPACE, "k8s_pod_name": "tuner", "k8s_container_name": "main"}
        assert float(total(rows, ENERGY, job_name="tune", model_name="m-2", **vouched)) == pytest.approx(
            footprint["energy_j"]["value"], rel=1e-6
        )
        assert values_of(rows, "k8s_pod_name", job_name="tune") == values_of(rows, "k8s_pod_name", job_name="proxy") == {"tuner"}
        assert "forged" not in values_of(rows, "k8s_pod_name") | values_of(rows, "k8s_namespace_name")
        refused = [answer["error"] for answer in answers if "error" in answer]
        assert [line.split(" (")[0] for line in refused] == [f"pid {stranger}: not yours"]
        assert "stolen" not in values_of(rows, "job_name")
        assert total(rows, ENERGY, k8s_pod_name="other", job_name="other", component="cpu", use="active") > 0


def test_pods_of_the_unified_hierarchy_are_told_by_both_drivers_names(tmp_path: Path) -> None:
    found = [top for top in (MOUNT, MOUNT / "unified") if (top / "cgroup.controllers").exists()]
    if not found:
        pytest.skip(f"no cgroup v2 hierarchy is mounted under {MOUNT}")
    try:
        with groups((found[0],)) as made, cluster(tmp_path / "node", made) as pods:
            _shares_by_both_names(tmp_path, pods, made)
    except (NoGroups, NoCertificate) as reason:
        pytest.skip(str(reason))


def _shares_by_both_names(folder: Path, pods: Cluster, made: Groups) -> None:
    pods.start("one", 0.4)
    pods.start("two", 0.2, layout=SYSTEMD)
    paths = pods.path("one"), pods.path("two", SYSTEMD)
    with agent(folder / "agent", rig=machine(folder / "rig"), config=pods.config(V2)) as running:
        until_named(running, "one", "two")
        time.sleep(1.5)
        before, cpu_before = closes(running.scrape()), [made.cpu_ns(path) for path in paths]
        time.sleep(4)
        grown = Between(before, closes(running.scrape()))
        cpu = [made.cpu_ns(path) - was for path, was in zip(paths, cpu_before, strict=True)]
        energy = [float(grown.energy(k8s_pod_name=pod, component="cpu", use="active")) for pod in ("one", "two")]
        assert energy[0] / sum(energy) == pytest.approx(cpu[0] / sum(cpu), abs=0.06)
