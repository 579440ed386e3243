"""W&B runs, offline: metrics over an axis of their own, a footprint in the summary."""

import importlib.util
from pathlib import Path

import pytest
from tests.runtime.programs import Done, python, rigged

pytestmark = [
    pytest.mark.slow,  # W&B starts a process of its own
    pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed"),
]


def program(code: str, folder: Path) -> Done:
    words = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DIR": str(folder), "WATTLEDGER_GRID_ZONE": "DE"}
    begin = "import wandb\nfrom wattledger.integrations import wandb as energy_wandb\n"
    done = python(begin + code, {**rigged(folder), **words}, cwd=folder, timeout_s=120)
    assert done.status == 0, done.err
    return done


def test_metrics_have_a_step_of_their_own_and_survive_another_callbacks(tmp_path: Path) -> None:
    kept = program("""
run = wandb.init(project="energy")
report = energy_wandb.reporter()
run.log({"loss": 1.0}, step=500)  # another callback counts in its own way
report({"wattledger/epoch_energy_j": 10.0}, 1)
report({"wattledger/epoch_energy_j": 20.0}, 2)
out([run.summary["wattledger/epoch_energy_j"], run.summary["wattledger/step"], run.summary["loss"]])
run.finish()
""", tmp_path).value
    assert kept == [20.0, 2, 1.0]


def test_a_footprint_is_in_the_summary(tmp_path: Path) -> None:
    summary, footprint = program("""
with track(job="f", scope="host") as measured:
    time.sleep(0.5)
found = final(measured)
run = wandb.init(project="energy")
energy_wandb.summary(found)
out([dict(run.summary), found.to_dict()])
run.finish()
""", tmp_path).value
    assert summary["wattledger/energy_j"] == pytest.approx(footprint["energy_j"]["value"])
    assert summary["wattledger/emissions_g_high"] == pytest.approx(footprint["emissions_g"]["location_based"]["high"])
    assert (summary["wattledger/run_id"], summary["wattledger/grid_zone"]) == (footprint["run_id"], "DE")
    assert summary["wattledger/method.counter"] == "1"


def test_without_a_run_one_line_says_so(tmp_path: Path) -> None:
    done = program("""
with track(job="f") as measured: pass
report = energy_wandb.reporter()
for step in (1, 2):
    report({"wattledger/energy_j": 1.0}, step)
    energy_wandb.summary(measured.footprint)
""", tmp_path)
    lines = [line for line in done.err.splitlines() if line.startswith("wattledger: ")]
    assert [line.partition(": no W&B run")[1] for line in lines] == [": no W&B run"] * 2
