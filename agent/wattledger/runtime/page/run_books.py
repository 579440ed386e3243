"""One run, or all of one job, as the open books tell it: its energy by sensor and by minute, its work, and its prices."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from wattledger.core.facts import Key, RunFact
from wattledger.core.uncertainty import Quantity
from wattledger.core.units import UJ_PER_J
from wattledger.runtime.page.books import SLOT_S, Amount, Place, Reader, is_agents, numbers_of, reading
from wattledger.runtime.page.figures import energy_j, measured
from wattledger.runtime.page.history import Reading
from wattledger.runtime.page.priced import Rules, lists, priced
from wattledger.runtime.page.runs import reads_of

if TYPE_CHECKING:
    from wattledger.accounting.explain import Slot

MINUTE_S = 60
JOB = "job:"


class DeviceSum(NamedTuple):
    """What it got of one device by one method."""

    component: str
    device: str
    model: str
    method: str
    energy_j: Quantity
    held_j: float


class Booked(NamedTuple):
    """``end_s``: when it ended, or the end of the last minute in which it had energy, or now, if that is not over.  ``since_s``: of
    facts recorded from then on.  ``work``: prompt, cached and generated tokens, requests.  ``alone``: these
    books know of no other run of its job."""

    job: str
    models: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]
    hosts: tuple[str, ...]
    meters: tuple[str, ...]
    start_s: float
    end_s: float
    ended: bool
    energy_j: Quantity
    location_g: Quantity
    measured: float | None
    devices: tuple[DeviceSum, ...]
    minutes: tuple[Reading, ...]
    work: tuple[int, ...]
    slots: "tuple[Slot, ...]"
    since_s: int
    alone: bool


def is_of(name: str, job: str, run: str) -> bool:
    """Whether energy of this job and run is on the page called ``name``: a run's id, or ``job:NAME`` for all runs of a job."""
    return run == name if run and run == name else name.startswith(JOB) and job == name.removeprefix(JOB)


def booked(place: Place, name: str, now_s: int, rules: Rules) -> Booked | None:
    """``None`` where the open books have nothing of that name.  Raises LedgerError."""
    with reading(place.folder) as books:
        journal = books.open_minutes()
        every = {*(key for day in books.keys().values() for key in day.values()), *(a.key for a in journal)}
        keys = {key for key in every if is_of(name, key.job, key.run)}
        keys = {key for key in keys if is_agents(key)} or keys  # a tracker beside an agent metered the same joules
        if not keys:
            return None
        jobs = {key.job for key in keys}
        alone = {key.run for key in every if key.job in jobs and is_agents(key) and key.device} == {name}
        numbers = numbers_of(books, [*keys])
        still = [amount for amount in journal if amount.key in keys]
        whole = [*books.amounts(numbers, 0), *still] if numbers else still
        if not whole:
            return None
        slotted = [*books.amounts(numbers, SLOT_S), *still] if numbers else still
        by_minute = [*books.amounts(numbers, MINUTE_S), *still] if numbers else still
        work = _work(books, numbers, keys)
        grid, since_s = books.facts("intensity"), books.since_s()
        ends = [f for known in books.facts("run") if isinstance(f := known.fact, RunFact) and f.run == name and f.what == "ended"]
    start_s = min(a.start_s for a in whole)
    end_s = min(max(a.start_s + a.length_s for a in whole), max(start_s, now_s))
    if ends:
        end_s = min(end_s, max(start_s + 1, int(max(f.at_ms for f in ends) / 1000)))
    sums, under = priced(slotted, lists(slotted, grid, now_s, rules))
    names = min(key.job for key in keys), _distinct(keys, lambda k: k.model), _labels(keys), _distinct(keys, lambda k: k.host)
    return Booked(
        *names, _distinct(keys, lambda k: k.meter), start_s, end_s, bool(ends), sums.energy_j(shared=True),
        sums.emissions_g("operational", shared=True), measured(reads_of(whole)), _devices(whole, sums.used_s),
        _minutes(by_minute, under), work, under, since_s, alone,
    )  # fmt: skip


def _distinct(keys: set[Key], of: Callable[[Key], str]) -> tuple[str, ...]:
    return tuple(sorted({of(key) for key in keys} - {""}))


def _labels(keys: set[Key]) -> tuple[tuple[str, str], ...]:
    """Those that all have in common."""
    common = set.intersection(*(set(key.labels) for key in keys))
    return tuple(sorted(common))


def _work(books: Reader, numbers: Sequence[tuple[int, int]], keys: set[Key]) -> tuple[int, ...]:
    """Work has no device, so its keys are others of the same run and job."""
    whose = {(key.meter, key.run, key.job, key.model, key.labels) for key in keys}
    of = [
        (day, number)
        for day, known in books.keys().items()
        for number, key in known.items()
        if not key.device and (key.meter, key.run, key.job, key.model, key.labels) in whose
    ]
    done = list(books.work(of)) if of else [0, 0, 0, 0]
    for fact in books.open_work():
        if (fact.key.meter, fact.key.run, fact.key.job, fact.key.model, fact.key.labels) in whose:
            done = [a + b for a, b in zip(done, fact[3:7], strict=True)]
    return tuple(done)


def _devices(amounts: Sequence[Amount], used_s: float) -> tuple[DeviceSum, ...]:
    found: dict[tuple[str, str, str, str], list[Amount]] = {}
    for amount in amounts:
        key = amount.key
        found.setdefault((key.component, key.device, key.device_model, key.method), []).append(amount)
    sums = []
    for names, of in found.items():
        held_uj = sum(a.energy_uj for a in of if a.key.use == "held")
        sums.append(DeviceSum(*names, energy_j(reads_of(of), used_s), held_uj / UJ_PER_J))
    return tuple(sorted(sums, key=lambda each: (-each.energy_j.value, each.device)))


def _minutes(amounts: Sequence[Amount], under: "Sequence[Slot]") -> tuple[Reading, ...]:
    """Mean power by the minute; where there was nothing for a while, a hole."""
    sums: dict[tuple[int, int], int] = {}
    for amount in amounts:
        window = amount.start_s, max(1, amount.length_s)
        sums[window] = sums.get(window, 0) + amount.energy_uj
    found: list[Reading] = []
    for (start_s, length_s), uj in sorted(sums.items()):
        if found and start_s > found[-1].end_s:
            found.append(Reading(found[-1].end_s, start_s, None, None))
        found.append(Reading(start_s, start_s + length_s, uj / UJ_PER_J / length_s, _grid_at(start_s, under)))
    return tuple(found)


def _grid_at(at_s: int, under: "Sequence[Slot]") -> float | None:
    for slot in under:
        price = slot.price
        if price is not None and price.start_s <= at_s < price.start_s + price.length_s:
            return price.ug_per_kwh / 1e6
    return None
