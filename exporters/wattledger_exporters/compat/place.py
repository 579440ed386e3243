"""What all families share: where this is, which devices there are, and how rows with the same labels are added up."""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Literal, NamedTuple

from wattledger.core.catalog import Metric
from wattledger.core.model import Device, Workload
from wattledger.core.rows import Row, joules, printable
from wattledger.core.totals import Snapshot

Labels = tuple[str, ...]


class Place(NamedTuple):
    """The host's name, the building's PUE now (1.0 where it is not known), and how many logical CPUs there are."""

    host: str
    pue: Callable[[], float]
    cpus: int


class Gpu(NamedTuple):
    """A GPU that is inside nothing, and its number: its place in the order in which the driver lists them."""

    number: str
    device: Device


def gpus(snapshot: Snapshot) -> dict[str, Gpu]:
    """By device id."""
    found = [d for d in snapshot.devices.values() if d.kind == "gpu" and d.inside is None]
    return {device.id: Gpu(str(number), device) for number, device in enumerate(found)}


def label(workload: Workload, name: str) -> str:
    """Empty where it has none."""
    return printable(dict(workload.labels).get(name, ""))


def exact(pairs: Iterable[tuple[Labels, int]]) -> Iterator[Row]:
    """Microjoules (or microwatts) with the same labels added up, as exact joules (watts)."""
    return ((labels, joules(uj)) for labels, uj in summed(pairs))


def summed(pairs: Iterable[tuple[Labels, int]]) -> list[tuple[Labels, int]]:
    """As ints, sorted."""
    sums: dict[Labels, int] = {}
    for labels, uj in pairs:
        sums[labels] = sums.get(labels, 0) + uj
    return sorted(sums.items())


def thousandfold(rows: Iterable[Row]) -> Iterator[Row]:
    """Millijoules, exactly."""
    return ((labels, Decimal(value) * 1000) for labels, value in rows)


def metric(
    name: str, kind: Literal["counter", "gauge"], said: str, labels: Labels, rows: Callable[[Snapshot], Iterable[Row]]
) -> Metric:
    """One of somebody else's metrics; it has no name in OpenTelemetry, and no unit that OpenMetrics could check."""
    return Metric(name, kind, "", said, labels, "", "", rows)
