"""A capture played round and round: instants moved to now, registers and counts going on where the round before left them."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wattledger.core.model import (
    Activity,
    Batch,
    Condition,
    Device,
    EnergyCounter,
    Fault,
    Holding,
    IdleFloor,
    Instant,
    Kind,
    PowerGauge,
    Request,
    Sample,
    Served,
)

# A batch is due half a second after its time, so that a tick a second finds one each, however late it comes.
LEAD_NS = 500_000_000
INSTANTS = frozenset({"at", "learnt_at", "scheduled", "first_token", "end"})
COUNTS = ("prompt_tokens", "cached_tokens", "generated_tokens", "requests", "steps")
BY_KIND = {"gpu": "demo_nvml", "cpu": "demo_rapl", "dram": "demo_rapl", "node": "demo_redfish"}
BY_HOLDER = {"container": "demo_kubernetes", "pod": "demo_kubernetes", "slurm": "demo_slurm"}


class Show:
    """One capture for all the sources of a made-up node, which keep its time together.

    The last batch is the first one's time again, a round later: what has grown between the two is what a round counts.  Numbers in
    ``counted`` are part of the names of who is new in each round, and go up by one in each.  State: when it began.
    """

    def __init__(self, batches: Sequence[Batch], counted: Sequence[str] = ()) -> None:
        self._first = batches[0].at
        self._offsets_ns = [batch.at.mono_ns - self._first.mono_ns for batch in batches]
        self._names = re.compile("|".join(map(re.escape, counted))) if counted else None
        self._grown = grown(batches[0], batches[-1])
        sensors = (s.device for batch in batches for s in batch.samples if isinstance(s, EnergyCounter | PowerGauge))
        kinds = {device.id: device.kind for device in sensors}
        self._played: list[dict[str, list[Sample]]] = [by_source(batch, kinds) for batch in batches]
        self.round_ns = self._offsets_ns[-1]
        self._begun_ns: int | None = None

    def devices(self, source: str) -> list[Device]:
        """Whatever this source reads, in order."""
        samples = (sample for played in self._played for sample in played.get(source, ()))
        return list(dict.fromkeys(s.device for s in samples if isinstance(s, EnergyCounter | PowerGauge)))

    def due(self, at: Instant, played: int) -> range:
        """The numbers of the batches to be played now, after ``played`` of them.

        Who was not asked for more than a round has missed it whole: registers go on as if he had been.
        """
        if self._begun_ns is None:
            self._begun_ns = at.mono_ns - LEAD_NS
        rounds, since_ns = divmod(max(0, at.mono_ns - self._begun_ns), self.round_ns)
        length = len(self._offsets_ns) - 1
        until = rounds * length + bisect_right(self._offsets_ns, since_ns)
        missed = max(0, until - played - 1) // length if played else 0
        return range(played + missed * length, until)

    def samples(self, source: str, number: int, now: Instant) -> Iterator[Sample]:
        """One batch's, of one source.  The wall's time is as it is now: a clock that was set is set for a made-up node, too."""
        length = len(self._offsets_ns) - 1
        rounds, index = divmod(number - 1, length) if number else (0, -1)
        shift_ns = (self._begun_ns or 0) + rounds * self.round_ns - self._first.mono_ns
        wall_ns = now.wall_ns - now.mono_ns
        for sample in self._played[index + 1].get(source, ()):
            yield self._moved(sample, shift_ns, wall_ns, rounds)

    def _moved(self, sample: Sample, shift_ns: int, wall_ns: int, rounds: int) -> Sample:
        fields: dict[str, Any] = {}
        for name in INSTANTS.intersection(sample._fields):
            at = getattr(sample, name)
            if at is not None:
                fields[name] = Instant(at.mono_ns + shift_ns, at.mono_ns + shift_ns + wall_ns)
        if rounds:
            for name, more in self._grown.get(register(sample), {}).items():
                fields[name] = getattr(sample, name) + rounds * more
            if isinstance(sample, Request):
                fields["id"] = f"{sample.id}.{rounds}"
            elif self._names is not None and not isinstance(sample, EnergyCounter | PowerGauge | Served | Condition):
                fields = {**{f: self._renamed(v, rounds) for f, v in zip(sample._fields, sample, strict=True)}, **fields}
        return sample._replace(**fields)

    def _renamed(self, value: Any, rounds: int) -> Any:
        """Names, wherever they stand in a sample's fields."""
        if isinstance(value, str) and self._names is not None:
            return self._names.sub(lambda name: str(int(name[0]) + rounds), value)
        if isinstance(value, tuple) and not isinstance(value, Instant):
            parts = [self._renamed(part, rounds) for part in value]
            return type(value)._make(parts) if hasattr(value, "_make") else tuple(parts)
        return value


def register(sample: Sample) -> tuple[str, ...]:
    """What a cumulative sample counts; empty for one that is not cumulative."""
    match sample:
        case EnergyCounter():
            return ("energy", sample.device.id)
        case Activity():
            return ("use", sample.device_id, sample.who)
        case Served():
            return ("served", sample.engine, sample.model)
        case _:
            return ()


def grown(first: Batch, last: Batch) -> Mapping[tuple[str, ...], Mapping[str, int]]:
    """By how much each register grows in a round, by field.  Who comes and goes within one begins anew each time, and is not here.

    A register that wraps is none of a capture that is played: ValueError.
    """
    before = {register(sample): sample for sample in first.samples}
    found: dict[tuple[str, ...], dict[str, int]] = {}
    for sample in last.samples:
        key = register(sample)
        if not key or key not in before:
            continue
        if isinstance(sample, EnergyCounter) and sample.range_uj is not None:
            raise ValueError(f"{sample.device.id}: a register that wraps cannot be played on from where it was")
        names = {"energy": ("count_uj",), "use": ("used",), "served": COUNTS}[key[0]]
        told = {name: (getattr(before[key], name), getattr(sample, name)) for name in names}
        found[key] = {name: after - earlier for name, (earlier, after) in told.items() if after is not None and earlier is not None}
    return found


def by_source(batch: Batch, kinds: Mapping[str, Kind]) -> dict[str, list[Sample]]:
    """A batch's samples by who would have read them.  ``kinds``: of devices, by id."""
    found: dict[str, list[Sample]] = {}
    for sample in batch.samples:
        found.setdefault(source_of(sample, kinds), []).append(sample)
    return found


def source_of(sample: Sample, kinds: Mapping[str, Kind]) -> str:
    """Sensors by their device, names by whose word they are."""
    match sample:
        case EnergyCounter() | PowerGauge():
            return BY_KIND[sample.device.kind]
        case Condition() | IdleFloor():
            return BY_KIND[kinds[sample.device_id]]
        case Activity():
            return "demo_nvml" if kinds.get(sample.device_id) == "gpu" else "demo_cgroup"
        case Holding():
            return BY_HOLDER.get(sample.who.partition(":")[0], "demo_cgroup")
        case Served() | Request():
            return "demo_engines"
        case Fault():
            return sample.source
    rank = getattr(sample, "rank", "")
    return {"pod": "demo_kubernetes", "slurm": "demo_slurm"}.get(rank, "demo_cgroup")
