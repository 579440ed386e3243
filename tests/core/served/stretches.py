"""Stretches of engines, simulated and by hand, and fits that have learnt them."""

from functools import cache
from random import Random

from tests.core.served.batching import Load, Run, S, serve

from wattledger.core.tokens import Done, Fit, Stretch

J = 1_000_000
NOTHING = Done(0, 0, 0)
CONVERSATION = Load(0.5)
RUSH = Load(0.2)
EVENING = Load(0.4, quiet=((100, 160), (300, 360)))


@cache
def ran(load: str, scrape_s: float = 1.0) -> Run:
    return serve({"conversation": CONVERSATION, "rush": RUSH, "evening": EVENING}[load], 900, scrape_s=scrape_s)


def learnt(stretches: list[Stretch], models: int = 1) -> Fit:
    fit = Fit(models)
    for stretch in stretches:
        fit.learn(stretch)
    return fit


def stretch(energy_j: float, done: Done = NOTHING, *, held_j: float = 0, span_s: float = 1, busy: bool | None = None) -> Stretch:
    return Stretch(round(energy_j * J), round(held_j * J), round(span_s * S), (done,), busy)


def linear(n: int, *, seed: int = 1) -> list[Stretch]:
    """An engine that is exactly as the model says, its batch and its prompts changing every ten seconds."""
    rng, made = Random(seed), []
    s = p = d = 0
    for k in range(n):
        if k % 10 == 0:
            s, p, d = rng.randrange(40), rng.randrange(3000), rng.randrange(1, 400)
        energy_j = 75 + 2.7 * s + 0.02 * p + 0.07 * d
        made.append(stretch(energy_j * (1 + rng.gauss(0, 0.01)), Done(s, p, d), busy=True))
    return made
