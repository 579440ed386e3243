"""Forecasts against training runs that Zeus recorded (NSDI 2023) on P100, V100 and RTX 6000.

The recording has averages over epochs and no single ones: mean power and time per epoch for each GPU, model, batch size and power
limit, and how many epochs each run needed.  Where a limit is far above the power drawn it changes nothing, so two limits there are
two measurements of the same epochs.
"""

import csv
import os
import random
from collections import defaultdict
from itertools import permutations
from pathlib import Path

import pytest

from wattledger.integrations._forecast import expected

RECORDINGS = os.environ.get("WATTLEDGER_RECORDINGS")
pytestmark = pytest.mark.skipif(not RECORDINGS, reason="WATTLEDGER_RECORDINGS names no folder of recordings")

GPUS = ("p100", "rtx6000", "v100")
UNBOUND = 0.9  # of its limit: what draws less is not held by it
Config = tuple[str, str, str, str]


def rows(name: str) -> list[dict[str, str]]:
    with (Path(RECORDINGS or "") / "training_traces" / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def epochs_j(gpu: str) -> dict[Config, list[float]]:
    """Joules of an epoch by what was trained, one for each power limit that was not felt."""
    found: dict[Config, list[float]] = defaultdict(list)
    for row in rows(f"summary_power_{gpu}.csv"):
        if float(row["average_power"]) < UNBOUND * float(row["power_limit"]):
            energy_j = float(row["average_power"]) * float(row["time_per_epoch"])
            found[row["dataset"], row["network"], row["batch_size"], row["optimizer"]].append(energy_j)
    return found


def lengths() -> dict[Config, list[int]]:
    """Epochs that the recorded runs needed, by what was trained."""
    last: dict[tuple[Config, str, str], int] = defaultdict(int)
    for row in rows("summary_train.csv"):
        if row["target_epoch"].isdigit():
            config = row["dataset"], row["network"], row["batch_size"], row["optimizer"]
            run = config, row["learning_rate"], row["run"]
            last[run] = max(last[run], int(row["target_epoch"]))
    found: dict[Config, list[int]] = defaultdict(list)
    for (config, *_), epochs in last.items():
        found[config].append(epochs)
    return found


@pytest.mark.parametrize("gpu", GPUS)
def test_one_measurement_foretells_another_of_the_same_training(gpu: str) -> None:
    """The interval of a forecast from one epoch, for one other epoch, holds 95 % of what was measured again."""
    tries = held = 0
    for measured in epochs_j(gpu).values():
        for one_j, other_j in permutations(measured, 2):
            found = expected([one_j], 1.0)
            assert found is not None
            tries, held = tries + 1, held + (found.low_j <= other_j <= found.high_j)
    assert tries > 100
    assert held / tries >= 0.95


@pytest.mark.parametrize("seen", [1, 2, 3, 5])
def test_whole_runs_of_recorded_lengths_end_within_their_forecast(seen: int) -> None:
    """Epochs drawn at random around the recorded mean, by the recorded scatter, after a first one with 20 % of warm-up."""
    chance, tries, held = random.Random(seen), 0, 0
    for config, measured in epochs_j("v100").items():
        mean_j = sum(measured) / len(measured)
        for length in lengths().get(config, []):
            if length <= seen or len(measured) < 2:
                continue
            energies_j = [chance.choice(measured) + 0.2 * mean_j * (i == 0) for i in range(length)]
            found = expected(energies_j[:seen], length - seen)
            assert found is not None
            tries, held = tries + 1, held + (found.low_j <= sum(energies_j[seen:]) <= found.high_j)
    assert tries > 100
    assert held / tries >= 0.95
