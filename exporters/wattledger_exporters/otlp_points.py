"""A snapshot in OpenTelemetry's words: the catalog's rows grouped by instrument, attributes by their semantic names.  Pure.

Names follow the semantic conventions for hardware (v1.44.0, in development) where they have one, else ``wattledger.``.
"""

from collections.abc import Iterable, Iterator
from decimal import Context, Decimal
from typing import Literal, NamedTuple

from wattledger.core.catalog import CATALOG, Metric, Number
from wattledger.core.totals import Snapshot
from wattledger.core.units import joules

Attributes = tuple[tuple[str, str], ...]

# The catalog's labels as attributes; a label that is not here is `wattledger.` and its own name.
ATTRIBUTES = {
    "device": "hw.id",
    "component": "hw.type",
    "device_model": "hw.model",
    "inside": "hw.parent",
    "job_name": "wattledger.job.name",
    "model_name": "wattledger.model.name",
    "kind": "wattledger.token.kind",
    "grid_zone": "wattledger.grid.zone",
    "provider": "wattledger.grid.provider",
    "k8s_namespace_name": "k8s.namespace.name",
    "k8s_pod_name": "k8s.pod.name",
    "k8s_pod_uid": "k8s.pod.uid",
    "k8s_container_name": "k8s.container.name",
    "container_id": "container.id",
    "slurm_job_id": "slurm.job.id",
    "slurm_step_id": "slurm.step.id",
}
# hw.type has words of its own; for ours that it lacks (accelerator, rest) it takes any text.
HW_TYPES = {"dram": "memory", "nic": "network", "storage": "physical_disk"}

# A Decimal from a context of our own: at exit we compute in the program's thread, whose context may round to three digits.
EXACT = Context(prec=60)


class Reading(NamedTuple):
    """One instrument: rows of attributes (none of them empty) and a number; no two rows have the same attributes."""

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    help: str
    rows: list[tuple[Attributes, Number]]


class Point(NamedTuple):
    """One number as it travels: cumulative since ``start_ns``, or (a delta) what it grew by since then."""

    attributes: dict[str, str]
    value: int | float
    start_ns: int


def _grouped() -> dict[str, list[Metric]]:
    """The catalog by instrument: devices and sub-devices share ``hw.energy``, where ``hw.parent`` tells them apart."""
    found: dict[str, list[Metric]] = {}
    for metric in CATALOG:
        if metric.otlp_name:
            found.setdefault(metric.otlp_name, []).append(metric)
    return found


INSTRUMENTS = _grouped()


def readings(snapshot: Snapshot, host_id: str) -> Iterator[Reading]:
    """Every instrument that has something to say, in the catalog's order; ``host_id`` is the ``hw.id`` of the whole host."""
    for name, (first, *more) in INSTRUMENTS.items():
        rows = [row for metric in (first, *more) for row in _rows(metric, snapshot)]
        if rows:
            yield Reading(name, first.kind, first.otlp_unit, first.help, rows)
    yield from _host(snapshot, host_id)


def _rows(metric: Metric, snapshot: Snapshot) -> Iterator[tuple[Attributes, Number]]:
    names = [ATTRIBUTES.get(label, f"wattledger.{label}") for label in metric.label_names(snapshot)]
    hardware = metric.otlp_name.startswith("hw.")
    for values, number in metric.rows(snapshot):
        pairs = dict(zip(names, values, strict=True))
        if hardware and pairs["hw.type"] == "node":
            continue  # the conventions: what is the whole host's is hw.host.energy, and never hw.energy too
        if "hw.type" in pairs:
            pairs["hw.type"] = HW_TYPES.get(pairs["hw.type"], pairs["hw.type"])
        yield tuple((name, value) for name, value in pairs.items() if value), number


def _host(snapshot: Snapshot, host_id: str) -> Iterator[Reading]:
    """The whole host: each joule and each watt once."""
    at: Attributes = (("hw.id", host_id),)
    if snapshot.device_energy_uj:
        energy = Decimal(f"{sum(snapshot.device_energy_uj.values())}e-6")
        yield Reading("hw.host.energy", "counter", "J", "Energy of the host: the sum of its devices.", [(at, energy)])
    powers = [uw for device, uw in snapshot.power_uw.items() if snapshot.devices[device].inside is None]
    if powers:
        yield Reading("hw.host.power", "gauge", "W", "Power of the host: the sum of its devices.", [(at, joules(sum(powers)))])


def parts(found: Iterable[Reading], size: int) -> Iterator[list[Reading]]:
    """The same rows in requests of at most ``size`` of them: receivers refuse messages over 4 MB."""
    part: list[Reading] = []
    room = size
    for reading in found:
        rows = reading.rows
        while rows:
            part.append(reading._replace(rows=rows[:room]))
            rows, room = rows[room:], room - len(part[-1].rows)
            if not room:
                yield part
                part, room = [], size
    if part:
        yield part


class Cumulative:
    """Totals since ``started_ns``.  Stateless."""

    def __init__(self, started_ns: int) -> None:
        self._started_ns = started_ns

    def points(self, reading: Reading) -> list[Point]:
        return [Point(dict(attributes), _plain(number), self._started_ns) for attributes, number in reading.rows]

    def arrived(self, part: Iterable[Reading], at_ns: int) -> None:
        """Nothing to remember."""

    def forget_all_but(self, told: Iterable[Reading]) -> None:
        """Nothing to forget."""


class Delta:
    """What counters grew by since it last *arrived*: a receiver that was away for an hour misses no joule of it.

    State: for each series that a receiver knows, its total then and when that was.
    """

    def __init__(self, started_ns: int) -> None:
        self._started_ns = started_ns
        self._known: dict[tuple[str, Attributes], tuple[Number, int]] = {}

    def points(self, reading: Reading) -> list[Point]:
        return [self._point(reading, attributes, number) for attributes, number in reading.rows]

    def _point(self, reading: Reading, attributes: Attributes, number: Number) -> Point:
        then, start_ns = self._known.get((reading.name, attributes), (0, self._started_ns))
        if reading.kind == "gauge" or number < then:  # fallen: the workload had been retired, and begins again at 0
            then = 0
        grown = EXACT.subtract(number, then) if isinstance(number, Decimal) else number - then  # type: ignore[arg-type, operator]
        return Point(dict(attributes), _plain(grown), start_ns)

    def arrived(self, part: Iterable[Reading], at_ns: int) -> None:
        """These rows have been delivered."""
        for reading in part:
            if reading.kind == "counter":
                self._known |= {(reading.name, attributes): (number, at_ns) for attributes, number in reading.rows}

    def forget_all_but(self, told: Iterable[Reading]) -> None:
        """Series that are gone from the snapshot are forgotten, so that memory stays bounded."""
        there = {(reading.name, attributes) for reading in told for attributes, _ in reading.rows}
        self._known = {key: known for key, known in self._known.items() if key in there}


def _plain(number: Number) -> int | float:
    """OTLP knows int64 and double; joules are doubles."""
    return float(number) if isinstance(number, Decimal) else number
