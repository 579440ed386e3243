"""dcgm-exporter's names (4.x): power, energy, temperature and limit of NVIDIA GPUs.

dcgm-exporter gives every pod on a shared GPU the GPU's whole reading; here each row holds its pod's part, and a row without pod
what nobody in a pod used, so that a sum over rows is the card's.
"""

from collections.abc import Iterator

from wattledger.core.catalog import Metric
from wattledger.core.model import Workload
from wattledger.core.rows import Row, joules
from wattledger.core.totals import Snapshot
from wattledger_exporters.compat.place import Gpu, Labels, Place, exact, gpus, label, metric, thousandfold

CARD = ("gpu", "UUID", "device", "modelName", "Hostname")
WHOSE = ("namespace", "pod", "container", "hpc_job")


def metrics(place: Place) -> tuple[Metric, ...]:
    """The family, for this host."""

    def card(gpu: Gpu) -> Labels:
        return gpu.number, gpu.device.id, f"nvidia{gpu.number}", gpu.device.model, place.host

    def power(snapshot: Snapshot) -> Iterator[Row]:
        cards = gpus(snapshot)
        shares = snapshot.share_uw.items()
        yield from exact((card(cards[device]) + _whose(who), uw) for (who, device, _), uw in shares if device in cards)

    def energy(snapshot: Snapshot) -> Iterator[Row]:
        # What has ended is left out: moved to another row, its joules would be counted there a second time.
        cards = gpus(snapshot)
        shares = snapshot.energy_uj.items()
        pairs = ((card(cards[device]) + _whose(who), uj) for (who, device, _, _), uj in shares if device in cards)
        return thousandfold(exact(pairs))

    def temperature(snapshot: Snapshot) -> Iterator[Row]:
        for device, gpu in gpus(snapshot).items():
            said = snapshot.conditions.get(device)
            if said is not None and said.temperature_mc is not None:
                yield card(gpu), said.temperature_mc / 1000

    def limit(snapshot: Snapshot) -> Iterator[Row]:
        for device, gpu in gpus(snapshot).items():
            said = snapshot.conditions.get(device)
            if said is not None and said.limit_uw is not None:
                yield card(gpu), joules(said.limit_uw)

    return (
        metric("DCGM_FI_DEV_POWER_USAGE", "gauge", "Power draw (in W), divided among who uses the GPU.", CARD + WHOSE, power),
        metric(
            "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "counter",
            "Energy since the agent began (in mJ), divided among who uses the GPU.", CARD + WHOSE, energy,
        ),
        metric("DCGM_FI_DEV_GPU_TEMP", "gauge", "GPU temperature (in C).", CARD, temperature),
        metric("DCGM_FI_DEV_ENFORCED_POWER_LIMIT", "gauge", "Power limit in force (in W).", CARD, limit),
    )  # fmt: skip


def _whose(who: Workload) -> Labels:
    named = ("k8s_namespace_name", "k8s_pod_name", "k8s_container_name", "slurm_job_id")
    return tuple(label(who, name) for name in named)
