"""Ray Train's workers: one of a node measures, all carry one run."""

import os
from pathlib import Path

import pytest
from tests.runtime.programs import blind, python

from wattledger.integrations.ray_train import metered

ray = pytest.importorskip("ray", reason="ray is not installed")


def trains(config: dict[str, int]) -> int:
    """A training function."""
    return config["lr"] + 1


def test_outside_a_worker_it_is_the_same_function_measured() -> None:
    loop = metered(trains, job="by hand")
    assert loop({"lr": 1}) == 2
    assert (loop.__name__, loop.__doc__) == ("trains", "A training function.")


def test_the_run_id_is_the_drivers_and_goes_to_every_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTLEDGER_RUN_ID", "nightly-7")
    assert metered(trains).run_id == "nightly-7"  # type: ignore[attr-defined]
    monkeypatch.delenv("WATTLEDGER_RUN_ID")
    loop = metered(lambda: os.environ["WATTLEDGER_RUN_ID"])
    monkeypatch.setenv("WATTLEDGER_RUN_ID", "")  # so that what the call sets is undone
    monkeypatch.delenv("WATTLEDGER_RUN_ID")
    assert loop() == loop.run_id  # type: ignore[attr-defined]


def test_what_the_training_raises_is_raised() -> None:
    with pytest.raises(KeyError):
        metered(trains)({})


@pytest.mark.slow
def test_two_workers_on_a_node_are_measured_once_and_are_one_run(tmp_path: Path) -> None:
    """Real Ray, two workers: the node's first has the energy of both, the second says who measures it."""
    code = f"""
import ray
from ray.train import RunConfig, ScalingConfig, get_context
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from wattledger.integrations.ray_train import metered
from wattledger.integrations.pytorch import iterate

def trains(config):
    run = iterate(range(4), job="inner")
    for _ in run:
        began = time.process_time()
        while time.process_time() - began < 0.1:
            pass
    place = get_context().get_world_rank()
    ranks = sorted(name for name in os.environ if name.startswith("LOCAL_"))
    footprint = run.footprint
    energy_j = None if footprint.energy_j is None else footprint.energy_j.value
    found = [os.environ["WATTLEDGER_RUN_ID"], energy_j, run.training.run.parent.job, list(footprint.notes), ranks]
    with open(os.path.join(config["folder"], f"rank{{place}}.json"), "w") as file:
        json.dump(found, file)

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=80 * 2**20)
loop = metered(trains, job="outer")
scaling = ScalingConfig(num_workers=2, resources_per_worker={{"CPU": 1}})
run_config = RunConfig(storage_path={str(tmp_path / "storage")!r})
DataParallelTrainer(loop, train_loop_config={{"folder": {str(tmp_path)!r}}}, scaling_config=scaling, run_config=run_config).fit()
ray.shutdown()
found = [json.load(open(os.path.join({str(tmp_path)!r}, f"rank{{n}}.json"))) for n in range(2)]
out([loop.run_id, *found])
"""
    env = blind(tmp_path, RAY_USAGE_STATS_ENABLED="0", RAY_AUTH_MODE="disabled", WATTLEDGER_LEDGER_ENABLED="false")
    run_id, first, second = python(code, env, timeout_s=180).value
    assert first[0] == second[0] == run_id
    assert first[1] > 0
    assert second[1] is None
    assert first[2] == second[2] == "outer"
    assert any("local rank 0 measures" in note for note in second[3])
    assert first[4] == second[4] == []  # what other libraries take for torchrun's is gone again
