"""Every exported metric, once: a row names it, says what it means, and draws its values from a snapshot.

Names and labels are for ever (contract.md, Metrics).  Energy leaves the house here and nowhere else: microjoules (int) become
joules as exact decimals, so that for every device the joules handed out are the joules measured, to the last digit of the text.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Literal, NamedTuple

from wattledger.core.model import Device, Workload
from wattledger.core.totals import DeviceKey, Snapshot
from wattledger.core.version import __version__

Number = int | float | Decimal
Row = tuple[tuple[str, ...], Number]


# Who: what programs say of themselves, then what the kernel vouches for.
WHO = ("job_name", "model_name", "k8s_namespace_name", "k8s_pod_name", "k8s_container_name", "slurm_job_id")


class Metric(NamedTuple):
    """One metric.  ``name`` is Prometheus's, whole; ``unit`` is the one spelled in it, or empty.

    ``otlp_name`` and ``otlp_unit`` say the same in OpenTelemetry's words; no ``otlp_name``: there it is a resource attribute.
    ``rows`` gives label values (in the order of ``label_names``; an empty one is an absent label) and a number, sorted, no two rows
    with the same labels; what is not known has no row.
    """

    name: str
    kind: Literal["counter", "gauge"]
    unit: str
    help: str
    labels: tuple[str, ...]
    otlp_name: str
    otlp_unit: str
    rows: Callable[[Snapshot], Iterable[Row]]

    def label_names(self, snapshot: Snapshot) -> tuple[str, ...]:
        """``labels``, and those that this agent was told to export beside job and model."""
        return (*self.labels, *snapshot.label_names) if self.labels[:1] == WHO[:1] else self.labels


def number_text(value: Number) -> str:
    """The shortest decimal that is exactly the value: ``1.5``, ``0``, ``12345678901.234567``; never an exponent for energy."""
    text = format(value, "f") if isinstance(value, Decimal) else repr(value)
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def _joules(energy_uj: int) -> Decimal:
    # From text, not by arithmetic: the caller's program may have set a decimal context of its own, which must not round our energy.
    return Decimal(f"{energy_uj}e-6")


@lru_cache(maxsize=16_384)
def _who(workload: Workload, *more: str, extra: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Values for ``WHO``, then ``more``, then ``extra`` labels; bytes that are no text (a job named by a broken locale) must not
    end every later scrape."""
    labels = dict(workload.labels)
    known = (workload.job, workload.model or "", *(labels.get(name, "") for name in WHO[2:]))
    return (*map(_printable, known), *more, *(_printable(labels.get(name, "")) for name in extra))


def _printable(name: str) -> str:
    return name if name.isascii() else name.encode("utf-8", "replace").decode("utf-8")


def _summed(pairs: Iterable[tuple[tuple[str, ...], int]]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Workloads that differ only in labels not exported share a series: their sums are kept."""
    sums: dict[tuple[str, ...], int] = {}
    for labels, value in pairs:
        sums[labels] = sums.get(labels, 0) + value
    yield from sorted(sums.items())


def _component(snapshot: Snapshot, device_id: str) -> str:
    return snapshot.devices[device_id].kind


def _energy(snapshot: Snapshot) -> Iterator[Row]:
    pairs = (
        (_who(workload, device, _component(snapshot, device), method, use, extra=snapshot.label_names), uj)
        for (workload, device, method, use), uj in snapshot.energy_uj.items()
    )
    return ((labels, _joules(uj)) for labels, uj in _summed(pairs))


def _by_device(
    snapshot: Snapshot, sums: Mapping[DeviceKey, int], said: Callable[[Device], str]
) -> Iterator[Row]:
    for (device_id, method), uj in sorted(sums.items()):
        device = snapshot.devices[device_id]
        yield (device_id, device.kind, said(device), method), _joules(uj)


def _device_energy(snapshot: Snapshot) -> Iterator[Row]:
    return _by_device(snapshot, snapshot.device_energy_uj, lambda device: device.model)


def _subdevice_energy(snapshot: Snapshot) -> Iterator[Row]:
    return _by_device(snapshot, snapshot.subdevice_energy_uj, lambda device: device.inside or "")


def _device_power(snapshot: Snapshot) -> Iterator[Row]:
    """Only what is inside nothing, so that a sum over a host counts each watt once."""
    for device_id, uw in sorted(snapshot.power_uw.items()):
        if snapshot.devices[device_id].inside is None:
            yield (device_id, _component(snapshot, device_id)), _joules(uw)


def _emissions(snapshot: Snapshot) -> Iterator[Row]:
    sums: dict[tuple[str, ...], float] = {}
    for workload, grams in snapshot.emissions_g.items():
        who = _who(workload, extra=snapshot.label_names)
        sums[who] = sums.get(who, 0.0) + grams
    return iter(sorted(sums.items()))


def _tokens(snapshot: Snapshot) -> Iterator[Row]:
    pairs = (
        (_who(workload, kind, extra=snapshot.label_names), count)
        for workload, work in snapshot.work.items()
        for kind, count in (
            ("prompt", work.prompt_tokens),
            ("cached", work.cached_tokens),
            ("generated", work.generated_tokens),
        )
    )
    return _summed(pairs)


def _requests(snapshot: Snapshot) -> Iterator[Row]:
    pairs = ((_who(workload, extra=snapshot.label_names), work.requests) for workload, work in snapshot.work.items())
    return _summed(pairs)


def _grid(snapshot: Snapshot) -> Iterator[Row]:
    if snapshot.grid is not None:
        grid = snapshot.grid
        # Annual tables are averages; a marginal signal, when there is one, is a factor of another kind.
        yield (grid.zone, grid.origin, "average", grid.quality), grid.value


def _grid_age(snapshot: Snapshot) -> Iterator[Row]:
    if snapshot.grid is not None and snapshot.grid_age_s is not None:
        yield (snapshot.grid.zone, snapshot.grid.origin), snapshot.grid_age_s


def _settled(snapshot: Snapshot) -> Iterator[Row]:
    return iter(sorted(snapshot.settled_g.items()))


def _residual(snapshot: Snapshot) -> Iterator[Row]:
    return (((device,), _joules(uj)) for device, uj in sorted(snapshot.residual_uj.items()))


def _source_up(snapshot: Snapshot) -> Iterator[Row]:
    return (((source,), int(health.up)) for source, health in sorted(snapshot.health.items()))


def _source_read(snapshot: Snapshot) -> Iterator[Row]:
    return (((source,), health.read_s) for source, health in sorted(snapshot.health.items()))


def _source_errors(snapshot: Snapshot) -> Iterator[Row]:
    return (((source,), health.errors) for source, health in sorted(snapshot.health.items()))


def _retired(snapshot: Snapshot) -> Iterator[Row]:
    """0 while nobody has been retired: a sum with an absent series is no sum in PromQL."""
    for device in sorted({device for device, _ in snapshot.device_energy_uj}):
        yield (device, _component(snapshot, device)), _joules(snapshot.retired_uj.get(device, 0))


def _coverage(snapshot: Snapshot) -> Iterator[Row]:
    found = ((source, health.coverage) for source, health in sorted(snapshot.health.items()))
    return (((source,), part) for source, part in found if part is not None)


def _tick_late(snapshot: Snapshot) -> Iterator[Row]:
    if snapshot.late_s is not None:
        yield (), snapshot.late_s


def _sent(snapshot: Snapshot) -> Iterator[Row]:
    for exporter, sent in sorted(snapshot.sent.items()):
        yield (exporter, "delivered"), sent.delivered
        yield (exporter, "failed"), sent.failed


def _build_info(_: Snapshot) -> Iterator[Row]:
    # Looked up, not imported: core imports nothing above it, and the package it lies in is there whenever core is.
    yield (__version__,), 1


CATALOG: tuple[Metric, ...] = (
    Metric(
        "wattledger_energy_joules_total", "counter", "joules",
        "Energy by the workload it worked for. use: active, or held (idle energy of what it holds). "
        "Over all workloads it sums to wattledger_device_energy_joules_total.",
        (*WHO, "device", "component", "method", "use"), "wattledger.energy", "J", _energy,
    ),
    Metric(
        "wattledger_device_energy_joules_total", "counter", "joules",
        "Energy of each device; their sum counts every joule of the host once. "
        "method: counter (an energy register), integrated (measured power), estimated (a model).",
        ("device", "component", "device_model", "method"), "hw.energy", "J", _device_energy,
    ),
    Metric(
        "wattledger_subdevice_energy_joules_total", "counter", "joules",
        "Energy that another device already counts (inside): never to be added to wattledger_device_energy_joules_total.",
        ("device", "component", "inside", "method"), "hw.energy", "J", _subdevice_energy,
    ),
    Metric(
        "wattledger_device_power_watts", "gauge", "watts",
        "Mean power of each device over the last reading period.",
        ("device", "component"), "hw.power", "W", _device_power,
    ),
    Metric(
        "wattledger_emissions_grams_total", "counter", "grams",
        "Location-based CO2e of the energy, at the grid factor in force when it was metered. For operations, not for reports.",
        WHO, "wattledger.emissions", "g", _emissions,
    ),
    Metric(
        "wattledger_tokens_total", "counter", "",
        "Tokens. kind: prompt (computed, without cache hits), cached, generated.",
        (*WHO, "kind"), "wattledger.tokens", "{token}", _tokens,
    ),
    Metric(
        "wattledger_requests_total", "counter", "",
        "Requests served.",
        WHO, "wattledger.requests", "{request}", _requests,
    ),
    Metric(
        "wattledger_grid_carbon_intensity_grams_per_kwh", "gauge", "grams_per_kwh",
        "Carbon intensity of the grid, in force for the emissions above.",
        ("grid_zone", "provider", "basis", "quality"), "wattledger.grid.carbon_intensity_grams_per_kwh", "", _grid,
    ),
    Metric(
        "wattledger_grid_carbon_intensity_age_seconds", "gauge", "seconds",
        "Age of the live figure above: time since the end of what it speaks of. Absent for an annual average.",
        ("grid_zone", "provider"), "wattledger.grid.carbon_intensity_age", "s", _grid_age,
    ),
    Metric(
        "wattledger_settled_emissions_grams", "gauge", "grams",
        "CO2e by day (UTC) from the ledger, at the grid's newest figures. state: provisional while the grid may still revise "
        "them, then settled.",
        ("day", "basis", "state"), "wattledger.settled_emissions", "g", _settled,
    ),
    Metric(
        "wattledger_attribution_residual_joules", "gauge", "joules",
        "Energy measured less energy handed out, by two sums that never meet: must read 0.",
        ("device",), "wattledger.attribution.residual", "J", _residual,
    ),
    Metric(
        "wattledger_retired_energy_joules_total", "counter", "joules",
        "Energy of workloads that ended and whose series are gone. With wattledger_energy_joules_total it sums to "
        "wattledger_device_energy_joules_total.",
        ("device", "component"), "wattledger.retired_energy", "J", _retired,
    ),
    Metric(
        "wattledger_coverage_ratio", "gauge", "ratio",
        "Time over which the source was read, of the time since it was opened.",
        ("source",), "wattledger.coverage_ratio", "", _coverage,
    ),
    Metric(
        "wattledger_source_up", "gauge", "",
        "1 while the source is read, 0 while it fails or hangs and once it is gone or was stopped.",
        ("source",), "wattledger.source.up", "", _source_up,
    ),
    Metric(
        "wattledger_source_read_seconds", "gauge", "seconds",
        "Length of the source's last read.",
        ("source",), "wattledger.source.read", "s", _source_read,
    ),
    Metric(
        "wattledger_source_errors_total", "counter", "",
        "Reads that failed.",
        ("source",), "wattledger.source.errors", "{error}", _source_errors,
    ),
    Metric(
        "wattledger_tick_late_seconds", "gauge", "seconds",
        "How late the last background reading began.",
        (), "wattledger.tick_late", "s", _tick_late,
    ),
    Metric(
        "wattledger_exports_total", "counter", "",
        "Deliveries of exporters that send. outcome: delivered, failed.",
        ("exporter", "outcome"), "wattledger.exports", "{export}", _sent,
    ),
    Metric(
        "wattledger_build_info", "gauge", "",
        "1, with the version as a label.",
        ("version",), "", "", _build_info,
    ),
)  # fmt: skip
