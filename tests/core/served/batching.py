"""A small serving engine with continuous batching, whose physics the estimator does not know, and the truth about each request.

Each step costs a fixed amount, plus some for each sequence in it and for each prompt token computed in it, plus a term that grows
with the context (KV reads); the power meter lands every 100 ms and is noisy.  The fixed cost of a step is shared equally by the
sequences in it (Shapley), as science.md section 4.4 has it.
"""

from dataclasses import dataclass, field
from random import Random

from wattledger.core.model import Instant, Request
from wattledger.core.tokens import Done, Stretch

S = 1_000_000_000
IDLE_W, STEP_J, PROMPT_J, TOKEN_J, CONTEXT_J = 75.0, 2.7, 0.020, 0.067, 4e-6
CHUNK = 2048


@dataclass
class Sequence:
    """One request in flight."""

    id: str
    computed: int
    generated: int
    scheduled: float = 0.0
    first: float = 0.0
    done: int = 0
    joules: float = 0.0


@dataclass
class Load:
    """Arrivals: mean gap in seconds, mean and spread (of the logarithm) of prompts and replies; ``quiet``: times without any."""

    gap_s: float
    prompt: tuple[float, float] = (1000.0, 0.8)
    reply: tuple[float, float] = (200.0, 0.7)
    quiet: tuple[tuple[float, float], ...] = ()


@dataclass
class Run:
    """What was seen, and the truth."""

    stretches: list[Stretch] = field(default_factory=list)
    ends: list[tuple[Instant, Instant, bool]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    truth_j: dict[str, float] = field(default_factory=dict)


def at(seconds: float) -> Instant:
    return Instant(round(seconds * S), 1_790_000_000 * S + round(seconds * S))


def lognormal(rng: Random, mean: float, sigma: float) -> int:
    return max(1, round(rng.lognormvariate(-(sigma**2) / 2, sigma) * mean))


@dataclass
class Engine:
    """Where the simulation stands: cumulative joules by time, and counts (time, steps, prompt, generated, running)."""

    now: float = 0.0
    joules: float = 0.0
    counts: tuple[float, int, int, int, int] = (0.0, 0, 0, 0, 0)
    curve: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, 0.0)])
    history: list[tuple[float, int, int, int, int]] = field(default_factory=lambda: [(0.0, 0, 0, 0, 0)])

    def spend(self, span_s: float, joules: float) -> None:
        self.now, self.joules = self.now + span_s, self.joules + joules
        self.curve.append((self.now, self.joules))

    def step(self, batch: list[Sequence], prefilled: int, wobble: float) -> None:
        """One step over the whole batch; each sequence's own joules are the truth."""
        took = 0.012 + 0.00015 * len(batch) + 0.00004 * prefilled
        spent = IDLE_W * took
        for one in batch:
            prompt_j = PROMPT_J * one.computed if one.done == 0 else 0.0
            own = STEP_J / len(batch) + TOKEN_J + CONTEXT_J * (one.computed + one.done) + prompt_j
            one.joules += own * wobble
            spent += own * wobble
        self.spend(took, spent)
        for one in batch:
            one.first = self.now if one.done == 0 else one.first
            one.done += 1


def serve(load: Load, duration_s: float, *, seed: int = 1, scrape_s: float = 1.0) -> Run:
    """Run the engine with 3 % noise from step to step, and scrape it."""
    rng, run, engine = Random(seed), Run(), Engine()
    coming, n = rng.expovariate(1 / load.gap_s), 0
    batch: list[Sequence] = []
    waiting: list[Sequence] = []
    while engine.now < duration_s:
        while coming <= engine.now:
            if not any(since <= coming < until for since, until in load.quiet):
                n += 1
                waiting.append(Sequence(f"r{n}", lognormal(rng, *load.prompt), lognormal(rng, *load.reply)))
            coming += rng.expovariate(1 / load.gap_s)
        if not batch and not waiting:
            gone = min(coming, duration_s + 1) - engine.now
            engine.spend(gone, IDLE_W * gone)
            continue
        prefilled = 0
        while waiting and (not prefilled or waiting[0].computed <= CHUNK - prefilled):
            waiting[0].scheduled = engine.now
            prefilled += waiting[0].computed
            batch.append(waiting.pop(0))
        engine.step(batch, prefilled, 1 + rng.gauss(0, 0.03))
        _, steps, prompts, tokens, _ = engine.counts
        ended = [one for one in batch if one.done >= one.generated]
        for one in ended:
            run.truth_j[one.id] = one.joules
            moments = (at(one.scheduled), at(one.first), at(engine.now))
            run.requests.append(Request(one.id, "m", *moments, one.computed, 0, one.generated))
        engine.counts = (engine.now, steps + 1, prompts + prefilled, tokens + len(batch), len(batch) - len(ended) + len(waiting))
        engine.history.append(engine.counts)
        batch = [one for one in batch if one.done < one.generated]
    scrape(run, engine, shift_s=rng.random() * 0.1, every_s=scrape_s, until_s=duration_s)
    return run


def scrape(run: Run, engine: Engine, *, shift_s: float, every_s: float, until_s: float) -> None:
    """Counts as they are at the scrape, joules as the register last landed them."""
    i, j, last_j, last = 0, 0, 0.0, engine.history[0]
    for k in range(1, int(until_s / every_s) + 1):
        end = k * every_s
        landed = int((end - shift_s) / 0.1) * 0.1 + shift_s
        while engine.curve[i + 1][0] <= landed:
            i += 1
        (t0, e0), (t1, e1) = engine.curve[i : i + 2]
        joules = e0 + (e1 - e0) * (landed - t0) / (t1 - t0)
        while j + 1 < len(engine.history) and engine.history[j + 1][0] <= end:
            j += 1
        now = engine.history[j]
        done = Done(now[1] - last[1], now[2] - last[2], now[3] - last[3])
        paid_uj = round(IDLE_W * every_s * 1e6 * 0.97)
        run.stretches.append(Stretch(round((joules - last_j) * 1e6), paid_uj, round(every_s * S), (done,), bool(now[4] or last[4])))
        run.ends.append((at(end - every_s), at(end), not now[4]))
        last_j, last = joules, now
