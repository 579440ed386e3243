"""A snapshot → the rows of each metric: label values and a number, sorted, no two with the same labels.

Energy leaves the house here and nowhere else: microjoules (int) become joules as exact decimals, so that for every device the
joules handed out are the joules measured, to the last digit of the text.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from wattledger.core.model import RETIRED, Device, Instant, Work, Workload, by_name
from wattledger.core.totals import DeviceKey, Snapshot
from wattledger.core.version import __version__

Number = int | float | Decimal
NO_WORK = Work(Workload(""), Instant(0, 0))
Row = tuple[tuple[str, ...], Number]


# Who: what programs say of themselves, then what the kernel vouches for.
WHO = ("job_name", "model_name", "k8s_namespace_name", "k8s_pod_name", "k8s_container_name", "slurm_job_id")


def joules(energy_uj: int) -> Decimal:
    # From text, not by arithmetic: the caller's program may have set a decimal context of its own, which must not round our energy.
    return Decimal(f"{energy_uj}e-6")


@lru_cache(maxsize=16_384)
def who(workload: Workload, *more: str, extra: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Values for ``WHO``, then ``more``, then ``extra`` labels; bytes that are no text (a job named by a broken locale) must not
    end every later scrape."""
    labels = dict(workload.labels)
    known = (workload.job, workload.model or "", *(labels.get(name, "") for name in WHO[2:]))
    return (*map(printable, known), *map(printable, more), *(printable(labels.get(name, "")) for name in extra))


def printable(name: str) -> str:
    return name if name.isascii() else name.encode("utf-8", "replace").decode("utf-8")


def summed(pairs: Iterable[tuple[tuple[str, ...], int]]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Workloads that differ only in labels not exported share a series: their sums are kept."""
    sums: dict[tuple[str, ...], int] = {}
    for labels, value in pairs:
        sums[labels] = sums.get(labels, 0) + value
    yield from sorted(sums.items())


def component(snapshot: Snapshot, device_id: str) -> str:
    return snapshot.devices[device_id].kind


def energy(snapshot: Snapshot) -> Iterator[Row]:
    pairs = (
        (who(workload, device, component(snapshot, device), method, use, extra=snapshot.label_names), uj)
        for (workload, device, method, use), uj in snapshot.energy_uj.items()
    )
    return ((labels, joules(uj)) for labels, uj in summed(pairs))


def by_device(
    snapshot: Snapshot, sums: Mapping[DeviceKey, int], said: Callable[[Device], str]
) -> Iterator[Row]:
    for (device_id, method), uj in sorted(sums.items()):
        device = snapshot.devices[device_id]
        yield (device_id, device.kind, said(device), method), joules(uj)


def device_energy(snapshot: Snapshot) -> Iterator[Row]:
    return by_device(snapshot, snapshot.device_energy_uj, lambda device: device.model)


def subdevice_energy(snapshot: Snapshot) -> Iterator[Row]:
    return by_device(snapshot, snapshot.subdevice_energy_uj, lambda device: device.inside or "")


def device_power(snapshot: Snapshot) -> Iterator[Row]:
    """Only what is inside nothing, so that a sum over a host counts each watt once."""
    for device_id, uw in sorted(snapshot.power_uw.items()):
        if snapshot.devices[device_id].inside is None:
            yield (device_id, component(snapshot, device_id)), joules(uw)


def emissions(snapshot: Snapshot) -> Iterator[Row]:
    return _by_who(snapshot, (((workload,), grams) for workload, grams in snapshot.emissions_g.items()))


def embodied(snapshot: Snapshot) -> Iterator[Row]:
    return _by_who(snapshot, (((workload,), grams) for workload, grams in snapshot.embodied_g.items()))


def water(snapshot: Snapshot) -> Iterator[Row]:
    return _by_who(snapshot, snapshot.water_l.items())


def cost(snapshot: Snapshot) -> Iterator[Row]:
    return _by_who(snapshot, snapshot.cost.items())


def temperature(snapshot: Snapshot) -> Iterator[Row]:
    for device_id, said in sorted(snapshot.conditions.items()):
        if said.temperature_mc is not None and device_id in snapshot.devices:
            yield (device_id, component(snapshot, device_id)), said.temperature_mc / 1000


def power_limit(snapshot: Snapshot) -> Iterator[Row]:
    """Only of what is inside nothing, as its power."""
    for device_id, said in sorted(snapshot.conditions.items()):
        device = snapshot.devices.get(device_id)
        if said.limit_uw is not None and device is not None and device.inside is None:
            yield (device_id, device.kind), joules(said.limit_uw)


def _by_who(snapshot: Snapshot, pairs: Iterable[tuple[tuple[Any, ...], float]]) -> Iterator[Row]:
    """Who has ended has no row: moved to one of its own, what he had would be an increase there, and counted a second time by all
    who add increases up.  (Joules have a metric of their own for it, so that each scrape closes.)"""
    sums: dict[tuple[str, ...], float] = {}
    for (workload, *more), value in pairs:
        if workload == RETIRED:
            continue
        labels = who(workload, *more, extra=snapshot.label_names)
        sums[labels] = sums.get(labels, 0.0) + value
    return iter(sorted(sums.items()))


def tokens(snapshot: Snapshot) -> Iterator[Row]:
    pairs = (
        (who(workload, kind, extra=snapshot.label_names), count)
        for workload, work in snapshot.work.items()
        if workload != RETIRED
        for kind, count in (
            ("prompt", work.prompt_tokens),
            ("cached", work.cached_tokens),
            ("generated", work.generated_tokens),
        )
    )
    return summed(pairs)


def requests(snapshot: Snapshot) -> Iterator[Row]:
    # Some engines count tokens and no requests: none is not known to be nought.
    untold = {workload for workload in snapshot.tokens.engines.values() if not snapshot.work.get(workload, NO_WORK).requests}
    untold.add(RETIRED)
    done = snapshot.work.items()
    return summed((who(w, extra=snapshot.label_names), work.requests) for w, work in done if w not in untold)


def grid(snapshot: Snapshot) -> Iterator[Row]:
    for basis, grid in (("average", snapshot.grid), ("marginal", snapshot.marginal)):
        if grid is not None:
            yield (grid.zone, grid.origin, basis, grid.quality), grid.value


def grid_age(snapshot: Snapshot) -> Iterator[Row]:
    if snapshot.grid is not None and snapshot.grid_age_s is not None:
        yield (snapshot.grid.zone, snapshot.grid.origin), snapshot.grid_age_s


def forecast(snapshot: Snapshot) -> Iterator[Row]:
    for hours, factor in sorted(snapshot.forecast.items()):
        yield (factor.zone, factor.origin, f"{hours:02d}"), factor.value


def settled(snapshot: Snapshot) -> Iterator[Row]:
    return iter(sorted(snapshot.settled_g.items()))


def residual(snapshot: Snapshot) -> Iterator[Row]:
    return (((device,), joules(uj)) for device, uj in sorted(snapshot.residual_uj.items()))


def source_up(snapshot: Snapshot) -> Iterator[Row]:
    return (((source,), int(health.up)) for source, health in sorted(snapshot.health.items()))


def source_read(snapshot: Snapshot) -> Iterator[Row]:
    return (((source,), health.read_s) for source, health in sorted(snapshot.health.items()))


def source_errors(snapshot: Snapshot) -> Iterator[Row]:
    return (((source,), health.errors) for source, health in sorted(snapshot.health.items()))


def retired(snapshot: Snapshot) -> Iterator[Row]:
    """0 while nobody has been retired: a sum with an absent series is no sum in PromQL."""
    for device in sorted({device for device, _ in snapshot.device_energy_uj}):
        yield (device, component(snapshot, device)), joules(snapshot.retired_uj.get(device, 0))


def coverage(snapshot: Snapshot) -> Iterator[Row]:
    found = ((source, health.coverage) for source, health in sorted(snapshot.health.items()))
    return (((source,), part) for source, part in found if part is not None)


def tick_late(snapshot: Snapshot) -> Iterator[Row]:
    if snapshot.late_s is not None:
        yield (), snapshot.late_s


def ledger_lag(snapshot: Snapshot) -> Iterator[Row]:
    if snapshot.ledger_lag_s is not None:
        yield (), snapshot.ledger_lag_s


def sent(snapshot: Snapshot) -> Iterator[Row]:
    for exporter, sent in sorted(snapshot.sent.items()):
        yield (exporter, "delivered"), sent.delivered
        yield (exporter, "failed"), sent.failed


def build_info(_: Snapshot) -> Iterator[Row]:
    # Looked up, not imported: core imports nothing above it, and the package it lies in is there whenever core is.
    yield (__version__,), 1


# --- serving engines ------------------------------------------------------------------------------------------------------


def token_energy(snapshot: Snapshot) -> Iterator[Row]:
    pairs = ((who(w, *more, extra=snapshot.label_names), uj) for (w, *more), uj in snapshot.tokens.token_uj.items())
    return ((labels, joules(uj)) for labels, uj in summed(pairs))


def token_pending(snapshot: Snapshot) -> Iterator[Row]:
    pairs = ((who(w, extra=snapshot.label_names), uj) for w, uj in snapshot.tokens.token_pending_uj.items())
    return ((labels, joules(uj)) for labels, uj in summed(pairs))


def token_emissions(snapshot: Snapshot) -> Iterator[Row]:
    return _by_who(snapshot, snapshot.tokens.token_g.items())


def token_price(snapshot: Snapshot) -> Iterator[Row]:
    """Of workloads that differ in labels not exported, the first by name: prices have no sum."""
    found: dict[tuple[str, ...], float] = {}
    known = snapshot.tokens.token_price
    for workload, kind, bound in sorted(known, key=lambda key: (by_name(key[0]), *key[1:])):
        found.setdefault(who(workload, kind, bound, extra=snapshot.label_names), known[workload, kind, bound])
    return iter(sorted(found.items()))


def request_energy(snapshot: Snapshot) -> Iterator[Row]:
    pairs = ((who(w, *more, extra=snapshot.label_names), uj) for (w, *more), uj in snapshot.tokens.request_uj.items())
    return ((labels, joules(uj)) for labels, uj in summed(pairs))


def request_tokens(snapshot: Snapshot) -> Iterator[Row]:
    pairs = ((who(w, *more, extra=snapshot.label_names), n) for (w, *more), n in snapshot.tokens.request_tokens.items())
    return summed(pairs)
