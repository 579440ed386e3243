"""Kepler's names (0.10 and later): node, pod, container, virtual machine and process, CPU and GPU.

Zones overlap as Kepler's do: ``core`` and ``uncore`` lie inside ``package``.  Kepler divides active energy only; here idle energy
goes to who holds the device, as everywhere in this package.  A process is a workload as this agent tells them apart: ``comm`` and
``pid`` are its job's name.  Active and idle joules of a node are not said, since what has ended could not stay in them; their watts
are.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from wattledger.core.catalog import Metric
from wattledger.core.model import IDLE, Device, Workload
from wattledger.core.rows import Row, printable
from wattledger.core.totals import ShareKey, Snapshot
from wattledger_exporters.compat.place import Labels, Place, exact, gpus, label, metric

ZONES = {"cpu": "package", "dram": "dram"}
INNER = ("core", "uncore")
Share = tuple[Workload, str, int]  # who, device, microjoules or microwatts


class Level(NamedTuple):
    """Who is named: the labels, and their values for a workload; ``None`` for who is not one of these."""

    name: str
    labels: Labels
    of: Callable[[Workload], Labels | None]


def _pod(who: Workload) -> Labels | None:
    pod = label(who, "k8s_pod_name")
    return (label(who, "k8s_pod_uid"), pod, label(who, "k8s_namespace_name"), "running") if pod else None


def _container(who: Workload) -> Labels | None:
    name, number = label(who, "k8s_container_name") or label(who, "container_name"), label(who, "container_id")
    return (number, name, "", "running", label(who, "k8s_pod_uid")) if name or number else None


def _process(who: Workload) -> Labels | None:
    if who.job.startswith("("):
        return None
    kind = "regular" if _container(who) is None else "container"
    name = printable(who.job)
    return name, name, kind, "running", label(who, "container_id"), label(who, "vm")


def _vm(who: Workload) -> Labels | None:
    name = label(who, "vm")
    return (name, name, "running") if name else None


LEVELS = (
    Level("pod", ("pod_id", "pod_name", "pod_namespace", "state"), _pod),
    Level("container", ("container_id", "container_name", "runtime", "state", "pod_id"), _container),
    Level("vm", ("vm_id", "vm_name", "state"), _vm),
    Level("process", ("pid", "comm", "type", "state", "container_id", "vm_id"), _process),
)


def metrics(place: Place) -> tuple[Metric, ...]:
    """The family, for this host."""
    levels = (made for level in LEVELS for made in _level(place, level))
    return (_info(place), *_node_cpu(place), *_node_gpu(place), *levels, _platform(place))


def _zone(snapshot: Snapshot, device_id: str) -> str:
    """Empty for what Kepler has no zone for."""
    device = snapshot.devices[device_id]
    if device.inside is None:
        return ZONES.get(device.kind, "")
    inner = device.id.rpartition("/")[2]
    return inner if device.kind == "cpu" and inner in INNER else ""


def _info(place: Place) -> Metric:
    """A row for each logical CPU, as there: its dashboard counts them, and takes its list of nodes from here."""

    def info(snapshot: Snapshot) -> Iterator[Row]:
        models = sorted({printable(d.model) for d in snapshot.devices.values() if d.kind == "cpu" and d.inside is None})
        if len(models) == 1:
            yield from (((str(number), models[0]), 1) for number in sorted(range(place.cpus), key=str))

    return metric("kepler_node_cpu_info", "gauge", "CPU information", ("processor", "model_name"), info)


def _node_cpu(place: Place) -> Iterator[Metric]:
    def rows(snapshot: Snapshot, pairs: Iterable[tuple[str, int]]) -> Iterator[Row]:
        named = ((_zone(snapshot, device), value) for device, value in pairs)
        return exact(((zone, "", place.host), value) for zone, value in named if zone)

    return _node("cpu", ("zone", "path", "node_name"), rows)


def _node_gpu(place: Place) -> Iterator[Metric]:
    def rows(snapshot: Snapshot, pairs: Iterable[tuple[str, int]]) -> Iterator[Row]:
        cards = gpus(snapshot)
        found = ((cards[device], value) for device, value in pairs if device in cards)
        return exact(((gpu.number, gpu.device.id, gpu.device.model, _vendor(gpu.device), place.host), v) for gpu, v in found)

    return _node("gpu", ("gpu", "gpu_uuid", "gpu_name", "vendor", "node_name"), rows)


def _node(side: str, labels: Labels, rows: Callable[[Snapshot, Iterable[tuple[str, int]]], Iterator[Row]]) -> Iterator[Metric]:
    """A node's energy, its power, and that divided in active and idle; ``rows`` names devices with their microjoules or
    microwatts."""

    def joules(snapshot: Snapshot) -> Iterator[Row]:
        sums = (*snapshot.device_energy_uj.items(), *snapshot.subdevice_energy_uj.items())
        return rows(snapshot, ((device, uj) for (device, _), uj in sums))

    def watts(snapshot: Snapshot) -> Iterator[Row]:
        return rows(snapshot, snapshot.power_uw.items())

    def active(snapshot: Snapshot) -> Iterator[Row]:
        return rows(snapshot, ((key[1], uw) for key, uw in snapshot.share_uw.items() if not _is_idle(key)))

    def idle(snapshot: Snapshot) -> Iterator[Row]:
        return rows(snapshot, ((key[1], uw) for key, uw in snapshot.share_uw.items() if _is_idle(key)))

    name, what = f"kepler_node_{side}", f"{side} at node level"
    yield metric(f"{name}_joules_total", "counter", f"Energy of {what} in joules", labels, joules)
    yield metric(f"{name}_watts", "gauge", f"Power of {what} in watts", labels, watts)
    yield metric(f"{name}_active_watts", "gauge", f"Power of {what} in active state in watts", labels, active)
    yield metric(f"{name}_idle_watts", "gauge", f"Power of {what} in idle state in watts", labels, idle)


def _level(place: Place, level: Level) -> Iterator[Metric]:
    def on_cpu(snapshot: Snapshot, shares: Iterable[Share]) -> Iterator[Row]:
        found = ((level.of(who), _zone(snapshot, device), value) for who, device, value in shares)
        return exact(((*who, zone, place.host), value) for who, zone, value in found if who is not None and zone)

    def on_gpu(snapshot: Snapshot, shares: Iterable[Share]) -> Iterator[Row]:
        cards = gpus(snapshot)
        found = ((level.of(who), cards[device], value) for who, device, value in shares if device in cards)
        pairs = ((who, (gpu.number, gpu.device.id, _vendor(gpu.device), place.host), v) for who, gpu, v in found)
        return exact(((*who, *card), value) for who, card, value in pairs if who is not None)

    yield from _shared(f"kepler_{level.name}_cpu", (*level.labels, "zone", "node_name"), on_cpu)
    yield from _shared(f"kepler_{level.name}_gpu", (*level.labels, "gpu", "gpu_uuid", "vendor", "node_name"), on_gpu)


def _shared(name: str, labels: Labels, rows: Callable[[Snapshot, Iterable[Share]], Iterator[Row]]) -> Iterator[Metric]:
    def joules(snapshot: Snapshot) -> Iterator[Row]:
        return rows(snapshot, ((who, device, uj) for (who, device, _, _), uj in snapshot.energy_uj.items()))

    def watts(snapshot: Snapshot) -> Iterator[Row]:
        return rows(snapshot, ((who, device, uw) for (who, device, _), uw in snapshot.share_uw.items()))

    _, level, side = name.split("_")
    yield metric(f"{name}_joules_total", "counter", f"Energy of {side} at {level} level in joules", labels, joules)
    yield metric(f"{name}_watts", "gauge", f"Power of {side} at {level} level in watts", labels, watts)


def _platform(place: Place) -> Metric:
    def watts(snapshot: Snapshot) -> Iterator[Row]:
        nodes = ((device, uw) for device, uw in snapshot.power_uw.items() if snapshot.devices[device].kind == "node")
        return exact(((device.partition(":")[0], place.host, device), uw) for device, uw in nodes)

    return metric("kepler_platform_watts", "gauge", "Power of the platform in watts", ("source", "node_name", "bmc_id"), watts)


def _is_idle(key: ShareKey) -> bool:
    return key[2] == "held" or key[0] == IDLE


def _vendor(device: Device) -> str:
    words = device.model.lower()
    return "nvidia" if "nvidia" in words or device.id.startswith("GPU-") else "amd" if "amd" in words or "radeon" in words else ""
