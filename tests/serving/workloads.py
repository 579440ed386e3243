"""What comes in: a conversation-like stream of our own, and the code-like one that was recorded."""

import csv
import random
from datetime import datetime
from math import log
from pathlib import Path

from tests.serving.engine_model import Arrival

# Half of what the card of engine_model can answer (about 14 a second): bursts over lulls in which it now and then falls idle.
BURST_PER_S, LULL_PER_S = 11.0, 0.8
BURST_S, LULL_S = 20.0, 12.0
SPREAD = 0.8  # of the logarithm of both lengths


def conversation(seed: int, length_s: float, *, per_s: tuple[float, float] = (BURST_PER_S, LULL_PER_S)) -> list[Arrival]:
    """Prompts of about 1,000 tokens and replies of about 200, both log-normal; a Poisson stream that switches between two rates."""
    dice = random.Random(seed)
    found: list[Arrival] = []
    at_s, switch_s, bursting = 0.0, 0.0, False
    while at_s < length_s:
        if at_s >= switch_s:
            bursting = not bursting
            switch_s = at_s + dice.expovariate(1 / (BURST_S if bursting else LULL_S))
        next_s = at_s + dice.expovariate(per_s[0] if bursting else per_s[1])
        if next_s >= switch_s:
            at_s = switch_s  # the rate changes before it came: a Poisson stream forgets, so it is drawn again
            continue
        at_s = next_s
        found.append(Arrival(at_s, _length(dice, 1000, 8000), 0, _length(dice, 200, 2000)))
    return [arrival for arrival in found if arrival.at_s < length_s]


def _length(dice: random.Random, mean: float, longest: int) -> int:
    """Log-normal with this mean."""
    return max(1, min(longest, round(dice.lognormvariate(log(mean) - SPREAD * SPREAD / 2, SPREAD))))


def recorded_code(file: Path, start_s: float, length_s: float) -> list[Arrival]:
    """A window of the recorded trace (TIMESTAMP, ContextTokens, GeneratedTokens), from 0 on."""
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    times_s = [datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp() for row in rows]  # six digits of seven
    arrivals = [
        Arrival(at_s - times_s[0] - start_s, int(row["ContextTokens"]), 0, max(1, int(row["GeneratedTokens"])))
        for at_s, row in zip(times_s, rows, strict=True)
    ]
    return [arrival for arrival in arrivals if 0 <= arrival.at_s < length_s]
