"""Engines that draw what was published: joules per generated token by batch, as a table has them."""

import csv
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from math import ceil
from pathlib import Path
from typing import NamedTuple

from tests.serving.engine_model import Arrival, Card, Counts, Done, Played

BATCHES = (8, 16, 32, 64, 128, 256)
BUSY_W = 400.0
LONGEST_STEP_S = 0.1
PROMPT = 4  # tokens, which cost nothing here: what is published is per generated token, all included


class Figures(NamedTuple):
    """One row: a dense model on a card, and its joules per generated token by batch."""

    name: str
    j_by_batch: Mapping[int, float]

    def law(self) -> tuple[float, float]:
        """(e_step, e_tok) of J/token = e_step/B + e_tok, by least squares of the relative errors."""
        rows = [(1 / batch / j, 1 / j) for batch, j in self.j_by_batch.items()]
        aa, ab, bb = (sum(row[i] * row[k] for row in rows) for i, k in ((0, 0), (0, 1), (1, 1)))
        a, b = sum(row[0] for row in rows), sum(row[1] for row in rows)
        whole = aa * bb - ab * ab
        return (a * bb - b * ab) / whole, (aa * b - ab * a) / whole

    def off_law(self) -> float:
        """How far the figures themselves are from it, at worst."""
        step_j, token_j = self.law()
        return max(abs((step_j / batch + token_j) / j - 1) for batch, j in self.j_by_batch.items())


def dense(file: Path) -> list[Figures]:
    """Rows of models that use all their parameters for every token, at three batches or more."""
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    found = []
    for row in rows:
        if row["total_params_b"] == row["active_params_b"]:
            name = f"{row['task']} {row['model_id']} {row['gpu']}"
            found.append(Figures(name, _of_one_card({b: float(row[f"j_at_{b}"]) for b in BATCHES if row[f"j_at_{b}"]})))
    return [figures for figures in found if len(figures.j_by_batch) > 2]


def _of_one_card(j_by_batch: dict[int, float]) -> dict[int, float]:
    """What one of as many cards draws as it takes to make steps of a usual length."""
    cards = ceil(max(batch * j for batch, j in j_by_batch.items()) / (BUSY_W * LONGEST_STEP_S))
    return {batch: j / cards for batch, j in j_by_batch.items()}


def driven(figures: Figures, phases: Sequence[tuple[int, float]]) -> Played:
    """One phase after another of (batch, seconds; 0: nothing to do): so many sequences, which all begin and end together."""
    played = Played(Card(), [], [], [], [], [])
    now, counts = 0.0, Counts()
    for batch, length_s in phases:
        if not batch:
            now += length_s
            continue
        step_j = figures.j_by_batch[batch] * batch
        steps = round(length_s * BUSY_W / step_j)
        edges_s = list(accumulate([step_j / BUSY_W] * steps, initial=now))
        for n, (start_s, end_s) in enumerate(pairwise(edges_s)):
            prompt = counts.prompt + (0 if n else PROMPT * batch)
            ended, running = (batch, 0) if n == steps - 1 else (0, batch)
            counts = Counts(prompt, 0, counts.generated + batch, counts.requests + ended, counts.steps + 1, running)
            played.starts_s.append(start_s)
            played.ends_s.append(end_s)
            played.steps_j.append(step_j)
            played.counts.append(counts)
        one = Done(Arrival(now, PROMPT, 0, steps), now, edges_s[1], edges_s[-1], 0.0, 0.0, steps * step_j / batch)
        played.done.extend([one] * batch)
        now = edges_s[-1]
    return played
