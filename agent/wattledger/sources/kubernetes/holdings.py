"""What is held, by whom and how: allotments of GPUs and CPUs, and CPUs that were asked for."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from wattledger.core.model import By
from wattledger.sources.kubernetes.gpus import Gpus, is_gpu
from wattledger.sources.kubernetes.names import Names
from wattledger.sources.kubernetes.podresources import Allotment

Held = dict[tuple[str, str], tuple[float, By]]


class Allotted(NamedTuple):
    """(device id or kind, who) to part, and what could not be told: GPUs that no id fits, containers that no name fits."""

    held: Held
    unknown_devices: tuple[str, ...]
    unknown_owners: tuple[str, ...]


def allotted(allotments: Iterable[Allotment], names: Names, gpus: Gpus, cpus: int) -> Allotted:
    """By allocation.  Who shares a GPU (replicas of time slicing or MPS, one claim of several pods) holds it by his count of it.

    An owner that cannot be named keeps his part of the sum, and nobody else gets it.
    """
    counts: dict[str, Counter[tuple[str, str, str]]] = {}
    unknown: dict[str, None] = {}
    exclusive: dict[tuple[str, str, str], int] = {}
    for one in allotments:
        if (one.namespace, one.pod) in names.ended:
            continue  # kubelets before 1.34 list pods that have run to their end, whose GPUs may be another's by now
        owner = one.namespace, one.pod, one.container
        if one.cpus:
            exclusive[owner] = one.cpus
        for resource, word in one.devices:
            if device_id := gpus.id_of(resource, word):
                counts.setdefault(device_id, Counter())[owner] += 1
            elif is_gpu(resource, word):
                unknown[f"{resource} {word}"] = None
    parts = [(device_id, owner, n / count.total()) for device_id, count in counts.items() for owner, n in count.items()]
    parts += [("cpu", owner, min(1.0, n / cpus)) for owner, n in exclusive.items() if cpus]
    held: Held = {}
    nobody: dict[str, None] = {}
    for device_id, owner, part in parts:
        who = names.who(*owner)
        if who is None:
            nobody["/".join(owner)] = None
            continue
        # Containers of a pod that have not started are one holder, the pod.
        held[device_id, who] = held.get((device_id, who), (0.0, "allocation"))[0] + part, "allocation"
    return Allotted(held, tuple(unknown), tuple(nobody))


def reserved(names: Names, cpus: int) -> Held:
    """By reservation: the CPUs that running containers asked for."""
    asked = ((f"container:{id_}", one.cores) for id_, one in names.containers.items())
    return {("cpu", who): (min(1.0, cores / cpus), "reservation") for who, cores in asked if cores > 0 and cpus}


def changes(before: Mapping[tuple[str, str], tuple[float, By]], after: Held) -> list[tuple[tuple[str, str], tuple[float, By]]]:
    """What to say: 0 lets go, and by the same word by which it was held; those first."""
    gone = [(key, (0.0, by)) for key, (_, by) in before.items() if key not in after or after[key][1] != by]
    return gone + [(key, held) for key, held in after.items() if before.get(key) != held]
