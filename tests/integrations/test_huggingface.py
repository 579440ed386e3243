"""A real Trainer with a random model of a few thousand weights: what its own log, and those it reports to, say of energy."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.integrations.work import burn, joules, known
from tests.runtime.programs import blind, run

pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")
pytest.importorskip("accelerate", reason="accelerate is not installed: the Trainer needs it")

from wattledger.integrations.huggingface import EnergyCallback  # noqa: E402 - its class is made of transformers'

EPOCHS, STEPS, TOKENS = 3, 8, 64 * 16


class Busy(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
    """A tiny model's steps are shorter than a CPU's clock ticks."""

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        burn(0.01)

    def on_prediction_step(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        burn(0.02)


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes Trainers that write below ``tmp_path`` and reach no network."""
    import torch

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    words = torch.randint(0, 64, (64, 16), generator=torch.Generator().manual_seed(1))
    data = [{"input_ids": row, "labels": row} for row in words]

    def make(*callbacks: Any, **words: Any) -> Any:
        sizes = {"n_layer": 1, "n_head": 2, "n_embd": 16, "vocab_size": 64, "n_positions": 16}
        config = transformers.GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)
        args = {"num_train_epochs": EPOCHS, "per_device_train_batch_size": 8, "use_cpu": True, "report_to": []}
        args |= {"include_num_input_tokens_seen": True, "eval_strategy": "epoch", "save_strategy": "no"}
        args |= {"disable_tqdm": True, **words}
        return transformers.Trainer(
            transformers.GPT2LMHeadModel(config),
            transformers.TrainingArguments(str(tmp_path / "out"), **args),
            train_dataset=data,
            eval_dataset=data[:16],
            callbacks=[Busy(), *callbacks],
        )

    return make


def of_epochs(trainer: Any) -> list[dict[str, Any]]:
    return [entry for entry in trainer.state.log_history if "wattledger/epoch_energy_j" in entry]


@pytest.mark.parametrize("logged", ["epoch", "steps"])
def test_each_epochs_energy_is_in_the_trainers_own_log(trainer: Any, logged: str) -> None:
    callback = EnergyCallback(job="tiny")
    found = trainer(callback, logging_strategy=logged)
    found.train()
    assert [entry["epoch"] for entry in of_epochs(found)] == [1.0, 2.0, 3.0]
    assert [("loss" in entry) for entry in of_epochs(found)] == [logged == "epoch"] * 3
    for entry in of_epochs(found):
        assert entry["wattledger/step_energy_j"] * STEPS == pytest.approx(entry["wattledger/epoch_energy_j"])
    assert "wattledger/energy_j" in found.state.log_history[-1]
    assert "train_runtime" in found.state.log_history[-1]


def test_added_later_it_does_the_same(trainer: Any) -> None:
    found = trainer(logging_strategy="epoch")
    found.add_callback(EnergyCallback)
    found.train()
    assert len(of_epochs(found)) == EPOCHS


def test_evaluations_are_apart_and_in_their_log(trainer: Any) -> None:
    callback = EnergyCallback(job="tiny")
    found = trainer(callback, eval_on_start=True)
    found.train()
    evaluations = [entry for entry in found.state.log_history if "eval_loss" in entry]
    energies_j = [entry["wattledger/eval_energy_j"] for entry in evaluations if "wattledger/eval_energy_j" in entry]
    assert len(evaluations) == EPOCHS + 1
    assert energies_j == sorted(energies_j)
    energy_j, own_j = joules(callback.footprint)
    assert own_j < energy_j
    assert sum(callback.training.evaluation_energies_j()) == pytest.approx(energy_j - own_j, rel=0.05)


def test_those_who_report_see_what_the_log_has(trainer: Any) -> None:
    seen: list[dict[str, Any]] = []

    class Reporter(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **more: Any) -> None:
            seen.append(dict(logs))

    found = trainer(Reporter(), EnergyCallback(), logging_strategy="epoch")
    found.train()
    names = {name for entry in found.state.log_history for name in entry if name.startswith("wattledger/")}
    assert sum("wattledger/epoch_energy_j" in logs for logs in seen) == EPOCHS
    assert names <= {name for logs in seen for name in logs}


@pytest.mark.filterwarnings("ignore:.*noload:DeprecationWarning")  # MLflow's own use of SQLAlchemy
def test_a_real_mlflow_run_has_the_energy(trainer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    found = trainer(EnergyCallback(), report_to=["mlflow"])
    found.train()
    mlflow.end_run()
    client = mlflow.MlflowClient()
    [experiment] = [one for one in client.search_experiments() if client.search_runs([one.experiment_id])]
    [run] = client.search_runs([experiment.experiment_id])
    logged = [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, "wattledger/epoch_energy_j")]
    assert logged == [(entry["step"], entry["wattledger/epoch_energy_j"]) for entry in of_epochs(found)]
    assert run.data.metrics["wattledger/energy_j"] > 0


def test_tokens_are_the_trainers_count(trainer: Any) -> None:
    callback = EnergyCallback()
    trainer(callback).train()
    assert known(callback.footprint).work["prompt_tokens"] == EPOCHS * TOKENS
    quiet = EnergyCallback()
    found = trainer(quiet, include_num_input_tokens_seen=False)
    found.train()
    assert not known(quiet.footprint).work.get("prompt_tokens")
    assert all("wattledger/energy_per_1k_tokens_j" not in entry for entry in found.state.log_history)


def test_the_footprint_is_beside_the_model_whole_or_not_at_all(trainer: Any, tmp_path: Path) -> None:
    callback = EnergyCallback(job="tiny", labels={"team": "search"})
    trainer(callback).train()
    written = json.loads((tmp_path / "out" / "wattledger.json").read_text())
    assert written["schema"] == "wattledger.footprint/1"
    assert (written["job"], written["model"], written["labels"]) == ("tiny", "GPT2LMHeadModel", {"team": "search"})
    assert written["energy_j"]["value"] == joules(callback.footprint)[0]
    training = written["training"]
    assert (training["epochs"], training["steps"], training["tokens"]) == (EPOCHS, EPOCHS * STEPS, EPOCHS * TOKENS)
    assert training["total_flos"] > 0
    assert not list((tmp_path / "out").glob("*.part"))


def test_gradients_that_accumulate_are_one_step(trainer: Any) -> None:
    callback = EnergyCallback()
    trainer(callback, gradient_accumulation_steps=4).train()
    assert callback.training.steps == EPOCHS * STEPS // 4


def test_a_resumed_run_counts_what_it_did_itself(trainer: Any, tmp_path: Path) -> None:
    trainer(save_strategy="steps", save_steps=12, max_steps=12).train()
    callback = EnergyCallback()
    resumed = trainer(callback)
    resumed.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-12"))
    assert resumed.state.global_step == EPOCHS * STEPS
    assert callback.training.steps == EPOCHS * STEPS - 12
    assert callback.training.epochs == pytest.approx(1.5)
    assert known(callback.footprint).work["prompt_tokens"] == 1.5 * TOKENS


def test_the_forecast_before_the_last_step_is_of_the_whole_run(trainer: Any) -> None:
    found = trainer(EnergyCallback())
    found.train()
    first, *_, last = of_epochs(found)
    assert first["wattledger/forecast_energy_j"] == pytest.approx(EPOCHS * first["wattledger/energy_j"], rel=0.5)
    assert last["wattledger/forecast_energy_j"] == pytest.approx(last["wattledger/energy_j"], rel=0.5)


def test_a_training_that_fails_fails_as_it_would_and_the_next_is_measured_from_nothing(trainer: Any) -> None:
    callback = EnergyCallback()

    class Failing(transformers.TrainerCallback):  # type: ignore[misc, name-defined]
        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            raise RuntimeError("out of memory")

    found = trainer(callback, Failing())
    with pytest.raises(RuntimeError, match="out of memory"):
        found.train()
    found.remove_callback(Failing)
    found.train()
    assert callback.training.steps == EPOCHS * STEPS
    assert callback.training.run is not None
    assert callback.training.run.parent is None


RANKS = """
import json, os, sys
import torch, transformers
from wattledger.integrations.huggingface import EnergyCallback
words = torch.randint(0, 64, (64, 16), generator=torch.Generator().manual_seed(1))
data = [{"input_ids": row, "labels": row} for row in words]
sizes = {"n_layer": 1, "n_head": 2, "n_embd": 16, "vocab_size": 64, "n_positions": 16}
model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, bos_token_id=0, eos_token_id=0))
folder = sys.argv[1]
args = transformers.TrainingArguments(
    folder, num_train_epochs=2, per_device_train_batch_size=8, use_cpu=True, report_to=[], disable_tqdm=True, save_strategy="no",
    include_num_input_tokens_seen=True, ddp_backend="gloo",
)
callback = EnergyCallback(job="ranks")
trainer = transformers.Trainer(model, args, train_dataset=data, callbacks=[callback])
trainer.train()
footprint = callback.footprint
found = {"work": dict(footprint.work), "measured": footprint.energy_j is not None, "steps": callback.training.steps}
found["logged"] = sum("wattledger/energy_j" in entry for entry in trainer.state.log_history)
found["priced"] = sum("wattledger/energy_per_1k_tokens_j" in entry for entry in trainer.state.log_history)
with open(os.path.join(folder, f"rank{os.environ['RANK']}.json"), "w") as file:
    json.dump(found, file)
import torch.distributed
if torch.distributed.is_initialized():  # a rank that leaves while the other still listens makes that one abort
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_of_two_ranks_one_measures_and_counts_the_tokens_of_both(tmp_path: Path) -> None:
    """Every rank sees the count of all ranks: added up, the run would have twice its tokens."""
    script = tmp_path / "ranks.py"
    script.write_text(RANKS)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(script), str(tmp_path)]
    env = blind(tmp_path, WATTLEDGER_LEDGER_ENABLED="false", HF_HUB_OFFLINE="1", OMP_NUM_THREADS="1")
    done = run(launcher, env, timeout_s=180)
    assert done.status == 0, done.err
    first, second = (json.loads((tmp_path / f"rank{n}.json").read_text()) for n in range(2))
    assert first == {"work": first["work"], "measured": True, "steps": STEPS, "logged": 3, "priced": 3}
    assert first["work"]["prompt_tokens"] == 2 * TOKENS
    assert (second["measured"], second["logged"], second["work"].get("prompt_tokens", 0)) == (False, 0, 0)
    assert json.loads((tmp_path / "wattledger.json").read_text())["training"]["tokens"] == 2 * TOKENS
