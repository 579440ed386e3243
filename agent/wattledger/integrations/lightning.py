"""Lightning (``lightning`` and ``pytorch_lightning``): ``Trainer(callbacks=[EnergyCallback()])``, and every epoch logs its energy.

The metrics go through ``pl_module.log_dict``, so they reach the Trainer's loggers and ``trainer.callback_metrics``.  At the end the
footprint is ``callback.footprint``.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from wattledger import Footprint
from wattledger.integrations._training import Report, Training, callback


class _Hooks:
    """``EnergyCallback(job=None, model=None, labels=None, report_to=(), tokens=None)``: the energy of a ``Trainer.fit()``.

    ``tokens``: called with each batch, gives the tokens in it (of all ranks).
    """

    def __init__(
        self,
        job: str | None = None,
        *,
        model: str | None = None,
        labels: Mapping[str, str] | None = None,
        report_to: Sequence[Report] = (),
        tokens: Callable[[Any], int] | None = None,
    ) -> None:
        self.training = Training(job, model=model, labels=labels, report_to=report_to)
        self._tokens = tokens
        self._steps_before = 0

    @property
    def footprint(self) -> Footprint | None:
        """Of the last ``fit()``; live while it runs."""
        return self.training.footprint

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        self.training.begin(type(pl_module).__name__)
        self._steps_before = trainer.global_step

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self._tokens is not None and trainer.is_global_zero:
            self.training.step(0, tokens=self._tokens(batch))

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        self._count_steps(trainer)
        self.training.begin_evaluation()

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        self.training.end_evaluation()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        self._count_steps(trainer)
        found = self.training.epoch(_epochs_left(trainer))
        if found:
            pl_module.log_dict(found, on_step=False, on_epoch=True, rank_zero_only=True)

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        self.training.end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        self.training.end()

    def _count_steps(self, trainer: Any) -> None:
        # Optimiser steps: batches that only accumulate gradients are no steps.
        self.training.step(trainer.global_step - self._steps_before - self.training.steps)


def _epochs_left(trainer: Any) -> float | None:
    left = []
    done = trainer.current_epoch + 1
    if trainer.max_epochs is not None and trainer.max_epochs >= 0:
        left.append(trainer.max_epochs - done)
    if trainer.max_steps >= 0 and trainer.global_step:
        left.append((trainer.max_steps - trainer.global_step) * done / trainer.global_step)
    return max(0.0, float(min(left))) if left else None


def _bases() -> list[type]:
    """The ``Callback`` of the package that the program uses; both where both are loaded."""
    names: list[str] = [name for name in ("lightning.pytorch", "pytorch_lightning") if name in sys.modules]
    if not names:
        try:
            names = [import_module("lightning.pytorch").__name__]
        except ModuleNotFoundError:
            names = [import_module("pytorch_lightning").__name__]
    return [sys.modules[name].Callback for name in names]


if TYPE_CHECKING:
    EnergyCallback = _Hooks


def __getattr__(name: str) -> Any:
    if name != "EnergyCallback":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = callback(_Hooks, *_bases())
    return globals()[name]
