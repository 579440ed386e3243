"""The serving engine of the made-up node: requests of two tenants, and what the engine has counted by any time of the round.

All of it is periodic: who is in flight when the round ends was in flight when it began.
"""

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

ROUND_S = 600
STEPS_PER_S = 36  # decode steps; a request gets one token of each
PREFILL_TOKENS_PER_S = 9_000.0
QUIET_S = (480.0, 535.0)  # nobody asks: the engine stands by


Sums = tuple[int, int, int, int]  # tokens (prompt, cached, generated), requests


class Asked(NamedTuple):
    """One request, in seconds of the round (it may end in the next) and tokens."""

    tenant: str
    scheduled_s: float
    first_s: float
    end_s: float
    computed: int
    cached: int
    generated: int


class Counts(NamedTuple):
    """What the engine has counted since the round began, and how many requests are in progress."""

    prompt: int
    cached: int
    generated: int
    requests: int
    steps: int
    running: int


def requests() -> list[Asked]:
    """Those that begin in one round, in order."""
    random, found = Random(7), list[Asked]()
    for tick in range(10 * ROUND_S):
        at_s = tick / 10
        if random.random() < _rate_per_s(at_s) / 10:
            found.append(_asked(random, at_s))
    return found


def _rate_per_s(at_s: float) -> float:
    """Two waves, a quiet minute, and a burst."""
    if QUIET_S[0] <= at_s < QUIET_S[1]:
        return 0.0
    wave = 1.0 - abs((at_s % 300.0) / 150.0 - 1.0)
    return 0.7 + 2.3 * wave + (2.0 if 205 <= at_s < 235 else 0.0)


def _asked(random: Random, at_s: float) -> Asked:
    tenant = "acme" if random.random() < 0.62 else "globex"
    prompt = int((500 if tenant == "acme" else 240) * (0.4 + 1.2 * random.random()))
    # acme's prompts begin alike, so that much of them is in the prefix cache.
    cached = prompt * 6 // 10 // 16 * 16 if tenant == "acme" and random.random() < 0.8 else 0
    generated = int((170 if tenant == "acme" else 310) * (0.3 + 1.4 * random.random()))
    scheduled_s = round(at_s + random.random() / 10, 2)
    first_s = round(scheduled_s + 0.05 + (prompt - cached) / PREFILL_TOKENS_PER_S, 2)
    end_s = round(first_s + (generated - 1) / STEPS_PER_S, 2)
    return Asked(tenant, scheduled_s, first_s, end_s, prompt - cached, cached, generated)


def _of(one: Asked, at_s: float) -> Sums:
    """Prompts count when they have been read, a request when it has ended."""
    if at_s < one.first_s:
        return 0, 0, 0, 0
    generated = min(one.generated, 1 + int((at_s - one.first_s) * STEPS_PER_S + 1e-6))
    return one.computed, one.cached, generated, int(at_s >= one.end_s)


def _plus(one: Sums, more: Sums, times: int = 1) -> Sums:
    return one[0] + times * more[0], one[1] + times * more[1], one[2] + times * more[2], one[3] + times * more[3]


def by_second(asked: Sequence[Asked]) -> list[Counts]:
    """The counts at each whole second, the round's end included; steps go on while anybody is in progress.

    Who began in the round before and ends in this one is counted here, too.
    """
    already, steps, before = [_of(one, ROUND_S) for one in asked], 0, False
    found = list[Counts]()
    for second in range(ROUND_S + 1):
        times = (float(second), float(second + ROUND_S))
        sums = (0, 0, 0, 0)
        for one, counted in zip(asked, already, strict=True):
            sums = _plus(_plus(sums, _of(one, times[0])), _plus(_of(one, times[1]), counted, -1))
        running = sum(any(one.scheduled_s <= at_s < one.end_s for at_s in times) for one in asked)
        steps += STEPS_PER_S if second and (running or before) else 0
        before = running > 0
        found.append(Counts(*sums, steps, running))
    return found
