"""A JAX loop: measured like any other, its values its own."""

from typing import Any

import pytest
from tests.integrations.work import burn

from wattledger.integrations.jax import loop


def test_it_gives_what_the_steps_give_and_measures_them() -> None:
    run = loop(range(4), epochs=2, job="plain", tokens=lambda step: 10)
    seen = []
    for step in run:
        burn(0.01)
        seen.append(step)
    assert seen == [0, 1, 2, 3] * 2
    assert (run.training.steps, run.training.tokens, run.training.epochs) == (8, 80, 2.0)
    assert run.metrics["wattledger/energy_per_1k_tokens_j"] > 0


def test_a_break_ends_the_run() -> None:
    run = loop(range(4))
    for step in run:
        if step == 1:
            break
    assert not run.training.is_open


def test_a_jax_training_is_measured_and_its_queue_waited_for() -> None:
    jax = pytest.importorskip("jax", reason="jax is not installed")

    def train(weights: Any, batch: Any) -> Any:
        return weights - 0.1 * jax.grad(lambda w: ((batch @ w) ** 2).mean())(weights)

    step = jax.jit(train)
    weights = jax.numpy.ones((16, 1))
    run = loop([jax.numpy.ones((8, 16))] * 4, epochs=2, model="linear")
    for batch in run:
        weights = step(weights, batch)
    assert run.training.steps == 8
    assert run.footprint is not None
    assert run.footprint.energy_j is not None
    assert run.footprint.identity.model == "linear"
    assert not [note for note in run.footprint.notes if "still queued" in note]
