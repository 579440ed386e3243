"""MLflow: the metrics of a training (``reporter``), a footprint on a run (``log_footprint``), and a live one beside MLflow's own
system metrics (``autolog`` and ``energy``).

MLflow has no hook for a run that begins (its context plugins are asked for datasets and models, too), and we patch nothing: so
``autolog()`` is called inside ``with mlflow.start_run():``, and ``with energy():`` goes around code that begins a run by itself.
A thread of our own speaks to the tracking server, except in ``log_footprint``, and where ``energy()`` asks for a run that it has
not seen.
"""

import atexit
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from wattledger import Footprint, Run, track
from wattledger.integrations._flat import metrics_of, tags_of
from wattledger.integrations._say import say_once

ARTIFACT = "wattledger/footprint.json"
INTERVAL_S = 10.0  # as MLflow's own system metrics; MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL sets both
SETTLE_S = 0.2  # past the refresh period of a GPU's register, so that the last figures are final
LAST_S = 5.0  # how long a program that ends waits for the last figures to be taken


def reporter(run_id: str | None = None) -> Callable[[Mapping[str, float], int], None]:
    """A training's metrics to the active MLflow run (or ``run_id``), by MLflow's own background queue."""

    def report(metrics: Mapping[str, float], step: int) -> None:
        import mlflow

        if (run := run_id or _active_run_id()) is None:
            say_once("mlflow reporter", "no MLflow run is active: metrics go to none (mlflow.start_run())")
        else:
            mlflow.log_metrics(dict(metrics), step=step, synchronous=False, run_id=run)

    return report


def log_footprint(footprint: Footprint, run_id: str | None = None) -> None:
    """A footprint's metrics, tags and JSON (an artifact) to the active run, or ``run_id``.  Never raises."""
    if (run := run_id or _active_run_id()) is None:
        say_once("mlflow footprint", "no MLflow run is active: the footprint was not logged (give run_id)")
        return
    try:
        _log(run, metrics_of(footprint), 0, footprint=footprint)
    except Exception as failure:  # MLflow's, the server's and the network's kinds have no common base
        say_once("mlflow log", f"the footprint was not logged to MLflow: {failure!r}")


def autolog() -> Run | None:
    """Log the active run's energy, power and emissions under ``system/wattledger/`` until that run ends, then its footprint.

    Returns our run (``add_tokens``); ``None`` where no MLflow run is active in this thread.
    """
    if (run_id := _active_run_id()) is None:
        say_once("mlflow autolog", "no MLflow run is active: call autolog() inside `with mlflow.start_run():`, or use energy()")
        return None
    monitor = _Monitor(run_id)
    monitor.end_with_run()
    return monitor.run


@contextmanager
def energy() -> Iterator[Run]:
    """The same for a block: the run that is active at its begin, or one that the block itself begins."""
    active = _active_run_id()
    before = active or _last_run_id()
    monitor = _Monitor(active)
    try:
        yield monitor.run
    finally:
        begun = active or _active_run_id() or _last_run_id()
        if active is None and begun == before:
            say_once("mlflow energy", "no MLflow run was active in the block: its energy was logged to none")
            begun = None
        monitor.finish(begun)


class _Monitor:
    """State: the span, the MLflow run's id once it is known, and the thread that logs, which the end of the span sets free."""

    def __init__(self, run_id: str | None) -> None:
        self._track = track(job=None, labels={"mlflow_run_id": run_id} if run_id else None)
        self.run = self._track.__enter__()
        self._run_id = run_id
        self._other: Any = None
        self._ended = threading.Event()
        self._finishing = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="wattledger-mlflow", daemon=True)
        self._thread.start()
        atexit.register(self._wait)

    def end_with_run(self) -> None:
        """Stand where MLflow's end_run finishes a run's own system metrics; those, if there are any, are finished with us."""
        from mlflow.tracking import fluent

        monitors = getattr(fluent, "run_id_to_system_metrics_monitor", None)
        if monitors is not None:
            self._other = monitors.get(self._run_id)
            monitors[self._run_id] = self

    def finish(self, run_id: str | None = None) -> None:
        """The MLflow run, or the block, has ended.  Does not wait for the server."""
        with self._finishing:
            if not self._ended.is_set():
                self._track.__exit__(None, None, None)
                self._run_id = self._run_id or run_id
                self._ended.set()
        if self._other is not None:
            self._other.finish()

    def _wait(self) -> None:
        self.finish()
        self._thread.join(LAST_S)

    def _work(self) -> None:
        try:
            self._follow()
        except Exception as failure:
            say_once("mlflow monitor", f"energy is no longer logged to MLflow: {failure!r}")
        finally:
            atexit.unregister(self._wait)

    def _follow(self) -> None:
        from mlflow.environment_variables import MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL

        interval_s = MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL.get() or INTERVAL_S
        step, before = 0, (0.0, 0.0)
        while not self._ended.wait(interval_s):
            if self._run_id is not None:
                footprint = self.run.footprint
                _log(self._run_id, _live(footprint, before), step)
                step += 1
                before = _at(footprint, before)
                if not _is_running(self._run_id):
                    self.finish()  # ended elsewhere, or by a client that does not tell us
        if self._run_id is not None:
            threading.Event().wait(SETTLE_S)
            footprint = self.run.footprint
            _log(self._run_id, _live(footprint, before), step)
            _log(self._run_id, metrics_of(footprint), 0, footprint=footprint)


def _at(footprint: Footprint, before: tuple[float, float]) -> tuple[float, float]:
    """(seconds, joules), where they are known."""
    energy = footprint.energy_j
    return before if energy is None else (footprint.duration_s, energy.value)


def _live(footprint: Footprint, before: tuple[float, float]) -> dict[str, float]:
    """MLflow's system metrics of one moment; power is the mean since the last."""
    energy, grams = footprint.energy_j, metrics_of(footprint).get("wattledger/emissions_g")
    if energy is None:
        return {}
    found = {"energy_j": energy.value, "emissions_g": grams}
    if (length_s := footprint.duration_s - before[0]) > 0:
        found["power_w"] = max(0.0, energy.value - before[1]) / length_s
    return {f"system/wattledger/{name}": value for name, value in found.items() if value is not None}


def _log(run_id: str, metrics: Mapping[str, float], step: int, *, footprint: Footprint | None = None) -> None:
    import mlflow
    from mlflow.entities import RunTag

    client = mlflow.MlflowClient()
    if metrics:
        mlflow.log_metrics(dict(metrics), step=step, synchronous=True, run_id=run_id)
    if footprint is not None:
        client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags_of(footprint).items()])
        client.log_dict(run_id, footprint.to_dict(), ARTIFACT)


def _is_running(run_id: str) -> bool:
    import mlflow

    return bool(mlflow.MlflowClient().get_run(run_id).info.status == "RUNNING")


def _active_run_id() -> str | None:
    import mlflow

    run = mlflow.active_run()
    return None if run is None else str(run.info.run_id)


def _last_run_id() -> str | None:
    """The last run that ended in this thread; MLflow asks the server for it, and what goes wrong there is not the program's."""
    import mlflow

    try:
        run = mlflow.last_active_run()
    except Exception:
        return None
    return None if run is None else str(run.info.run_id)
