"""A real ``fit`` of a model of a few weights: what its history says of energy."""

import os
from importlib.util import find_spec
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest
from tests.integrations.work import burn, joules, known

numpy = pytest.importorskip("numpy", reason="numpy is not installed")
if find_spec("keras"):
    # Keras asks for TensorFlow, whatever is there, and writes that down in the user's home.
    os.environ.setdefault("KERAS_BACKEND", next((name for name in ("torch", "jax") if find_spec(name)), "tensorflow"))
    os.environ.setdefault("KERAS_HOME", str(Path(gettempdir(), "wattledger-tests-keras")))
keras = pytest.importorskip("keras", reason="keras, or a backend for it, is not installed", exc_type=ImportError)

from wattledger.integrations.keras import EnergyCallback  # noqa: E402 - its class is made of Keras'

EPOCHS, STEPS = 3, 8


@pytest.fixture
def model() -> Any:
    keras.utils.set_random_seed(1)
    found = keras.Sequential([keras.layers.Input((16,)), keras.layers.Dense(32), keras.layers.Dense(1)], name="tiny")
    found.compile(optimizer="sgd", loss="mse")
    return found


def busy() -> Any:
    """A tiny model's batches are shorter than a CPU's clock ticks."""

    def batch_end(batch: int, logs: Any) -> None:
        burn(0.01)

    return keras.callbacks.LambdaCallback(on_train_batch_end=batch_end, on_test_batch_end=batch_end)


def fit(model: Any, *callbacks: Any, **words: Any) -> Any:
    data = numpy.random.default_rng(1).normal(size=(64, 16)).astype("float32")
    target = data.sum(axis=1, keepdims=True)
    given = {"epochs": EPOCHS, "batch_size": 8, "verbose": 0, "callbacks": [busy(), *callbacks], **words}
    return model.fit(data, target, **given)


def test_the_history_has_each_epochs_energy(model: Any) -> None:
    callback = EnergyCallback(job="tiny")
    history = fit(model, callback).history
    energies_j = history["wattledger/epoch_energy_j"]
    assert energies_j == callback.training.epoch_energies_j
    assert len(energies_j) == EPOCHS
    assert [each * STEPS for each in history["wattledger/step_energy_j"]] == pytest.approx(energies_j)
    assert history["wattledger/energy_j"] == sorted(history["wattledger/energy_j"])
    assert history["wattledger/forecast_energy_j"][-1] == pytest.approx(history["wattledger/energy_j"][-1])


def test_callbacks_after_it_see_the_energy_and_may_stop_for_it(model: Any) -> None:
    stopping = keras.callbacks.EarlyStopping(monitor="wattledger/energy_j", mode="min", patience=0)
    history = fit(model, EnergyCallback(), stopping).history
    assert len(history["loss"]) == 2  # energy only grows


def test_validation_is_apart(model: Any) -> None:
    callback = EnergyCallback()
    history = fit(model, callback, validation_split=0.5).history
    assert "val_loss" in history
    energy_j, own_j = joules(callback.footprint)
    assert own_j < energy_j
    assert history["wattledger/eval_energy_j"] == sorted(history["wattledger/eval_energy_j"])
    assert callback.training.steps == EPOCHS * STEPS // 2


def test_the_run_is_named_by_the_model_and_each_fit_is_a_run(model: Any) -> None:
    callback = EnergyCallback(labels={"team": "search"})
    fit(model, callback)
    first = known(callback.footprint)
    fit(model, callback, epochs=1)
    second = known(callback.footprint)
    assert (first.identity.model, first.identity.labels) == ("tiny", {"team": "search"})
    assert first.identity.run_id != second.identity.run_id
    assert callback.training.steps == STEPS


def test_no_hook_of_it_is_called_for_a_batch() -> None:
    base = keras.callbacks.Callback
    hooks = [name for name in dir(base) if "batch" in name]
    assert hooks
    assert [name for name in hooks if getattr(EnergyCallback, name) is not getattr(base, name)] == []


def test_an_evaluation_outside_of_a_training_is_left_alone(model: Any) -> None:
    callback = EnergyCallback()
    data = numpy.zeros((8, 16), "float32")
    model.evaluate(data, data[:, :1], verbose=0, callbacks=[callback])
    assert callback.footprint is None
