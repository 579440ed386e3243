"""A played run as an agent beside it would have read it: batch after batch, with a sensor that lags and errs."""

import random
from collections.abc import Iterable, Iterator
from itertools import pairwise
from math import exp, sqrt
from typing import NamedTuple

from tests.serving.engine_model import Done, Played

from wattledger.core.model import (
    IDLE,
    Activity,
    Batch,
    Claim,
    Device,
    EnergyCounter,
    Holding,
    IdleFloor,
    Instant,
    Request,
    Sample,
    Served,
    Workload,
)

S = 1_000_000_000
WALL_NS = 1_795_341_600_000_000_000  # 2026-11-22T10:00:00Z at second 0
GPU = Device("GPU-0", "gpu", "card", None, 100_000_000, 900_000_000)
WHO, ADDRESS, MODEL = "pid:7", "127.0.0.1:8000", "llama-8b"
SERVE = Workload("serve", MODEL)
FIRST_S = 0.05  # of the first tick


class Eyes(NamedTuple):
    """How the machine is seen.  ``noise``: standard deviation of what the sensor says of a refresh, as a part of it, correlated
    over ``noise_s`` so that it does not average away within a scrape; ``export_s``: how often records of requests are sent;
    ``floor_w``: the card's idle power, where an earlier quiet time has taught it (the agent keeps floors)."""

    interval_s: float = 1.0
    seed: int = 1
    refresh_s: float = 0.1
    noise: float = 0.03
    noise_s: float = 1.0
    jitter_s: float = 0.01
    export_s: float = 5.0
    floor_w: float = 0.0


def batches(played: Played, eyes: Eyes, *, tail_s: float = 120.0) -> Iterator[Batch]:
    """A full batch a tick, from the start until ``tail_s`` after the last request."""
    dice = random.Random(eyes.seed)
    ticks_s = list(_ticks_s(eyes, played.ends_s[-1] + tail_s, dice))
    registers = Registers(played, eyes, ticks_s[-1])
    records = _records(played.done, eyes)
    told = next(records, None)
    uses = _uses(played, ticks_s)
    begun: tuple[Sample, ...] = (
        Claim(WHO, instant(ticks_s[0]), SERVE, "program"),
        Holding(GPU.id, WHO, instant(ticks_s[0]), 1.0),
    )
    if eyes.floor_w:
        begun = (*begun, IdleFloor(GPU.id, "empty", round(eyes.floor_w * 1e6), None, 9))
    for at_s, used in zip(ticks_s, uses, strict=True):
        scraped_s = at_s + dice.uniform(0.002, 0.012)
        samples: list[Sample] = [
            *begun,
            EnergyCounter(GPU, instant(at_s), registers.count_uj(at_s), None),
            *used,
            _served(played, scraped_s),
        ]
        while told is not None and told[0] <= scraped_s:
            samples.append(told[1])
            told = next(records, None)
        begun = ()
        yield Batch(instant(scraped_s + 0.001), True, tuple(samples))


def _uses(played: Played, ticks_s: list[float]) -> Iterator[list[Activity]]:
    """As NVML's source: time by the card's use, and a stretch in which nobody used it is all idle."""
    used_s = idle_s = 0.0
    sums_s = played.busy_s(ticks_s)
    yield [Activity(GPU.id, WHO, instant(ticks_s[0]), 0, "sm_ns"), Activity(GPU.id, IDLE.job, instant(ticks_s[0]), 0, "idle_ns")]
    for (before_s, at_s), (was_s, now_s) in zip(pairwise(ticks_s), pairwise(sums_s), strict=True):
        if now_s > was_s:
            used_s += now_s - was_s
            yield [Activity(GPU.id, WHO, instant(at_s), round(used_s * S), "sm_ns")]
        else:
            idle_s += at_s - before_s
            yield [Activity(GPU.id, IDLE.job, instant(at_s), round(idle_s * S), "idle_ns")]


def _ticks_s(eyes: Eyes, until_s: float, dice: random.Random) -> Iterator[float]:
    for n in range(int((until_s - FIRST_S) / eyes.interval_s) + 1):
        yield FIRST_S + n * eyes.interval_s + dice.uniform(0, eyes.jitter_s)


class Registers:
    """The energy counter as a driver shows it: it moves once a refresh, in whole millijoules, and its increments err."""

    def __init__(self, played: Played, eyes: Eyes, until_s: float) -> None:
        dice = random.Random(eyes.seed + 1)
        self._refresh_s = eyes.refresh_s
        self._phase_s = dice.uniform(0, eyes.refresh_s)
        times_s = [self._phase_s + n * eyes.refresh_s for n in range(int(until_s / eyes.refresh_s) + 1)]
        kept = exp(-eyes.refresh_s / eyes.noise_s) if eyes.noise_s else 0.0
        error, register_j = dice.gauss(0, eyes.noise), 1000.0
        self._counts_uj = [round(register_j * 1000) * 1000]
        for before_j, now_j in pairwise(played.energies_j(times_s)):
            register_j += (now_j - before_j) * (1 + error)
            error = kept * error + sqrt(1 - kept * kept) * dice.gauss(0, eyes.noise)
            self._counts_uj.append(round(register_j * 1000) * 1000)

    def count_uj(self, at_s: float) -> int:
        """As of the last refresh."""
        return self._counts_uj[max(0, min(len(self._counts_uj) - 1, int((at_s - self._phase_s) / self._refresh_s)))]


def _served(played: Played, at_s: float) -> Served:
    now = played.counts_at(at_s)
    said = now.prompt, now.cached, now.generated, now.requests, now.steps, now.running
    return Served(f"vllm {ADDRESS}", MODEL, ADDRESS, WHO, instant(at_s), *said, "vllm 0.11 tp=1")


def _records(done: Iterable[Done], eyes: Eyes) -> Iterator[tuple[float, Request]]:
    """(when it arrives, record): a batch processor sends what has ended every few seconds, over a network."""
    dice = random.Random(eyes.seed + 2)
    for n, one in enumerate(done):
        sent_s = (one.end_s // eyes.export_s + 1) * eyes.export_s if eyes.export_s else one.end_s
        arrival = one.arrival
        times = instant(one.scheduled_s), instant(one.first_s + dice.uniform(0, 0.002)), instant(one.end_s + 0.002)
        yield sent_s + 0.02, Request(f"r{n}", MODEL, *times, max(1, arrival.computed), arrival.cached, arrival.generated, ADDRESS)


def instant(at_s: float) -> Instant:
    ns = round(at_s * S)
    return Instant(ns, WALL_NS + ns)
