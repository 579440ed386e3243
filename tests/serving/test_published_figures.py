"""Driven by published figures of dense models, the pipeline gives back joules per token at every batch."""

import os
import random
from pathlib import Path

import pytest
from tests.serving.figures import BATCHES, Figures, dense, driven
from tests.serving.judge import learnt, watched
from tests.serving.samples import Eyes, batches

from wattledger.core.pipeline import Pipeline

FACTORS = os.environ.get("WATTLEDGER_FACTORS")
needs_factors = pytest.mark.skipif(not FACTORS, reason="WATTLEDGER_FACTORS does not name the folder of source tables")
MADE = Figures("made up", {batch: 3.16 / batch + 0.067 for batch in BATCHES})  # an 8B model on an H100, science.md 4.1
WITHIN = 0.10


def phases(figures: Figures, rounds: int, interval_s: float) -> list[tuple[int, float]]:
    """Every batch some times, in any order, each longer than a scrape and never in step with it, and now and then nothing."""
    dice = random.Random(1)
    found: list[tuple[int, float]] = []
    for _ in range(rounds):
        order = list(figures.j_by_batch)
        dice.shuffle(order)
        for batch in order:
            found.append((batch, 2 + interval_s * dice.uniform(1, 2)))
            if dice.random() < 0.4:
                found.append((0, dice.uniform(2, 9)))
    return found


def off(figures: Figures, *, rounds: int = 5, interval_s: float = 1.0) -> tuple[dict[int, float], dict[int, float]]:
    """By batch, how far from the figure: joules per token of the settled requests, and the learnt e_step/B + e_tok."""
    played = driven(figures, phases(figures, rounds, interval_s))
    pipeline = Pipeline()
    settled = watched(pipeline, batches(played, Eyes(interval_s)))
    energies_j, tokens = dict.fromkeys(figures.j_by_batch, 0.0), dict.fromkeys(figures.j_by_batch, 0)
    by_j = {round(j, 9): batch for batch, j in figures.j_by_batch.items()}
    assert len(by_j) == len(figures.j_by_batch), "two batches have one figure"
    for n, one in enumerate(played.done):
        batch = by_j[round(one.steps_j / one.arrival.generated, 9)]
        energies_j[batch] += settled[f"r{n}"].energy_uj / 1e6
        tokens[batch] += one.arrival.generated
    prices = learnt(pipeline)
    given = {batch: energies_j[batch] / tokens[batch] / j - 1 for batch, j in figures.j_by_batch.items()}
    law = {batch: (prices.step_j / batch + prices.generated_j) / j - 1 for batch, j in figures.j_by_batch.items()}
    return given, law


@pytest.mark.parametrize("interval_s", [1.0, 5.0])
def test_a_model_that_keeps_the_law_gets_it_back(interval_s: float) -> None:
    given, law = off(MADE, interval_s=interval_s)
    assert max(map(abs, given.values())) <= WITHIN, given
    assert max(map(abs, law.values())) <= WITHIN, law


@needs_factors
@pytest.mark.slow
def test_published_models_get_their_joules_per_token_back_at_every_batch() -> None:
    assert FACTORS
    every = dense(Path(FACTORS, "llm_energy_summary.csv"))
    assert len(every) > 40
    wrong = {}
    for figures in every:
        given, law = off(figures, rounds=2)
        # Where the published figures themselves bend (another number of cards at another batch), no law can be learnt from them.
        worst = max(map(abs, [*given.values(), *(law.values() if figures.off_law() < WITHIN / 2 else ())]))
        if worst > WITHIN:
            wrong[figures.name] = given, law
    assert wrong == {}
