"""A real ``Trainer.fit`` of a model of a few weights: what Lightning's loggers and metrics say of energy."""

from pathlib import Path
from typing import Any

import pytest
from tests.integrations.work import burn, joules, known

torch = pytest.importorskip("torch", reason="torch is not installed")
lightning = pytest.importorskip("lightning.pytorch", reason="lightning is not installed")

from wattledger.integrations.lightning import EnergyCallback  # noqa: E402 - its class is made of Lightning's

EPOCHS, STEPS = 3, 8
pytestmark = [
    # What Lightning says of a tiny run on a CPU and of a machine that has Slurm, and torch of Lightning.
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*logging interval"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The `srun` command is available"),
]


class Tiny(lightning.LightningModule):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(16, 1)

    def training_step(self, batch: Any, index: int) -> Any:
        burn(0.01)  # so short a step would be shorter than a CPU's clock tick
        return self.layer(batch[0]).square().mean()

    def validation_step(self, batch: Any, index: int) -> None:
        burn(0.01)
        self.log("val_loss", self.layer(batch[0]).square().mean())

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.01)


class Failing(Tiny):
    def training_step(self, batch: Any, index: int) -> Any:
        raise RuntimeError("out of memory")


def loader() -> Any:
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.ones(64, 16)), batch_size=8)


def fitted(folder: Path, callback: Any, *, model: Any = None, **words: Any) -> Any:
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    given = {"max_epochs": EPOCHS, "accelerator": "cpu", "logger": False, **quiet, **words}
    trainer = lightning.Trainer(default_root_dir=folder, callbacks=[callback], **given)
    trainer.fit(model or Tiny(), loader(), loader())
    return trainer


def test_each_epochs_energy_is_in_the_loggers_and_the_metrics(tmp_path: Path) -> None:
    callback = EnergyCallback(job="tiny")
    logger = lightning.loggers.CSVLogger(tmp_path)
    trainer = fitted(tmp_path, callback, logger=logger)
    rows = (Path(logger.log_dir) / "metrics.csv").read_text().splitlines()
    column = rows[0].split(",").index("wattledger/epoch_energy_j")
    logged_j = [float(row.split(",")[column]) for row in rows[1:] if row.split(",")[column]]
    assert logged_j == pytest.approx(callback.training.epoch_energies_j)
    assert len(logged_j) == EPOCHS
    assert float(trainer.callback_metrics["wattledger/energy_j"]) > 0
    assert float(trainer.callback_metrics["wattledger/step_energy_j"]) * STEPS == pytest.approx(logged_j[-1], rel=1e-5)


def test_validation_is_apart(tmp_path: Path) -> None:
    callback = EnergyCallback()
    trainer = fitted(tmp_path, callback)
    energy_j, own_j = joules(callback.footprint)
    assert own_j < energy_j
    assert float(trainer.callback_metrics["wattledger/eval_energy_j"]) > 0


def test_gradients_that_accumulate_are_one_step(tmp_path: Path) -> None:
    callback = EnergyCallback()
    fitted(tmp_path, callback, accumulate_grad_batches=4)
    assert callback.training.steps == EPOCHS * STEPS // 4


def test_tokens_are_counted_by_the_users_rule(tmp_path: Path) -> None:
    callback = EnergyCallback(tokens=lambda batch: batch[0].numel())
    trainer = fitted(tmp_path, callback)
    assert known(callback.footprint).work["prompt_tokens"] == EPOCHS * 64 * 16
    assert float(trainer.callback_metrics["wattledger/energy_per_1k_tokens_j"]) > 0


def test_a_count_that_fails_does_not_end_the_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    callback = EnergyCallback(tokens=lambda batch: batch["input_ids"].numel())
    trainer = fitted(tmp_path, callback)
    assert trainer.current_epoch == EPOCHS
    assert len(callback.training.epoch_energies_j) == EPOCHS
    assert capsys.readouterr().err.count("on_train_batch_end") <= 1


def test_an_exception_ends_the_run_and_goes_on(tmp_path: Path) -> None:
    callback = EnergyCallback()
    with pytest.raises(RuntimeError, match="out of memory"):
        fitted(tmp_path, callback, model=Failing())
    assert not callback.training.is_open
    assert "ended" in repr(callback.training.run)


def test_the_plan_may_be_in_steps_or_none(tmp_path: Path) -> None:
    by_steps = EnergyCallback()
    trainer = fitted(tmp_path, by_steps, max_epochs=-1, max_steps=2 * STEPS)
    assert float(trainer.callback_metrics["wattledger/forecast_energy_j"]) > 0
    for_ever = EnergyCallback()
    trainer = fitted(tmp_path, for_ever, max_epochs=-1, max_time={"seconds": 1})
    assert "wattledger/energy_j" in trainer.callback_metrics
    assert "wattledger/forecast_energy_j" not in trainer.callback_metrics


def test_it_is_a_callback_of_both_names_of_the_package() -> None:
    assert issubclass(EnergyCallback, lightning.Callback)
