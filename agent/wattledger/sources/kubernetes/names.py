"""What pods and containers are called: the nouns, and how the words of several places become one."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from wattledger.core.model import Workload

MOST_CHARACTERS = 253  # a Kubernetes name has no more; an annotation may be a novel


class Pod(NamedTuple):
    """``uid`` as control groups carry it.  ``job`` and ``model`` as said or derived; ``run_id`` joins the pods of one Job on many
    nodes; ``ended``: its containers will not run again."""

    uid: str
    namespace: str
    name: str
    job: str
    model: str | None = None
    run_id: str = ""
    ended: bool = False


class Container(NamedTuple):
    """``attempt`` counts restarts: the latest is the one that holds.  ``cores``: what it asked for, while it runs."""

    id: str
    pod_uid: str
    name: str
    attempt: int = 0
    cores: float = 0.0


class Names:
    """Pods by uid, containers by id, and whom a (namespace, pod, container) of the kubelet's means now.  Frozen once made.

    Made from lists of pods and containers, best last: a later word replaces an earlier one.  Pods that have ended are left out,
    with their containers.
    """

    def __init__(self, pods: Iterable[Pod] = (), containers: Iterable[Container] = ()) -> None:
        pods, containers = list(pods), list(containers)
        told = {pod.uid: pod for pod in pods}
        self.ended = frozenset((pod.namespace, pod.name) for pod in told.values() if pod.ended)
        self.pods: Mapping[str, Pod] = {uid: pod for uid, pod in told.items() if not pod.ended}
        known = {one.id: one for one in containers}
        self.containers: Mapping[str, Container] = {id_: one for id_, one in known.items() if one.pod_uid in self.pods}
        self._uids = {(pod.namespace, pod.name): pod.uid for pod in pods if pod.uid in self.pods}
        # A restarted container leaves its old log behind, so several ids answer to one name.
        latest = sorted(self.containers.values(), key=lambda one: one.attempt)
        self._ids = {(one.pod_uid, one.name): one.id for one in latest}

    def who(self, namespace: str, pod: str, container: str) -> str | None:
        """The container, or its pod where the container has not been seen (it may not have started); ``None``: unknown."""
        uid = self._uids.get((namespace, pod))
        if uid is None:
            return None
        id_ = self._ids.get((uid, container))
        return f"container:{id_}" if id_ else f"pod:{uid}"

    def workloads(self) -> dict[str, Workload]:
        """Whom each pod and each container works for."""
        found = {f"pod:{uid}": _workload(pod) for uid, pod in self.pods.items()}
        for id_, one in self.containers.items():
            found[f"container:{id_}"] = _workload(self.pods[one.pod_uid], one)
        return found


def _workload(pod: Pod, container: Container | None = None) -> Workload:
    """With the ids that control groups have, too: what a container holds and what it uses is one workload's."""
    labels = {"k8s_namespace_name": pod.namespace, "k8s_pod_name": pod.name, "k8s_pod_uid": pod.uid, "run_id": pod.run_id}
    if container is not None:
        labels |= {"k8s_container_name": container.name, "container_id": container.id}
    # A folder's name, or a reply that is not a kubelet's, may hold anything.
    shown = ((key, said_name(value)) for key, value in labels.items())
    return Workload(said_name(pod.job), pod.model, tuple(sorted((key, value) for key, value in shown if value)))


def said_name(text: object) -> str:
    """A name that somebody wrote, as one printable line; those that begin with "(" are the meter's own."""
    printable = "".join(c for c in text if c.isprintable()).strip() if isinstance(text, str) else ""
    return (printable.strip("()") if printable.startswith("(") else printable)[:MOST_CHARACTERS]
