"""MLflow runs carry a footprint: by a reporter, at the end, and live; against a store in a file, and a real server."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from tests.runtime.programs import Done, python, rigged

pytestmark = [
    pytest.mark.slow,  # MLflow's import alone takes seconds
    pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed"),
]

BEGIN = """
import mlflow
from wattledger.integrations import mlflow as energy_mlflow
mlflow.set_experiment("energy")
client = mlflow.MlflowClient()

def until(found):
    for _ in range(300):
        if found():
            return found()
        time.sleep(0.1)
    raise SystemExit("it never came")

def logged(run_id):
    # Past the thread that logs: the tag is what it writes last but for the artifact.
    until(lambda: [a for a in client.list_artifacts(run_id, "wattledger")])
    run = client.get_run(run_id)
    return [run.data.metrics, run.data.tags, mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/wattledger/footprint.json")]

def history(run_id, name):
    return [[m.step, m.value] for m in client.get_metric_history(run_id, name)]
"""


def store(folder: Path, **more: str) -> dict[str, str]:
    """A database in a file, no telemetry, and figures four times a second."""
    words = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL": "0.25",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "WATTLEDGER_GRID_ZONE": "DE",
    }
    return {**rigged(folder), **words, **more}


def program(code: str, folder: Path, env: dict[str, str]) -> Done:
    done = python(BEGIN + code, env, cwd=folder, timeout_s=180)
    assert done.status == 0, done.err
    return done


def ours(err: str) -> list[str]:
    return [line for line in err.splitlines() if line.startswith("wattledger: ")]


def check_footprint(metrics: dict[str, float], tags: dict[str, str], artifact: dict[str, Any]) -> None:
    assert artifact["schema"] == "wattledger.footprint/1"
    assert metrics["wattledger/energy_j"] == pytest.approx(artifact["energy_j"]["value"])
    assert metrics["wattledger/energy_j_low"] <= metrics["wattledger/energy_j"] <= metrics["wattledger/energy_j_high"]
    assert metrics["wattledger/emissions_g"] == pytest.approx(artifact["emissions_g"]["location_based"]["value"])
    parts = [metrics[f"wattledger/{kind}_energy_j"] for kind in ("gpu", "cpu", "dram") if f"wattledger/{kind}_energy_j" in metrics]
    assert sum(parts) == pytest.approx(metrics["wattledger/energy_j"])
    assert tags["wattledger.run_id"] == artifact["run_id"]
    assert (tags["wattledger.grid_zone"], tags["wattledger.method.counter"]) == ("DE", "1")


def test_a_footprint_and_a_trainings_metrics_are_on_the_run(tmp_path: Path) -> None:
    found = program("""
with track(job="f", scope="host") as measured:
    time.sleep(0.5)
report = energy_mlflow.reporter()
with mlflow.start_run() as run:
    for step in (1, 2):
        report({"wattledger/epoch_energy_j": 10.0 * step}, step)
    energy_mlflow.log_footprint(final(measured))
mlflow.flush_async_logging()
report({"wattledger/epoch_energy_j": 1.0}, 3)
report({"wattledger/epoch_energy_j": 1.0}, 4)
energy_mlflow.log_footprint(measured.footprint)
energy_mlflow.log_footprint(measured.footprint, run_id="no-such-run")
out([logged(run.info.run_id), history(run.info.run_id, "wattledger/epoch_energy_j"), mlflow.active_run() is None])
""", tmp_path, store(tmp_path))
    logged, epochs, none_begun = found.value
    check_footprint(*logged)
    assert epochs == [[1, 10.0], [2, 20.0]]
    assert none_begun
    assert [line.split(":")[1] for line in ours(found.err)] == [
        " no MLflow run is active", " no MLflow run is active", " the footprint was not logged to MLflow",
    ]  # fmt: skip


def test_autolog_follows_a_run_until_it_ends(tmp_path: Path) -> None:
    found = program("""
assert energy_mlflow.autolog() is None
ids, ends = [], []
for _ in range(2):
    with mlflow.start_run(log_system_metrics=True) as run:
        measured = energy_mlflow.autolog()
        measured.add_tokens(prompt=100)
        until(lambda: len(history(run.info.run_id, "system/wattledger/energy_j")) >= 3)
    ends.append(measured.footprint.duration_s)
    ids.append(run.info.run_id)
    time.sleep(0.5)
    ends.append(measured.footprint.duration_s)
from mlflow.tracking import fluent
rows = [[logged(i), [history(i, f"system/wattledger/{n}") for n in ("energy_j", "power_w", "emissions_g")]] for i in ids]
theirs = [m for m in client.get_run(ids[0]).data.metrics if m.startswith("system/") and "wattledger" not in m]
out([rows, ends, len(fluent.run_id_to_system_metrics_monitor), bool(theirs)])
""", tmp_path, store(tmp_path))
    rows, ends, left, theirs = found.value
    assert theirs
    assert left == 0
    assert (ends[0], ends[2]) == (ends[1], ends[3])  # the span ended with the run, not with the thread
    for logged, (energies, powers, grams) in rows:
        check_footprint(*logged)
        assert logged[0]["wattledger/prompt_tokens"] == 100
        assert [step for step, _ in energies] == list(range(len(energies)))
        values = [value for _, value in energies]
        assert values == sorted(values)
        assert values[-1] == pytest.approx(logged[2]["energy_j"]["value"])
        assert min(power for _, power in powers) >= 0
        assert [step for step, _ in grams] == [step for step, _ in energies]
    assert ours(found.err) == [
        "wattledger: no MLflow run is active: call autolog() inside `with mlflow.start_run():`, or use energy()"
    ]


def test_energy_finds_the_run_that_its_block_begins(tmp_path: Path) -> None:
    found = program("""
def fit():  # as a framework under mlflow.autolog() does
    with mlflow.start_run() as run:
        time.sleep(0.6)
    return run.info.run_id
with energy_mlflow.energy() as measured:
    inner = fit()
with mlflow.start_run() as run:
    with energy_mlflow.energy():
        time.sleep(0.3)
try:
    with energy_mlflow.energy():
        raise KeyError("mine")
except KeyError:
    pass
out([measured.run_id, logged(inner), logged(run.info.run_id)])
""", tmp_path, store(tmp_path))
    run_id, inner, outer = found.value
    check_footprint(*inner)
    check_footprint(*outer)
    assert inner[1]["wattledger.run_id"] == run_id != outer[1]["wattledger.run_id"]
    assert ours(found.err) == ["wattledger: no MLflow run was active in the block: its energy was logged to none"]


def test_a_program_that_ends_within_its_run_has_logged_it(tmp_path: Path) -> None:
    env = store(tmp_path, MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL="60")
    run_id = program("""
run = mlflow.start_run()
energy_mlflow.autolog()
time.sleep(0.3)
out(run.info.run_id)
""", tmp_path, env).value
    check_footprint(*program(f"out(logged({run_id!r}))", tmp_path, env).value)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A real tracking server with its own store, on a free port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    argv += ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "artifacts")]
    # Its runner of scorers and other jobs is not what we are after, and looks for tools of its own.
    env = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "HOME": str(folder)}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(argv, env=env, stdout=log, stderr=log, cwd=folder, start_new_session=True)
    try:
        _answers(f"http://127.0.0.1:{port}/health", process, folder / "server.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def _answers(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline_s = monotonic() + 120
    while monotonic() < deadline_s and process.poll() is None:
        try:
            with urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (URLError, OSError):
            sleep(0.3)
    raise AssertionError(f"no MLflow server: {log.read_text()[-2000:]}")


def test_a_real_server_has_it_all(tmp_path: Path) -> None:
    with server(tmp_path) as uri:
        found = program("""
with mlflow.start_run() as run:
    energy_mlflow.autolog()
    energy_mlflow.reporter()({"wattledger/epoch_energy_j": 5.0}, 1)
    until(lambda: len(history(run.info.run_id, "system/wattledger/power_w")) >= 2)
mlflow.flush_async_logging()
out([logged(run.info.run_id), run.info.run_id])
""", tmp_path, store(tmp_path, MLFLOW_TRACKING_URI=uri))
        logged, run_id = found.value
        check_footprint(*logged)
        assert logged[0]["wattledger/epoch_energy_j"] == 5.0
        with urlopen(f"{uri}/api/2.0/mlflow/runs/get?run_id={run_id}", timeout=10) as answer:
            tags = json.load(answer)["run"]["data"]["tags"]
        assert {"key": "wattledger.grid_zone", "value": "DE"} in tags


def test_a_server_that_went_away_stops_nobody(tmp_path: Path) -> None:
    with server(tmp_path) as uri:
        env = store(tmp_path, MLFLOW_TRACKING_URI=uri, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0", MLFLOW_HTTP_REQUEST_TIMEOUT="2")
        run_id = program("out(mlflow.start_run().info.run_id); os._exit(0)", tmp_path, env).value
    found = python(f"""
from wattledger.integrations import mlflow as energy_mlflow
with track(job="f") as measured:
    time.sleep(0.2)
before = time.monotonic()
energy_mlflow.log_footprint(measured.footprint, run_id={run_id!r})
with energy_mlflow.energy():
    pass
out(time.monotonic() - before)
""", env, cwd=tmp_path)
    assert found.value < 30
    assert any("the footprint was not logged to MLflow" in line for line in ours(found.err))
