"""Keras 3: ``model.fit(..., callbacks=[EnergyCallback()])``, and ``history.history`` has the energy of every epoch.

The epoch's ``logs`` get the metrics, so that every callback after this one sees them.  No hook is called for a batch: those would
make Keras wait for the device at each step.  At the end the footprint is ``callback.footprint``.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from wattledger import Footprint
from wattledger.integrations._training import Report, Training, callback


class _Hooks:
    """``EnergyCallback(job=None, model=None, labels=None, report_to=())``: the energy of a ``Model.fit()``."""

    if TYPE_CHECKING:
        model: Any
        params: Mapping[str, Any]

    def __init__(
        self,
        job: str | None = None,
        *,
        model: str | None = None,
        labels: Mapping[str, str] | None = None,
        report_to: Sequence[Report] = (),
    ) -> None:
        super().__init__()
        self.training = Training(job, model=model, labels=labels, report_to=report_to)
        self._steps_before = 0

    @property
    def footprint(self) -> Footprint | None:
        """Of the last ``fit()``; live while it runs."""
        return self.training.footprint

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._steps_before = self._steps()
        self.training.begin(getattr(self.model, "name", None))

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        self._count_steps()
        self.training.begin_evaluation()

    def on_test_end(self, logs: Mapping[str, Any] | None = None) -> None:
        self.training.end_evaluation()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._count_steps()
        epochs = self.params.get("epochs")
        found = self.training.epoch(None if epochs is None else max(0.0, float(epochs - epoch - 1)))
        if logs is not None:
            logs.update(found)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        self.training.end()

    def _count_steps(self) -> None:
        self.training.step(max(0, self._steps() - self._steps_before - self.training.steps))

    def _steps(self) -> int:
        return int(self.model.optimizer.iterations)


if TYPE_CHECKING:
    EnergyCallback = _Hooks


def __getattr__(name: str) -> Any:
    if name != "EnergyCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = callback(_Hooks, import_module("keras").callbacks.Callback)
    return globals()[name]
