"""Who works on the made-up node, when, and on what; all times are seconds of the round."""

from collections.abc import Iterator
from typing import NamedTuple

from wattledger.core.model import Claim, Holding, Instant, Member, Rank, Sample, Workload
from wattledger.sources.demo.compile_serving import Counts

SLURM_S, EVAL_S = (60, 540), (150, 420)
CORES = 112
CHECKPOINT_S, CHECKPOINT_LENGTH_S = 200, 8
COUNTED = ("48213", "29471")  # numbers in the names of who is new in each round

SERVED, ENGINE, ADDRESS = "qwen3-14b", "demo 127.0.0.1:8000", "127.0.0.1:8000"
SERVED_BEFORE = Counts(31_000_000, 18_000_000, 22_000_000, 90_000, 5_000_000, 0)


class Pod(NamedTuple):
    """A pod with one container, and its program's own words (``WATTLEDGER_JOB``, ``_MODEL``, ``_LABELS``)."""

    name: str
    namespace: str
    container: str
    said: Workload
    gpus: tuple[int, ...] = ()
    run_id: str = ""
    times_s: tuple[int, int] | None = None  # here then, else always
    cores: int = 0  # asked for

    @property
    def uid(self) -> str:
        return f"demo-{self.name}"

    @property
    def id(self) -> str:
        return f"demo-{self.name}-{self.container}"

    @property
    def who(self) -> str:
        return f"cgroup:/kubepods/{self.uid}/{self.id}"


def _said(job: str, team: str, model: str | None = None) -> Workload:
    return Workload(job, model, (("team", team),))


PODS = (
    Pod("pretrain-0", "research", "trainer", _said("pretrain", "search", "llama-3.1-8b"), (0, 1, 2, 3), "demo-pretrain", None, 64),
    Pod("chat-7d9f8b-x2k4q", "production", "vllm", _said("chat", "chat", SERVED), (5,), cores=16),
    Pod("notebook-0", "research", "jupyter", _said("notebook", "vision"), (6,)),
    Pod("eval-29471", "research", "harness", _said("eval", "search", "llama-3.1-8b"), (7,), "demo-eval-29471", EVAL_S, 16),
    Pod("etl-0", "data", "spark", _said("etl", "data"), cores=24),
    Pod("gateway-5c6b9d-8mwvp", "production", "envoy", _said("gateway", "chat")),
)
PRETRAIN, CHAT, NOTEBOOK, EVAL, ETL, GATEWAY = PODS
SERVER = CHAT.who

SLURM = "slurm:48213"
SLURM_TASK = "cgroup:/system.slice/slurmstepd.scope/job_48213/step_0"
SLURM_GPU = 4
SLURM_LABELS = (
    ("run_id", "slurm-demo-48213"), ("slurm_cluster", "demo"), ("slurm_job_id", "48213"), ("slurm_partition", "gpu"),
    ("user", "ada"),
)  # fmt: skip

PASSING = {SLURM_TASK: SLURM_S, EVAL.who: EVAL_S}
SERVICES = ("kubelet.service", "containerd.service")
MEMORY_GB = {
    PRETRAIN.who: 620, CHAT.who: 48, NOTEBOOK.who: 22, EVAL.who: 36, ETL.who: 180, GATEWAY.who: 3, SLURM_TASK: 64,
    "cgroup:/system.slice/kubelet.service": 1, "cgroup:/system.slice/containerd.service": 1,
}  # fmt: skip


def is_there(times_s: tuple[int, int], at_s: float) -> bool:
    return times_s[0] <= at_s < times_s[1]


def checkpoints(at_s: float) -> bool:
    """Whether training waits for its checkpoint to be written."""
    return 0 <= at_s % CHECKPOINT_S - 140 < CHECKPOINT_LENGTH_S


def generates(at_s: float) -> bool:
    """The evaluation generates for 12 s, and scores for three."""
    return (at_s - EVAL_S[0]) % 15 < 12


def notebook_works(at_s: float) -> bool:
    return 240 <= at_s < 252


def busy(second: int, running: int) -> dict[str, float]:
    """Hardware threads that each keeps busy, in the second that begins so."""
    found = {
        PRETRAIN.who: 46.0 if checkpoints(second) else 19.0 + (second % 12) / 6,
        CHAT.who: 2.5 + 0.12 * running,
        NOTEBOOK.who: 3.0 if notebook_works(second) else 0.04,
        ETL.who: 38.0 + 6 * (second % 10 > 6) if 200 <= second < 330 else 2.0,
        GATEWAY.who: 0.6 + 0.05 * running,
        "cgroup:/system.slice/kubelet.service": 0.7,
        "cgroup:/system.slice/containerd.service": 0.35,
        "(other)": 0.5,
        "(agent)": 0.01,
    }
    if is_there(EVAL_S, second):
        found[EVAL.who] = 5.0 if generates(second) else 24.0
    if is_there(SLURM_S, second):
        found[SLURM_TASK] = 14.0 if second < SLURM_S[0] + 15 else 8.0
    return found


def is_here(who: str, second: int) -> bool:
    """Whether somebody is there in the second that begins so."""
    return second >= 0 and (who not in PASSING or is_there(PASSING[who], second))


def here(second: int) -> list[str]:
    """Who is there, or was until now: who goes has his last word."""
    everybody = [*MEMORY_GB, "(other)", "(agent)"]
    return [who for who in everybody if is_here(who, second) or (second > 0 and is_here(who, second - 1))]


def holder(n: int) -> str:
    """Whose a GPU is while he is there."""
    return SLURM_TASK if n == SLURM_GPU else next(pod.who for pod in PODS if n in pod.gpus)


def coming(second: int, at: Instant) -> Iterator[Sample]:
    """What is said of who comes in this second."""
    for pod in PODS:
        if second == (pod.times_s[0] if pod.times_s else 0):
            yield from _pod(pod, at)
    if second == SLURM_S[0]:
        yield Claim(SLURM, at, Workload("fold", None, SLURM_LABELS), "slurm")
        yield Claim(SLURM_TASK, at, Workload("slurm-48213"), "cgroup")
        yield Claim(SLURM, at, _said("", "biology", "openfold"), "environment")
        yield Member(SLURM_TASK, at, SLURM)
        yield _held(SLURM_GPU, SLURM, at)
    if second == 0:
        for name in SERVICES:
            unit = f"cgroup:/system.slice/{name}"
            yield Claim(unit, at, Workload(name, None, (("systemd_unit", name),)), "cgroup")


def _pod(pod: Pod, at: Instant) -> Iterator[Sample]:
    labels = {"k8s_namespace_name": pod.namespace, "k8s_pod_name": pod.name, "k8s_pod_uid": pod.uid, "run_id": pod.run_id}
    inner = {**labels, "k8s_container_name": pod.container, "container_id": pod.id}
    yield Member(pod.who, at, f"container:{pod.id}")
    yield Member(f"container:{pod.id}", at, f"pod:{pod.uid}")
    yield Claim(f"pod:{pod.uid}", at, _named(pod, labels), "pod")
    yield Claim(f"container:{pod.id}", at, _named(pod, inner), "pod")
    yield Claim(f"container:{pod.id}", at, pod.said, "environment")
    yield from _holdings(pod, at, 1.0)


def _named(pod: Pod, labels: dict[str, str]) -> Workload:
    return Workload(pod.said.job, None, tuple(sorted((key, value) for key, value in labels.items() if value)))


def _holdings(pod: Pod, at: Instant, part: float) -> Iterator[Sample]:
    """Its GPUs and the cores that it asked for; 0 lets go."""
    yield from (_held(gpu, f"container:{pod.id}", at, part) for gpu in pod.gpus)
    if pod.cores:
        yield Holding("cpu", f"container:{pod.id}", at, round(part * pod.cores / CORES, 4), "reservation")


def _held(gpu: int, who: str, at: Instant, part: float = 1.0) -> Holding:
    return Holding(f"GPU-demo-{gpu}", who, at, part, "allocation")


def going(second: int, at: Instant) -> Iterator[Sample]:
    """What is said of who goes in this second, after his last word."""
    for pod in PODS:
        if pod.times_s and second == pod.times_s[1]:
            yield from _holdings(pod, at, 0.0)
            ranks: tuple[tuple[str, Rank], ...] = ((f"container:{pod.id}", "environment"), (f"container:{pod.id}", "pod"),
                                                   (f"pod:{pod.uid}", "pod"))  # fmt: skip
            yield from (Claim(who, at, None, rank) for who, rank in ranks)
            yield Member(f"container:{pod.id}", at, None)
            yield Member(pod.who, at, None)
    if second == SLURM_S[1]:
        yield _held(SLURM_GPU, SLURM, at, 0.0)
        yield Claim(SLURM, at, None, "environment")
        yield Claim(SLURM, at, None, "slurm")
        yield Member(SLURM_TASK, at, None)
