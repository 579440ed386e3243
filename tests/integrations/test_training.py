"""The bookkeeping that all training callbacks share."""

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.integrations.work import burn
from tests.runtime.programs import blind, python

from wattledger import track
from wattledger.integrations._training import Training, callback

EPOCHS = 3


@pytest.fixture
def training() -> Iterator[Training]:
    found = Training("finetune", model="tiny")
    yield found
    found.end()


def trained(training: Training) -> list[dict[str, float]]:
    """The metrics of three epochs of four steps, each followed by an evaluation that is half as long."""
    training.begin()
    found = []
    for epoch in range(EPOCHS):
        for _ in range(4):
            burn(0.02)
            training.step(tokens=500)
        found.append(training.epoch(left=EPOCHS - epoch - 1))
        with training.evaluation():
            burn(0.04)
    return found


def test_epochs_and_evaluations_sum_to_the_run(training: Training) -> None:
    trained(training)
    found = training.metrics(force=True)
    apart_j = sum(training.epoch_energies_j) + found["wattledger/eval_energy_j"]
    assert len(training.epoch_energies_j) == EPOCHS
    assert found["wattledger/energy_j"] == pytest.approx(apart_j, rel=0.1)
    assert min(training.epoch_energies_j) > 0


def test_an_evaluation_is_in_the_run_and_in_no_epoch(training: Training) -> None:
    training.begin()
    training.epoch()
    with training.evaluation():
        burn(0.3)
    before_j, found = training.footprint, training.epoch()
    assert before_j is not None
    assert before_j.energy_j is not None
    assert found["wattledger/eval_energy_j"] > 0.5 * before_j.energy_j.value
    assert found.get("wattledger/epoch_energy_j", 0.0) < 0.5 * found["wattledger/eval_energy_j"]


def test_the_names_are_the_contracts(training: Training) -> None:
    first, *_, last = trained(training)
    always = {"energy_j", "measured_fraction", "emissions_g", "energy_per_1k_tokens_j"}
    always |= {"epoch_energy_j", "epoch_emissions_g", "step_energy_j"}
    forecast = {"forecast_energy_j", "forecast_energy_j_low", "forecast_energy_j_high"}
    assert set(first) == {f"wattledger/{name}" for name in always | forecast}
    assert set(last) == set(first) | {"wattledger/eval_energy_j"}
    assert 0 <= last.pop("wattledger/measured_fraction") <= 1
    assert all(value > 0 and math.isfinite(value) for value in last.values())


def test_an_epochs_steps_and_grams_are_its_energys(training: Training) -> None:
    for found in trained(training):
        assert found["wattledger/step_energy_j"] == pytest.approx(found["wattledger/epoch_energy_j"] / 4)
        price = found["wattledger/emissions_g"] / found["wattledger/energy_j"]
        assert found["wattledger/epoch_emissions_g"] == pytest.approx(price * found["wattledger/epoch_energy_j"], rel=1e-6)


def test_the_forecast_ends_at_the_truth(training: Training) -> None:
    *_, before, last = trained(training)
    assert before["wattledger/forecast_energy_j"] > before["wattledger/energy_j"]
    assert last["wattledger/forecast_energy_j"] >= last["wattledger/energy_j"]
    for found in (before, last):
        low, high = found["wattledger/forecast_energy_j_low"], found["wattledger/forecast_energy_j_high"]
        assert low <= found["wattledger/forecast_energy_j"] <= high


def test_without_a_plan_there_is_no_forecast(training: Training) -> None:
    training.begin()
    burn(0.05)
    training.step()
    assert not [name for name in training.epoch() if "forecast" in name]


def test_within_the_first_epoch_its_part_is_what_there_is_to_go_by(training: Training) -> None:
    training.begin()
    burn(0.1)
    training.step()
    found = training.metrics(left=1.75, into=0.25, force=True)
    assert found["wattledger/forecast_energy_j"] == pytest.approx(8 * found["wattledger/energy_j"])


def test_tokens_reach_the_run_and_are_of_training_alone(training: Training) -> None:
    last = trained(training)[-1]
    training.end()
    assert training.footprint is not None
    assert training.footprint.work["prompt_tokens"] == 6000
    own_j = sum(training.epoch_energies_j)
    assert last["wattledger/energy_per_1k_tokens_j"] == pytest.approx(own_j / 6)


def test_tokens_of_all_nodes_are_no_measure_of_this_ones_energy(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "16")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    last = trained(training)[-1]
    assert "wattledger/energy_per_1k_tokens_j" not in last
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "16")
    assert "wattledger/energy_per_1k_tokens_j" in training.metrics(force=True)


def test_a_step_costs_next_to_nothing(training: Training) -> None:
    training.begin()
    began = time.thread_time()
    for _ in range(10_000):
        training.step(tokens=512)
    # A thousandth of a step of 50 ms.
    assert (time.thread_time() - began) / 10_000 < 50e-6


def test_metrics_between_epochs_are_rare_however_often_they_are_asked_for(training: Training) -> None:
    training.begin()
    burn(0.05)
    answers = [training.metrics() for _ in range(2000)]
    assert answers[0]
    assert 1 <= sum(1 for answer in answers if answer) <= 12  # each wait is up to twice the one before


def test_a_second_run_begins_at_nothing_and_ends_one_that_was_left_open(training: Training) -> None:
    trained(training)
    crashed = training.run
    training.begin_evaluation()
    training.begin()
    assert crashed is not None
    assert "ended" in repr(crashed)
    assert training.run is not None
    assert training.run.parent is None
    assert (training.steps, training.epochs, training.epoch_energies_j) == (0, 0.0, [])


def test_the_runs_are_named_and_nested(training: Training) -> None:
    training.begin()
    training.begin_evaluation()
    with track(job="inside") as inside:
        burn(0.02)
    evaluation = inside.parent
    assert evaluation is not None
    assert (evaluation.job, evaluation.model) == ("finetune/eval", "tiny")
    assert evaluation.parent is training.run


def test_a_reporter_that_fails_is_named_once_and_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[Mapping[str, float], int]] = []

    def broken(metrics: Mapping[str, float], step: int) -> None:
        raise ConnectionError("nobody there")

    training = Training("report", report_to=[broken, lambda metrics, step: told.append((metrics, step))])
    trained(training)
    training.end()
    assert [step for _, step in told] == [4, 8, 12]
    assert all(metrics["wattledger/energy_j"] > 0 for metrics, _ in told)
    assert capsys.readouterr().err.count("nobody there") == 1


def test_a_rank_that_does_not_measure_has_no_metrics(tmp_path: Path) -> None:
    found = python("""
from wattledger.integrations._training import Training
training = Training("ranks")
training.begin()
burn(0.1)
training.step(tokens=100)
out([training.epoch(left=1), training.metrics(force=True), training.epoch_energies_j])
training.end()
""", blind(tmp_path, LOCAL_RANK="1", LOCAL_WORLD_SIZE="2")).value
    assert found == [{}, {}, []]


def test_a_hook_that_fails_does_not_end_the_training(capsys: pytest.CaptureFixture[str]) -> None:
    class Hooks:
        def on_epoch_end(self) -> None:
            raise KeyError("a framework that changed")

    hooked = callback(Hooks, object)()
    assert hooked.on_epoch_end() is None
    assert hooked.on_epoch_end() is None
    assert capsys.readouterr().err.count("a framework that changed") == 1


def test_no_framework_is_loaded_before_its_callback_is_asked_for(tmp_path: Path) -> None:
    found = python("""
import importlib
names = ("huggingface", "lightning", "keras", "pytorch", "jax", "sklearn", "ray_train")
for name in names:
    module = importlib.import_module("wattledger.integrations." + name)
    assert not hasattr(module, "no_such_name")
frameworks = {"transformers", "lightning", "pytorch_lightning", "keras", "torch", "jax", "sklearn", "ray", "numpy"}
out(sorted(frameworks & set(sys.modules)))
""", blind(tmp_path)).value
    assert found == []
