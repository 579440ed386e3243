"""Facts and stores, as tests of the books need them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from wattledger.core.facts import AllocationFact, EnergyFact, GapFact, IntensityFact, Key, RunFact, WorkFact
from wattledger.ledger.body import encode, encode_key
from wattledger.ledger.chain import genesis, link
from wattledger.ledger.store import Store

NOON_S = 1_790_000_000 // 86_400 * 86_400 + 43_200  # noon, UTC, of a day in 2026
DAY_S = 86_400


def key(i: int = 0, **more: Any) -> Key:
    """A workload on a GPU of ``gpu-7``; each ``i`` is another."""
    made = Key(
        meter="agent:gpu-7", host="gpu-7", zone="DE", pue_milli=1200, device=f"GPU-{i % 16:08x}", component="gpu",
        device_model="NVIDIA H100 80GB HBM3", method="counter", use="active", run=f"run-{i // 16}", job=f"job-{i // 16}", model="m",
    )  # fmt: skip
    return made._replace(**more)


def energy(i: int = 0, *, start_s: int = NOON_S, uj: int = 1_000_000, of: Key | None = None) -> EnergyFact:
    """A minute's energy of key ``i``, or ``of`` a key."""
    return EnergyFact(of or key(i), start_s, 60, 60_000, uj, 0)


def work(i: int = 0, *, start_s: int = NOON_S, generated: int = 64) -> WorkFact:
    of = Key(meter="agent:gpu-7", host="gpu-7", zone="DE", job=f"job-{i}", model="m")
    return WorkFact(of, start_s, 60, 812, 0, generated, 1)


def divided(
    prompt: int = 0, generated: int = 0, standby: int = 0, overhead: int = 0, *,
    start_s: int = NOON_S, weak: bool = False, of: Key | None = None,
) -> AllocationFact:  # fmt: skip
    """What job-0's energy of a minute went into, on GPUs; microjoules."""
    whole = key()._replace(device="", device_model="", use="") if of is None else of
    return AllocationFact(whole, start_s, 60, prompt, generated, standby, overhead, weak=weak)


def asked(request: str, prompt: int = 0, generated: int = 0, *, start_s: int = NOON_S, **more: Any) -> AllocationFact:
    """What a request to job-0 got; it asked with 10 tokens and got 20."""
    whole = key()._replace(device="", device_model="", use="", component="", method="")
    made = AllocationFact(whole, start_s, 2, prompt, generated, request=request, prompt_tokens=10, generated_tokens=20)
    return made._replace(**more)


def minute(count: int, *, start_s: int = NOON_S, uj: int = 1_000_000) -> list[EnergyFact]:
    """A minute of ``count`` keys, each with another energy."""
    return [energy(i, start_s=start_s, uj=uj + i) for i in range(count)]


def intensity(start_s: int = NOON_S, *, g_per_kwh: int = 329, zone: str = "DE", **more: Any) -> IntensityFact:
    return IntensityFact(zone, start_s, 3600, g_per_kwh * 1_000_000, "eea", version="1")._replace(**more)


def gap(start_s: int = NOON_S) -> GapFact:
    return GapFact("agent:gpu-7", "gpu-7", "GPU-0", start_s * 1000, start_s * 1000 + 500, "reset")


def began(at_s: int = NOON_S, **more: Any) -> RunFact:
    return RunFact("began", "agent:gpu-7", "gpu-7", at_s * 1000, version="0.1", system="Linux")._replace(**more)


def store_of(folder: Path, days: int = 1, *, per_day: int = 5, minutes: int = 2) -> Store:
    """An open store with facts recorded on so many days in a row, from ``NOON_S`` on."""
    store = Store.open(folder)
    for day in range(days):
        for m in range(minutes):
            at_s = NOON_S + day * DAY_S + 60 * m
            store.append([*minute(per_day, start_s=at_s), work(start_s=at_s)], at_s + 60)
    return store


def verified(store: Store) -> int:
    """How many rows the open part has, each chained to the one before and numbered without holes."""
    with store.frozen():
        seq, digest = store.start().seq, store.start().hash
        if seq == 0:
            assert digest == genesis(store.writer)
        first = seq
        for row in store.rows():
            digest = link(digest, row.body)
            seq += 1
            assert (row.seq, row.hash) == (seq, digest)
        assert store.head()[:2] == (seq, digest)
    return seq - first


def bodies(writer: str, facts: Sequence[EnergyFact], recorded_s: int) -> Iterator[tuple[int, str, bytes]]:
    """The rows that a new store of this writer makes of these, for tests that need rows without a store."""
    numbers: dict[Key, int] = {}
    before, seq = genesis(writer), 0
    for fact in facts:
        said = []
        if fact.key not in numbers:
            numbers[fact.key] = len(numbers) + 1
            said.append(encode_key(numbers[fact.key], fact.key, recorded_s))
        for body in (*said, encode(fact, recorded_s, numbers[fact.key])):
            seq, before = seq + 1, link(before, body)
            yield seq, body, before
