"""CEEMS's names: RAPL's counters, the grid, and what its dashboards read of each compute unit (the results of its recording rules).

CEEMS works a unit's power out in Prometheus, from CPU time and memory shares; here it is known already, so the results themselves
are exported and those rules are not to be loaded beside them.  A unit is a Slurm job, a pod or a virtual machine; ``host`` is all
but its GPUs.
"""

from collections.abc import Callable, Iterable, Iterator

from wattledger.core.catalog import Metric
from wattledger.core.model import Workload
from wattledger.core.rows import Row
from wattledger.core.totals import Snapshot
from wattledger.core.units import J_PER_KWH, UJ_PER_J
from wattledger_exporters.compat.place import Labels, Place, exact, gpus, label, metric, summed

UNIT = ("hostname", "manager", "uuid")
ZONES = (("package", "cpu"), ("dram", "dram"))
# Whose word a unit's number is → the manager that gave it.
MANAGERS = (("slurm_job_id", "slurm"), ("k8s_pod_uid", "k8s"), ("k8s_pod_name", "k8s"), ("vm", "libvirt"))


def metrics(place: Place) -> tuple[Metric, ...]:
    """The family, for this host."""
    return (*_rapl(place), *_units(place), _grid())


def _rapl(place: Place) -> Iterator[Metric]:
    for zone, kind in ZONES:

        def joules(snapshot: Snapshot, kind: str = kind) -> Iterator[Row]:
            found = [d for d in snapshot.devices.values() if d.kind == kind and d.inside is None]
            number = {device.id: str(n) for n, device in enumerate(found)}
            sums = snapshot.device_energy_uj.items()
            return exact(((place.host, number[device], device), uj) for (device, _), uj in sums if device in number)

        said = f"Current RAPL {zone} value in joules"
        yield metric(f"ceems_rapl_{zone}_joules_total", "counter", said, ("hostname", "index", "path"), joules)


def _units(place: Place) -> Iterator[Metric]:
    def host(snapshot: Snapshot) -> Iterator[tuple[Labels, int]]:
        cards, shares = gpus(snapshot), snapshot.share_uw.items()
        return _of_units(place, ((who, (), uw) for (who, device, _), uw in shares if device not in cards))

    def gpu(snapshot: Snapshot) -> Iterator[tuple[Labels, int]]:
        cards, shares = gpus(snapshot), snapshot.share_uw.items()
        on_cards = ((who, device, uw) for (who, device, _), uw in shares if device in cards)
        return _of_units(place, ((who, (cards[device].number, device), uw) for who, device, uw in on_cards))

    yield from _side(place, "host", UNIT, host)
    yield from _side(place, "gpu", (*UNIT, "index", "gpuuuid"), gpu)


def _side(
    place: Place, side: str, labels: Labels, shares: Callable[[Snapshot], Iterable[tuple[Labels, int]]]
) -> Iterator[Metric]:
    def watts(snapshot: Snapshot) -> Iterator[Row]:
        pue = place.pue()
        return ((who, uw / UJ_PER_J * pue) for who, uw in summed(shares(snapshot)))

    def emissions(snapshot: Snapshot) -> Iterator[Row]:
        grid = snapshot.grid
        if grid is None or grid.quality == "unknown":
            return iter(())
        return ((who, float(value) / J_PER_KWH * grid.value) for who, value in watts(snapshot))

    what = "of the unit's GPUs" if side == "gpu" else "of the unit without its GPUs"
    yield metric(f"uuid:ceems_{side}_power_watts:pue", "gauge", f"Power (W) {what}, PUE included.", labels, watts)
    yield metric(f"uuid:ceems_{side}_emissions_g_s:pue", "gauge", f"Emissions (g/s) {what}, PUE included.", labels, emissions)


def _of_units(place: Place, shares: Iterable[tuple[Workload, Labels, int]]) -> Iterator[tuple[Labels, int]]:
    for who, more, uw in shares:
        for name, manager in MANAGERS:
            if number := label(who, name):
                yield (place.host, manager, number, *more), uw
                break


def _grid() -> Metric:
    def intensity(snapshot: Snapshot) -> Iterator[Row]:
        if snapshot.grid is not None and snapshot.grid.quality != "unknown":
            yield (snapshot.grid.zone.partition("-")[0], snapshot.grid.origin), snapshot.grid.value

    return metric("ceems_emissions_gCo2_kWh", "gauge", "Emission factor in gCO2/kWh", ("country_code", "provider"), intensity)
